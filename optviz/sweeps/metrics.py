"""Metrics of a sweep: what is gathered of a run while it goes on, so that nothing else is kept of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ScalarLike

from optviz.metrics import DEFAULT_TOLERANCE, distance_to_nearest, has_diverged, nearest_minimum
from optviz.trace import OptimizerStep
from surfaces.base import LossSurface
from surfaces.names import unknown_name


class End(NamedTuple):
    """What is known when a run is over."""

    surface: LossSurface
    start: Any
    params: Any
    loss: Array
    num_steps: int


def _unchanged(total: Any, row: OptimizerStep, loss: Array, surface: LossSurface) -> Any:
    return total


@dataclasses.dataclass(frozen=True)
class StreamedMetric:
    """A metric that reads a run step by step: `add` folds each row into a total, `finish` turns it into the number.

    `add(total, row, loss, surface)` gets the loss by which the run is judged; a total keeps the type of `initial`.
    Functions of a module, not lambdas, can be sent to the workers of a cluster wherever they are.
    """

    meaning: str
    unit: str
    finish: Callable[[Any, End], Any]
    initial: float | int = 0.0
    add: Callable[[Any, OptimizerStep, Array, LossSurface], Any] = _unchanged


def _final_loss(total: Any, end: End) -> Array:
    return end.loss


def _best_loss(best: Array, end: End) -> Array:
    return _lower(best, end.loss)


def _add_to_best(best: Array, row: OptimizerStep, loss: Array, surface: LossSurface) -> Array:
    return _lower(best, loss)


def _lower(a: Array, b: Array) -> Array:
    """The lower of two numbers, `a` where `b` is NaN; cheaper than `fmin`."""
    return jnp.where(b < a, b, a)


def _distance_to_minimum(total: Any, end: End) -> Array:
    return distance_to_nearest(end.surface, end.params)


def _diverged(total: Any, end: End) -> Array:
    return has_diverged(end.surface, end.surface(end.start), end.loss)


def _nearest_minimum(total: Any, end: End) -> Array:
    return jnp.where(_diverged(total, end), -1, nearest_minimum(end.surface, end.params))


def _path_length(total: Array, end: End) -> Array:
    return total


def _add_step_size(total: Array, row: OptimizerStep, loss: Array, surface: LossSurface) -> Array:
    return total + row.step_size


def _mean_gradient_norm(total: Array, end: End) -> Array:
    return total / end.num_steps


def _add_gradient_norm(total: Array, row: OptimizerStep, loss: Array, surface: LossSurface) -> Array:
    return total + row.gradient_norm


def _is_near(loss: Array, surface: LossSurface, tolerance: ScalarLike) -> Any:
    minimum = surface.minimum_value
    return False if minimum is None else loss - minimum <= tolerance


def _count_on_the_way(
    total: Array, row: OptimizerStep, loss: Array, surface: LossSurface, *, tolerance: ScalarLike
) -> Array:
    # As long as the run is on its way, the total is the number of steps taken: counting is cheaper than comparing.
    return jnp.where((total == row.index) & ~_is_near(loss, surface, tolerance), total + 1, total)


def _steps_taken(total: Array, end: End, *, tolerance: ScalarLike) -> Array:
    if end.surface.minimum_value is None:
        return jnp.full_like(end.loss, jnp.nan)
    never = (total == end.num_steps) & ~_is_near(end.loss, end.surface, tolerance)
    return jnp.where(never, jnp.inf, total.astype(end.loss.dtype))


def steps_to_tolerance(tolerance: ScalarLike = DEFAULT_TOLERANCE) -> StreamedMetric:
    """`metrics.steps_to_tolerance` for a sweep, with a tolerance of your own."""
    return StreamedMetric(
        f"number of steps until the loss is within {tolerance:g} of the known minimum; infinity if it never is",
        "steps",
        partial(_steps_taken, tolerance=tolerance),
        0,
        partial(_count_on_the_way, tolerance=tolerance),
    )


METRICS: dict[str, StreamedMetric] = {
    "final_loss": StreamedMetric("loss after the last step", "loss", _final_loss),
    "best_loss": StreamedMetric("lowest loss on the path", "loss", _best_loss, np.inf, _add_to_best),
    "steps_to_tolerance": steps_to_tolerance(),
    "distance_to_minimum": StreamedMetric(
        "distance from the end to the nearest known minimum", "parameter", _distance_to_minimum
    ),
    "diverged": StreamedMetric(
        "whether the end is not finite, or higher than the first loss and the loss at the surface's customary start",
        "",
        _diverged,
    ),
    "nearest_minimum": StreamedMetric(
        "index of the known minimum nearest to the end; -1 if the run diverged", "", _nearest_minimum
    ),
    "path_length": StreamedMetric("total distance travelled", "parameter", _path_length, 0.0, _add_step_size),
    "mean_gradient_norm": StreamedMetric(
        "L2 norm of the gradient, averaged over the steps",
        "loss / parameter",
        _mean_gradient_norm,
        0.0,
        _add_gradient_norm,
    ),
}
DEFAULT_METRICS = ("final_loss", "best_loss", "steps_to_tolerance", "distance_to_minimum", "diverged")


def chosen_metrics(metrics: Sequence[str] | Mapping[str, StreamedMetric]) -> dict[str, StreamedMetric]:
    """The metrics meant by names, or by a mapping of metrics of one's own."""
    if isinstance(metrics, Mapping):
        return dict(metrics)
    for name in metrics:
        if name not in METRICS:
            raise ValueError(unknown_name("metric of a sweep", name, METRICS))
    return {name: METRICS[name] for name in metrics}
