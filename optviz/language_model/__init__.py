"""Small language models: trained on a book by any optimizer of the catalogue.

    from optviz import language_model as lm

    model = lm.create_model("book", transformer, lm.TrainingSettings(), train, validation, tokenizer)
    lm.train(model, on_progress=print)

Every name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optviz.language_model.checkpoints import CheckpointError, read_checkpoint, write_checkpoint
    from optviz.language_model.curvature import sharpness
    from optviz.language_model.curves import read_curves
    from optviz.language_model.models import (
        Model,
        create_model,
        delete_model,
        list_models,
        models_folder,
        open_model,
    )
    from optviz.language_model.presets import PRESETS, Preset, preset
    from optviz.language_model.settings import TrainingSettings
    from optviz.language_model.training import Progress, train

_HOMES = {
    "CheckpointError": "checkpoints",
    "Model": "models",
    "PRESETS": "presets",
    "Preset": "presets",
    "Progress": "training",
    "TrainingSettings": "settings",
    "create_model": "models",
    "delete_model": "models",
    "list_models": "models",
    "models_folder": "models",
    "open_model": "models",
    "preset": "presets",
    "read_checkpoint": "checkpoints",
    "read_curves": "curves",
    "sharpness": "curvature",
    "train": "training",
    "write_checkpoint": "checkpoints",
}

__all__ = [
    "PRESETS",
    "CheckpointError",
    "Model",
    "Preset",
    "Progress",
    "TrainingSettings",
    "create_model",
    "delete_model",
    "list_models",
    "models_folder",
    "open_model",
    "preset",
    "read_checkpoint",
    "read_curves",
    "sharpness",
    "train",
    "write_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'optviz.language_model' has no attribute {name!r}")
    return getattr(importlib.import_module(f"optviz.language_model.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
