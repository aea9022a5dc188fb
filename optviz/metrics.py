"""Numbers and curves of one run; `jax.vmap` gives them for many.

Every metric takes a trace and reads it at the points where the run is judged (`trace.path`, the end included). They
are pure functions of arrays: they work under `jax.jit` and `jax.vmap`, and a run that diverged has metrics too.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, ScalarLike

from surfaces.base import LossSurface

BEHAVIOURS = ("monotone", "oscillating", "diverged")
DEFAULT_TOLERANCE = 1e-4


def final_loss(trace: Any) -> Float[Array, ""]:
    """The loss after the last step."""
    return trace.losses[-1]


def best_loss(trace: Any) -> Float[Array, ""]:
    """The lowest loss on the path; infinity if no loss was finite."""
    losses = trace.losses
    return jnp.min(jnp.where(jnp.isnan(losses), jnp.inf, losses))


def excess_losses(trace: Any) -> Float[Array, " points"]:
    """The losses above the surface's known minimum; above the best of the run where none is known."""
    minimum = trace.surface.minimum_value
    return trace.losses - (best_loss(trace) if minimum is None else minimum)


def steps_to(trace: Any, target: ScalarLike) -> Float[Array, ""]:
    """The number of steps until the loss is first at most `target`; infinity if it never is."""
    return _first(trace.losses <= target, trace.path_index)


def steps_to_tolerance(trace: Any, tolerance: ScalarLike = DEFAULT_TOLERANCE) -> Float[Array, ""]:
    """The number of steps until the loss is first within `tolerance` of the known minimum.

    Infinity if it never is, NaN if the surface has no known minimum.
    """
    if trace.surface.minimum_value is None:
        return jnp.asarray(jnp.nan)
    return _first(excess_losses(trace) <= tolerance, trace.path_index)


def distances(trace: Any) -> Float[Array, " points"]:
    """The distance to the nearest known minimum along the path, in parameter units; NaN if none is known."""
    return jax.vmap(lambda params: distance_to_nearest(trace.surface, params))(trace.path)


def distance_to_nearest(surface: LossSurface, params: Any) -> Float[Array, ""]:
    """The distance from a point to the nearest known minimum, in parameter units; NaN if none is known."""
    to_each = _distances_to_minima(surface, params)
    return jnp.min(jnp.stack(to_each)) if to_each else jnp.asarray(jnp.nan)


def nearest_minimum(surface: LossSurface, params: Any) -> Int[Array, ""]:
    """The index in `surface.minima` of the known minimum nearest to a point; -1 if none is known."""
    to_each = _distances_to_minima(surface, params)
    return jnp.argmin(jnp.stack(to_each)).astype(jnp.int32) if to_each else jnp.asarray(-1, jnp.int32)


def _distances_to_minima(surface: LossSurface, params: Any) -> list[Array]:
    return [_norm(_difference(params, minimum)) for minimum in surface.minima]


def distance_to_minimum(trace: Any) -> Float[Array, ""]:
    """The distance from the end of the path to the nearest known minimum, in parameter units."""
    return distances(trace)[-1]


def path_length(trace: Any) -> Float[Array, ""]:
    """Total distance travelled over the recorded steps, in parameter units."""
    return jnp.sum(trace.steps.step_size)


def mean_gradient_norm(trace: Any) -> Float[Array, ""]:
    """The L2 norm of the gradient, averaged over the recorded steps."""
    return jnp.mean(trace.steps.gradient_norm)


def oscillation(trace: Any) -> Float[Array, ""]:
    """The share of turns: consecutive moves whose angle is over 90 degrees, from 0 to 1."""
    moves = jax.tree.map(lambda x: jnp.diff(x, axis=0), trace.path)
    before, after = jax.tree.map(lambda d: d[:-1], moves), jax.tree.map(lambda d: d[1:], moves)
    dots = jax.vmap(_dot)(before, after)
    return jnp.sum(dots < 0) / jnp.maximum(dots.shape[0], 1)


