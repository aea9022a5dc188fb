"""Several runs on one surface: their paths, and their losses against steps."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np
from matplotlib.ticker import MaxNLocator

from optviz.plotting import style
from optviz.plotting.planes import Plane, on_plane, view
from optviz.plotting.trajectories import draw_background, draw_marks, draw_path, drawn_name
from surfaces.contours import Range, known_minimum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Layout = Literal["overlaid", "side by side"]
Curve = tuple[np.ndarray, np.ndarray]  # numbers of steps, values


def plot_comparison(
    traces: Sequence[Any],
    surface: Any = None,
    ax: Any = None,
    layout: Layout = "overlaid",
    *,
    x_range: Range | None = None,
    y_range: Range | None = None,
    plane: Any = None,
    note: str | None = None,
    looks: Sequence[style.Look] | None = None,
    **contours: Any,
) -> Any:
    """Draw the paths of several runs over the level sets of one surface.

    The heading says what was equal: start, number of steps, draws of the noise, learning rates.

    Args:
      traces: the runs, with parameters of the same shape.
      surface: the surface to draw; by default the one that all runs descended.
      ax: where to draw; a new figure if None. Side by side, an array of Axes, one per run.
      layout: `"overlaid"`, or `"side by side"` with the same levels and ranges in every picture.
      x_range, y_range, plane, contours: as for `plot_trajectory`.
      note: said in the heading instead of the learning rates, such as "rates tuned for 1000 steps each".
      looks: label, colour and dashes of every run; by default those of its optimizer's name.

    Returns:
      The Axes; side by side, a flat array of them, one per run.

    Raises:
      ValueError: for runs on different surfaces without `surface`, and as `plot_trajectory`.
    """
    traces = style.as_traces(traces)
    if layout not in ("overlaid", "side by side"):
        raise ValueError(f"layout must be 'overlaid' or 'side by side', got {layout!r}.")
    drawn = on_plane(traces, surface, plane)
    draw = _overlaid if layout == "overlaid" else _side_by_side
    return draw(traces, drawn, ax, note, view(drawn, x_range, y_range), style.looks(traces, looks), contours)


def plot_losses(
    traces: Any, ax: Axes | None = None, *, tolerance: float | None = None, note: str | None = None
) -> Axes:
    """Draw the losses of the runs against steps: above the known minimum, on a logarithmic axis.

    Where no minimum is known the losses are drawn as they are, on a logarithmic axis if they span a decade. A
    run that diverged has a cross where it leaves the picture.

    Args:
      traces: one run or several.
      ax: where to draw; a new figure if None.
      tolerance: a loss above the known minimum to mark with a line.
      note: said in the heading instead of the learning rates.

    Returns:
      The Axes.
    """
    traces = style.as_traces(traces)
    curves, label, known = loss_curves(traces)
    axes = _new_figure((5.6, 3.6))[0] if ax is None else ax
    draw_curves(axes, traces, curves, log=known or None)
    if tolerance is not None and known:
        axes.set_ylim(bottom=min(axes.get_ylim()[0], tolerance / 2))
        axes.axhline(tolerance, color="0.4", lw=0.8, ls="--", zorder=1, label=f"tolerance {tolerance:g}")
    axes.set_xlabel("steps")
    axes.set_ylabel(label)
    style.legend(axes, widen=ax is None)
    names = dict.fromkeys(trace.surface.name.replace("_", " ") for trace in traces)
    style.heading(axes, ", ".join(names), style.what_was_equal(traces, note))
    return axes


def loss_curves(traces: Sequence[Any]) -> tuple[list[Curve], str, bool]:
    """The losses of every run against steps, what they are, and whether they are above a known minimum."""
    minima = [known_minimum(trace.surface) for trace in traces]
    data = jax.device_get([(trace.path_index, trace.losses) for trace in traces])
    if any(minimum is None for minimum in minima):
        return [(index, np.asarray(losses, float)) for index, losses in data], "loss", False
    curves = [(index, np.asarray(losses, float) - m) for (index, losses), m in zip(data, minima, strict=True)]
    return curves, "loss − minimum" if any(minima) else "loss", True


def draw_curves(ax: Axes, traces: Sequence[Any], curves: Sequence[Curve | None], log: bool | None = None) -> None:
    """Draw a curve for every run that has one, in ranges that the runs which do not diverge decide.

    The axis is logarithmic if `log`, or if None where no value is below zero and they span a decade.
    """
    names = style.labels(traces)
    labels = [style.legend_label(name, trace) for name, trace in zip(names, traces, strict=True)]
    drawn = [(*rest, *curve) for *rest, curve in zip(names, labels, curves, strict=True) if curve is not None]
    values = [curve for *_, curve in drawn]
    log = suits_log(values) if log is None else log
    ax.set_yscale("log" if log else "linear")
    ax.set_ylim(*value_limits(values, [name != label for name, label, *_ in drawn], log))
    for name, label, index, curve in drawn:
        color = style.colours(names)[name]
        ax.plot(index, curve, color=color, linewidth=1.3, label=label)
        if label != name:
            _draw_departure(ax, index, curve, color)
    ends = [index[np.isfinite(curve)][-1:] for *_, index, curve in drawn]
    ax.set_xlim(min(index[0] for *_, index, _ in drawn), max(1, *(end.max(initial=0) for end in ends)))
    _tidy(ax)


def value_limits(curves: Sequence[np.ndarray], diverged: Sequence[bool], log: bool) -> Range:
    """The ends of an axis that shows the curves, one of a diverged run only some way up."""
    finite = [curve[np.isfinite(curve)] for curve in curves]
    tame = np.concatenate([f[:1] if wild else f for f, wild in zip(finite, diverged, strict=True)])
    values = np.concatenate(finite)
    if log:
        if not (values > 0).any():  # all at the minimum, or nowhere
            return 0.1, 1.0
        ceiling = tame.max(initial=0) * (1e6 if all(diverged) else 10) or np.inf
        values = np.minimum(values[values > 0], ceiling)
        # What lies deeper is rounding, in double precision too.
        low, high = max(values.min(), 1e-20 * values.max()), values.max()
        margin = max(1.1, (high / low) ** 0.04)
        return float(low / margin), float(high * margin)
    if not values.size:
        return 0.0, 1.0
    reach = 2 * np.ptp(tame) or 10 * max(1.0, np.abs(tame).max())
    low, high = max(values.min(), tame.min() - reach), min(values.max(), tame.max() + reach)
    margin = 0.05 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def _tidy(ax: Axes) -> None:
    """A light grid, whole numbers of steps, and no frame at the top and at the right."""
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)


def suits_log(curves: Sequence[np.ndarray]) -> bool:
    """Whether the values call for a logarithmic axis: none is below zero, and they span a decade."""
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    positive = values[values > 0]
    return bool(positive.size and values.min() >= 0 and positive.max() > 10 * positive.min())


def _draw_departure(ax: Axes, index: np.ndarray, curve: np.ndarray, color: str) -> None:
    """A cross at the last point of a diverged run that is still in the picture."""
    bottom, top = ax.get_ylim()
    inside = np.flatnonzero((curve >= bottom) & (curve <= top))
    if inside.size:
        at = inside[-1]
        ax.plot(index[at], curve[at], "X", color=color, mec="white", ms=7, zorder=4, clip_on=False)


def _overlaid(
    traces: list[Any],
    drawn: Plane,
    ax: Any,
    note: str | None,
    ranges: tuple[Range, Range],
    looks: list[style.Look],
    contours: dict[str, Any],
) -> Axes:
    axes = draw_background(ax, drawn, *ranges, **contours)
    for look, path in zip(looks, drawn.paths, strict=True):
        draw_path(axes, path, look.color, look.label, dashed=look.dashed)
    draw_marks(axes, drawn)
    style.legend(axes, [*drawn.paths, *drawn.minima[:, None]], widen=ax is None)
    style.heading(axes, drawn_name(drawn), _caption(traces, drawn, note))
    return axes


def _side_by_side(
    traces: list[Any],
    drawn: Plane,
    ax: Any,
    note: str | None,
    ranges: tuple[Range, Range],
    looks: list[style.Look],
    contours: dict[str, Any],
) -> np.ndarray:
    axes = _grid(len(traces), ranges) if ax is None else np.ravel(np.asarray(ax, object))
    if len(axes) != len(traces):
        raise ValueError(f"Side by side, {len(traces)} runs need as many Axes, got {len(axes)}.")
    for look, path, one in zip(looks, drawn.paths, axes, strict=True):
        draw_background(one, drawn, *ranges, **{"colorbar": False, **contours})
        draw_path(one, path, look.color, dashed=look.dashed)
        draw_marks(one, drawn)
        style.heading(one, look.label)
    if ax is None:
        _label_outer(axes)
        figure = axes[0].get_figure(root=True)
        words = textwrap.wrap(f"{drawn_name(drawn)}: {_caption(traces, drawn, note)}", int(19 * figure.get_figwidth()))
        figure.suptitle("\n".join(words), x=0.01, ha="left", fontsize=8, color="0.35")
    return axes


def _caption(traces: list[Any], drawn: Plane, note: str | None) -> str:
    return " · ".join(part for part in (style.what_was_equal(traces, note), drawn.caption) if part)


def _columns(count: int) -> int:
    """Pictures in a row: at most four, and the rows about equally full."""
    rows = -(-2 * count // 7)
    return -(-count // rows)


def _grid(count: int, ranges: tuple[Range, Range]) -> np.ndarray:
    """Axes for `count` pictures of these ranges."""
    columns = _columns(count)
    rows = -(-count // columns)
    (left, right), (low, high) = ranges
    height = 2.5 * min(max((high - low) / (right - left), 0.4), 2.5)
    return _new_figure((2.65 * columns + 0.35, (height + 0.3) * rows + 0.6), rows, columns, count, "compressed")


def _label_outer(axes: np.ndarray) -> None:
    """Labels at the left and below the lowest picture of every column only."""
    columns = _columns(len(axes))
    for i, ax in enumerate(axes):
        if i % columns:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
        if i + columns < len(axes):
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)


def _new_figure(
    size: tuple[float, float], rows: int = 1, columns: int = 1, count: int = 1, layout: Any = "constrained"
) -> np.ndarray:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=size, layout=layout, squeeze=False)
    for unused in axes.flat[count:]:
        figure.delaxes(unused)
    return axes.flat[:count]
