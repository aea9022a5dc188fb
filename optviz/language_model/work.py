"""What can be asked of a worker: to train a model, to compare optimizers on it, to let it play, a verified game.

    job = ask("train", "mine", {}, models)

Each kind checks what is asked before it is queued, and later works on it. A job that is taken up again goes on from
what its kind has saved; what it told beyond that is forgotten, because it is told again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from optviz.arguments import parse_optimizer
from optviz.folders import scratch_folder
from optviz.language_model import diversity, jobs
from optviz.language_model.comparison import compare, with_steps
from optviz.language_model.comparison_plan import Plan
from optviz.language_model.comparison_runs import ComparisonProgress
from optviz.language_model.curves import summary_writer, told_divergence
from optviz.language_model.events import add_event, finite, keep_events, only_event
from optviz.language_model.jobs import Job
from optviz.language_model.models import Model, open_model
from optviz.language_model.reasoning.game import Options, play_game
from optviz.language_model.self_play import SAVE_EVERY, play_model
from optviz.language_model.settings import require_rates
from optviz.language_model.training import Progress, lengthen, longer, train
from surfaces.names import unknown_name

TENSORBOARD = "tensorboard"
"""The setting of training, and the folder in that of the model."""
STEPS = "steps"
"""The setting of training with the steps in all, if they shall be others than those of the model."""
MAX_ROUNDS = 20_000
"""Of a game, each of which tells some texts."""
_EVERY = 0.4  # seconds between two events of training, unless something happened
_AFTER_ALL_RUNS = 10**9
_SHOWN_TEXTS, _SHOWN_CHARACTERS = 3, 300


class Ending(NamedTuple):
    """How a sitting ended: finished, or left before."""

    status: str
    sentence: str = ""


class Desk:
    """Where a worker works on one job: it hears what is wished of it, and tells what it does."""

    def __init__(self, job: Job, models: str | Path | None, is_leaving: Callable[[], bool] = lambda: False):
        self.job, self.models, self._is_leaving = job, models, is_leaving
        self._file, self._has_told = jobs.events_file(job.id, models), False

    @property
    def model(self) -> Model:
        """The job's model."""
        return open_model(self.job.model, self.models)

    def wish(self) -> str:
        """`go`, `pause`, `stop`, or `leave` if the process is to end."""
        wish = jobs.read_job(self.job.id, self.models).wish
        return "leave" if wish == "go" and self._is_leaving() else wish

    def tell(self, event: Mapping[str, Any], alone: bool = False) -> None:
        """Append an event; `at` orders it among those of earlier sittings. Told `alone` it takes the place of all."""
        if not self._has_told and not alone:
            keep_events(self._file, lambda old: old["at"] < event["at"])
            self._has_told = True
        (only_event if alone else add_event)(self._file, event)
        if event.get("saved"):
            jobs.saved(self.job.id, self.models)


def ask(kind: str, model: str, settings: Mapping[str, Any], models: str | Path | None = None) -> Job:
    """Check what is asked, and queue it.

    Args:
      kind: `train`, `compare`, `diversity` or `verified`.
      model: its name; empty for `verified`, which has a model of its own.
      settings: for `train` the `steps` in all if they shall be others, and `tensorboard`, whether curves for it are
        written into the model's folder; for `compare` the fields of `comparison_plan.Plan`, and `steps`; for
        `diversity` the `optimizer` as text, `rounds`, `which` and the fields of `diversity.Settings`; for `verified`
        those of `Options`.

    Raises:
      ValueError, TypeError: if it cannot be done.
      ModuleNotFoundError: for TensorBoard's curves without tensorboardX.
    """
    if kind not in KINDS:
        raise ValueError(unknown_name("kind of job", kind, KINDS))
    KINDS[kind].check(model, settings, models)
    return jobs.submit(kind, model, settings, models)


def do(desk: Desk) -> Ending:
    """Work on a job until it is finished or shall be left."""
    return KINDS[desk.job.kind].do(desk)


def _check_train(model: str, settings: Mapping[str, Any], models: str | Path | None) -> None:
    opened = open_model(model, models)
    if unknown := set(settings) - {STEPS, TENSORBOARD}:
        raise ValueError(unknown_name("setting of a job that trains", unknown.pop(), (STEPS, TENSORBOARD)))
    if settings.get(TENSORBOARD):
        summary_writer()
    opened.require_text()
    if STEPS in settings:
        longer(opened, settings[STEPS])


