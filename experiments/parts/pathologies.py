"""The cases of `pathological_cases`: an optimizer, a surface on which it fails, how it should fail, and a cure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

import optviz
import surfaces
from optviz import metrics, schedules


@dataclasses.dataclass(frozen=True)
class Case:
    """A failure with its prediction and its cure.

    `curve(trace)` is the quantity along the path, `(T + 1,)`; what is measured is its mean over the last `average`
    points. Where several predictions exclude each other, as after a throw to one side or the other, the nearest counts.
    """

    name: str
    why: str
    surface: Any
    failing: Any
    cured: Any
    cure: str
    quantity: str
    curve: Callable[[Any], Any]
    predicted: tuple[float, ...]
    num_steps: int
    start: Any = None
    key: int | None = None
    average: int = 1

    def record(self, optimizer: Any) -> Any:
        """A run of this case."""
        start = self.surface.start if self.start is None else self.start
        return optviz.record(optimizer, self.surface, start, self.num_steps, key=self.key, fields=("params", "loss"))

    def measured(self, trace: Any) -> float:
        """The quantity at the end of a run."""
        return float(np.mean(np.asarray(self.curve(trace), float)[-self.average :]))

    def nearest_prediction(self, measured: float) -> float:
        """The prediction that is meant."""
        return min(self.predicted, key=lambda value: abs(value - measured))


def _number(x: Any) -> float:
    """A coefficient of a surface as a float."""
    return float(np.asarray(x))


def _losses(trace: Any) -> Any:
    return trace.losses


def _mean_coordinate(trace: Any) -> Any:
    return jnp.mean(trace.path, axis=-1)


def _from_ridge(trace: Any) -> Any:
    return jnp.abs(trace.path[:, 1])


def clipped_gd(learning_rate: Any, max_norm: float) -> optax.GradientTransformation:
    """Gradient descent with gradients of at most `max_norm`."""
    return optax.chain(optax.clip_by_global_norm(max_norm), optax.sgd(learning_rate))


def adam_l2(learning_rate: Any, weight_decay: float) -> optax.GradientTransformation:
    """Adam on the loss plus `weight_decay / 2` times the squared norm of the parameters."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(learning_rate))


def adam_climbs() -> Case:
    """Reddi et al. (2018), ICLR, Theorem 3; rare slopes twice as often as there, so that 20 000 steps are enough."""
    adam = optviz.optimizer("adam", learning_rate=0.01, b2=0.9)
    return Case(
        "Adam climbs",
        "the rare steep slope up is divided by its own size, the common gentle slope down by a mean square that has "
        "forgotten it",
        surfaces.ReddiOnline(probability=0.02),
        adam,
        optviz.optimizer("amsgrad", learning_rate=0.01, b2=0.9),
        "remember the largest square",
        "mean of x",
        _mean_coordinate,
        (1.0,),
        20_000,
        key=0,
        average=2000,
    )


def adagrad_stalls() -> Case:
    """On a constant slope the step t is learning_rate / sqrt(t + 0.1 + eps): Duchi et al. (2011), Optax's first sum."""
    rate, num_steps, start = 0.1, 2000, np.array([-100.0, -50.0])
    adagrad = optviz.optimizer("adagrad", learning_rate=rate)
    first = sum(float(adagrad.hyperparameters[name]) for name in ("initial_accumulator_value", "eps"))
    travelled = rate * np.sum(1 / np.sqrt(np.arange(1, num_steps + 1) + first))
    return Case(
        "AdaGrad stalls",
        "its rate falls as one over the root of the steps taken, however far the minimum is",
        surfaces.Huber(),
        adagrad,
        optviz.optimizer("rmsprop", learning_rate=rate),
        "forget old squares",
        "distance",
        metrics.distances,
        (float(np.linalg.norm(start + travelled)),),
        num_steps,
        start,
    )


def thrown_off_the_cliff() -> Case:
    """Pascanu, Mikolov & Bengio (2013), ICML: one step from the wall ends where the neuron is saturated, at 0 or 1."""
    cliff = surfaces.Cliff()
    return Case(
        "Thrown off the cliff",
        "a step from the wall of exploding gradients ends where the neuron is saturated and no gradient leads back",
        cliff,
        optviz.optimizer("gd", learning_rate=0.3),
        optviz.OptimizerSpec(clipped_gd, "clipped gd", learning_rate=0.3, max_norm=0.1),
        "clip the gradient",
        "loss",
        _losses,
        (_number(cliff.target) ** 2, (1 - _number(cliff.target)) ** 2),
        2000,
    )


def decay_in_the_gradient() -> Case:
    """The minimum of h (x - m)^2 / 2 + d x^2 / 2 is h m / (h + d): at m d / (h + d) from m."""
    surface, decay = surfaces.ShiftedOptimum(), 0.05
    curvatures = np.diag(np.asarray(surface.hessian(surface.start), float))
    return Case(
        "L2 in the gradient",
        "the penalty moves the minimum, most where the loss is flattest",
        surface,
        optviz.OptimizerSpec(adam_l2, "adam with L2", learning_rate=0.05, weight_decay=decay),
        optviz.optimizer("adamw", learning_rate=0.05, weight_decay=decay),
        "decouple the decay",
        "distance",
        metrics.distances,
        (float(np.linalg.norm(surface.distance * decay / (curvatures + decay))),),
        4000,
    )


