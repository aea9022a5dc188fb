"""Diversity self-play of a saved model: what it becomes is saved beside what it was."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from optviz.language_model.checkpoints import has_checkpoint, write_checkpoint, write_whole
from optviz.language_model.diversity import Played, Settings, play
from optviz.language_model.locks import locked
from optviz.language_model.models import Model
from optviz.language_model.policy import Learner, resume_learning
from optviz.optimizers import load_state_dict, state_dict
from optviz.optimizers.protocol import as_optimizer
from surfaces.transformer import Weights

CHECKPOINT = "self-play"
"""The name of the checkpoint, to be used as `best` and `last` are."""
TABLE = "self_play.csv"
SAVE_EVERY = 10
"""Rounds between two times that it is saved."""


def play_model(
    model: Model,
    optimizer: Any,
    settings: Settings | None = None,
    *,
    which: str = "best",
    num_rounds: int | None = None,
    game: str | None = None,
    **options: Any,
) -> Iterator[Played]:
    """Rounds of diversity self-play of a saved model, for ever or up to `num_rounds`.

    The model's checkpoint `self-play` is written every ten rounds and at the end, also when the caller ends it;
    `self_play.csv` has a row for each round. Those of an earlier game are replaced. `best` and `last` stay.

    Args:
      model: with its text.
      optimizer: any of the catalogue, or of Optax.
      settings: of `diversity.play`; its own if None.
      which: the checkpoint to begin with, whose weights are the frozen copy too.
      num_rounds: None for ever.
      game: a name for the game; one of that name that was left goes on where it was saved, bit for bit.
      **options: `rewards` and `prompts` of `diversity.play`.

    Raises:
      ValueError: for sizes that the model or its text does not have, or a model that another process trains.
      CheckpointError: for a model without this checkpoint, or with a damaged one.
    """
    texts, optimizer = (model.tokens("train"), model.tokens("validation")), as_optimizer(optimizer)
    with locked(model.folder):
        frozen, learner, left = _begun(model, which, optimizer, game)
        started, first = time.perf_counter() - left.get("seconds", 0.0), left.get("step", 0)
        rounds = play(
            *(model.transformer, frozen, model.tokenizer.decode, *texts, optimizer),
            settings=settings,
            num_rounds=num_rounds,
            learner=learner,
            first=first,
            **options,
        )
        _keep_rounds(model.folder / TABLE, first)
        played, own = None, {} if game is None else {"game": game}
        try:
            for played in rounds:
                _append(model.folder / TABLE, played)
                if (played.number + 1) % SAVE_EVERY == 0:
                    _save(model, played, time.perf_counter() - started, own, frozen)
                yield played
        finally:
            if played is not None:
                _save(model, played, time.perf_counter() - started, own, frozen)


def _begun(
    model: Model, which: str, optimizer: Any, game: str | None
) -> tuple[Weights, Learner | None, Mapping[str, Any]]:
    """The frozen copy; and of a game that was left, the learner and what its checkpoint says."""
    if game is not None and has_checkpoint(model.folder / CHECKPOINT):
        facts, arrays = model.checkpoint(CHECKPOINT, None)
        if facts.get("game") == game:
            frozen = load_state_dict(model.transformer.init(jax.random.key(0)), arrays["frozen"])
            return frozen, resume_learning(optimizer, frozen, arrays["training"]), facts
    return model.weights(which), None, {}


def _keep_rounds(path: Path, number: int) -> None:
    """Forget the rows after so many rounds: they come again."""
    if number:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        write_whole(path, "".join(lines[: number + 1]).encode())


def _append(path: Path, played: Played) -> None:
    """Write one row; the first round begins the table anew."""
    row = {"round": played.number, "reward": played.reward, **played.parts, "divergence": played.divergence}
    row["validation_loss"] = "" if played.validation_loss is None else played.validation_loss
    with path.open("a" if played.number else "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([row.values()] if played.number else [row.keys(), row.values()])


def _save(model: Model, played: Played, seconds: float, own: Mapping[str, Any], frozen: Weights) -> None:
    """Write the weights; of a game that can go on also where learning stands, and the copy that it is measured by."""
    facts = {"step": played.number + 1, "seconds": seconds, "best_loss": None, "since_best": 0, **own}
    parts = {"weights": played.learner.judged, **({"training": played.learner, "frozen": frozen} if own else {})}
    arrays = {part: state_dict(tree) for part, tree in parts.items()}
    write_checkpoint(model.folder / CHECKPOINT, model.identity, facts, **arrays)
