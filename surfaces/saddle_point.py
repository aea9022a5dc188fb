"""Saddles and a plateau: surfaces on which the gradient vanishes where nothing has been found."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, box, coefficient
from surfaces.pieces import require_positive


class Saddle(LossSurface):
    """A bowl in x and a hill in y: the gradient vanishes at the origin, and only y leads on down.

    The start lies just off the ridge y = 0. Descent first falls towards the saddle, slows down there, and
    leaves it as the distance from the ridge grows exponentially; how long each optimizer stays is what there
    is to see. Newton's method is drawn to the saddle. The surface is unbounded below, has no minimum, and
    paths leave the box.
    """

    formula: ClassVar[str] = r"f(x, y) = a x^2 - b y^2"
    source: ClassVar[str] = "Dauphin, Pascanu, Gulcehre, Cho, Ganguli & Bengio (2014), NeurIPS 27, arXiv:1406.2572"

    a: ScalarLike = coefficient(1.0, "steepness of the bowl in x")
    b: ScalarLike = coefficient(1.0, "steepness of the hill in y")

    def __check_init__(self):
        require_positive(self, a=self.a, b=self.b)

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return self.a * x**2 - self.b * y**2

    @property
    def domain(self) -> Domain:
        return box(-2.0, 2.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-1.5, 0.01])


class MonkeySaddle(LossSurface):
    """Three valleys and three ridges that meet at the origin, where gradient and Hessian both vanish.

    A method that looks for negative curvature finds none at the origin, although descent is possible along
    three directions: the third derivatives decide. Along the ridge gradients shrink like the square of the
    distance, so that descent slows down much more than at an ordinary saddle. Unbounded below, as a cubic: a
    path that has found a valley runs away ever faster.
    """

    formula: ClassVar[str] = r"f(x, y) = x^3 - 3 x y^2"
    source: ClassVar[str] = (
        "Hilbert & Cohn-Vossen (1952), Geometry and the Imagination, Chelsea; "
        "degenerate saddles in learning: Anandkumar & Ge (2016), COLT, arXiv:1602.05908"
    )

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return x**3 - 3 * x * y**2

    @property
    def domain(self) -> Domain:
        return box(-2.0, 2.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([1.5, 0.01])


class StrictSaddle(LossSurface):
    """Two equal minima at (0, -1) and (0, 1), and between them a saddle on which descent can get stuck.

    Every stationary point is a minimum or has a direction of negative curvature: the strict saddle property,
    under which noisy gradient descent provably finds a minimum. From a start exactly on the ridge y = 0 exact
    gradient descent converges to the saddle; from just beside it, it leaves after a time proportional to
    log(1 / |y|) / b.
    """

    formula: ClassVar[str] = r"f(x, y) = \frac{a}{2} x^2 + b \left(\frac{y^4}{4} - \frac{y^2}{2}\right)"
    source: ClassVar[str] = (
        "Nesterov (2004), Introductory Lectures on Convex Optimization, Kluwer, Example 1.2.2; "
        "strict saddles: Ge, Huang, Jin & Yuan (2015), COLT, arXiv:1503.02101; "
        "Jin, Ge, Netrapalli, Kakade & Jordan (2017), ICML, arXiv:1703.00887"
    )

    a: ScalarLike = coefficient(1.0, "curvature in x")
    b: ScalarLike = coefficient(1.0, "four times the depth of the two wells")

    def __check_init__(self):
        require_positive(self, a=self.a, b=self.b)

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return self.a * x**2 / 2 + self.b * (y**4 / 4 - y**2 / 2)

    @property
    def domain(self) -> Domain:
        return box(-2.0, 2.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-1.5, 0.01])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return jnp.array([0.0, 1.0]), jnp.array([0.0, -1.0])


class Plateau(LossSurface):
    """A wide, nearly flat region around one narrow Gaussian well of depth 1 at (1, -0.5).

    On the plateau only a weak bowl points to the well: at the start the gradient has size 0.0006, against 1.2
    on the wall of the well. Gradient descent stands still there; a method that divides the gradient by its
    own size crosses at full speed and must then brake. In float32 the gradient is not lost, but one step of
    gradient descent often changes the loss by less than its resolution of 1e-7, which misleads line searches.
    """

    formula: ClassVar[str] = (
        r"f(x, y) = 1 - e^{-r^2 / (2 w^2)} + \frac{\varepsilon}{2} r^2, \quad r^2 = (x - 1)^2 + (y + 0.5)^2"
    )
    source: ClassVar[str] = (
        "Own construction; plateaus in learning: Fukumizu & Amari (2000), Neural Networks 13(3), 317-327"
    )

    width: ScalarLike = coefficient(0.5, "width of the well, in parameter units")
    tilt: ScalarLike = coefficient(1e-4, "curvature of the weak bowl under the plateau")

    def __check_init__(self):
        require_positive(self, width=self.width, tilt=self.tilt)

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        square = (x - 1) ** 2 + (y + 0.5) ** 2
        return -jnp.expm1(-square / (2 * self.width**2)) + self.tilt / 2 * square

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-4.0, 3.0])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return (jnp.array([1.0, -0.5]),)
