"""What a comparison of optimizers found: means with intervals, time to a target, and which differences are significant.

Every number is a function of finished runs: pure, and tested without training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jax.scipy.special import betainc

from optviz.language_model.evaluation import STUDENT, Interval

CHANCE = 0.001
"""The largest probability of a difference by chance that counts as significant.

The rule of modded-nanogpt's optimizer track: (target - mean) * sqrt(n) >= 0.004, where runs are known to deviate by
0.0013 from seed to seed, so that 0.004 is the 99.9 % point of one optimizer held against a fixed target. Here the
deviation is not known but estimated from n pairs, so Student's distribution takes the place of the normal one; and the
best of k optimizers is found by the same runs, so the probability is times k (k - 1), the number of ordered pairs
(Bonferroni).
"""


COARSE = 10.0
"""The largest factor between the best rate and its neighbours that were tried with which optimizers are ranked."""


class Series(NamedTuple):
    """A quantity along a run: numbers of steps and values, NaN where there is none."""

    steps: tuple[float, ...]
    values: tuple[float, ...]


class Run(NamedTuple):
    """One training run, as far as a comparison keeps it."""

    rate: float | None
    """None for an optimizer without a learning rate."""
    seed: int
    steps: tuple[int, ...]
    """Numbers of steps after which it was validated, from 0 on."""
    losses: tuple[float, ...]
    """On the whole validation text then, in nats per token; infinite where the run was lost."""
    training_losses: tuple[float, ...]
    """The mean loss of the batches since the validation before; NaN at step 0."""
    seconds_per_step: float
    """The median over the run, without compilation and validations."""
    record: Mapping[str, Series] = MappingProxyType({})
    """Of a run that judges, by the columns of its tables: what goes on inside."""

    @property
    def final_loss(self) -> float:
        """The last validation loss; infinite if the run diverged: is not finite, or higher than at the start."""
        first, last = self.losses[0], self.losses[-1]
        return last if last <= first else math.inf


class Standing(NamedTuple):
    """One optimizer of a comparison: how its rate was found, and its runs with that rate."""

    label: str
    optimizer: str
    hyperparameters: Mapping[str, Any]
    """Those that were asked for; all others are the catalogue's."""
    rate: float | None
    tuning: tuple[Run, ...]
    """The runs that chose the rate; empty if it was given, or if there is none."""
    runs: tuple[Run, ...]
    """With the chosen rate, a seed each."""

    @property
    def losses(self) -> np.ndarray:
        """The final losses (S,), in the order of the seeds."""
        return np.array([run.final_loss for run in self.runs])

    @property
    def num_diverged(self) -> int:
        """How many of the seeds diverged."""
        return int(np.isinf(self.losses).sum())

    @property
    def rates(self) -> list[float]:
        """The rates tried, ascending."""
        return sorted(run.rate for run in self.tuning if run.rate is not None)

    @property
    def is_on_edge(self) -> bool:
        """Whether the rate is an end of those tried: a better one may lie beyond."""
        return bool(self.rates) and self.rate in (self.rates[0], self.rates[-1])

    @property
    def resolution(self) -> float:
        """The factor to the next rate tried, above or below, whichever is farther; NaN without tuning."""
        if self.rate is None or len(self.rates) < 2:
            return math.nan
        at = self.rates.index(self.rate)
        factors = [max(r / self.rate, self.rate / r) for r in self.rates[max(at - 1, 0) : at + 2]]
        return max(factors)


class Difference(NamedTuple):
    """How much higher one optimizer ends than another, in nats per token, by seeds in pairs."""

    mean: float
    interval: Interval
    """With 95 % confidence; infinite for a single seed."""
    chance: float
    """At most the probability of any so large between the optimizers if all are equal; NaN for a single seed."""

    @property
    def is_significant(self) -> bool:
        """Whether it is, by the rule of `CHANCE`."""
        return self.chance <= CHANCE


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, Interval]:
    """The mean of (n,) values and Student's interval of 95 %; all infinite if a value is."""
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        return math.inf, (math.inf, math.inf)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, (-math.inf, math.inf)
    student = STUDENT[min(len(values) - 1, len(STUDENT)) - 1]
    half = student * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, (mean - half, mean + half)


def difference(best: Standing, other: Standing, num_optimizers: int) -> Difference:
    """By how much another ends above the best of so many, with the same seeds; both without diverged runs."""
    gaps = other.losses - best.losses
    pairs = num_optimizers * (num_optimizers - 1)
    return Difference(*mean_interval(gaps), min(pairs * chance_of(gaps), 1.0))


def chance_of(gaps: np.ndarray) -> float:
    """The probability that the mean of (n,) gaps is so far above 0 if all is luck: Student's test, one-sided."""
    if len(gaps) < 2:
        return math.nan
    mean, error = gaps.mean(), gaps.std(ddof=1) / math.sqrt(len(gaps))
    if error == 0:
        return 0.0 if mean > 0 else 1.0
    freedom = len(gaps) - 1
    tail = 0.5 * float(betainc(freedom / 2, 0.5, freedom / (freedom + (mean / error) ** 2)))
    return tail if mean > 0 else 1 - tail


def ranked(standings: Sequence[Standing]) -> list[Standing]:
    """From the lowest mean loss to the highest; among those with diverged runs, the fewer the better."""
    return sorted(standings, key=lambda s: (mean_interval(s.losses)[0], s.num_diverged))


def default_target(standings: Sequence[Standing]) -> float | None:
    """The loss that the first optimizer reaches with every seed; None if it diverged with one."""
    worst = float(standings[0].losses.max())
    return worst if math.isfinite(worst) else None


