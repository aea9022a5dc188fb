"""Regression losses of few parameters, on small data sets that are generated, always alike, where needed."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, ScalarLike

from surfaces.base import Domain, LossSurface, coefficient
from surfaces.pieces import is_whole, require_finite, require_whole


class LogisticRegression(LossSurface):
    """Two weights that tell apart two overlapping classes: smooth, strictly convex, flat towards the answer.

    The two features are correlated, so that the level sets are long ellipses across the axes: the sum of
    the weights is learnt about ten times as fast as their difference. The l2 `penalty` makes the minimum
    unique, and draws it nearer to the origin the larger it is; there is no formula for it, and it is found
    by Newton's method, to the last digit, for whatever the coefficients are. With `batch_size`, a key
    stands for a random batch, as in training.
    """

    formula: ClassVar[str] = (
        r"f(w) = \frac{1}{N} \sum_{i=1}^{N} \log(1 + e^{-y_i\, w \cdot x_i}) + \frac{\lambda}{2} |w|^2"
    )
    source: ClassVar[str] = "Cox (1958), Journal of the Royal Statistical Society B 20(2), 215-242"

    penalty: ScalarLike = coefficient(0.01, "strength of the l2 penalty on the weights")
    correlation: ScalarLike = coefficient(0.9, "correlation of the two features")
    num_points: int = eqx.field(static=True, default=128)
    batch_size: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        require_finite(self)
        require_whole(self, num_points=self.num_points)
        check_batch_size(self, self.batch_size, self.num_points)
        if isinstance(self.penalty, int | float) and self.penalty < 0:
            raise ValueError(f"LogisticRegression needs penalty >= 0, got {self.penalty}.")
        if isinstance(self.correlation, int | float) and not -1 < self.correlation < 1:
            raise ValueError(
                f"LogisticRegression needs -1 < correlation < 1 between its features, got {self.correlation}."
            )
        if isinstance(self.penalty, int | float) and self.penalty == 0 and self._is_separable():
            raise ValueError(
                f"LogisticRegression needs penalty > 0 for these {self.num_points} points: a line tells them apart, "
                "and without a penalty larger weights always lower the loss. Give a penalty, or more points."
            )

    def _is_separable(self) -> bool:
        """Whether the features, turned round at label -1, lie in a half plane; no if correlation is traced."""
        if isinstance(self.correlation, Tracer):
            return False
        with jax.ensure_compile_time_eval():
            features, labels = map(np.asarray, self.data)
        angles = np.sort(np.arctan2(*(labels[:, None] * features).T))
        return bool(np.diff(angles, append=angles[0] + 2 * np.pi).max() >= np.pi)

    def __call__(self, params: Float[Array, " 2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        features, labels = minibatch(self.data, self.batch_size, key)
        margins = labels * (features.astype(params.dtype) @ params)
        return jnp.mean(jax.nn.softplus(-margins)) + jnp.asarray(self.penalty) / 2 * jnp.sum(params**2)

    @property
    def data(self) -> tuple[Float[Array, " n 2"], Float[Array, " n"]]:
        """Features and labels (-1 or 1), the labels drawn as if the weights were (3, -2)."""
        first, other = standard_normal(0, (2, self.num_points))
        second = self.correlation * first + jnp.sqrt(1 - jnp.square(self.correlation)) * other
        doubt = jax.random.logistic(jax.random.key(1), (self.num_points,), jnp.float32)
        return jnp.stack([first, second], axis=1), jnp.where(3 * first - 2 * second > doubt, 1.0, -1.0)

    @property
    def domain(self) -> Domain:
        return jnp.array([-3.0, -5.0]), jnp.array([6.0, 3.0])

    @property
    def start(self) -> Float[Array, " 2"]:
        return jnp.array([-2.0, 2.0])

    @property
    def minima(self) -> tuple[Float[Array, " 2"], ...]:
        return (newton_minimum(self, jnp.zeros(2)),)


@jax.jit
def newton_minimum(surface: LossSurface, start: Float[Array, " n"]) -> Float[Array, " n"]:
    """The minimum of a strictly convex surface near `start`, by thirty Newton steps; traceable."""

    def step(_: Any, params: Array) -> Array:
        return params - jnp.linalg.solve(jax.hessian(surface)(params), jax.grad(surface)(params))

    return jax.lax.fori_loop(0, 30, step, start)


def standard_normal(seed: int, shape: tuple[int, ...]) -> Float[Array, " ..."]:
    """Normal numbers that are the same in single and in double precision."""
    return jax.random.normal(jax.random.key(seed), shape, jnp.float32).astype(jnp.result_type(float))


def minibatch(data: PyTree[Array], batch_size: int | None, key: PRNGKeyArray | None) -> PyTree[Array]:
    """`batch_size` examples drawn without replacement; all of them if there is no key or no batch size."""
    if key is None or batch_size is None:
        return data
    num_examples = jax.tree.leaves(data)[0].shape[0]
    chosen = jax.random.choice(key, num_examples, (batch_size,), replace=False)
    return jax.tree.map(lambda leaf: leaf[chosen], data)


def check_batch_size(surface: Any, batch_size: int | None, num_examples: int) -> None:
    """Raise unless a batch can be drawn without replacement."""
    if batch_size is not None and not (is_whole(batch_size) and 1 <= batch_size <= num_examples):
        raise ValueError(
            f"{type(surface).__name__} draws batches from {num_examples} examples without replacement "
            f"and needs a whole batch_size from 1 to {num_examples}, or None for all of them, got {batch_size}."
        )
