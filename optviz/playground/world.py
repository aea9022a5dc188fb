"""What the playground offers: surfaces of two parameters and the optimizers to descend them, as data."""

from __future__ import annotations

import dataclasses
import functools
import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

import surfaces
from optviz.optimizers import CATALOGUE, OptimizerEntry
from surfaces.base import LossSurface

Box = tuple[float, float, float, float]
"""x0, x1, y0, y1."""

FORMULA = "formula"
"""The name of the surface that a formula makes."""


@dataclasses.dataclass(frozen=True)
class Coefficient:
    """A number of a surface's formula, and the range that a slider covers."""

    name: str
    default: float
    low: float
    high: float
    scale: str
    meaning: str = ""


@dataclasses.dataclass(frozen=True)
class SurfaceEntry:
    """One surface that can be descended here: how it is made, and where it is looked at."""

    name: str
    make: Callable[..., LossSurface]
    coefficients: tuple[Coefficient, ...]
    domain: Box
    """x0, x1, y0, y1."""
    start: tuple[float, float]
    formula: str = ""
    source: str = ""
    residuals: bool = False
    """Whether least-squares optimizers can descend it."""

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ").capitalize()


@dataclasses.dataclass(frozen=True)
class World:
    """All that may be named in settings."""

    surfaces: Mapping[str, SurfaceEntry]
    optimizers: Mapping[str, OptimizerEntry]
    tag: str = ""
    """Another one for every world that is not the catalogues', since their names do not tell what they hold."""

    def with_surface(self, entry: SurfaceEntry) -> World:
        """This world with one surface more, the first in its list."""
        others = {name: other for name, other in self.surfaces.items() if name != entry.name}
        return World({entry.name: entry, **others}, self.optimizers, uuid.uuid4().hex)

    def with_optimizer(self, entry: OptimizerEntry) -> World:
        """This world with one optimizer more."""
        return World(self.surfaces, {**self.optimizers, entry.name: entry}, uuid.uuid4().hex)


@functools.cache
def catalogue() -> World:
    """The world of the two catalogues: every surface of two parameters without noise of its own, every optimizer."""
    found = (_of_the_catalogue(make) for make in surfaces.CATALOGUE)
    return World({s.name: s for s in found if s is not None}, {e.name: e for e in CATALOGUE})


def surface_entry(
    surface: LossSurface, name: str | None = None, domain: Box | None = None, start: Any = None
) -> SurfaceEntry:
    """Any surface of a vector of two numbers as an entry; a plain function needs a `domain` and a `start`.

    Raises:
      ValueError: for a surface of other than two parameters, or one with noise of its own.
    """
    at = surface.start if start is None else start
    if not isinstance(at, np.ndarray | jax.Array | tuple | list) or np.shape(at) != (2,):
        raise ValueError(f"The playground shows surfaces of a vector of two numbers; {surface.name} takes another.")
    at = np.asarray(at, float)
    if surface.is_stochastic:
        raise ValueError(f"{surface.name} has noise of its own; give the surface without it and set the noise here.")
    values = {k: float(v) for k, v in surface.coefficients.items() if np.ndim(v) == 0}
    make, meanings = functools.partial(_replaced, surface), surface.meanings()
    return SurfaceEntry(
        name or surface.name,
        make,
        tuple(_coefficient(make, k, v, meanings.get(k, "")) for k, v in values.items()),
        domain or _box(surface),
        (float(at[0]), float(at[1])),
        surface.formula,
        surface.source,
        hasattr(surface, "residuals"),
    )


def _of_the_catalogue(make: type[LossSurface]) -> SurfaceEntry | None:
    try:
        entry = surface_entry(make())
    except ValueError:
        return None
    coefficients = tuple(_coefficient(make, c.name, c.default, c.meaning) for c in entry.coefficients)
    return dataclasses.replace(entry, make=make, coefficients=coefficients)


def _replaced(surface: LossSurface, **coefficients: Any) -> LossSurface:
    return dataclasses.replace(surface, **coefficients) if coefficients else surface


def _box(surface: LossSurface) -> Box:
    (x0, y0), (x1, y1) = np.asarray(jax.device_get(surface.domain)).tolist()
    return x0, x1, y0, y1


def _coefficient(make: Callable[..., Any], name: str, default: float, meaning: str) -> Coefficient:
    """A range about the default: angles a half turn, positive numbers two decades, as far as the surface takes them."""
    if name == "angle":
        return Coefficient(name, default, -math.pi / 2, math.pi / 2, "linear", meaning)
    if default <= 0:
        return Coefficient(name, default, default - 1.0, default + 1.0, "linear", meaning)
    factors = (0.1, 0.2, 0.5, 1.0)
    low = next(default * f for f in factors if _takes(make, name, default * f))
    high = next(default / f for f in factors if _takes(make, name, default / f))
    return Coefficient(name, default, low, high, "log", meaning)


def _takes(make: Callable[..., Any], name: str, value: float) -> bool:
    try:
        make(**{name: value})
    except (ValueError, TypeError):
        return False
    return True