def behaviour(trace: Any) -> Int[Array, ""]:
    """Which of `BEHAVIOURS` the run shows, as an index.

    diverged (2): the end is not finite, or its loss is higher than the first and than that of the surface's customary
    start, so that a run from beside a minimum may dance about it. oscillating (1): some step raised the loss by more
    than rounding. monotone (0): none did.
    """
    losses = trace.losses
    diverged = has_diverged(trace.surface, losses[0], losses[-1])
    slack = 8 * jnp.finfo(losses.dtype).eps * jnp.maximum(jnp.abs(losses[:-1]), jnp.abs(losses[1:]))
    rises = jnp.any(jnp.diff(losses) > slack)
    return jnp.where(diverged, 2, jnp.where(rises, 1, 0))


def convergence_rate(trace: Any) -> Float[Array, ""]:
    """The factor by which the excess loss shrinks per step: linear convergence has a constant one, below 1.

    Fitted by least squares to the logarithm of the excess over the second half of the run, counted until the excess
    falls into rounding. NaN without a known minimum, or with fewer than two points left.
    """
    if trace.surface.minimum_value is None:
        return jnp.asarray(jnp.nan)
    excess, index = excess_losses(trace), trace.path_index.astype(float)
    info = jnp.finfo(excess.dtype)
    floor = jnp.maximum(16 * info.eps * jnp.abs(trace.surface.minimum_value), info.tiny)
    above = jnp.cumprod((excess > floor) & jnp.isfinite(excess))
    last = jnp.max(jnp.where(above, index, 0.0))
    weight = above * (index >= last / 2)
    log = jnp.log(jnp.where(weight > 0, excess, 1.0))
    total = jnp.sum(weight)
    centred = jnp.where(weight > 0, index - jnp.sum(weight * index) / jnp.maximum(total, 1), 0.0)
    variance = jnp.sum(centred**2)
    slope = jnp.sum(centred * log) / jnp.where(variance > 0, variance, 1.0)
    return jnp.where((total >= 2) & (variance > 0), jnp.exp(slope), jnp.nan)


def summary(trace: Any, tolerance: float = DEFAULT_TOLERANCE) -> dict[str, Any]:
    """All metrics of a fully recorded run as Python numbers, and its behaviour in a word."""
    curves = _Curves(
        trace.surface,
        trace.path,
        trace.losses,
        trace.path_index,
        trace.steps.step_size,
        trace.steps.gradient_norm,
    )
    numbers = {k: np.asarray(v).item() for k, v in jax.device_get(_summary(curves, tolerance)).items()}
    return {**numbers, "behaviour": BEHAVIOURS[numbers["behaviour"]], "diverged": numbers["behaviour"] == 2}


class _Curves(eqx.Module):
    """What the metrics read of a trace, without its optimizer: rivals share one compiled program."""

    surface: LossSurface
    path: Any
    losses: Array
    path_index: Array
    step_size: Array
    gradient_norm: Array

    @property
    def steps(self) -> _Curves:
        return self


@jax.jit
def _summary(curves: _Curves, tolerance: ScalarLike) -> dict[str, Array]:
    return {
        "final_loss": final_loss(curves),
        "best_loss": best_loss(curves),
        "steps_to_tolerance": steps_to_tolerance(curves, tolerance),
        "distance_to_minimum": distance_to_minimum(curves),
        "path_length": path_length(curves),
        "mean_gradient_norm": mean_gradient_norm(curves),
        "oscillation": oscillation(curves),
        "convergence_rate": convergence_rate(curves),
        "behaviour": behaviour(curves),
    }


def has_diverged(surface: LossSurface, first: Array, last: Array) -> Array:
    """Whether a run from loss `first` to loss `last` has diverged, as `behaviour` says it."""
    return ~jnp.isfinite(last) | (last > jnp.fmax(first, _customary_loss(surface)))


def _customary_loss(surface: LossSurface) -> Array:
    """The loss at the surface's own start; NaN for a plain function, which has none."""
    try:
        start = surface.start
    except AttributeError:
        return jnp.asarray(jnp.nan)
    return surface(start)


def _first(reached: Array, index: Array) -> Array:
    return jnp.where(jnp.any(reached), index[jnp.argmax(reached)].astype(float), jnp.inf)


def _difference(a: Any, b: Any) -> Any:
    return jax.tree.map(lambda x, y: x - y, a, b)


def _norm(tree: Any) -> Array:
    return jnp.sqrt(_dot(tree, tree))


def _dot(a: Any, b: Any) -> Array:
    return sum((jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)), jnp.zeros(()))
