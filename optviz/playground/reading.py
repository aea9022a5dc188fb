"""Values of requests, read one by one: each as it is wanted, or one sentence that says where and why not."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping
from typing import Any

from optviz.playground.errors import BadSettings
from optviz.playground.world import Box
from surfaces.names import unknown_name

FAR = 1e6
"""The largest coordinate of a start or a view, in parameter units."""
_HEX = set("0123456789abcdefABCDEF")


def view(value: Any, where: str = "view") -> Box:
    """The part of the plane that is looked at: x0, x1, y0, y1, ascending."""
    x0, x1, y0, y1 = numbers(value, where, 4)
    if not (x1 - x0 > 1e-6 * max(abs(x0), abs(x1), 1e-3) and y1 - y0 > 1e-6 * max(abs(y0), abs(y1), 1e-3)):
        raise BadSettings(f"{where} needs x0 < x1 and y0 < y1, not closer than float32 can tell, got {value}.", where)
    return x0, x1, y0, y1


def numbers(value: Any, where: str, count: int) -> list[float]:
    """So many coordinates."""
    if not isinstance(value, list | tuple) or len(value) != count:
        raise BadSettings(f"{where} is a list of {count} numbers, got {short(value)}.", where)
    return [number(v, f"{where}[{i}]", -FAR, FAR) for i, v in enumerate(value)]


def number(value: Any, where: str, low: float, high: float, name: str = "") -> float:
    """A number within its limits; `name` is what a sentence calls it, where that is not `where`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadSettings(f"{name or where} must be a number from {low:g} to {high:g}, got {short(value)}.", where)
    return float(value)


def whole(value: Any, where: str, low: float, high: float, name: str = "") -> int:
    """A whole number within its limits."""
    checked = number(value, where, low, high, name)
    if not checked.is_integer():
        raise BadSettings(f"{name or where} must be a whole number, got {short(value)}.", where)
    return int(checked)


def flag(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BadSettings(f"{where} is true or false, got {short(value)}.", where)
    return value


def color(value: Any, where: str) -> str | None:
    """A colour as pages write it, or none."""
    if value is None:
        return None
    if not (isinstance(value, str) and len(value) == 7 and value[0] == "#" and set(value[1:]) <= _HEX):
        raise BadSettings(f"{where} is a color such as #0072B2, got {short(value)}.", where)
    return value


def mapping(value: Any, where: str) -> dict[str, Any]:
    """An object with names; nothing is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadSettings(f"{where} is an object with names, got {short(value)}.", where)
    return dict(value)


def named(data: Any, where: str, known: Collection[str], kind: str) -> dict[str, Any]:
    """An object all of whose names are known."""
    data = mapping(data, where)
    for name in data:
        one_of(name, known, kind, f"{where}.{name[:40]}")
    return data


def one_of(name: Any, known: Collection[str], kind: str, where: str) -> str:
    """A name that is known."""
    if not isinstance(name, str) or name not in known:
        raise BadSettings(unknown_name(kind, name[:60] if isinstance(name, str) else short(name), known), where)
    return name


def short(value: Any) -> str:
    """A value as a sentence can hold it, however large it is."""
    try:
        text = reprlib.repr(value)
    except (ValueError, RecursionError):  # Python writes no number of thousands of digits
        return "something too large to show"
    return text if len(text) <= 80 else f"{text[:77]}..."
