r"""Gauss-Newton and Levenberg-Marquardt, for losses that are sums of squares, f = |r|^2 / 2.

The residuals r come from `residuals_fn(params)`, which the recorder offers for a surface that has a method `residuals`.
A loss without them counts as a single residual, r = sqrt(2 f): then the Gauss-Newton step is 2 f g / |g|^2, twice
Polyak's for a minimum of 0, and reaches that of a parabola in one dimension at once. A loss below 0 gets no step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from optviz.optimizers.damping import DampingState, initial_damping, tried
from optviz.optimizers.tensors import as_vector, precise

Residuals = Callable[[Array], Float[Array, " m"]]


def gauss_newton(learning_rate: Any = 1.0, damping: ScalarLike = 0.0) -> optax.GradientTransformationExtraArgs:
    """The Gauss-Newton method, with J the Jacobian of the residuals; Nocedal & Wright (2006), equations 10.23-10.25:

    u = the shortest minimizer of |J u - r|^2 + damping |u|^2;  x <- x - rate u

    so that (J^T J + damping I) u = g. J is formed as a matrix and decomposed into singular values, and those below the
    rounding of the largest count as zero.

    Raises:
      ValueError: by `update` with neither `residuals_fn` nor `obj_fn`, or without `params`.
    """

    def update(
        updates: Any, state: Any, params: Any = None, *, residuals_fn: Any = None, obj_fn: Any = None, **_: Any
    ) -> tuple[Any, Any]:
        residuals, x, unravel = flat_residuals("gauss_newton", residuals_fn, obj_fn, params)
        return unravel(_solved(jacobian(residuals, x), residuals(x), damping)), state

    plain = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    return optax.chain(plain, optax.scale_by_learning_rate(learning_rate))


def levenberg_marquardt(damping: ScalarLike = 1e-3) -> optax.GradientTransformationExtraArgs:
    """Levenberg-Marquardt, Algorithm 3.16 of Madsen, Nielsen & Tingleff (2004), with J the Jacobian of the residuals:

    mu = damping max diag(J^T J)      (first step only)
    solve (J^T J + mu I) h = -g;  x <- x + h if |r|^2 falls
    mu by the rule of `optviz.optimizers.damping`, the model's fall being h^T (mu h - g) / 2

    There is no learning rate, and no stopping rule.

    Raises:
      ValueError: by `update` with neither `residuals_fn` nor `obj_fn`, or without `params`.
    """

    def update(
        updates: Any,
        state: Any,
        params: Any = None,
        *,
        residuals_fn: Any = None,
        obj_fn: Any = None,
        **_: Any,
    ) -> tuple[Any, DampingState]:
        residuals, x, unravel = flat_residuals("levenberg_marquardt", residuals_fn, obj_fn, params)
        r, j = residuals(x), jacobian(residuals, x)
        first = damping * jnp.max(jnp.sum(j**2, axis=0), initial=0.0)
        mu = jnp.where(state.count == 0, first, state.damping).astype(state.damping.dtype)
        h = -_solved(j, r, mu)
        predicted = h @ (mu * h - r @ j) / 2
        step, state = tried(state._replace(damping=mu), h, predicted, lambda h: jnp.sum(residuals(x + h) ** 2) / 2)
        return unravel(step), state

    return optax.GradientTransformationExtraArgs(initial_damping, update)


def flat_residuals(
    name: str, residuals_fn: Callable[..., Array] | None, obj_fn: Callable[..., Array] | None, params: Any
) -> tuple[Residuals, Float[Array, " n"], Callable[[Array], Any]]:
    """The residuals as a function of one vector, that vector, and the way back to the parameters."""
    if params is None or (residuals_fn is None and obj_fn is None):
        raise ValueError(
            f"{name} needs params and residuals_fn(params), a vector r with loss = |r|^2 / 2, or at least "
            "obj_fn(params), the loss; give them to `update`."
        )
    x, unravel = as_vector(params)
    if residuals_fn is not None:
        return lambda x: precise(residuals_fn(unravel(x))), x, unravel
    assert obj_fn is not None
    return lambda x: _root(precise(obj_fn(unravel(x))))[None], x, unravel


def jacobian(residuals: Residuals, x: Float[Array, " n"]) -> Float[Array, "m n"]:
    """The derivatives of m residuals by n parameters, forward or backward, whichever takes fewer passes."""
    (m,) = jax.eval_shape(residuals, x).shape
    return (jax.jacfwd if x.size < m else jax.jacrev)(residuals)(x)


def _root(loss: Float[Array, ""]) -> Float[Array, ""]:
    # The root of zero has no derivative: its input is made safe, not its output.
    positive = loss > 0
    return jnp.where(positive, jnp.sqrt(2 * jnp.where(positive, loss, 1.0)), 0.0)


def _solved(j: Float[Array, "m n"], r: Float[Array, " m"], damping: ScalarLike) -> Float[Array, " n"]:
    """The shortest u that minimizes |J u - r|^2 + damping |u|^2, differentiable even where J loses its rank."""
    left, s, right = jnp.linalg.svd(jax.lax.stop_gradient(j), full_matrices=False)
    smallest = jnp.finfo(s.dtype).eps * max(j.shape) * jnp.max(s, initial=0.0)
    # A NaN is no small number: it must not vanish here.
    small = s <= smallest
    inverse = jnp.where(small, 0.0, 1 / jnp.where(small, 1.0, s**2 + jax.lax.stop_gradient(damping)))
    u = jax.lax.stop_gradient(right.T @ (inverse * s * (left.T @ r)))
    # Singular vectors have no derivative where singular values meet. The equation that u solves has one: the defect is
    # zero, and its derivative is that of u.
    defect = (r - j @ u) @ j - damping * u
    return u + right.T @ (inverse * (right @ (defect - jax.lax.stop_gradient(defect))))
