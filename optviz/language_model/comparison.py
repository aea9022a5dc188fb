"""Optimizers compared on one language model: same book, initial weights and batches, rates found with equal effort.

    plan = Plan(("adamw:weight_decay=0.1", "lion", "muon"), budget=10, seeds=5)
    compare(open_model("mine"), plan, "comparison", on_progress=print)

Every run is a whole training run of the model's own settings, but for the optimizer. A run that is finished is kept, so
that a comparison that was killed or paused goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from optviz import folders
from optviz.language_model.checkpoints import canonical, write_whole
from optviz.language_model.comparison_plan import Plan, Rival, best_rate, next_rate
from optviz.language_model.comparison_runs import Bench, ComparisonProgress, Paused, Trial
from optviz.language_model.locks import locked
from optviz.language_model.models import Model
from optviz.language_model.settings import TrainingSettings
from optviz.language_model.standings import Run, Standing, default_target

FORMAT = "optviz-comparison/1"
PLAN = "comparison.json"
RESULTS = (
    "results.json",
    "table.csv",
    "curves.csv",
    "loss_curves.png",
    "diagnostics.png",
    "weight_paths.png",
    "report.md",
)
_MOST_NUMBERS = 100_000_000  # of all weights kept for the picture of the paths
_SNAPSHOTS = 20  # of a path, at most


class Comparison(NamedTuple):
    """A finished comparison."""

    model: Model
    plan: Plan
    standings: tuple[Standing, ...]
    """In the order of the plan."""
    target: float | None
    paths: dict[str, Path]
    """By label, the file with the weights along the first judging run: (T + 1, n), the start first."""
    path_steps: tuple[int, ...]
    """The numbers of steps of its rows."""


def compare(
    model: Model,
    plan: Plan,
    out: str | Path,
    on_progress: Callable[[ComparisonProgress], Any] = lambda progress: None,
    should_pause: Callable[[], bool] = lambda: False,
    *,
    overwrite: bool = False,
) -> Comparison | None:
    """Tune and judge every optimizer of a plan on a model's book, sizes and settings, and write what came of it.

    For every optimizer `plan.budget` learning rates are tried with the seed of the model's settings, on the range that
    the catalogue gives; the one with the lowest validation loss at the end is judged with the next `plan.seeds` seeds.
    With the same seed all optimizers have the same initial weights and the same batches. A run that diverges counts as
    an infinite loss. The model itself stays as it is.

    Args:
      model: from `create_model` or `open_model`, trained or not, with its text.
      plan: what to compare.
      out: a folder for `RESULTS` and the finished runs. One with the same comparison, unfinished, is gone on with.
      on_progress: called after every block of about a second, and for every finished run.
      should_pause: asked after every block; if it says yes, the comparison is left, to be gone on with later.
      overwrite: whether another comparison in `out` may be replaced; runs that both have are used again.

    Returns:
      The comparison; None if it was paused.

    Raises:
      ValueError: for a folder with something else in it, a model without its text, or if another process works in the
        folder.
      OSError: if the folder cannot be written.
    """
    from optviz.language_model.comparison_report import write_comparison

    out = Path(out)
    refuse_foreign(out)
    for split in ("train", "validation"):
        model.tokens(split)  # refused now if they are missing or altered
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        _claim(out / PLAN, _document(model, plan), overwrite)
        total = sum(plan.seeds + (plan.budget if rival.rate else 0) for rival in plan.rivals)
        bench = Bench(model, out / "runs", total, on_progress, should_pause)
        try:
            comparison = _compared(model, plan, bench)
        except Paused:
            return None
        write_comparison(comparison, out)
        return comparison


def with_steps(model: Model, steps: int) -> Model:
    """The model with another number of steps in its settings, and a warm-up in proportion."""
    settings = model.settings
    warm_up = round(settings.warmup_steps * steps / settings.steps)
    training = settings.replace(steps=steps, warmup_steps=warm_up).as_json()
    return dataclasses.replace(model, config={**model.config, "training": training})


def refuse_foreign(out: Path) -> None:
    """ValueError for a folder that holds something else than a comparison; one that is empty or absent is free."""
    folders.refuse_foreign(out, PLAN, "comparison", {"model"})


def _compared(model: Model, plan: Plan, bench: Bench) -> Comparison:
    base = _base(model.settings)
    every = _every(model, plan, base.steps)
    standings, paths = [], {}
    for rival in plan.rivals:
        tuning = _tuned(rival, plan, base, bench)
        tried = {run.rate: run.final_loss for run in tuning if run.rate is not None}
        rate = best_rate(tried) if tried else rival.given_rate
        runs = []
        for number in range(plan.seeds):
            trial = Trial(rival.label, "judging", rate, snapshots=number == 0)
            own = _judging(rival, rate, base, plan, base.seed + 1 + number, every)
            runs.append(bench.run(trial, own))
            if number == 0:
                paths[rival.label] = bench.weights_file(trial, own)
        standings.append(Standing(rival.label, rival.name, rival.hyperparameters, rate, tuple(tuning), tuple(runs)))
    target = default_target(standings) if plan.target is None else float(plan.target)
    steps = (*range(0, base.steps, every), base.steps)
    return Comparison(model, plan, tuple(standings), target, paths, steps)


def _tuned(rival: Rival, plan: Plan, base: TrainingSettings, bench: Bench) -> list[Run]:
    """The runs that look for the rate of one optimizer; none if there is nothing to look for."""
    steps = plan.tuning_steps or base.steps
    short = {"steps": steps, "warmup_steps": round(base.warmup_steps * steps / base.steps), "sharpness": False}
    runs: list[Run] = []
    while rival.rate is not None:
        assert rival.rate.low is not None and rival.rate.high is not None
        tried = {run.rate: run.final_loss for run in runs if run.rate is not None}
        rate = next_rate(tried, rival.rate.low, rival.rate.high, plan.budget)
        if rate is None:
            break
        trial = Trial(rival.label, "tuning", rate)
        own = rival.settings(base, rate, **short, validate_every=steps, save_every=max(1, steps // 4))
        runs.append(bench.run(trial, own))
    return runs


def _judging(
    rival: Rival, rate: float | None, base: TrainingSettings, plan: Plan, seed: int, every: int
) -> TrainingSettings:
    validate_every = -(-base.steps // plan.validations)
    return rival.settings(base, rate, seed=seed, validate_every=validate_every, save_every=every)


def _every(model: Model, plan: Plan, steps: int) -> int:
    """The steps between two points of a path, so many that all paths together are no burden."""
    shapes = jax.eval_shape(model.transformer.init, jax.random.key(0))
    size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) * len(plan.optimizers)
    return -(-steps // max(2, min(_SNAPSHOTS, _MOST_NUMBERS // size)))


def _base(settings: TrainingSettings) -> TrainingSettings:
    """The model's settings without what would end rivals at different steps."""
    return settings.replace(patience=0, obey_should_stop=False, log_every=1)


