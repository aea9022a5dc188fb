"""Rastrigin's egg box, the customary multimodal surface."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, box, coefficient
from surfaces.pieces import require_dimension, require_finite


class Rastrigin(LossSurface):
    """A shallow bowl under a regular lattice of deep pits, one near every integer point.

    With A = 10 the box holds 11 local minima per coordinate, 121 in the plane, and their depth tells almost
    nothing of the way to the best one, 0 at the origin. Descent ends in the pit where it starts; what leaves
    it is a large step, momentum or noise. A is the depth of the pits: at 0 only the bowl is left, and a sweep
    over A shows where each optimizer begins to be caught.
    """

    formula: ClassVar[str] = r"f(x) = A n + \sum_{i=1}^{n} x_i^2 - A \cos(2\pi x_i)"
    source: ClassVar[str] = (
        "Rastrigin (1974), Systems of Extremal Control, Nauka, Moscow; in n dimensions: "
        "Mühlenbein, Schomisch & Born (1991), Parallel Computing 17(6-7), 619-632"
    )

    A: ScalarLike = coefficient(10.0, "depth of the pits")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_finite(self)
        if isinstance(self.A, int | float) and self.A < 0:
            raise ValueError(f"Rastrigin needs A >= 0 for its minimum to be at the origin, got {self.A}.")

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        # A - A cos(2πx) as 2A sin²(πx): the same without cancellation, so exactly 0 at the minimum.
        return jnp.sum(params**2 + 2 * self.A * jnp.sin(jnp.pi * params) ** 2)

    @property
    def domain(self) -> Domain:
        return box(-5.12, 5.12, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.where(jnp.arange(self.dimension) % 2 == 0, -3.3, 2.4)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


RastriginFunction = Rastrigin
