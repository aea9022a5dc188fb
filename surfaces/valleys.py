"""Valleys and plateaus: classical smooth test functions with few minima and uneven curvature."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, box, coefficient
from surfaces.pieces import require_dimension, require_finite, require_positive


class Beale(LossSurface):
    """A plateau between steep corner walls, with two curved valleys on either side of a saddle at (0, 1).

    The gradient exceeds 200,000 in the corners, so that a learning rate safe there stands still on the
    plateau. The right valley holds the minimum; descent that enters the left one follows it towards y = 1 and
    x = -∞, and the loss falls for ever, but never below 0.452.
    """

    formula: ClassVar[str] = r"f(x, y) = (1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2"
    source: ClassVar[str] = (
        "Beale (1958), On an Iterative Method for Finding a Local Minimum of a Function of More than One "
        "Variable, Technical Report 25, Statistical Techniques Research Group, Princeton University"
    )

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2

    @property
    def domain(self) -> Domain:
        return box(-4.5, 4.5)

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([1.0, 1.5])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (jnp.array([3.0, 0.5]),)


class Booth(LossSurface):
    """A plain tilted bowl, condition number 9, whose minimum is away from the origin.

    An optimizer with weight decay, or one whose step depends on the size of the parameters, shows its bias
    here.
    """

    formula: ClassVar[str] = r"f(x, y) = (x + 2y - 7)^2 + (2x + y - 5)^2"
    source: ClassVar[str] = "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Booth function"

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2

    @property
    def domain(self) -> Domain:
        return box(-10.0, 10.0)

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-8.0, 6.0])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (jnp.array([1.0, 3.0]),)


class Matyas(LossSurface):
    """A long shallow trough along the diagonal, where neither coordinate alone points downhill.

    The condition number is (2a + b) / (2a - b), 25 as published, and grows without bound as b approaches 2a.
    At 45 degrees to the axes, per-coordinate scaling cannot help.
    """

    formula: ClassVar[str] = r"f(x, y) = a\,(x^2 + y^2) - b\,xy"
    source: ClassVar[str] = "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Matyas function"

    a: ScalarLike = coefficient(0.26, "weight of the round bowl")
    b: ScalarLike = coefficient(0.48, "weight of the product of x and y: near 2 a the trough is flat")

    def __check_init__(self):
        require_finite(self)
        a, b = self.a, self.b
        if isinstance(a, int | float) and isinstance(b, int | float) and not abs(b) < 2 * a:
            raise ValueError(
                f"Matyas needs |b| < 2a, or it has no single minimum, got a = {a} and b = {b}. "
                "Give a larger a, or a b nearer 0."
            )

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return self.a * (x**2 + y**2) - self.b * x * y

    @property
    def domain(self) -> Domain:
        return box(-10.0, 10.0)

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([8.0, -2.0])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (jnp.zeros(2),)


class McCormick(LossSurface):
    """A tilted washboard: waves along one diagonal, a parabola along the other.

    The waves ride on a slope, so each trough is π lower than the one before it and the plane has no lowest
    point; the minimum is global within the domain only. A step too long, or too much momentum, leaves it for
    the next trough.
    """

    formula: ClassVar[str] = r"f(x, y) = \sin(x + y) + (x - y)^2 - 1.5 x + 2.5 y + 1"
    source: ClassVar[str] = "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, McCormick function"

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return jnp.sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1

    @property
    def domain(self) -> Domain:
        return jnp.array([-1.5, -3.0]), jnp.array([4.0, 4.0])

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([3.0, -1.5])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (jnp.array([0.5 - np.pi / 3, -0.5 - np.pi / 3]),)


class ThreeHumpCamel(LossSurface):
    """Three wells in a row, the deepest in the middle, separated by low saddles.

    Descent from the start ends in a side well of depth 0.2986; enough momentum carries it over the saddle.
    Towards the corners the sixth power takes over and the gradient exceeds 2500.
    """

    formula: ClassVar[str] = r"f(x, y) = 2x^2 - 1.05\,x^4 + \tfrac16 x^6 + xy + y^2"
    source: ClassVar[str] = (
        "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Three-Hump Camel function"
    )

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0)

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-2.0, 2.0])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (jnp.zeros(2),)


class SixHumpCamel(LossSurface):
    """Six wells in three pairs, each the other's mirror image through the origin; the deepest pair is global.

    Which of the six wells an optimizer ends in depends on little more than its first steps, and the basins
    interlock: colour the plane by where descent arrives.
    """

    formula: ClassVar[str] = r"f(x, y) = (4 - 2.1\,x^2 + \tfrac13 x^4)\,x^2 + xy + (4 y^2 - 4)\,y^2"
    source: ClassVar[str] = "Dixon & Szegö (1978), Towards Global Optimisation 2, North-Holland, 1-15"

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2

    @property
    def domain(self) -> Domain:
        return jnp.array([-3.0, -2.0]), jnp.array([3.0, 2.0])

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-2.0, 1.5])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        minimum = jnp.array([0.08984201310031806, -0.7126564030207396])
        return minimum, -minimum


class GoldsteinPrice(LossSurface):
    """A polynomial of degree eight with four wells in crossing valleys, under walls a million high.

    The minimum is 3; the other wells bottom out at 30, 84 and 840. No single learning rate serves both the
    walls, where the gradient reaches millions, and the valley floors: logarithmic contours are the only
    readable ones.
    """

    formula: ClassVar[str] = (
        r"f(x, y) = \bigl[1 + (x + y + 1)^2 (19 - 14x + 3x^2 - 14y + 6xy + 3y^2)\bigr] "
        r"\bigl[30 + (2x - 3y)^2 (18 - 32x + 12x^2 + 48y - 36xy + 27y^2)\bigr]"
    )
    source: ClassVar[str] = "Goldstein & Price (1971), Mathematics of Computation 25(115), 569-574"

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        first = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
        second = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
        return (1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second)

    @property
    def domain(self) -> Domain:
        return box(-2.0, 2.0)

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-1.5, 0.5])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (jnp.array([0.0, -1.0]),)


class Branin(LossSurface):
    """A parabolic valley with a wave along its floor and three equally deep minima.

    The floor is y = b x² - c x + r and a minimum lies on it at every odd multiple of π, so that the minima
    follow the coefficients; with the published ones three of them are in the domain.
    """

    formula: ClassVar[str] = r"f(x, y) = a\,(y - b x^2 + c x - r)^2 + s\,(1 - t) \cos x + s"
    source: ClassVar[str] = "Dixon & Szegö (1978), Towards Global Optimisation 2, North-Holland, 1-15"

    a: ScalarLike = coefficient(1.0, "steepness of the valley's walls")
    b: ScalarLike = coefficient(5.1 / (4 * np.pi**2), "bend of the valley's floor, y = b x^2 - c x + r")
    c: ScalarLike = coefficient(5 / np.pi, "how fast y falls along the valley's floor at x = 0")
    r: ScalarLike = coefficient(6.0, "y of the valley's floor at x = 0")
    s: ScalarLike = coefficient(10.0, "height of the wave along the valley's floor")
    t: ScalarLike = coefficient(1 / (8 * np.pi), "loss at the minima, as a share of s")

    def __check_init__(self):
        require_positive(self, a=self.a, s=self.s)
        if isinstance(self.t, int | float) and not self.t < 1:
            raise ValueError(f"Branin needs t < 1, or its wave is upside down, got {self.t}. Give a number below 1.")

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return self.a * (y - self._floor(x)) ** 2 + self.s * (1 - self.t) * jnp.cos(x) + self.s

    def _floor(self, x: ScalarLike) -> ScalarLike:
        return self.b * x**2 - self.c * x + self.r

    @property
    def domain(self) -> Domain:
        return jnp.array([-5.0, 0.0]), jnp.array([10.0, 15.0])

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([6.0, 13.0])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return tuple(jnp.array([x, self._floor(x)]) for x in (-np.pi, np.pi, 3 * np.pi))


class DixonPrice(LossSurface):
    """A chain of parabolic valleys: each coordinate has to be the root of half the one before it.

    Only the last root may be negative, since every other one has a root of its own, and so there are two
    minima in any dimension. At (1/3, 0, ..., 0) the loss is stationary with value 2/3: a plain saddle in two
    dimensions, but from three on no eigenvalue of its Hessian is negative, and descent creeps away the slower
    the more dimensions there are.
    """

    formula: ClassVar[str] = r"f(x) = (x_1 - 1)^2 + \sum_{i=2}^{n} i\,(2 x_i^2 - x_{i-1})^2"
    source: ClassVar[str] = "Dixon & Price (1989), Journal of Optimization Theory and Applications 60(2), 261-275"

    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self, 2)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        weight = jnp.arange(2, params.shape[0] + 1)
        return (params[0] - 1) ** 2 + jnp.sum(weight * (2 * params[1:] ** 2 - params[:-1]) ** 2)

    @property
    def domain(self) -> Domain:
        return box(-10.0, 10.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.resize(jnp.array([-4.0, 3.0]), (self.dimension,))

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        # Solved from the first term on: x_1 = 1 and 2 x_i² = x_{i-1}, so log2(x_i) = 2^(1-i) - 1.
        minimum = jnp.asarray(np.exp2(np.exp2(-np.arange(self.dimension)) - 1))
        return minimum, minimum.at[-1].multiply(-1)


class Zakharov(LossSurface):
    """A round bowl with a quartic wall raised along one single direction.

    It is convex, but along (1, 2, ..., n) the curvature grows with the cube of the dimension at the minimum
    and with the square of the distance away from it: one direction dictates the learning rate, and the other
    n - 1 wait.
    """

    formula: ClassVar[str] = (
        r"f(x) = \sum_{i=1}^{n} x_i^2 + \Bigl(\sum_{i=1}^{n} \tfrac{i}{2} x_i\Bigr)^2 "
        r"+ \Bigl(\sum_{i=1}^{n} \tfrac{i}{2} x_i\Bigr)^4"
    )
    source: ClassVar[str] = "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Zakharov function"

    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        height = jnp.sum(jnp.arange(1, params.shape[0] + 1) * params) / 2
        return jnp.sum(params**2) + height**2 + height**4

    @property
    def domain(self) -> Domain:
        return box(-5.0, 10.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.resize(jnp.array([-4.0, 6.0]), (self.dimension,))

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


class Powell(LossSurface):
    """Powell's singular function: convex, yet at its minimum half of the Hessian's eigenvalues vanish.

    Along those directions the loss is a quartic, so that gradient descent slows down to a power law and
    Newton's method to a linear rate of 2/3. The variables come in independent blocks of four.
    """

    formula: ClassVar[str] = (
        r"f(x) = \sum_{j=1}^{n/4} (x_{4j-3} + 10 x_{4j-2})^2 + 5\,(x_{4j-1} - x_{4j})^2 "
        r"+ (x_{4j-2} - 2 x_{4j-1})^4 + 10\,(x_{4j-3} - x_{4j})^4"
    )
    source: ClassVar[str] = "Powell (1962), The Computer Journal 5(2), 147-151"

    dimension: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        require_dimension(self)
        if self.dimension % 4:
            raise ValueError(
                "Powell needs dimension to be a multiple of 4 (its variables come in blocks of four), "
                f"got {self.dimension}. Take {4 * max(1, round(self.dimension / 4))}."
            )

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        a, b, c, d = params.reshape(-1, 4).T
        return jnp.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)

    @property
    def domain(self) -> Domain:
        return box(-4.0, 5.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.resize(jnp.array([3.0, -1.0, 0.0, 1.0]), (self.dimension,))

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


BealeFunction = Beale