def _document(model: Model, plan: Plan) -> dict[str, Any]:
    """What makes a comparison this one: the plan, and all of the model but its name."""
    asked = {k: model.config[k] for k in ("model", "training", "data")}
    return json.loads(canonical({"format": FORMAT, "plan": plan.as_json(), **asked}))


def _claim(path: Path, document: dict[str, Any], overwrite: bool) -> None:
    """Make the folder that of this comparison, unless it is that of another one."""
    differing = _differing(_held(path), document)
    if path.exists() and differing and not overwrite:
        raise ValueError(
            f"{path.parent} holds a comparison with other settings ({differing}). Give another folder, or --overwrite: "
            "runs that both have are used again."
        )
    if differing:
        for name in RESULTS:
            (path.parent / name).unlink(missing_ok=True)
        write_whole(path, canonical(document))


def _held(path: Path) -> Any:
    """The document of the comparison that is there; None if there is none, or if it is damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _differing(held: Any, asked: Any, name: str = "") -> str:
    """The name of the first setting in which two documents differ; empty if they are alike."""
    if isinstance(held, dict) and isinstance(asked, dict):
        found = (_differing(held.get(k), asked.get(k), k) for k in sorted({*held, *asked}))
        return next(filter(None, found), "")
    return "" if held == asked else name or "format"
