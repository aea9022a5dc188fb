"""The exam: tasks that no one trained on, from another seed and with one operation more.

Longer are the programs that the tasks were made with. About half of those of induction can be solved by a shorter one,
which is as right.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, PRNGKeyArray

from optviz.language_model.reasoning.answers import answer
from optviz.language_model.reasoning.buffers import Buffers
from optviz.language_model.reasoning.proposers import proposals_of
from optviz.language_model.reasoning.tasks import KINDS, Kind, Task, judge, random_task
from surfaces.transformer import Transformer, Weights

_Z = 1.959964  # two-sided 95 %
_PROPOSALS_SEED = 7


class Share(NamedTuple):
    """How many of a number, and the share with its 95 % interval: Wilson (1927), JASA 22."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.hits / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies with 95 % confidence; within 0 and 1, also when none or all were counted."""
        n, p = self.total, self.value
        centre, half = p + _Z**2 / (2 * n), _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        low, high = ((centre + sign * half) / (1 + _Z**2 / n) for sign in (-1, 1))
        return max(0.0, low), min(1.0, high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


@dataclasses.dataclass(frozen=True)
class Exam:
    """Tasks of each kind, none twice."""

    tasks: Mapping[Kind, Sequence[Task]]

    @property
    def questions(self) -> frozenset[str]:
        """Every question, to be forbidden in the buffers of those who will be examined."""
        return frozenset(task.question for own in self.tasks.values() for task in own)


def make_exam(num_tasks: int, num_operations: int, seed: int) -> Exam:
    """`num_tasks` random tasks of each kind, whose programs have exactly `num_operations` operations."""
    tasks: dict[Kind, Sequence[Task]] = {}
    for kind in KINDS:
        rng, own = random.Random(f"{seed} {kind}"), dict[str, Task]()
        for _ in range(100 * num_tasks):
            if len(own) < num_tasks:
                task = random_task(rng, kind, num_operations)
                own[task.question] = task
        if len(own) < num_tasks:
            raise ValueError(
                f"There are not {num_tasks} {kind} tasks of {num_operations} operations; found {len(own)}."
            )
        tasks[kind] = tuple(own.values())
    return Exam(tasks)


def sit_exam(model: Transformer, params: Weights, exam: Exam) -> dict[Kind, Bool[np.ndarray, " tasks"]]:
    """Which tasks of each kind the model answers right, writing the likeliest token each time."""
    marks = {}
    for kind, tasks in exam.tasks.items():
        texts = answer(model, params, [task.question for task in tasks], jax.random.key(0), temperature=0.0).texts
        marks[kind] = np.array([judge(*pair) == "right" for pair in zip(tasks, texts, strict=True)])
    return marks


def share(marks: Bool[np.ndarray, " tasks"]) -> Share:
    """The share of marks that are true."""
    return Share(int(marks.sum()), len(marks))


def difference(
    marks: Bool[np.ndarray, " tasks"], others: Bool[np.ndarray, " tasks"]
) -> tuple[float, tuple[float, float]]:
    """The difference of two shares on the same tasks, with its 95 % interval from the paired differences.

    Bonett & Price (2012), J. Educ. Behav. Stat. 37(4): Wald's interval with a task more on either side, so that it has
    a width where no task changed. It tells the luck of the tasks, not of training: that takes several seeds.
    """
    n, won, lost = len(marks), int(np.sum(marks & ~others)), int(np.sum(others & ~marks))
    up, down = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _Z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return (won - lost) / n, (max(-1.0, up - down - half), min(1.0, up - down + half))


def examine_proposals(
    model: Transformer,
    params: Weights,
    programs: Sequence[str],
    num_operations: int,
    known: Buffers,
    key: PRNGKeyArray,
) -> dict[Kind, dict[str, Share]]:
    """How good proposals are: for each kind, of as many as there are `programs` (which induction is asked about).

    They go on from beginnings of at most `num_operations`, as in `proposals_of`. `valid` make a task; `unique` are the
    different tasks among these; `new` are those of them that are not `known`.
    """
    rng, rates = random.Random(_PROPOSALS_SEED), {}
    proposals = proposals_of(model, params, programs, num_operations, rng, key)
    for kind in KINDS:
        tasks = [p.outcome for p in proposals if p.kind == kind and isinstance(p.outcome, Task)]
        unique = {task.question: task for task in tasks}
        new = sum(map(known.accepts, unique.values()))
        counts = {"valid": len(tasks), "unique": len(unique), "new": new}
        rates[kind] = {name: Share(count, len(programs)) for name, count in counts.items()}
    return rates
