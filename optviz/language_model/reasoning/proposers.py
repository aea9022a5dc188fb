"""Who proposes the tasks: the model that learns, and two controls that do not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import equinox as eqx
from jaxtyping import PRNGKeyArray

from optviz.language_model.reasoning.answers import answer
from optviz.language_model.reasoning.buffers import Buffers
from optviz.language_model.reasoning.language import Refusal, evaluate
from optviz.language_model.reasoning.tasks import (
    KINDS,
    NUM_SHOWN,
    Kind,
    Task,
    proposed,
    random_input,
    random_program,
    random_task,
    request,
)
from surfaces.names import unknown_name
from surfaces.transformer import Transformer, Weights

ITSELF = "itself"
PROPOSERS = (ITSELF, "frozen", "random")
"""Names of who proposes."""
_DRAWS = 8  # of inputs, of which a program may refuse many


class Proposal(NamedTuple):
    """What a proposer was asked and wrote, and the task that came of it."""

    kind: Kind
    request: str
    text: str
    outcome: Task | Refusal


Proposer = Callable[[Transformer, Weights, Buffers, int, random.Random, PRNGKeyArray], list[Proposal]]
"""`(model, its present weights, buffers, number for each kind, rng, key) -> proposals`, kind by kind."""


class OwnProposer(eqx.Module):
    """The model's own proposals, on from beginnings of at most `num_operations`; see `proposals_of`.

    Those for induction are about programs of the buffers.
    """

    num_operations: int = eqx.field(static=True)

    def __call__(
        self, model: Transformer, params: Weights, buffers: Buffers, number: int, rng: random.Random, key: PRNGKeyArray
    ) -> list[Proposal]:
        programs = [buffers.draw_program(rng) for _ in range(number)]
        return proposals_of(model, params, programs, self.num_operations, rng, key)


class FrozenProposer(eqx.Module):
    """As `OwnProposer`, but of a model with these weights, which never learns. A control."""

    params: Weights
    num_operations: int = eqx.field(static=True)

    def __call__(
        self, model: Transformer, params: Weights, buffers: Buffers, number: int, rng: random.Random, key: PRNGKeyArray
    ) -> list[Proposal]:
        return OwnProposer(self.num_operations)(model, self.params, buffers, number, rng, key)


class RandomProposer(eqx.Module):
    """Random tasks of at most `num_operations`, without any model. A control."""

    num_operations: int = eqx.field(static=True)

    def __call__(
        self, model: Transformer, params: Weights, buffers: Buffers, number: int, rng: random.Random, key: PRNGKeyArray
    ) -> list[Proposal]:
        kinds: list[Kind] = [kind for kind in KINDS for _ in range(number)]
        tasks = [random_task(rng, kind, rng.randint(1, self.num_operations)) for kind in kinds]
        return [Proposal(task.kind, request(task.kind, task.program), task.proposal, task) for task in tasks]


def proposer_named(name: str, params: Weights, num_operations: int) -> Proposer:
    """One of `PROPOSERS`: the model itself, a copy with the weights `params`, or random tasks."""
    if name not in PROPOSERS:
        raise ValueError(unknown_name("proposer", name, PROPOSERS))
    makers = {ITSELF: OwnProposer, "frozen": partial(FrozenProposer, params), "random": RandomProposer}
    return makers[name](num_operations)


def proposals_of(
    model: Transformer,
    params: Weights,
    programs: Sequence[str],
    num_operations: int,
    rng: random.Random,
    key: PRNGKeyArray,
) -> list[Proposal]:
    """For each kind as many proposals as there are `programs`, which induction is asked about.

    All go on from random beginnings. These do what the published prompts do by showing earlier tasks, for which a short
    context has no room: without them proposals come to use the same few operations, and inputs that say little of a
    program, and the solver forgets the rest.
    """
    kinds: list[Kind] = [kind for kind in KINDS for _ in programs]
    about = [*programs] * len(KINDS)
    begun = [_beginning(kind, program, num_operations, rng) for kind, program in zip(kinds, about, strict=True)]
    asked = list(zip(kinds, about, begun, strict=True))
    requests = [request(kind, program) + begin for kind, program, begin in asked]
    texts = answer(model, params, requests, key).texts
    outcomes = [
        proposed(kind, begin + text, program) for (kind, program, begin), text in zip(asked, texts, strict=True)
    ]
    return [Proposal(*each) for each in zip(kinds, requests, texts, outcomes, strict=True)]


def _beginning(kind: Kind, program: str, num_operations: int, rng: random.Random) -> str:
    """At most so many random operations; for induction some of the inputs that are shown, which the program takes."""
    if kind != "induction":
        return random_program(rng, rng.randint(1, num_operations))
    drawn = dict.fromkeys(random_input(rng) for _ in range(_DRAWS))
    taken = [given for given in drawn if not isinstance(evaluate(program, given), Refusal)]
    return "".join(f"{given}," for given in taken[: rng.randint(1, NUM_SHOWN)])
