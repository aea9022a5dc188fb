"""A surface as a landscape, with the paths drawn on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LightSource
from matplotlib.ticker import FuncFormatter, MaxNLocator

from optviz.plotting import style
from optviz.plotting.planes import Plane, on_plane, view
from optviz.plotting.trajectories import drawable, drawn_name, starts
from surfaces.base import LossSurface, as_surface
from surfaces.contours import (
    Levels,
    Range,
    known_minimum,
    level_grid,
    light_map,
    losses_at,
    ranges,
    suitable_levels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PIECE = 0.01  # of the side of the picture: how finely a path follows the surface
_LIFT = 0.01  # how far the paths float above the surface, as a share of its height


def plot_surface_3d(
    surface: Callable[..., Any],
    traces: Any = (),
    ax: Axes | None = None,
    *,
    x_range: Range | None = None,
    y_range: Range | None = None,
    plane: Any = None,
    log: bool | None = None,
    resolution: int = 140,
    elevation: float = 42.0,
    azimuth: float = -60.0,
    note: str | None = None,
    cmap: Any = None,
) -> Axes:
    """Draw a surface in three dimensions, with the paths of runs on it.

    Paths are drawn over the whole surface, also where a hill stands before them, and end where they leave its
    range. Their height is that of the surface under them: on a plane, not the run's own loss.

    Args:
      surface: the surface, or a plain function.
      traces: one run, several, or none.
      ax: three-dimensional Axes (`projection="3d"`); a new figure if None.
      x_range, y_range: what to show; as in `plot_trajectory` if there are runs, else the domain.
      plane: for more than two parameters, which plane: see `optviz.plotting.planes.on_plane`.
      log: whether the height is logarithmic in the loss above its minimum; chosen by the values if None.
      resolution: grid points per axis.
      elevation, azimuth: from where to look, in degrees.
      note: said in the heading instead of the learning rates.
      cmap: another colour map than the light one on which paths stand out.

    Returns:
      The three-dimensional Axes.

    Raises:
      TypeError: for Axes that are not three-dimensional.
      ValueError: for ranges or a plane that cannot be meant.
    """
    if ax is not None and not hasattr(ax, "plot_surface"):
        raise TypeError("plot_surface_3d needs Axes made with projection='3d'.")
    traces = style.as_traces(traces) if not isinstance(traces, list | tuple) or traces else []
    drawn = _bare(as_surface(surface)) if not traces else on_plane(traces, surface, plane)
    shown = view(drawn, x_range, y_range) if traces else ranges(drawn.surface, x_range, y_range)
    x, y, z = level_grid(drawn.surface, *shown, resolution)
    levels = suitable_levels(z, known_minimum(drawn.surface), log=log)
    axes: Any = _new_axes() if ax is None else ax
    # By itself mplot3d sorts whole artists by their mean depth, and hides the paths under the surface.
    axes.computed_zorder = False
    heights = height(levels, z)
    axes.plot_surface(
        *np.meshgrid(x, y), heights, facecolors=_shaded(heights, cmap or light_map()), rcount=resolution,
        ccount=resolution, linewidth=0, antialiased=False, shade=False, zorder=1,
    )  # fmt: skip
    _draw_paths(axes, traces, drawn, levels, shown)
    _dress(axes, drawn, levels, shown)
    axes.view_init(elevation, azimuth)
    if traces:
        style.legend(axes, widen=ax is None)
    caption = style.what_was_equal(traces, note) if traces else ""
    style.heading(axes, drawn_name(drawn), " · ".join(part for part in (caption, drawn.caption) if part))
    return axes


def height(levels: Levels, z: np.ndarray) -> np.ndarray:
    """Losses as heights: powers of ten if the levels are logarithmic."""
    return np.log10(levels.heights(z)) if levels.log else np.asarray(z)


def path_on_surface(plane: Plane, points: np.ndarray, levels: Levels, shown: tuple[Range, Range]) -> np.ndarray:
    """A path (k, 2) laid on the surface from straight above: (l, 3), broken by NaN out of the ranges."""
    return _with_heights(plane, _fine(drawable(points, *shown), np.array(shown)), levels)


def _fine(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """What of a path lies in the `box` of two ranges, in pieces short enough to follow a surface."""
    points = np.where(np.isfinite(points), points, np.nan)
    start, move = points[:-1], np.diff(points, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.sort((box.T[:, None] - start) / move, axis=0)
    # A move along an axis crosses none of its borders: it is inside all the way, or never.
    inside = (start >= box[:, 0]) & (start <= box[:, 1])
    bounds = np.where(move == 0, np.where(inside, [[[-np.inf]], [[np.inf]]], np.nan), bounds)
    enter, leave = np.maximum(bounds[0].max(axis=1), 0), np.minimum(bounds[1].min(axis=1), 1)
    lengths = (leave - enter) * (np.abs(move) / np.diff(box).T).max(axis=1)
    parts = [np.full((1, 2), np.nan)]
    for a, d, t0, t1, length in zip(start, move, enter, leave, lengths, strict=True):
        if t0 <= t1:
            parts.append(a + np.linspace(t0, t1, int(length / _PIECE) + 2)[:, None] * d)
        if not (t0 <= t1 and t1 == 1):
            parts.append(parts[0])
    return np.concatenate(parts)


def _with_heights(plane: Plane, points: np.ndarray, levels: Levels) -> np.ndarray:
    return np.column_stack([points, height(levels, losses_at(plane.surface, points))])


def _inside(points: np.ndarray, shown: tuple[Range, Range]) -> np.ndarray:
    """The points that lie in the ranges."""
    low, high = np.transpose(shown)
    return points[((points >= low) & (points <= high)).all(axis=1)]


def _shaded(heights: np.ndarray, cmap: Any) -> np.ndarray:
    """Colours (m, n, 4) by height, lit from the upper left; what is not finite is clear."""
    finite = np.where(np.isfinite(heights), heights, np.nan)
    low, high = np.nanmin(finite), np.nanmax(finite)
    scaled = np.nan_to_num((finite - low) / ((high - low) or 1.0), nan=1.0)
    light = LightSource(azdeg=315, altdeg=50)
    # Slopes as the eye sees them in a box that is two thirds as high as wide.
    colours = light.shade(scaled, colormaps.get_cmap(cmap), blend_mode="soft", vert_exag=0.65 * len(heights))
    colours[..., 3] = np.isfinite(heights)
    return colours


def _draw_paths(ax: Any, traces: list[Any], plane: Plane, levels: Levels, shown: tuple[Range, Range]) -> None:
    names = style.labels(traces)
    lift = np.array([0.0, 0.0, _LIFT * np.ptp(ax.get_zlim())])
    for name, trace, path in zip(names, traces, plane.paths, strict=True):
        color = style.colours(names)[name]
        line = path_on_surface(plane, path, levels, shown) + lift
        ax.plot(*line.T, color=color, linewidth=1.4, zorder=5, label=style.legend_label(name, trace))
        end = _with_heights(plane, _inside(path[-1:], shown), levels) + lift
        ax.plot(*end.T, linestyle="none", zorder=7, **{**style.END, "markerfacecolor": color})
    marks = {"start": (starts(plane.paths), style.START), "minimum": (plane.minima, style.MINIMUM)}
    for label, (points, mark) in marks.items():
        placed = _with_heights(plane, _inside(points, shown), levels) + lift
        if len(placed):
            ax.plot(*placed.T, linestyle="none", zorder=6, label=label, **mark)


def _dress(ax: Any, plane: Plane, levels: Levels, shown: tuple[Range, Range]) -> None:
    """Labels, ranges, and light panes."""
    ax.set(xlim=shown[0], ylim=shown[1])
    ax.set_xlabel(plane.labels[0], fontsize=8, labelpad=2)
    ax.set_ylabel(plane.labels[1], fontsize=8, labelpad=2)
    ax.set_zlabel(levels.label, fontsize=8, labelpad=0)
    ax.tick_params(labelsize=8, pad=0)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis.set_major_locator(MaxNLocator(5, integer=levels.log and axis is ax.zaxis))
        axis._axinfo["grid"].update(color="0.9", linewidth=0.5)
    if levels.log:
        ax.zaxis.set_major_formatter(FuncFormatter(lambda k, _: f"$10^{{{k:g}}}$"))
    ax.set_box_aspect((1, 1, 0.65), zoom=0.9)


def _bare(surface: LossSurface) -> Plane:
    """A surface of two parameters without any runs."""
    minima = np.array([np.asarray(m, float) for m in surface.minima]).reshape(-1, 2)
    return Plane(surface, (), (), minima, ("$x_1$", "$x_2$"), "", None)


def _new_axes() -> Any:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(5.2, 4.4), layout="constrained", subplot_kw={"projection": "3d"})[1]
