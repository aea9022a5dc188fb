"""What the catalogue says of an optimizer: one `OptimizerEntry`, read by tests, command line, tables and pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from optviz.optimizers.schedules import as_schedule
from optviz.optimizers.spec import OptimizerSpec
from surfaces.names import unknown_name

Need = Literal["value", "gradient function", "line search", "hessian", "matrix"]


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """A number or a choice that an optimizer takes, in Optax's name.

    `default` None means that the argument is left out. `low` and `high` bound the sensible range, which a slider or
    a sweep may cover, on a linear or a logarithmic `scale`; choices (flags and names) have no range. An `integer` is
    traced like any other number unless `static`: then it changes a shape or a loop, and another value is another
    compiled program.
    """

    name: str
    default: Any
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log", "choice"] = "linear"
    meaning: str = ""
    integer: bool = False
    static: bool = False


@dataclasses.dataclass(frozen=True)
class OptimizerEntry:
    """One optimizer of the catalogue."""

    name: str
    factory: Callable[..., Any]
    hyperparameters: tuple[Hyperparameter, ...]
    formula: str
    year: int
    paper: str
    summary: str
    good_for: str
    advantages: tuple[str, ...]
    drawbacks: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    well_known: bool = False
    """One of those that a comparison starts with."""

    def spec(self, **given: Any) -> OptimizerSpec:
        """The optimizer with the catalogue's defaults, except for the hyperparameters `given`."""
        known = {h.name: h for h in self.hyperparameters}
        for name in given:
            if name not in known:
                raise TypeError(f"{self.name}: {unknown_name('hyperparameter', name, known)}")
        values = {name: given.get(name, h.default) for name, h in known.items()}
        chosen = {n: _typed(self.name, known[n], v) for n, v in values.items() if v is not None}
        return OptimizerSpec(self.factory, self.name, **chosen)


def _typed(optimizer: str, hyperparameter: Hyperparameter, value: Any) -> Any:
    """`value` as the hyperparameter wants it: an integer, a float, a schedule, or the choice itself."""
    where = f"{optimizer}: {hyperparameter.name}"
    if hyperparameter.scale == "choice":
        if type(value) is not type(hyperparameter.default) and hyperparameter.default is not None:
            raise TypeError(f"{where} must be a {type(hyperparameter.default).__name__}, got {value!r}.")
        return value
    if isinstance(value, bool | str):
        raise TypeError(f"{where} must be a number or a schedule, got {value!r}.")
    if not hyperparameter.integer:
        return float(value) if isinstance(value, int) else as_schedule(value)
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{where} must be a whole number, got {value}.")
    if isinstance(value, float | int):
        return int(value) if hyperparameter.static else np.int32(value)
    return as_schedule(value)
