"""What `explore` is given, made into what the playground knows: a world of names, and settings that use them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from optviz.optimizers import Hyperparameter, OptimizerEntry, OptimizerSpec
from optviz.playground import world
from optviz.playground.world import World
from surfaces.base import as_surface

_PLAIN = (-3.0, 3.0, -3.0, 3.0)
"""Where a plain function, which has no domain, is looked at if nothing else is said."""


def world_and_settings(
    surface: Any, optimizers: Any, given: Mapping[str, Any], known: World | None = None
) -> tuple[World, dict[str, Any]]:
    """The world, `known` and more, that has `surface` and `optimizers`, and the settings that name them.

    Args:
      surface, optimizers: as of `optviz.explore`; None leaves them out.
      given: other settings.
      known: the catalogues if None.
    """
    settings = {name: _data(value) for name, value in given.items()}
    known = known or world.catalogue()
    if surface is not None:
        known, settings["surface"] = _with_surface(known, surface, settings)
    if optimizers is not None:
        single = isinstance(optimizers, str | Mapping | OptimizerSpec | OptimizerEntry)
        known, settings["optimizers"] = _with_optimizers(known, [optimizers] if single else optimizers)
    return known, settings


def _data(value: Any) -> Any:
    """Arrays and tuples as lists, so that settings are plain JSON data."""
    if isinstance(value, tuple | list):
        return [_data(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _with_surface(known: World, surface: Any, settings: Mapping[str, Any]) -> tuple[World, str]:
    if isinstance(surface, str):
        return known, surface
    surface = as_surface(surface)
    view, start = settings.get("view"), settings.get("start")
    if not hasattr(surface, "domain"):
        view, start = view or _PLAIN, start or _lopsided(view or _PLAIN)
    # A lambda's name is no name.
    name = surface.name if surface.name.isidentifier() else "function"
    box = None if view is None else (view[0], view[1], view[2], view[3])
    entry = world.surface_entry(surface, name, box, start)
    return known.with_surface(entry), entry.name


def _lopsided(view: Iterable[float]) -> list[float]:
    """A start away from the middle and from the diagonals, where a symmetric function would show less."""
    x0, x1, y0, y1 = view
    return [x0 + (x1 - x0) / 6, y0 + 3 * (y1 - y0) / 4]


def _with_optimizers(known: World, optimizers: Iterable[Any]) -> tuple[World, list[Any]]:
    choices = []
    for optimizer in optimizers:
        known, choice = _with_optimizer(known, optimizer)
        choices.append(choice)
    return known, choices


def _with_optimizer(known: World, optimizer: Any) -> tuple[World, Any]:
    """The world with one optimizer more, and how settings name it."""
    if isinstance(optimizer, str | Mapping):
        return known, optimizer
    if isinstance(optimizer, OptimizerSpec):
        numbers = {name: np.asarray(value).item() for name, value in _numbers(optimizer).items()}
        listed = known.optimizers.get(optimizer.name)
        if listed is not None and _says_all(listed, optimizer, numbers):
            return known, {"name": listed.name, "hyperparameters": {**numbers, **dict(optimizer.options)}}
        optimizer = _entry(optimizer, numbers, known)
    if not isinstance(optimizer, OptimizerEntry):
        raise TypeError(
            "An optimizer to explore is a name of the catalogue, an optviz.OptimizerSpec(factory, ...), an entry or a "
            f"mapping with its settings, got {optimizer!r}."
        )
    return known.with_optimizer(optimizer), {"name": optimizer.name}


def _numbers(spec: OptimizerSpec) -> dict[str, Any]:
    for name, value in spec.hyperparameters.items():
        if np.ndim(value) != 0 or name in spec.scheduled:
            raise ValueError(
                f"{spec.name}: {name} must be one number, which a slider can change, got {value!r}. Schedules are "
                'chosen in the settings: {"name": "adam", "schedule": {"name": "cosine"}}.'
            )
    return spec.hyperparameters


def _says_all(listed: OptimizerEntry, spec: OptimizerSpec, numbers: Mapping[str, float]) -> bool:
    """Whether an entry of the catalogue with these numbers is the optimizer that the spec describes."""
    ranges = {h.name: h for h in listed.hyperparameters}
    return listed.factory is spec.factory and all(
        name in ranges and _covers(ranges[name], value) for name, value in {**dict(spec.options), **numbers}.items()
    )


def _covers(range_: Hyperparameter, value: Any) -> bool:
    if range_.low is None or range_.high is None:
        return type(value) is type(range_.default)
    return range_.low <= value <= range_.high


def _entry(spec: OptimizerSpec, numbers: Mapping[str, float], known: World) -> OptimizerEntry:
    """An entry for any spec: its numbers become sliders, the rest stays as it is."""
    name = next(n for n in (spec.name, *(f"{spec.name} #{i}" for i in range(2, 100))) if n not in known.optimizers)
    return OptimizerEntry(
        name,
        _fixed(spec.factory, dict(spec.options)),
        tuple(_around(k, v) for k, v in numbers.items()),
        formula="",
        year=0,
        paper="",
        summary="An optimizer of this notebook.",
        good_for="",
        advantages=(),
        drawbacks=(),
    )


def _fixed(factory: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    return functools.partial(factory, **options) if options else factory


def _around(name: str, value: float) -> Hyperparameter:
    """A range about a number: shares up to nearly 1, other positive numbers two decades either way."""
    integer = isinstance(value, int)
    if value > 0 and not integer and not 0.5 <= value < 1:
        return Hyperparameter(name, value, value / 100, value * 100, "log")
    if integer and value >= 0:
        return Hyperparameter(name, value, 0, 10 * value + 10, integer=True)
    low, high = (0.0, 0.9999) if 0 < value < 1 else (value - 1, value + 1)
    return Hyperparameter(name, value, low, high, integer=integer)
