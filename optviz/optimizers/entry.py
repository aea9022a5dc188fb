"""What the catalogue says of an optimizer: one `OptimizerEntry`, read by tests, command line, tables and pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from optviz.optimizers.faults import FAULTS
from optviz.optimizers.spec import OptimizerSpec, as_integer, as_number
from optviz.optimizers.twins import TorchTwin
from surfaces.names import unknown_name

Need = Literal["value", "gradient function", "line search", "hessian", "residuals", "matrix"]


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
    torch: TorchTwin | None = None
    """The same optimizer in PyTorch, and how to set both alike; None if `torch.optim` has none."""

    @property
    def learning_rate(self) -> float | None:
        """The default learning rate; None for an optimizer that finds its own."""
        return learning_rate_of({h.name: h.default for h in self.hyperparameters})

    @property
    def known_failures(self) -> Mapping[str, str]:
        """By id of a law of `optviz.conformance`, the reason why the optimizer breaks it."""
        return FAULTS.get(self.name, {})

    def spec(self, **given: Any) -> OptimizerSpec:
        """The optimizer with the catalogue's defaults, except for the hyperparameters `given`."""
        known = {h.name: h for h in self.hyperparameters}
        for name in given:
            if name not in known:
                raise TypeError(f"{self.name}: {unknown_name('hyperparameter', name, known)}")
        values = {name: given.get(name, h.default) for name, h in known.items()}
        chosen = {n: _typed(self.name, known[n], v) for n, v in values.items() if v is not None}
        return OptimizerSpec(self.factory, self.name, **chosen)


def learning_rate_of(values: Mapping[str, Any]) -> Any | None:
    """The learning rate among hyperparameters by name, which a few optimizers call by a longer one; else None."""
    longer = (v for name, v in values.items() if name.endswith("learning_rate"))
    return values.get("learning_rate", next(longer, None))


def _typed(optimizer: str, hyperparameter: Hyperparameter, value: Any) -> Any:
    """`value` as the hyperparameter wants it: an integer, a float, a schedule, or the choice itself."""
    where = f"{optimizer}: {hyperparameter.name}"
    if hyperparameter.scale == "choice":
        if type(value) is not type(hyperparameter.default) and hyperparameter.default is not None:
            raise TypeError(f"{where} must be a {type(hyperparameter.default).__name__}, got {value!r}.")
        return value
    if hyperparameter.static:
        return as_integer(where, value)
    value = as_number(where, value)
    if not isinstance(value, int | float | np.number):
        return value
    # A Python integer would be static where the factory asks for one; an array is traced.
    return np.asarray(as_integer(where, value), np.int32) if hyperparameter.integer else float(value)
