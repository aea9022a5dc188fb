"""The optimizers: the catalogue, and `optimizer(name, **hyperparameters)` to make one."""

from __future__ import annotations

from typing import Any

from optviz.optimizers import schedules
from optviz.optimizers.catalogue import CATALOGUE
from optviz.optimizers.emo import emofact, emolynx, emonavi
from optviz.optimizers.entry import Hyperparameter, OptimizerEntry
from optviz.optimizers.groups import param_groups, set_hyperparameter
from optviz.optimizers.protocol import GivenOptimizer, Optimizer, as_optimizer
from optviz.optimizers.spec import OptimizerSpec
from optviz.optimizers.states import load_state_dict, state_dict
from surfaces.names import unknown_name

__all__ = [
    "CATALOGUE",
    "GivenOptimizer",
    "Hyperparameter",
    "Optimizer",
    "OptimizerEntry",
    "OptimizerSpec",
    "as_optimizer",
    "emofact",
    "emolynx",
    "emonavi",
    "entry",
    "load_state_dict",
    "optimizer",
    "param_groups",
    "schedules",
    "set_hyperparameter",
    "state_dict",
]

_BY_NAME = {e.name: e for e in CATALOGUE}


def entry(name: str) -> OptimizerEntry:
    """The catalogue's entry for `name`. ValueError for an unknown name, with the nearest ones."""
    if name not in _BY_NAME:
        raise ValueError(unknown_name("optimizer", name, _BY_NAME))
    return _BY_NAME[name]


def optimizer(name: str, **hyperparameters: Any) -> OptimizerSpec:
    """An optimizer of the catalogue: `optimizer("adam", learning_rate=0.1, b1=0.8)`.

    Every hyperparameter not given has the catalogue's default: Optax's, and for the learning rate one that works on
    Rosenbrock's valley. Each number may be a schedule instead (`optviz.schedules`, or any callable of the number of
    steps taken).

    Raises:
      ValueError: for an unknown name, or a number that is not finite or not whole where it must be.
      TypeError: for an unknown hyperparameter, or one of the wrong kind.
    """
    return entry(name).spec(**hyperparameters)