def _train(desk: Desk) -> Ending:
    last_told = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal last_told
        if progress.event or progress.is_saved or time.monotonic() - last_told > _EVERY:
            desk.tell(_told(progress), alone=True)  # what was before stands in the curves
            last_told = time.monotonic()

    model, settings = desk.model, desk.job.settings
    model = lengthen(model, settings[STEPS]) if STEPS in settings else model
    tensorboard = model.folder / TENSORBOARD if settings.get(TENSORBOARD) else None
    last = train(model, on_progress, lambda: desk.wish() != "go", tensorboard)
    if last.event == "paused":
        return Ending("left")
    stopped = f"{last.reason[0].upper()}{last.reason[1:]}." if last.event == "stopped" else ""
    return Ending("finished", f"{stopped} {told_divergence(model.folder)}".strip())


def _told(progress: Progress) -> dict[str, Any]:
    numbers = progress._asdict()
    texts = {name: numbers.pop(name) for name in ("event", "reason")}
    steps = {name: numbers.pop(name) for name in ("step", "steps")}
    saved = {"saved": True} if numbers.pop("is_saved") else {}
    return {"at": [progress.step], **steps, **{k: finite(v) for k, v in numbers.items()}, **texts, **saved}


def _check_compare(model: str, settings: Mapping[str, Any], models: str | Path | None) -> None:
    opened = open_model(model, models)
    opened.require_text()
    _planned(opened, settings)


def _planned(model: Model, given: Mapping[str, Any]) -> tuple[Model, Plan]:
    """The model with as many steps as were asked for, and what is compared on it."""
    rest = dict(given)
    steps, optimizers = rest.pop("steps", None), rest.pop("optimizers", ())
    known = [field.name for field in dataclasses.fields(Plan)]
    for name in rest:
        if name not in known:
            raise ValueError(unknown_name("setting of a comparison", name, known))
    return model if steps is None else with_steps(model, steps), Plan(tuple(optimizers), **rest)


def _compare(desk: Desk) -> Ending:
    from optviz.language_model.comparison_report import answer, comparison_table, told_row

    model, plan = _planned(desk.model, desk.job.settings)
    out, last_told = comparison_folder(desk.job.id, desk.models), 0.0

    def on_progress(progress: ComparisonProgress) -> None:
        nonlocal last_told
        if progress.loss is not None or time.monotonic() - last_told > _EVERY:
            desk.tell(_told_of_run(progress))
            last_told = time.monotonic()

    found = compare(model, plan, out, on_progress, lambda: desk.wish() != "go")
    if found is None:
        return Ending("left")
    rows = [told_row(row) for row in comparison_table(found)]
    desk.tell({"at": [_AFTER_ALL_RUNS], "rows": rows, "answer": answer(found)})
    shutil.rmtree(out / "runs", ignore_errors=True)  # weights along every run; what came of them is written
    return Ending("finished")


def comparison_folder(job_id: str, models: str | Path | None = None) -> Path:
    """Where a comparison leaves its `RESULTS`."""
    return jobs.job_folder(job_id, models) / "comparison"


def _told_of_run(progress: ComparisonProgress) -> dict[str, Any]:
    training = progress.training
    steps = {} if training is None else {"step": training.step, "steps": training.steps}
    run = {name: getattr(progress, name) for name in ("label", "stage", "rate", "seed", "number", "total")}
    ended = {} if progress.loss is None else {"loss": finite(progress.loss), "saved": True}
    return {"at": [progress.number, steps.get("step", 0)], **run, **steps, **ended}


def _check_diversity(model: str, settings: Mapping[str, Any], models: str | Path | None) -> None:
    opened, asked = open_model(model, models), _asked(settings)
    opened.require_text()
    require_rates(parse_optimizer(asked.optimizer).hyperparameters)
    # Only how many there are matters to the check.
    asked.settings.check(opened.transformer, np.empty(opened.config["data"]["train"]["tokens"], np.int8))
    opened.checkpoint(asked.which, ())


class _Asked(NamedTuple):
    optimizer: str
    rounds: int
    which: str
    settings: diversity.Settings


