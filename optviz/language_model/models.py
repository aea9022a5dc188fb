"""Language models on disk: a folder each, under a folder of models that no name can leave.

config.json       sizes, training settings, what the text was, digests
tokenizer.json    the tokenizer as JSON data
train.npy, validation.npy   the text's tokens
curves.csv, validation.csv  what training recorded
last/, best/      checkpoints
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import re
import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import platformdirs

from optviz.folders import scratch_folder
from optviz.language_model.checkpoints import (
    Checkpoint,
    CheckpointError,
    canonical,
    has_checkpoint,
    read_checkpoint,
    write_whole,
)
from optviz.language_model.configs import FORMAT, NOT_UNDERSTOOD, reason_of, require_bounded, understood
from optviz.language_model.locks import locked
from optviz.language_model.settings import TrainingSettings
from optviz.language_model.tokenizers import Tokenizer, tokenizer_from_json
from optviz.optimizers import load_state_dict
from surfaces.names import unknown_name
from surfaces.transformer import Transformer

CHECKPOINTS = ("best", "last", "self-play")
_NAME = re.compile(r"\w(?:[\w .-]{0,62}\w)?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Model:
    """A language model in its folder."""

    folder: Path
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def transformer(self) -> Transformer:
        """The sizes."""
        return Transformer(**self.config["model"])

    @property
    def settings(self) -> TrainingSettings:
        """How it is trained."""
        return TrainingSettings.from_json(self.config["training"])

    @property
    def tokenizer_json(self) -> dict[str, Any]:
        """The tokenizer as JSON data. ValueError if the file is not the one that the model was made with."""
        path = self.folder / "tokenizer.json"
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.config["tokenizer"]:
            raise ValueError(f"{path} was altered: its SHA-256 is not that of config.json.")
        return json.loads(data)

    @property
    def tokenizer(self) -> Tokenizer:
        """What makes tokens of text, and text of tokens."""
        return tokenizer_from_json(self.tokenizer_json)

    def tokens(self, split: str) -> np.ndarray:
        """The tokens of the split `train` or `validation`: (N,) int32.

        Raises:
          ValueError: if the file is not the one that the model was made with, or the model came without its text.
        """
        self.require_text()
        path = self.folder / f"{split}.npy"
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.config["data"][split]["sha256"]:
            raise ValueError(f"{path} was altered: its SHA-256 is not that of config.json.")
        return np.load(io.BytesIO(data), allow_pickle=False).astype(np.int32)

    @property
    def has_text(self) -> bool:
        """Whether its text is there: that of an imported model is not."""
        return all((self.folder / f"{split}.npy").exists() for split in ("train", "validation"))

    def require_text(self) -> None:
        """ValueError for a model that came without its text."""
        if not self.has_text:
            raise ValueError(
                f"The model {self.name} was imported without its text: it writes, and can be evaluated on a text that "
                "you give, but it cannot be trained, compared or left to play."
            )

    def checkpoint(self, which: str = "best", parts: tuple[str, ...] | None = ("weights",)) -> Checkpoint:
        """The checkpoint `best`, `last` or `self-play`.

        Raises:
          CheckpointError: if it is missing, altered, or of another model.
          ValueError: for another name.
        """
        if which not in CHECKPOINTS:
            raise ValueError(unknown_name("checkpoint", which, CHECKPOINTS))
        if not has_checkpoint(self.folder / which):
            first = "let it play" if which == "self-play" else "train it"
            raise CheckpointError(f"The model {self.name} has no weights {which!r} yet: {first} first.")
        return read_checkpoint(self.folder / which, self.identity, parts)

    @property
    def is_trained(self) -> bool:
        """Whether there are weights to use."""
        return has_checkpoint(self.folder / "best")

    @property
    def identity(self) -> str:
        """A digest of what a checkpoint hangs on: sizes, settings, text. Checkpoints of other models are refused.

        The number of steps is left out, since it may grow: see `training.lengthen`.
        """
        training = {k: v for k, v in self.config["training"].items() if k != "steps"}
        described = {"model": self.config["model"], "training": training, "data": self.config["data"]}
        return hashlib.sha256(canonical(described)).hexdigest()

    def weights(self, which: str = "best") -> Any:
        """The weights of a checkpoint as the tree that `Transformer` takes."""
        return load_state_dict(self.transformer.init(jax.random.key(0)), self.checkpoint(which).arrays["weights"])


def models_folder(folder: str | Path | None = None) -> Path:
    """The folder of all models: `folder`, else one in the user's data folder. It need not exist yet."""
    return Path(folder) if folder is not None else Path(platformdirs.user_data_dir("optviz")) / "models"


