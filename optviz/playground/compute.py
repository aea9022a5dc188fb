"""Paths and landscapes, computed: every number of the settings is traced, so that no slider compiles anything.

One compiled program for each optimizer (its kind, not its numbers) on each kind of surface; steps are a loop with a
number of rounds that is data. A path equals that of `optviz.record` with the same arguments, which `as_recorded` gives.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optviz import parallel
from optviz.metrics import DEFAULT_TOLERANCE
from optviz.playground import formula, wire
from optviz.playground.cache import Recent
from optviz.playground.errors import BadSettings
from optviz.playground.programs import PROGRAMS
from optviz.playground.regularised import regularised
from optviz.playground.schedules import SCHEDULES
from optviz.playground.settings import Box, Choice, Settings, to_json
from optviz.playground.world import World, catalogue
from optviz.trace import OptimizerStep, compiled_apart, stable, take_step
from surfaces.base import LossSurface
from surfaces.wrappers import Noisy

MAX_POINTS = 1000
"""Points of a path besides its end."""
_CHUNK = 8192
"""Points of a landscape computed at once: one program for windows of all sizes."""
_PATHS: Recent[Path] = Recent(1024)
"""At most 16 MB. Equal settings give equal bytes, so that it shows in nothing but time."""


class Totals(NamedTuple):
    """What is gathered over all steps, those between two recorded points too."""

    best: Any
    """The lowest loss."""
    reached: Any
    """The first step at which the loss is within the tolerance of the minimum; infinity if none is."""
    gradient_norm: Any
    """The sum over the steps taken."""
    rises: Any
    """How many steps of the last quarter raised the loss by more than rounding."""


@dataclasses.dataclass(frozen=True)
class Path:
    """A computed path: `points` (n, 4), columns x, y, loss, gradient norm; row i is step `i * every`, the last the end.

    The loss is that of the surface without noise and penalty, the gradient norm that of what the optimizer saw.
    """

    points: np.ndarray
    every: int
    num_steps: int
    totals: Totals


class Facts(NamedTuple):
    """What is known of a surface: its minima (k, 2), the loss there if known, the loss at its customary start."""

    minima: np.ndarray
    minimum: float | None
    customary: float


@dataclasses.dataclass(frozen=True)
class Run:
    """One path to compute: of which optimizer, with the penalty or without, and a name for all that it depends on."""

    index: int
    choice: Choice
    regularised: bool
    twin: bool
    hash: str


def surface_of(settings: Settings, world: World | None = None) -> LossSurface:
    """The surface that is drawn: with its coefficients, without noise and penalty.

    Raises:
      BadSettings: for coefficients that the surface does not take together.
    """
    if settings.formula is not None:
        return formula.surface(settings.formula)
    try:
        return (world or catalogue()).surfaces[settings.surface].make(**settings.coefficients)
    except (ValueError, TypeError) as error:
        raise BadSettings(str(error), "coefficients") from error


def optimizer_of(choice: Choice, num_steps: int, world: World | None = None) -> Any:
    """The optimizer of a choice as `optviz.record` takes it, with its schedule over `num_steps`."""
    given = {k: v for k, v in choice.hyperparameters.items() if v is not None}
    if choice.schedule is not None:
        name = next(n for n in ("learning_rate", *given) if n in given and n.endswith("learning_rate"))
        schedule = SCHEDULES[choice.schedule.name]
        given[name] = schedule.of(given[name], float(num_steps), choice.schedule.parameters)
    return (world or catalogue()).optimizers[choice.name].spec(**given)


def as_recorded(settings: Settings, run: Run, world: World | None = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments, and those by name, for which `optviz.record` gives the same path."""
    optimizer, surface = optimizer_of(run.choice, settings.num_steps, world), surface_of(settings, world)
    if run.regularised:
        optimizer, surface = regularised(optimizer, surface, settings.regularisation)
    if settings.noise:
        surface = Noisy(surface, settings.noise)
    start = np.asarray(settings.start, np.float32)
    return (optimizer, surface, start, settings.num_steps), {"key": settings.seed, "every": every(settings.num_steps)}


