"""Sweeps as maps: a metric over two hyperparameters, and which start leads to which minimum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
import xarray
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_rgb

from optviz.plotting import style
from optviz.plotting.swept import (
    BEST,
    DIVERGED,
    MAP,
    by_factors,
    colour_norm,
    edges,
    explain_colours,
    new_axes,
    number,
    of_metric,
    require_only,
    settled,
    title,
    what_was_equal,
    words,
)
from surfaces.base import LossSurface, as_surface
from surfaces.contours import known_minimum, level_grid, plane_domain, suitable_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_THEORY = ("#D55E00", "#CC79A7", "#1B1B1B", "#56B4E9")  # apart from the map and the grey


class Cells(NamedTuple):
    """A metric over two dimensions, both ascending."""

    x: np.ndarray
    """(n,)"""
    y: np.ndarray
    """(m,)"""
    values: np.ndarray
    """(m, n), the median over the seeds: infinite where it is no finite number, NaN where nothing was run."""
    diverged: np.ndarray
    """(m, n), whether at least half of the seeds diverged."""

    @property
    def best(self) -> tuple[int, int] | None:
        """Row and column of the best cell; None if none is finite."""
        if not np.isfinite(self.values).any():
            return None
        row, column = np.unravel_index(np.nanargmin(self.values), self.values.shape)
        return int(row), int(column)


def cells(swept: xarray.Dataset, x: str, y: str, metric: str = "final_loss") -> Cells:
    """The cells of `plot_heat_map`, seeds summed up."""
    swept = of_metric(swept, metric, x, y)
    values, diverged = settled(swept, metric)
    flat = require_only(xarray.Dataset({"values": values, "diverged": diverged}), x, y).sortby([x, y]).transpose(y, x)
    return Cells(*(np.asarray(flat[name].values) for name in (x, y, "values", "diverged")))


def stability_boundary(found: Cells) -> np.ndarray:
    """The borders (k, 2, 2) between a cell that diverged and a neighbour that did not: from point to point."""
    x, y, flag = edges(found.x), edges(found.y), found.diverged
    i, j = np.nonzero(flag[:, 1:] != flag[:, :-1])
    upright = np.stack([x[[j + 1, j + 1]], y[[i, i + 1]]], axis=-1)
    i, j = np.nonzero(flag[1:] != flag[:-1])
    level = np.stack([x[[j, j + 1]], y[[i + 1, i + 1]]], axis=-1)
    return np.concatenate([upright, level], axis=1).swapaxes(0, 1)


def plot_heat_map(
    swept: xarray.Dataset,
    ax: Axes | None = None,
    *,
    x: str,
    y: str,
    metric: str = "final_loss",
    boundary: bool = True,
    theory: Mapping[str, tuple[Any, Any]] | None = None,
) -> Axes:
    """Draw a metric over two dimensions of a sweep as coloured cells, with the edge of stability and the best cell.

    Axes and colours are logarithmic where their values call for it. Cells in which at least half of the seeds diverged
    are grey; other cells are the median over the seeds.

    Args:
      swept: what `sweep` returns; further dimensions than `x`, `y` and `seed` must have one value.
      ax: where to draw; a new figure if None.
      x, y: the dimensions, such as `"learning_rate"` and `"surface.condition_number"`.
      metric: what the colours are.
      boundary: whether to draw the line between the cells that diverged and the others.
      theory: by label, lines `(xs, ys)` to draw over the cells; a number stands for a straight line.

    Returns:
      The Axes.

    Raises:
      TypeError, ValueError: for a metric or a dimension that cannot be meant, and for a dimension too many.
    """
    found = cells(swept, x, y, metric)
    axes = new_axes(5.6, 4.2) if ax is None else ax
    norm = colour_norm(found.values)
    _fill(axes, found.x, found.y, _colours(found, norm))
    if norm is not None:
        explain_colours(axes.inset_axes((1.02, 0, 0.03, 1)), norm, metric)
    if boundary:
        _draw_boundary(axes, stability_boundary(found))
    for i, (name, curve) in enumerate((theory or {}).items()):
        axes.plot(*np.broadcast_arrays(*curve), color=_THEORY[i % len(_THEORY)], lw=1.4, ls="--", zorder=3, label=name)
    _mark_cells(axes, found)
    axes.set_xlabel(words(x))
    axes.set_ylabel(words(y))
    style.legend(axes, widen=ax is None)
    style.heading(axes, title(swept) or words(metric), what_was_equal(swept))
    return axes


def _colours(found: Cells, norm: Normalize | None) -> np.ndarray:
    """The colour of every cell (m, n, 3): white where there is no number to show."""
    colors = np.ones((*found.values.shape, 3))
    if norm is not None:
        finite = np.isfinite(found.values)
        colors[finite] = colormaps[MAP](norm(found.values[finite]))[:, :3]
    colors[found.diverged] = to_rgb(DIVERGED)
    return colors


def _fill(ax: Axes, x: np.ndarray, y: np.ndarray, colors: np.ndarray) -> None:
    """Cells in these colours, as pixels in vector graphics too, and nothing around them."""
    ax.set_xscale("log" if by_factors(x) else "linear")
    ax.set_yscale("log" if by_factors(y) else "linear")
    across, up = edges(x), edges(y)
    ax.pcolormesh(across, up, colors, rasterized=True, zorder=0)
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(up[0], up[-1])


def _draw_boundary(ax: Axes, borders: np.ndarray) -> None:
    """A black line between white ones, to be seen on every colour."""
    if not len(borders):
        return
    for color, width, name in (("white", 3.4, ""), ("black", 1.5, "edge of stability, measured")):
        lines = LineCollection(list(borders), colors=color, linewidths=width, capstyle="projecting", zorder=2)
        ax.add_collection(lines, autolim=False)
        lines.set_label(name)


def _mark_cells(ax: Axes, found: Cells) -> None:
    """A dot at the best cell, and entries of the legend for the cells without a number."""
    if (best := found.best) is not None:
        equal = np.sum(found.values == found.values[best])
        name = f"best: {number(found.values[best])}{f', one of {equal} equal' if equal > 1 else ''}"
        point = found.x[best[1]], found.y[best[0]]
        ax.plot(*point, color="white", ls="none", zorder=5, clip_on=False, label=name, **BEST)
    if found.diverged.any():
        _entry(ax, "diverged", DIVERGED)
    if (np.isinf(found.values) & ~found.diverged).any():
        _entry(ax, "not finite", "white")


def _entry(ax: Axes, name: str, color: Any) -> None:
    """An entry of the legend for cells of one colour."""
    ax.plot([], [], "s", color=color, mec="0.5", mew=0.5, ms=8, label=name)


class Basins(NamedTuple):
    """Which minimum each start of a grid leads to."""

    x: np.ndarray
    """(n,), ascending."""
    y: np.ndarray
    """(m,), ascending."""
    minimum: np.ndarray
    """(m, n), the index of the minimum nearest to the end; -1 where the run diverged."""
    reached: np.ndarray
    """(m, n), whether the loss came within the tolerance; True where the sweep does not say."""

    @property
    def unreached(self) -> np.ndarray:
        """(m, n), whether a run that did not diverge reached no known minimum within the tolerance."""
        return ~self.reached & (self.minimum >= 0)

    def share(self, index: int) -> float:
        """The share of the starts, from 0 to 1, whose runs reached a minimum, or for -1 diverged."""
        return float(np.mean((self.minimum == index) & ~self.unreached))


def basins(swept: xarray.Dataset, x: str = "start.x1", y: str = "start.x2") -> Basins:
    """The map of `plot_basins`."""
    if isinstance(swept, xarray.Dataset) and "nearest_minimum" not in swept:
        raise ValueError('A map of basins needs the metric "nearest_minimum": name it in `metrics` of sweep.')
    minimum = of_metric(swept, "nearest_minimum", x, y).nearest_minimum.fillna(-1)
    steps = swept.get("steps_to_tolerance", xarray.zeros_like(minimum))
    flat = require_only(xarray.Dataset({"minimum": minimum, "steps": steps}), x, y).sortby([x, y]).transpose(y, x)
    reached = ~np.isinf(flat.steps.values)
    return Basins(flat[x].values, flat[y].values, flat.minimum.values.astype(int), reached)


def plot_basins(
    swept: xarray.Dataset, ax: Axes | None = None, *, surface: Any = None, x: str = "start.x1", y: str = "start.x2"
) -> Axes:
    """Draw which minimum each start of a grid leads to, a colour per minimum, with the share of the starts.

    Starts whose run diverged are grey. Where the sweep has `steps_to_tolerance`, a start is pale if the loss never
    came within the tolerance: such a run may be on its way, or in a local minimum that is not among the known ones.

    Args:
      swept: what `sweep` returns with the axes `x` and `y` and the metric `nearest_minimum`; further dimensions
        must have one value.
      ax: where to draw; a new figure if None.
      surface: the surface that was descended; its level sets and known minima are drawn, and its minima named by where
        they are.
      x, y: the dimensions of the starts.

    Returns:
      The Axes.

    Raises:
      TypeError, ValueError: for a dimension that cannot be meant or is too many, a sweep without `nearest_minimum`,
        and a surface with fewer minima than the sweep names.
    """
    found = basins(swept, x, y)
    minima = np.zeros((0, 2)) if surface is None else _minima(as_surface(surface), found)
    axes = new_axes(5.2, 4.6) if ax is None else ax
    colors = _basin_colours(max(len(minima), int(found.minimum.max()) + 1))
    colored = colors[found.minimum]
    _fill(axes, found.x, found.y, np.where(found.unreached[..., None], _pale(colored, 0.3), colored))
    _equal_units(axes)
    if surface is not None:
        _draw_levels(axes, as_surface(surface), minima)
    _explain_basins(axes, found, minima, colors)
    axes.set_xlabel(words(x))
    axes.set_ylabel(words(y))
    style.legend(axes, widen=ax is None)
    style.heading(axes, title(swept) or "nearest minimum", what_was_equal(swept))
    return axes


def _basin_colours(count: int) -> np.ndarray:
    """A colour for each of `count` minima and, last, so that its index is -1, one for divergence: (count + 1, 3)."""
    minima = [_pale(to_rgb(style.PALETTE[k % len(style.PALETTE)]), 0.6) for k in range(count)]
    return np.array([*minima, to_rgb(DIVERGED)])


def _explain_basins(ax: Axes, found: Basins, minima: np.ndarray, colors: np.ndarray) -> None:
    """An entry of the legend for every known minimum, or all that were reached, with the share of the starts."""
    for k in [*range(len(colors) - 1), -1]:
        if found.share(k) or 0 <= k < len(minima):
            _entry(ax, f"{_name(k, minima)}: {100 * found.share(k):.3g} %", colors[k])
    if found.unreached.any():
        _entry(ax, f"pale, tolerance not reached: {100 * np.mean(found.unreached):.3g} %", "0.93")


def _minima(surface: LossSurface, found: Basins) -> np.ndarray:
    """The known minima (k, 2), as many as the sweep names."""
    plane_domain(surface)  # refuses other than two parameters
    minima = np.reshape(jax.device_get(surface.minima), (-1, 2))
    if len(minima) <= found.minimum.max():
        raise ValueError(
            f"The sweep names minimum {found.minimum.max()}, counted from 0, but {surface.name} has {len(minima)} "
            "known minima; give the surface that was descended."
        )
    return minima


def _pale(colors: Any, strength: float) -> np.ndarray:
    """Colours (..., 3) thinned with white."""
    return 1 - strength * (1 - np.asarray(colors))


def _equal_units(ax: Axes) -> None:
    """A unit as long on both axes, unless the picture would become a strip."""
    sides = np.ptp(ax.get_ylim()) / np.ptp(ax.get_xlim())
    ax.set_aspect("equal" if ax.get_xscale() == ax.get_yscale() == "linear" and 0.4 <= sides <= 2.5 else "auto")


def _name(index: int, minima: np.ndarray) -> str:
    if index < 0:
        return "diverged"
    return f"({', '.join(f'{v:.3g}' for v in minima[index])})" if len(minima) else f"minimum {index}"


def _draw_levels(ax: Axes, surface: LossSurface, minima: np.ndarray) -> None:
    """Thin level sets and the known minima, in the ranges that the axes have."""
    x, y, z = level_grid(surface, ax.get_xlim(), ax.get_ylim())
    levels = suitable_levels(z, known_minimum(surface))
    heights = np.ma.masked_invalid(levels.heights(z))
    ax.contour(x, y, heights, levels.values, colors="black", linewidths=0.5, alpha=0.3, zorder=1)
    ax.plot(*minima.T, ls="none", zorder=4, **style.MINIMUM)
