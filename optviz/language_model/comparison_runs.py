"""The runs of a comparison: each trained in a folder of its own, kept when it is finished, never made twice."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from optviz.language_model.checkpoints import canonical, has_checkpoint, write_whole
from optviz.language_model.curves import CURVES, VALIDATION, read_curves
from optviz.language_model.models import Model
from optviz.language_model.settings import TrainingSettings
from optviz.language_model.standings import Run, Series
from optviz.language_model.training import Progress, train

_UNFINISHED = "unfinished"
_POINTS = 200  # of a series along a run


class Paused(Exception):
    """The caller asked for a pause."""


class Trial(NamedTuple):
    """What a run is for."""

    label: str
    """The optimizer's."""
    stage: str
    """`tuning` or `judging`."""
    rate: float | None
    snapshots: bool = False
    """Whether the weights along the run are kept, at every save."""


class ComparisonProgress(NamedTuple):
    """What is known after a block of steps, or at the end of a run."""

    label: str
    """Of the optimizer."""
    stage: str
    """`tuning` or `judging`."""
    rate: float | None
    seed: int
    number: int
    """Of the run, counted from 1."""
    total: int
    """Number of runs."""
    training: Progress | None
    """None for a run that was found finished."""
    loss: float | None
    """The final validation loss of a run that is finished; infinite if it diverged."""


class Bench:
    """Makes runs, one after the other: they are timed, and one alone uses all cores."""

    def __init__(
        self,
        model: Model,
        folder: Path,
        total: int,
        on_progress: Callable[[ComparisonProgress], Any],
        should_pause: Callable[[], bool],
    ):
        self.model, self.folder, self.total, self.number = model, folder, total, 0
        self.on_progress, self.should_pause = on_progress, should_pause
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, trial: Trial, settings: TrainingSettings) -> Run:
        """The run with these settings, from its file if it was finished before.

        Raises:
          Paused: if the caller asked for it; what is done is kept.
        """
        self.number += 1
        path = self.folder / f"{self._name(trial, settings)}.json"
        if path.exists() and (not trial.snapshots or self.weights_file(trial, settings).exists()):
            run = read_run(path)
            self._tell(trial, settings, None, run.final_loss)
            return run
        run = self._made(trial, settings)
        write_whole(path, canonical(_as_json(run)))
        shutil.rmtree(self._scratch(trial, settings), ignore_errors=True)
        return run

    def weights_file(self, trial: Trial, settings: TrainingSettings) -> Path:
        """Where the weights along a run are: an array (T + 1, n), the initial ones first."""
        return self.folder / f"{self._name(trial, settings)}.npy"

    def _name(self, trial: Trial, settings: TrainingSettings) -> str:
        """A file's name that tells the run to people, and by its digest to be the same run to the program."""
        name = "".join(c if c.isalnum() else "-" for c in trial.label).strip("-")[:60]
        rate = "" if trial.rate is None else f"-rate{trial.rate:g}"
        length = f"-steps{settings.steps}-seed{settings.seed}"
        return f"{name}{rate}{length}-{self._trained(settings, Path()).identity[:12]}"

    def _scratch(self, trial: Trial, settings: TrainingSettings) -> Path:
        return self.folder / _UNFINISHED / self._name(trial, settings)

    def _trained(self, settings: TrainingSettings, folder: Path) -> Model:
        return Model(folder, {**self.model.config, "training": settings.as_json()})

    def _made(self, trial: Trial, settings: TrainingSettings) -> Run:
        folder = self._scratch(trial, settings)
        folder.mkdir(parents=True, exist_ok=True)
        for split in ("train", "validation"):
            _share(self.model.folder / f"{split}.npy", folder / f"{split}.npy")
        model, watch = self._trained(settings, folder), _Watch(self, trial, settings)
        if trial.snapshots:
            keep_weights(model)
        last = train(model, lambda told: watch.note(model, told), watch.should_pause)
        if last.event == "paused" and not watch.is_lost:
            raise Paused
        if trial.snapshots:
            _stack_weights(model, self.weights_file(trial, settings))
        run = _finished(model, trial, watch)
        self._tell(trial, settings, last, run.final_loss)
        return run

    def _tell(self, trial: Trial, settings: TrainingSettings, training: Progress | None, loss: float | None) -> None:
        where = (trial.label, trial.stage, trial.rate, settings.seed, self.number, self.total)
        self.on_progress(ComparisonProgress(*where, training, loss))


