"""Files that visitors send and fetch: a few at a time under names that no one can guess, and gone after an hour.

What a visitor calls a file is a title to be shown, never a path.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

MAX_BYTES = 200_000_000
"""Of one file; the guard before the routes counts them as they come."""
MAX_FILES = 5
"""Files that are kept or arriving at a time, in each direction: with `MAX_BYTES` this bounds what they take."""
_KEPT = 3600.0
"""Seconds after which a file is deleted."""
_IN_USE = 600.0
"""Seconds in which a file is not deleted for another one that needs its place."""
_SILENCE = 60.0
"""Seconds without a byte after which a sender is taken for gone."""
_SPARE = 500_000_000
"""Bytes that the disk keeps free."""
_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_TITLE = 80


class NoRoom(Exception):
    """There is no room for one more file just now; the text is a sentence."""


class Files:
    """The files of one folder, by id."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._arriving: set[Path] = set()

    def path(self, file_id: str) -> Path:
        """Where a file lies. ValueError for an id that is none, or a file that has gone."""
        if not isinstance(file_id, str) or not _ID.fullmatch(file_id):
            raise ValueError("There is no such file.")
        path = self.folder / file_id
        if not path.is_file():
            raise ValueError("This file has been deleted; files are kept for an hour. Send it again.")
        return path

    def discard(self, file_id: str) -> None:
        """Delete a file if it is there."""
        with contextlib.suppress(ValueError):
            self.path(file_id).unlink(missing_ok=True)

    def reserve(self) -> tuple[str, Path]:
        """An id and a place for one more file; old ones make room.

        Raises:
          NoRoom: if too many are kept or arriving, or the disk is nearly full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        if shutil.disk_usage(self.folder).free < MAX_BYTES + _SPARE:
            raise NoRoom("The disk of the server is nearly full.")
        file_id = secrets.token_hex(16)
        path = self.folder / file_id
        path.touch()
        return file_id, path

    async def receive(self, chunks: AsyncIterator[bytes]) -> str:
        """Write what a visitor sends as it comes; the id of the file. Nothing is left of one that breaks off.

        Raises:
          NoRoom: as `reserve` does.
          TimeoutError: if nothing comes for a minute.
        """
        file_id, path = self.reserve()
        self._arriving.add(path)
        try:
            with path.open("wb") as file:
                async for chunk in _lively(chunks):
                    await asyncio.to_thread(file.write, chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            self._arriving.discard(path)
        return file_id

    def _sweep(self) -> None:
        """Delete what is old; and the oldest that is not in use if there is no place left."""
        now = time.time()
        kept = sorted((path.stat().st_mtime, path) for path in self.folder.iterdir() if path not in self._arriving)
        for changed, path in kept:
            is_old = now - changed > _KEPT
            is_full = len(list(self.folder.iterdir())) >= MAX_FILES
            if is_old or (is_full and now - changed > _IN_USE):
                path.unlink(missing_ok=True)
        if len(list(self.folder.iterdir())) >= MAX_FILES:
            raise NoRoom("The server keeps as many files as it can just now; try again in some minutes.")


def title_of(name: str | None) -> str:
    """What a visitor's file is called, as a title: no path, no ending, nothing that cannot be printed."""
    last = re.split(r"[\\/]", unquote(name or "", errors="replace"))[-1]
    stem = last.rsplit(".", 1)[0] if "." in last.strip(".") else last
    shown = "".join(c if c.isprintable() else " " for c in stem)
    return " ".join(shown.split())[:_LONGEST_TITLE].strip() or "book"


async def _lively(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, as long as they keep coming. TimeoutError otherwise."""
    iterator = aiter(chunks)
    while True:
        try:
            chunk = await asyncio.wait_for(anext(iterator), _SILENCE)
        except StopAsyncIteration:
            return
        yield chunk
