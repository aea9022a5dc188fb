"""The sweep of the sweep page: two axes of one optimizer on one surface, computed a band of rows at a time."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from optviz.optimizers import CATALOGUE
from optviz.optimizers.entry import Hyperparameter, OptimizerEntry
from optviz.playground import compute, reading, settings
from optviz.playground.errors import BadSettings, Sentence
from optviz.playground.programs import reproducible
from optviz.playground.world import SurfaceEntry, catalogue
from optviz.sweeps import sweep

COLUMNS, ROWS, BAND = 40, 28, 4
MAX_STEPS = 10_000
SHOWN = ("final_loss", "best_loss", "steps_to_tolerance", "distance_to_minimum")
"""Metrics that a cell may show; a small one is good in all of them."""
NEVER = -np.inf
"""Stands for a run that went well and did not reach the tolerance."""
_OF_THE_MINIMUM = ("steps_to_tolerance", "distance_to_minimum")
_FIELDS = ("optimizer", "surface", "x", "y", "x_range", "y_range", "steps", "metric")
_LONGEST = 2000
"""Characters of choices in an address."""
_OF_SURFACE = "surface."


@dataclasses.dataclass(frozen=True)
class Axis:
    """Values along one side of the map, by the name that `optviz.sweep` takes."""

    name: str
    values: tuple[float, ...]
    log: bool


class Plan(NamedTuple):
    """A sweep that makes sense."""

    optimizer: str
    surface: str
    x: Axis
    y: Axis
    num_steps: int
    metric: str

    def settings_at(self, column: int, row: int) -> dict[str, Any]:
        """The settings of the playground that show the path of one cell."""
        hyperparameters: dict[str, float] = {}
        coefficients: dict[str, float] = {}
        for name, value in ((self.x.name, self.x.values[column]), (self.y.name, self.y.values[row])):
            if name.startswith(_OF_SURFACE):
                coefficients[name.removeprefix(_OF_SURFACE)] = value
            else:
                hyperparameters[name] = value
        chosen = [{"name": self.optimizer, "hyperparameters": hyperparameters}]
        base = {"surface": self.surface, "num_steps": self.num_steps}
        return {**base, "coefficients": coefficients, "optimizers": chosen}


def axes_of(optimizer: str, surface: str) -> list[str]:
    """What may vary: the hyperparameters that are numbers, the learning rate first, and the surface's coefficients."""
    entry = catalogue().optimizers[optimizer]
    names = [h.name for h in entry.hyperparameters if _varies(h)]
    names.sort(key=lambda name: not name.endswith("learning_rate"))
    return names + [_OF_SURFACE + c.name for c in catalogue().surfaces[surface].coefficients]


def _varies(h: Hyperparameter) -> bool:
    return h.low is not None and h.high is not None and not h.static and h.name != "seed"


def chosen(data: Any) -> dict[str, Any]:
    """What a visitor chose, as JSON text or data, with everything left out filled in; None for a usual range.

    Raises:
      BadSettings: for what `plan_of` would refuse.
    """
    data = reading.named(_parsed(data), "settings", _FIELDS, Sentence("setting"))
    base: dict[str, Any] = {"optimizer": _first_optimizer(), "surface": settings.from_json({}).surface}
    base |= {"x_range": None, "y_range": None, "steps": 300, "metric": "final_loss", **data}
    _require_names(base["optimizer"], base["surface"], base["metric"])
    known = axes_of(base["optimizer"], base["surface"])
    x = base.get("x", known[0] if known else None)
    filled = {"x": x, "y": next((name for name in known if name != x), None), **base}
    plan_of(filled)
    return {name: filled[name] for name in _FIELDS}


def plan_of(chosen: Mapping[str, Any]) -> Plan:
    """The plan for what a visitor chose, by the names that `chosen` gives.

    Raises:
      BadSettings: as `plan` does.
    """
    return plan(*(chosen[name] for name in ("optimizer", "surface", "x", "y", "steps", "metric", "x_range", "y_range")))


def _parsed(data: Any) -> Any:
    if not isinstance(data, str):
        return data
    if len(data) > _LONGEST:
        told = {"most": _LONGEST, "count": len(data)}
        raise BadSettings("The settings in an address have at most {most} characters, got {count}.", **told)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadSettings("Settings are JSON; this is not: {why}.", why=reading.fault(error)) from error


@functools.cache
def _first_optimizer() -> str:
    """A well-known one of which two numbers can vary."""
    surface = settings.from_json({}).surface
    return next(e.name for e in CATALOGUE if e.well_known and not axes_of(e.name, surface)[1].startswith(_OF_SURFACE))


