"""Diversity self-play of a saved model: what it becomes is saved beside what it was."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optviz.language_model.checkpoints import write_checkpoint
from optviz.language_model.diversity import Played, Settings, play
from optviz.language_model.models import Model
from optviz.language_model.tokenizers import tokenizer_from_json
from optviz.language_model.training import locked
from optviz.optimizers import state_dict
from optviz.optimizers.protocol import as_optimizer, evaluation_params

CHECKPOINT = "self-play"
"""The name of the checkpoint, to be used as `best` and `last` are."""
TABLE = "self_play.csv"
_SAVE_EVERY = 10


def play_model(
    model: Model,
    optimizer: Any,
    settings: Settings | None = None,
    *,
    which: str = "best",
    num_rounds: int | None = None,
    **options: Any,
) -> Iterator[Played]:
    """Rounds of diversity self-play of a saved model, for ever or `num_rounds`.

    The model's checkpoint `self-play` is written every ten rounds and at the end, also when the caller ends it;
    `self_play.csv` has a row for each round. Those of an earlier game are replaced. `best` and `last` stay.

    Args:
      model: with its text.
      optimizer: any of the catalogue, or of Optax.
      settings: of `diversity.play`; its own if None.
      which: the checkpoint to begin with, whose weights are the frozen copy too.
      num_rounds: None for ever.
      **options: `rewards` and `prompts` of `diversity.play`.

    Raises:
      ValueError: for sizes that the model or its text does not have, or a model that another process trains.
      CheckpointError: for a model without this checkpoint, or with a damaged one.
    """
    decode = tokenizer_from_json(model.tokenizer_json).decode
    texts, started = (model.tokens("train"), model.tokens("validation")), time.perf_counter()
    with locked(model.folder):
        game = play(
            *(model.transformer, model.weights(which), decode, *texts, as_optimizer(optimizer)),
            settings=settings,
            num_rounds=num_rounds,
            **options,
        )
        played = None
        try:
            for played in game:
                _append(model.folder / TABLE, played)
                if (played.number + 1) % _SAVE_EVERY == 0:
                    _save(model, played, time.perf_counter() - started)
                yield played
        finally:
            if played is not None:
                _save(model, played, time.perf_counter() - started)


def _append(path: Path, played: Played) -> None:
    """Write one row; the first round begins the table anew."""
    row = {"round": played.number, "reward": played.reward, **played.parts, "divergence": played.divergence}
    row["validation_loss"] = "" if played.validation_loss is None else played.validation_loss
    with path.open("a" if played.number else "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([row.values()] if played.number else [row.keys(), row.values()])


def _save(model: Model, played: Played, seconds: float) -> None:
    params = evaluation_params(played.learner.opt_state, played.learner.params)
    facts = {"step": played.number + 1, "seconds": seconds, "best_loss": None, "since_best": 0}
    write_checkpoint(model.folder / CHECKPOINT, model.identity, facts, weights=state_dict(params))
