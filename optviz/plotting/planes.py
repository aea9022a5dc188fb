"""Runs in any number of dimensions in two: the plane, the paths on it, and what of it to show."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from optviz import metrics
from optviz.plotting.principal import principal_directions
from surfaces.base import LossSurface, as_params, as_surface, describe, same_shape
from surfaces.contours import Range
from surfaces.wrappers import Slice

_PADDING = 0.08  # of the longer side of what is shown
_NARROWEST = 0.6  # the shorter side of a view as a share of the longer, where the domain allows it
_FIRST_MOVES = 4.0  # how far a diverged path is followed there, in lengths of its first step
_REACH = 100.0  # how far a path is followed where no domain bounds it, in sizes of its starting point


class Plane(NamedTuple):
    """Two-dimensional pictures of runs: all that is drawn, as arrays on the host."""

    surface: LossSurface
    """A surface of two parameters: the one descended, or a `Slice` of it."""
    paths: tuple[np.ndarray, ...]
    """For every run its path (T + 1, 2); NaN where it is not finite."""
    shown: tuple[np.ndarray, ...]
    """For every run which of its points (T + 1,) a view must show: those within reach."""
    minima: np.ndarray
    """The known minima (k, 2)."""
    labels: tuple[str, str]
    caption: str
    """What the plane is, in words; empty where the run has two parameters only."""
    domain: tuple[Range, Range] | None


class _Runs(NamedTuple):
    """Paths in all their n dimensions."""

    params: Any
    surface: LossSurface
    paths: list[np.ndarray]
    shown: list[np.ndarray]
    minima: np.ndarray
    domain: tuple[np.ndarray, np.ndarray] | None
    lowest: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """All points shown, (N, n)."""
        return np.concatenate([path[mask] for path, mask in zip(self.paths, self.shown, strict=True)])

    def unravel(self, flat: np.ndarray) -> Any:
        """Parameters from a vector of n numbers."""
        example, unravel = ravel_pytree(self.params)
        return unravel(jnp.asarray(flat, example.dtype))


def on_plane(traces: Sequence[Any], surface: Callable[..., Any] | None = None, plane: Any = None) -> Plane:
    """The runs drawn on a plane.

    Args:
      traces: runs with parameters of the same shape.
      surface: the surface to draw; that of the runs if None.
      plane: None for the two parameters themselves, or `"pca"` where there are more. `"pca"`: the first two
        principal directions of all paths, through their lowest point. `(i, j)`: two parameters, counted over
        the flattened tree, the others as at the lowest point. Two directions shaped like the parameters:
        their plane through that point. A `Slice`: itself. Paths and minima are projected at right angles.

    Raises:
      ValueError: for runs on different surfaces without `surface`, and for runs that no such plane can show.
    """
    runs = _runs(traces, _common_surface(traces) if surface is None else as_surface(surface))
    if runs.paths[0].shape[1] < 2:
        raise ValueError(f"{runs.surface.name} has one parameter; a plane needs two. plot_losses shows the run.")
    if plane is None and getattr(runs.params, "shape", None) == (2,):
        return _plain(runs)
    if plane is None:
        plane = (0, 1) if runs.paths[0].shape[1] == 2 else "pca"
    return _on_slice(runs, *_slice(runs, plane))


def _common_surface(traces: Sequence[Any]) -> LossSurface:
    first = traces[0].surface
    if not all(eqx.tree_equal(first, trace.surface) for trace in traces[1:]):
        raise ValueError("The runs descend different surfaces; give the one to draw.")
    return first


def view(plane: Plane, x_range: Range | None = None, y_range: Range | None = None) -> tuple[Range, Range]:
    """The ranges that show every start, path and minimum: within the domain, unless a path leaves it.

    A path is followed to one domain beyond its border, a diverged one to the border; what goes further
    leaves the picture. Ranges that are given stay.
    """
    parts = [path[mask] for path, mask in zip(plane.paths, plane.shown, strict=True)]
    points = np.concatenate([*parts, plane.minima])
    if not len(points):
        points = np.zeros((1, 2)) if plane.domain is None else np.mean(plane.domain, axis=1)[None]
    low, high = points.min(axis=0), points.max(axis=0)
    side = np.max(high - low) or _default_side(plane.domain, points)
    widths = np.maximum(high - low + 2 * _PADDING * side, _NARROWEST * (1 + 2 * _PADDING) * side)
    limits = plane.domain or ((-np.inf, np.inf), (-np.inf, np.inf))
    fitted = [_fit(*ends, 0.03 * side) for ends in zip(low, high, widths, limits, strict=True)]
    return x_range or fitted[0], y_range or fitted[1]


def parameter_name(params: Any, i: int) -> str:
    """The name of parameter number `i` of the flattened tree: x with its index, or its leaf's path."""
    if isinstance(params, jax.Array) and params.ndim == 1:
        return f"$x_{{{i + 1}}}$"
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if i < leaf.size:
            index = ", ".join(str(k) for k in np.unravel_index(i, leaf.shape))
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            return f"{name}[{index}]" if index else name
        i -= leaf.size
    raise IndexError(i)


