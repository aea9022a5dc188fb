"""One run on its surface: the path over the level sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from optviz.plotting import style
from optviz.plotting.planes import Plane, on_plane, view
from surfaces.contours import Range, plot_contours
from surfaces.wrappers import Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


_FAR = 1e4  # in sides of the picture


class DrawnPath(NamedTuple):
    """The artists of one path, which an animation moves on."""

    line: Line2D
    end: Line2D

    def show(self, points: np.ndarray) -> None:
        """Make the path these points (k, 2). One that ends in NaN or infinity has no end to mark."""
        axes = self.line.axes
        assert axes is not None
        self.line.set_data(*drawable(points, axes.get_xlim(), axes.get_ylim()).T)
        last = points[-1:] if np.isfinite(points[-1:]).all() else points[:0]
        self.end.set_data(last[:, 0], last[:, 1])


def plot_trajectory(
    trace: Any,
    surface: Any = None,
    ax: Axes | None = None,
    *,
    x_range: Range | None = None,
    y_range: Range | None = None,
    plane: Any = None,
    color: str | None = None,
    label: str | None = None,
    **contours: Any,
) -> Axes:
    """Draw the path of a run over the level sets of its surface, with start, end and known minima marked.

    Args:
      trace: the run.
      surface: the surface to draw, or a plain function; the run's own if None.
      ax: where to draw; a new figure if None.
      x_range, y_range: what to show. By default start, path and minima, within the domain unless the path
        leaves it; a path that shoots off leaves the picture.
      plane: for runs with more than two parameters, which plane: see `optviz.plotting.planes.on_plane`.
      color: of the path; by default that of the optimizer's name.
      label: of the path; by default the optimizer's name.
      contours: passed on to `surfaces.contours.plot_contours`: `levels`, `log`, `resolution`, `colorbar`,
        `cmap`.

    Returns:
      The Axes.

    Raises:
      ValueError: for a range or a plane that cannot be meant.
    """
    own = ax is None
    drawn = on_plane([trace], surface, plane)
    name = label or trace.name
    ax = draw_background(ax, drawn, x_range, y_range, **contours)
    draw_path(ax, drawn.paths[0], color or style.colours([trace.name])[trace.name], style.legend_label(name, trace))
    draw_marks(ax, drawn)
    style.legend(ax, [*drawn.paths, *drawn.minima[:, None]], widen=own)
    caption = style.what_was_equal([trace])
    style.heading(ax, f"{name} on {drawn_name(drawn)}", " · ".join(part for part in (caption, drawn.caption) if part))
    return ax


def draw_background(
    ax: Axes | None, plane: Plane, x_range: Range | None = None, y_range: Range | None = None, **contours: Any
) -> Axes:
    """The level sets on which the paths of `plane` are drawn, in a view that shows them, without marks."""
    ax = plot_contours(plane.surface, *view(plane, x_range, y_range), ax=ax, minima=False, **contours)
    ax.set_xlabel(plane.labels[0])
    ax.set_ylabel(plane.labels[1])
    return ax


def draw_path(
    ax: Axes, points: np.ndarray, color: str, label: str | None = None, linewidth: float = 1.4, dashed: bool = False
) -> DrawnPath:
    """Draw a path (k, 2) with its end; the axes keep their ranges, and cut off a path that leaves them."""
    stroke: dict[str, Any] = {"linewidth": linewidth, "linestyle": "--" if dashed else "-", "solid_joinstyle": "round"}
    (line,) = ax.plot([], [], color=color, zorder=3, label=label, **stroke)
    (end,) = ax.plot([], [], linestyle="none", markerfacecolor=color, zorder=5, **style.END)
    path = DrawnPath(line, end)
    path.show(points)
    return path


def drawable(points: np.ndarray, x_range: Range, y_range: Range) -> np.ndarray:
    """A path (k, 2) without the moves from far away to far away, broken by NaN there.

    Whether such a move would cross the picture is a matter of rounding.
    """
    low, high = np.transpose([x_range, y_range])
    far = ~(np.abs(points - (low + high) / 2) < _FAR * (high - low)).all(axis=1)
    return np.insert(points, 1 + np.flatnonzero(far[:-1] & far[1:]), np.nan, axis=0)


def draw_marks(ax: Axes, plane: Plane) -> list[Line2D]:
    """Mark the starting points and the known minima, each once, with an entry in the legend."""
    marks = {"start": (starts(plane.paths), style.START), "minimum": (plane.minima, style.MINIMUM)}
    return [
        ax.plot(*points.T, linestyle="none", zorder=4, label=label, **mark)[0]
        for label, (points, mark) in marks.items()
        if len(points)
    ]


def drawn_name(plane: Plane) -> str:
    """The name of the surface, with its number of parameters where a plane of it is drawn."""
    surface = plane.surface
    if not isinstance(surface, Slice):
        return surface.name.replace("_", " ")
    name = surface.surface.name.replace("_", " ")
    size = sum(leaf.size for leaf in jax.tree.leaves(surface.origin))
    return name if size == 2 else f"{name} ({size} parameters)"


def starts(paths: Sequence[np.ndarray]) -> np.ndarray:
    """The starting points (k, 2), each once."""
    starts = np.array([path[0] for path in paths]).reshape(-1, 2)
    return np.unique(starts[np.isfinite(starts).all(axis=1)], axis=0)
