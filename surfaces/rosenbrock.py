"""Rosenbrock's valley, the customary first surface."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, box, coefficient
from surfaces.pieces import require_dimension, require_positive


class Rosenbrock(LossSurface):
    """A curved valley whose minimum lies at the far end of a parabola along which the gradient is tiny.

    In two dimensions the minimum is 0 at (a, a²); at it the Hessian has condition number 2508 for a = 1, b = 100. In
    more dimensions the terms are chained, and the minimum is known for a = 1 only: all ones. From four dimensions on
    there is a second, local minimum near (-1, 1, ..., 1).
    """

    formula: ClassVar[str] = r"f(x) = \sum_{i=1}^{n-1} (a - x_i)^2 + b\,(x_{i+1} - x_i^2)^2"
    source: ClassVar[str] = "Rosenbrock (1960), The Computer Journal 3(3), 175-184"

    a: ScalarLike = coefficient(1.0, "x of the minimum, which lies at (a, a^2)")
    b: ScalarLike = coefficient(100.0, "steepness of the valley's walls")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self, 2)
        require_positive(self, b=self.b)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, following = params[:-1], params[1:]
        return jnp.sum((self.a - x) ** 2 + self.b * (following - x**2) ** 2)

    def residuals(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, " m"]:
        """The vector r with f = |r|²/2: first the terms with a, then those with b."""
        x, following = params[:-1], params[1:]
        return jnp.sqrt(2.0) * jnp.concatenate([self.a - x, jnp.sqrt(self.b) * (following - x**2)])

    @property
    def domain(self) -> Domain:
        return box(-2.5, 2.5, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.where(jnp.arange(self.dimension) % 2 == 0, -2.0, 2.0)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        if self.dimension == 2:
            a = jnp.asarray(self.a, float)
            return (jnp.stack([a, a**2]),)
        return (jnp.ones(self.dimension),) if isinstance(self.a, float | int) and self.a == 1 else ()


RosenbrockFunction = Rosenbrock
