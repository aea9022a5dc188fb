"""`Settings`: the whole state of a picture of the playground as one immutable value, and as JSON."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from optviz.optimizers import OptimizerEntry
from optviz.optimizers.entry import Hyperparameter, learning_rate_of
from optviz.playground import formula as formulas
from optviz.playground import reading
from optviz.playground.errors import BadSettings as BadSettings
from optviz.playground.errors import Sentence, either
from optviz.playground.presets import DEFAULT
from optviz.playground.reading import view as view
from optviz.playground.reading import whole as whole
from optviz.playground.schedules import SCHEDULES
from optviz.playground.world import FORMULA, Box, World, catalogue
from surfaces.names import nearest

MAX_STEPS = 100_000
MAX_OPTIMIZERS = 32
MAX_TEXT = 200_000
"""Characters of JSON."""
DEFAULT_NAMES = tuple(choice["name"] for choice in DEFAULT.settings["optimizers"])
KINDS = ("none", "l1", "l2", "elastic", "decoupled")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How the learning rate goes on from its value: a name among `schedules.SCHEDULES`, and its numbers."""

    name: str
    parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One optimizer of the comparison; hyperparameters left out have the catalogue's defaults."""

    name: str
    hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    schedule: Schedule | None = None
    on: bool = True
    color: str | None = None


@dataclasses.dataclass(frozen=True)
class Regularisation:
    """A penalty on the parameters: `strength` times |p|, |p|^2 / 2, or `ratio` of the first and the rest the second."""

    kind: str = "none"
    strength: float = 0.1
    ratio: float = 0.5
    twins: bool = True
    """Whether each optimizer runs without it as well."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that a picture depends on. Equal settings give the same bytes of paths; `shown` changes none."""

    surface: str = "rosenbrock"
    coefficients: Mapping[str, float] = dataclasses.field(default_factory=dict)
    formula: str | None = None
    start: tuple[float, float] = (-2.0, 2.0)
    num_steps: int = 300
    noise: float = 0.0
    """Standard deviation of each entry of the gradient."""
    seed: int = 0
    optimizers: tuple[Choice, ...] = ()
    regularisation: Regularisation = Regularisation()
    view: Box | None = None
    shown: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def from_json(data: Any, world: World | None = None) -> Settings:
    """Settings from JSON text or data, everything left out filled in; from the first preset if no surface is named.

    Raises:
      BadSettings: with the field, for what is unknown, of the wrong kind, or out of its limits.
    """
    world = world or catalogue()
    data = reading.named(_parsed(data), "settings", _fields(Settings), Sentence("setting"))
    if not {"surface", "formula"} & data.keys():
        data = {**_first(world), **data}
    formula = _formula(data.get("formula"))
    surface = FORMULA if formula is not None else _surface_name(data, world)
    coefficients = {} if formula is not None else _coefficients(data.get("coefficients"), world, surface)
    chosen = data.get("optimizers")
    return Settings(
        surface,
        coefficients,
        formula,
        _start(data.get("start"), world, surface),
        reading.whole(data.get("num_steps", 300), "num_steps", 1, MAX_STEPS),
        reading.number(data.get("noise", 0.0), "noise", 0.0, reading.FAR),
        reading.whole(data.get("seed", 0), "seed", 0, 2**32 - 1),
        _choices(DEFAULT_NAMES if chosen is None else chosen, world),
        _regularisation(data.get("regularisation")),
        None if data.get("view") is None else reading.view(data["view"]),
        _shown(data.get("shown")),
    )


def to_json(settings: Settings) -> dict[str, Any]:
    """Settings as JSON data, from which `from_json` makes them again."""
    return _listed(settings)


def choices(h: Hyperparameter) -> list[Any]:
    """What a hyperparameter that is no number may be; names stand in quotes in its meaning."""
    if isinstance(h.default, bool):
        return [False, True]
    return list(dict.fromkeys([h.default, *re.findall(r"'([^']+)'", h.meaning)]))


def _fields(kind: type) -> list[str]:
    return [f.name for f in dataclasses.fields(kind)]


def _parsed(data: Any) -> Any:
    if not isinstance(data, str | bytes):
        return data
    if len(data) > MAX_TEXT:
        raise BadSettings(
            "Settings are at most {most} characters of JSON, got {count}.", most=MAX_TEXT, count=len(data)
        )
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadSettings("Settings are JSON; this is not: {why}.", why=reading.fault(error)) from error


def _first(world: World) -> Mapping[str, Any]:
    """What is seen first: the first preset, or the first surface of a world of one's own."""
    return {"surface": next(iter(world.surfaces))} if world.tag else DEFAULT.settings


def _surface_name(data: Mapping[str, Any], world: World) -> str:
    name = data.get("surface", _first(world)["surface"])
    if name == FORMULA:
        raise BadSettings("The surface 'formula' needs a formula, such as (1-x)**2 + 100*(y-x**2)**2.", "formula")
    return reading.one_of(name, world.surfaces, Sentence("surface"), "surface")


