"""Who proposes the tasks: the model that learns, and two controls that do not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
from jaxtyping import PRNGKeyArray

from optviz.language_model.reasoning.answers import answer
from optviz.language_model.reasoning.buffers import Buffers
from optviz.language_model.reasoning.language import Refusal
from optviz.language_model.reasoning.tasks import KINDS, Kind, Task, proposed, random_task, request
from surfaces.transformer import Transformer, Weights


class Proposal(NamedTuple):
    """What a proposer was asked and wrote, and the task that came of it."""

    kind: Kind
    request: str
    text: str
    outcome: Task | Refusal


Proposer = Callable[[Transformer, Weights, Buffers, int, random.Random, PRNGKeyArray], list[Proposal]]
"""`(model, its present weights, buffers, number for each kind, rng, key) -> proposals`, kind by kind."""


def propose(
    model: Transformer, params: Weights, buffers: Buffers, number: int, rng: random.Random, key: PRNGKeyArray
) -> list[Proposal]:
    """The model's own proposals; those for induction are about programs of the buffers."""
    asked: list[tuple[Kind, str]] = [(kind, buffers.draw_program(rng)) for kind in KINDS for _ in range(number)]
    requests = [request(*each) for each in asked]
    texts = answer(model, params, requests, key).texts
    outcomes = [proposed(kind, text, program) for (kind, program), text in zip(asked, texts, strict=True)]
    return [
        Proposal(kind, question, text, outcome)
        for (kind, _), question, text, outcome in zip(asked, requests, texts, outcomes, strict=True)
    ]


class FrozenProposer(eqx.Module):
    """The proposals of a model with these weights, which never learns. A control."""

    params: Weights

    def __call__(
        self, model: Transformer, params: Weights, buffers: Buffers, number: int, rng: random.Random, key: PRNGKeyArray
    ) -> list[Proposal]:
        return propose(model, self.params, buffers, number, rng, key)


class RandomProposer(eqx.Module):
    """Random tasks of at most `num_operations`, without any model. A control."""

    num_operations: int = eqx.field(static=True)

    def __call__(
        self, model: Transformer, params: Weights, buffers: Buffers, number: int, rng: random.Random, key: PRNGKeyArray
    ) -> list[Proposal]:
        kinds: list[Kind] = [kind for kind in KINDS for _ in range(number)]
        tasks = [random_task(rng, kind, rng.randint(1, self.num_operations)) for kind in kinds]
        return [Proposal(task.kind, request(task.kind, task.program), task.proposal, task) for task in tasks]
