"""Models on their way: one .zip that other installations import, or the weights alone for PyTorch.

archive.json         the model's name, what its checkpoint said, the SHA-256 of every other file
config.json, tokenizer.json, weights.safetensors
card.md, curves.csv, validation.csv

A file from elsewhere may be hostile: only these names are read, none longer than it can be, nothing is unpacked, and
every part is understood before a folder is made. The card is for readers: an imported model gets one of its own. The
book does not travel, only what is said of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from optviz.folders import scratch_folder
from optviz.language_model import models as folders
from optviz.language_model.cards import card, write_card
from optviz.language_model.checkpoints import canonical, write_checkpoint, write_whole
from optviz.language_model.configs import NOT_UNDERSTOOD, reason_of, understood
from optviz.language_model.curves import CURVES, VALIDATION, read_curves
from optviz.language_model.models import Model
from optviz.language_model.tokenizers import tokenizer_from_json
from optviz.optimizers import load_state_dict
from surfaces.transformer import Transformer

FORMAT = "optviz-archive/1"
_INDEX, _WEIGHTS = "archive.json", "weights.safetensors"
_LIMITS = {
    _INDEX: 10**6,
    "config.json": 10**6,
    "tokenizer.json": 2 * 10**7,
    "card.md": 10**6,
    CURVES: 3 * 10**8,
    VALIDATION: 10**7,
    _WEIGHTS: 4 * 10**9,  # never packed, so that these are bytes of the archive too
}
"""Bytes that a file of an archive has at most."""
_MOST_ROWS = 2 * 10**6
"""Rows that a table of curves has at most."""
_MOST_OF_A_ROW = 10**5
"""Bytes of each."""
_NEEDED = (_INDEX, "config.json", "tokenizer.json", _WEIGHTS)
_TOKEN_BYTES = 1000  # that a token takes at most in a tokenizer's JSON data
_BEGINNING = b"PK\x03\x04"  # of every .zip with something in it
_DATE = (1980, 1, 1, 0, 0, 0)  # the same model gives the same file


def export_model(model: Model, path: str | Path, which: str = "best") -> Path:
    """Write a model to one file: `.zip`, which `import_model` reads, or `.pt`, the weights for PyTorch alone.

    The `.pt` file is a state dict: tensors by names such as `blocks.0.attention.in`, which `torch.load(path,
    weights_only=True)` reads. Its matrices are (in, out), those of `torch.nn.Linear` transposed; the network between
    `up` and `down` is `torch.nn.GELU("tanh")`. A file that is there is replaced.

    Args:
      model: that has been trained.
      path: of the file.
      which: the checkpoint, `best`, `last` or `self-play`.

    Raises:
      ValueError: for another ending.
      CheckpointError: for a model without this checkpoint, or with a damaged one.
    """
    path = Path(path)
    writers = {".zip": _zipped, ".pt": _pickled}
    if path.suffix.lower() not in writers:
        raise ValueError(f"A model is exported to a file that ends in .zip or .pt, got {path.name}.")
    data = writers[path.suffix.lower()](model, which)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
    return path


def import_model(path: str | Path, name: str | None = None, models: str | Path | None = None) -> Model:
    """Make a model of a `.zip` that `export_model` wrote. It writes and can be evaluated, but has no text to train on.

    Args:
      path: of the file, which need not be trusted.
      name: of the new model; that in the file if None.
      models: the folder of models.

    Raises:
      ValueError: for a file that is no such archive, or damaged, or hostile, and a name that is bad or taken.
    """
    try:
        files = _read_files(Path(path))
        index, config = _json_object(files.pop(_INDEX)), _json_object(files["config.json"])
        _require_sums(index, files)
        facts = _checked_facts(index)
        transformer = understood(config)
        if len(files["tokenizer.json"]) > _TOKEN_BYTES * (transformer.vocabulary_size + 1):
            raise ValueError("its tokenizer has more tokens than its model")
        tokenizer = tokenizer_from_json(_json_object(files["tokenizer.json"]))
        if tokenizer.size > transformer.vocabulary_size:
            raise ValueError("its tokenizer has more tokens than its model")
        described = canonical(tokenizer.to_json())
        if hashlib.sha256(described).hexdigest() != config["tokenizer"]:
            raise ValueError("its tokenizer is not that of its config.json")
        arrays = _checked_weights(transformer, files[_WEIGHTS])
    except NOT_UNDERSTOOD as error:
        raise ValueError(f"{Path(path).name} cannot be imported: {reason_of(error)}.") from None
    folder = folders.new_folder(index["name"] if name is None else name, models)
    written = {"config.json": canonical(config), "tokenizer.json": described}
    written |= {name: data for name, data in files.items() if name in (CURVES, VALIDATION)}
    with scratch_folder(folder.parent) as scratch:
        for file, data in written.items():
            write_whole(scratch / file, data)
        write_checkpoint(scratch / "best", Model(scratch, config).identity, facts, weights=arrays)
        _require_curves(scratch, Path(path).name)
        scratch.rename(folder)
    write_card(made := Model(folder, config))
    return made


def _zipped(model: Model, which: str) -> bytes:
    from safetensors.numpy import save

    checkpoint = model.checkpoint(which)
    files = {
        "config.json": canonical(dict(model.config)),
        "tokenizer.json": canonical(model.tokenizer_json),
        "card.md": card(model, which).encode(),
        _WEIGHTS: save(checkpoint.arrays["weights"]),
    }
    curves = () if which == "self-play" else (CURVES, VALIDATION)  # theirs are those of the weights before
    files |= {name: _whole_lines(model.folder / name) for name in curves if (model.folder / name).exists()}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    index = {"format": FORMAT, "name": model.name, "checkpoint": which, "facts": checkpoint.facts, "sha256": sums}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in {_INDEX: canonical(index), **files}.items():
            kind = zipfile.ZIP_STORED if name == _WEIGHTS else zipfile.ZIP_DEFLATED  # weights do not get smaller
            archive.writestr(zipfile.ZipInfo(name, _DATE), data, kind)
    return target.getvalue()


def _whole_lines(path: Path) -> bytes:
    """A table without a last line that is being written, or that a killed run left unfinished."""
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1]


def _pickled(model: Model, which: str) -> bytes:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("A .pt file needs PyTorch: pip install 'optviz[torch]'.", name="torch") from error
    arrays, target = model.checkpoint(which).arrays["weights"], io.BytesIO()
    torch.save({name.replace("/", "."): torch.from_numpy(value.copy()) for name, value in arrays.items()}, target)
    return target.getvalue()


def _read_files(path: Path) -> dict[str, bytes]:
    """The files of the archive by name, none that is unknown, too long or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for member in members:
                _require_harmless(member)
            names = [member.filename for member in members]
            missing = [name for name in _NEEDED if name not in names]
            if missing or len(set(names)) < len(names):
                raise ValueError(f"it lacks {missing[0]}" if missing else "it has two files of one name")
            return {member.filename: _read(archive, member) for member in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
        with path.open("rb") as file:
            is_zip = file.read(4) == _BEGINNING
        damage = "it is damaged: copy or download it again" if is_zip else "it is no sound .zip"
        raise ValueError(f"{damage} ({error})") from None


def _require_harmless(member: zipfile.ZipInfo) -> None:
    """Refuse a file by what is said of it, before any of it is read."""
    name = member.filename
    if name.endswith("data.pkl"):
        raise ValueError("it has weights for PyTorch; what can be imported is the .zip of a model")
    if name not in _LIMITS:
        raise ValueError(f"it holds {name[:80]!r}, which no exported model has")
    if member.file_size > _LIMITS[name]:
        raise ValueError(f"its {name} would have {member.file_size} bytes, more than the {_LIMITS[name]} it may have")
    kinds = (zipfile.ZIP_STORED,) if name == _WEIGHTS else (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if member.flag_bits & 1 or member.compress_type not in kinds:
        raise ValueError(f"its {name} is encrypted, or packed in a way that is not read")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        data = file.read(member.file_size + 1)  # what is said of the length may be a lie
    if len(data) != member.file_size:
        raise ValueError(f"its {member.filename} has another length than it says")
    return data


def _json_object(data: bytes) -> dict[str, Any]:
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("one of its JSON files is no object")
    return document


def _require_sums(index: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    if index.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    for name, data in files.items():
        if index["sha256"].get(name) != hashlib.sha256(data).hexdigest():
            raise ValueError(f"its {name} was altered or damaged, for its SHA-256 does not fit: copy the file again")
    folders.checked_name(index["name"])


def _checked_facts(index: Mapping[str, Any]) -> dict[str, Any]:
    """What the checkpoint said, as `train` writes it, and nothing else."""
    facts = {name: index["facts"][name] for name in ("step", "since_best", "seconds", "best_loss")}
    whole, numbers = (facts["step"], facts["since_best"]), (facts["seconds"], facts["best_loss"])
    if not all(isinstance(n, int) and n >= 0 for n in whole) or not all(_is_number(n) for n in numbers):
        raise ValueError("what it says of its training is not understood")
    return facts


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and math.isfinite(value))


def _checked_weights(transformer: Transformer, data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, if they are exactly the weights of this model."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    wanted = jax.eval_shape(transformer.init, jax.random.key(0))
    expected = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(wanted))
    # The header has a line for each array.
    if not expected < len(data) < expected + 10**4 * (1 + len(jax.tree.leaves(wanted))):
        raise ValueError(f"its weights have {len(data)} bytes, those of its sizes would have {expected}")
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise ValueError(f"its weights are no safetensors file ({error})") from None
    load_state_dict(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), wanted), arrays)
    return arrays


def _require_curves(folder: Path, name: str) -> None:
    try:
        for path in (folder / curves for curves in (CURVES, VALIDATION)):
            if path.exists() and not (_is_tame(path.read_bytes()) and "step" in read_curves(path)):
                raise ValueError
    except ValueError:
        raise ValueError(f"{name} cannot be imported: its curves are not understood.") from None


def _is_tame(table: bytes) -> bool:
    """Whether a table can be parsed in as much memory as its bytes let expect, and none of its lines is unfinished."""
    if not table.endswith(b"\n") or table.count(b"\n") > _MOST_ROWS:
        return False
    return max(map(len, table.split(b"\n"))) <= _MOST_OF_A_ROW
