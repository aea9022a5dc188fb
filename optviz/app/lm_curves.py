"""The curves of a training run as a page draws them: read as they grow, thinned to what can be seen."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from optviz.language_model.curves import CURVES, VALIDATION
from optviz.language_model.events import Tail

COLUMNS = ("loss", "learning_rate", "gradient_norm", "update_to_weight")
VALIDATION_COLUMNS = ("validation_loss", "bits_per_byte", "sharpness")
POINTS = 300
"""Of a drawn curve at most; each is the mean of as many steps as there must be."""

Number = float | None
"""None where it is not finite."""


class Curve(NamedTuple):
    """Points of a curve."""

    x: list[float]
    y: list[Number]


class Table:
    """The first columns of a CSV file that grows, its rows by step; safe for several threads."""

    def __init__(self, path: Path, names: Sequence[str]):
        self.names, self.steps = names, list[float]()
        self.columns: dict[str, list[float]] = {name: [] for name in names}
        self._tail, self._places = Tail(path), list[int]()
        self._lock = threading.Lock()

    def read(self) -> int:
        """Take in the rows that are new; how many there are now."""
        with self._lock:
            anew, lines = self._tail.read()
            if anew:
                self._forget()
            for line in lines:
                with contextlib.suppress(ValueError):  # a row that is none
                    self._take(line.split(","))
            return len(self.steps)

    def curve(self, name: str, most: int = POINTS) -> Curve:
        """The curve of a column with at most so many points."""
        with self._lock:
            return thinned(self.steps, self.columns[name], most)

    def last(self, name: str) -> Number:
        """The last value of a column; None if there is none, or it is not finite."""
        with self._lock:
            values = self.columns[name]
            return values[-1] if values and math.isfinite(values[-1]) else None

    def _forget(self) -> None:
        self._places = []
        for column in (self.steps, *self.columns.values()):
            column.clear()

    def _take(self, cells: list[str]) -> None:
        if not self._places:
            self._places = [cells.index(name) if name in cells else -1 for name in ("step", *self.names)]
            return
        step, *values = (float(cells[place]) if 0 <= place < len(cells) else math.nan for place in self._places)
        self.steps.append(step)
        for name, value in zip(self.names, values, strict=True):
            self.columns[name].append(value)


class RunCurves(NamedTuple):
    """Both tables of a run."""

    steps: Table
    validation: Table

    def read(self) -> tuple[int, int]:
        """Take in what is new; how many rows there are."""
        return self.steps.read(), self.validation.read()


@functools.lru_cache(64)
def curves_of(folder: Path) -> RunCurves:
    """The curves of the model in `folder`, which all pages share."""
    return RunCurves(Table(folder / CURVES, COLUMNS), Table(folder / VALIDATION, VALIDATION_COLUMNS))


class EventLog:
    """What a job tells, as it grows: all events, long texts only in the last that has any."""

    _LONG = ("texts", "proposals")

    def __init__(self, path: Path):
        self.events: list[dict[str, Any]] = []
        self._tail, self._lock = Tail(path), threading.Lock()

    def read(self) -> list[dict[str, Any]]:
        """All events up to now."""
        with self._lock:
            anew, lines = self._tail.read()
            if anew:
                self.events = []
            for line in lines:
                with contextlib.suppress(ValueError):
                    self._take(json.loads(line))
            return list(self.events)

    def _take(self, event: dict[str, Any]) -> None:
        for name in self._LONG:
            if name in event and self.events:
                self.events[-1] = {k: v for k, v in self.events[-1].items() if k != name}
        self.events.append(event)


@functools.lru_cache(64)
def events_of(path: Path) -> EventLog:
    """The events of a job, which all pages share."""
    return EventLog(path)


def thinned(x: Sequence[float], y: Sequence[Number], most: int = POINTS) -> Curve:
    """At most `most` points: means of neighbours; None where none of them is finite."""
    size = math.ceil(len(x) / most) or 1
    starts = range(0, len(x), size)
    return Curve([x[min(i + size, len(x)) - 1] for i in starts], [_mean(y[i : i + size]) for i in starts])


def _mean(values: Sequence[Number]) -> Number:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return float(f"{sum(finite) / len(finite):.6g}") if finite else None