def decoupled_decay() -> Case:
    """AdamW rests within |x| <= 1 / decay: Xie & Li (2024), arXiv:2404.04454."""
    surface, decay = surfaces.ShiftedOptimum(), 0.2
    outside = max(_number(surface.distance) - 1 / decay, 0.0)
    return Case(
        "Decoupled decay",
        "an update is at most one rate long, so that no coordinate gets beyond one over the decay",
        surface,
        optviz.optimizer("adamw", learning_rate=0.05, weight_decay=decay),
        optviz.optimizer("adamw", learning_rate=0.05, weight_decay=0.02),
        "a tenth of the decay",
        "distance",
        metrics.distances,
        (float(np.sqrt(2) * outside),),
        8000,
    )


def bounces_at_the_kink() -> Case:
    """From x > 0 a step leads to x - rate and back: |x| is half a rate on the average of two steps."""
    rate, num_steps = 0.1, 400
    decayed = schedules.Linear(rate, 0.0, num_steps)
    return Case(
        "Bounces at a kink",
        "the gradient keeps its sign and its size up to the minimum, so that every step is one rate long",
        surfaces.AbsoluteValue(),
        optviz.optimizer("sign_sgd", learning_rate=rate),
        optviz.optimizer("sign_sgd", learning_rate=decayed),
        "let the rate fall",
        "loss",
        _losses,
        (2 * rate / 2,),
        num_steps,
        average=20,
    )


def stuck_on_the_crease() -> Case:
    """On both sides of a crease turned by more than arctan(1 / weight) the signs are opposite.

    The path goes along a diagonal, and ends where that meets the crease.
    """
    surface = surfaces.Kinks()
    cos, sin = float(np.cos(surface.angle)), float(np.sin(surface.angle))
    x, y = np.asarray(surface.start - surface.minima[0], float)
    steps = (cos * y - sin * x) / (cos + sin)  # of size 1 in both coordinates, to the right and down
    return Case(
        "Stuck on a crease",
        "on both sides of the turned crease all signs are opposite, so that no step along it is left",
        surface,
        optviz.optimizer("sign_sgd", learning_rate=0.01),
        optviz.optimizer("lion", learning_rate=0.01, weight_decay=0.0),
        "average, then take signs",
        "distance",
        metrics.distances,
        (float(np.hypot(x + steps, y - steps)),),
        2000,
        average=2,
    )


def stays_at_the_saddle() -> Case:
    """Near the ridge y = 0 gradient descent multiplies y by 1 + rate b: Jin et al. (2017), arXiv:1703.00887."""
    surface, rate, num_steps, ridge = surfaces.StrictSaddle(), 0.1, 150, 1e-10
    return Case(
        "Stays at a saddle",
        "the way off the ridge grows by a constant factor a step, from next to nothing",
        surface,
        optviz.optimizer("gd", learning_rate=rate),
        optviz.optimizer("noisy_sgd", learning_rate=rate),
        "add noise",
        "distance |y|",
        _from_ridge,
        (ridge * (1 + rate * _number(surface.b)) ** num_steps,),
        num_steps,
        np.array([-1.5, ridge]),
    )


def stands_on_the_plateau() -> Case:
    """Far from the well only the weak bowl is felt: the distance shrinks by 1 - rate tilt a step."""
    surface, rate, num_steps = surfaces.Plateau(), 0.1, 1000
    away = float(np.linalg.norm(np.asarray(surface.start - surface.minima[0], float)))
    return Case(
        "Stands on a plateau",
        "steps are in proportion to gradients, and there are next to none",
        surface,
        optviz.optimizer("gd", learning_rate=rate),
        optviz.optimizer("adam", learning_rate=rate),
        "divide by gradients",
        "distance",
        metrics.distances,
        (away * (1 - rate * _number(surface.tilt)) ** num_steps,),
        num_steps,
    )


def never_settles() -> Case:
    """Half a rate on one side and on the other repeat: the loss is rate^2 / 8 times the sum of the curvatures."""
    rate, num_steps, curvatures = 0.1, 1000, np.array([1.0, 10.0])
    return Case(
        "Never settles",
        "the mean square shrinks with the gradients, until a step of one rate leads from one side to the other",
        surfaces.Quadratic(curvatures),
        optviz.optimizer("rmsprop", learning_rate=rate),
        optviz.optimizer("rmsprop", learning_rate=schedules.Linear(rate, 0.0, num_steps)),
        "let the rate fall",
        "loss",
        _losses,
        (rate**2 / 8 * float(curvatures.sum()),),
        num_steps,
        average=20,
    )


CASES: tuple[Callable[[], Case], ...] = (
    adam_climbs,
    adagrad_stalls,
    thrown_off_the_cliff,
    decay_in_the_gradient,
    decoupled_decay,
    bounces_at_the_kink,
    stuck_on_the_crease,
    stays_at_the_saddle,
    stands_on_the_plateau,
    never_settles,
)
