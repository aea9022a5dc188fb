"""Surfaces built so that some widely used optimizer does the wrong thing on them."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, box, coefficient
from surfaces.pieces import (
    magnitude,
    require_condition_number,
    require_dimension,
    require_finite,
    require_positive,
    require_whole,
    root,
)


class ReddiOnline(LossSurface):
    """The problem on which Adam goes the wrong way: a rare steep slope up, a common gentle slope down.

    The mean slope is 0.2, so that every coordinate should fall to -1. With b2 = 0.99 or less Adam divides
    the rare gradient of 1010 by its own size, counts it for a few common ones of -10, and climbs to +1;
    AMSGrad, which remembers it, falls, slowly, and so does Adam with b2 = 0.999. Where the paper projects
    to the interval from -1 to 1, a quadratic wall stands here, and the minimum is at -1.001. Every
    coordinate is a copy of the problem with draws of its own; without a key there are no draws, only their
    mean.
    """

    formula: ClassVar[str] = (
        r"f(x) = \sum_i c_i x_i + \lambda \max(0, |x_i| - 1)^2, \quad "
        r"c_i = C \;\mathrm{with\ probability}\; p, \;\mathrm{else}\; {-c}"
    )
    source: ClassVar[str] = "Reddi, Kale & Kumar (2018), ICLR, Theorem 3 and the synthetic experiment, arXiv:1904.09237"

    large: ScalarLike = coefficient(1010.0, "the rare slope up")
    small: ScalarLike = coefficient(10.0, "the common slope down")
    probability: ScalarLike = coefficient(0.01, "probability of the rare slope")
    wall: ScalarLike = coefficient(100.0, "steepness of the walls beyond -1 and 1")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_positive(self, wall=self.wall)
        if isinstance(self.probability, int | float) and not 0 < self.probability < 1:
            raise ValueError(f"ReddiOnline needs 0 < probability < 1, got {self.probability}.")

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        beyond = jnp.maximum(jnp.abs(params) - 1, 0)
        return jnp.sum(self._slope(params.shape, key) * params + self.wall * beyond**2)

    def _slope(self, shape: tuple[int, ...], key: PRNGKeyArray | None) -> Array:
        rare = self.probability if key is None else jax.random.bernoulli(key, self.probability, shape)
        return jnp.asarray(rare * jnp.asarray(self.large) - (1 - rare) * jnp.asarray(self.small))

    @property
    def domain(self) -> Domain:
        return box(-1.5, 1.5, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.where(jnp.arange(self.dimension) % 2 == 0, 0.5, -0.25)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        slope = self._slope((), None)
        return (jnp.full(self.dimension, -jnp.sign(slope) * (1 + jnp.abs(slope) / (2 * self.wall))),)


class Cliff(LossSurface):
    """One recurrent neuron run for fifty steps: a gentle plateau that ends in a wall of exploding gradients.

    The parameters are the weight w and the bias b. For w > 4.26 the neuron settles in one of two states,
    and which one flips along the line b = 0.5 - 0.622 w: there the derivative is a product of fifty factors
    above one, up to 10^10 at w = 7, and one step of gradient descent leaves the picture unless the gradient
    is clipped. The loss is zero along a whole curve: for smaller w the line on which the target is a fixed
    point, b = 0.847 - 0.7 w, of which three points are listed to stand for all; from w = 4.5 on it runs
    within the wall.
    """

    formula: ClassVar[str] = r"f(w, b) = (\sigma(x_{50}) - 0.7)^2, \quad x_t = w\,\sigma(x_{t-1}) + b, \; x_0 = 0.5"
    source: ClassVar[str] = "Pascanu, Mikolov & Bengio (2013), ICML, eq. 8 and Fig. 6, arXiv:1211.5063"
    minima_are_isolated: ClassVar[bool] = False

    target: ScalarLike = coefficient(0.7, "output that the neuron should have after its last step")
    initial: ScalarLike = coefficient(0.5, "state in which the neuron starts")
    steps: int = eqx.field(static=True, default=50)

    def __check_init__(self):
        require_finite(self)
        require_whole(self, steps=self.steps)
        if isinstance(self.target, int | float) and not 0 < self.target < 1:
            raise ValueError(f"Cliff needs 0 < target < 1, the range of its neuron, got {self.target}.")

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        w, b = params
        start = jnp.asarray(self.initial, params.dtype)
        state = jax.lax.fori_loop(0, self.steps, lambda _, x: w * jax.nn.sigmoid(x) + b, start)
        return (jax.nn.sigmoid(state) - self.target) ** 2

    @property
    def domain(self) -> Domain:
        return jnp.array([0.0, -4.0]), jnp.array([7.0, 1.0])

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([6.0, -3.0])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        fixed_point = jax.scipy.special.logit(self.target)
        # Each step forgets the initial state by a factor of w / 4 or less, and at once where w is 0.
        weights = (0.5, 1.5, 2.5) if self.steps >= 40 else (0.0,)
        return tuple(jnp.stack([jnp.asarray(w), fixed_point - w * self.target]) for w in weights)


class BentRavine(LossSurface):
    """A ravine with steep walls and a gently falling floor that turns by a right angle halfway.

    Heavy momentum gathered on the first arm carries a run up the far wall at the bend. A method that has
    learnt the curvature of the first arm, such as L-BFGS or a full-matrix preconditioner, finds it turned
    in the second, while to one that works coordinate by coordinate both arms look alike. The floor falls
    with a slope below one to the only minimum, of value 0; `bend` is the radius of the turn, `steepness`
    the curvature of the walls.
    """

    formula: ClassVar[str] = (
        r"f(x, y) = \frac{a}{2}\,(y - c(x))^2 + \sqrt{1 + (x - e)^2} - 1, \quad c(x) = \sqrt{x^2 + r^2} - r"
    )
    source: ClassVar[str] = (
        "Made for this collection; on ravines: Sutton (1986), Proc. 8th Annual Conf. of the "
        "Cognitive Science Society, 823-831"
    )

    steepness: ScalarLike = coefficient(100.0, "curvature of the walls")
    bend: ScalarLike = coefficient(0.2, "radius of the turn")
    end: ScalarLike = coefficient(1.5, "x of the minimum")

    def __check_init__(self):
        require_positive(self, steepness=self.steepness)

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        floor = jnp.sqrt(1 + (x - self.end) ** 2) - 1
        return self.steepness / 2 * (y - self._centre(x)) ** 2 + floor

    def _centre(self, x: ScalarLike) -> Float[Array, ""]:
        return root(jnp.asarray(x**2 + self.bend**2)) - self.bend

    @property
    def domain(self) -> Domain:
        return jnp.array([-2.5, -1.0]), jnp.array([2.5, 3.0])

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-2.0, 2.5])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        end = jnp.asarray(self.end, float)
        return (jnp.stack([end, self._centre(end)]),)


class NoisyQuadratic(LossSurface):
    """A quadratic bowl whose centre is drawn anew at every evaluation: a model of minibatch noise.

    The covariance of the gradient is the Hessian times `noise` squared, as is often assumed of networks
    late in training. No run with a constant learning rate arrives: it settles into a cloud, whose size
    trades against the speed along the flat directions, and in this trade momentum, averaging and decaying
    schedules differ. Without a key it is the expected loss, whose minimum is not zero: every coordinate
    adds `noise**2 / 2`.
    """

    formula: ClassVar[str] = (
        r"f(x) = \frac{1}{2} \sum_i h_i\,(x_i - c_i)^2, \quad c_i \sim \mathcal{N}(m, \nu^2 / h_i), \quad "
        r"h_i = \kappa^{(i-1)/(n-1)}"
    )
    source: ClassVar[str] = (
        "Schaul, Zhang & LeCun (2013), ICML, arXiv:1206.1106; Zhang et al. (2019), NeurIPS 32, arXiv:1907.04164"
    )

    condition_number: ScalarLike = coefficient(10.0, "largest curvature over the smallest")
    noise: ScalarLike = coefficient(1.0, "standard deviation of the centre along a direction of curvature 1")
    mean: ScalarLike = coefficient(1.0, "mean of the centre, in each coordinate")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_condition_number(self)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        curvatures = _curvatures(self.condition_number, params)
        if key is None:
            return jnp.sum(curvatures * (params - self.mean) ** 2 + self.noise**2) / 2
        draw = self.noise * jax.random.normal(key, params.shape, params.dtype) / jnp.sqrt(curvatures)
        return jnp.sum(curvatures * (params - self.mean - draw) ** 2) / 2

    @property
    def domain(self) -> Domain:
        return box(-4.0, 4.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.where(jnp.arange(self.dimension) % 2 == 0, -3.0, 3.0)

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.full(self.dimension, self.mean, float),)


class Kinks(LossSurface):
    """A convex valley of two weighted absolute values along turned axes, with a crease along its floor.

    Gradients do not shrink on the way to the minimum, 0 at (1, -0.5): a constant learning rate chatters
    across the steep crease and hardly moves along it, and sign methods, which know the axes only, are at
    their best for `angle = 0`. The Hessian is zero wherever it exists and tells second-order methods
    nothing. On a crease the derivative taken is the middle of the subdifferential, which at the minimum is
    zero.
    """

    formula: ClassVar[str] = r"f(x) = |u_1| + w\,|u_2|, \quad u = R(-\alpha)\,(x - (1, -0.5))"
    source: ClassVar[str] = (
        "Made for this collection; on such functions: Shor (1985), "
        "Minimization Methods for Non-Differentiable Functions, Springer"
    )

    weight: ScalarLike = coefficient(10.0, "slope across the crease over that along it")
    angle: ScalarLike = coefficient(0.5, "how far the crease is turned from the x axis, in radians")

    def __check_init__(self):
        require_positive(self, weight=self.weight)

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params[0] - 1.0, params[1] + 0.5
        cos, sin = jnp.cos(self.angle), jnp.sin(self.angle)
        return magnitude(cos * x + sin * y) + self.weight * magnitude(cos * y - sin * x)

    @property
    def domain(self) -> Domain:
        return box(-3.0, 3.0)

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-2.0, 2.0])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (jnp.array([1.0, -0.5]),)


class ShiftedOptimum(LossSurface):
    """A quadratic bowl far from the origin, where weight decay pulls away from the answer.

    A decay of strength d moves the resting point of gradient descent to the fraction h / (h + d) of the way
    from the origin, for each coordinate's curvature h: the flattest loses most. Adam rescales the gradient
    and not a decoupled decay, and so rests elsewhere. An optimizer that wins where the minimum is at zero
    may lose here.
    """

    formula: ClassVar[str] = r"f(x) = \frac{1}{2} \sum_i h_i\,(x_i - m)^2, \quad h_i = \kappa^{-(i-1)/(n-1)}"
    source: ClassVar[str] = (
        "Made for this collection; on what decay does: Loshchilov & Hutter (2019), ICLR, arXiv:1711.05101"
    )

    distance: ScalarLike = coefficient(10.0, "each coordinate of the minimum")
    condition_number: ScalarLike = coefficient(10.0, "largest curvature over the smallest")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_condition_number(self)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        curvatures = _curvatures(self.condition_number, params) / self.condition_number
        return jnp.sum(curvatures[::-1] * (params - self.distance) ** 2) / 2

    @property
    def domain(self) -> Domain:
        margin = 0.5 * jnp.abs(self.distance) + 1
        lower, upper = jnp.minimum(self.distance, 0) - margin, jnp.maximum(self.distance, 0) + margin
        return jnp.full(self.dimension, lower, float), jnp.full(self.dimension, upper, float)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.where(jnp.arange(self.dimension) % 2 == 0, 0.2, 1.4) * self.distance

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.full(self.dimension, self.distance, float),)


def _curvatures(condition_number: ScalarLike, params: Float[Array, " n"]) -> Float[Array, " n"]:
    """Eigenvalues from 1 to `condition_number`, evenly spaced on a logarithmic scale."""
    return jnp.power(condition_number, jnp.linspace(0, 1, params.size, dtype=params.dtype))
