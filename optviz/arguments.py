"""Words of the command line as optimizers, surfaces and points."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

import surfaces
from optviz.optimizers import OptimizerSpec, optimizer


def parse_optimizer(text: str) -> OptimizerSpec:
    """`adam:learning_rate=0.02,b1=0.8` as an optimizer of the catalogue."""
    name, values = parse_spec(text)
    return optimizer(name, **values)


def parse_surface(text: str) -> surfaces.LossSurface:
    """`quadratic_bowl:condition_number=100` as a surface of the catalogue."""
    name, values = parse_spec(text)
    return surfaces.surface(name, **values)


def parse_start(text: str | None, surface: surfaces.LossSurface) -> Any:
    """`-2,2` as a starting point of `surface`; its own if there is no text."""
    if text is None:
        return surface.start
    numbers = [_number(part, "--start") for part in text.split(",")]
    shape = getattr(surface.start, "shape", None)
    if shape is None:
        raise ValueError(f"{surface.name} has a tree of parameters, which --start cannot give; leave it out.")
    if shape != (len(numbers),):
        raise ValueError(f"--start needs {math.prod(shape)} numbers for {surface.name}, got {len(numbers)}: {text}")
    return np.array(numbers, dtype=float)


def parse_axis(text: str) -> tuple[str, Any]:
    """An axis of a sweep: `b1=0.5,0.9`, `learning_rate=1e-3:1:20:log`, `b2=0:1:5`, `seed=10`, `start=-2,2;1,1`."""
    name, equals, values = (part.strip() for part in text.partition("="))
    if not (name and equals and values):
        raise ValueError(
            f"--axis needs NAME=VALUE,VALUE or NAME=LOW:HIGH:COUNT or NAME=LOW:HIGH:COUNT:log, got {text!r}."
        )
    if ":" in values:
        return name, _spaced(name, values)
    if name == "start":
        return name, [[_number(x, name) for x in point.split(",")] for point in values.split(";")]
    if name == "seed":
        seeds = [_whole(x, name) for x in values.split(",")]
        return name, seeds[0] if len(seeds) == 1 else seeds
    return name, [_number(x, name) for x in values.split(",")]


def _spaced(name: str, text: str) -> np.ndarray:
    """`LOW:HIGH:COUNT` evenly spaced, with `:log` in the logarithm."""
    low, high, count, *scale = text.split(":") + ["1"] * (2 - text.count(":"))
    ends, number = (_number(low, name), _number(high, name)), _whole(count, name)
    if text.count(":") < 2 or scale not in ([], ["log"]) or number < 1:
        raise ValueError(f"The axis {name} needs LOW:HIGH:COUNT or LOW:HIGH:COUNT:log with a count from 1, got {text}.")
    if scale and min(ends) <= 0:
        raise ValueError(f"The axis {name} needs ends above 0 to be spaced in the logarithm, got {text}.")
    return np.geomspace(*ends, number) if scale else np.linspace(*ends, number)


def parse_range(text: str) -> tuple[str, tuple[float, float]]:
    """`learning_rate=1e-4:1`: a range to draw from."""
    name, _, values = (part.strip() for part in text.partition("="))
    low, colon, high = values.partition(":")
    if not (name and colon):
        raise ValueError(f"--random needs NAME=LOW:HIGH, got {text!r}.")
    return name, (_number(low, name), _number(high, name))


def _whole(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{what} must be a whole number, got {text.strip()!r}.") from None


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """`NAME:KEY=VALUE,KEY=VALUE` as the name and the values that are given."""
    name, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",")] if rest else []
    for key, equals, value in pairs:
        if not (key and equals and value):
            raise ValueError(f"Expected NAME:KEY=VALUE,KEY=VALUE, got {text!r}.")
    return name.strip(), {key.strip(): parse_value(value.strip(), key.strip()) for key, _, value in pairs}


def parse_value(text: str, what: str) -> Any:
    """A flag, a number, or the word itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text)
    except ValueError:
        return _number(text, what) if any(c.isdigit() for c in text) or text.lower() in _NOT_FINITE else text


_NOT_FINITE = ("nan", "inf", "-inf", "infinity", "-infinity")


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{what} must be a number, got {text.strip()!r}.") from None
    if not math.isfinite(number):
        raise ValueError(f"{what} must be a finite number, got {text.strip()}.")
    return number


def require_writable(option: str, folder: Path) -> None:
    """Refuse a folder that cannot be written, before any work is done for it."""
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"{option}: cannot write to {folder}: {nearest} is not a writable folder.")
