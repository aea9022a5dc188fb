"""Sweeps over many hyperparameters at once: each setting is a line across one vertical axis per hyperparameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import LogLocator, MaxNLocator

from optviz.plotting import style
from optviz.plotting.swept import (
    DIVERGED,
    MAP,
    SEED,
    by_factors,
    colour_norm,
    explain_colours,
    label,
    new_axes,
    number,
    of_metric,
    settled,
    title,
    what_was_equal,
    words,
)
from surfaces.names import unknown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ABOVE = 1.07  # where the lines of diverged runs end, in lengths of the last axis
_BEST = "#D55E00"  # apart from all colours of the map
_FEW = 7  # values on an axis that are all told


class Settings(NamedTuple):
    """The `N` settings of a sweep as a table: hyperparameters by name, and what came of them."""

    columns: dict[str, np.ndarray]
    """(N,) each: numbers or names."""
    metric: np.ndarray
    """(N,), the median over the seeds, infinite where it is no finite number."""
    diverged: np.ndarray
    """(N,), whether at least half of the seeds diverged."""

    @property
    def best(self) -> int | None:
        """The row of the best setting; None if none is finite."""
        return int(np.argmin(self.metric)) if np.isfinite(self.metric).any() else None


def settings_table(swept: xarray.Dataset, metric: str = "final_loss", names: Sequence[str] | None = None) -> Settings:
    """A row for every setting of a sweep, along whatever dimensions it has; see `plot_parallel_coordinates`."""
    swept = of_metric(swept, metric)
    values, diverged = settled(swept, metric)
    known = [str(k) for k, v in swept.coords.items() if set(v.dims) <= set(values.dims)]
    names = [k for k in known if k != SEED and len(np.unique(swept[k])) > 1] if names is None else list(names)
    for name in names:
        if name not in known:
            raise ValueError(unknown_name("hyperparameter of this sweep", name, known))
    if not names:
        raise ValueError("No hyperparameter varies in this sweep: there are no axes to draw.")
    run = values.notnull().values.ravel()
    columns = {k: swept[k].broadcast_like(values).transpose(*values.dims).values.ravel()[run] for k in names}
    return Settings(columns, values.values.ravel()[run], diverged.values.ravel()[run])


class Scale(NamedTuple):
    """One vertical axis: where values lie on it, from 0 to 1, and what is written beside it."""

    heights: np.ndarray
    """(N,)"""
    ticks: dict[str, float]


def scale(values: np.ndarray) -> Scale:
    """The axis of one hyperparameter (N,): logarithmic where its values call for it, even steps for names."""
    if values.dtype.kind not in "iuf":
        names = list(dict.fromkeys(map(str, values)))
        ticks = dict(zip(names, np.linspace(0, 1, len(names)) if len(names) > 1 else [0.5], strict=True))
        return Scale(np.array([ticks[str(v)] for v in values]), ticks)
    distinct = np.unique(values)
    low, high = float(distinct[0]), float(distinct[-1])
    log = by_factors(distinct)
    place = LogNorm(low, high) if log else Normalize(low, high) if low < high else Normalize(low - 0.5, low + 0.5)
    told = distinct if len(distinct) <= _FEW else _round_values(low, high, log)
    return Scale(np.asarray(place(values)), _apart({number(v): float(place(v)) for v in told}))


def _round_values(low: float, high: float, log: bool) -> np.ndarray:
    """Round values from `low` to `high`: powers of ten if these are two at least."""
    powers = np.asarray(LogLocator().tick_values(low, high)) if log else np.empty(0)
    powers = powers[(powers >= low) & (powers <= high)]
    values = powers if len(powers) > 1 else np.asarray(MaxNLocator(5).tick_values(low, high))
    return values[(values >= low) & (values <= high)]


def _apart(ticks: dict[str, float]) -> dict[str, float]:
    """The ticks without those that would cover the one below."""
    kept: dict[str, float] = {}
    for text, height in ticks.items():
        if not kept or height - max(kept.values()) > 0.05:
            kept[text] = height
    return kept


def plot_parallel_coordinates(
    swept: xarray.Dataset, ax: Axes | None = None, *, metric: str = "final_loss", names: Sequence[str] | None = None
) -> Axes:
    """Draw each setting of a sweep as a line across one vertical axis per hyperparameter, and one for the metric.

    Axes and colours are logarithmic where their values call for it. The best setting is the thick line, and the line
    under the heading says its values; those that diverged are grey, thin and behind, and go over the top of the last
    axis. Seeds are summed up by their median.

    Args:
      swept: what `sweep` returns, over a grid or a random design.
      ax: where to draw; a new figure if None.
      metric: the last axis, of which less is better.
      names: the hyperparameters from left to right; all that vary if None.

    Returns:
      The Axes.

    Raises:
      TypeError, ValueError: for a metric or a hyperparameter that cannot be meant.
    """
    table = settings_table(swept, metric, names)
    scales = [scale(column) for column in table.columns.values()]
    axes = new_axes(1.45 * len(scales) + 1.6, 3.8) if ax is None else ax
    norm = colour_norm(table.metric)
    finite = np.isfinite(table.metric)
    last = np.full(len(finite), _ABOVE)
    if norm is not None:
        last[finite] = norm(table.metric[finite])
    _draw_lines(axes, np.column_stack([*(s.heights for s in scales), last]), table, norm)
    _draw_scales(axes, list(table.columns), scales)
    if norm is not None:
        # The bar that explains the colours is the last axis: it stands where the lines end, in units of the data.
        explain_colours(axes.inset_axes((len(scales), 0, 0.06, 1), transform=axes.transData), norm, metric)
    style.legend(axes)
    style.heading(axes, title(swept) or words(metric), _caption(swept, table, metric))
    return axes


def _draw_lines(ax: Axes, heights: np.ndarray, table: Settings, norm: Normalize | None) -> None:
    """The settings, with heights (N, axes): what has no number behind, then from the worst to the best."""
    lines = np.stack(np.broadcast_arrays(np.arange(heights.shape[1]), heights), axis=-1)
    infinite = np.isinf(table.metric)
    for name, rows, dashes in (
        ("diverged", infinite & table.diverged, "solid"),
        ("not finite", infinite & ~table.diverged, "dotted"),
    ):
        if rows.any():
            thin = LineCollection(
                list(lines[rows]), colors=DIVERGED, linewidths=0.6, linestyles=dashes, label=name, zorder=1
            )
            ax.add_collection(thin)
    if norm is None or table.best is None:
        return
    order = np.argsort(table.metric, kind="stable")[::-1][infinite.sum() :]
    colors = colormaps[MAP](norm(table.metric[order]))
    alpha = float(np.clip(150 / len(order), 0.3, 0.9))
    ax.add_collection(LineCollection(list(lines[order]), colors=colors, linewidths=0.8, alpha=alpha, zorder=2))
    for color, width, name in (("white", 5.0, None), (_BEST, 2.8, "best")):
        ax.plot(*lines[table.best].T, color=color, lw=width, label=name, zorder=3, clip_on=False)


def _draw_scales(ax: Axes, names: Sequence[str], scales: Sequence[Scale]) -> None:
    beside = {"ha": "right", "va": "center", "fontsize": 7.5, "zorder": 5}
    paper = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.6}
    for i, axis in enumerate(scales):
        ax.plot([i, i], [0, 1], color="0.25", lw=0.9, zorder=4, clip_on=False)
        for text, height in axis.ticks.items():
            ax.plot(i, height, "_", color="0.25", ms=6, zorder=4, clip_on=False)
            ax.annotate(text, (i, height), (-5, 0), textcoords="offset points", bbox=paper, **beside)
    ax.set_xlim(0, len(scales))
    ax.set_ylim(-0.02, _ABOVE + 0.01)
    ax.set_xticks(range(len(names)), [words(name) for name in names])
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _caption(swept: xarray.Dataset, table: Settings, metric: str) -> str:
    if table.best is None:
        return what_was_equal(swept)
    at = {name: column[table.best] for name, column in table.columns.items()}
    # Spaces that do not break keep a name and its value on one line.
    where = label(at).replace(" = ", "\u00a0=\u00a0")
    best = f"best: {words(metric)} {number(table.metric[table.best])} at {where}"
    return " · ".join(part for part in (what_was_equal(swept), best) if part)
