"""The learning rate of every optimizer of a comparison, found with equal effort over the plotted number of steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from optviz.metrics import DEFAULT_TOLERANCE
from optviz.optimizers.entry import Hyperparameter
from optviz.playground import compute
from optviz.playground.errors import BadSettings
from optviz.playground.settings import Choice, Settings
from optviz.playground.world import World, catalogue

BUDGET = 65
"""Rates tried for each optimizer, if not said: over seven decades the next is 1.29 times the one before."""
MAX_BUDGET = 200
"""Rates tried for each optimizer."""
MAX_WORK = 50_000_000
"""Steps of all runs together: about a minute on one core."""


class Cancelled(Exception):
    """The tuning was stopped before its end."""


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The best rate found for one optimizer, and the final loss with it; both None for one without a rate."""

    index: int
    name: str
    rate: float | None
    loss: float | None


def tune(
    settings: Settings,
    budget: int = BUDGET,
    world: World | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Tuned]:
    """The best of `budget` learning rates for each optimizer that is on, spread evenly in the logarithm of its range.

    Every rate is tried from the same start with the same steps, noise and schedule as the picture shows; what else
    is set stays as it is. A rate counts for the worse of the final losses at it and at the next one tried above, so
    that a lucky run does not win; the highest has no next, and is not chosen. Losses within 1e-4 of the known minimum
    are alike, and there the earlier is better. The present rate stays if it is as good, and no slower.

    Args:
      settings: the comparison.
      budget: rates tried for each optimizer besides the present one, from 2 to `MAX_BUDGET`.
      world: what may be named.
      progress: is told the share done, from 0 to 1.
      cancelled: is asked before every run.

    Raises:
      BadSettings: for more work than `MAX_WORK` steps.
      Cancelled: if `cancelled()` was true.
    """
    chosen = [i for i, choice in enumerate(settings.optimizers) if choice.on]
    if budget * len(chosen) * settings.num_steps > MAX_WORK:
        raise BadSettings(
            "Tuning {optimizers} optimizers by {runs} runs of {steps} steps takes too long; at most {most} steps in "
            "all: take fewer steps.",
            "num_steps",
            optimizers=len(chosen),
            runs=budget,
            steps=settings.num_steps,
            most=MAX_WORK,
        )
    count = _Count((budget + 1) * len(chosen), progress, cancelled)
    # One after another, on the caller's thread: the other cores stay free for whoever moves a slider meanwhile.
    return [_tuned(settings, i, budget, world, count) for i in chosen]


def with_rates(settings: Settings, tuned: list[Tuned], world: World | None = None) -> Settings:
    """The settings with the rates found."""
    choices = list(settings.optimizers)
    for found in tuned:
        if found.rate is not None:
            choices[found.index] = _with_rate(choices[found.index], _rate(choices[found.index], world), found.rate)
    return dataclasses.replace(settings, optimizers=tuple(choices))


class _Count:
    """How much is done."""

    def __init__(self, total: int, progress: Callable[[float], None], cancelled: Callable[[], bool]):
        self.total, self.progress, self.cancelled = total, progress, cancelled
        self.done = 0

    def add(self, runs: int) -> None:
        if self.cancelled():
            raise Cancelled
        self.done += runs
        self.progress(self.done / self.total)


def _tuned(settings: Settings, index: int, budget: int, world: World | None, count: _Count) -> Tuned:
    choice = settings.optimizers[index]
    rate = _rate(choice, world)
    if rate is None:
        count.add(budget + 1)
        return Tuned(index, choice.name, None, None)
    assert rate.low is not None and rate.high is not None
    rates = [float(f"{value:.3g}") for value in np.geomspace(rate.low, rate.high, budget)]
    tried = [*rates, choice.hyperparameters[rate.name]]
    known, results = compute.facts(settings, world), []
    try:
        for value in tried:
            count.add(1)
            results.append(_result(settings, _with_rate(choice, rate, value), known, world))
    except BadSettings:  # the surface does not suit this optimizer, at whatever rate
        count.add(budget - len(results))
        return Tuned(index, choice.name, None, None)
    best = min(range(budget - 1), key=lambda i: max(results[i], results[i + 1]))
    if _is_no_worse(results[-1], results[best]):
        best = budget
    loss = results[best][0]
    return Tuned(index, choice.name, tried[best], loss if np.isfinite(loss) else None)


def _is_no_worse(present: tuple[float, float], found: tuple[float, float]) -> bool:
    """Whether the final losses are alike, and the steps to the tolerance no more."""
    (loss, reached), (other, sooner) = present, found
    return reached <= sooner and (loss == other or abs(loss - other) <= DEFAULT_TOLERANCE)


def _result(settings: Settings, choice: Choice, known: compute.Facts, world: World | None) -> tuple[float, float]:
    """Final loss and steps to tolerance, lower is better; losses within the tolerance of the minimum are alike."""
    trial = dataclasses.replace(settings, optimizers=(choice,))
    # The first of twins is the one without a penalty.
    path = compute.path(trial, compute.runs(trial, world)[0], world)
    loss = float(path.points[-1, 2])
    if known.minimum is not None and loss <= known.minimum + DEFAULT_TOLERANCE:
        loss = known.minimum
    return loss if np.isfinite(loss) else np.inf, float(path.totals.reached)


def _rate(choice: Choice, world: World | None) -> Hyperparameter | None:
    """The hyperparameter that is the learning rate, in force in this choice; None for one without."""
    entry = (world or catalogue()).optimizers[choice.name]
    named = [h for h in entry.hyperparameters if h.name.endswith("learning_rate")]
    return next((h for h in named if choice.hyperparameters.get(h.name) is not None), None)


def _with_rate(choice: Choice, rate: Hyperparameter | None, value: float) -> Choice:
    assert rate is not None
    return dataclasses.replace(choice, hyperparameters={**choice.hyperparameters, rate.name: value})
