"""MARS: AdamW on a gradient whose variance is reduced by the gradient of the previous parameters.

Yuan et al. (2024), MARS: Unleashing the Power of Variance Reduction for Training Large Models, arXiv:2411.10438.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, ScalarLike

Rate = Any


class MarsState(NamedTuple):
    """The state of `mars_adamw`; `m` and `v` begin at zero."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    m: Any
    v: Any
    last: Any
    """Of the step before: its parameters if exact, else its gradient; zeros before the first step."""


def mars_adamw(
    learning_rate: Rate,
    b1: ScalarLike = 0.95,
    b2: ScalarLike = 0.99,
    eps: ScalarLike = 1e-8,
    weight_decay: Any = 0.0,
    gamma: ScalarLike = 0.025,
    max_norm: ScalarLike = 1.0,
    exact: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """MARS-AdamW, Algorithm 2 of the paper, with x the parameters and xi the sample of a step:

    h = gradient at x_{t-1} and xi_t (exact), or at x_{t-1} and xi_{t-1} (approximate: the last step's gradient)
    c <- g + gamma b1 / (1 - b1) (g - h);  c <- max_norm c / |c| if |c| > max_norm
    m <- b1 m + (1 - b1) c;  v <- b2 v + (1 - b2) c^2
    x <- x - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay x)

    The first step has no correction, as x_0 = x_1. |c| is the norm over all leaves; the paper's `max_norm` is 1. Unlike
    the authors' code, which clips each leaf by itself, runs plain AdamW on vectors, and takes h = 0 at the first step.

    Raises:
      ValueError: by `update`, if exact, without `grad_fn(params, i)`, the gradient at the present sample, or `params`.
    """
    corrected = _scale_by_mars(b1, b2, eps, gamma, max_norm, exact)
    decay = optax.add_decayed_weights(weight_decay)
    return optax.chain(corrected, decay, optax.scale_by_learning_rate(learning_rate))


def _scale_by_mars(b1: Any, b2: Any, eps: Any, gamma: Any, max_norm: Any, exact: bool) -> Any:
    def init(params: Any) -> MarsState:
        zeros = optax.tree.zeros_like(params)
        return MarsState(jnp.zeros((), jnp.int32), zeros, zeros, zeros)

    def update(updates: Any, state: Any, params: Any = None, *, grad_fn: Any = None, **_: Any) -> tuple[Any, MarsState]:
        g = updates
        h = _gradient_before(grad_fn, state.last, params) if exact else state.last
        factor = jnp.where(state.count == 0, 0.0, gamma * b1 / (1 - b1))
        c = jax.tree.map(lambda g, h: (g + factor * (g - h)).astype(g.dtype), g, h)
        c = _clipped(c, max_norm)
        m = optax.tree.update_moment(c, state.m, b1, 1)
        v = optax.tree.update_moment(c, state.v, b2, 2)
        count = state.count + 1
        m_hat = optax.tree.bias_correction(m, b1, count)
        v_hat = optax.tree.bias_correction(v, b2, count)
        u = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), m_hat, v_hat)
        return u, MarsState(count, m, v, params if exact else g)

    return optax.GradientTransformationExtraArgs(init, update)


def _gradient_before(grad_fn: Callable[..., Any] | None, last: Any, params: Any) -> Any:
    """The gradient at the `last` parameters and the present sample."""
    if grad_fn is None or params is None:
        raise ValueError(
            "mars_adamw with exact=True needs params and grad_fn(params, i), the gradient at the present sample; "
            "give both to `update`, or choose exact=False."
        )
    return grad_fn(last, 0)


def _clipped(c: Any, max_norm: ScalarLike) -> Any:
    """`c`, shortened to `max_norm` if it is longer."""
    norm = optax.tree.norm(c)
    # The other branch divides by one: a zero gradient must not poison the derivative.
    factor = jnp.where(norm > max_norm, max_norm / jnp.where(norm > max_norm, norm, 1.0), 1.0)
    return jax.tree.map(lambda c: (c * factor).astype(c.dtype), c)
