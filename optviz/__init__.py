"""optviz: optimizers made visible, measurable and checkable.

    import optviz, surfaces

    trace = optviz.record(optviz.optimizer("adam", learning_rate=0.1), surfaces.Rosenbrock(), [-2, 2], 1000)
    optviz.metrics.summary(trace)
    optviz.plot_trajectory(trace)

Every name is loaded when it is first used, so that importing optviz costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optviz import conformance, language_model, metrics, sweeps
    from optviz.conformance import CheckFailed, check_optimizer
    from optviz.job import run
    from optviz.optimizers import (
        CATALOGUE,
        GivenOptimizer,
        Hyperparameter,
        OptimizerEntry,
        OptimizerSpec,
        entry,
        optimizer,
        schedules,
    )
    from optviz.plotting import (
        create_animation,
        good_region,
        interactive_3d,
        plot_basins,
        plot_comparison,
        plot_diagnostics,
        plot_heat_map,
        plot_losses,
        plot_parallel_coordinates,
        plot_rate_curve,
        plot_sensitivity,
        plot_surface_3d,
        plot_trajectory,
        save_interactive_3d,
    )
    from optviz.store import read_csv, read_json, write_csv, write_json
    from optviz.sweeps import log_uniform, sweep
    from optviz.tensorboard import write_tensorboard
    from optviz.trace import SCALARS, OptimizerStep, OptimizerTrace, record
    from optviz.widget import explore

__version__ = "0.1.0"

_MODULES = ("conformance", "language_model", "metrics", "sweeps", "torch")
_HOMES = {
    "CheckFailed": "optviz.conformance",
    "check_optimizer": "optviz.conformance",
    "run": "optviz.job",
    "CATALOGUE": "optviz.optimizers",
    "GivenOptimizer": "optviz.optimizers",
    "Hyperparameter": "optviz.optimizers",
    "OptimizerEntry": "optviz.optimizers",
    "OptimizerSpec": "optviz.optimizers",
    "entry": "optviz.optimizers",
    "optimizer": "optviz.optimizers",
    "schedules": "optviz.optimizers",
    "create_animation": "optviz.plotting",
    "good_region": "optviz.plotting",
    "interactive_3d": "optviz.plotting",
    "plot_basins": "optviz.plotting",
    "plot_comparison": "optviz.plotting",
    "plot_diagnostics": "optviz.plotting",
    "plot_heat_map": "optviz.plotting",
    "plot_losses": "optviz.plotting",
    "plot_parallel_coordinates": "optviz.plotting",
    "plot_rate_curve": "optviz.plotting",
    "plot_sensitivity": "optviz.plotting",
    "plot_surface_3d": "optviz.plotting",
    "plot_trajectory": "optviz.plotting",
    "save_interactive_3d": "optviz.plotting",
    "read_csv": "optviz.store",
    "read_json": "optviz.store",
    "write_csv": "optviz.store",
    "write_json": "optviz.store",
    "log_uniform": "optviz.sweeps",
    "sweep": "optviz.sweeps",
    "write_tensorboard": "optviz.tensorboard",
    "SCALARS": "optviz.trace",
    "OptimizerStep": "optviz.trace",
    "OptimizerTrace": "optviz.trace",
    "record": "optviz.trace",
    "explore": "optviz.widget",
}

__all__ = [
    "CATALOGUE",
    "SCALARS",
    "CheckFailed",
    "GivenOptimizer",
    "Hyperparameter",
    "OptimizerEntry",
    "OptimizerSpec",
    "OptimizerStep",
    "OptimizerTrace",
    "check_optimizer",
    "conformance",
    "create_animation",
    "entry",
    "explore",
    "good_region",
    "interactive_3d",
    "language_model",
    "log_uniform",
    "metrics",
    "optimizer",
    "plot_basins",
    "plot_comparison",
    "plot_diagnostics",
    "plot_heat_map",
    "plot_losses",
    "plot_parallel_coordinates",
    "plot_rate_curve",
    "plot_sensitivity",
    "plot_surface_3d",
    "plot_trajectory",
    "read_csv",
    "read_json",
    "record",
    "run",
    "save_interactive_3d",
    "schedules",
    "sweep",
    "sweeps",
    "write_csv",
    "write_json",
    "write_tensorboard",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"optviz.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'optviz' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
