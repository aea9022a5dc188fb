"""Sweeps: the same run for every point of a grid, as one compiled program on one machine or many."""

from optviz.sweeps.axes import log_uniform
from optviz.sweeps.dataset import FIELDS
from optviz.sweeps.metrics import DEFAULT_METRICS, METRICS, End, StreamedMetric, steps_to_tolerance
from optviz.sweeps.sweep import sweep

__all__ = [
    "DEFAULT_METRICS",
    "FIELDS",
    "METRICS",
    "End",
    "StreamedMetric",
    "log_uniform",
    "steps_to_tolerance",
    "sweep",
]
