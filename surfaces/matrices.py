"""Losses of real matrices, on which Muon and Shampoo are themselves."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, coefficient
from surfaces.pieces import require_condition_number, require_whole
from surfaces.regression import standard_normal


class MatrixFactorization(LossSurface):
    """A matrix of low rank as the product of two thin factors: not convex, yet without bad minima.

    Every critical point that is not a global minimum is a saddle: from small factors a run finds the
    singular values one after another, the largest first, and rests on a plateau before each. The global
    minima, of value 0, are infinitely many: with (U, V) also (U G, V G^-T) for every invertible matrix G.
    One stands for all of them in `minima`, a balanced one, in which both factors have the square roots of
    the singular values. `condition_number` is the ratio of the largest singular value, which is one, to the
    smallest.
    """

    formula: ClassVar[str] = r"f(U, V) = \frac{1}{2} \| U V^\top - M \|_F^2"
    source: ClassVar[str] = "Baldi & Hornik (1989), Neural Networks 2(1), 53-58"
    minima_are_isolated: ClassVar[bool] = False

    condition_number: ScalarLike = coefficient(10.0, "largest singular value over the smallest")
    rows: int = eqx.field(static=True, default=12)
    columns: int = eqx.field(static=True, default=8)
    rank: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        require_condition_number(self)
        require_whole(self, rows=self.rows, columns=self.columns, rank=self.rank)
        if not 1 <= self.rank <= min(self.rows, self.columns):
            raise ValueError(
                f"MatrixFactorization needs a rank from 1 to the smaller side of its {self.rows} by "
                f"{self.columns} matrix, got {self.rank}."
            )

    def __call__(self, params: dict[str, Float[Array, " ..."]], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return jnp.sum(self.residuals(params) ** 2) / 2

    def residuals(self, params: dict[str, Float[Array, " ..."]], key: PRNGKeyArray | None = None) -> Float[Array, " m"]:
        """The vector r with f = |r|²/2, one number per entry of M."""
        left, right = params["U"], params["V"]
        return jnp.ravel(left @ right.T - self.matrix.astype(left.dtype))

    @property
    def matrix(self) -> Float[Array, " m n"]:
        """The matrix to be factored, M."""
        (minimum,) = self.minima
        return minimum["U"] @ minimum["V"].T

    @property
    def domain(self) -> Domain:
        upper = {"U": jnp.full((self.rows, self.rank), 2.0), "V": jnp.full((self.columns, self.rank), 2.0)}
        return {name: -leaf for name, leaf in upper.items()}, upper

    @property
    def start(self) -> dict[str, Float[Array, " ..."]]:
        return {
            "U": 0.01 * standard_normal(0, (self.rows, self.rank)),
            "V": 0.01 * standard_normal(1, (self.columns, self.rank)),
        }

    @property
    def minima(self) -> tuple[dict[str, Float[Array, " ..."]], ...]:
        roots = jnp.sqrt(_falling(self.condition_number, self.rank))
        return ({"U": _cosines(self.rows, self.rank) * roots, "V": _cosines(self.columns, self.rank) * roots},)


class MatrixRegression(LossSurface):
    """Least squares with a matrix of weights, on inputs whose directions differ much in size.

    All outputs share one Hessian, of the `condition_number` given and with eigenvectors across the
    coordinates: Adam, which works entry by entry, cannot undo it; Shampoo learns it from the gradients;
    Muon steps equally far in all directions, whatever the size of the gradient there. The targets are those
    of known weights, so that the only minimum, of value 0, is exact.
    """

    formula: ClassVar[str] = r"f(W) = \frac{1}{2N} \| X W - Y \|_F^2"
    source: ClassVar[str] = "Gupta, Koren & Singer (2018), ICML, arXiv:1802.09568, for Shampoo on such losses"

    condition_number: ScalarLike = coefficient(100.0, "largest curvature over the smallest")
    inputs: int = eqx.field(static=True, default=8)
    outputs: int = eqx.field(static=True, default=4)
    num_points: int = eqx.field(static=True, default=32)

    def __check_init__(self):
        require_condition_number(self)
        require_whole(self, inputs=self.inputs, outputs=self.outputs, num_points=self.num_points)
        if self.num_points < self.inputs:
            raise ValueError(
                f"MatrixRegression needs num_points >= inputs, so that the minimum is unique, "
                f"got {self.num_points} points for {self.inputs} inputs."
            )

    def __call__(self, params: Float[Array, " p q"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return jnp.sum(self._errors(params) ** 2) / (2 * self.num_points)

    def residuals(self, params: Float[Array, " p q"], key: PRNGKeyArray | None = None) -> Float[Array, " m"]:
        """The vector r with f = |r|²/2, one number per point and output."""
        return jnp.ravel(self._errors(params)) / jnp.sqrt(self.num_points)

    def _errors(self, params: Float[Array, " p q"]) -> Float[Array, " n q"]:
        design, targets = self.data
        return design.astype(params.dtype) @ params - targets.astype(params.dtype)

    @property
    def data(self) -> tuple[Float[Array, " n p"], Float[Array, " n q"]]:
        """The design X, whose X^T X / N has eigenvalues from one down, and the targets Y."""
        sizes = jnp.sqrt(self.num_points * _falling(self.condition_number, self.inputs))
        design = _cosines(self.num_points, self.inputs) * sizes @ _cosines(self.inputs, self.inputs).T
        return design, design @ self.minima[0]

    @property
    def domain(self) -> Domain:
        upper = jnp.full((self.inputs, self.outputs), 4.0)
        return -upper, upper

    @property
    def start(self) -> Float[Array, " p q"]:
        return standard_normal(3, (self.inputs, self.outputs))

    @property
    def minima(self) -> tuple[Float[Array, " p q"], ...]:
        return (standard_normal(2, (self.inputs, self.outputs)),)


def _cosines(size: int, count: int) -> Float[Array, " size count"]:
    """The first `count` orthonormal vectors of the discrete cosine transform, as columns."""
    waves = jnp.cos(jnp.pi * (jnp.arange(size)[:, None] + 0.5) * jnp.arange(count) / size)
    return waves * jnp.sqrt(jnp.where(jnp.arange(count) == 0, 1, 2) / size)


def _falling(condition_number: ScalarLike, count: int) -> Float[Array, " count"]:
    """Numbers from one down to `1 / condition_number`, evenly spaced on a logarithmic scale."""
    return jnp.power(condition_number, -jnp.linspace(0, 1, count))
