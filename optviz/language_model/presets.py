"""Ready-made sizes and settings, with what is known to come of them."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

from optviz.language_model.settings import TrainingSettings
from surfaces.names import unknown_name
from surfaces.transformer import Transformer


@dataclasses.dataclass(frozen=True)
class Preset:
    """Sizes, tokenizer and training of a language model."""

    name: str
    tokenizer: str
    """The kind of tokenizer: bytes, characters or bpe."""
    vocabulary_size: int | None
    """What is asked of the tokenizer; None: what the text has."""
    sizes: MappingProxyType[str, int | float | str]
    """The arguments of `Transformer` without the vocabulary."""
    training: TrainingSettings
    expectation: str
    """What to expect, and who found it."""

    def model(self, vocabulary_size: int) -> Transformer:
        """The model for a tokenizer of so many tokens."""
        return Transformer(vocabulary_size, **self.sizes)  # pyright: ignore[reportArgumentType]


_ADAMW = {"b2": 0.99, "weight_decay": 0.1}

PRESETS = (
    Preset(
        "shakespeare-cpu",
        "characters",
        None,
        MappingProxyType({"layers": 4, "heads": 4, "width": 128, "feed_forward": 512, "context": 64}),
        TrainingSettings("adamw", {"learning_rate": 3e-3, **_ADAMW}, steps=2000, batch_size=12, warmup_steps=100),
        "A loss of 1.78 on the whole validation part of Tiny Shakespeare. nanoGPT's README states 1.88, of 20 random "
        "batches, with a rate of 1e-3, which gives 1.91 here; 2e-3 gives 1.81.",
    ),
    Preset(
        "shakespeare-gpu",
        "characters",
        None,
        MappingProxyType({"layers": 6, "heads": 6, "width": 384, "feed_forward": 1536, "context": 256, "dropout": 0.2}),
        TrainingSettings("adamw", {"learning_rate": 1e-3, **_ADAMW}, steps=5000, batch_size=64, warmup_steps=100),
        "nanoGPT's README states a validation loss of 1.4697 on Tiny Shakespeare, of 200 random batches.",
    ),
    Preset(
        "book",
        "bpe",
        8000,
        MappingProxyType({"layers": 6, "heads": 8, "width": 256, "feed_forward": 1024, "context": 256, "dropout": 0.1}),
        TrainingSettings(
            "adamw",
            {"learning_rate": 3e-4, **_ADAMW},
            steps=1_000_000,
            batch_size=16,
            warmup_steps=1000,
            validate_every=1000,
            save_every=1000,
            log_every=10,
            patience=20,
        ),
        "A book of a million characters is learnt by heart long before the last step: the best validation counts.",
    ),
)


def preset(name: str) -> Preset:
    """The preset of that name. ValueError for an unknown one, with the nearest."""
    by_name = {each.name: each for each in PRESETS}
    if name not in by_name:
        raise ValueError(unknown_name("preset", name, by_name))
    return by_name[name]