def checked_name(name: str) -> str:
    """`name` if it can be the name of a folder on every system and in no other place.

    Raises:
      ValueError: otherwise, with what is allowed.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name or _RESERVED.fullmatch(name):
        raise ValueError(
            f"A model's name has 1 to 64 letters, digits, spaces, dots, hyphens or underscores, begins and ends with a "
            f"letter, a digit or an underscore, and is no name that Windows reserves; got {name!r}."
        )
    return unicodedata.normalize("NFC", name)


def new_folder(name: str, models: str | Path | None = None) -> Path:
    """The folder that a new model of that name will have. ValueError for a name that is bad or taken."""
    folder = models_folder(models) / checked_name(name)
    if folder.exists():
        raise ValueError(f"There is a model {name!r} already, in {folder.parent}. Give another name, or delete it.")
    return folder


def create_model(
    name: str,
    model: Transformer,
    settings: TrainingSettings,
    train: np.ndarray,
    validation: np.ndarray,
    tokenizer: Any,
    *,
    about: Mapping[str, Any] | None = None,
    models: str | Path | None = None,
) -> Model:
    """Make the folder of a new model, not yet trained.

    Args:
      name: of the folder; see `checked_name`.
      model: the sizes.
      settings: how it will be trained.
      train, validation: the tokens of the two parts of the text, (N,) and (M,).
      tokenizer: with `to_json`, `decode` and `size`.
      about: JSON data about the text (title, encoding, ...), kept in `config.json`.
      models: the folder of models.

    Raises:
      ValueError: for a name that is bad or taken, or a text too short for the context.
    """
    folder = new_folder(name, models)
    if tokenizer.size > model.vocabulary_size:
        raise ValueError(f"The tokenizer has {tokenizer.size} tokens, the model {model.vocabulary_size}.")
    require_bounded(dataclasses.asdict(model))
    parts = {"train": np.asarray(train), "validation": np.asarray(validation)}
    for split, tokens in parts.items():
        if len(tokens) < model.context + 1:
            raise ValueError(
                f"The {split} part of the text has {len(tokens)} tokens; a context of {model.context} needs at least "
                f"{model.context + 1}. Take a longer text or a smaller context."
            )
    described = canonical(tokenizer.to_json())
    with scratch_folder(folder.parent) as scratch:
        data = {split: _write_tokens(scratch / f"{split}.npy", tokens, tokenizer) for split, tokens in parts.items()}
        config = {
            "format": FORMAT,
            "model": dataclasses.asdict(model),
            "training": settings.as_json(),
            "data": data,
            "tokenizer": hashlib.sha256(described).hexdigest(),
            "about": dict(about or {}),
        }
        write_whole(scratch / "config.json", canonical(config))
        write_whole(scratch / "tokenizer.json", described)
        scratch.rename(folder)
    return Model(folder, config)


def folder_of(name: str | Path, models: str | Path | None = None) -> Path:
    """The folder of a model that is there, damaged or not. ValueError for a bad or unknown name, with the nearest."""
    parent = models_folder(models)
    folder = parent / checked_name(str(name))
    if not (folder / "config.json").is_file():
        known = model_names(models)
        raise ValueError(unknown_name("model", str(name), known) if known else f"There are no models in {parent}.")
    return folder


def open_model(name: str | Path, models: str | Path | None = None) -> Model:
    """The model of that name in the folder of models.

    Raises:
      ValueError: for a bad or unknown name, with the nearest ones, or a model whose `config.json` is damaged.
    """
    return _opened(folder_of(name, models))


def model_names(models: str | Path | None = None) -> list[str]:
    """The names of all models in order, damaged ones too; folders that are none are left out."""
    parent = models_folder(models)
    folders = sorted(parent.iterdir()) if parent.is_dir() else []
    return [f.name for f in folders if not f.name.startswith(".") and (f / "config.json").is_file()]


def list_models(models: str | Path | None = None) -> list[Model]:
    """All models by name, without those whose `config.json` is damaged."""
    found = []
    for name in model_names(models):
        with contextlib.suppress(ValueError):
            found.append(_opened(models_folder(models) / name))
    return found


def delete_model(name: str, models: str | Path | None = None) -> None:
    """Delete a model's folder. ValueError for an unknown name, or a model that another process trains."""
    folder = folder_of(name, models)
    with locked(folder):
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)


def _opened(folder: Path) -> Model:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        understood(config)
    except NOT_UNDERSTOOD as error:
        raise ValueError(f"{folder / 'config.json'} is damaged or foreign: {reason_of(error)}.") from None
    return Model(folder, config)


def _write_tokens(path: Path, tokens: np.ndarray, tokenizer: Any) -> dict[str, Any]:
    """Write tokens as .npy in the smallest type; how many they are, of how many bytes of text, and the digest."""
    file = io.BytesIO()
    np.save(file, tokens.astype(np.uint16 if tokenizer.size <= 2**16 else np.int32), allow_pickle=False)
    write_whole(path, file.getvalue())
    # The first token is never predicted, so its bytes do not count.
    num_bytes = len(tokenizer.to_bytes(tokens[1:]))
    return {
        "tokens": len(tokens),
        "predicted_bytes": num_bytes,
        "sha256": hashlib.sha256(file.getvalue()).hexdigest(),
    }
