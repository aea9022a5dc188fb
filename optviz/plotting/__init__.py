"""Pictures of runs and of sweeps: they read traces and datasets, and nothing else.

Each is loaded when first used: Matplotlib is imported for the pictures that need it, and Plotly for its own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optviz.plotting.animation import create_animation
    from optviz.plotting.comparison import plot_comparison, plot_losses
    from optviz.plotting.diagnostics import plot_diagnostics
    from optviz.plotting.interactive import interactive_3d, save_interactive_3d
    from optviz.plotting.maps import plot_basins, plot_heat_map
    from optviz.plotting.parallel_coordinates import plot_parallel_coordinates
    from optviz.plotting.planes import Plane, on_plane, view
    from optviz.plotting.surfaces3d import plot_surface_3d
    from optviz.plotting.sweeps import plot_rate_curve, plot_sensitivity
    from optviz.plotting.swept import good_region
    from optviz.plotting.trajectories import plot_trajectory
    from surfaces.contours import level_grid, plot_contours

_HOMES = {
    "Plane": "optviz.plotting.planes",
    "create_animation": "optviz.plotting.animation",
    "good_region": "optviz.plotting.swept",
    "interactive_3d": "optviz.plotting.interactive",
    "level_grid": "surfaces.contours",
    "on_plane": "optviz.plotting.planes",
    "plot_basins": "optviz.plotting.maps",
    "plot_comparison": "optviz.plotting.comparison",
    "plot_contours": "surfaces.contours",
    "plot_diagnostics": "optviz.plotting.diagnostics",
    "plot_heat_map": "optviz.plotting.maps",
    "plot_losses": "optviz.plotting.comparison",
    "plot_parallel_coordinates": "optviz.plotting.parallel_coordinates",
    "plot_rate_curve": "optviz.plotting.sweeps",
    "plot_sensitivity": "optviz.plotting.sweeps",
    "plot_surface_3d": "optviz.plotting.surfaces3d",
    "plot_trajectory": "optviz.plotting.trajectories",
    "save_interactive_3d": "optviz.plotting.interactive",
    "view": "optviz.plotting.planes",
}

__all__ = [
    "Plane",
    "create_animation",
    "good_region",
    "interactive_3d",
    "level_grid",
    "on_plane",
    "plot_basins",
    "plot_comparison",
    "plot_contours",
    "plot_diagnostics",
    "plot_heat_map",
    "plot_losses",
    "plot_parallel_coordinates",
    "plot_rate_curve",
    "plot_sensitivity",
    "plot_surface_3d",
    "plot_trajectory",
    "save_interactive_3d",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'optviz.plotting' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
