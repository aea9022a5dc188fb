"""`sweep`: the same run for every point of a grid of hyperparameters, coefficients, seeds and starts.

One compiled program runs a chunk of points side by side (`jax.vmap` of the recorder's own step); metrics are gathered
while it runs, so that nothing is kept of a run but its results. Letters in shapes: `N` points of a sweep.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ScalarLike

from optviz.metrics import DEFAULT_TOLERANCE, distance_to_nearest, has_diverged
from optviz.optimizers import as_optimizer
from optviz.parallel import side_by_side
from optviz.trace import OptimizerStep, descend
from surfaces.base import LossSurface, as_params, as_surface
from surfaces.names import unknown_name

if TYPE_CHECKING:
    import xarray

RUNS_PER_CHUNK = 16_384
BYTES_PER_CHUNK = 2**28


class End(NamedTuple):
    """What is known when a run is over."""

    surface: LossSurface
    start: Any
    params: Any
    loss: Array
    num_steps: int


@dataclasses.dataclass(frozen=True)
class StreamedMetric:
    """A metric that reads a run step by step: `add` folds each row into a total, `finish` turns it into the number.

    `add(total, row, loss, surface)` gets the loss by which the run is judged.
    """

    meaning: str
    finish: Callable[[Any, End], Any]
    initial: Any = 0.0
    add: Callable[[Any, OptimizerStep, Array, LossSurface], Any] = lambda total, row, loss, surface: total


def _excess(loss: Array, surface: LossSurface) -> Array:
    minimum = surface.minimum_value
    return jnp.full_like(loss, jnp.nan) if minimum is None else loss - minimum


def _lower(a: Array, b: Array) -> Array:
    """The lower of two numbers, `a` where `b` is NaN; cheaper than `fmin`."""
    return jnp.where(b < a, b, a)


def steps_to_tolerance(tolerance: ScalarLike = DEFAULT_TOLERANCE) -> StreamedMetric:
    """`metrics.steps_to_tolerance` for a sweep, with a tolerance of your own."""

    def reached(total: Array, index: Any, loss: Array, surface: LossSurface) -> Array:
        return _lower(total, jnp.where(_excess(loss, surface) <= tolerance, jnp.asarray(index, float), jnp.inf))

    def finish(total: Array, end: End) -> Array:
        known = end.surface.minimum_value is not None
        return reached(total, end.num_steps, end.loss, end.surface) if known else jnp.full_like(total, jnp.nan)

    return StreamedMetric(
        f"number of steps until the loss is within {tolerance:g} of the known minimum; infinity if it never is",
        finish,
        np.inf,
        lambda total, row, loss, surface: reached(total, row.index, loss, surface),
    )


METRICS: dict[str, StreamedMetric] = {
    "final_loss": StreamedMetric("loss after the last step", lambda _, end: end.loss),
    "best_loss": StreamedMetric(
        "lowest loss on the path",
        lambda best, end: _lower(best, end.loss),
        np.inf,
        lambda best, row, loss, surface: _lower(best, loss),
    ),
    "steps_to_tolerance": steps_to_tolerance(),
    "distance_to_minimum": StreamedMetric(
        "distance from the end to the nearest known minimum, in parameter units",
        lambda _, end: distance_to_nearest(end.surface, end.params),
    ),
    "diverged": StreamedMetric(
        "whether the end is not finite, or higher than the first loss and the loss at the surface's customary start",
        lambda _, end: has_diverged(end.surface, end.surface(end.start), end.loss),
    ),
    "path_length": StreamedMetric(
        "total distance travelled, in parameter units",
        lambda total, _: total,
        0.0,
        lambda total, row, loss, surface: total + row.step_size,
    ),
    "mean_gradient_norm": StreamedMetric(
        "L2 norm of the gradient, averaged over the steps",
        lambda total, end: total / end.num_steps,
        0.0,
        lambda total, row, loss, surface: total + row.gradient_norm,
    ),
}
DEFAULT_METRICS = ("final_loss", "best_loss", "steps_to_tolerance", "distance_to_minimum", "diverged")


def sweep(
    optimizer: Any,
    surface: Callable[..., Any],
    initial_params: Any,
    num_steps: int,
    *,
    axes: Mapping[str, Any],
    metrics: Sequence[str] | Mapping[str, StreamedMetric] = DEFAULT_METRICS,
    seed: int = 0,
) -> xarray.Dataset:
    """The metrics of a run for every combination of the values in `axes`.

    Args:
      optimizer: an optimizer of the catalogue or an `OptimizerSpec`, whose hyperparameters have names.
      surface: a `LossSurface` or a callable `params -> scalar`.
      initial_params: the start of every run that the axis `start` does not give.
      num_steps: how many steps each run takes.
      axes: by name, the values along one dimension: a hyperparameter (`learning_rate`), a coefficient of the surface
        (`surface.condition_number`, `surface.surface.b` within a wrapper), `seed` (a list, or an int: that many
        from `seed` on), `start` (points, stacked along a leading axis). A mapping of such lists of one length varies
        them together, along one dimension of the name given: `{"run": {"learning_rate": [...], "b1": [...]}}`, or
        `{"run": log_uniform(100, learning_rate=(1e-4, 1.0))}` for a random design.
      metrics: names from `METRICS`, or metrics by a name of your own.
      seed: the seed of a stochastic surface where no axis gives one, and the first where the axis is a count.

    Returns:
      A dataset with a variable per metric and a dimension per axis, in the order of `axes`. Divergence is a result:
      NaN and infinity stay, beside the flag `diverged`.

    Raises:
      TypeError, ValueError: for an axis, a metric or a count that cannot be meant, before anything runs.
    """
    import xarray

    optimizer, surface, params = as_optimizer(optimizer), as_surface(surface), as_params(initial_params)
    if isinstance(num_steps, bool) or not isinstance(num_steps, int | np.integer) or num_steps < 1:
        raise ValueError(f"num_steps must be a whole number, at least 1, got {num_steps!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}.")
    if not axes:
        raise ValueError("axes needs at least one axis; record makes a single run.")
    together = {dim: v if isinstance(v, Mapping) and dim != "start" else {dim: v} for dim, v in axes.items()}
    values = {
        dim: {name: _axis(name, v, optimizer, surface, params, seed) for name, v in group.items()}
        for dim, group in together.items()
    }
    sizes = {dim: _size(dim, group) for dim, group in values.items()}
    chosen = _chosen(metrics)
    results = _run_all(
        optimizer, surface, params, int(num_steps), np.uint32(seed), values, tuple(chosen.values()), sizes
    )
    return xarray.Dataset(
        {
            name: (tuple(sizes), np.reshape(result, tuple(sizes.values())), {"long_name": chosen[name].meaning})
            for name, result in zip(chosen, results, strict=True)
        },
        {
            name: (dim, v if isinstance(v, np.ndarray) and v.ndim == 1 else np.arange(sizes[dim]))
            for dim, group in values.items()
            for name, v in group.items()
        },
        {"optimizer": optimizer.name, "surface": surface.name, "num_steps": int(num_steps), "seed": seed},
    )


def log_uniform(num_points: int, seed: int = 0, **ranges: tuple[float, float]) -> dict[str, np.ndarray]:
    """A random design for an axis of `sweep`: for each name `(low, high)`, `num_points` draws uniform in the logarithm.

    Names with a dot are given as `**{"surface.b": (1.0, 100.0)}`.
    """
    random = np.random.default_rng(seed)
    for name, (low, high) in ranges.items():
        if not 0 < low < high < np.inf:
            raise ValueError(
                f"{name} needs a range 0 < low < high for draws uniform in the logarithm, got {low, high}."
            )
    return {name: low * (high / low) ** random.random(num_points) for name, (low, high) in ranges.items()}


def _size(dim: str, group: Mapping[str, Any]) -> int:
    lengths = {name: len(jax.tree.leaves(v)[0]) for name, v in group.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"The axis {dim!r} needs lists of one length to vary together, got {lengths}.")
    return next(iter(lengths.values()))


def _chosen(metrics: Sequence[str] | Mapping[str, StreamedMetric]) -> dict[str, StreamedMetric]:
    if isinstance(metrics, Mapping):
        return dict(metrics)
    for name in metrics:
        if name not in METRICS:
            raise ValueError(unknown_name("metric of a sweep", name, METRICS))
    return {name: METRICS[name] for name in metrics}


def _axis(name: str, given: Any, optimizer: Any, surface: LossSurface, params: Any, seed: int) -> Any:
    """The values of one axis, stacked along a leading axis, once the name and the values make sense."""
    if name == "start":
        given = np.asarray(given) if isinstance(params, jax.Array) else given
        starts = jax.tree.map(lambda like, x: np.asarray(x, like.dtype), params, given)
        if any(np.shape(x)[1:] != np.shape(like) for x, like in _pairs(starts, params)):
            raise ValueError(f"The axis 'start' needs points like {params}, stacked along a leading axis.")
        return starts
    if name == "seed" and isinstance(given, int):
        given = np.arange(seed, seed + given)
    values = np.asarray(given)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iuf":
        raise ValueError(f"The axis {name!r} needs a list of numbers, got {given!r}.")
    if name == "seed":
        if values.dtype.kind == "f" or values.min() < 0:
            raise ValueError(f"The axis 'seed' needs whole numbers from 0 on, got {given!r}.")
        return values.astype(np.uint32)
    if name.startswith("surface."):
        for extreme in (float(values.min()), float(values.max())):  # what a surface accepts is a range
            replaced(surface, name.removeprefix("surface.").split("."), extreme)
        return values.astype(float)
    known = getattr(optimizer, "hyperparameters", {})
    if name not in known:
        raise ValueError(unknown_name(f"axis for {optimizer.name}", name, [*known, "seed", "start"]))
    whole = getattr(known[name], "dtype", np.dtype(float)).kind == "i"
    return values.astype(np.int32 if whole else float)


def _pairs(tree: Any, like: Any) -> Any:
    return zip(jax.tree.leaves(tree), jax.tree.leaves(like), strict=True)


def replaced(surface: Any, path: Sequence[str], value: Any) -> Any:
    """`surface` with another value of the coefficient at `path`."""
    name, *rest = path
    known = [f.name for f in dataclasses.fields(surface) if not f.metadata.get("static", False)]
    if name not in known:
        raise ValueError(unknown_name(f"coefficient of {surface.name}", name, known))
    return dataclasses.replace(surface, **{name: replaced(getattr(surface, name), rest, value) if rest else value})


def _run_all(
    optimizer: Any,
    surface: LossSurface,
    params: Any,
    num_steps: int,
    seed: np.uint32,
    values: Mapping[str, Mapping[str, Any]],
    metrics: tuple[StreamedMetric, ...],
    sizes: Mapping[str, int],
) -> list[np.ndarray]:
    """Every metric of every point, `(N,)` each: chunks of one size, so of one program, on a thread per core."""
    total = math.prod(sizes.values())
    size = min(_runs_at_once(optimizer, params), -(-total // (os.cpu_count() or 1)))

    def chunk(first: int) -> Any:
        # The last chunk is filled up with its last point.
        index = np.unravel_index(np.minimum(np.arange(first, first + size), total - 1), tuple(sizes.values()))
        groups = [jax.tree.map(lambda v, i=i: v[i], values[dim]) for dim, i in zip(values, index, strict=True)]
        at = {name: v for group in groups for name, v in group.items()}
        return jax.device_get(_chunk(optimizer, surface, params, seed, at, num_steps=num_steps, metrics=metrics))

    chunks = side_by_side(chunk, range(0, total, size))
    return [np.concatenate(parts)[:total] for parts in zip(*chunks, strict=True)]


def _runs_at_once(optimizer: Any, params: Any) -> int:
    """How many runs a chunk holds in its share of memory: parameters and state, before and after, and as much again."""
    leaves = jax.tree.leaves((params, jax.eval_shape(optimizer.init, params)))
    return max(1, min(RUNS_PER_CHUNK, BYTES_PER_CHUNK // sum(4 * x.size * x.dtype.itemsize for x in leaves)))


@partial(jax.jit, static_argnames=("num_steps", "metrics"))
def _chunk(
    optimizer: Any,
    surface: LossSurface,
    params: Any,
    seed: Any,
    at: Mapping[str, Any],
    *,
    num_steps: int,
    metrics: tuple[StreamedMetric, ...],
) -> list[Array]:
    def one(at: Mapping[str, Any]) -> list[Array]:
        tuned, descended = optimizer, surface
        for name, value in at.items():
            if name.startswith("surface."):
                descended = replaced(descended, name.removeprefix("surface.").split("."), value)
            elif name not in ("seed", "start"):
                tuned = tuned.replace(**{name: value})
        key = jax.random.key(at.get("seed", seed)) if descended.is_stochastic else None

        def add(totals: list[Any], row: OptimizerStep) -> list[Any]:
            loss = row.loss if row.evaluation_loss is None else row.evaluation_loss
            return [jnp.asarray(m.add(t, row, loss, descended), t.dtype) for m, t in zip(metrics, totals, strict=True)]

        initial = [jnp.asarray(m.initial, float) for m in metrics]
        start = at.get("start", params)
        end, loss, totals = descend(tuned, descended, start, num_steps, key, initial, add)
        last = End(descended, start, end, loss, num_steps)
        return [jnp.asarray(m.finish(t, last)) for m, t in zip(metrics, totals, strict=True)]

    return jax.vmap(one, axis_size=len(jax.tree.leaves(at)[0]))(at)
