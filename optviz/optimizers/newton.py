"""Newton's method, plain and damped. The Hessian is formed as a matrix: for tens to hundreds of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from optviz.optimizers.damping import DampingState, initial_damping, tried
from optviz.optimizers.tensors import as_vector


def newton(learning_rate: Any = 1.0, damping: ScalarLike = 0.0) -> optax.GradientTransformationExtraArgs:
    """Newton's method, with H the Hessian over all leaves; Nocedal & Wright (2006), equation 3.30 for the defaults:

    solve (H + damping I) u = g;  x <- x - rate u

    It steps to where the local parabola is flat, be that a minimum, a saddle or a maximum. A constant damping, in units
    of the curvature, is Levenberg's, and turns the step downhill only where it exceeds the most negative eigenvalue of
    H. A singular matrix gives infinity or NaN.

    Raises:
      ValueError: by `update` without `obj_fn(params)`, the loss, or `params`.
    """

    def update(updates: Any, state: Any, params: Any = None, *, obj_fn: Any = None, **_: Any) -> tuple[Any, Any]:
        loss, x, unravel = _flat("newton", obj_fn, params)
        h = jax.hessian(loss)(x) + damping * jnp.eye(x.size, dtype=x.dtype)
        return unravel(jnp.linalg.solve(h, as_vector(updates)[0])), state

    plain = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    return optax.chain(plain, optax.scale_by_learning_rate(learning_rate))


def damped_newton(damping: ScalarLike = 1e-3) -> optax.GradientTransformationExtraArgs:
    """Newton's method that goes downhill only, damped in the way of a trust region, with H the Hessian:

    mu = damping max |eigenvalue of H|, or damping if H = 0     (first step only)
    s = mu + max(0, -(least eigenvalue of H))
    solve (H + s I) h = -g;  x <- x + h if f falls
    mu by the rule of `optviz.optimizers.damping`, the model's fall being -g^T h - h^T H h / 2 = h^T (s h - g) / 2

    The shift is that of Goldfeld, Quandt & Trotter (1966), Econometrica 34(3), the rule for mu Nielsen's (1999), meant
    for least squares. h minimizes the model within the ball of radius |h|: Nocedal & Wright (2006), Numerical
    Optimization, 2nd ed., theorem 4.1. There is no learning rate.

    Raises:
      ValueError: by `update` without `obj_fn(params)`, the loss, or `params`.
    """

    def update(
        updates: Any, state: Any, params: Any = None, *, obj_fn: Any = None, **_: Any
    ) -> tuple[Any, DampingState]:
        loss, x, unravel = _flat("damped_newton", obj_fn, params)
        g = as_vector(updates)[0]
        hessian = jax.hessian(loss)(x)
        eigenvalues = jnp.linalg.eigvalsh(hessian)
        largest = jnp.max(jnp.abs(eigenvalues), initial=0.0)
        first = damping * jnp.where(largest > 0, largest, 1.0)
        mu = jnp.where(state.count == 0, first, state.damping).astype(state.damping.dtype)
        shift = mu + jnp.maximum(0.0, -jnp.min(eigenvalues, initial=0.0))
        h = -jnp.linalg.solve(hessian + shift * jnp.eye(x.size, dtype=x.dtype), g)
        step, state = tried(state._replace(damping=mu), h, h @ (shift * h - g) / 2, lambda h: loss(x + h))
        return unravel(step), state

    return optax.GradientTransformationExtraArgs(initial_damping, update)


def _flat(
    name: str, obj_fn: Callable[..., Array] | None, params: Any
) -> tuple[Callable[[Array], Array], Float[Array, " n"], Callable[[Array], Any]]:
    """The loss as a function of one vector, that vector, and the way back to the parameters."""
    if obj_fn is None or params is None:
        raise ValueError(
            f"{name} needs params and obj_fn(params), the loss to differentiate twice; give both to `update`."
        )
    x, unravel = as_vector(params)
    return lambda x: obj_fn(unravel(x)), x, unravel
