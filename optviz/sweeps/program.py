"""The compiled program of a sweep: many points side by side, by `jax.vmap` of the recorder's own step.

Letters in shapes: `N` points of a block, `T` steps.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from optviz.sweeps.axes import replaced
from optviz.sweeps.metrics import End, StreamedMetric
from optviz.trace import OptimizerStep, descend
from surfaces.base import LossSurface

BYTES_PER_CHUNK = 2**28
RUNS_PER_CHUNK = 16_384
"""On a CPU: more at once fall out of its cache."""
ROW_BYTES_PER_CHUNK = 2**25
"""On a CPU: larger pieces of memory go back to the system after each block, and every page of the next is new."""


class Program(eqx.Module):
    """What all points of a sweep share."""

    optimizer: Any
    surface: LossSurface
    params: Any
    seed: Any
    num_steps: int = eqx.field(static=True)
    metrics: tuple[StreamedMetric, ...] = eqx.field(static=True)
    fields: tuple[str, ...] = eqx.field(static=True)
    """The columns of each run that are kept."""


class Results(NamedTuple):
    """What comes of the points of a block."""

    metrics: Any
    """`(N,)` each."""
    rows: Any
    """By field, `(T, N, ...)` each leaf: time-major, as the loop writes them."""
    ends: Any
    """By field that has one, its value after the last step, `(N, ...)` each leaf."""


def _options_of_the_compiler() -> dict[str, bool | int]:
    """For CPUs: no copies of the state that a look into the loop shows to be needless, and the widest vectors.

    Together they save an eighth of the time of Adam on Rosenbrock. Empty if the installed compiler does not know them.
    """
    options = {"xla_cpu_copy_insertion_use_region_analysis": True, "xla_cpu_prefer_vector_width": 512}
    try:
        jax.jit(jnp.negative, compiler_options=options).lower(0.0).compile()
    except Exception:
        return {}
    return options


def run_points(program: Program, at: Mapping[str, Any], *, mesh: Mesh | None = None) -> Results:
    """Run every point of `at`, `(N, ...)` each; with a mesh, its devices share them."""
    return _compiled()(program, at, mesh=mesh)


@functools.cache
def _compiled() -> Any:
    """`_run_points`, compiled; made when it is first used, since asking the compiler starts JAX's devices."""
    return jax.jit(_run_points, static_argnames="mesh", compiler_options=_options_of_the_compiler())


def _run_points(program: Program, at: Mapping[str, Any], *, mesh: Mesh | None = None) -> Results:
    axes = Results(0, 1, 0)
    every = jax.vmap(_run_point, in_axes=(None, 0), out_axes=axes)
    if mesh is None:
        return every(program, at)
    split = PartitionSpec(*mesh.axis_names)
    specs = Results(split, PartitionSpec(None, *mesh.axis_names), split)
    return jax.shard_map(every, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=specs, check_vma=False)(
        program, at
    )


def results_of_one(program: Program, at: Mapping[str, Any]) -> Results:
    """Shapes and types of what comes of one point: `at` has a single one."""
    return _compiled().eval_shape(program, at)


@jax.jit
def _initial_state(program: Program) -> Any:
    return program.optimizer.init(program.params)


def runs_at_once(program: Program, at: Mapping[str, Any], accelerated: bool) -> int:
    """How many runs fit in the bound on memory: parameters and state, before and after, as much again, and rows."""
    state = jax.tree.leaves((program.params, _initial_state.eval_shape(program)))
    kept = sum(map(_bytes, jax.tree.leaves(results_of_one(program, at))))
    most = BYTES_PER_CHUNK // (4 * sum(map(_bytes, state)) + 2 * kept)
    return max(1, most if accelerated else min(most, RUNS_PER_CHUNK, ROW_BYTES_PER_CHUNK // kept))


def _bytes(x: Any) -> int:
    return x.size * getattr(x.dtype, "itemsize", 8)  # a key has no size of its own


def _run_point(program: Program, at: Mapping[str, Any]) -> Results:
    optimizer, surface, start = _tuned(program, at)
    key = jax.random.key(at.get("seed", program.seed)) if surface.is_stochastic else None
    metrics = program.metrics

    def add(totals: list[Any], row: OptimizerStep) -> list[Any]:
        loss = row.loss if row.evaluation_loss is None else row.evaluation_loss
        return [jnp.asarray(m.add(t, row, loss, surface), t.dtype) for m, t in zip(metrics, totals, strict=True)]

    initial = [jnp.asarray(m.initial) for m in metrics]
    run = descend(optimizer, surface, start, program.num_steps, key, initial, add, partial(_kept, program.fields))
    end = End(surface, start, run.params, run.loss, program.num_steps)
    ends = {"loss": run.loss, "params": run.params, "opt_state": run.opt_state}
    return Results(
        [jnp.asarray(m.finish(t, end)) for m, t in zip(metrics, run.total, strict=True)],
        run.rows,
        {name: _plain(ends[name]) for name in program.fields if name in ends},
    )


def _tuned(program: Program, at: Mapping[str, Any]) -> tuple[Any, LossSurface, Any]:
    """Optimizer, surface and start of one point."""
    optimizer, surface, start = program.optimizer, program.surface, at.get("start", program.params)
    for name, value in at.items():
        if name.startswith("surface."):
            surface = replaced(surface, name.removeprefix("surface.").split("."), value)
        elif name.startswith("start."):
            start = start.at[int(name.removeprefix("start.x")) - 1].set(value)
        elif name not in ("seed", "start"):
            optimizer = optimizer.replace(**{name: value})
    return optimizer, surface, start


def _kept(fields: tuple[str, ...], row: OptimizerStep) -> dict[str, Any]:
    """The columns kept of a row; loss and parameters are those by which the run is judged."""
    apart = {"loss": row.evaluation_loss, "params": row.evaluation_params}
    return {name: _plain(getattr(row, name) if apart.get(name) is None else apart[name]) for name in fields}


def _plain(tree: Any) -> Any:
    """Keys as the numbers they stand for, which a host can keep."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)


def on_host(results: Results) -> Results:
    """The results as NumPy arrays, those of all processes of a distributed program."""
    if jax.process_count() == 1:
        return jax.device_get(results)
    from jax.experimental.multihost_utils import process_allgather

    return jax.tree.map(np.asarray, process_allgather(results, tiled=True))
