"""Surfaces in three dimensions as numbers, and paths laid on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from optviz.plotting.surfaces3d import height
from surfaces.base import as_surface
from surfaces.contours import Levels, Range, known_minimum, level_grid, suitable_levels

LIFT = 0.012  # how far the paths lie above the surface, as a share of its height
_PIECE = 0.01  # of the side of the view: how finely a path follows the surface,
_MOST_PIECES = 1000  # but with about as many points at most between those of the path
_EDGE = 1e-9  # of the side of the view: what rounding may put outside


class Relief(NamedTuple):
    """A surface as it is drawn in three dimensions."""

    x: np.ndarray
    y: np.ndarray
    losses: np.ndarray
    """(len(y), len(x))"""
    heights: np.ndarray
    """(len(y), len(x)): losses, or powers of ten of those above the minimum; NaN where not finite."""
    levels: Levels

    def under(self, points: np.ndarray) -> np.ndarray:
        """The height of the surface at points (k, 2); NaN outside.

        Between the points of the grid it is drawn as triangles. Which way the squares are cut is not told: the
        higher of both is given, so that what lies on it is seen.
        """
        (i, u), (j, v) = _cell(self.y, points[:, 1]), _cell(self.x, points[:, 0])
        a, b, c, d = (self.heights[i + k, j + m] for k in (0, 1) for m in (0, 1))
        rising = np.where(v > u, a + v * (b - a) + u * (d - b), a + u * (c - a) + v * (d - c))
        falling = np.where(u + v < 1, a + v * (b - a) + u * (c - a), d + (1 - v) * (c - d) + (1 - u) * (b - d))
        return np.maximum(rising, falling)

    @property
    def span(self) -> float:
        """The highest height less the lowest; 1 for a level surface."""
        return float(np.nanmax(self.heights) - np.nanmin(self.heights)) or 1.0


class Track(NamedTuple):
    """A path laid on a relief: its own points, and more between them where it takes long steps."""

    points: np.ndarray
    """(k, 3): x, y and height; NaN outside the view."""
    steps: np.ndarray
    """(k,): the number of steps after which a point is reached."""
    losses: np.ndarray
    """(k,): the run's own."""
    between: np.ndarray
    """(k,): whether a point lies between two points of the path; its loss is that of the second."""
    left: int | None
    """The first step at which the path is outside the view."""


def relief(surface: Callable[..., Any], x_range: Range, y_range: Range, resolution: int = 120) -> Relief:
    """The surface on a grid, logarithmic where its losses span decades."""
    surface = as_surface(surface)
    x, y, losses = level_grid(surface, x_range, y_range, resolution)
    levels = suitable_levels(losses, known_minimum(surface))
    heights = np.where(np.isfinite(losses), height(levels, losses), np.nan)
    return Relief(x, y, losses, heights, levels)


def track(ground: Relief, path: np.ndarray, losses: np.ndarray, steps: np.ndarray) -> Track:
    """A path (T + 1, 2) with its losses and steps (T + 1,), laid on the ground.

    Its height is that of the ground as drawn, not of the losses: so it is not hidden where the grid cannot resolve
    a narrow valley, and does not float where a plane shows a run in more dimensions.
    """
    low, high = (np.array([ground.x[end], ground.y[end]]) for end in (0, -1))
    place = places(path, low, high)
    after = np.ceil(place).astype(int)
    flat = np.column_stack([np.interp(place, np.arange(len(path)), column) for column in path.T])
    edge = _EDGE * (high - low)
    inside = np.all((flat >= low - edge) & (flat <= high + edge), axis=1)
    flat = np.where(inside[:, None], np.clip(flat, low, high), np.nan)
    raised = np.column_stack([flat, ground.under(flat) + LIFT * ground.span])
    outside = after[~inside & (place == after)]
    left = int(np.asarray(steps)[outside[0]]) if len(outside) else None
    return Track(raised, np.asarray(steps)[after], np.asarray(losses)[after], place != after, left)


def places(path: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where on a path (T + 1, 2) to draw points, so that the line between them can follow a surface.

    They count in points of the path: k + 0.5 is half way from point k to the next. They are all its points, those at
    which it enters or leaves the box between `low` and `high`, and inside it some more on long moves.
    """
    start, move = path[:-1], np.diff(path, axis=0)
    with np.errstate(all="ignore"):
        ends = (low - _EDGE * (high - low) - start) / move, (high + _EDGE * (high - low) - start) / move
        enter = np.maximum(np.minimum(*ends).max(axis=1), 0)
        leave = np.minimum(np.maximum(*ends).min(axis=1), 1)
        lengths = (leave - enter) * np.max(np.abs(move) / (high - low), axis=1)
    seen = np.flatnonzero(lengths > 0)
    piece = max(_PIECE, lengths[seen].sum() / _MOST_PIECES)
    between = [k + np.linspace(enter[k], leave[k], math.ceil(lengths[k] / piece) + 1) for k in seen]
    return np.unique(np.concatenate([np.arange(len(path)), *between]))


def _cell(grid: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell of the grid in which each value lies, and where in it, from 0 to 1; NaN outside."""
    inside = (values >= grid[0]) & (values <= grid[-1])
    place = np.where(inside, (values - grid[0]) / (grid[1] - grid[0]), 0.0)
    cell = np.minimum(place.astype(int), len(grid) - 2)
    return cell, np.where(inside, place - cell, np.nan)