@dataclasses.dataclass
class _Watch:
    """Looks on while a run is trained: its speed, and whether it is lost."""

    bench: Bench
    trial: Trial
    settings: TrainingSettings
    seconds: list[float] = dataclasses.field(default_factory=list)
    is_lost: bool = False

    def note(self, model: Model, told: Progress) -> None:
        """After every block."""
        settings = self.settings
        tokens = settings.batch_size * settings.accumulation * model.transformer.context
        if told.tokens_per_second > 0:
            self.seconds.append(tokens / told.tokens_per_second)
        # From a loss that is no number no optimizer returns.
        self.is_lost = self.is_lost or math.isnan(told.loss)
        if self.trial.snapshots:
            keep_weights(model)
        if told.event not in ("finished", "stopped", "paused"):
            self.bench._tell(self.trial, settings, told, None)

    def should_pause(self) -> bool:
        return self.is_lost or self.bench.should_pause()


def keep_weights(model: Model) -> None:
    """Keep the weights of the checkpoint `last`, if they are due at its step; at first the initial ones."""
    settings = model.settings
    step = model.checkpoint("last", ()).facts["step"] if has_checkpoint(model.folder / "last") else 0
    path = model.folder / f"weights-{step:09}.npy"
    if path.exists() or (step % settings.save_every and step != settings.steps):
        return
    weights = model.weights("last") if step else model.transformer.init(jax.random.key(settings.seed))
    flat = np.asarray(ravel_pytree(weights)[0], np.float32)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, flat, allow_pickle=False)
    part.replace(path)


def _stack_weights(model: Model, path: Path) -> None:
    """Make one file of the weights kept along a run: a row for every point, NaN where it was lost."""
    settings = model.settings
    steps = [*range(0, settings.steps, settings.save_every), settings.steps]
    files = [model.folder / f"weights-{step:09}.npy" for step in steps]
    size = len(np.load(files[0]))
    rows = [np.load(file) if file.exists() else np.full(size, np.nan, np.float32) for file in files]
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, np.stack(rows), allow_pickle=False)
    part.replace(path)


def _finished(model: Model, trial: Trial, watch: _Watch) -> Run:
    """What is kept of a run that is over."""
    settings, steps = model.settings, read_curves(model.folder / CURVES)
    validation = read_curves(model.folder / VALIDATION)
    losses = dict(zip(validation["step"].astype(int).tolist(), validation["validation_loss"].tolist(), strict=True))
    due = [*range(0, settings.steps, settings.validate_every), settings.steps]
    known = [losses.get(step, math.inf) for step in due]
    seconds = float(np.median(watch.seconds)) if watch.seconds else validation["seconds"][-1] / settings.steps
    return Run(
        trial.rate,
        settings.seed,
        tuple(due),
        tuple(loss if math.isfinite(loss) else math.inf for loss in known),
        (math.nan, *(_mean(steps, *ends) for ends in itertools.pairwise(due))),
        float(seconds),
        _record(steps, validation) if trial.stage == "judging" else {},
    )


def _record(steps: dict[str, np.ndarray], validation: dict[str, np.ndarray]) -> dict[str, Series]:
    """What the pictures of the record show: of each column at most `_POINTS` means of neighbours."""
    tables = {"gradient_norm": steps, "update_to_weight": steps, "learning_rate": steps, "sharpness": validation}
    record = {}
    for name, table in tables.items():
        if len(table["step"]) and np.isfinite(table[name]).any():
            parts = np.array_split(np.arange(len(table["step"])), min(_POINTS, len(table["step"])))
            series = ([float(np.mean(column[part])) for part in parts] for column in (table["step"], table[name]))
            record[name] = Series(*map(tuple, series))
    return record


def _mean(columns: dict[str, np.ndarray], begin: int, end: int) -> float:
    """The mean loss of the batches of steps `begin` to `end`; NaN if none was taken."""
    losses = columns["loss"][(columns["step"] >= begin) & (columns["step"] < end)]
    return float(losses.mean()) if len(losses) else math.nan


def read_run(path: Path) -> Run:
    """A finished run from its file. ValueError if that is damaged."""
    try:
        told = json.loads(path.read_text("utf-8"))
        told["losses"] = tuple(math.inf if loss is None else float(loss) for loss in told["losses"])
        told["training_losses"] = _numbers(told["training_losses"])
        told["record"] = {name: Series(*map(_numbers, series)) for name, series in told["record"].items()}
        return Run(**{**told, "steps": tuple(told["steps"])})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(f"{path} is damaged: it is no finished run. Delete it to have it made again.") from None


def _numbers(told: list[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if x is None else float(x) for x in told)


def _as_json(run: Run) -> dict[str, Any]:
    """A run as JSON data, None for what is not finite."""

    def known(numbers: Sequence[float]) -> list[float | None]:
        return [x if math.isfinite(x) else None for x in numbers]

    record = {name: [known(numbers) for numbers in series] for name, series in run.record.items()}
    lists = {name: known(getattr(run, name)) for name in ("steps", "losses", "training_losses")}
    return {**run._asdict(), **lists, "record": record}


def _share(source: Path, target: Path) -> None:
    """Have a file at a second place, without a second copy where the system can do so."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