def _runs(traces: Sequence[Any], surface: LossSurface) -> _Runs:
    params = traces[0].initial_params
    for trace in traces:
        if not same_shape(trace.initial_params, params):
            raise ValueError(
                "Runs on one plane need parameters of one shape, got "
                f"{describe(params)} and {describe(trace.initial_params)}."
            )
    paths, losses, domain, minima = jax.device_get(
        ([t.path for t in traces], [t.losses for t in traces], _domain(surface, params), surface.minima)
    )
    paths = [_rows(path) for path in paths]
    bounds = None if domain is None else (_row(domain[0]), _row(domain[1]))
    diverged = [int(metrics.behaviour(t)) == metrics.BEHAVIOURS.index("diverged") for t in traces]
    shown = [_within_reach(*run, bounds) for run in zip(paths, losses, diverged, strict=True)]
    flat_minima = np.array([_row(m) for m in minima]).reshape(len(minima), paths[0].shape[1])
    return _Runs(params, surface, paths, shown, flat_minima, bounds, _lowest(paths, losses, shown))


def _domain(surface: LossSurface, params: Any) -> Any:
    """The domain, if there is one for these parameters: a plain function has none."""
    try:
        domain = surface.domain
    except AttributeError:
        return None
    if not same_shape(domain[0], params):
        raise ValueError(f"{surface.name} takes {describe(domain[0])}, the run has {describe(params)}.")
    return domain