def _asked(given: Mapping[str, Any]) -> _Asked:
    """The settings of a game for diversity, all but the optimizer with a default."""
    rest = {"optimizer": "adam:learning_rate=1e-4", "rounds": 200, "which": "best", **given}
    optimizer, rounds, which = (rest.pop(name) for name in ("optimizer", "rounds", "which"))
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds <= MAX_ROUNDS:
        raise ValueError(f"rounds must be a whole number from 1 to {MAX_ROUNDS}, got {rounds!r}.")
    known = [field.name for field in dataclasses.fields(diversity.Settings)]
    for name in rest:
        if name not in known:
            raise ValueError(unknown_name("setting of self-play", name, known))
    return _Asked(optimizer, rounds, which, diversity.Settings(**rest))


def _diversity(desk: Desk) -> Ending:
    asked, job = _asked(desk.job.settings), desk.job
    rounds = play_model(
        desk.model,
        parse_optimizer(asked.optimizer),
        asked.settings,
        which=asked.which,
        num_rounds=asked.rounds,
        game=f"{job.id} {job.created}",
    )
    return _followed(desk, map(_told_of_round, rounds), rounds)


def _told_of_round(played: diversity.Played) -> dict[str, Any]:
    return {
        "at": [played.number],
        "reward": finite(played.reward),
        "parts": {name: finite(value) for name, value in played.parts.items()},
        "divergence": finite(played.divergence),
        "validation_loss": finite(played.validation_loss),
        "texts": [text[:_SHOWN_CHARACTERS] for text in played.texts[:_SHOWN_TEXTS]],
        **({"saved": True} if (played.number + 1) % SAVE_EVERY == 0 else {}),
    }


def _check_verified(model: str, settings: Mapping[str, Any], models: str | Path | None) -> None:
    if model:
        raise ValueError("A verified game has a model of its own; leave the name out.")
    known = [field.name for field in dataclasses.fields(Options)]
    for name in settings:
        if name not in known:
            raise ValueError(unknown_name("setting of a verified game", name, known))
    Options(**settings)


def _verified(desk: Desk) -> Ending:
    options = Options(**desk.job.settings)
    if not game_folder(desk.job.id, desk.models).exists():
        _go_on_from_shorter(desk, options)
    events = play_game(game_folder(desk.job.id, desk.models), options)
    return _followed(desk, events, events)


def game_folder(job_id: str, models: str | Path | None = None) -> Path:
    """Where a verified game is kept."""
    return jobs.job_folder(job_id, models) / "game"


def _go_on_from_shorter(desk: Desk, options: Options) -> None:
    """Begin with a copy of the longest finished game that differs only in having fewer rounds, if there is one."""
    shorter = [(rounds, job.id) for job in jobs.list_jobs(desk.models) if (rounds := _rounds_before(job, options))]
    if not shorter:
        return
    other, own = max(shorter)[1], game_folder(desk.job.id, desk.models)
    shutil.copyfile(jobs.events_file(other, desk.models), jobs.events_file(desk.job.id, desk.models))
    with scratch_folder(own.parent) as scratch:
        shutil.copytree(game_folder(other, desk.models), scratch, dirs_exist_ok=True)
        scratch.rename(own)


def _rounds_before(job: Job, options: Options) -> int:
    """How many rounds of the game that `options` are for were played in a job; 0 if all, or if it was another game."""
    if (job.kind, job.status) == ("verified", "finished"):
        with contextlib.suppress(ValueError, TypeError):  # of another release
            played = Options(**job.settings)
            if played.rounds < options.rounds and played == dataclasses.replace(options, rounds=played.rounds):
                return played.rounds
    return 0


def _followed(desk: Desk, events: Iterator[Mapping[str, Any]], game: Any) -> Ending:
    """Tell events as they come, until they end or the job shall be left, which closes the game."""
    try:
        for event in events:
            desk.tell(event)
            if desk.wish() != "go":
                return Ending("left")
    finally:
        game.close()
    return Ending("finished")


class Kind(NamedTuple):
    """A kind of job: what may be asked, and how it is done."""

    check: Callable[[str, Mapping[str, Any], str | Path | None], None]
    do: Callable[[Desk], Ending]


KINDS = {
    "train": Kind(_check_train, _train),
    "compare": Kind(_check_compare, _compare),
    "diversity": Kind(_check_diversity, _diversity),
    "verified": Kind(_check_verified, _verified),
}