def steps_to(run: Run, target: float) -> float:
    """The steps after which the validation loss is first at most `target`, on a straight line between validations.

    Infinite if it never is.
    """
    below = [i for i, loss in enumerate(run.losses) if loss <= target]
    if not below or below[0] == 0:
        return 0.0 if below else math.inf
    at = below[0]
    (begin, end), (high, low) = run.steps[at - 1 : at + 1], run.losses[at - 1 : at + 1]
    share = (high - target) / (high - low) if math.isfinite(high) else 1.0
    return begin + share * (end - begin)


def median(values: Sequence[float]) -> float:
    """The median of values that may be infinite; of an even number the higher of the two in the middle."""
    return sorted(values)[len(values) // 2]


def table(standings: Sequence[Standing], target: float | None, bits_per_nat: float) -> list[dict[str, Any]]:
    """A row for every optimizer, the best first: its rate, its losses with their intervals, its times.

    Args:
      standings: of the optimizers.
      target: a validation loss; None: times to it are NaN.
      bits_per_nat: bits per byte for each nat per token.
    """
    best, *others = ranked(standings)
    gaps = [None if s.num_diverged else difference(best, s, len(standings)) for s in others]
    rows = [(best, None), *zip(others, gaps, strict=True)]
    return [_row(standing, gap, target, bits_per_nat) for standing, gap in rows]


def _row(standing: Standing, gap: Difference | None, target: float | None, bits_per_nat: float) -> dict[str, Any]:
    loss, (low, high) = mean_interval(standing.losses)
    seconds = float(np.median([run.seconds_per_step for run in standing.runs]))
    steps = [math.nan if target is None else steps_to(run, target) for run in standing.runs]
    return {
        "optimizer": standing.label,
        "rate": math.nan if standing.rate is None else standing.rate,
        "rate_on_edge": standing.is_on_edge,
        "rate_resolution": standing.resolution,
        "diverged": standing.num_diverged,
        "seeds": len(standing.runs),
        "loss": loss,
        "loss_low": low,
        "loss_high": high,
        "bits_per_byte": loss * bits_per_nat,
        "bits_per_byte_low": low * bits_per_nat,
        "bits_per_byte_high": high * bits_per_nat,
        "reached_target": sum(map(math.isfinite, steps)),
        "steps_to_target": median(steps),
        "seconds_to_target": median(steps) * seconds,
        "seconds_per_step": seconds,
        "above_best": math.nan if gap is None else gap.mean,
        "above_best_low": math.nan if gap is None else gap.interval[0],
        "above_best_high": math.nan if gap is None else gap.interval[1],
        "chance": math.nan if gap is None else gap.chance,
        "significant": gap is not None and gap.is_significant,
    }


def sentences(standings: Sequence[Standing]) -> list[str]:
    """What the comparison says, a sentence each: who ends lowest, and for every other whether the difference counts."""
    best, *rest = ranked(standings)
    told = [_winner(best), *(_beside(best, standing, len(standings)) for standing in rest)]
    told += [
        f"The rate of {s.label}, {s.rate:g}, is an end of the range that was searched: a better one may lie beyond."
        for s in standings
        if s.is_on_edge and not s.num_diverged
    ]
    return told + [_coarse(s) for s in standings if s.resolution > COARSE]


RULE = (
    f"A difference is significant if chance would make one so large with a probability of at most {CHANCE:g}: "
    "Student's test of the differences paired by seed, one-sided, times k (k - 1) for k optimizers, since these runs "
    "also chose which of them is called best. The limit is that of modded-nanogpt's optimizer track."
)


def _coarse(standing: Standing) -> str:
    return (
        f"The rates of {standing.label} were tried too far apart to rank it: a neighbour of {standing.rate:g} is "
        f"{standing.resolution:.3g} times higher or lower. Try more rates."
    )


def _winner(best: Standing) -> str:
    if best.num_diverged:
        return "Every optimizer diverged with at least one seed: there is no lowest mean loss."
    mean, interval = mean_interval(best.losses)
    return f"{best.label} ends lowest, at {mean:.4f} nats per token{_between(interval, len(best.runs))}."


def _beside(best: Standing, other: Standing, num_optimizers: int) -> str:
    seeds = len(other.runs)
    if other.num_diverged:
        return (
            f"{other.label} diverged with {other.num_diverged} of {seeds} seeds, which counts as an infinite loss: "
            "there is no difference to test."
        )
    gap = difference(best, other, num_optimizers)
    above = f"{gap.mean:.4f} nats per token"
    if seeds == 1:
        return f"{other.label} ends {above} above it; with one seed no difference can be called significant."
    verdict = "significant" if gap.is_significant else "not significant"
    # An interval of 95 % may leave out 0 where this stricter rule is not met: so the rule stands beside it.
    chosen = f"{_told_chance(gap.chance)} for the best of {num_optimizers}"
    rule = f"{chosen}, where the rule asks for at most {CHANCE:g}"
    return f"{other.label} ends {above} above it{_between(gap.interval, seeds)}: {verdict} ({rule})."


def _told_chance(chance: float) -> str:
    return "p < 0.0001" if chance < 0.0001 else f"p = {chance:.2g}"


def _between(interval: Interval, seeds: int) -> str:
    low, high = interval
    if not math.isfinite(high):
        return f" ({seeds} seed)"
    return f" [{low:.4f}, {high:.4f}] (95 % interval over {seeds} seeds)"
