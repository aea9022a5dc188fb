"""One process at a time changes a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the block no other process trains or deletes the model in `folder`.

    The lock goes with its process, however that ends. Windows has none.

    Raises:
      ValueError: if another process has the lock.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"Another process is training {folder.name}: wait for it, or pause it there.") from None
        yield
