"""Training runs with several seeds, side by side: losses against steps and seconds, final losses, rates tried."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from optviz.plotting import style
from optviz.plotting.comparison import value_limits
from optviz.plotting.planes import Plane, on_plane, view
from optviz.plotting.trajectories import draw_background, draw_marks, draw_path

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 0.5  # the share of the way from the lowest loss to the first that is shown


class LearningCurve(NamedTuple):
    """The validation losses of one optimizer: `S` seeds at `T` numbers of steps."""

    steps: np.ndarray
    """(T,), from 0 on."""
    losses: np.ndarray
    """(S, T), infinite where a seed is lost."""
    seconds_per_step: float

    @property
    def mean(self) -> np.ndarray:
        """(T,), over the seeds; infinite where one is lost."""
        return self.losses.mean(axis=0)


class FinalLosses(NamedTuple):
    """Where the runs of one optimizer end: a loss for each of `S` seeds, infinite for a diverged run."""

    losses: np.ndarray
    """(S,)"""
    mean: float
    interval: tuple[float, float]
    """Of the mean; infinite where there is none."""


def plot_learning_curves(
    curves: Mapping[str, LearningCurve],
    ax: Axes | None = None,
    *,
    against: Literal["steps", "seconds"] = "steps",
    target: float | None = None,
) -> Axes:
    """Draw mean validation losses against steps, or against seconds of training, with bands around all seeds.

    The range of losses leaves out most of the first descent, in which all look alike. A line ends with a cross where
    a seed is lost.

    Args:
      curves: by the optimizers' labels.
      ax: where to draw; a new figure if None.
      against: what the horizontal axis is.
      target: a loss to mark with a line.

    Returns:
      The Axes.
    """
    axes = _new_axes() if ax is None else ax
    colors = style.colours(curves)
    bottom, top = _loss_limits(list(curves.values()))
    for label, curve in curves.items():
        x = curve.steps * (curve.seconds_per_step if against == "seconds" else 1)
        known = np.isfinite(curve.mean)
        mean = np.where(known, curve.mean, np.nan)
        low, high = curve.losses.min(axis=0), curve.losses.max(axis=0)
        axes.fill_between(x, low, high, where=known, color=colors[label], alpha=0.18, lw=0, zorder=2)
        axes.plot(x, mean, color=colors[label], lw=1.4, marker="o", ms=2.5, zorder=3, label=label)
        if not known[-1] and known.any():
            last = np.flatnonzero(known)[-1]
            axes.plot(
                x[last], min(mean[last], top), "X", color=colors[label], mec="white", ms=7, zorder=4, clip_on=False
            )
    if target is not None:
        axes.axhline(target, color="0.4", lw=0.8, ls="--", zorder=1, label=f"target {target:.4g}")
    axes.set_ylim(bottom, top)
    axes.set_xlim(left=0)
    axes.set_xlabel("steps" if against == "steps" else "seconds of training")
    axes.set_ylabel("validation loss (nats per token)")
    _tidy(axes)
    return axes


def plot_final_losses(finals: Mapping[str, FinalLosses], ax: Axes | None = None) -> Axes:
    """Draw a row for every optimizer, the lowest mean on top: mean and interval, and under it a tick for each seed.

    Args:
      finals: by the optimizers' labels.
      ax: where to draw; a new figure if None.

    Returns:
      The Axes.
    """
    axes = _new_axes() if ax is None else ax
    colors = style.colours(finals)
    order = sorted(finals, key=lambda label: (finals[label].mean, np.isinf(finals[label].losses).sum()))
    for row, label in enumerate(order):
        final = finals[label]
        finite = final.losses[np.isfinite(final.losses)]
        axes.plot(finite, np.full(len(finite), row + 0.2), "|", color=colors[label], ms=9, zorder=2)
        if np.isfinite(final.mean):
            if np.isfinite(final.interval).all():
                axes.plot(final.interval, (row, row), color=colors[label], lw=2.2, zorder=3)
            axes.plot(final.mean, row, "o", color=colors[label], mec="black", ms=6, zorder=4)
        if lost := int(np.isinf(final.losses).sum()):
            told = f"{lost} of {len(final.losses)} diverged"
            axes.annotate(
                told, (0.99, row), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=8, color="0.35"
            )
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlabel("final validation loss (nats per token)")
    _tidy(axes)
    return axes


def plot_weight_paths(paths: Sequence[Any], *, title: str = "", caption: str = "", resolution: int = 25) -> np.ndarray:
    """Draw paths of many weights over the loss on the plane of their first two principal directions.

    Optimizers go very different distances. The paths that reach less than a third as far as the longest, and so can
    hardly be seen beside it, are drawn once more on the plane of their own principal directions, and so on.

    Args:
      paths: traces, or what has their `name`, `surface`, `initial_params`, `path`, `losses` and `path_index`; all on
        one surface, from one start.
      title, caption: of the figure.
      resolution: points of the surface along each axis.

    Returns:
      The Axes (k,) of a new figure, the one with all paths first.
    """
    import matplotlib.pyplot as plt

    groups = by_reach(paths)
    planes = [on_plane(group, paths[0].surface, "pca") for group in groups]
    width = 5.6 * len(groups)
    size = (width, 0.95 + 0.15 * len(_head_lines(width, title, caption)) + 4.25 * max(map(_sides, planes)))
    figure, axes = plt.subplots(1, len(groups), figsize=size, layout="constrained", squeeze=False)
    colors = style.colours([path.name for path in paths])
    for i, (group, drawn, ax) in enumerate(zip(groups, planes, axes[0], strict=True)):
        draw_background(ax, drawn, *view(drawn), resolution=resolution, colorbar=True)
        for path, points in zip(group, drawn.paths, strict=True):
            draw_path(ax, points, colors[path.name], style.legend_label(path.name, path))
        draw_marks(ax, drawn)
        style.heading(ax, "the shorter paths once more" if i else "all paths" if groups[1:] else "", drawn.caption)
        ax.set_anchor("N")
    axes[0, 0].plot([], [], "o", color="0.4", mec="white", ms=7, label="end")
    _common_legend(figure, axes[0])
    _head(figure, title, caption)
    return axes[0]


def _sides(plane: Plane) -> float:
    """The height of a picture of the plane for each unit of its width."""
    (left, right), (low, high) = view(plane)
    return min(max((high - low) / (right - left), 0.5), 1.5)


def by_reach(paths: Sequence[Any]) -> list[list[Any]]:
    """All paths; then those that reach less than a third as far as the longest of them; and so on.

    A lost path counts as infinitely long, and makes no other short.
    """
    groups = [list(paths)]
    while True:
        reaches = [_reach(path) for path in groups[-1]]
        longest = max((reach for reach in reaches if np.isfinite(reach)), default=0.0)
        short = [path for path, reach in zip(groups[-1], reaches, strict=True) if reach < longest / 3]
        if not short:
            return groups
        groups.append(short)


def _reach(trace: Any) -> float:
    """How far a path gets from its start; infinite for one that is lost."""
    if not np.isfinite(trace.losses).all():
        return np.inf
    away = [np.sum(np.square(x - x[0]).reshape(len(x), -1), axis=1) for x in jax.tree.leaves(trace.path)]
    return float(np.sqrt(np.max(np.sum(away, axis=0))))


def plot_training_comparison(
    curves: Mapping[str, LearningCurve],
    finals: Mapping[str, FinalLosses],
    rates: xarray.Dataset | None = None,
    *,
    target: float | None = None,
    title: str = "",
    caption: str = "",
) -> np.ndarray:
    """Draw a comparison on a new figure: losses against steps and seconds, final losses, and the rates tried.

    Args:
      curves, finals, target: as for `plot_learning_curves` and `plot_final_losses`.
      rates: with `validation_loss` and `diverged` over `optimizer` and `learning_rate`, as for `plot_rate_curve`;
        None where no rate was tuned.
      title: of the figure.
      caption: what was equal, in words.

    Returns:
      The Axes (4,), the last left empty without `rates`.
    """
    import matplotlib.pyplot as plt

    from optviz.plotting.sweeps import plot_rate_curve

    figure, grid = plt.subplots(2, 2, figsize=(9.6, 7.0), layout="constrained")
    axes = grid.ravel()
    plot_learning_curves(curves, axes[0], against="steps", target=target)
    plot_learning_curves(curves, axes[1], against="seconds", target=target)
    plot_final_losses(finals, axes[2])
    if rates is None:
        axes[3].set_axis_off()
    else:
        plot_rate_curve(rates, axes[3], metric="validation_loss")
        axes[3].set_ylabel("validation loss of the tuning run")
    for ax, heading in zip(axes, _HEADINGS, strict=True):
        ax.set_title(heading if ax.axison else "", loc="left", fontsize=9, pad=4)
    _common_legend(figure, axes)
    _head(figure, title, caption)
    return axes


def plot_training_diagnostics(
    records: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], *, title: str = "", caption: str = ""
) -> np.ndarray:
    """Draw what goes on inside runs against steps: gradients, updates, learning rates, sharpness, each on its own axes.

    Args:
      records: by the optimizers' labels; by `gradient_norm`, `update_to_weight`, `learning_rate` and `sharpness`, as
        far as they are known, the numbers of steps (n,) and the values (n,).
      title, caption: of the figure.

    Returns:
      The Axes (k,), one for each of these that is known of any run; one that is empty if none is.
    """
    import matplotlib.pyplot as plt

    shown = [name for name in _RECORDED if any(name in own for own in records.values())]
    rows, columns = (2, 2) if len(shown) == 4 else (1, max(1, len(shown)))
    size = (9.6, 0.9 + (2.8 if columns < 3 else 2.4) * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    colors = style.colours(records)
    for ax, name in zip(grid.ravel(), shown, strict=False):
        for label, own in records.items():
            if name in own:
                marker = "o" if name == "sharpness" else None  # of few points
                ax.plot(*own[name], color=colors[label], lw=1.2, marker=marker, ms=3, label=label)
        ax.set_title(_RECORDED[name], loc="left", fontsize=9, pad=4)
        ax.set_yscale("log")
        ax.set_xlim(left=0)
        _tidy(ax)
    for ax in grid[-1]:
        ax.set_xlabel("steps")
    _common_legend(figure, grid.ravel())
    _head(figure, title, caption)
    return grid.ravel()


_RECORDED = {
    "gradient_norm": "gradient before clipping, L2 norm",
    "update_to_weight": "update to weights, ratio of L2 norms",
    "learning_rate": "learning rate",
    "sharpness": "sharpness: largest eigenvalue of the Hessian",
}

_HEADINGS = (
    "against steps: mean, band around all seeds",
    "against seconds",
    "at the end: seeds, mean, 95 % interval",
    "rates tried with the tuning seed",
)


def _head(figure: Figure, title: str, caption: str) -> None:
    """Title and caption above all pictures, wrapped to their width."""
    lines = _head_lines(figure.get_figwidth(), title, caption)
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=8.5, color="0.25")


def _head_lines(width: float, *texts: str) -> list[str]:
    """The lines of texts above a figure of so many inches."""
    return [line for text in texts for line in textwrap.wrap(text, int(15 * width))]


def _common_legend(figure: Figure, axes: np.ndarray) -> None:
    """One legend below all pictures, in place of one for each."""
    entries: dict[str, Any] = {}
    for ax in axes:
        if (own := ax.get_legend()) is not None:
            own.remove()
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower left",
        ncols=int(figure.get_figwidth() / 1.3),
        fontsize=8,
        frameon=False,
    )


def _loss_limits(curves: list[LearningCurve]) -> tuple[float, float]:
    """The ends of the axis of losses: without the first half of the descent, but with every end, however high."""
    values = np.concatenate([curve.losses[np.isfinite(curve.losses)] for curve in curves])
    if not values.size:
        return 0.0, 1.0
    starts, ends = (np.concatenate([curve.losses[:, i] for curve in curves]) for i in (0, -1))
    low, first = values.min(), starts[np.isfinite(starts)].max(initial=values.min())
    high = max(low + _SHOWN * (first - low), ends[np.isfinite(ends)].max(initial=low))
    return value_limits([np.array([low, high])], [False], log=False)


def _tidy(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)


def _new_axes() -> Axes:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(5.6, 3.6), layout="constrained")[1]
