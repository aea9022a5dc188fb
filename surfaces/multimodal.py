"""Surfaces with many local minima, in any dimension; `multimodal_2d` has those of the plane."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, box, coefficient
from surfaces.pieces import require_dimension, require_finite, require_positive, root

# max of x sin √x on [0, 500], and where it is.
_SCHWEFEL_DEPTH = 418.9828872724337
_SCHWEFEL_X = 420.9687463599820

# The minimizer over [0, π] of the i-th term for m = 10, i = 1, ..., 10.
_MICHALEWICZ_X = (
    *(2.2029055201726093, 1.5707963267948966, 1.2849915705529244, 1.9230584698663628, 1.7204697725658413),
    *(1.5707963267948966, 1.4544139713623790, 1.7560865209450264, 1.6557174168210291, 1.5707963267948966),
)


class Ackley(LossSurface):
    """A nearly flat outer region with a regular ripple, and one funnel with a sharp tip at the origin.

    Far out the ripple hides the slope; near the origin the surface is a cone, not a bowl: the gradient keeps
    its size up to the minimum, and a constant step bounces about it for ever. At the tip itself the
    derivative is taken to be 0, the subgradient of least norm. The box shown is the centre of the customary
    [-32.768, 32.768].
    """

    formula: ClassVar[str] = (
        r"f(x) = -a \exp\left(-b \sqrt{\tfrac{1}{n} \textstyle\sum_i x_i^2}\right)"
        r" - \exp\left(\tfrac{1}{n} \textstyle\sum_i \cos(c x_i)\right) + a + e"
    )
    source: ClassVar[str] = (
        "Ackley (1987), A Connectionist Machine for Genetic Hillclimbing, Kluwer; in n dimensions: "
        "Bäck (1996), Evolutionary Algorithms in Theory and Practice, Oxford University Press"
    )

    a: ScalarLike = coefficient(20.0, "height to which the funnel rises")
    b: ScalarLike = coefficient(0.2, "how fast the funnel rises from its tip")
    c: ScalarLike = coefficient(2 * jnp.pi, "frequency of the ripple, in radians per unit of a coordinate")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_positive(self, a=self.a, b=self.b)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        # Both exponentials minus their value at the origin, so that nothing cancels near the minimum.
        distance = root(jnp.mean(params**2))
        ripple = jnp.mean(jnp.sin(self.c * params / 2) ** 2)
        return -jnp.expm1(-distance * self.b) * self.a - jnp.e * jnp.expm1(-2 * ripple)

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return _alternating(-3.3, 2.4, self.dimension)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


class Griewank(LossSurface):
    """A wide shallow bowl under a product of cosines: from afar convex, from near full of local minima.

    The product couples all coordinates, and it shrinks as their number grows: far from the origin the surface
    becomes easier with the dimension. The box shown is the centre of the customary [-600, 600], on which the
    ripple is too fine to draw; the larger d, the flatter the bowl.
    """

    formula: ClassVar[str] = r"f(x) = 1 + \frac{1}{d} \sum_{i=1}^{n} x_i^2 - \prod_{i=1}^{n} \cos\frac{x_i}{\sqrt{i}}"
    source: ClassVar[str] = (
        "Griewank (1981), Journal of Optimization Theory and Applications 34(1), 11-39; "
        "on its dimension: Locatelli (2003), Journal of Global Optimization 25(2), 169-174"
    )

    d: ScalarLike = coefficient(4000.0, "width of the bowl under the ripple: the larger, the flatter")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_positive(self, d=self.d)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        i = jnp.arange(1, self.dimension + 1, dtype=params.dtype)
        return 1 + jnp.sum(params**2) / self.d - jnp.prod(jnp.cos(params / jnp.sqrt(i)))

    @property
    def domain(self) -> Domain:
        return box(-50.0, 50.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return _alternating(-40.0, 30.0, self.dimension)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


class Schwefel(LossSurface):
    """Waves that grow and widen outwards, the deepest trough near a corner and far from the second deepest.

    The global slope misleads: the best minimum, near 420.97 in every coordinate, is the neighbour of no other
    good one. Outside the box there are lower values still, without bound, so that an optimizer that leaves it
    has not succeeded. At x = 0 the second derivative is unbounded, and taken to be 0.
    """

    formula: ClassVar[str] = r"f(x) = 418.98288727\,n - \sum_{i=1}^{n} x_i \sin\sqrt{|x_i|}"
    source: ClassVar[str] = "Schwefel (1981), Numerical Optimization of Computer Models, Wiley"

    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return jnp.sum(_SCHWEFEL_DEPTH - params * jnp.sin(root(jnp.abs(params))))

    @property
    def domain(self) -> Domain:
        return box(-500.0, 500.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return _alternating(-150.0, 270.0, self.dimension)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.full(self.dimension, _SCHWEFEL_X),)


class Levy(LossSurface):
    """A bowl with a sine ripple that is strong along all coordinates but the last.

    The minimum, 0 at all ones, is away from the origin. The ripple is multiplied by the bowl itself: the
    local minima are shallow near the best one and deepen outwards, so that a far start is a hard start.
    """

    formula: ClassVar[str] = (
        r"f(x) = \sin^2(\pi w_1) + \sum_{i=1}^{n-1} (w_i - 1)^2 (1 + 10 \sin^2(\pi w_i + 1))"
        r" + (w_n - 1)^2 (1 + \sin^2(2\pi w_n)), \quad w_i = 1 + \frac{x_i - 1}{4}"
    )
    source: ClassVar[str] = (
        "Levy & Montalvo (1985), SIAM Journal on Scientific and Statistical Computing 6(1), 15-29; "
        "this form: Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Levy function"
    )

    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        # v = w - 1: sin² has period π, and in v the minimum is exactly 0.
        v = (params - 1) / 4
        inner, last = v[:-1], v[-1]
        chain = jnp.sum(inner**2 * (1 + 10 * jnp.sin(jnp.pi * inner + 1) ** 2))
        return jnp.sin(jnp.pi * v[0]) ** 2 + chain + last**2 * (1 + jnp.sin(2 * jnp.pi * last) ** 2)

    @property
    def domain(self) -> Domain:
        return box(-10.0, 10.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return _alternating(-8.0, 7.0, self.dimension)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.ones(self.dimension),)


class StyblinskiTang(LossSurface):
    """A double well in every coordinate, the negative one deeper: 2^n minima, one of them global.

    Which well a coordinate ends in is decided by its side of the barrier near 0, so the start chooses the
    minimum. The tilt sets how much it matters: towards 0 the wells become equal, and at 34.8 the upper one
    vanishes.
    """

    formula: ClassVar[str] = r"f(x) = \frac{1}{2} \sum_{i=1}^{n} x_i^4 - 16 x_i^2 + t x_i"
    source: ClassVar[str] = "Styblinski & Tang (1990), Neural Networks 3(4), 467-483"

    tilt: ScalarLike = coefficient(5.0, "slope that makes one of the two wells of a coordinate deeper")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        if isinstance(self.tilt, int | float) and not 0 < self.tilt <= 34.8:
            raise ValueError(
                f"StyblinskiTang needs 0 < tilt <= 34.8 to have two wells per coordinate, got {self.tilt}."
            )

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return jnp.sum(params**4 - 16 * params**2 + self.tilt * params) / 2

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return _alternating(-0.5, 4.5, self.dimension)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        # The lowest of the three real roots of 4x³ - 32x + t = 0, by Viète's formula.
        third = jnp.arccos(3 / 64 * (3 / 8) ** 0.5 * self.tilt) / 3
        return (jnp.full(self.dimension, -2 * (8 / 3) ** 0.5 * jnp.cos(third)),)


class Michalewicz(LossSurface):
    """Flat ground cut by narrow ditches parallel to the axes; their deepest crossing is the minimum.

    Away from the ditches the gradient is practically 0, and the steepness m sets how narrow they are. The
    surface is separable, so its minimum in any dimension is made of one-dimensional ones; they are known here
    for m = 10 and up to ten dimensions.
    """

    formula: ClassVar[str] = r"f(x) = -\sum_{i=1}^{n} \sin(x_i) \sin^{2m}\left(\frac{i x_i^2}{\pi}\right)"
    source: ClassVar[str] = (
        "Michalewicz (1992), Genetic Algorithms + Data Structures = Evolution Programs, Springer; "
        "minima: Vanaret, Gotteland, Durand & Alliot (2020), arXiv:2003.09867"
    )

    m: ScalarLike = coefficient(10.0, "steepness of the ditches: the larger, the narrower")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_finite(self)
        if isinstance(self.m, int | float) and self.m < 2:
            raise ValueError(f"Michalewicz needs m >= 2 for finite second derivatives, got {self.m}.")

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        i = jnp.arange(1, self.dimension + 1, dtype=params.dtype)
        return -jnp.sum(jnp.sin(params) * (jnp.sin(i * params**2 / jnp.pi) ** 2) ** self.m)

    @property
    def domain(self) -> Domain:
        return box(0.0, jnp.pi, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return _alternating(2.6, 1.2, self.dimension)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        known = isinstance(self.m, int | float) and self.m == 10 and self.dimension <= len(_MICHALEWICZ_X)
        return (jnp.array(_MICHALEWICZ_X[: self.dimension]),) if known else ()


def _alternating(even: float, odd: float, dimension: int) -> Float[Array, " n"]:
    return jnp.where(jnp.arange(dimension) % 2 == 0, even, odd)


AckleyFunction = Ackley
