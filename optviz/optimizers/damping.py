"""Adaptive damping of Newton's and the Gauss-Newton method: small where their model of the loss is good.

Madsen, Nielsen & Tingleff (2004), Methods for Non-Linear Least Squares Problems, 2nd ed., IMM, Technical University of
Denmark: the rule of Nielsen (1999), equations 2.20 and 2.21.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


class DampingState(NamedTuple):
    """How cautious the method is."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    damping: Float[Array, ""]
    """Added to the eigenvalues of the matrix at the next step, in units of the curvature; 0 before the first."""
    growth: Float[Array, ""]
    """The factor on `damping` if the next step fails."""


def initial_damping(params: Any) -> DampingState:
    """The state before the first step, in the parameters' precision, but at least single."""
    dtype = jnp.promote_types(optax.tree.dtype(params, "highest"), jnp.float32)
    return DampingState(jnp.zeros((), jnp.int32), jnp.zeros((), dtype), jnp.full((), 2.0, dtype))


def tried(
    state: DampingState, step: Float[Array, " n"], predicted: Array, loss: Callable[[Array], Array]
) -> tuple[Float[Array, " n"], DampingState]:
    """The step, or zeros if the loss would not fall, and the damping after it.

    With gain = (loss(0) - loss(step)) / predicted, the fall of the loss over the fall that the model predicts:

    damping <- damping max(1/3, 1 - (2 gain - 1)^3), growth <- 2     if gain > 0
    damping <- damping growth, growth <- 2 growth                    else, or if it is no number

    Both stay finite and positive: at a minimum, where rounding decides, every step may fail.
    """
    count, damping, growth = state
    # At a minimum nothing is predicted to fall, and 0 / 0 would poison the derivatives.
    useful = predicted > 0
    gain = (loss(jnp.zeros_like(step)) - loss(step)) / jnp.where(useful, predicted, 1.0)
    good = useful & (gain > 0)
    least, limit = jnp.finfo(damping.dtype).tiny, jnp.sqrt(jnp.finfo(damping.dtype).max)
    shrunk = damping * jnp.maximum(1 / 3, 1 - (2 * jnp.where(good, gain, 1.0) - 1) ** 3)
    damping = jnp.where(good, jnp.maximum(shrunk, least), jnp.minimum(damping * growth, limit))
    growth = jnp.where(good, 2.0, jnp.minimum(2 * growth, limit))
    kept = jnp.where(good, step, 0.0).astype(step.dtype)
    return kept, DampingState(count + 1, damping.astype(state.damping.dtype), growth.astype(state.growth.dtype))
