r"""Where training ends well and where it diverges, over the learning rates of two layers; and how rough the edge is.

The network is that of Sohl-Dickstein (2024), arXiv:2402.06184, smaller: `n` inputs, `n` tanh neurons, one output and no
biases,

$$\hat y(x) = \frac{1}{n}\, w \cdot \tanh\Big(\sqrt{\tfrac{2}{n}}\, W x\Big),$$

mean squared error, weights, inputs and targets all standard normal, as many examples as weights, full-batch gradient
descent with one learning rate per layer. His own have 16 neurons.

Letters in shapes: `n` neurons, `m` examples, `N` pixels along a side.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

import optviz
from optviz.optimizers import OptimizerSpec
from optviz.sweeps import End, StreamedMetric
from optviz.trace import OptimizerStep
from surfaces.base import Domain, LossSurface
from surfaces.pieces import is_whole

FINEST = 1e-14  # relative distance of neighbouring rates that double precision still tells apart
HIGHEST = 1e6  # what a loss over the first loss counts at most
Weights = dict[str, Array]


class TanhNetwork(LossSurface):
    """The training loss of a two-layer tanh network without biases, and the weights that training starts from."""

    formula: ClassVar[str] = (
        r"f(W, w) = \frac{1}{m} \sum_{i=1}^{m} \big(\tfrac{1}{n}\, w \cdot \tanh(\sqrt{2 / n}\, W x_i) - y_i\big)^2"
    )
    source: ClassVar[str] = "Sohl-Dickstein (2024), arXiv:2402.06184"

    inputs: Float[Array, "m n"]
    targets: Float[Array, " m"]
    initial: Weights

    @classmethod
    def random(cls, neurons: int = 4, seed: int = 0) -> TanhNetwork:
        """A network, its data and its first weights, drawn by NumPy: the same numbers in any precision."""
        if not is_whole(neurons) or neurons < 1:
            raise ValueError(f"neurons must be a whole number, at least 1, got {neurons!r}.")
        normal = np.random.default_rng(seed).standard_normal
        examples = neurons * (neurons + 1)
        inputs, targets = jnp.asarray(normal((examples, neurons))), jnp.asarray(normal(examples))
        first, second = jnp.asarray(normal((neurons, neurons))), jnp.asarray(normal(neurons))
        return cls(inputs, targets, {"first": first, "second": second})

    def __call__(self, params: Weights, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        neurons = self.inputs.shape[1]
        hidden = jnp.tanh(math.sqrt(2 / neurons) * self.inputs @ params["first"])
        return jnp.mean((hidden @ params["second"] / neurons - self.targets) ** 2)

    @property
    def domain(self) -> Domain:
        upper = jax.tree.map(lambda w: jnp.full(w.shape, 10.0), self.initial)
        return jax.tree.map(jnp.negative, upper), upper

    @property
    def start(self) -> Weights:
        return self.initial


def layerwise_gd(first_rate: Any, second_rate: Any) -> optax.GradientTransformation:
    """Gradient descent with a learning rate for each layer of parameters `{"first": ..., "second": ...}`."""
    rates = {"first": first_rate, "second": second_rate}
    return optax.stateless(lambda grads, _: jax.tree.map(lambda g, rate: -rate * g, grads, rates))


class Window(NamedTuple):
    """A square piece of the plane of the two rates: its centre, and the length of its sides in decades."""

    first_rate: float
    second_rate: float
    decades: float

    def rates(self, points: int) -> tuple[np.ndarray, np.ndarray]:
        """The rates of `points` pixels along each side, `(N,)` each, equally spaced in the logarithm."""
        shift = self.decades * ((np.arange(points) + 0.5) / points - 0.5)
        return self.first_rate * 10**shift, self.second_rate * 10**shift

    def zoomed(self, edge: Bool[np.ndarray, "N N"], factor: float, seed: int) -> Window:
        """The window `factor` times smaller around a pixel of the edge, drawn at random: no place is favoured."""
        pixels = np.argwhere(edge)
        row, column = pixels[np.random.default_rng(seed).integers(len(pixels))]
        first, second = self.rates(edge.shape[0])
        return Window(float(first[column]), float(second[row]), self.decades / factor)


def trainability(surface: LossSurface, window: Window, points: int, num_steps: int, every: int = 1) -> Any:
    """Train once for every pixel, or for each `every`-th along both sides; `(second_rate, first_rate)` each:

    * `diverged`: whether the loss over the first loss, averaged over about the last 20 steps, is 1 or more, or not
      finite. The last loss alone would say that of half of the runs that go on without end, neither up nor down.
    * `mean_loss`: the loss over the first loss, averaged over the steps; low where training converges fast.
    * `steps_held`: how many steps the loss stays at its first, a step at k times the first loss counting 1 / k; low
      where training diverges fast.
    """
    first, second = (rates[::every] for rates in window.rates(points))
    measured = _measures(float(surface(surface.start)))
    spec = OptimizerSpec(layerwise_gd, first_rate=1.0, second_rate=1.0)
    axes = {"second_rate": second, "first_rate": first}
    begun = time.perf_counter()
    swept = optviz.sweep(spec, surface, surface.start, num_steps, axes=axes, metrics=measured)
    return swept.assign_attrs(window._asdict(), seconds=time.perf_counter() - begun)


@functools.cache  # so that another window finds the same functions, and compiles nothing
def _measures(first_loss: float) -> Mapping[str, StreamedMetric]:
    def recent(total: Array, row: OptimizerStep, loss: Array, surface: LossSurface) -> Array:
        known = jnp.where(jnp.isfinite(loss), jnp.minimum(loss / first_loss, HIGHEST), HIGHEST)
        return total + (known - total) / 20

    def summed(total: Array, row: OptimizerStep, loss: Array, surface: LossSurface) -> Array:
        return total + loss / first_loss

    def held(total: Array, row: OptimizerStep, loss: Array, surface: LossSurface) -> Array:
        return total + jnp.where(loss > first_loss, first_loss / loss, loss <= first_loss)

    return {
        "diverged": StreamedMetric("whether recent losses are above the first", "", _is_above_one, 0.0, recent),
        "mean_loss": StreamedMetric("mean loss over the first loss", "", _per_step, 0.0, summed),
        "steps_held": StreamedMetric("steps at the first loss", "steps", _total, 0.0, held),
    }


def _is_above_one(total: Array, end: End) -> Array:
    return total >= 1


def _per_step(total: Array, end: End) -> Array:
    return total / end.num_steps


def _total(total: Array, end: End) -> Array:
    return total


def edge_of(diverged: Bool[np.ndarray, "N N"]) -> Bool[np.ndarray, "N N"]:
    """The pixels that differ from a neighbour to the right, above, or above to the right."""
    edge = np.zeros_like(diverged)
    here = diverged[:-1, :-1]
    edge[:-1, :-1] = (here != diverged[1:, :-1]) | (here != diverged[:-1, 1:]) | (here != diverged[1:, 1:])
    return edge


def box_counts(edge: Bool[np.ndarray, "N N"]) -> tuple[np.ndarray, np.ndarray]:
    """Sides of boxes in pixels, 1, 2, 4, ... up to an eighth of the picture, and how many hold some of the edge."""
    sides = 2 ** np.arange(int(math.log2(max(edge.shape[0] // 8, 1))) + 1)
    length = edge.shape[0] // sides[-1] * sides[-1]
    whole = edge[:length, :length]
    return sides, np.array([int(whole.reshape(length // s, s, length // s, s).any((1, 3)).sum()) for s in sides])


def local_dimensions(edge: Bool[np.ndarray, "N N"]) -> np.ndarray:
    """The dimension from each side of boxes to the next: by what power of the side their number falls.

    Their median is the estimate of Sohl-Dickstein (2024). Empty if there is no edge.
    """
    counts = box_counts(edge)[1]
    return np.log2(counts[:-1] / counts[1:]) if counts.all() else np.zeros(0)


class Separable(LossSurface):
    """Two weights of curvature 1 each: the edge is straight, for each diverges from its own rate 2 on."""

    def __call__(self, params: Weights, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return (params["first"] ** 2 + params["second"] ** 2) / 2

    @property
    def domain(self) -> Domain:
        upper = {"first": jnp.array(2.0), "second": jnp.array(2.0)}
        return jax.tree.map(jnp.negative, upper), upper

    @property
    def start(self) -> Weights:
        return {"first": jnp.array(1.0), "second": jnp.array(1.0)}
