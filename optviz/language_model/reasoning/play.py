"""Verified self-play: one model proposes tasks and solves them, and the interpreter says what is true.

After the Absolute Zero Reasoner (Zhao et al. 2025, arXiv:2505.03335). In each round the model proposes tasks of three
kinds; the interpreter refuses or completes them; the model tries each several times, and the proposer is rewarded for
tasks that are sometimes solved, the solver for right answers. One step of policy gradient learns from both roles.

What differs: the model starts from random weights, so a supervised `warm_up` on random tasks comes first. Its context
is too short for examples; what varies its proposals is that they go on from random beginnings, of programs that may be
an operation longer than those of the warm-up: it never saw one end there, and would not find them by itself. The tries
by which a task's success is estimated are learnt from too, since they are there, each held against the others of its
task. Each text is learnt from once, so that the ratio which PPO clips is one and the gradient is plain REINFORCE.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from optviz.language_model.policy import Learner, WeightedText, learn, start_learning, token_weights
from optviz.language_model.reasoning.answers import answer, as_rows
from optviz.language_model.reasoning.buffers import Buffers
from optviz.language_model.reasoning.language import Refusal, count_operations
from optviz.language_model.reasoning.proposers import OwnProposer, Proposal, Proposer
from optviz.language_model.reasoning.rewards import advantages, proposal_reward, solution_reward
from optviz.language_model.reasoning.tasks import KINDS, Kind, Task, judge, random_task, request
from optviz.optimizers import OptimizerSpec, optimizer, schedules
from surfaces.transformer import Transformer, Weights

_WARM_UP_BLOCK = 20
_SOLVED_PER_PROPOSED = 3


@dataclasses.dataclass(frozen=True)
class Settings:
    """The model and the sizes of a game; numbers of texts are for each kind and round."""

    model: Transformer
    num_operations: int = 2
    """Operations of the programs in the warm-up, at most; an exam asks for one more."""
    warm_up_batch: int = 96
    """Texts of a step of the warm-up, of all kinds."""
    proposals: int = 16
    solutions: int = 8
    """Tries of each proposed task, by which its success is estimated; 8 in the published code."""
    again: int = 16
    """Tasks of the buffer that are tried once more."""
    leash: float = 0.0
    """Weight of KL(model ‖ model before self-play) where it solves, in nats a token; none in the published code. What
    it proposes is free, since longer programs than those of the warm-up are to be found."""

    @property
    def num_proposed(self) -> int:
        """Operations of the beginnings of proposals, at most: one more than the warm-up has, as the exam."""
        return self.num_operations + 1

    @property
    def texts(self) -> int:
        """How many texts a round can give to learn from, at most."""
        return len(KINDS) * (self.proposals * (1 + self.solutions) + self.again)


class Written(NamedTuple):
    """A text that the model wrote, in which role, and what it earned."""

    role: str
    kind: Kind
    question: str
    text: str
    reward: float


class Round(NamedTuple):
    """A round that was played: where learning stands, the buffers, what was proposed, and figures by name."""

    number: int
    """Of the round, from 0."""
    learner: Learner
    buffers: Buffers
    proposals: Sequence[Proposal]
    figures: Mapping[str, float]


def warm_up_optimizer(model: Transformer, num_steps: int) -> OptimizerSpec:
    """What the warm-up is done with: AdamW, the rate rising to 0.003 √(64 / width), then falling as a cosine to 0."""
    highest = 3e-3 * math.sqrt(64 / model.width)
    rate = schedules.warmup_cosine_decay_schedule(0.0, highest, 100, max(num_steps, 101))
    return optimizer("adamw", learning_rate=rate)


def warm_up(
    settings: Settings,
    optimizer: Any,
    num_steps: int,
    seed: int,
    params: Weights | None = None,
    *,
    learner: Learner | None = None,
    rng: random.Random | None = None,
) -> Iterator[tuple[Learner, float]]:
    """Supervised learning on random tasks, from random weights or `params`.

    Every 20 steps, and at the end, the learner and its last loss. A warm-up that was left goes on from its `learner`
    with the `rng` that draws its tasks, in the state in which it was.

    Three texts in four are questions with answers, one is a proposal.
    """
    key, rng = jax.random.key(seed), rng or random.Random(seed)
    if learner is None:
        learner = start_learning(optimizer, initial_weights(settings.model, key) if params is None else params)
    done = int(learner.steps)
    while done < num_steps:
        size = min(_WARM_UP_BLOCK, num_steps - done)
        batches = [supervised_batch(settings, rng) for _ in range(size)]
        tokens, weights = map(np.stack, zip(*batches, strict=True))
        learner, losses = learn(optimizer, learner, WeightedText(settings.model, tokens, weights), key)
        done += size
        yield learner, float(losses[-1])


def initial_weights(model: Transformer, key: PRNGKeyArray) -> Weights:
    """Random weights: those of the embedding with the standard deviation 1 / √width, all matrices in proportion.

    That of large models, 0.02, is too small for a narrow one: on tasks of one operation a model of width 64 answers
    96 % of deduction after 600 steps with three times as much, 27 % with that.
    """
    weights = model.init(key)
    scale = 1 / np.sqrt(model.width) / jnp.std(weights["tokens"])
    return jax.tree.map(lambda leaf: leaf * scale if leaf.ndim > 1 else leaf, weights)


def supervised_batch(settings: Settings, rng: random.Random) -> tuple[Int[np.ndarray, "B T"], Float[np.ndarray, "B T"]]:
    """Tokens and weights of random tasks, as solved and as proposed; all texts have equal weight."""
    texts = []
    for place in range(settings.warm_up_batch):
        kind = KINDS[place % len(KINDS)]
        task = random_task(rng, kind, rng.randint(1, settings.num_operations))
        solves = place // len(KINDS) % (_SOLVED_PER_PROPOSED + 1)
        texts.append((task.question, task.answer) if solves else (request(kind, task.program), task.proposal))
    tokens, lengths = as_rows(*zip(*texts, strict=True))
    sizes = np.array([len(text) for _, text in texts])
    return tokens, token_weights(tokens, lengths, sizes.mean() / sizes)


def random_buffers(settings: Settings, seed: int, forbidden: frozenset[str] = frozenset()) -> Buffers:
    """Buffers with some random tasks of each kind, from which the first rounds draw; none that is `forbidden`."""
    rng = random.Random(f"{seed} buffers")
    number = settings.proposals + settings.again
    tasks = [random_task(rng, kind, rng.randint(1, settings.num_operations)) for kind in KINDS for _ in range(number)]
    return Buffers(forbidden=forbidden).added(tasks)


def self_play(
    settings: Settings,
    optimizer: Any,
    params: Weights,
    buffers: Buffers,
    *,
    proposer: Proposer | None = None,
    seed: int = 0,
    learner: Learner | None = None,
    first: int = 0,
) -> Iterator[Round]:
    """Rounds of self-play from the weights `params`, for ever: stop when you like.

    With another `proposer` than an `OwnProposer`, the default, only the solver learns. Any optimizer of the catalogue,
    or of Optax. A game that was left before the round `first` goes on from its `learner` and its `buffers`.
    """
    learner, index = learner or start_learning(optimizer, params), first
    proposer = proposer or OwnProposer(settings.num_proposed)
    while True:
        rng, key = random.Random(f"{seed} {index}"), jax.random.fold_in(jax.random.key(seed), index)
        write_key, try_key, learn_key = jax.random.split(key, 3)
        proposals = proposer(settings.model, learner.params, buffers, settings.proposals, rng, write_key)
        proposals = [_allowed(proposal, buffers) for proposal in proposals]
        tries, successes = tried(settings, learner.params, proposals, buffers, rng, try_key)
        paid = proposals_paid(proposals, successes)
        written = [*tries, *paid] if isinstance(proposer, OwnProposer) else tries
        learner = taught(settings, optimizer, learner, written, params, learn_key)
        tasks = [p.outcome for p in proposals if isinstance(p.outcome, Task)]
        new = {task.question for task in tasks if buffers.accepts(task)}
        buffers = buffers.added(tasks)
        figures = {"new": len(new) / len(proposals), "kept": float(len(buffers)), **_figures(proposals, tries, paid)}
        yield Round(index, learner, buffers, proposals, figures)
        index += 1


def _allowed(proposal: Proposal, buffers: Buffers) -> Proposal:
    """The proposal, refused if its question is that of an exam."""
    is_known = isinstance(proposal.outcome, Task) and proposal.outcome.question in buffers.forbidden
    return proposal._replace(outcome=Refusal("an exam asks this", False)) if is_known else proposal


def tried(
    settings: Settings,
    params: Weights,
    proposals: Sequence[Proposal],
    buffers: Buffers,
    rng: random.Random,
    key: PRNGKeyArray,
) -> tuple[list[Written], list[list[bool]]]:
    """What the model answers to each proposed task, several times, and to some of the buffer; and by proposal, which of
    its tries were right (none for a proposal without a task)."""
    asked: list[tuple[int, Task]] = []
    for kind in KINDS:  # kind by kind, since a block of answers takes as long as its longest
        own = [(i, p.outcome) for i, p in enumerate(proposals) if isinstance(p.outcome, Task) and p.kind == kind]
        asked += own * settings.solutions + [(-1, task) for task in buffers.draw(rng, kind, settings.again)]
    texts = answer(settings.model, params, [task.question for _, task in asked], key).texts
    tries, successes = [], [[] for _ in proposals]
    for (i, task), text in zip(asked, texts, strict=True):
        verdict = judge(task, text)
        tries.append(Written("solve", task.kind, task.question, text, solution_reward(verdict)))
        if i >= 0:
            successes[i].append(verdict == "right")
    return tries, successes


def proposals_paid(proposals: Sequence[Proposal], successes: Sequence[Sequence[bool]]) -> list[Written]:
    """Each proposal with its reward."""
    paid = []
    for proposal, won in zip(proposals, successes, strict=True):
        refusal = proposal.outcome if isinstance(proposal.outcome, Refusal) else None
        paid.append(Written("propose", *proposal[:3], proposal_reward(refusal, won)))
    return paid


def taught(
    settings: Settings,
    optimizer: Any,
    learner: Learner,
    written: Sequence[Written],
    frozen: Weights,
    key: PRNGKeyArray,
) -> Learner:
    """One step of policy gradient from what was written, with a baseline for each role and kind.

    `frozen` are the weights that the leash holds the model to, if there is one.
    """
    rewards = np.array([w.reward for w in written], np.float32)
    tokens, lengths = as_rows([w.question for w in written], [w.text for w in written])
    groups, questions = [(w.role, w.kind) for w in written], [w.question for w in written]
    weights = token_weights(tokens, lengths, advantages(rewards, groups, questions))
    # Rounds differ in how many texts they give; empty rows keep one compiled program for all.
    missing = ((0, settings.texts - len(written)), (0, 0))
    held = np.array([w.role == "solve" for w in written], np.float32)
    leash = settings.leash * token_weights(tokens, lengths, held) if settings.leash else None
    losses = WeightedText(
        settings.model,
        np.pad(tokens, missing)[None],
        np.pad(weights, missing)[None],
        None if leash is None else np.pad(leash, missing)[None],
        None if leash is None else frozen,
    )
    return learn(optimizer, learner, losses, key)[0]


def _figures(proposals: Sequence[Proposal], tries: Sequence[Written], paid: Sequence[Written]) -> dict[str, float]:
    """How many proposals make tasks, how many operations their programs have, and the mean rewards by kind."""
    programs = [p.outcome.program for p in proposals if isinstance(p.outcome, Task)]
    rewards = {
        f"{kind}/{role}": _mean([w.reward for w in written if w.kind == kind])
        for kind in KINDS
        for role, written in (("proposing", paid), ("solving", tries))
    }
    operations = _mean([count_operations(program) for program in programs])
    return {"valid": len(programs) / len(proposals), "operations": operations, **rewards}


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else float("nan")
