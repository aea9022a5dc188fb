"""Values of requests, read one by one: each as it is wanted, or one sentence that says where and why not."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Collection, Mapping
from typing import Any

from optviz.playground.errors import BadSettings, Sentence, unknown
from optviz.playground.world import Box

FAR = 1e6
"""The largest coordinate of a start or a view, in parameter units."""
_HEX = set("0123456789abcdefABCDEF")


def view(value: Any, where: str = "view") -> Box:
    """The part of the plane that is looked at: x0, x1, y0, y1, ascending."""
    x0, x1, y0, y1 = numbers(value, where, 4)
    if not (x1 - x0 > 1e-6 * max(abs(x0), abs(x1), 1e-3) and y1 - y0 > 1e-6 * max(abs(y0), abs(y1), 1e-3)):
        raise BadSettings(
            "{name} needs x0 < x1 and y0 < y1, not closer than float32 can tell, got {value}.",
            where,
            name=where,
            value=value,
        )
    return x0, x1, y0, y1


def numbers(value: Any, where: str, count: int) -> list[float]:
    """So many coordinates."""
    if not isinstance(value, list | tuple) or len(value) != count:
        told = {"name": where, "count": count, "value": short(value)}
        raise BadSettings("{name} is a list of {count} numbers, got {value}.", where, **told)
    return [number(v, f"{where}[{i}]", -FAR, FAR) for i, v in enumerate(value)]


def number(value: Any, where: str, low: float, high: float, name: str = "") -> float:
    """A number within its limits; `name` is what a sentence calls it, where that is not `where`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        told = {"name": name or where, "low": low, "high": high, "value": short(value)}
        raise BadSettings("{name} must be a number from {low:g} to {high:g}, got {value}.", where, **told)
    return float(value)


def whole(value: Any, where: str, low: float, high: float, name: str = "") -> int:
    """A whole number within its limits."""
    checked = number(value, where, low, high, name)
    if not checked.is_integer():
        raise BadSettings("{name} must be a whole number, got {value}.", where, name=name or where, value=short(value))
    return int(checked)


def flag(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BadSettings("{name} is true or false, got {value}.", where, name=where, value=short(value))
    return value


def color(value: Any, where: str) -> str | None:
    """A colour as pages write it, or none."""
    if value is None:
        return None
    if not (isinstance(value, str) and len(value) == 7 and value[0] == "#" and set(value[1:]) <= _HEX):
        raise BadSettings("{name} is a color such as #0072B2, got {value}.", where, name=where, value=short(value))
    return value


def mapping(value: Any, where: str) -> dict[str, Any]:
    """An object with names; nothing is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadSettings("{name} is an object with names, got {value}.", where, name=where, value=short(value))
    return dict(value)


def named(data: Any, where: str, known: Collection[str], kind: Sentence) -> dict[str, Any]:
    """An object all of whose names are known."""
    data = mapping(data, where)
    for name in data:
        one_of(name, known, kind, f"{where}.{name[:40]}")
    return data


def one_of(name: Any, known: Collection[str], kind: Sentence, where: str) -> str:
    """A name that is known; `kind` says what it is a name of."""
    if not isinstance(name, str) or name not in known:
        raise BadSettings(unknown(kind, name[:60] if isinstance(name, str) else str(short(name)), known), where)
    return name


def fault(error: Exception) -> Sentence:
    """Why a text cannot be read as JSON."""
    if isinstance(error, json.JSONDecodeError):
        return Sentence("it cannot be read from line {line}, column {column} on", line=error.lineno, column=error.colno)
    return Sentence("it is nested too deeply, or has a number of too many digits, or is not UTF-8")


def short(value: Any) -> str | Sentence:
    """A value as a sentence can hold it, however large it is."""
    try:
        text = reprlib.repr(value)
    except (ValueError, RecursionError):  # Python writes no number of thousands of digits
        return Sentence("something too large to show")
    return text if len(text) <= 80 else f"{text[:77]}..."
