"""Convex surfaces: bowls of known curvature, and losses that are flat or kinked where bowls are not."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, as_params, box, coefficient
from surfaces.pieces import magnitude, require_condition_number, require_dimension, require_positive, require_whole


class Sphere(LossSurface):
    """The perfectly conditioned bowl: the gradient points straight away from the minimum.

    Gradient descent with learning rate 1/2 is there in one step, so whatever an optimizer does beyond a
    straight line is its own doing: the zigzag of a sign-like update, the overshoot of momentum, the bias of a
    moving average.
    """

    formula: ClassVar[str] = r"f(x) = \sum_{i=1}^{n} x_i^2"
    source: ClassVar[str] = (
        "De Jong (1975), An Analysis of the Behavior of a Class of Genetic Adaptive Systems, "
        "PhD thesis, University of Michigan, F1"
    )

    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return jnp.sum(params**2)

    @property
    def domain(self) -> Domain:
        return box(-5.12, 5.12, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.resize(jnp.array([-4.0, 2.0]), (self.dimension,))

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


class QuadraticBowl(LossSurface):
    """An elliptic bowl in two dimensions: eigenvalue 1 along `angle`, `condition_number` across it.

    Gradient descent zigzags across the narrow direction while it creeps along the wide one; its best
    learning rate still leaves (κ - 1) / (κ + 1) of the error after each step. The axes are turned by 30
    degrees because an axis-aligned bowl flatters optimizers that scale each coordinate by itself: watch Adam
    or RMSProp as `angle` goes to zero.
    """

    formula: ClassVar[str] = (
        r"f(x, y) = \tfrac12 u^2 + \tfrac{\kappa}{2} v^2, \quad "
        r"u = x \cos\theta + y \sin\theta, \quad v = y \cos\theta - x \sin\theta"
    )
    source: ClassVar[str] = "Boyd & Vandenberghe (2004), Convex Optimization, Cambridge University Press, section 9.3.2"

    condition_number: ScalarLike = coefficient(10.0, "largest curvature over the smallest")
    angle: ScalarLike = coefficient(np.pi / 6, "how far the flat direction is turned from the x axis, in radians")

    def __check_init__(self):
        require_condition_number(self)

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        along, across = self._along_axes(params)
        return 0.5 * (along**2 + self.condition_number * across**2)

    def residuals(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, " 2"]:
        """The vector r with f = |r|²/2."""
        along, across = self._along_axes(params)
        return jnp.stack([along, jnp.sqrt(self.condition_number) * across])

    def _along_axes(self, params: Float[Array, " 2"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        x, y = params
        cosine, sine = jnp.cos(self.angle), jnp.sin(self.angle)
        return x * cosine + y * sine, y * cosine - x * sine

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0)

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-4.0, -1.0])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (jnp.zeros(2),)


class Quadratic(LossSurface):
    """A quadratic with a given Hessian spectrum, in any dimension, along the axes or turned at random.

    `spectrum` holds the eigenvalues; their spread, gaps and clusters are what first-order methods feel. With
    `seed=None` the eigenvectors are the coordinate axes; an integer draws an orthogonal basis, the same one
    every time, which changes nothing for gradient descent and much for coordinate-wise methods. A zero
    eigenvalue makes the minimizers a whole subspace, of which only the origin is listed.
    """

    formula: ClassVar[str] = r"f(x) = \tfrac12 \sum_{i=1}^{n} \lambda_i\,(q_i^\top x)^2"
    source: ClassVar[str] = "Nocedal & Wright (2006), Numerical Optimization, 2nd ed., Springer, section 3.3"

    spectrum: Float[Array, " n"] = eqx.field(
        converter=lambda given: as_params(jnp.asarray(given)),
        default_factory=lambda: jnp.geomspace(1.0, 100.0, 4),
        metadata={"meaning": "eigenvalues of the Hessian"},
    )
    seed: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.seed is not None:
            require_whole(self, 0, seed=self.seed)
        if self.spectrum.ndim != 1 or not self.spectrum.size:
            raise ValueError(
                "Quadratic needs spectrum to be a vector of eigenvalues, one per dimension, "
                f"got an array of shape {self.spectrum.shape}. Give for example jnp.geomspace(1.0, 100.0, 4)."
            )
        if isinstance(self.spectrum, Tracer):
            return
        if not np.isfinite(self.spectrum).all():
            raise ValueError(f"Quadratic needs finite eigenvalues, got the spectrum {self.spectrum}.")
        if np.min(self.spectrum) < 0:
            raise ValueError(
                f"Quadratic needs eigenvalues >= 0, or it has no minimum, got {np.min(self.spectrum)} in its "
                "spectrum. Take absolute values, or descend a saddle surface."
            )

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return 0.5 * jnp.sum(self.spectrum * self._along_eigenvectors(params) ** 2)

    def _along_eigenvectors(self, params: Float[Array, " n"]) -> Float[Array, " n"]:
        if self.seed is None:
            return params
        basis = jnp.asarray(_orthogonal_basis(self.dimension, self.seed), params.dtype)
        # Accelerators may round the factors of a matrix product to 10 bits unless told not to.
        return jnp.matmul(params, basis, precision=jax.lax.Precision.HIGHEST)

    @property
    def dimension(self) -> int:
        """The number of parameters: the length of the spectrum."""
        return self.spectrum.shape[-1]

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.resize(jnp.array([-4.0, 2.0]), (self.dimension,))

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


class LogCosh(LossSurface):
    """A bowl near the minimum, a cone far away, and smooth in between.

    No partial derivative exceeds 1, while the curvature dies off exponentially: far out gradient descent
    walks at a constant pace, and Newton's method, exact on a bowl, diverges from any coordinate beyond
    1.0887.
    """

    formula: ClassVar[str] = r"f(x) = \sum_{i=1}^{n} \log \cosh x_i"
    source: ClassVar[str] = "Green (1990), IEEE Transactions on Medical Imaging 9(1), 84-93"

    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        # cosh overflows far out, and log(cosh) loses every digit near 0: each side has its own exact form.
        size = jnp.abs(params)
        near = jnp.where(size < 1, params, 0.0)
        far = jnp.where(size < 1, 1.0, size)
        bowl = jnp.log1p(2 * jnp.sinh(near / 2) ** 2)
        cone = far + jnp.log1p(jnp.exp(-2 * far)) - jnp.log(2.0)
        return jnp.sum(jnp.where(size < 1, bowl, cone))

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.resize(jnp.array([-4.0, 2.0]), (self.dimension,))

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


class Huber(LossSurface):
    """A bowl up to a distance of `delta` in each coordinate, exactly linear beyond, as in robust regression.

    Out there the gradient says nothing about the distance left and the Hessian is singular: Newton's method
    has no step to take, and an optimizer that adapts to the size of the gradient has nothing to adapt to. The
    curvature jumps from 1 to 0 on the seam.
    """

    formula: ClassVar[str] = (
        r"f(x) = \sum_{i=1}^{n} \begin{cases} \tfrac12 x_i^2 & |x_i| \le \delta \\ "
        r"\delta\,(|x_i| - \tfrac12 \delta) & |x_i| > \delta \end{cases}"
    )
    source: ClassVar[str] = "Huber (1964), The Annals of Mathematical Statistics 35(1), 73-101"

    delta: ScalarLike = coefficient(1.0, "distance from 0 beyond which each coordinate is linear")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_positive(self, delta=self.delta)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        size = jnp.abs(params)
        return jnp.sum(jnp.where(size <= self.delta, 0.5 * params**2, self.delta * (size - 0.5 * self.delta)))

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        return jnp.resize(jnp.array([-4.0, 2.0]), (self.dimension,))

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


class AbsoluteValue(LossSurface):
    """The L1 norm, a kink along every axis: the gradient keeps its length right up to the minimum.

    A constant learning rate therefore never converges but hops over the kink for ever; only a decaying step,
    or a proximal one, settles. The slopes grow geometrically from 1 in the first coordinate to `slope_ratio`
    in the last. At a kink the derivative is 0, the subgradient of least norm, and the Hessian is 0
    everywhere.
    """

    formula: ClassVar[str] = r"f(x) = \sum_{i=1}^{n} r^{(i-1)/(n-1)}\,|x_i|"
    source: ClassVar[str] = "Shor (1985), Minimization Methods for Non-Differentiable Functions, Springer"

    slope_ratio: ScalarLike = coefficient(1.0, "slope along the last coordinate over that along the first")
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_dimension(self)
        require_positive(self, slope_ratio=self.slope_ratio)

    def __call__(self, params: Float[Array, " n"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        slopes = self.slope_ratio ** jnp.linspace(0.0, 1.0, self.dimension, dtype=params.dtype)
        return jnp.sum(slopes * magnitude(params))

    @property
    def domain(self) -> Domain:
        return box(-5.0, 5.0, self.dimension)

    @property
    def start(self) -> Float[Array, " n"]:
        # From a round number a round learning rate would land on the kink itself.
        return jnp.resize(jnp.array([-jnp.pi, jnp.e]), (self.dimension,))

    @property
    def minima(self) -> tuple[Float[Array, " n"], ...]:
        return (jnp.zeros(self.dimension),)


def _orthogonal_basis(dimension: int, seed: int) -> np.ndarray:
    # NumPy, not JAX: the basis is a constant of the program, in full precision whatever the default type.
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))
    return q * np.sign(np.diag(r))
