"""Shampoo: the gradient is divided by a root of its second moments along each axis of a matrix or tensor.

Gupta, Koren & Singer (2018), Shampoo: Preconditioned Stochastic Tensor Optimization, ICML 2018, arXiv:1802.09568.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from optviz.optimizers.tensors import Factors, along_axes, each_factor, each_leaf, precise, require_real, second_moments


class ShampooState(NamedTuple):
    """The state of `shampoo`."""

    factors: Any
    """Per leaf, for each axis of length n a matrix H of shape (n, n), or its diagonal; `eps` times 1 at the start."""


def shampoo(learning_rate: Any, eps: ScalarLike = 1e-4, max_precond_dim: int = 1200) -> optax.GradientTransformation:
    """Shampoo, Algorithm 2 of the paper (Algorithm 1 for matrices), for a leaf with k axes:

    H_i <- H_i + G_(i) G_(i)^T          (G_(i) is the gradient unfolded along axis i)
    u <- G times H_i^{-1 / (2 k)} along every axis i
    x <- x - rate u

    So a matrix gets L^{-1/4} G R^{-1/4}, and a vector full-matrix Adagrad, (eps I + sum g g^T)^{-1/2} g. A number is a
    vector of one. The roots are taken at every step, from an eigendecomposition: n^3 operations for an axis of n. Of an
    axis longer than `max_precond_dim` only the diagonal of H is kept, as in the paper's experiments.
    The momentum of the paper's experiments is left out; `optax.chain(shampoo(rate), optax.trace(0.9))` has it.
    """

    def init(params: Any) -> ShampooState:
        return ShampooState(jax.tree.map(lambda p: _scaled_identities(p, eps, max_precond_dim), require_real(params)))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, ShampooState]:
        gradients = jax.tree.map(jnp.asarray, updates)
        u, factors = each_leaf(lambda g, h: _preconditioned(g, h, eps), gradients, state.factors)
        return u, ShampooState(factors)

    return optax.chain(optax.GradientTransformation(init, update), optax.scale_by_learning_rate(learning_rate))


def _scaled_identities(leaf: Array, eps: ScalarLike, max_dim: int) -> Factors:
    shape, dtype = leaf.shape or (1,), precise(leaf).dtype
    return tuple(jnp.asarray(eps * (jnp.eye(n) if n <= max_dim else jnp.ones(n)), dtype) for n in shape)


def _preconditioned(g: Array, factors: Factors, eps: ScalarLike) -> tuple[Array, Factors]:
    tensor = precise(g).reshape(g.shape or (1,))
    factors = each_factor(jnp.add, factors, second_moments(tensor, factors))
    exponent = -1 / (2 * tensor.ndim)
    roots = each_factor(lambda h: _power(h, exponent, eps) if h.ndim == 2 else h**exponent, factors)
    return along_axes(tensor, roots).reshape(g.shape).astype(g.dtype), factors


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _power(h: Float[Array, "n n"], exponent: float, least: ScalarLike) -> Float[Array, "n n"]:
    """A power of a symmetric matrix, none of whose eigenvalues is below `least` but by rounding."""
    eigenvalues, vectors = jnp.linalg.eigh(h)
    return _matrix(vectors, jnp.maximum(eigenvalues, least) ** exponent)


@_power.defjvp
def _power_derivative(exponent: float, primals: Any, tangents: Any) -> tuple[Array, Array]:
    """The power and its derivative, which exists where eigenvalues meet, though that of the eigenvectors does not.

    In the eigenbasis it is the matrix of divided differences times the tangent, entry by entry (Daleckii & Krein 1951).
    """
    eigenvalues, vectors = jnp.linalg.eigh(primals[0])
    w = jnp.maximum(eigenvalues, primals[1])
    gaps, middle = w[:, None] - w, (w[:, None] + w) / 2
    near = jnp.abs(gaps) <= jnp.sqrt(jnp.finfo(w.dtype).eps) * middle
    quotients = (w[:, None] ** exponent - w**exponent) / jnp.where(near, 1.0, gaps)
    slopes = jnp.where(near, exponent * middle ** (exponent - 1), quotients)
    inside = slopes * _product(_product(vectors.T, tangents[0]), vectors)
    return _matrix(vectors, w**exponent), _product(_product(vectors, inside), vectors.T)


def _matrix(vectors: Float[Array, "n n"], eigenvalues: Float[Array, " n"]) -> Float[Array, "n n"]:
    return _product(vectors * eigenvalues, vectors.T)


_product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
