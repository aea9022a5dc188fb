"""`sweep`: the same run for every point of a grid of hyperparameters, coefficients, seeds and starts."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from optviz.manifest import describe_optimizer, describe_surface, environment, json_number
from optviz.optimizers import as_optimizer
from optviz.sweeps import running
from optviz.sweeps.axes import Axes, as_axes
from optviz.sweeps.dataset import FIELDS, Memory, Variable, coordinates, variables
from optviz.sweeps.metrics import DEFAULT_METRICS, StreamedMetric, chosen_metrics
from optviz.sweeps.program import Program, results_of_one, runs_at_once
from optviz.sweeps.store import ZarrStore, open_store
from optviz.trace import record
from surfaces.base import as_params, as_surface

if TYPE_CHECKING:
    import xarray


def sweep(
    optimizer: Any,
    surface: Callable[..., Any],
    initial_params: Any,
    num_steps: int,
    *,
    axes: Mapping[str, Any],
    metrics: Sequence[str] | Mapping[str, StreamedMetric] = DEFAULT_METRICS,
    trace: bool | Sequence[str] = False,
    store: str | Path | None = None,
    executor: Any = None,
    seed: int = 0,
    progress: bool | None = None,
) -> xarray.Dataset:
    """The metrics of a run for every combination of the values in `axes`.

    The work is cut into blocks, all of one compiled program, which run on all cores; on all devices, those of
    other processes under `jax.distributed` included, if there are several; or on a Dask cluster.

    Args:
      optimizer: an optimizer of the catalogue or an `OptimizerSpec`, whose hyperparameters have names.
      surface: a `LossSurface` or a callable `params -> scalar`.
      initial_params: the start of every run, where no axis gives it.
      num_steps: how many steps each run takes.
      axes: by name, the values along one dimension: a hyperparameter (`learning_rate`), a coefficient of the surface
        (`surface.condition_number`, `surface.surface.b` within a wrapper), `seed` (a list, or an int: that many
        from `seed` on), `start` (points, stacked along a leading axis), or a coordinate of the start (`start.x1`,
        `start.x2`: a grid of starts). A mapping of such lists of one length varies them together, along one
        dimension of the name given: `{"run": {"learning_rate": [...], "b1": [...]}}`, or
        `{"run": log_uniform(100, learning_rate=(1e-4, 1.0))}` for a random design.
      metrics: names from `METRICS`, or metrics by a name of your own.
      trace: the columns of every run to keep as well, among `FIELDS`; True for `params` and `loss`. They have a
        dimension `step`, the first, and stand at 0, 1, ..., `num_steps`; what belongs to a step taken (`gradients`,
        `step_size`) is NaN after the last.
      store: a Zarr folder to which each block is written when it is done. A sweep that was killed goes on from there,
        to the same result, and several processes may work on one store. Columns of `trace` are read from it when used.
      executor: a `distributed.Client`, or the address of a Dask scheduler; every block becomes a task.
      seed: the seed of a stochastic surface where no axis gives one, and the first where the axis is a count.
      progress: whether to show a progress bar; by default on a terminal and in a notebook.

    Returns:
      A dataset with a variable per metric and a dimension per axis, in the order of `axes`; each has a meaning
      (`long_name`) and `units`. Its attributes say what was swept, `manifest` as JSON. Divergence is a result: NaN and
      infinity stay, beside the flag `diverged`.

    Raises:
      TypeError, ValueError: for an axis, a metric, a field or a count that cannot be meant, and for a store that holds
        something else, before anything runs.
    """
    plan = _planned(optimizer, surface, initial_params, num_steps, axes, metrics, trace, seed)
    mesh = running.devices_in_one_program() if executor is None else None
    shape = plan.block_shape(mesh)
    kept: Memory | ZarrStore = Memory(plan.variables)
    if store is not None:
        num_blocks = len(plan.axes.blocks(shape))
        kept = open_store(store, plan.variables, plan.coordinates, plan.attrs, plan.identity(), shape, num_blocks)
        shape = kept.block_shape
    numbers = kept.missing(len(plan.axes.blocks(shape)))
    with running.progress_bar(len(numbers), progress) as advance:
        work = running.Work(plan.program, plan.axes, shape, numbers, kept.is_missing, kept.write, advance)
        if executor is not None:
            with running.dask_client(executor) as client:
                running.on_dask(work, client)
        elif mesh is not None:
            running.on_a_mesh(work, mesh)
        else:
            running.on_this_machine(work)
    return kept.dataset(plan.coordinates, plan.attrs)


class _Plan(NamedTuple):
    """A sweep that makes sense."""

    program: Program
    axes: Axes
    first: Mapping[str, Any]
    """The values at the first point, `(1, ...)` each."""
    variables: Mapping[str, Variable]
    coordinates: Mapping[str, Any]
    attrs: Mapping[str, Any]

    def block_shape(self, mesh: Any) -> tuple[int, ...]:
        """As many points in a block as memory allows, and a block at least for every thread."""
        threads = 1 if mesh is not None else os.cpu_count() or 1
        most = runs_at_once(self.program, self.first, accelerated=jax.default_backend() != "cpu")
        return self.axes.block_shape(min(most * (mesh.size if mesh else 1), -(-math.prod(self.axes.shape) // threads)))

    def identity(self) -> dict[str, Any]:
        """What makes it this sweep and no other, as JSON data, each part short enough to be read in a sentence."""
        program = self.program
        manifest = json.loads(self.attrs["manifest"])
        probe = record(program.optimizer, program.surface, program.params, 2, key=int(program.seed), fields=("loss",))
        axes = {n: _summary(v) for group in self.axes.values.values() for n, v in group.items()}
        return {
            **{name: manifest[name] for name in ("optimizer", "surface", "num_steps", "seed", "metrics", "x64")},
            "start": _summary(program.params),
            "axes": {"dimensions": {dim: list(group) for dim, group in self.axes.values.items()}, **axes},
            "trace": list(program.fields),
            "first losses": [json_number(x) for x in np.asarray(probe.losses, float).tolist()],
        }


def _planned(
    optimizer: Any,
    surface: Any,
    initial_params: Any,
    num_steps: int,
    axes: Mapping[str, Any],
    metrics: Any,
    trace: Any,
    seed: int,
) -> _Plan:
    """What is to be done, once every argument makes sense."""
    optimizer, surface, params = as_optimizer(optimizer), as_surface(surface), as_params(initial_params)
    if isinstance(num_steps, bool) or not isinstance(num_steps, int | np.integer) or num_steps < 1:
        raise ValueError(f"num_steps must be a whole number, at least 1, got {num_steps!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}.")
    chosen = chosen_metrics(metrics)
    program = Program(
        optimizer, surface, params, np.uint32(seed), int(num_steps), tuple(chosen.values()), _fields(trace, chosen)
    )
    grid = as_axes(axes, optimizer, surface, params, int(seed))
    ones = (1,) * len(grid.shape)
    first = grid.at((slice(0, 1),) * len(ones), ones)
    found = variables(grid, chosen, results_of_one(program, first))
    return _Plan(program, grid, first, found, coordinates(grid, found, optimizer), _attrs(program, chosen))


def _fields(trace: bool | Sequence[str], metrics: Mapping[str, Any]) -> tuple[str, ...]:
    fields = ("params", "loss") if trace is True else () if trace is False else trace
    unknown = [name for name in fields if name not in FIELDS]
    if isinstance(fields, str) or unknown:
        raise ValueError(f"trace is True, or names among {', '.join(FIELDS)}; got {trace!r}.")
    if both := [name for name in fields if name in metrics]:
        raise ValueError(
            f"{both[0]!r} is the name of a metric and of a column of the trace; call the metric otherwise."
        )
    return tuple(fields)


def _attrs(program: Program, metrics: Mapping[str, StreamedMetric]) -> dict[str, Any]:
    """What the dataset says of itself; `manifest` is JSON, since files keep plain attributes only."""
    manifest = {
        "optimizer": describe_optimizer(program.optimizer),
        "surface": describe_surface(program.surface),
        "start": jax.tree.map(lambda x: jax.tree.map(json_number, np.asarray(x).tolist()), program.params),
        "num_steps": program.num_steps,
        "seed": int(program.seed),
        "metrics": {name: metric.meaning for name, metric in metrics.items()},
        **environment(),
    }
    return {
        "optimizer": program.optimizer.name,
        "surface": program.surface.name,
        "num_steps": program.num_steps,
        "seed": int(program.seed),
        "manifest": json.dumps(manifest),
    }


def _summary(values: Any) -> str:
    """Values in a few words and a digest: `20 values from 0.001 to 1 (3f2a9c51)`."""
    leaves = [np.asarray(x) for x in jax.tree.leaves(values)]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in leaves)).hexdigest()[:8]
    low, high = min(x.min() for x in leaves), max(x.max() for x in leaves)
    return f"{sum(x.size for x in leaves)} values from {low:g} to {high:g} ({digest})"
