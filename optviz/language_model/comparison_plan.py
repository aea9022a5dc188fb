"""What is compared and with how much effort: the optimizers, and how the learning rate of each is looked for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from optviz.arguments import parse_spec
from optviz.language_model.settings import TrainingSettings, require_rates
from optviz.optimizers import Hyperparameter, entry

_MOST_RATES = 30  # with more, neighbours would be alike in six digits


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is compared, and with how much effort; every field is JSON data.

    Raises:
      ValueError, TypeError: for a number out of its range, and for unknown optimizers, or two that are alike, or none.
    """

    optimizers: tuple[str, ...]
    """Each as `NAME` or `NAME:KEY=VALUE,KEY=VALUE`; what is not said is the catalogue's. A learning rate that is given
    is not tuned."""
    budget: int = 10
    """How many learning rates are tried for each optimizer, with the same seed for all."""
    seeds: int = 5
    """How many runs with the rate found judge it, each with initial weights and batches that the tuning did not see."""
    tuning_steps: int | None = None
    """Steps of a run that tries a rate, with warm-up and schedule shortened in proportion; None: as many as the others.
    What is best after few steps need not be best after many."""
    validations: int = 10
    """How often a judging run is validated, beside the beginning."""
    target: float | None = None
    """A validation loss to reach, in nats per token; None: what the first optimizer reaches with every seed."""

    def __post_init__(self):
        for name, least in (("budget", 3), ("seeds", 1), ("validations", 1)):
            _require_whole(name, getattr(self, name), least)
        if self.budget > _MOST_RATES:
            raise ValueError(f"budget is at most {_MOST_RATES} rates for each optimizer, got {self.budget}.")
        if self.tuning_steps is not None:
            _require_whole("tuning_steps", self.tuning_steps, 1)
        if self.target is not None and not (isinstance(self.target, int | float) and math.isfinite(self.target)):
            raise ValueError(f"target must be a finite validation loss, got {self.target!r}.")
        _ = self.rivals

    @property
    def rivals(self) -> tuple[Rival, ...]:
        """The optimizers, each under a name of its own."""
        read = [parse_spec(text) for text in self.optimizers]
        if not read:
            raise ValueError("A comparison needs at least one optimizer, got none.")
        names = [name for name, _ in read]
        rivals = tuple(Rival.of(name, given, names.count(name) > 1) for name, given in read)
        labels = [rival.label for rival in rivals]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"Optimizers to compare must differ, got {twice[0]} twice.")
        return rivals

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON data."""
        return {**dataclasses.asdict(self), "optimizers": list(self.optimizers)}


class Rival(NamedTuple):
    """One optimizer of a comparison."""

    label: str
    name: str
    hyperparameters: dict[str, Any]
    """As given."""
    rate: Hyperparameter | None
    """The learning rate that is to be found; None if it is given, or if there is none."""

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any], told_apart: bool) -> Rival:
        """The optimizer of the catalogue; ValueError or TypeError for one that is not there."""
        entry(name).spec(**given)
        require_rates(given)
        rates = [h for h in entry(name).hyperparameters if h.name.endswith("learning_rate") and h.default is not None]
        tuned = rates[0] if rates and rates[0].name not in given else None
        numbers = ", ".join(f"{k} = {v}" for k, v in given.items())
        return cls(f"{name} ({numbers})" if told_apart and numbers else name, name, dict(given), tuned)

    def settings(self, base: TrainingSettings, rate: float | None, **changes: Any) -> TrainingSettings:
        """The settings `base` with this optimizer, at this rate."""
        own = {} if self.rate is None or rate is None else {self.rate.name: rate}
        return base.replace(optimizer=self.name, hyperparameters={**self.hyperparameters, **own}, **changes)

    @property
    def given_rate(self) -> float | None:
        """The learning rate among the hyperparameters given, if any."""
        rates = [v for k, v in self.hyperparameters.items() if k.endswith("learning_rate")]
        return float(rates[0]) if rates and self.rate is None else None


def next_rate(tried: Mapping[float, float], low: float, high: float, budget: int) -> float | None:
    """The learning rate to try next, six digits of it; None if `budget` rates are tried.

    The first half of the budget is spread evenly in the logarithm of the range, ends included. Every further rate
    halves, in the logarithm, the wider of the two gaps beside the best so far. All optimizers are searched so.

    Args:
      tried: by rate, the loss at the end; infinite for a run that diverged.
      low, high: ends of the range.
      budget: from 3 on.
    """
    if len(tried) >= budget:
        return None
    first = np.geomspace(low, high, max(3, (budget + 1) // 2))
    if len(tried) < len(first):
        return float(f"{first[len(tried)]:.6g}")
    rates = sorted(tried)
    at = rates.index(best_rate(tried))
    gaps = [(rates[i + 1] / rates[i], rates[i], rates[i + 1]) for i in (at - 1, at) if 0 <= i < len(rates) - 1]
    _, below, above = max(gaps)
    return float(f"{math.sqrt(below * above):.6g}")


def best_rate(tried: Mapping[float, float]) -> float:
    """The rate with the lowest loss; of equals the lowest rate."""
    return min(tried, key=lambda rate: (tried[rate], rate))


def split_optimizers(text: str) -> tuple[str, ...]:
    """`adamw:b2=0.99,weight_decay=0.1,lion` as the optimizers that it names: a pair belongs to the one before it."""
    found: list[str] = []
    for part in map(str.strip, text.split(",")):
        if "=" in part and ":" not in part and found:
            found[-1] += ("," if ":" in found[-1] else ":") + part
        elif part:
            found.append(part)
    return tuple(found)


def _require_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}.")
