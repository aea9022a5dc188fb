"""Small neural networks whose parameters are a PyTree: the shapes of training, at the size of a test.

They are `{"hidden": {"weight": (2, width), "bias": (width,)}, "output": {"weight": (width, 1), "bias":
(1,)}}`.
"""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface, coefficient
from surfaces.pieces import is_whole, require_finite, require_whole
from surfaces.regression import check_batch_size, minibatch, standard_normal
from surfaces.wrappers import Slice

NetworkParams = dict[str, dict[str, Float[Array, " ..."]]]


class _TwoLayerNetwork(LossSurface):
    """A tanh network of two inputs, one hidden layer and one output; logistic loss on labels -1 and 1.

    With `batch_size`, a key stands for a random batch drawn without replacement; without either, every
    example counts.
    """

    formula: ClassVar[str] = (
        r"f(W, b, v, c) = \frac{1}{N} \sum_{i=1}^{N} \log(1 + e^{-y_i z_i}), \quad "
        r"z_i = v \cdot \tanh(W x_i + b) + c"
    )

    width: eqx.AbstractVar[int]
    batch_size: eqx.AbstractVar[int | None]

    def __check_init__(self):
        require_finite(self)
        require_whole(self, width=self.width)
        check_batch_size(self, self.batch_size, self.num_examples)

    @property
    @abc.abstractmethod
    def num_examples(self) -> int:
        """How many labelled points there are."""

    @property
    @abc.abstractmethod
    def data(self) -> tuple[Float[Array, " n 2"], Float[Array, " n"]]:
        """Inputs and labels (-1 or 1)."""

    def __call__(self, params: NetworkParams, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        inputs, labels = minibatch(self.data, self.batch_size, key)
        outputs = self.predict(params, inputs)
        return jnp.mean(jax.nn.softplus(-labels.astype(outputs.dtype) * outputs))

    def predict(self, params: NetworkParams, inputs: Float[Array, " n 2"]) -> Float[Array, " n"]:
        """The network's output for every input: positive where it says 1."""
        hidden, output = params["hidden"], params["output"]
        inputs = inputs.astype(hidden["weight"].dtype)
        neurons = jnp.tanh(inputs @ hidden["weight"] + hidden["bias"])
        return (neurons @ output["weight"] + output["bias"])[:, 0]

    def initialize(self, key: PRNGKeyArray) -> NetworkParams:
        """Random parameters: normal weights of variance one over the number of inputs, biases zero."""
        hidden_key, output_key = jax.random.split(key)
        return {
            "hidden": _random_layer(hidden_key, 2, self.width),
            "output": _random_layer(output_key, self.width, 1),
        }

    def plane(self, key: PRNGKeyArray, origin: NetworkParams | None = None, half_width: ScalarLike = 1.0) -> Slice:
        """A random filter-normalised plane through `origin`, or through `start`, to be drawn."""
        return Slice.random(self, self.start if origin is None else origin, key, half_width)

    @property
    def domain(self) -> Domain:
        upper = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 10.0), self.start)
        return jax.tree.map(jnp.negative, upper), upper

    @property
    def start(self) -> NetworkParams:
        return self.initialize(jax.random.key(0))


class XorNetwork(_TwoLayerNetwork):
    """The exclusive or of two inputs, learnt by a small tanh network: the classic need for a hidden layer.

    Two neurons suffice, but then about a third of all random starts end near loss log(2) / 2, with two of
    the points told apart and two undecided; with the three neurons of the default this is rarer. No minimum
    is listed since there is none: once all four points are told apart, larger weights always lower the
    loss, towards zero at infinity.
    """

    source: ClassVar[str] = (
        "Rumelhart, Hinton & Williams (1986), Learning Internal Representations by Error Propagation, in Parallel "
        "Distributed Processing 1, MIT Press, 318-362"
    )

    width: int = eqx.field(static=True, default=3)
    batch_size: int | None = eqx.field(static=True, default=None)

    @property
    def num_examples(self) -> int:
        return 4

    @property
    def data(self) -> tuple[Float[Array, " 4 2"], Float[Array, " 4"]]:
        inputs = jnp.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
        return inputs, -inputs[:, 0] * inputs[:, 1]


class SpiralNetwork(_TwoLayerNetwork):
    """Two interleaved spiral arms to be told apart: a small network whose loss falls in stages.

    A run first rests on a plateau near the loss of a straight border, about 0.6 for one turn, until the
    neurons bend the border around the arms one after the other; more `turns` make the plateau longer.
    Batches of it are the usual picture of training noise, and its planes that of a loss landscape. No
    minimum is listed: a network that tells all points apart lowers the loss without end as its weights
    grow, and none is known for one that does not.
    """

    source: ClassVar[str] = "Lang & Witbrock (1988), Proc. Connectionist Models Summer School, 52-59"

    turns: ScalarLike = coefficient(1.0, "turns of each spiral arm")
    noise: ScalarLike = coefficient(0.02, "standard deviation of the noise on each coordinate of a point")
    width: int = eqx.field(static=True, default=16)
    points_per_arm: int = eqx.field(static=True, default=64)
    seed: int = eqx.field(static=True, default=0)
    batch_size: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        require_whole(self, points_per_arm=self.points_per_arm)
        if not is_whole(self.seed):
            raise ValueError(f"SpiralNetwork needs a whole seed, got {self.seed}.")

    @property
    def num_examples(self) -> int:
        return 2 * self.points_per_arm

    @property
    def data(self) -> tuple[Float[Array, " n 2"], Float[Array, " n"]]:
        """Inputs and labels (-1 or 1): the second arm is the first turned half round."""
        radius = jnp.linspace(0.1, 1.0, self.points_per_arm)
        angle = 2 * jnp.pi * self.turns * radius
        arm = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle)], axis=1)
        points = jnp.concatenate([arm, -arm])
        labels = jnp.repeat(jnp.array([1.0, -1.0]), self.points_per_arm)
        return points + self.noise * standard_normal(self.seed, points.shape), labels


def _random_layer(key: PRNGKeyArray, inputs: int, outputs: int) -> dict[str, Array]:
    weight = jax.random.normal(key, (inputs, outputs), jnp.float32) / inputs**0.5
    return {"weight": weight.astype(jnp.result_type(float)), "bias": jnp.zeros(outputs)}