def _formula(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadSettings("formula is text, got {value}.", "formula", value=reading.short(value))
    formulas.parse(value)
    return value


def _coefficients(data: Any, world: World, surface: str) -> dict[str, float]:
    known = {c.name: c for c in world.surfaces[surface].coefficients}
    data = reading.named(data, "coefficients", known, Sentence("coefficient of {name}", name=surface))
    return {
        name: reading.number(data.get(name, c.default), f"coefficients.{name}", c.low, c.high)
        for name, c in known.items()
    }


def _choices(data: Any, world: World) -> tuple[Choice, ...]:
    if not isinstance(data, list | tuple) or len(data) > MAX_OPTIMIZERS:
        told = {"most": MAX_OPTIMIZERS, "value": reading.short(data)}
        raise BadSettings("optimizers is a list of at most {most}, got {value}.", "optimizers", **told)
    return tuple(_choice(choice, f"optimizers[{i}]", world) for i, choice in enumerate(data))


def _choice(data: Any, where: str, world: World) -> Choice:
    data = {"name": data} if isinstance(data, str) else data
    data = reading.mapping(data, where)
    name = reading.one_of(data.get("name"), world.optimizers, Sentence("optimizer"), f"{where}.name")
    entry = world.optimizers[name]
    known = [h.name for h in entry.hyperparameters]
    _require_place(data, where, known)
    data = reading.named(data, where, _fields(Choice), Sentence("setting of an optimizer"))
    kind = Sentence("hyperparameter of {name}", name=name)
    given = reading.named(data.get("hyperparameters"), f"{where}.hyperparameters", known, kind)
    values = {h.name: _value(h, given.get(h.name, h.default), entry, where) for h in entry.hyperparameters}
    return Choice(
        entry.name,
        values,
        _schedule(data.get("schedule"), entry, values, where),
        reading.flag(data.get("on", True), f"{where}.on"),
        reading.color(data.get("color"), f"{where}.color"),
    )


def _require_place(data: Mapping[str, Any], where: str, known: list[str]) -> None:
    """Refuse a hyperparameter that stands beside the `hyperparameters`."""
    for given in data.keys() - set(_fields(Choice)):
        like_a_field = difflib.get_close_matches(given, _fields(Choice), cutoff=0.7)
        if not like_a_field and (near := nearest(given, known)):
            value = data[given] if isinstance(data[given], int | float | str) else 0.1
            right = f'"hyperparameters": {json.dumps({near[0]: value})}'
            told = {"name": given[:60], "right": right}
            raise BadSettings("{name} belongs among the hyperparameters: {right}.", f"{where}.{given[:40]}", **told)


def _value(h: Hyperparameter, value: Any, entry: OptimizerEntry, where: str) -> Any:
    where = f"{where}.hyperparameters.{h.name}"
    if value is None and h.default is None:
        return None
    if h.scale == "choice":
        if not any(value == choice and type(value) is type(choice) for choice in choices(h)):
            known = either(json.dumps(choice) for choice in choices(h))
            told = {"name": f"{entry.name}: {h.name}", "known": known, "value": reading.short(value)}
            raise BadSettings("{name} is {known}, got {value}.", where, **told)
        return value
    return _in_range(h, value, where, f"{entry.name}: {h.name}")


def _in_range(h: Hyperparameter, value: Any, where: str, name: str = "") -> float | int:
    """A number in the range of its slider; a default outside it counts as part of it."""
    ends = [end for end in (h.low, h.high, h.default) if end is not None]
    check = reading.whole if h.integer else reading.number
    return check(value, where, min(ends), max(ends), name)


def _schedule(data: Any, entry: OptimizerEntry, values: Mapping[str, Any], where: str) -> Schedule | None:
    if data is None:
        return None
    where = f"{where}.schedule"
    if learning_rate_of(values) is None:
        raise BadSettings("{name} finds its own learning rate: it takes no schedule.", where, name=entry.name)
    data = {"name": data} if isinstance(data, str) else data
    data = reading.named(data, where, _fields(Schedule), Sentence("setting of a schedule"))
    chosen = SCHEDULES[reading.one_of(data.get("name"), SCHEDULES, Sentence("schedule"), f"{where}.name")]
    known = [p.name for p in chosen.parameters]
    kind = Sentence("parameter of {name}", name=chosen.name)
    given = reading.named(data.get("parameters"), f"{where}.parameters", known, kind)
    numbers = {
        p.name: _in_range(p, given.get(p.name, p.default), f"{where}.parameters.{p.name}") for p in chosen.parameters
    }
    return Schedule(chosen.name, numbers)


def _regularisation(data: Any) -> Regularisation:
    where = "regularisation"
    data = reading.named(data, where, _fields(Regularisation), Sentence("setting of the regularisation"))
    kind = data.get("kind", "none")
    if kind not in KINDS:
        told = {"name": f"{where}.kind", "known": ", ".join(KINDS), "value": reading.short(kind)}
        raise BadSettings("{name} is one of {known}, got {value}.", f"{where}.kind", **told)
    return Regularisation(
        kind,
        reading.number(data.get("strength", 0.1), f"{where}.strength", 0.0, 1e3),
        reading.number(data.get("ratio", 0.5), f"{where}.ratio", 0.0, 1.0),
        reading.flag(data.get("twins", True), f"{where}.twins"),
    )


def _shown(data: Any) -> dict[str, Any]:
    data = reading.mapping(data, "shown")
    try:
        text = json.dumps(data, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadSettings("shown is plain JSON data, of finite numbers and not nested too deeply.", "shown") from error
    if len(text) > 4000:
        raise BadSettings("shown is at most 4000 characters of JSON, got {count}.", "shown", count=len(text))
    return data


def _start(value: Any, world: World, surface: str) -> tuple[float, float]:
    if value is None:
        return formulas.START if surface == FORMULA else world.surfaces[surface].start
    x, y = reading.numbers(value, "start", 2)
    return x, y


def _listed(data: Any) -> Any:
    if dataclasses.is_dataclass(data):
        return {name: _listed(value) for name, value in vars(data).items()}
    if isinstance(data, Mapping):
        return {key: _listed(value) for key, value in data.items()}
    return [_listed(value) for value in data] if isinstance(data, list | tuple) else data
