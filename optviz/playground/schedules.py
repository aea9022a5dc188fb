"""Schedules of the learning rate that a list can offer: shares of the run and of the rate, so that they fit any run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from optviz.optimizers import schedules
from optviz.optimizers.entry import Hyperparameter


class ScheduleEntry(NamedTuple):
    """A schedule by name: `make(rate, num_steps, **parameters)`."""

    name: str
    parameters: tuple[Hyperparameter, ...]
    make: Callable[..., schedules.Schedule]

    def of(self, rate: Any, num_steps: Any, given: Mapping[str, float]) -> schedules.Schedule:
        """The schedule from `rate` over `num_steps`, with the defaults of what is not `given`."""
        return self.make(rate, num_steps, **{p.name: given.get(p.name, p.default) for p in self.parameters})


def _share(name: str, default: float, meaning: str) -> Hyperparameter:
    return Hyperparameter(name, default, 0.0, 1.0, "linear", meaning)


_END = _share("end", 0.0, "rate at the end, as a share of the rate")
_WARMUP = _share("warmup", 0.1, "share of the steps in which the rate rises from 0")
_AT = _share("at", 0.5, "share of the steps after which the rate drops")
_FACTOR = Hyperparameter("factor", 0.1, 1e-3, 1.0, "log", "rate after the drop, as a share of the rate")


def _linear(rate: Any, num_steps: Any, end: float) -> schedules.Schedule:
    return schedules.Linear(rate, rate * end, num_steps)


def _cosine(rate: Any, num_steps: Any, end: float) -> schedules.Schedule:
    return schedules.CosineDecay(rate, num_steps, end)


def _exponential(rate: Any, num_steps: Any, factor: float) -> schedules.Schedule:
    return schedules.Exponential(rate, num_steps, factor)


def _warmup_cosine(rate: Any, num_steps: Any, warmup: float, end: float) -> schedules.Schedule:
    return schedules.WarmupCosineDecay(0.0, rate, warmup * num_steps, num_steps, rate * end)


def _one_cycle(rate: Any, num_steps: Any, warmup: float) -> schedules.Schedule:
    return schedules.CosineOnecycle(num_steps, rate, warmup)


def _drop(rate: Any, num_steps: Any, at: float, factor: float) -> schedules.Schedule:
    return schedules.PiecewiseConstant(rate, {at * num_steps: factor})


SCHEDULES: dict[str, ScheduleEntry] = {
    entry.name: entry
    for entry in (
        ScheduleEntry("linear", (_END,), _linear),
        ScheduleEntry("cosine", (_END,), _cosine),
        ScheduleEntry("exponential", (_FACTOR,), _exponential),
        ScheduleEntry("warmup_cosine", (_WARMUP, _END), _warmup_cosine),
        ScheduleEntry("one_cycle", (_WARMUP,), _one_cycle),
        ScheduleEntry("drop", (_AT, _FACTOR), _drop),
    )
}
