"""The sweep of the sweep page: two axes of one optimizer on one surface, computed a band of rows at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from optviz.optimizers.entry import Hyperparameter, OptimizerEntry
from optviz.playground import compute, settings
from optviz.playground.errors import BadSettings
from optviz.playground.programs import reproducible
from optviz.playground.world import SurfaceEntry, catalogue
from optviz.sweeps import sweep

COLUMNS, ROWS, BAND = 40, 28, 4
MAX_STEPS = 10_000
SHOWN = ("final_loss", "best_loss", "steps_to_tolerance", "distance_to_minimum")
"""Metrics that a cell may show; a small one is good in all of them."""
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


def plan(optimizer: Any, surface: Any, x: Any, y: Any, num_steps: Any, metric: Any) -> Plan:
    """A plan for what a visitor chose.

    Raises:
      BadSettings: for names that there are not, one axis twice, or a number of steps beyond the limits.
    """
    world = catalogue()
    if optimizer not in world.optimizers or surface not in world.surfaces or metric not in SHOWN:
        raise BadSettings("Choose an optimizer, a surface and a metric of the lists.")
    known = axes_of(optimizer, surface)
    if x not in known or y not in known or x == y:
        raise BadSettings("Choose two different axes among {names}.", names=", ".join(known))
    num_steps = settings.whole(num_steps, "num_steps", 1, MAX_STEPS)
    entry, place = world.optimizers[optimizer], world.surfaces[surface]
    return Plan(optimizer, surface, _axis(x, COLUMNS, entry, place), _axis(y, ROWS, entry, place), num_steps, metric)


def _axis(name: str, count: int, entry: OptimizerEntry, surface: SurfaceEntry) -> Axis:
    if name.startswith(_OF_SURFACE):
        found: Any = next(c for c in surface.coefficients if c.name == name.removeprefix(_OF_SURFACE))
    else:
        found = next(h for h in entry.hyperparameters if h.name == name)
    log = found.scale == "log" and found.low > 0
    values = np.geomspace(found.low, found.high, count) if log else np.linspace(found.low, found.high, count)
    if getattr(found, "integer", False):
        values = np.unique(np.round(values))
    # The ends, rounded, must not fall out of the range that the playground allows.
    return Axis(name, tuple(np.clip([float(f"{v:.6g}") for v in values], found.low, found.high).tolist()), log)


def run(
    planned: Plan, show: Callable[[Float[np.ndarray, "rows columns"], int], None], cancelled: Callable[[], bool]
) -> None:
    """Compute the map, from its first row on; `show(map, rows done)` after each band, NaN where nothing is known yet.

    A run that diverged has infinity, one that has no such value (never within the tolerance) the number of steps.
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
        values[begin : begin + BAND] = np.where(np.asarray(swept["diverged"].values, bool), np.inf, found)
        show(values, begin + min(BAND, len(values)))
