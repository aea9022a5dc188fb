"""Folders that appear when they are whole."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
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
