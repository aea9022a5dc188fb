"""What was proposed so far: a buffer for each kind of task, each task once."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Mapping

from optviz.language_model.reasoning.tasks import KINDS, Kind, Task

MAX_TASKS = 16384
"""Tasks of a kind at most, as in the published code; the oldest go."""


@dataclasses.dataclass(frozen=True)
class Buffers:
    """The tasks of each kind in the order in which they came, none twice and none of `forbidden` (an exam).

    Two tasks are the same if their questions are the same; `added` returns new buffers and leaves these as they are.
    """

    tasks: Mapping[Kind, Mapping[str, Task]] = dataclasses.field(default_factory=lambda: {kind: {} for kind in KINDS})
    forbidden: frozenset[str] = frozenset()

    def accepts(self, task: Task) -> bool:
        """Whether the task is new and in no exam."""
        return task.question not in self.tasks[task.kind] and task.question not in self.forbidden

    def added(self, tasks: Iterable[Task]) -> Buffers:
        """The buffers with those of `tasks` that are new; of more than `MAX_TASKS` the newest stay."""
        new = {kind: dict(own) for kind, own in self.tasks.items()}
        for task in tasks:
            if task.question not in self.forbidden:
                new[task.kind].setdefault(task.question, task)
        kept = {kind: dict(list(own.items())[-MAX_TASKS:]) for kind, own in new.items()}
        return dataclasses.replace(self, tasks=kept)

    def __len__(self) -> int:
        return sum(map(len, self.tasks.values()))

    def draw(self, rng: random.Random, kind: Kind, number: int) -> list[Task]:
        """`number` random tasks of a kind, repeated only if there are too few.

        Raises:
          ValueError: if there is no task of this kind at all.
        """
        own = list(self.tasks[kind].values())
        if not own:
            raise ValueError(f"There is no {kind} task to draw; fill the buffers with random tasks first.")
        return rng.sample(own, number) if number <= len(own) else rng.choices(own, k=number)

    def draw_program(self, rng: random.Random) -> str:
        """The program of a random task of deduction or abduction. ValueError as `draw`."""
        sources: list[Kind] = [kind for kind in ("deduction", "abduction") if self.tasks[kind]]
        return self.draw(rng, rng.choice(sources or KINDS), 1)[0].program
