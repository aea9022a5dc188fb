"""From a book and a preset to a model that can be trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from optviz.language_model.books import Book, default_share, split
from optviz.language_model.cards import write_card
from optviz.language_model.models import Model, create_model, new_folder
from optviz.language_model.presets import Preset, preset
from optviz.language_model.settings import TrainingSettings
from optviz.language_model.tokenizers import train_tokenizer
from surfaces.names import unknown_name

_SIZES = ("width", "layers", "heads", "feed_forward", "context", "positions", "dropout", "compute")


def create_from_book(
    name: str,
    book: Book,
    ready: str = "book",
    *,
    tokenizer: str | None = None,
    vocabulary_size: int | None = None,
    sizes: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    validation_share: float | None = None,
    models: str | Path | None = None,
) -> Model:
    """Make a model for a book: the preset `ready`, but for what is said otherwise.

    Args:
      name: of the model.
      book: from `read_book`.
      ready: the name of a preset.
      tokenizer, vocabulary_size: its kind (bytes, characters, bpe) and, for bpe, how many tokens at most.
      sizes: arguments of `Transformer` but the vocabulary's size. A width without a feed-forward width gets four times
        itself for that.
      training: fields of `TrainingSettings`. Without `warmup_steps` the warm-up is at most a tenth of the steps.
      validation_share: the share of the text, at its end, that is held out; None for that of `split`.
      models: the folder of models.

    Raises:
      ValueError: for anything unknown or out of range, a name that is taken, or a book too short for the context.
    """
    new_folder(name, models)  # refused before any work
    chosen = preset(ready)
    settings = _trained_as(chosen, training or {})
    settings.build_optimizer()
    kind = tokenizer or chosen.tokenizer
    asked = chosen.vocabulary_size if vocabulary_size is None and kind == chosen.tokenizer else vocabulary_size
    parts = split(book.text, validation_share)
    # Pairs are learnt from the part that is learnt from; of characters the model must know all.
    learnt = train_tokenizer(kind, parts[0] if kind == "bpe" else book.text, asked)
    transformer = _sized(chosen, sizes or {}).model(learnt.size)
    train, validation = map(learnt.encode, parts)
    share = default_share(book.text) if validation_share is None else float(validation_share)
    about = {**book.about, "preset": ready, "tokenizer": kind, "validation_share": share}
    made = create_model(name, transformer, settings, train, validation, learnt, about=about, models=models)
    write_card(made)
    return made


def _sized(chosen: Preset, given: Mapping[str, Any]) -> Preset:
    for name in given:
        if name not in _SIZES:
            raise ValueError(unknown_name("size", name, _SIZES))
    wide = {"feed_forward": 4 * given["width"]} if "width" in given else {}
    return dataclasses.replace(chosen, sizes=MappingProxyType({**chosen.sizes, **wide, **given}))


def _trained_as(chosen: Preset, given: Mapping[str, Any]) -> TrainingSettings:
    settings = chosen.training.replace(**given)
    warmup = settings.warmup_steps if "warmup_steps" in given else min(settings.warmup_steps, settings.steps // 10)
    return settings.replace(warmup_steps=warmup)
