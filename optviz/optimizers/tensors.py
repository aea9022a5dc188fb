"""Parameters as tensors and as one vector: what optimizers that do linear algebra share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

Factors = tuple[Array | None, ...]
"""Per axis a square matrix, a vector for a diagonal one, or None where the axis is left as it is."""

# Accelerators may round the factors of a matrix product to 10 bits unless told not to.
_tensordot = partial(jnp.tensordot, precision=jax.lax.Precision.HIGHEST)


def along_axes(tensor: Array, factors: Factors) -> Array:
    """The tensor with each axis multiplied by its matrix: `factors[i].T` from the left on axis `i`."""
    for axis, factor in enumerate(factors):
        if factor is not None and factor.ndim == 2:
            tensor = jnp.moveaxis(_tensordot(tensor, factor, axes=(axis, 0)), -1, axis)
        elif factor is not None:
            tensor = tensor * jnp.expand_dims(factor, [i for i in range(tensor.ndim) if i != axis])
    return tensor


def second_moments(tensor: Array, factors: Factors) -> Factors:
    """For each axis that has a factor, G G^T of the tensor unfolded along it, or the diagonal of that.

    All other axes are summed over.
    """

    def one(axis: int, factor: Array) -> Float[Array, "n n"] | Float[Array, " n"]:
        others = tuple(i for i in range(tensor.ndim) if i != axis)
        return _tensordot(tensor, tensor, axes=(others, others)) if factor.ndim == 2 else jnp.sum(tensor**2, others)

    return tuple(None if factor is None else one(axis, factor) for axis, factor in enumerate(factors))


def each_factor(function: Callable[..., Array], *factors: Factors) -> Factors:
    """`function` of the matrices of each axis, where there are any."""
    return tuple(None if axis[0] is None else function(*axis) for axis in zip(*factors, strict=True))


def each_leaf(function: Callable[..., tuple[Any, ...]], tree: Any, *rest: Any) -> tuple[Any, ...]:
    """The trees of what `function` returns for every leaf of `tree`, given the parts of `rest` that belong to it."""
    leaves, structure = jax.tree.flatten(tree)
    results = [function(*parts) for parts in zip(leaves, *map(structure.flatten_up_to, rest), strict=True)]
    return tuple(map(structure.unflatten, zip(*results, strict=True)))


def as_vector(params: Any) -> tuple[Float[Array, " n"], Callable[[Array], Any]]:
    """All leaves in one vector of at least single precision, and the way back to their own shapes and types."""
    x, unravel = ravel_pytree(require_real(params))
    return precise(x), lambda vector: unravel(vector.astype(x.dtype))


def require_real(params: Any) -> Any:
    """`params` as JAX's arrays, none of which is complex.

    Raises:
      TypeError: if one is.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        if jnp.iscomplexobj(leaf):
            name = jax.tree_util.keystr(path, simple=True, separator=".") or "params"
            raise TypeError(
                f"This optimizer is defined for real parameters, and {name} is {leaf.dtype}: give its real and its "
                "imaginary part as two leaves (optax.contrib.split_real_and_imaginary does)."
            )
    return jax.tree.map(jnp.asarray, params)


def precise(leaf: Array) -> Array:
    """`leaf` in at least single precision, which a decomposition asks for."""
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