def every(num_steps: int) -> int:
    """How many steps lie between two points of a path."""
    return -(-num_steps // MAX_POINTS)


def last_part(num_steps: Any) -> Any:
    """How many steps the last quarter of a run has, at least one: by it a run's fate is told."""
    return (num_steps + 3) // 4


def runs(settings: Settings, world: World | None = None) -> list[Run]:
    """The paths of a comparison: the optimizers that are on, each followed by its regularised twin if there is one."""
    how = settings.regularisation
    both = [False, True] if how.twins and how.kind != "none" else [how.kind != "none"]
    data, tag = to_json(settings), (world or catalogue()).tag
    frame = {k: v for k, v in data.items() if k not in ("optimizers", "view", "shown")}
    return [
        Run(i, choice, with_, with_ and len(both) == 2, _hash(frame, data["optimizers"][i], with_, tag))
        for i, choice in enumerate(settings.optimizers)
        if choice.on
        for with_ in both
    ]


def paths(
    settings: Settings, world: World | None = None, chosen: Sequence[Run] | None = None
) -> list[Path | BadSettings]:
    """The paths of the `chosen` runs, of all `runs` if None, side by side on the cores of this machine.

    Where an optimizer does not suit the surface, the error stands in the place of its path.
    """

    def computed(run: Run) -> Path | BadSettings:
        try:
            return _PATHS.get(run.hash, lambda: path(settings, run, world))
        except BadSettings as error:
            return error

    return parallel.side_by_side(computed, runs(settings, world) if chosen is None else chosen)


def path(settings: Settings, run: Run, world: World | None = None) -> Path:
    """Compute one path.

    Raises:
      BadSettings: for an optimizer that the surface does not suit.
    """
    gap = every(settings.num_steps)
    points, totals = run_program(_path, settings, run, (np.int32(settings.num_steps), np.int32(gap)), world)
    return Path(points[: -(-settings.num_steps // gap) + 1], gap, settings.num_steps, totals)


def run_program(
    program: Callable[..., Any], settings: Settings, run: Run, numbers: tuple[Any, ...], world: World | None = None
) -> Any:
    """`program(optimizer, surface, plain surface, start, seed, *numbers)` of a run, compiled if it is the first.

    Raises:
      BadSettings: for an optimizer that refuses its numbers or the surface.
    """
    plain = surface_of(settings, world)
    try:
        (optimizer, surface, start, _), _ = as_recorded(settings, run, world)
        return PROGRAMS(program, optimizer, surface, plain, start, np.uint32(settings.seed), *numbers)
    except (TypeError, ValueError) as error:
        where = f"optimizers[{run.index}]"
        raise BadSettings("{name}: {why}", where, name=run.choice.name, why=str(error)) from error


def prepare(settings: Settings, world: World | None = None) -> None:
    """Compile the paths of these settings with noise and without, so that its slider finds both ready."""
    for noise in (0.0, settings.noise or 1.0):
        paths(dataclasses.replace(settings, noise=noise, num_steps=1), world)


def landscape(settings: Settings, view: Box, width: int, height: int, world: World | None = None) -> np.ndarray:
    """The losses in the `view` x0, x1, y0, y1: float32 (height, width), row 0 at y0, finite or not."""
    x, y = np.meshgrid(np.linspace(*view[:2], width), np.linspace(*view[2:], height))
    points = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
    surface = surface_of(settings, world)
    padded = np.concatenate([points, np.zeros((-len(points) % _CHUNK, 2), np.float32)])
    parts = [PROGRAMS(_losses, surface, part) for part in padded.reshape(-1, _CHUNK, 2)]
    return np.concatenate(parts)[: len(points)].reshape(height, width)


def facts(settings: Settings, world: World | None = None) -> Facts:
    """What is known of the surface that is drawn."""
    surface = surface_of(settings, world)
    customary = np.asarray(customary_start(settings, world), np.float32)
    minima, minimum, loss = PROGRAMS(_facts, surface, customary)
    return Facts(minima, None if minimum is None else float(minimum), float(loss))


def customary_start(settings: Settings, world: World | None = None) -> tuple[float, float]:
    """The surface's own start."""
    return formula.START if settings.formula is not None else (world or catalogue()).surfaces[settings.surface].start


def domain(settings: Settings, world: World | None = None) -> Box:
    """The part of the plane to look at first."""
    return formula.DOMAIN if settings.formula is not None else (world or catalogue()).surfaces[settings.surface].domain


def _hash(frame: dict[str, Any], choice: dict[str, Any], with_: bool, tag: str) -> str:
    """A name for everything that a path depends on."""
    how = frame["regularisation"] if with_ else None
    chosen = [choice[name] for name in ("name", "hyperparameters", "schedule")]
    depends = {**frame, "regularisation": how, "optimizer": chosen}
    return hashlib.sha256((tag + wire.to_json(depends)).encode()).hexdigest()[:16]


def _path(
    optimizer: Any, surface: LossSurface, plain: LossSurface, start: Any, seed: Any, num_steps: Any, every: Any
) -> tuple[Any, Totals]:
    """The compiled path: `num_steps + 1` rounds, of which the last only tells what is known at the end."""
    step = partial(take_step, optimizer, surface, jax.random.key(seed) if surface.is_stochastic else None)
    goal = _goal(plain)

    @compiled_apart
    def one_step(carry: Any) -> tuple[Any, Any]:
        carry, row = step(carry)
        return carry, _point(row, plain, surface)

    def one_round(count: Any, state: Any) -> Any:
        carry, points, totals, before = state
        carry, point = one_step(carry)
        # Every step writes where the next recorded one will: what stays is that one, and at last the end.
        points = jax.lax.dynamic_update_slice(points, point[None], ((count + every - 1) // every, 0))
        return carry, points, _added(totals, count, point, before, goal, num_steps), point[2]

    carry = stable(lambda carry: step(carry)[0], (jnp.int32(0), start, optimizer.init(start)))
    totals = Totals(jnp.float32(jnp.inf), jnp.float32(jnp.inf), jnp.float32(0), jnp.int32(0))
    initial = carry, jnp.full((MAX_POINTS + 1, 4), jnp.nan, jnp.float32), totals, jnp.float32(jnp.inf)
    _, points, totals, _ = jax.lax.fori_loop(0, num_steps + 1, one_round, initial)
    return points, totals


def _point(row: OptimizerStep, plain: LossSurface, surface: LossSurface) -> Any:
    """x, y, loss, gradient norm: loss and parameters are those by which the run is judged."""
    judged = row.params if row.evaluation_params is None else row.evaluation_params
    told = row.loss if row.evaluation_loss is None else row.evaluation_loss
    without = surface.surface if isinstance(surface, Noisy) else surface
    loss = told if jax.tree.structure(without) == jax.tree.structure(plain) else plain(judged)
    return jnp.stack([judged[0], judged[1], loss, row.gradient_norm]).astype(jnp.float32)


def _added(totals: Totals, count: Any, point: Any, before: Any, goal: Any, num_steps: Any) -> Totals:
    loss, norm = point[2], point[3]
    slack = 8 * jnp.finfo(jnp.float32).eps * jnp.maximum(jnp.abs(before), jnp.abs(loss))
    return Totals(
        jnp.where(loss < totals.best, loss, totals.best),
        jnp.where((loss <= goal) & (totals.reached == jnp.inf), count.astype(jnp.float32), totals.reached),
        totals.gradient_norm + jnp.where(count < num_steps, norm, 0.0),
        totals.rises + ((loss - before > slack) & (count > num_steps - last_part(num_steps))),
    )


def _goal(plain: LossSurface) -> Any:
    """The loss at which the minimum counts as reached; NaN where none is known."""
    minimum = plain.minimum_value
    return jnp.float32(jnp.nan) if minimum is None else minimum + DEFAULT_TOLERANCE


def _losses(surface: LossSurface, points: Any) -> Any:
    return jax.vmap(surface)(points)


def _facts(surface: LossSurface, start: Any) -> Any:
    return jnp.asarray(surface.minima, jnp.float32).reshape(-1, 2), surface.minimum_value, surface(start)