def _within_reach(
    path: np.ndarray, losses: np.ndarray, diverged: bool, domain: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """Which points a view must show: a run that shoots off must not take the picture along."""
    start = path[0]
    if domain is not None:
        low, high = np.minimum(domain[0], start), np.maximum(domain[1], start)
        margin = 0.0 if diverged else high - low
        inside = ((path >= low - margin) & (path <= high + margin)).all(axis=1)
    else:
        away = np.abs(path - start).max(axis=1)
        inside = away <= _REACH * max(1.0, np.abs(start).max())
        if diverged:
            inside &= (losses <= losses[0]) | (away <= _FIRST_MOVES * away[1:2])
    return (inside | (np.arange(len(path)) == 0)) & np.isfinite(path).all(axis=1)


def _lowest(paths: Sequence[np.ndarray], losses: Sequence[np.ndarray], shown: Sequence[np.ndarray]) -> np.ndarray:
    """The point of the lowest loss of all runs."""
    floor = [np.where(mask & ~np.isnan(loss), loss, np.inf) for loss, mask in zip(losses, shown, strict=True)]
    best = int(np.argmin([loss.min() for loss in floor]))
    return paths[best][int(np.argmin(floor[best]))]


def _plain(runs: _Runs) -> Plane:
    domain = None if runs.domain is None else tuple((lo, hi) for lo, hi in np.transpose(runs.domain).tolist())
    names = (parameter_name(runs.params, 0), parameter_name(runs.params, 1))
    return Plane(runs.surface, tuple(runs.paths), tuple(runs.shown), runs.minima, names, "", domain)  # type: ignore[arg-type]


def _on_slice(runs: _Runs, cut: Slice, labels: tuple[str, str], caption: str) -> Plane:
    """The paths projected onto the slice."""
    origin, *directions = (_row(jax.device_get(x)) for x in (cut.origin, cut.direction_x, cut.direction_y))
    to_plane = np.linalg.pinv(np.stack(directions, axis=1)).T

    def project(points: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(points).all(axis=1, keepdims=True), points - origin, np.nan) @ to_plane

    paths = tuple(project(path) for path in runs.paths)
    return Plane(cut, paths, tuple(runs.shown), project(runs.minima), labels, caption, None)


def _slice(runs: _Runs, plane: Any) -> tuple[Slice, tuple[str, str], str]:
    """The slice that `plane` asks for, the names of its axes, and a sentence on it."""
    if isinstance(plane, Slice):
        return plane, ("$u$", "$v$"), "given plane; paths projected onto it"
    if isinstance(plane, str) and plane == "pca":
        return _principal(runs)
    if isinstance(plane, str) or not isinstance(plane, Sequence) or len(plane) != 2:
        raise ValueError(
            "plane must be 'pca', two parameters (i, j), two directions shaped like the parameters, or a "
            f"Slice; got {plane!r}."
        )
    if all(isinstance(i, int | np.integer) for i in plane):
        return _coordinates(runs, int(plane[0]), int(plane[1]))
    return _given(runs, plane)


def _coordinates(runs: _Runs, i: int, j: int) -> tuple[Slice, tuple[str, str], str]:
    origin = runs.lowest.copy()
    # With zeros there, the coordinates of the plane are the two parameters themselves.
    origin[[k for k in (i, j) if 0 <= k < origin.size]] = 0.0
    cut = Slice.coordinates(runs.surface, runs.unravel(origin), i, j)
    cut = dataclasses.replace(cut, half_width=_half_width(runs.points[:, [i, j]]))
    names = (parameter_name(runs.params, i), parameter_name(runs.params, j))
    rest = "" if origin.size == 2 else ", the others as at the lowest point of the paths"
    return cut, names, f"plane of {names[0]} and {names[1]}{rest}"


def _given(runs: _Runs, directions: Sequence[Any]) -> tuple[Slice, tuple[str, str], str]:
    directions = [as_params(direction) for direction in directions]
    for direction in directions:
        if not same_shape(direction, runs.params):
            raise ValueError(f"A direction must be {describe(runs.params)}, got {describe(direction)}.")
    cut = Slice(runs.surface, runs.unravel(runs.lowest), *directions)
    return (
        cut,
        ("direction 1", "direction 2"),
        "plane of two given directions through the lowest point of the paths",
    )


def _principal(runs: _Runs) -> tuple[Slice, tuple[str, str], str]:
    points = runs.points
    if not len(points):
        raise ValueError("No point of the runs is finite: they have no principal directions.")
    directions, shares = principal_directions(points)
    # The first path starts at the upper left, whatever sign the decomposition happens to give.
    start = (runs.paths[0][0] - runs.lowest) @ directions.T
    directions *= np.where(start * [-1, 1] < 0, -1.0, 1.0)[:, None]
    away = (points - runs.lowest) @ directions.T
    cut = Slice(runs.surface, *map(runs.unravel, (runs.lowest, *directions)), half_width=_half_width(away))
    first, second = (f"principal direction {k + 1} ({share:.0%})".replace("%", " %") for k, share in enumerate(shares))
    of = "the path" if len(runs.paths) == 1 else "the paths"
    whole = f"{100 * sum(shares):.3g} % of {'its' if len(runs.paths) == 1 else 'their'} variance"
    return cut, (first, second), f"plane of the first two principal components of {of}: {whole}"


def _half_width(points: np.ndarray) -> float:
    return 1.2 * float(np.max(np.abs(points), initial=0.0)) or 1.0


def _default_side(domain: tuple[Range, Range] | None, points: np.ndarray) -> float:
    """How much to show around a single point."""
    if domain is not None:
        return 0.1 * float(np.max(np.diff(domain, axis=1)))
    return max(1.0, float(np.max(np.abs(points))))


def _fit(low: float, high: float, width: float, limits: Range, margin: float) -> Range:
    """A range of this width around (low, high), moved into the limits or cut off by them."""
    least, most = min(limits[0], low - margin), max(limits[1], high + margin)
    left = (low + high - width) / 2
    left = max(min(left, most - width), least)
    return float(left), float(min(left + width, most))


def _rows(tree: Any) -> np.ndarray:
    """A tree of columns as one matrix (T + 1, n), in the order of `ravel_pytree`."""
    leaves = jax.tree.leaves(tree)
    return np.concatenate([np.reshape(leaf, (len(leaf), -1)) for leaf in leaves], axis=1).astype(float)


def _row(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(float)
