"""SOAP: Adam in the slowly turning eigenbasis of Shampoo's second moments.

Vyas et al. (2024), SOAP: Improving and Stabilizing Shampoo using Adam, arXiv:2409.11321.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, ScalarLike

from optviz.optimizers.tensors import Factors, along_axes, each_factor, each_leaf, precise, require_real, second_moments


class SoapState(NamedTuple):
    """The state of `soap`; all but the bases begin at zero."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    m: Any
    """Average of the gradients, in the parameters' own coordinates."""
    v: Any
    """Average of the squared gradients, in the coordinates of the bases."""
    moments: Any
    """Per leaf, L, R, ... of each axis, of shape (n, n), or None where that is left alone."""
    bases: Any
    """Per leaf, their eigenvectors as columns, Q_L, Q_R, ...; the identity at the start."""


def soap(
    learning_rate: Any,
    b1: ScalarLike = 0.95,
    b2: ScalarLike = 0.95,
    eps: ScalarLike = 1e-8,
    weight_decay: ScalarLike = 0.0,
    precondition_frequency: ScalarLike = 10,
    precondition_1d: bool = False,
    max_precond_dim: int = 10000,
) -> optax.GradientTransformation:
    """SOAP, Algorithms 3 and 4 of the paper; for a matrix with gradient G, after s = t - 1 earlier calls:

    G' = Q_L^T G Q_R;  M <- b1 M + (1 - b1) G;  M' = Q_L^T M Q_R;  V <- b2 V + (1 - b2) G'^2
    N = Q_L (M' / (1 - b1^s) / (sqrt(V / (1 - b2^s)) + eps)) Q_R^T
    W <- W - rate (N + weight_decay W)
    L <- b2 L + (1 - b2) G G^T;  R <- b2 R + (1 - b2) G^T G
    every `precondition_frequency` steps: Q_L <- orthonormalised L Q_L (QR), Q_R alike

    As in the authors' code the first call only makes L, R and their exact eigenvectors and moves nothing, so that no
    gradient is turned by itself; tensors have a factor per axis; an axis longer than `max_precond_dim`, and vectors
    unless `precondition_1d`, keep their own coordinates, in which this is Adam from the second gradient on. (The first
    moments of a vector determine one eigenvector only; the others are any.) Unlike that code, eps is added after the
    bias correction, and V is not reordered when the basis turns.
    """

    def init(params: Any) -> SoapState:
        def bases(leaf: Array) -> Factors:
            turned = leaf.ndim > 1 or precondition_1d
            dtype = precise(leaf).dtype
            return tuple(jnp.eye(n, dtype=dtype) if turned and n <= max_precond_dim else None for n in leaf.shape)

        zeros, q = optax.tree.zeros_like(params), jax.tree.map(bases, require_real(params))
        return SoapState(jnp.zeros((), jnp.int32), zeros, zeros, optax.tree.zeros_like(q), q)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, SoapState]:
        if params is None:
            raise ValueError("soap needs the parameters, for its weight decay: call update(grads, state, params).")
        count = state.count

        def leaf(g: Array, p: Array, m: Array, v: Array, moments: Factors, q: Factors) -> tuple[Any, ...]:
            u, m, v = _adam(g, m, v, q, count, b1, b2, eps)
            u = jnp.where(count == 0, 0.0, u + weight_decay * p).astype(g.dtype)
            moments = each_factor(lambda a, b: b2 * a + (1 - b2) * b, moments, second_moments(precise(g), moments))
            return u, m, v, moments, each_factor(lambda a, q: _turned(a, q, count, precondition_frequency), moments, q)

        updates, params = jax.tree.map(jnp.asarray, (updates, params))
        u, *rest = each_leaf(leaf, updates, params, state.m, state.v, state.moments, state.bases)
        return u, SoapState(count + 1, *rest)

    return optax.chain(optax.GradientTransformation(init, update), optax.scale_by_learning_rate(learning_rate))


def _adam(
    g: Array, m: Array, v: Array, q: Factors, count: Array, b1: Any, b2: Any, eps: Any
) -> tuple[Array, Array, Array]:
    """Adam's direction and averages, which the call of `count` 0 leaves at zero."""
    counts = count > 0
    m = jnp.where(counts, b1 * m + (1 - b1) * g, m).astype(m.dtype)
    v = jnp.where(counts, b2 * v + (1 - b2) * along_axes(precise(g), q) ** 2, v).astype(v.dtype)
    steps = jnp.maximum(count, 1)
    # The root of zero has no derivative, not even where the call of count 0 leaves it out.
    squares = jnp.where(counts, v, 1.0)
    m_hat, v_hat = along_axes(precise(m), q) / (1 - b1**steps), squares / (1 - b2**steps)
    u = m_hat / (jnp.sqrt(v_hat) + eps)
    return along_axes(u, each_factor(jnp.transpose, q)), m, v


def _turned(
    moments: Float[Array, "n n"], q: Float[Array, "n n"], count: Array, frequency: ScalarLike
) -> Float[Array, "n n"]:
    """The eigenvectors of `moments`: exact on the first call, then one power iteration from `q`, when it is time.

    Derivatives take them as constants: where eigenvalues meet, as on the first call, eigenvectors have none.
    """
    moments, q = jax.lax.stop_gradient((moments, q))

    def exact() -> Array:
        return jnp.linalg.eigh(moments)[1][:, ::-1]

    def iterated() -> Array:
        return jnp.linalg.qr(jnp.matmul(moments, q, precision=jax.lax.Precision.HIGHEST))[0]

    time = jnp.where(count == 0, 0, jnp.where(count % frequency == 0, 1, 2))
    return jax.lax.switch(time, [exact, iterated, lambda: q])
