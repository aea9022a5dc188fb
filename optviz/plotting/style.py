"""What all pictures share: a colour for every name, marks, labels for rivals, headings and legends."""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from optviz import metrics
from optviz.optimizers.entry import learning_rate_of
from optviz.optimizers.schedules import Schedule
from surfaces.contours import MINIMUM as MINIMUM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito's colour-blind safe set first, then more that stay apart from it on the contour background.
PALETTE = (
    "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A3FA0", "#A0522D",
    "#1B1B1B", "#8FB339", "#C2185B", "#00838F", "#5C6BC0", "#B8860B", "#6D4C41", "#2E7D32",
)  # fmt: skip
_PREFERRED = {"gd": 8, "sgd": 6, "momentum": 4, "adagrad": 5, "rmsprop": 2, "adam": 1, "adamw": 12, "lion": 0,
              "nadam": 10, "lbfgs": 7, "muon": 11, "amsgrad": 3}  # fmt: skip

START = {"marker": "o", "markersize": 7, "markerfacecolor": "white", "markeredgecolor": "black"}
END = {"marker": "o", "markersize": 6, "markeredgecolor": "white", "markeredgewidth": 1.0}


def colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each label. It follows the name; a name whose colour is taken moves on to a free one."""
    chosen: dict[str, int] = {}
    for label in labels:
        name = label.split(" (")[0]
        wanted = _PREFERRED.get(name, zlib.crc32(name.encode()) % len(PALETTE))
        free = [i % len(PALETTE) for i in range(wanted, wanted + len(PALETTE))]
        free = [i for i in free if i not in chosen.values()] or [wanted]
        chosen.setdefault(label, free[0])
    return {label: PALETTE[i] for label, i in chosen.items()}


def labels(traces: Sequence[Any]) -> list[str]:
    """A name for each trace: its optimizer's, with the hyperparameters that differ where rivals share it."""
    plain = [trace.name for trace in traces]
    told = [
        name if plain.count(name) == 1 else _told_apart(i, traces, [t for t in traces if t.name == name])
        for i, name in enumerate(plain)
    ]
    return [name if told.count(name) == 1 else f"{name} #{1 + told[:i].count(name)}" for i, name in enumerate(told)]


def _told_apart(i: int, traces: Sequence[Any], rivals: Sequence[Any]) -> str:
    told = [_numbers(t) for t in rivals]
    mine = _numbers(traces[i])
    differing = {k: v for k, v in mine.items() if any(other.get(k) != v for other in told)}
    if not differing:
        return traces[i].name
    return f"{traces[i].name} ({', '.join(f'{k}={v}' for k, v in differing.items())})"


def _numbers(trace: Any) -> dict[str, str]:
    """The hyperparameters as text: numbers in four digits, schedules by what they print."""
    values = getattr(trace.optimizer, "hyperparameters", {})
    return {k: f"{float(v):.4g}" if np.ndim(v) == 0 and _is_array(v) else repr(v) for k, v in values.items()}


def _is_array(value: Any) -> bool:
    return isinstance(value, float | int | np.generic | np.ndarray | jax.Array)


class Look(NamedTuple):
    """How a picture shows one run, where its optimizer's name is not enough to tell."""

    label: str
    color: str
    dashed: bool = False


def looks(traces: Sequence[Any], given: Sequence[Look] | None = None) -> list[Look]:
    """The look of every run: `given`, or its label, with its fate if it diverged, and the colour of its name."""
    if given is not None:
        return list(given)
    names = labels(traces)
    colors = colours(names)
    return [Look(legend_label(name, trace), colors[name]) for name, trace in zip(names, traces, strict=True)]


def as_traces(traces: Any) -> list[Any]:
    """One run or several as a list; at least one."""
    traces = list(traces) if isinstance(traces, Sequence) else [traces]
    if not traces:
        raise ValueError("There is no run to draw: the list of traces is empty.")
    return traces


def fate(trace: Any) -> str:
    """What a legend adds to the name of a diverged run; empty for any other."""
    if metrics.BEHAVIOURS[int(metrics.behaviour(trace))] != "diverged":
        return ""
    losses, index = jax.device_get((trace.losses, trace.path_index))
    lost = ~np.isfinite(losses)
    return f" (diverged at step {index[np.argmax(lost)]})" if lost.any() else " (diverged)"


def legend_label(name: str, trace: Any) -> str:
    """The name of a run in a legend, with its fate if it diverged."""
    return (name + fate(trace)).replace(") (", ", ")


def what_was_equal(traces: Sequence[Any], note: str | None = None) -> str:
    """What the runs had in common and what not, for the line under a heading; `note` is added to it."""
    said = rates(traces, labels(traces)) if note is None else note
    parts = [_start(traces), _steps(traces), _noise(traces), said]
    return " · ".join(part for part in parts if part)


