"""Folders that appear when they are whole."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path


@contextlib.contextmanager
def scratch_folder(parent: str | Path) -> Iterator[Path]:
    """A temporary folder under `parent`, gone after the block unless `publish` has renamed it: no half-written runs."""
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=parent))
    scratch.chmod(0o755)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def publish(folder: Path, target: Path) -> Path:
    """Rename a finished `folder` to `target`, or to the first free numbered name beside it; the name it got."""
    numbered = (target.with_name(f"{target.name}-{n}") for n in itertools.count(2))
    for candidate in itertools.chain([target], numbered):
        if not candidate.exists():
            return folder.rename(candidate)
    raise AssertionError("unreachable: the numbers never end")


def refuse_foreign(folder: Path, index: str, what: str, besides: Collection[str] = ()) -> None:
    """ValueError for a folder that holds something else than a `what`, which is known by its file `index`.

    One that is absent is free, and so is one with nothing in it but hidden files and the names `besides`.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"A {what} is written to a folder, {folder} is a file. Give another.")
    if folder.is_dir() and not (folder / index).exists():
        others = [p.name for p in folder.iterdir() if not p.name.startswith(".") and p.name not in besides]
        if others:
            raise ValueError(f"{folder} holds no {what} but {others[0]}. Give a folder of its own.")
