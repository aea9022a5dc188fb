"""Pieces that several surfaces are made of: roots and kinks with safe derivatives, and checks of coefficients.

The checks refuse concrete Python numbers; arrays and tracers pass unseen, so that a surface can be mapped.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from surfaces.base import LossSurface


def root(square: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """√ of a number >= 0, with value and derivatives 0 where it is so small that derivatives would overflow.

    The threshold is the square root of the smallest normal number: 1e-19 in float32, 1e-154 in float64.
    """
    above = square > float(jnp.finfo(square.dtype).tiny) ** 0.5
    return jnp.where(above, jnp.sqrt(jnp.where(above, square, 1.0)), 0.0)


def magnitude(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """|x| with derivative 0 at 0, the subgradient of least norm, where that of `jnp.abs` is 1."""
    return x * jnp.sign(x)


def require_dimension(surface: Any, least: int = 1) -> None:
    """Raise unless the surface's `dimension` is a whole number, at least `least`."""
    require_whole(surface, least, dimension=surface.dimension)


def require_whole(surface: Any, least: int = 1, **sizes: Any) -> None:
    """Raise unless every size is a whole number, at least `least`."""
    for name, value in sizes.items():
        if not is_whole(value) or value < least:
            raise ValueError(f"{type(surface).__name__} needs a whole {name} >= {least}, got {value}.")


def is_whole(value: Any) -> bool:
    """Whether `value` is an integer, and neither a truth value nor a whole float."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def require_finite(surface: LossSurface) -> None:
    """Raise if a coefficient is a Python number that is infinite or not a number."""
    for name, value in surface.coefficients.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{type(surface).__name__} needs a finite {name}, got {value}.")


def require_positive(surface: LossSurface, **coefficients: ScalarLike) -> None:
    """Raise if a coefficient is a Python number that is not positive, or infinite."""
    require_finite(surface)
    for name, value in coefficients.items():
        if isinstance(value, int | float) and not value > 0:
            raise ValueError(f"{type(surface).__name__} needs {name} > 0, got {value}.")


def require_condition_number(surface: Any) -> None:
    """Raise if the surface's `condition_number` is a Python number below 1, or infinite."""
    require_finite(surface)
    number = surface.condition_number
    if isinstance(number, int | float) and not number >= 1:
        hint = f" Did you mean 1 / {number}?" if number > 0 else ""
        raise ValueError(
            f"{type(surface).__name__} needs condition_number >= 1 (largest over smallest eigenvalue), "
            f"got {number}.{hint}"
        )
