"""What `explore` is given, made into what the playground knows: a world of names, and settings that use them."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optviz.optimizers import Hyperparameter, OptimizerEntry, OptimizerSpec
from optviz.optimizers.protocol import Optimizer, as_optimizer
from optviz.playground import world
from optviz.playground.world import World
from surfaces.base import FunctionSurface, as_surface

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
    settings = plain(given)
    known = known or world.catalogue()
    if surface is not None:
        known, settings["surface"] = _with_surface(known, surface, settings)
    if optimizers is not None:
        known, settings["optimizers"] = _with_optimizers(known, _several(optimizers))
    return known, settings


def _several(optimizers: Any) -> Iterable[Any]:
    """One optimizer or several, as several."""
    # An Optax optimizer is a tuple of two functions.
    if isinstance(optimizers, str | Mapping | Optimizer) or not isinstance(optimizers, Iterable):
        return [optimizers]
    return optimizers


def plain(value: Any) -> Any:
    """A copy of settings as plain JSON data: arrays and tuples as lists, numbers of NumPy and JAX as Python's."""
    if isinstance(value, Mapping):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _with_surface(known: World, surface: Any, settings: Mapping[str, Any]) -> tuple[World, str]:
    if isinstance(surface, str):
        return known, surface
    if isinstance(surface, type):
        raise TypeError(f"A surface to explore is an instance, {surface.__name__}(), got the class.")
    surface = as_surface(surface)
    if isinstance(surface, FunctionSurface) and not surface.takes_key:
        _require_surface(surface.function, surface.name)
    view, start = settings.get("view"), settings.get("start")
    if not hasattr(surface, "domain"):
        view, start = view or _PLAIN, start or _lopsided(view or _PLAIN)
    # A lambda's name is no name.
    name = surface.name if surface.name.isidentifier() else "function"
    if isinstance(surface, FunctionSurface):  # a function changed and given again is another one
        name = _free(name, known.surfaces)
    box = None if view is None else (view[0], view[1], view[2], view[3])
    entry = world.surface_entry(surface, name, box, start)
    return known.with_surface(entry), entry.name


def _require_surface(function: Callable[..., Any], name: str) -> None:
    """Call a function once, with a vector that has no values yet, and refuse one that no optimizer could descend."""
    _require_one_argument(function, name)
    try:
        value = jax.eval_shape(function, jax.ShapeDtypeStruct((2,), jnp.float32))
    except jax.errors.JAXTypeError:
        raise TypeError(
            f"{name} must be written so that JAX can differentiate it: with the functions of jax.numpy in the place of "
            "math's and NumPy's, jnp.where in the place of if, and without float()."
        ) from None
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise ValueError(f"{name} fails when it is called with a vector of two numbers: {reason}") from error
    shape, kind = getattr(value, "shape", None), getattr(value, "dtype", np.dtype(object))
    if shape != () or not jnp.issubdtype(kind, jnp.floating):
        came = f"a {type(value).__name__}" if shape is None else f"an array of shape {shape} and type {kind}"
        raise TypeError(f"{name} must give one number (a floating-point one) for a vector of two, got {came}.")


def _require_one_argument(function: Callable[..., Any], name: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some callables have none
        return
    needed = [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    if len(needed) > 1:
        count = "two" if len(needed) == 2 else len(needed)
        raise TypeError(
            f"{name} takes {count} arguments, {', '.join(needed)}: it is called with one vector, as in "
            f"def {name if name.isidentifier() else 'f'}(p): x, y = p; ..."
        )


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
        return known, plain(optimizer)
    if isinstance(optimizer, OptimizerSpec):
        numbers = {name: np.asarray(value).item() for name, value in _numbers(optimizer).items()}
        listed = known.optimizers.get(optimizer.name)
        if listed is not None and _says_all(listed, optimizer, numbers):
            return known, {"name": listed.name, "hyperparameters": {**numbers, **dict(optimizer.options)}}
        optimizer = _entry(optimizer.name, _fixed(optimizer.factory, dict(optimizer.options)), numbers, known)
    elif isinstance(optimizer, Optimizer):
        optimizer = _ready(optimizer, known)
    if not isinstance(optimizer, OptimizerEntry):
        hint = " Call the factory first, e.g. optax.adam(0.01)." if callable(optimizer) else ""
        raise TypeError(
            "An optimizer to explore is a name of the catalogue, an Optax optimizer, an optviz.OptimizerSpec(factory, "
            f"...), an entry or a mapping with its settings, got {optimizer!r}.{hint}"
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


def _ready(optimizer: Optimizer, known: World) -> OptimizerEntry:
    """An entry for an optimizer that is built already: it has no numbers to move."""
    wired = as_optimizer(optimizer)
    if reason := getattr(wired, "on_host", ""):
        raise TypeError(reason)
    update: Any = wired.update
    return _entry(wired.name, lambda: optax.GradientTransformationExtraArgs(wired.init, update), {}, known)


def _entry(name: str, factory: Callable[..., Any], numbers: Mapping[str, float], known: World) -> OptimizerEntry:
    """An entry for any optimizer: its numbers become sliders, the rest stays as it is."""
    return OptimizerEntry(
        _free(name, known.optimizers),
        factory,
        tuple(_around(k, v) for k, v in numbers.items()),
        formula="",
        year=0,
        paper="",
        summary="An optimizer of this notebook.",
        good_for="",
        advantages=(),
        drawbacks=(),
    )


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """The name, with a number if it is taken."""
    numbered = (f"{name} #{i}" for i in itertools.count(2))
    return next(n for n in itertools.chain([name], numbered) if n not in taken)


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
