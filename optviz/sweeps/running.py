"""Where the blocks of a sweep run: on this machine, on many devices in one program, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from optviz.parallel import side_by_side
from optviz.sweeps.axes import Axes, Block
from optviz.sweeps.program import Program, Results, on_host, run_points

Write = Callable[[int, Block, tuple[int, ...], Results], None]


class Work(NamedTuple):
    """Blocks to run: `numbers` among all blocks of `axes`, cut to `shape`."""

    program: Program
    axes: Axes
    shape: tuple[int, ...]
    numbers: Sequence[int]
    is_missing: Callable[[int], bool]
    write: Write
    advance: Callable[[], None]


def devices_in_one_program() -> Mesh | None:
    """All devices, of all processes, as a mesh; None where there is one, or where the caller has chosen one."""
    devices = jax.devices()
    if len(devices) == 1 or jax.default_device.value is not None:
        return None
    return jax.make_mesh((len(devices),), ("runs",), axis_types=(AxisType.Auto,), devices=devices)


def on_this_machine(work: Work) -> None:
    """One device: a thread per core, since XLA loops on one core at a time."""
    blocks = work.axes.blocks(work.shape)

    def run(number: int) -> None:
        if work.is_missing(number):
            results = on_host(run_points(work.program, work.axes.at(blocks[number], work.shape)))
            work.write(number, blocks[number], work.shape, results)
        work.advance()

    side_by_side(run, work.numbers)


def on_a_mesh(work: Work, mesh: Mesh) -> None:
    """Many devices: each block is shared among them; every process takes the same blocks in the same order."""
    blocks = work.axes.blocks(work.shape)
    for number in _missing_anywhere(work.numbers, len(blocks)):
        points = work.axes.at(blocks[number], work.shape)
        results = on_host(run_points(work.program, shared_points(points, mesh), mesh=mesh))
        work.write(number, blocks[number], work.shape, _first(results, math.prod(work.shape)))
        work.advance()


def shared_points(points: Any, mesh: Mesh) -> Any:
    """The points of a block, as many for each device of the mesh: the last is repeated until they are."""
    sharding = NamedSharding(mesh, PartitionSpec(*mesh.axis_names))

    def shared(x: Any) -> jax.Array:
        x = x[np.minimum(np.arange(len(x) + -len(x) % mesh.size), len(x) - 1)]
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(shared, points)


def _missing_anywhere(numbers: Sequence[int], num_blocks: int) -> list[int]:
    """The blocks that some process of the program still needs: stores on machines apart may differ."""
    if jax.process_count() == 1:
        return list(numbers)
    from jax.experimental.multihost_utils import process_allgather

    mine = np.isin(np.arange(num_blocks), numbers)
    return np.flatnonzero(np.any(process_allgather(mine), axis=0)).tolist()


def _first(results: Results, length: int) -> Results:
    """The results of the first `length` points."""
    return Results(
        jax.tree.map(lambda x: x[:length], results.metrics),
        jax.tree.map(lambda x: x[:, :length], results.rows),
        jax.tree.map(lambda x: x[:length], results.ends),
    )


@contextlib.contextmanager
def dask_client(executor: Any) -> Iterator[Any]:
    """The client that `executor` is, or one connected to the scheduler whose address it is."""
    if not isinstance(executor, str):
        yield executor
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("A Dask scheduler needs the extra `distributed`: pip install 'optviz[distributed]'.") from None
    try:
        client = Client(executor, timeout=10)
    except (OSError, ValueError) as error:
        raise ValueError(f"No Dask scheduler answers at {executor!r}: {error}.") from None
    with client:
        yield client


def on_dask(work: Work, client: Any) -> None:
    """A Dask cluster: every block is a task, which is given to another worker if its own dies."""
    from distributed import as_completed

    blocks = work.axes.blocks(work.shape)
    token, double = uuid.uuid4().hex, jnp.zeros(()).dtype == jnp.float64
    waiting = iter(work.numbers)
    numbers: dict[Any, int] = {}

    def submit() -> Iterator[Any]:
        for number in waiting:
            if not work.is_missing(number):
                work.advance()
                continue
            points = work.axes.at(blocks[number], work.shape)
            task = client.submit(_task, token, work.program, points, double, pure=False, retries=3)
            numbers[task] = number
            yield task

    tasks = submit()
    # No more tasks at a time than keep all workers busy: results wait in memory until they are written.
    limit = 2 * max(1, sum(client.nthreads().values()))
    queue = as_completed(list(itertools.islice(tasks, limit)))
    for task in queue:
        number = numbers.pop(task)
        work.write(number, blocks[number], work.shape, task.result())
        work.advance()
        queue.update(list(itertools.islice(tasks, 1)))


_PROGRAMS: dict[str, Program] = {}


def _task(token: str, program: Program, points: Any, double: bool) -> Results:
    """A block on a worker. Each task brings a copy of the program; the first is used by all, so it is compiled once."""
    if token not in _PROGRAMS:
        _PROGRAMS.clear()
    with jax.enable_x64(double):
        return on_host(run_points(_PROGRAMS.setdefault(token, program), points))


@contextlib.contextmanager
def progress_bar(num_blocks: int, wanted: bool | None) -> Iterator[Callable[[], None]]:
    """What to call after each block: it moves a bar on stderr.

    By default there is one on a terminal and in a notebook only, once the sweep has taken a second.
    """
    from rich import progress
    from rich.console import Console

    console, begin = Console(stderr=True), time.monotonic()
    seen = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
    shown = seen and jax.process_index() == 0 if wanted is None else wanted
    count, left = progress.MofNCompleteColumn(), progress.TimeRemainingColumn()
    columns = ("sweep", progress.BarColumn(), count, "blocks", progress.TimeElapsedColumn(), "left", left)
    bar = progress.Progress(*columns, console=console, transient=wanted is None)
    task = bar.add_task("sweep", total=num_blocks)

    def advance() -> None:
        bar.advance(task)
        if shown and not bar.live.is_started and (wanted or time.monotonic() - begin > 1):
            bar.start()

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()
