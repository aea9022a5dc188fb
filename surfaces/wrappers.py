"""Surfaces made of surfaces: shifted, rotated, scaled, noisy, sliced, averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, as_params, as_surface, coefficient, describe, same_shape


class _Wrapper(LossSurface):
    """A surface around another one; `place` says where the points of the wrapped surface lie on it."""

    surface: LossSurface = eqx.field(converter=as_surface)

    def place(self, point: Any) -> Any:
        return point

    @property
    def name(self) -> str:
        return f"{super().name}_{self.surface.name}"

    @property
    def is_stochastic(self) -> bool:
        return self.surface.is_stochastic

    @property
    def domain(self) -> Domain:
        lower, upper = self.surface.domain
        return self.place(lower), self.place(upper)

    @property
    def start(self) -> Any:
        return self.place(self.surface.start)

    @property
    def minima(self) -> tuple[Any, ...]:
        return tuple(self.place(minimum) for minimum in self.surface.minima)


class Shifted(_Wrapper):
    """Any surface, moved by `offset`: a tree shaped like the parameters, or one number for all of them.

    Domain, start and minima move along. It takes a minimum away from the origin, where weight decay and
    other methods that shrink the parameters find it for nothing.
    """

    formula: ClassVar[str] = r"f(x - c)"

    offset: Any = eqx.field(converter=as_params, default=0.0)

    def __call__(self, params: Any, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return self.surface(_combine(jnp.subtract, params, self.offset), key)

    def place(self, point: Any) -> Any:
        """Where a point of the wrapped surface lies on this one."""
        return _combine(jnp.add, point, self.offset)


class Rotated(_Wrapper):
    """A two-dimensional surface, turned counterclockwise by `angle` radians about its first known minimum.

    Where no minimum is known, it turns about the centre of the domain. Start and minima turn along; the box
    of the domain does not, so that its corners show the wrapped surface beyond its own domain, and the
    start or a further minimum may leave it. A method that treats all directions alike, such as gradient
    descent, follows the turned path exactly; one that works coordinate by coordinate, such as Adam, does
    not.
    """

    formula: ClassVar[str] = r"f(c + R(-\alpha)\,(x - c))"
    source: ClassVar[str] = "Salomon (1996), BioSystems 39(3), 263-278"

    angle: ScalarLike = coefficient(0.0, "turn counterclockwise, in radians")

    def __check_init__(self):
        start = getattr(self.surface, "start", jnp.zeros(2))
        if not same_shape(start, jnp.zeros(2)):
            raise ValueError(
                f"Rotated turns surfaces of two parameters, but {self.surface.name} takes {describe(start)}. "
                "Take a plane through it first, with Slice."
            )

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return self.surface(_turn(params, self._pivot, jnp.negative(self.angle)), key)

    def place(self, point: Float[Array, " 2"]) -> Float[Array, " 2"]:
        """Where a point of the wrapped surface lies on this one."""
        return _turn(point, self._pivot, self.angle)

    @property
    def domain(self) -> Domain:
        return self.surface.domain

    @property
    def _pivot(self) -> Float[Array, " 2"]:
        known = self.surface.minima
        if known:
            return known[0]
        lower, upper = self.surface.domain
        return (lower + upper) / 2


class Scaled(_Wrapper):
    """Any surface, its values multiplied by `scale` and its coordinates by `stretch`, both positive.

    Domain, start and minima stretch along. Sign methods and Adam hardly notice `scale`, while the steps of
    gradient descent grow with it; `stretch` asks of every method another learning rate.
    """

    formula: ClassVar[str] = r"s\, f(x / t)"

    scale: ScalarLike = coefficient(1.0, "factor of the values")
    stretch: ScalarLike = coefficient(1.0, "factor of the coordinates")

    def __check_init__(self):
        for field in ("scale", "stretch"):
            number = getattr(self, field)
            if isinstance(number, int | float) and not number > 0:
                raise ValueError(f"Scaled needs {field} > 0, so that minima stay minima, got {number}.")

    def __call__(self, params: Any, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return self.surface(jax.tree.map(lambda p: p / self.stretch, params), key) * self.scale

    def place(self, point: Any) -> Any:
        """Where a point of the wrapped surface lies on this one."""
        return jax.tree.map(lambda p: p * self.stretch, point)


class Noisy(_Wrapper):
    """Any surface with Gaussian noise on its gradient and, if wanted, on its value; itself without a key.

    The gradient noise enters through a term that is zero and whose derivative is the noise: the value and
    the Hessian stay exact, and the gradient is still the automatic one. `gradient_scale` is the standard
    deviation of each entry of the gradient, `value_scale` that of the value. The two draws are independent
    of each other and of what a stochastic surface draws itself.
    """

    formula: ClassVar[str] = r"f(x) + \sigma\,\langle \xi, x - \mathrm{stop}(x) \rangle + \tau\,\eta"

    gradient_scale: ScalarLike = coefficient(1.0, "standard deviation of the noise on each entry of the gradient")
    value_scale: ScalarLike = coefficient(0.0, "standard deviation of the noise on the value")

    @property
    def is_stochastic(self) -> bool:
        return True

    def __call__(self, params: Any, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        if key is None:
            return self.surface(params)
        surface_key, gradient_key, value_key = jax.random.split(key, 3)
        flat = _flat(params)
        direction = jax.random.normal(gradient_key, flat.shape, flat.dtype)
        zero = jnp.vdot(direction, flat - jax.lax.stop_gradient(flat))
        error = jax.random.normal(value_key, (), flat.dtype)
        return self.surface(params, surface_key) + self.gradient_scale * zero + self.value_scale * error


class Averaged(_Wrapper):
    """The mean of a stochastic surface over a fixed set of draws: deterministic, whatever key it is given.

    The draws are `num_samples` keys split from `key`. The mean estimates the expectation, and its minima
    lie only near those of the wrapped surface: none are listed.
    """

    formula: ClassVar[str] = r"\frac{1}{N} \sum_{i=1}^{N} f(x; \xi_i)"
    source: ClassVar[str] = "Kleywegt, Shapiro & Homem-de-Mello (2002), SIAM J. Optim. 12(2), 479-502"

    num_samples: int = eqx.field(static=True)
    key: PRNGKeyArray

    def __check_init__(self):
        if self.num_samples < 1:
            raise ValueError(f"Averaged needs num_samples >= 1, got {self.num_samples}.")

    @property
    def is_stochastic(self) -> bool:
        return False

    def __call__(self, params: Any, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        keys = jax.random.split(self.key, self.num_samples)
        return jnp.mean(jax.vmap(lambda sample: self.surface(params, sample))(keys))

    @property
    def minima(self) -> tuple[Any, ...]:
        return ()


class Slice(_Wrapper):
    """The plane `origin + u direction_x + v direction_y` through any parameters, a surface of (u, v).

    What a plane shows is not what the surface is: a minimum in it need not be one of the surface, and none
    is listed; directions left out may bend the other way. Build one with `Slice.random`,
    `Slice.coordinates` or `Slice.through`. `half_width` is half the side of the square that is its domain.
    """

    formula: ClassVar[str] = r"f(\theta + u\, d_1 + v\, d_2)"
    source: ClassVar[str] = "Li, Xu, Taylor, Studer & Goldstein (2018), NeurIPS 31, arXiv:1712.09913"

    origin: Any = eqx.field(converter=as_params)
    direction_x: Any = eqx.field(converter=as_params)
    direction_y: Any = eqx.field(converter=as_params)
    half_width: ScalarLike = coefficient(1.0, "half the side of the square that is shown")

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return self.surface(self.lift(params), key)

    def lift(self, params: Float[Array, " 2"]) -> Any:
        """The wrapped surface's parameters at the point (u, v) of the plane."""
        u, v = params
        return jax.tree.map(lambda o, x, y: o + u * x + v * y, self.origin, self.direction_x, self.direction_y)

    def project(self, params: Any) -> Float[Array, " 2"]:
        """The (u, v) whose point of the plane is nearest to the wrapped surface's parameters."""
        directions = jnp.stack([_flat(self.direction_x), _flat(self.direction_y)], axis=1)
        return jnp.linalg.lstsq(directions, _flat(params) - _flat(self.origin))[0]

    @property
    def domain(self) -> Domain:
        corner = jnp.full(2, self.half_width, float)
        return -corner, corner

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-0.75, 0.5]) * self.half_width

    @property
    def minima(self) -> tuple[Any, ...]:
        return ()

    @classmethod
    def random(cls, surface: Callable[..., Any], origin: Any, key: PRNGKeyArray, half_width: ScalarLike = 1.0) -> Slice:
        """The plane through `origin` along two random, filter-normalised directions.

        Every filter of a direction is as long as the same filter of the origin, so that one unit changes
        every neuron by as much as its own size, however the network is scaled. A filter is the weights into
        one output: all axes of a leaf but the last, as in `inputs @ weights`. A vector or a number is one
        filter, so that biases of zero stay zero.
        """
        flat, unravel = ravel_pytree(as_params(origin))
        draws = jax.random.normal(key, (2, flat.size), flat.dtype)
        x, y = (_filter_normalised(unravel(draw), unravel(flat)) for draw in draws)
        return cls(as_surface(surface), unravel(flat), x, y, half_width)

    @classmethod
    def coordinates(
        cls, surface: Callable[..., Any], origin: Any, i: int, j: int, half_width: ScalarLike = 1.0
    ) -> Slice:
        """The plane in which only parameters `i` and `j` change, counted from 0 over the flattened tree."""
        flat, unravel = ravel_pytree(as_params(origin))
        if i == j or not {i, j} <= set(range(flat.size)):
            raise ValueError(
                f"Slice.coordinates needs two different indices from 0 to {flat.size - 1}, got {i} and {j}."
            )
        x, y = (unravel(jnp.zeros_like(flat).at[k].set(1)) for k in (i, j))
        return cls(as_surface(surface), unravel(flat), x, y, half_width)

    @classmethod
    def through(
        cls, surface: Callable[..., Any], a: Any, b: Any, c: Any, half_width: ScalarLike | None = None
    ) -> Slice:
        """The plane through three points, in units of distance: `a` at (0, 0), `b` to its right, `c` above.

        Without `half_width` the square reaches half as far again as the farther of `b` and `c`.
        """
        origin, unravel = ravel_pytree(as_params(a))
        sides = jnp.stack([_flat(as_params(point)) - origin for point in (b, c)], axis=1)
        basis, triangle = jnp.linalg.qr(sides)
        heights, reach = jnp.diagonal(triangle), jnp.max(jnp.linalg.norm(sides, axis=0))
        if not isinstance(reach, jax.core.Tracer) and not jnp.min(jnp.abs(heights)) > 1e-6 * reach:
            raise ValueError("Slice.through needs three different points that are not on one line; these are.")
        x, y = (basis * jnp.sign(heights)).T
        half_width = 1.5 * reach if half_width is None else half_width
        return cls(as_surface(surface), unravel(origin), unravel(x), unravel(y), half_width)


def _combine(operation: Callable[..., Array], params: Any, offset: Any) -> Any:
    """`operation` leaf by leaf; an offset that is a single array serves every leaf."""
    if jax.tree.structure(offset) == jax.tree.structure(params):
        return jax.tree.map(operation, params, offset)
    return jax.tree.map(lambda p: operation(p, offset), params)


def _flat(params: Any) -> Float[Array, " n"]:
    return ravel_pytree(params)[0]


def _turn(point: Float[Array, " 2"], pivot: Float[Array, " 2"], angle: ScalarLike) -> Float[Array, " 2"]:
    x, y = point - pivot
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return pivot + jnp.stack([cos * x - sin * y, sin * x + cos * y])


def _filter_normalised(direction: Any, origin: Any) -> Any:
    return jax.tree.map(lambda d, o: d * _filter_lengths(o) / _filter_lengths(d), direction, origin)


def _filter_lengths(leaf: Array) -> Array:
    axes = tuple(range(leaf.ndim - 1)) if leaf.ndim > 1 else None
    return jnp.sqrt(jnp.sum(leaf**2, axis=axes, keepdims=True))
