"""The catalogue as the browser needs it: every list, range and default of the playground as JSON data."""

from __future__ import annotations

from typing import Any

from optviz.metrics import DEFAULT_TOLERANCE
from optviz.optimizers import OptimizerEntry
from optviz.optimizers.entry import Hyperparameter
from optviz.playground import compute, settings
from optviz.playground.presets import PRESETS
from optviz.playground.schedules import SCHEDULES
from optviz.playground.world import SurfaceEntry, World

PENALTIES = {"l1": "L1", "l2": "L2", "elastic": "elastic net", "decoupled": "decoupled decay"}
"""Short names of the penalties."""


def catalogue(world: World) -> dict[str, Any]:
    """All that may be chosen, with ranges, meanings, colours, limits and the comparison to begin with."""
    return {
        "surfaces": [_surface(entry, world) for entry in world.surfaces.values()],
        "optimizers": [_optimizer(entry) for entry in world.optimizers.values()],
        "schedules": [
            {"name": s.name, "parameters": [_hyperparameter(p) for p in s.parameters]} for s in SCHEDULES.values()
        ],
        "presets": [
            {
                "name": p.name,
                "title": p.title,
                "text": p.text,
                "settings": settings.to_json(settings.from_json(p.settings, world)),
            }
            for p in PRESETS
        ],
        "limits": {
            "num_steps": [1, settings.MAX_STEPS],
            "points": compute.MAX_POINTS,
            "optimizers": settings.MAX_OPTIMIZERS,
            "seed": [0, 2**32 - 1],
            "tolerance": DEFAULT_TOLERANCE,
        },
        "regularisation": list(settings.KINDS),
        "texts": {},
        "settings": settings.to_json(settings.from_json({}, world)),
    }


def _surface(entry: SurfaceEntry, world: World) -> dict[str, Any]:
    x0, x1, y0, y1 = entry.domain
    chosen = settings.from_json({"surface": entry.name}, world)
    return {
        "name": entry.name,
        "title": entry.title,
        "formula": entry.formula,
        "source": entry.source,
        "domain": [[x0, x1], [y0, y1]],
        "start": entry.start,
        "minima": compute.facts(chosen, world).minima,
        "residuals": entry.residuals,
        "coefficients": [vars(c) for c in entry.coefficients],
    }


def _optimizer(entry: OptimizerEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "color": colors([entry.name])[0],
        "needs": entry.needs,
        "well_known": entry.well_known,
        "hyperparameters": [_hyperparameter(h) for h in entry.hyperparameters],
    }


def _hyperparameter(h: Hyperparameter) -> dict[str, Any]:
    return {**vars(h), "choices": settings.choices(h) if h.scale == "choice" else None}


def colors(labels: list[str]) -> list[str]:
    """A colour for each label, as in all pictures."""
    from optviz.plotting import style

    return list(style.colours(labels).values())


def run_colors(chosen: settings.Settings) -> list[str]:
    """The colour of each optimizer of the settings: the one chosen, or that of its label."""
    usual = colors(labels(chosen))
    return [choice.color or color for choice, color in zip(chosen.optimizers, usual, strict=True)]


def title(chosen: settings.Settings, run: compute.Run) -> str:
    """What the screen calls a run: its optimizer's label, and for a regularised twin the penalty."""
    label = labels(chosen)[run.index]
    return f"{label} + {PENALTIES[chosen.regularisation.kind]}" if run.twin else label


def labels(chosen: settings.Settings) -> list[str]:
    """A name for each optimizer of the settings, with the numbers that differ where rivals share it."""
    plain = [choice.name for choice in chosen.optimizers]
    told = [
        name if plain.count(name) == 1 else _told_apart(choice, [c for c in chosen.optimizers if c.name == name])
        for name, choice in zip(plain, chosen.optimizers, strict=True)
    ]
    return [name if told.count(name) == 1 else f"{name} #{1 + told[:i].count(name)}" for i, name in enumerate(told)]


def _told_apart(choice: settings.Choice, rivals: list[settings.Choice]) -> str:
    mine = _numbers(choice)
    differing = [f"{k}={v}" for k, v in mine.items() if any(_numbers(other).get(k) != v for other in rivals)]
    return f"{choice.name} ({', '.join(differing)})" if differing else choice.name


def _numbers(choice: settings.Choice) -> dict[str, str]:
    values = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in choice.hyperparameters.items()}
    return {**values, "schedule": choice.schedule.name if choice.schedule else "none"}
