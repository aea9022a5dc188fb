"""optviz: optimizers made visible, measurable and checkable.

    import optviz, surfaces

    trace = optviz.record(optviz.optimizer("adam", learning_rate=0.1), surfaces.Rosenbrock(), [-2, 2], 1000)
    optviz.metrics.summary(trace)
    optviz.plot_trajectory(trace)

Pictures are loaded when first used, so that importing optviz stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from optviz import metrics
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
from optviz.sweeps import log_uniform, sweep
from optviz.trace import SCALARS, OptimizerStep, OptimizerTrace, record

if TYPE_CHECKING:
    from optviz.job import run
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

__version__ = "0.1.0"

_LOADED_WHEN_USED = {
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
    "run": "optviz.job",
}

__all__ = [
    "CATALOGUE",
    "SCALARS",
    "GivenOptimizer",
    "Hyperparameter",
    "OptimizerEntry",
    "OptimizerSpec",
    "OptimizerStep",
    "OptimizerTrace",
    "create_animation",
    "entry",
    "good_region",
    "interactive_3d",
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
    "write_csv",
    "write_json",
]


def __getattr__(name: str) -> Any:
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module 'optviz' has no attribute {name!r}")
    return getattr(importlib.import_module(_LOADED_WHEN_USED[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
