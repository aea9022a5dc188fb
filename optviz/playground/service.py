"""`answer(kind, request)`: the one entry, for widget and app. Data in, bytes out; what is cached never shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from optviz.playground import at_step, compute, listing, reading, settings, table, tuning, wire
from optviz.playground.errors import BadSettings, Sentence
from optviz.playground.settings import Settings
from optviz.playground.world import World, catalogue
from surfaces.contours import suitable_levels

MAX_SIDE = 512
"""Points along a side of a landscape."""


Say = Callable[[BadSettings], str]
"""How an error is worded."""


def answer(kind: Any, request: Any, world: World | None = None, say: Say = str) -> bytes:
    """The message for a request, as `wire.pack` writes it; for one that cannot be meant `{"error", "where"}`.

    Args:
      kind: `catalogue`, `paths`, `landscape`, `step`, `tune`, or `prepare`, which compiles what the settings will
        need when noise is turned on, and answers nothing.
      request: JSON data, by the names that each kind takes.
      world: what may be named; the catalogues if None. The notebook puts a surface of its own in.
      say: the sentence of an error, in English if not given.
    """
    try:
        if not isinstance(kind, str) or kind not in _KINDS:
            told = {"name": Sentence("A request"), "known": ", ".join(_KINDS), "value": reading.short(kind)}
            raise BadSettings("{name} is one of {known}, got {value}.", "kind", **told)
        if not isinstance(request, Mapping):
            raise BadSettings("A request is an object with names.", "request")
        return _KINDS[kind](request, world or catalogue(), say)
    except BadSettings as error:
        return wire.pack({"error": say(error), "where": error.where})


def _catalogue(request: Mapping[str, Any], world: World, say: Say) -> bytes:
    return wire.pack(listing.catalogue(world))


def _paths(request: Mapping[str, Any], world: World, say: Say) -> bytes:
    chosen = settings.from_json(request.get("settings"), world)
    have = request.get("have") or ()
    if not isinstance(have, list | tuple):
        raise BadSettings("have is a list of the hashes of paths.", "have")
    chosen_runs = compute.runs(chosen, world)
    found = compute.paths(chosen, world, chosen_runs)
    told = _told(chosen, chosen_runs, found, world, say)
    arrays = {
        f"path{i}": path.points
        for i, (run, path) in enumerate(zip(chosen_runs, found, strict=True))
        if isinstance(path, compute.Path) and run.hash not in have
    }
    minimum = compute.facts(chosen, world).minimum
    best = table.best([path["metrics"] for path in told], minimum)
    return wire.pack({"settings": settings.to_json(chosen), "paths": told, "best": best}, arrays)


def _told(
    chosen: Settings, runs: Sequence[compute.Run], paths: Sequence[Any], world: World, say: Say
) -> list[dict[str, Any]]:
    """What is said of each path beside its points."""
    known, names = compute.facts(chosen, world), listing.labels(chosen)
    colors = listing.run_colors(chosen)
    return [
        {
            "name": run.choice.name,
            "label": names[run.index],
            "color": colors[run.index],
            "optimizer": run.index,
            "twin": run.twin,
            "regularised": run.regularised,
            "hash": run.hash,
            "every": compute.every(chosen.num_steps),
            "num_steps": chosen.num_steps,
            **table.verdict(path, known, run.regularised, say),
        }
        for run, path in zip(runs, paths, strict=True)
    ]


def _landscape(request: Mapping[str, Any], world: World, say: Say) -> bytes:
    chosen = settings.from_json(request.get("settings"), world)
    window = settings.view(request.get("view") or chosen.view or compute.domain(chosen, world))
    width, height = (settings.whole(request.get(side, 200), side, 2, MAX_SIDE) for side in ("width", "height"))
    values, known = compute.landscape(chosen, window, width, height, world), compute.facts(chosen, world)
    finite = values[np.isfinite(values)]
    header = {
        "view": window,
        "minima": known.minima,
        "minimum": known.minimum,
        "low": finite.min() if finite.size else None,
        "high": finite.max() if finite.size else None,
        "log": bool(finite.size) and suitable_levels(values.astype(float), known.minimum).log,
    }
    return wire.pack(header, {"values": values})


def _step(request: Mapping[str, Any], world: World, say: Say) -> bytes:
    chosen = settings.from_json(request.get("settings"), world)
    index = settings.whole(request.get("optimizer"), "optimizer", 0, len(chosen.optimizers) - 1)
    step = settings.whole(request.get("step"), "step", 0, chosen.num_steps)
    found = [run for run in compute.runs(chosen, world) if run.index == index]
    if not found:
        raise BadSettings("Optimizer {index} is switched off: it has no step to look at.", "optimizer", index=index)
    run = found[-1 if request.get("twin") else 0]
    return wire.pack({"optimizer": index, "twin": run.twin, **at_step.at_step(chosen, run, step, world)})


def _tune(request: Mapping[str, Any], world: World, say: Say) -> bytes:
    chosen = settings.from_json(request.get("settings"), world)
    budget = settings.whole(request.get("budget", tuning.BUDGET), "budget", 2, tuning.MAX_BUDGET)
    return wire.pack(tuned(chosen, tuning.tune(chosen, budget, world), budget, world))


def tuned(chosen: Settings, found: Sequence[tuning.Tuned], budget: int, world: World | None = None) -> dict[str, Any]:
    """The answer to `tune` as JSON data: what was found, and the settings with it."""
    names = listing.labels(chosen)
    return {
        "rates": {names[t.index]: t.rate for t in found},
        "losses": {names[t.index]: t.loss for t in found},
        "budget": budget,
        "settings": settings.to_json(tuning.with_rates(chosen, list(found), world)),
    }


def _prepare(request: Mapping[str, Any], world: World, say: Say) -> bytes:
    chosen = settings.from_json(request.get("settings"), world)
    compute.prepare(chosen, world)
    return wire.pack({})


_KINDS: dict[str, Callable[[Mapping[str, Any], World, Say], bytes]] = {
    "catalogue": _catalogue,
    "paths": _paths,
    "landscape": _landscape,
    "step": _step,
    "tune": _tune,
    "prepare": _prepare,
}
