"""Checkpoints: arrays in safetensors, the rest in JSON, every file under its SHA-256; no pickle is ever read.

A checkpoint is a folder with one `checkpoint.json` and the files that it names. The files carry their digest in their
name and are on the disk before the JSON is renamed into its place, which is the moment the checkpoint changes: killed
at any time, a folder holds the old one or the new one, whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FORMAT = "optviz-checkpoint/1"
INDEX = "checkpoint.json"
_UNFINISHED = ".unfinished-"
_FILE = re.compile(r"[a-z]+-[0-9a-f]{64}\.safetensors")

Arrays = Mapping[str, np.ndarray]


class CheckpointError(ValueError):
    """A checkpoint that is missing, truncated, altered or foreign; its text says which."""


class Checkpoint(NamedTuple):
    """What `read_checkpoint` found."""

    facts: dict[str, Any]
    """JSON data, as it was written."""
    arrays: dict[str, dict[str, np.ndarray]]
    """By part (`weights`, `training`), the arrays by name."""


def write_checkpoint(folder: str | Path, belongs_to: str, facts: Mapping[str, Any], **parts: Arrays) -> Path:
    """Put a checkpoint into `folder` in place of the one there, in one moment.

    Args:
      folder: made if it is not there.
      belongs_to: names the run whose checkpoint it is; no other can read it.
      facts: JSON data without NaN.
      parts: by name of lower-case letters, arrays by name; each part becomes one file.

    Returns:
      The folder.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for part, arrays in parts.items():
        data = save({name: np.array(value, order="C") for name, value in arrays.items()})
        digest = hashlib.sha256(data).hexdigest()
        files[part] = f"{part}-{digest}.safetensors"
        write_whole(folder / files[part], data)
    document = {"format": FORMAT, "belongs_to": belongs_to, "facts": dict(facts), "files": files}
    write_whole(folder / INDEX, _sealed(document))
    for old in folder.iterdir():
        replaced = _FILE.fullmatch(old.name) and old.name not in files.values()
        if replaced or old.name.startswith(_UNFINISHED):  # by a process that was killed
            old.unlink()
    return folder


def read_checkpoint(folder: str | Path, belongs_to: str, parts: tuple[str, ...] | None = None) -> Checkpoint:
    """The checkpoint in `folder`, every byte of it checked; of `parts` only those, if given.

    Raises:
      CheckpointError: if there is none, or it is truncated, altered, not one of optviz, or of another run.
    """
    document = _read_index(Path(folder))
    if document.get("belongs_to") != belongs_to:
        raise CheckpointError(f"The checkpoint {folder} is of another model, other settings or another text.")
    wanted = tuple(document["files"]) if parts is None else parts
    for part in wanted:
        if part not in document["files"]:
            raise CheckpointError(f"The checkpoint {folder} has no {part}: it can be used, but not trained on.")
    return Checkpoint(document["facts"], {p: _read_arrays(Path(folder) / document["files"][p]) for p in wanted})


def has_checkpoint(folder: str | Path) -> bool:
    """Whether there is a checkpoint to read, be it sound or not."""
    return (Path(folder) / INDEX).exists()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, whatever happens meanwhile."""
    handle, scratch = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def canonical(document: Any) -> bytes:
    """JSON data as bytes, always the same for the same data."""
    return json.dumps(document, sort_keys=True, allow_nan=False, indent=1).encode()


def _sealed(document: Mapping[str, Any]) -> bytes:
    """The index with its own digest."""
    return canonical({**document, "sha256": hashlib.sha256(canonical(document)).hexdigest()})


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint in {folder}: {INDEX} is missing.") from None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path} is truncated or altered: it is no JSON. Put a backup there.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint in the format {FORMAT!r}; optviz reads only its own.")
    body = {k: v for k, v in document.items() if k != "sha256"}
    files = document.get("files")
    # Byte for byte: what reads alike but is written otherwise was not written here.
    if not _is_canonical(body, data) or not isinstance(files, dict) or not isinstance(document.get("facts"), dict):
        raise CheckpointError(f"{path} was altered: its SHA-256 does not fit. Put a backup there.")
    for part, name in files.items():
        if not isinstance(name, str) or not _FILE.fullmatch(name):
            raise CheckpointError(f"{path} names {name!r} as its {part}, which is no file of a checkpoint.")
    return document


def _is_canonical(body: Any, data: bytes) -> bool:
    try:
        return _sealed(body) == data
    except (ValueError, TypeError):
        return False


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"The checkpoint is incomplete: {path} is missing.") from None
    if hashlib.sha256(data).hexdigest() != path.stem.split("-")[-1]:
        raise CheckpointError(f"{path} is truncated or altered: its SHA-256 is not in its name. Put a backup there.")
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is no safetensors file: {error}.") from None


def _sync_folder(folder: Path) -> None:
    """Bring a renaming to the disk, where the system lets a folder be opened (Windows does not, nor needs it)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