def plan(
    optimizer: Any,
    surface: Any,
    x: Any,
    y: Any,
    num_steps: Any,
    metric: Any,
    x_range: Any = None,
    y_range: Any = None,
) -> Plan:
    """A plan for what a visitor chose.

    Args:
      x, y: the names of the axes, as `axes_of` lists them.
      x_range, y_range: the lowest value, the highest, and "log" or "linear"; None for the whole range as the catalogue
        has it.

    Raises:
      BadSettings: for names that there are not, one axis twice, a metric that the surface does not have, or numbers
        beyond the limits.
    """
    world = catalogue()
    _require_names(optimizer, surface, metric)
    known = axes_of(optimizer, surface)
    if x not in known or y not in known or x == y:
        raise BadSettings("Choose two different axes among {names}.", names=", ".join(known))
    entry, place = world.optimizers[optimizer], world.surfaces[surface]
    if metric in _OF_THE_MINIMUM and not place.make().minima:
        raise BadSettings("{surface} has no known minimum: show the final or the lowest loss.", surface=place.title)
    axes = _axis(x, x_range, "x_range", COLUMNS, entry, place), _axis(y, y_range, "y_range", ROWS, entry, place)
    return Plan(optimizer, surface, *axes, settings.whole(num_steps, "num_steps", 1, MAX_STEPS), metric)


def _require_names(optimizer: Any, surface: Any, metric: Any) -> None:
    world = catalogue()
    for name, known in ((optimizer, world.optimizers), (surface, world.surfaces), (metric, SHOWN)):
        if not isinstance(name, str) or name not in known:
            raise BadSettings("Choose an optimizer, a surface and a metric of the lists.")


def usual_range(optimizer: str, surface: str, axis: str) -> list[Any]:
    """The range of an axis in the catalogue, as `plan` takes it."""
    world = catalogue()
    low, high, log = _whole_range(_varied(axis, world.optimizers[optimizer], world.surfaces[surface]))
    return [low, high, "log" if log else "linear"]


def _varied(axis: str, entry: OptimizerEntry, surface: SurfaceEntry) -> Any:
    """The hyperparameter or the coefficient that varies along an axis."""
    if axis.startswith(_OF_SURFACE):
        return next(c for c in surface.coefficients if c.name == axis.removeprefix(_OF_SURFACE))
    return next(h for h in entry.hyperparameters if h.name == axis)


def _whole_range(varied: Any) -> tuple[float, float, bool]:
    return varied.low, varied.high, varied.scale == "log" and varied.low > 0


def _axis(name: str, given: Any, where: str, count: int, entry: OptimizerEntry, surface: SurfaceEntry) -> Axis:
    varied = _varied(name, entry, surface)
    low, high, log = _whole_range(varied) if given is None else _range(given, where, name, varied)
    values = np.geomspace(low, high, count) if log else np.linspace(low, high, count)
    if getattr(varied, "integer", False):
        values = np.unique(np.round(values))
    # The ends, rounded, must not fall out of the range that the playground allows.
    return Axis(name, tuple(np.clip([float(f"{v:.6g}") for v in values], low, high).tolist()), log)


def _range(given: Any, where: str, name: str, varied: Any) -> tuple[float, float, bool]:
    """A range of one's own, within that of the playground."""
    if not isinstance(given, list | tuple) or len(given) != 3 or given[2] not in ("log", "linear"):
        told = {"name": where, "value": reading.short(given)}
        raise BadSettings("{name} is a low and a high number and log or linear, got {value}.", where, **told)
    low, high = (reading.number(end, where, varied.low, varied.high, name) for end in given[:2])
    told = {"name": name, "low": low, "high": high}
    if not low < high:
        raise BadSettings("{name} goes from a smaller number to a larger one, got {low:g} to {high:g}.", where, **told)
    if given[2] == "log" and low <= 0:
        raise BadSettings("{name} needs a number above 0 to begin a logarithmic axis, got {low:g}.", where, **told)
    return low, high, given[2] == "log"


def run(
    planned: Plan, show: Callable[[Float[np.ndarray, "rows columns"], int], None], cancelled: Callable[[], bool]
) -> None:
    """Compute the map, from its first row on; `show(map, rows done)` after each band, NaN where nothing is known yet.

    A run that diverged has infinity, one that did not that came never within the tolerance `NEVER`.
    """
    values = np.full((len(planned.y.values), len(planned.x.values)), np.nan)
    whole = settings.from_json({"surface": planned.surface})
    surface, start = compute.surface_of(whole), np.asarray(whole.start, np.float32)
    optimizer, metrics = catalogue().optimizers[planned.optimizer].spec(), (planned.metric, "diverged")
    for first in range(0, len(values), BAND):
        if cancelled():
            return
        # The last band overlaps the one before it: bands of one shape share one compiled program.
        begin = max(0, min(first, len(values) - BAND))
        axes = {planned.y.name: planned.y.values[begin : begin + BAND], planned.x.name: planned.x.values}
        with reproducible():
            swept = sweep(optimizer, surface, start, planned.num_steps, axes=axes, metrics=metrics, progress=False)
        found = np.asarray(swept[planned.metric].values, float)
        if planned.metric == "steps_to_tolerance":
            found = np.where(np.isinf(found), NEVER, found)
        values[begin : begin + BAND] = np.where(np.asarray(swept["diverged"].values, bool), np.inf, found)
        show(values, begin + min(BAND, len(values)))
