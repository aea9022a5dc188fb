"""Surfaces of the plane with many local minima; at a kink the derivative is taken to be 0."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surfaces.base import Domain, LossSurface, box
from surfaces.pieces import magnitude, root


class Himmelblau(LossSurface):
    """Four minima of the same value 0, with four saddles and one hill between them.

    All four are equally good, so that only the way there differs: near the basin borders the smallest change
    of start, learning rate or optimizer leads to another minimum. A map of which start ends where is worth
    drawing.
    """

    formula: ClassVar[str] = r"f(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2"
    source: ClassVar[str] = "Himmelblau (1972), Applied Nonlinear Programming, McGraw-Hill"

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2

    @property
    def domain(self) -> Domain:
        return box(-6.0, 6.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-0.5, -1.5])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return (
            jnp.array([3.0, 2.0]),
            jnp.array([-2.805118086952745, 3.131312518250573]),
            jnp.array([-3.779310253377747, -3.2831859912861694]),
            jnp.array([3.584428340330492, -1.848126526964404]),
        )


class Easom(LossSurface):
    """A single narrow well, depth 1 at (π, π), in ground that is flat but for a ring of dimples around it.

    The gradient falls off like a Gaussian: ten units from the well it is exactly 0 in float32. The box shown
    is the centre of the customary [-100, 100], of which all but a hundredth is flat in this sense.
    """

    formula: ClassVar[str] = r"f(x, y) = -\cos x \cos y \; e^{-(x - \pi)^2 - (y - \pi)^2}"
    source: ClassVar[str] = (
        "Easom (1990), A Survey of Global Optimization Techniques, M.Eng. thesis, University of Louisville"
    )

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return -jnp.prod(jnp.cos(params)) * jnp.exp(-jnp.sum((params - jnp.pi) ** 2))

    @property
    def domain(self) -> Domain:
        return box(-10.0, 10.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([1.8, 4.4])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return (jnp.array([jnp.pi, jnp.pi]),)


class Eggholder(LossSurface):
    """Steep troughs that grow outwards, without any slope to follow; the minimum lies on the border x = 512.

    There the gradient is not 0: its component along x still points out of the box, and an optimizer without
    bounds walks past the minimum to lower values outside, which is no success. Along two lines the surface
    has cusps.
    """

    formula: ClassVar[str] = r"f(x, y) = -(y + 47) \sin\sqrt{|y + x/2 + 47|} - x \sin\sqrt{|x - (y + 47)|}"
    source: ClassVar[str] = (
        "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Eggholder function; "
        "minimum: Vanaret, Gotteland, Durand & Alliot (2020), arXiv:2003.09867"
    )

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params[0], params[1] + 47
        return -y * jnp.sin(root(jnp.abs(y + x / 2))) - x * jnp.sin(root(jnp.abs(x - y)))

    @property
    def domain(self) -> Domain:
        return box(-512.0, 512.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-200.0, 150.0])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return (jnp.array([512.0, 404.2318051137578]),)


class CrossInTray(LossSurface):
    """Four equal minima in the middle of an egg box, divided by a sharp ridge in the shape of a cross.

    The tenth root flattens the surface almost everywhere and leaves a spike along every line where a sine
    vanishes: beside it the gradient grows without bound, so that one step from there is thrown far. On the
    lines themselves the derivative is taken to be 0.
    """

    formula: ClassVar[str] = (
        r"f(x, y) = -10^{-4} \left(\left|\sin x \sin y \;"
        r" e^{|100 - \sqrt{x^2 + y^2} / \pi|}\right| + 1\right)^{0.1}"
    )
    source: ClassVar[str] = (
        "Mishra (2006), Some New Test Functions for Global Optimization and Performance of Repulsive "
        "Particle Swarm Method, MPRA Paper 2718"
    )

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        # (s e^E + 1)^0.1 as e^(E/10) (s + e^-E)^0.1: e^100 is beyond float32.
        s, exponent = jnp.abs(jnp.prod(jnp.sin(params))), jnp.abs(100 - _radius(params) / jnp.pi)
        above = root(s) > 0  # closer to the lines the second derivative overflows float32
        tenth = (jnp.where(above, s, 1.0) + jnp.exp(-exponent)) ** 0.1
        return -1e-4 * jnp.where(above, jnp.exp(exponent / 10) * tenth, 1.0)

    @property
    def domain(self) -> Domain:
        return box(-10.0, 10.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-4.0, 6.5])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return _mirrored(1.349406617153911, 1.349406617153911)


class HolderTable(LossSurface):
    """Waves that grow outwards into four equal minima near the corners of the box, like the legs of a table.

    Descent from the middle stops in one of the many shallow local minima, each walled in by kinks where a
    sine or cosine vanishes. Outside the box the waves go on growing, so that the four minima are global
    within it only.
    """

    formula: ClassVar[str] = r"f(x, y) = -\left|\sin x \cos y \; e^{|1 - \sqrt{x^2 + y^2} / \pi|}\right|"
    source: ClassVar[str] = (
        "Mishra (2006), Global Optimization by Differential Evolution and Particle Swarm Methods: "
        "Evaluation on Some Benchmark Functions, MPRA Paper 1005"
    )

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return -magnitude(jnp.sin(x) * jnp.cos(y)) * jnp.exp(magnitude(1 - _radius(params) / jnp.pi))

    @property
    def domain(self) -> Domain:
        return box(-10.0, 10.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-6.5, 8.0])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return _mirrored(8.055023475736563, 9.664590019241273)


class DropWave(LossSurface):
    """Rings of waves around the origin, as after a drop has fallen into water.

    The local minima are not points but whole circles, along which the gradient vanishes and the Hessian is
    singular; descent runs straight into the nearest circle and stops. Only the middle, -1 at the origin, is a
    point.
    """

    formula: ClassVar[str] = r"f(x, y) = -\frac{1 + \cos(12 \sqrt{x^2 + y^2})}{\frac{1}{2} (x^2 + y^2) + 2}"
    source: ClassVar[str] = "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Drop-Wave function"

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        square = jnp.sum(params**2)
        return -(1 + _cosine_of_root(144 * square)) / (square / 2 + 2)

    @property
    def domain(self) -> Domain:
        return box(-5.12, 5.12)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-2.1, 1.4])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return (jnp.zeros(2),)


class Bukin6(LossSurface):
    """A valley as sharp as a crease along the parabola y = x²/100, whose floor falls only gently to (-10, 1).

    The walls rise like a square root, infinitely steep at the floor: any step that is not along the parabola
    leaps out, and the gradient beside the crease says nothing about the direction of the valley. On the
    crease the derivative across it is taken to be 0. In float32 the floor is resolved to about 0.04 only,
    since the root magnifies rounding.
    """

    formula: ClassVar[str] = r"f(x, y) = 100 \sqrt{|y - 0.01 x^2|} + 0.01 |x + 10|"
    source: ClassVar[str] = (
        "Bukin (1997), New Minimization Strategy for Non-Smooth Functions, "
        "Budker Institute of Nuclear Physics, preprint BUDKER-INP-1997-79"
    )

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        # Whole numbers, 100y - x² rather than y - 0.01x², so that at the minimum nothing is rounded.
        return 10 * root(jnp.abs(100 * y - x**2)) + magnitude(x + 10) / 100

    @property
    def domain(self) -> Domain:
        return jnp.array([-15.0, -3.0]), jnp.array([-5.0, 3.0])

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-6.5, 2.0])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return (jnp.array([-10.0, 1.0]),)


class Schaffer2(LossSurface):
    """Hyperbolic ripples over a very shallow bowl, with the minimum, 0, on a cross of almost equal value.

    On the diagonals the ripple is absent and the loss rises by a thousandth per unit squared: progress along
    them is slow, while every step aside meets a steep wall. The ripple becomes finer outwards, so that the
    gradient grows with the distance. The box shown is the centre of the customary [-100, 100].
    """

    formula: ClassVar[str] = (
        r"f(x, y) = \frac{1}{2} + \frac{\sin^2(x^2 - y^2) - \frac{1}{2}}{(1 + 0.001 (x^2 + y^2))^2}"
    )
    source: ClassVar[str] = (
        "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Schaffer function N. 2; "
        "after Schaffer (1984), PhD thesis, Vanderbilt University"
    )

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        return 0.5 + (jnp.sin(x**2 - y**2) ** 2 - 0.5) / (1 + 0.001 * (x**2 + y**2)) ** 2

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-3.5, 2.0])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        return (jnp.zeros(2),)


class Schaffer4(LossSurface):
    """Schaffer's ripples turned over: ridges on the diagonals, four equal minima on the axes.

    Each minimum lies in a long hyperbolic trough whose floor rises by 0.02 only as far as the corner of the
    box, so that the trough is found at once and the minimum late. The box shown is the centre of the
    customary [-100, 100].
    """

    formula: ClassVar[str] = (
        r"f(x, y) = \frac{1}{2} + \frac{\cos^2(\sin|x^2 - y^2|) - \frac{1}{2}}{(1 + 0.001 (x^2 + y^2))^2}"
    )
    source: ClassVar[str] = (
        "Surjanovic & Bingham (2013), Virtual Library of Simulation Experiments, Schaffer function N. 4; "
        "after Schaffer (1984), PhD thesis, Vanderbilt University"
    )

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        # The cosine is even, so the absolute value changes nothing and the surface is smooth.
        return 0.5 + (jnp.cos(jnp.sin(x**2 - y**2)) ** 2 - 0.5) / (1 + 0.001 * (x**2 + y**2)) ** 2

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0)

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array([-2.5, 3.0])

    @property
    def minima(self) -> tuple[Float[Array, "2"], ...]:
        far = 1.253131831463733
        return tuple(jnp.array(p) for p in ([0.0, far], [0.0, -far], [far, 0.0], [-far, 0.0]))


def _radius(params: Float[Array, "2"]) -> Float[Array, ""]:
    return root(jnp.sum(params**2))


def _cosine_of_root(square: Float[Array, ""]) -> Float[Array, ""]:
    """cos √u, smooth at u = 0 although √u is not: near it by its series, exact to rounding."""
    near = square < 0.01
    far = jnp.cos(jnp.sqrt(jnp.where(near, 1.0, square)))
    series = 1 - square / 2 + square**2 / 24 - square**3 / 720 + square**4 / 40320
    return jnp.where(near, series, far)


def _mirrored(x: float, y: float) -> tuple[Float[Array, "2"], ...]:
    return tuple(jnp.array([i * x, j * y]) for i in (1, -1) for j in (1, -1))


HimmelblauFunction = Himmelblau
