"""Small language models: trained on a book by any optimizer of the catalogue.

    from optviz import language_model as lm

    model = lm.create_from_book("mine", lm.read_book("book.txt"), "shakespeare-cpu")
    lm.train(model, on_progress=print)
    print(lm.generate(model.transformer, model.weights(), model.tokenizer, "Once upon a time"))

Every name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optviz.language_model.archive import export_model, import_model
    from optviz.language_model.books import Book, decode_book, default_book, read_book, split
    from optviz.language_model.cards import card, figures, num_weights
    from optviz.language_model.checkpoints import CheckpointError, read_checkpoint, write_checkpoint
    from optviz.language_model.creation import create_from_book
    from optviz.language_model.curvature import sharpness
    from optviz.language_model.curves import read_curves
    from optviz.language_model.evaluation import Evaluation, evaluate
    from optviz.language_model.generation import Sampling, generate, stream
    from optviz.language_model.models import (
        Model,
        create_model,
        delete_model,
        folder_of,
        list_models,
        model_names,
        models_folder,
        open_model,
    )
    from optviz.language_model.presets import PRESETS, Preset, preset
    from optviz.language_model.self_play import play_model
    from optviz.language_model.settings import TrainingSettings
    from optviz.language_model.tokenizers import Tokenizer, tokenizer_from_json, train_tokenizer
    from optviz.language_model.training import Progress, lengthen, train

_HOMES = {
    "Book": "books",
    "CheckpointError": "checkpoints",
    "Evaluation": "evaluation",
    "Model": "models",
    "PRESETS": "presets",
    "Preset": "presets",
    "Progress": "training",
    "Sampling": "generation",
    "Tokenizer": "tokenizers",
    "TrainingSettings": "settings",
    "card": "cards",
    "create_from_book": "creation",
    "create_model": "models",
    "decode_book": "books",
    "default_book": "books",
    "delete_model": "models",
    "evaluate": "evaluation",
    "export_model": "archive",
    "figures": "cards",
    "folder_of": "models",
    "generate": "generation",
    "import_model": "archive",
    "lengthen": "training",
    "list_models": "models",
    "model_names": "models",
    "models_folder": "models",
    "num_weights": "cards",
    "open_model": "models",
    "play_model": "self_play",
    "preset": "presets",
    "read_book": "books",
    "read_checkpoint": "checkpoints",
    "read_curves": "curves",
    "sharpness": "curvature",
    "split": "books",
    "stream": "generation",
    "tokenizer_from_json": "tokenizers",
    "train": "training",
    "train_tokenizer": "tokenizers",
    "write_checkpoint": "checkpoints",
}

__all__ = [
    "PRESETS",
    "Book",
    "CheckpointError",
    "Evaluation",
    "Model",
    "Preset",
    "Progress",
    "Sampling",
    "Tokenizer",
    "TrainingSettings",
    "card",
    "create_from_book",
    "create_model",
    "decode_book",
    "default_book",
    "delete_model",
    "evaluate",
    "export_model",
    "figures",
    "folder_of",
    "generate",
    "import_model",
    "lengthen",
    "list_models",
    "model_names",
    "models_folder",
    "num_weights",
    "open_model",
    "play_model",
    "preset",
    "read_book",
    "read_checkpoint",
    "read_curves",
    "sharpness",
    "split",
    "stream",
    "tokenizer_from_json",
    "train",
    "train_tokenizer",
    "write_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'optviz.language_model' has no attribute {name!r}")
    return getattr(importlib.import_module(f"optviz.language_model.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
