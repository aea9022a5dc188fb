"""Sophia as published, with both of its estimators of the Hessian's diagonal.

Liu et al. (2023), Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training, ICLR 2024,
arXiv:2305.14342. `optax.contrib.sophia` differs: it corrects the bias of m, draws signs instead of normal numbers, and
uses each estimate one step after it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Int, PRNGKeyArray, ScalarLike

from optviz.optimizers.least_squares import flat_residuals
from optviz.optimizers.wrapped import key_from

Estimator = Callable[[PRNGKeyArray, Any, dict[str, Any]], Any]
"""`(key, params, extra arguments) -> estimate of the Hessian's diagonal`, shaped like the parameters."""


class SophiaState(NamedTuple):
    """The state of `sophia_h` and `sophia_g`; `m` and `h` begin at zero."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    m: Any
    h: Any
    """Average of the estimates of the Hessian's diagonal."""


def sophia_h(
    learning_rate: Any,
    b1: ScalarLike = 0.96,
    b2: ScalarLike = 0.99,
    eps: ScalarLike = 1e-12,
    weight_decay: Any = 0.0,
    gamma: ScalarLike = 0.01,
    clip_threshold: ScalarLike = 1.0,
    update_interval: ScalarLike = 10,
    seed: ScalarLike = 0,
) -> optax.GradientTransformationExtraArgs:
    """Sophia-H, Algorithm 3 of the paper with Hutchinson's estimator, Algorithm 1:

    m <- b1 m + (1 - b1) g
    at steps 1, 1 + k, 1 + 2 k, ..., k = update_interval:  z ~ N(0, I);  h <- b2 h + (1 - b2) z * (H z)
    u = m / max(gamma h, eps) within +- clip_threshold;  x <- x - rate (u + weight_decay x)

    z of step t depends on `seed` and t alone. The paper's clip_threshold is 1.

    Raises:
      ValueError: by `update` without `obj_fn(params)`, the loss, or `params`.
    """
    core = _scale_by_sophia(_hutchinson, b1, b2, eps, gamma, clip_threshold, update_interval, seed)
    decay = optax.add_decayed_weights(weight_decay)
    return optax.chain(core, decay, optax.scale_by_learning_rate(learning_rate))


def sophia_g(
    learning_rate: Any,
    b1: ScalarLike = 0.96,
    b2: ScalarLike = 0.99,
    eps: ScalarLike = 1e-12,
    weight_decay: Any = 0.0,
    gamma: ScalarLike = 0.05,
    clip_threshold: ScalarLike = 1.0,
    update_interval: ScalarLike = 10,
    seed: ScalarLike = 0,
) -> optax.GradientTransformationExtraArgs:
    """Sophia-G: as `sophia_h`, with the Gauss-Newton-Bartlett estimator, Algorithm 2 of the paper.

    That squares the gradient for labels drawn from the model itself. For a loss |r|^2 / 2 the model is normal with
    variance one, so that drawn labels leave residuals z ~ N(0, I), and with J the Jacobian of r

    h <- b2 h + (1 - b2) (J^T z)^2

    whose mean is the diagonal of J^T J and never negative. A loss that has no residuals counts as one, sqrt(2 f), as in
    `optviz.optimizers.least_squares`. The batch size, by which the paper multiplies, is in r.

    Raises:
      ValueError: by `update` with neither `residuals_fn` nor `obj_fn`, or without `params`.
    """
    core = _scale_by_sophia(_gauss_newton_bartlett, b1, b2, eps, gamma, clip_threshold, update_interval, seed)
    decay = optax.add_decayed_weights(weight_decay)
    return optax.chain(core, decay, optax.scale_by_learning_rate(learning_rate))


def _scale_by_sophia(
    estimator: Estimator, b1: Any, b2: Any, eps: Any, gamma: Any, clip_threshold: Any, update_interval: Any, seed: Any
) -> optax.GradientTransformationExtraArgs:
    def init(params: Any) -> SophiaState:
        zeros = optax.tree.zeros_like(params)
        return SophiaState(jnp.zeros((), jnp.int32), zeros, zeros)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, SophiaState]:
        count = state.count
        m = optax.tree.update_moment(updates, state.m, b1, 1)

        def averaged() -> Any:
            estimate = estimator(jax.random.fold_in(key_from(seed), count), params, extra)
            return optax.tree.cast_like(optax.tree.update_moment(estimate, state.h, b2, 1), state.h)

        h = jax.lax.cond(count % update_interval == 0, averaged, lambda: state.h)
        u = jax.tree.map(lambda m, h: m / jnp.maximum(gamma * h, eps), m, h)
        u = jax.tree.map(lambda u: jnp.clip(u, -clip_threshold, clip_threshold), u)
        return u, SophiaState(count + 1, m, h)

    return optax.GradientTransformationExtraArgs(init, update)


def _hutchinson(key: PRNGKeyArray, params: Any, extra: dict[str, Any]) -> Any:
    if params is None or extra.get("obj_fn") is None:
        raise ValueError(
            "sophia_h needs params and obj_fn(params), the loss to differentiate twice; give both to `update`."
        )
    z = _normal_like(key, params)
    product = jax.jvp(jax.grad(extra["obj_fn"]), (params,), (z,))[1]
    return jax.tree.map(jnp.multiply, z, product)


def _gauss_newton_bartlett(key: PRNGKeyArray, params: Any, extra: dict[str, Any]) -> Any:
    residuals, x, unravel = flat_residuals("sophia_g", extra.get("residuals_fn"), extra.get("obj_fn"), params)
    r, pullback = jax.vjp(residuals, x)
    (gradient,) = pullback(jax.random.normal(key, r.shape, r.dtype))
    return unravel(gradient**2)


def _normal_like(key: PRNGKeyArray, params: Any) -> Any:
    """Normal numbers shaped like the parameters, each leaf in its own precision."""
    x, unravel = ravel_pytree(params)
    return unravel(jax.random.normal(key, x.shape, x.dtype))
