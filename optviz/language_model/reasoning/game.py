"""A whole game of verified self-play that is saved as it goes on: warm-up, exam, rounds, exam.

    for event in play_game(folder, Options(rounds=100)):
        print(event)

Left or killed at any moment, the same call goes on from what was saved last and tells the same as an unbroken game.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from optviz.arguments import parse_optimizer
from optviz.language_model.checkpoints import CheckpointError, has_checkpoint, read_checkpoint, write_checkpoint
from optviz.language_model.events import finite
from optviz.language_model.policy import Learner, resume_learning
from optviz.language_model.reasoning import exam as exams
from optviz.language_model.reasoning import play
from optviz.language_model.reasoning.buffers import Buffers
from optviz.language_model.reasoning.proposers import ITSELF, PROPOSERS, Proposal, proposer_named
from optviz.language_model.reasoning.tasks import ALPHABET, KINDS, TEXT_LENGTH, Task
from optviz.language_model.settings import require_rates
from optviz.optimizers import load_state_dict, state_dict
from surfaces.names import unknown_name
from surfaces.transformer import Transformer, Weights

WARM_UP, BEFORE, ROUNDS, AFTER = range(4)
"""The parts of a game, by which events are ordered: each is told with `at`, its part and its number there."""
_BELONGS_TO = "optviz-verified-game/1"
_HEADS = 4
_EXAM_SEED = 1_000_003
_SAVE_EVERY = 10  # blocks of the warm-up, or rounds

Event = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Options:
    """What a game is told in advance; every field is JSON data.

    Raises:
      ValueError, TypeError: for a number out of its range, an unknown optimizer or hyperparameter.
    """

    optimizer: str = "adam:learning_rate=2e-4"
    """Of self-play, as the command line takes it."""
    rounds: int = 1000
    warm_up_steps: int = 6000
    width: int = 64
    layers: int = 2
    tasks: int = 100
    """Tasks of each kind in the exam."""
    exam_every: int = 100
    """Rounds between two exams."""
    proposer: str = ITSELF
    """One of `PROPOSERS`; with another than the model itself only its solving learns."""
    leash: float = 0.03
    """As in `play.Settings`."""
    seed: int = 0

    def __post_init__(self):
        least = {"rounds": 1, "warm_up_steps": 1, "width": 4, "layers": 1, "tasks": 2, "exam_every": 1, "seed": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name} must be a whole number, at least {low}, got {value!r}.")
        if not isinstance(self.leash, int | float) or not 0 <= self.leash < float("inf"):
            raise ValueError(f"leash must be a number >= 0, got {self.leash!r}.")
        if self.proposer not in PROPOSERS:
            raise ValueError(unknown_name("proposer", self.proposer, PROPOSERS))
        require_rates(parse_optimizer(self.optimizer).hyperparameters)
        self.settings()

    def settings(self) -> play.Settings:
        """The sizes of the model and of a round."""
        model = Transformer(len(ALPHABET), self.width, self.layers, _HEADS, 4 * self.width, TEXT_LENGTH)
        return play.Settings(model, leash=self.leash)


def play_game(folder: Path, options: Options) -> Iterator[Event]:
    """A game from where it was left in `folder`, told in events of JSON data.

    `{"at": [0, step], "loss"}` for blocks of the warm-up; `{"at": [1, 0], "exam"}` after it; `{"at": [2, number],
    "figures", "proposals", "exam" now and then}` for rounds; at last `{"at": [3, 0], "exam", "gain"}`. An exam is, by
    kind, the tasks that were solved and all tasks; a gain is the difference from before with its 95 % interval over
    tasks. With `saved` set the state was written just before. Closed early, a game is saved.

    A game that was finished goes on too, if `options` have more rounds.

    Raises:
      CheckpointError: if what was saved is damaged, or of a game with other options or more rounds.
    """
    settings = options.settings()
    exam = exams.make_exam(options.tasks, settings.num_operations + 1, options.seed + _EXAM_SEED)
    left = _Left.read(folder, options)
    learner = yield from _warmed_up(folder, options, left)
    # After the warm-up the saved copy of it is the one that counts.
    frozen = left.frozen if left.frozen is not None and left.is_in_rounds else learner.params
    before = exams.sit_exam(settings.model, frozen, exam)
    if not left.is_in_rounds:
        yield {"at": [BEFORE, 0], "exam": _counts(before)}
    learner = yield from _played(folder, options, exam, frozen, left)
    after = exams.sit_exam(settings.model, learner.judged, exam)
    gain = {kind: exams.difference(after[kind], before[kind]) for kind in KINDS}
    told = {kind: [value, *interval] for kind, (value, interval) in gain.items()}
    yield {"at": [AFTER, 0], "exam": _counts(after), "gain": told}


@dataclasses.dataclass(frozen=True)
class _Left:
    """What was saved of a game; nothing if it has not begun."""

    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    learner: Learner | None = None
    frozen: Weights | None = None

    @property
    def is_in_rounds(self) -> bool:
        return self.facts.get("part") == ROUNDS

    @classmethod
    def read(cls, folder: Path, options: Options) -> _Left:
        if not has_checkpoint(folder):
            return cls()
        facts, arrays = read_checkpoint(folder, _BELONGS_TO)
        _refuse_other(folder, facts["options"], options, facts.get("rounds", 0))
        model = options.settings().model
        frozen = load_state_dict(model.init(jax.random.key(0)), arrays["frozen"])
        in_rounds = facts["part"] == ROUNDS
        rule = parse_optimizer(options.optimizer) if in_rounds else _warm_up_rule(options)
        return cls(facts, resume_learning(rule, frozen, arrays["training"]), frozen)


def _warmed_up(folder: Path, options: Options, left: _Left) -> Iterator[Any]:
    """The warm-up, or what is left of it; returns the learner after it."""
    if left.is_in_rounds:
        return left.learner
    rng = random.Random(options.seed)
    if left.learner is not None:
        version, numbers, rest = left.facts["rng"]
        rng.setstate((version, tuple(numbers), rest))
    steps, settings = options.warm_up_steps, options.settings()
    learner, drawn = left.learner, rng.getstate()
    blocks = play.warm_up(settings, _warm_up_rule(options), steps, options.seed, learner=learner, rng=rng)
    try:
        for number, (learner, loss) in enumerate(blocks, 1):
            drawn, event = rng.getstate(), {"at": [WARM_UP, int(learner.steps)], "loss": finite(loss)}
            if number % _SAVE_EVERY == 0:
                _save(folder, options, {"part": WARM_UP, "rng": drawn}, learner, learner.params)
                event["saved"] = True
            yield event
    finally:
        if learner is not None:
            _save(folder, options, {"part": WARM_UP, "rng": drawn}, learner, learner.params)
    return learner


def _played(folder: Path, options: Options, exam: exams.Exam, frozen: Weights, left: _Left) -> Iterator[Any]:
    """The rounds, or those that are left; returns the learner after them."""
    settings, learner, first = options.settings(), None, 0
    buffers = play.random_buffers(settings, options.seed, exam.questions)
    if left.is_in_rounds:
        learner, first = left.learner, left.facts["rounds"]
        buffers = Buffers(forbidden=exam.questions).added(Task(k, p, _pairs(io)) for k, p, io in left.facts["tasks"])
    rule, last = parse_optimizer(options.optimizer), None
    proposer = proposer_named(options.proposer, frozen, settings.num_proposed)
    where = {"learner": learner, "first": first}
    rounds = play.self_play(settings, rule, frozen, buffers, proposer=proposer, seed=options.seed, **where)
    try:
        while first < options.rounds:
            new = next(rounds)
            event = {"at": [ROUNDS, new.number], "figures": {k: finite(v) for k, v in new.figures.items()}}
            event["proposals"] = _shown(new)
            first, learner = new.number + 1, new.learner
            if first % options.exam_every == 0:
                event["exam"] = _counts(exams.sit_exam(settings.model, learner.judged, exam))
            last = new  # what is saved has been told
            if first % _SAVE_EVERY == 0:
                _save_round(folder, options, last, frozen)
                event["saved"] = True
            yield event
    finally:
        if last is not None:
            _save_round(folder, options, last, frozen)
    return learner


def _save_round(folder: Path, options: Options, last: play.Round, frozen: Weights) -> None:
    tasks = [task for own in last.buffers.tasks.values() for task in own.values()]
    facts = {"part": ROUNDS, "rounds": last.number + 1, "tasks": [[t.kind, t.program, t.pairs] for t in tasks]}
    _save(folder, options, facts, last.learner, frozen)


def _save(folder: Path, options: Options, facts: Mapping[str, Any], learner: Learner, frozen: Weights) -> None:
    parts = {"training": state_dict(learner), "frozen": state_dict(frozen)}
    write_checkpoint(folder, _BELONGS_TO, {**facts, "options": dataclasses.asdict(options)}, **parts)


def _refuse_other(folder: Path, held: Mapping[str, Any], options: Options, played: int) -> None:
    """CheckpointError if the game in `folder`, `played` for so many rounds, cannot go on with these options."""
    for name, value in dataclasses.asdict(options).items():
        if name != "rounds" and held.get(name) != value:
            raise CheckpointError(
                f"{folder} holds a game with {name} {held.get(name)}, not {value}: "
                "give its options again to go on with it, or another folder."
            )
    if options.rounds < played:
        raise CheckpointError(
            f"{folder} holds a game of which {played} rounds are played, got rounds {options.rounds}: "
            "ask for more, or give another folder."
        )


def _warm_up_rule(options: Options) -> Any:
    return play.warm_up_optimizer(options.settings().model, options.warm_up_steps)


def _counts(marks: Mapping[Any, np.ndarray]) -> dict[str, list[int]]:
    return {kind: [int(own.sum()), len(own)] for kind, own in marks.items()}


def _shown(last: play.Round) -> list[dict[str, str]]:
    """One proposal of each kind, another in each round."""
    own = {kind: [p for p in last.proposals if p.kind == kind] for kind in KINDS}
    return [_told(proposals[last.number % len(proposals)]) for proposals in own.values() if proposals]


def _told(proposal: Proposal) -> dict[str, str]:
    outcome = proposal.outcome
    made = {"task": outcome.question, "answer": outcome.answer} if isinstance(outcome, Task) else {}
    refused = {} if isinstance(outcome, Task) else {"refusal": outcome.reason}
    return {"kind": proposal.kind, "written": proposal.request + proposal.text, **made, **refused}


def _pairs(given: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((i, o) for i, o in given)
