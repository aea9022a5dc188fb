"""The largest eigenvalue of the Hessian, by Lanczos' method."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from surfaces.base import LossSurface


@partial(jax.jit, static_argnames="num_products")
def sharpness(surface: LossSurface, params: Any, key: PRNGKeyArray, num_products: int = 12) -> Float[Array, ""]:
    """The largest eigenvalue of the Hessian of `surface(params, key)`, from below, in loss per squared parameter unit.

    Lanczos' method without reorthogonalisation: rounding repeats eigenvalues that have converged, and spoils none.
    Twelve products with the Hessian give the largest one of a network to a few per cent. Golub & Van Loan (2013),
    Matrix Computations, algorithm 10.1.1.
    """
    flat, unravel = ravel_pytree(params)

    def product(vector: Array) -> Array:
        gradient = lambda p: jax.grad(surface)(p, key)  # noqa: E731
        return ravel_pytree(jax.jvp(gradient, (params,), (unravel(vector),))[1])[0]

    def step(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], tuple[Array, Array]]:
        before, vector, beta = carry
        image = product(vector) - beta * before
        alpha = jnp.vdot(vector, image)
        image = image - alpha * vector
        norm = jnp.linalg.norm(image)
        return (vector, image / jnp.where(norm > 0, norm, 1.0), norm), (alpha, norm)

    start = jax.random.normal(jax.random.key(0), flat.shape, flat.dtype)
    start = start / jnp.linalg.norm(start)
    carry = (jnp.zeros_like(start), start, jnp.zeros((), flat.dtype))
    _, (alphas, betas) = jax.lax.scan(step, carry, length=num_products)
    tridiagonal = jnp.diag(alphas) + jnp.diag(betas[:-1], 1) + jnp.diag(betas[:-1], -1)
    return jnp.linalg.eigvalsh(tridiagonal)[-1]
