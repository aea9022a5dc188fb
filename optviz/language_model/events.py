"""Files of lines that grow: events as JSON, read by many while one process writes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from optviz.language_model.checkpoints import write_whole

Event = Mapping[str, Any]
_MOST_BYTES = 1 << 26  # of one look


def finite(value: Any) -> float | None:
    """A number as JSON can hold it: None if it is not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


def add_event(path: Path, event: Event) -> None:
    """Append one event, JSON data without NaN."""
    with path.open("a", encoding="ascii") as file:
        file.write(_line(event))


def only_event(path: Path, event: Event) -> None:
    """Write one event, JSON data without NaN, in the place of all before."""
    write_whole(path, _line(event).encode())


def read_events(path: Path) -> list[dict[str, Any]]:
    """All events; empty if there is no file yet."""
    data = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def _line(event: Event) -> str:
    return json.dumps(event, allow_nan=False) + "\n"


def keep_events(path: Path, is_kept: Callable[[Event], bool]) -> None:
    """Forget the events that will come again, because a run goes on from before them."""
    kept = [event for event in read_events(path) if is_kept(event)]
    write_whole(path, "".join(map(_line, kept)).encode())


class Tail:
    """The lines of a file from where they were last read; not those that are still being written."""

    def __init__(self, path: Path):
        self.path = path
        self._file, self._offset = 0, 0

    def read(self) -> tuple[bool, list[str]]:
        """Whether the file was begun anew, so that all lines before count no more; and the lines that are new."""
        try:
            with self.path.open("rb") as file:
                return self._read(file)
        except FileNotFoundError:
            begun, self._file, self._offset = self._offset > 0, 0, 0
            return begun, []

    def _read(self, file: Any) -> tuple[bool, list[str]]:
        about = os.fstat(file.fileno())
        # A file that was cut back is another one under the same name.
        anew = self._offset > 0 and (about.st_ino != self._file or about.st_size < self._offset)
        self._file, self._offset = about.st_ino, 0 if anew else self._offset
        file.seek(self._offset)
        data = file.read(_MOST_BYTES)
        data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        return anew, data.decode("utf-8", errors="replace").splitlines()