def heading(ax: Axes, title: str, caption: str = "") -> None:
    """A title above the axes, and under it a caption in small type, wrapped to the width of the axes."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    width = 72 * figure.get_size_inches()[0] * ax.get_position(original=True).width
    lines = textwrap.wrap(caption, max(24, int(width / 3.6)))
    ax.set_title(title, loc="left", fontsize=10, pad=5 + 9.5 * len(lines))
    ax.annotate(
        "\n".join(lines), (0, 1), (0, 4), "axes fraction", textcoords="offset points",
        fontsize=7.5, color="0.35", va="bottom", annotation_clip=False,
    )  # fmt: skip


def legend(ax: Axes, paths: Sequence[np.ndarray] | None = None, widen: bool = False) -> None:
    """A legend in a corner where it covers none of the `paths` (k, 2), in data units.

    It stands at the right of the axes if there is no such corner, with more than four entries, or without
    `paths`; then `widen` makes the figure wider by as much, so that the axes keep their size.
    """
    if not (entries := len(ax.get_legend_handles_labels()[0])):
        return
    corner = None if paths is None or entries > 4 else _empty_corner(ax, paths)
    place: dict[str, Any] = {"loc": corner, "framealpha": 0.85, "edgecolor": "none"}
    if corner is None:
        # A colour bar with its ticks and its label takes about 60 points, a third axis up to 25.
        beyond = 60.0 if ax.child_axes else 25.0 if hasattr(ax, "get_zlim") else 2.0
        place = {"bbox_transform": ax.transAxes + _shift(ax, beyond), "frameon": False}
        place |= {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.0}
    box = ax.legend(fontsize=8, handlelength=1.6, **place)
    if widen and corner is None and (figure := ax.get_figure(root=True)) is not None:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width + box.get_window_extent().width / figure.dpi, height)


def _shift(ax: Axes, points: float) -> Any:
    from matplotlib.transforms import ScaledTranslation

    return ScaledTranslation(points / 72, 0.0, ax.get_figure(root=True).dpi_scale_trans)  # type: ignore[union-attr]


def _empty_corner(ax: Axes, paths: Sequence[np.ndarray]) -> str | None:
    """The name of a corner, large enough for the legend, that no path enters; None if there is none."""
    from matplotlib.path import Path
    from matplotlib.transforms import Bbox

    entries = ax.get_legend_handles_labels()[1]
    # In points: 5 a letter, 15 a line, the samples, and a margin for the marks at the ends of paths.
    needed = np.array([52 + 5 * max(map(len, entries)), 26 + 15 * len(entries)])
    width, height = needed * ax.get_figure(root=True).dpi / 72 / ax.get_window_extent().size  # type: ignore[union-attr]
    drawn = [Path((ax.transData - ax.transAxes).transform(path)) for path in paths]
    for name in ("upper right", "upper left", "lower right", "lower left"):
        left, low = (1 - width) * ("right" in name), (1 - height) * ("upper" in name)
        corner = Bbox.from_bounds(left, low, width, height)
        if not any(path.intersects_bbox(corner, filled=False) for path in drawn):
            return name
    return None


def _start(traces: Sequence[Any]) -> str:
    starts = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(jax.device_get(t.initial_params))]) for t in traces]
    if any(start.shape != starts[0].shape or not np.array_equal(start, starts[0], equal_nan=True) for start in starts):
        return "different starts"
    if starts[0].size <= 3:
        return f"start ({', '.join(f'{x:.4g}' for x in starts[0])})"
    return "same start" if len(traces) > 1 else ""


def _steps(traces: Sequence[Any]) -> str:
    counts = sorted({trace.count for trace in traces})
    return " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) + " steps"


def _noise(traces: Sequence[Any]) -> str:
    noisy = [t for t in traces if t.key is not None and t.surface.is_stochastic]
    if not noisy:
        return ""
    keys = {None if t.key is None else tuple(np.ravel(jax.random.key_data(t.key)).tolist()) for t in traces}
    draws = "same draws" if len(keys) == 1 else "different draws"
    seeds = [key[-1] for key in keys if key is not None and not any(key[:-1])]
    return f"{draws} (seed {seeds[0]})" if len(keys) == len(seeds) == 1 else draws


def rates(traces: Sequence[Any], names: Sequence[str]) -> str:
    """The learning rates, by name where they differ."""
    rates = {name: learning_rate(trace) for name, trace in zip(names, traces, strict=True)}
    known = {name: rate for name, rate in rates.items() if rate and "learning_rate" not in name}
    if len(known) == len(traces) and len(set(known.values())) == 1:
        return f"learning rate {next(iter(known.values()))}{' for all' if len(traces) > 1 else ''}"
    return f"learning rates: {', '.join(f'{name} {rate}' for name, rate in known.items())}" if known else ""


def learning_rate(trace: Any) -> str:
    """The learning rate of a run in three digits; empty if it has none."""
    rate = learning_rate_of(getattr(trace.optimizer, "hyperparameters", {}))
    if rate is None:
        return ""
    return "scheduled" if isinstance(rate, Schedule) or np.ndim(rate) else f"{float(rate):.3g}"
