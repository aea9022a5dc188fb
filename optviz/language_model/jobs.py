"""The queue of long work on language models: jobs on disk, which worker processes take one after the other.

.jobs/000007/job.json      what is asked, where it stands, what is wished of it
.jobs/000007/events.jsonl  what it told while it went on, a JSON object a line
.jobs/queue.lock           held for the moment in which a `job.json` changes
.jobs/device-0.lock        held by the process that works on that device, for as long as it lives

The folder lies among the models; no model's name begins with a dot. Whoever can write there can ask and wish: pages,
scripts, any number of servers. Only the holder of a device's lock works, and the system takes the lock back from a
process that died, so that a job that is `running` without one is known to be orphaned, and queued again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from optviz.language_model.checkpoints import canonical, write_whole
from optviz.language_model.models import models_folder

FOLDER = ".jobs"
ACTIVE = ("queued", "running", "paused")
ENDED = ("stopped", "finished", "failed")
MAX_ACTIVE = 100
"""Jobs that wait, run or pause at a time."""
MAX_ENDED = 200
"""Jobs that have ended and are kept; the oldest go."""
MAX_ATTEMPTS = 3
"""How often a job may take its process with it, without having saved anything between, before it has failed."""
_ID = re.compile(r"\d{6,12}")
_LOOK = 0.05  # seconds between two tries for a lock


@dataclasses.dataclass(frozen=True)
class Job:
    """Something that is asked of a worker; every field is JSON data."""

    id: str
    kind: str
    model: str
    """The model's name; empty for a game that brings its own."""
    settings: Mapping[str, Any]
    status: str = "queued"
    """queued, running, paused, stopped (by a person), finished or failed."""
    wish: str = "go"
    """What the worker shall do with a running job: go, pause or stop."""
    place: int = 0
    """The queue is worked through from the smallest place on."""
    sentence: str = ""
    """How it ended."""
    attempts: int = 0
    """How often it was begun since it last saved something."""
    device: int = 0
    created: float = 0.0
    """Seconds since 1970, as all times here."""
    started: float | None = None
    ended: float | None = None

    @property
    def is_active(self) -> bool:
        """Whether it is still to be done."""
        return self.status in ACTIVE


def jobs_folder(models: str | Path | None = None) -> Path:
    """The folder of all jobs of a folder of models."""
    return models_folder(models) / FOLDER


def job_folder(job_id: str, models: str | Path | None = None) -> Path:
    """The folder of one job. ValueError for an id that is none."""
    if not isinstance(job_id, str) or not _ID.fullmatch(job_id):
        raise ValueError(f"A job is named by six digits or more, got {str(job_id)[:40]!r}.")
    return jobs_folder(models) / job_id


def submit(kind: str, model: str, settings: Mapping[str, Any], models: str | Path | None = None) -> Job:
    """Queue a job behind all others; see `work.ask`, which checks first what is asked.

    Raises:
      ValueError: if the model has a job of this kind already that is not ended, or the queue is full.
    """
    with _changing(models) as known:
        active = [job for job in known if job.is_active]
        if model and any((job.kind, job.model) == (kind, model) for job in active):
            raise ValueError(f"This is asked for {model!r} already, and waits, runs or pauses: stop that first.")
        if len(active) >= MAX_ACTIVE:
            raise ValueError(f"{MAX_ACTIVE} jobs wait already; stop some first.")
        number = max((int(job.id) for job in known), default=0) + 1
        job = Job(f"{number:06}", kind, model, dict(settings), place=_last_place(known) + 1, created=time.time())
        job_folder(job.id, models).mkdir()
        _write(job, models)
        for old in [job for job in known if not job.is_active][: -MAX_ENDED + 1]:
            shutil.rmtree(job_folder(old.id, models), ignore_errors=True)
    return job


def read_job(job_id: str, models: str | Path | None = None) -> Job:
    """The job of that id. ValueError if there is none."""
    try:
        return Job(**json.loads((job_folder(job_id, models) / "job.json").read_text(encoding="utf-8")))
    except (OSError, TypeError, RecursionError, json.JSONDecodeError):
        raise ValueError(f"There is no job {job_id}.") from None


def list_jobs(models: str | Path | None = None) -> list[Job]:
    """All jobs by id, ended ones too."""
    parent, found = jobs_folder(models), []
    for folder in sorted(parent.iterdir(), key=lambda f: (len(f.name), f.name)) if parent.is_dir() else []:
        if _ID.fullmatch(folder.name):
            with contextlib.suppress(ValueError):
                found.append(read_job(folder.name, models))
    return found


def in_order(jobs: list[Job]) -> list[Job]:
    """Those that run, then those that wait in the order in which they will be taken, then those that pause."""
    ranks = {"running": 0, "queued": 1, "paused": 2}
    return sorted((job for job in jobs if job.is_active), key=lambda job: (ranks[job.status], job.place))


def pause(job_id: str, models: str | Path | None = None) -> Job:
    """Let a job wait until `resume`: at once if it is queued, else as soon as its worker has saved it."""
    return _wished(job_id, "pause", "paused", models)


def stop(job_id: str, models: str | Path | None = None) -> Job:
    """End a job; what it has saved stays."""
    return _wished(job_id, "stop", "stopped", models)


def stop_waiting(model: str, models: str | Path | None = None) -> None:
    """Stop what waits or pauses for a model, which is to be deleted. ValueError if something is being done to it."""
    own = [job for job in list_jobs(models) if job.is_active and job.model == model]
    if any(job.status == "running" for job in own):
        raise ValueError(f"Something is being done to {model}: wait for it, or stop it on the page of the model.")
    for job in own:
        stop(job.id, models)


def resume(job_id: str, models: str | Path | None = None) -> Job:
    """Queue a paused job again, behind the others; one that is about to pause goes on.

    Raises:
      ValueError: for a job that is not paused.
    """

    def resumed(job: Job, known: list[Job]) -> Job:
        if job.status == "running":
            return dataclasses.replace(job, wish="go")
        if job.status != "paused":
            raise ValueError(f"Job {job.id} is {job.status}: only a paused one goes on.")
        return dataclasses.replace(job, status="queued", wish="go", attempts=0, place=_last_place(known) + 1)

    return change(job_id, resumed, models)


def _wished(job_id: str, wish: str, status: str, models: str | Path | None) -> Job:
    def wished(job: Job, known: list[Job]) -> Job:
        if not job.is_active:
            raise ValueError(f"Job {job.id} is {job.status} already.")
        if job.status == "running":
            return dataclasses.replace(job, wish=wish)
        return _at(job, status, "")

    return change(job_id, wished, models)


def take(device: int, models: str | Path | None = None) -> Job | None:
    """The next job of the queue, now running on `device`; None if none waits. For the holder of the device's lock."""
    with _changing(models) as known:
        busy = {job.model for job in known if job.status == "running"} - {""}
        for job in in_order(known):
            if job.status != "queued" or job.model in busy:
                continue
            if job.attempts >= MAX_ATTEMPTS:
                _write(_at(job, "failed", _DIED), models)
                continue
            started = job.started or time.time()
            job = dataclasses.replace(
                job, status="running", wish="go", attempts=job.attempts + 1, device=device, started=started
            )
            _write(job, models)
            return job
    return None


_DIED = (
    f"Its process ended {MAX_ATTEMPTS} times without a word; most often the memory was too small. "
    "Take a smaller model or a smaller batch."
)


def settle(job_id: str, status: str, sentence: str = "", models: str | Path | None = None) -> Job:
    """Say how a sitting ended; `left` means where its last wish says. Queued again, a job keeps its place."""

    def settled(job: Job, known: list[Job]) -> Job:
        # To be left is not to die: that it was begun does not count against it.
        return dataclasses.replace(_at(job, _LEFT[job.wish] if status == "left" else status, sentence), attempts=0)

    return change(job_id, settled, models)


_LEFT = {"go": "queued", "pause": "paused", "stop": "stopped"}


def saved(job_id: str, models: str | Path | None = None) -> Job:
    """Note that a job got on: if its process dies now, that is no reason to give it up."""
    return change(job_id, lambda job, known: dataclasses.replace(job, attempts=0), models)


def adopt_orphans(device: int, models: str | Path | None = None) -> None:
    """Queue again, or settle as was wished, what runs in no process. For the holder of the lock of `device`."""
    for job in list_jobs(models):
        if job.status == "running" and (job.device == device or not is_held(device_lock(job.device, models))):
            change(job.id, lambda orphan, known: _at(orphan, _LEFT[orphan.wish], ""), models)


def events_file(job_id: str, models: str | Path | None = None) -> Path:
    """The file of what a job told, for `events`."""
    return job_folder(job_id, models) / "events.jsonl"


def change(job_id: str, how: Callable[[Job, list[Job]], Job], models: str | Path | None = None) -> Job:
    """Put `how(job, all jobs)` in a job's place, while no one else changes any."""
    job_folder(job_id, models)  # refuses what is no id
    with _changing(models) as known:
        job = how(read_job(job_id, models), known)
        _write(job, models)
    return job


def device_lock(device: int, models: str | Path | None = None) -> Path:
    """The file whose lock the process that works on `device` holds."""
    return jobs_folder(models) / f"device-{device}.lock"


@contextlib.contextmanager
def held(path: Path, seconds: float = 0.0) -> Iterator[bool]:
    """Whether the lock of a file was got within so many seconds; it goes with the block or with the process.

    Raises:
      ValueError: on a system without such locks.
    """
    fcntl = _fcntl()
    with path.open("a") as file:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    yield False
                    return
                time.sleep(_LOOK)
        yield True


def is_held(path: Path) -> bool:
    """Whether any process holds the lock of a file just now."""
    if not path.exists():
        return False
    with held(path) as got:
        return not got


def _fcntl() -> Any:
    try:
        import fcntl
    except ModuleNotFoundError:
        raise ValueError("The queue needs file locks, which this system lacks: train with optviz lm train.") from None
    return fcntl


@contextlib.contextmanager
def _changing(models: str | Path | None) -> Iterator[list[Job]]:
    """All jobs, which no one else changes within the block."""
    folder = jobs_folder(models)
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / "queue.lock", 30.0) as got:
        if not got:
            raise ValueError(f"Another process holds {folder / 'queue.lock'} for too long.")
        yield list_jobs(models)


def _at(job: Job, status: str, sentence: str) -> Job:
    ended = time.time() if status in ENDED else None
    return dataclasses.replace(job, status=status, sentence=sentence, wish="go", ended=ended)


def _last_place(known: list[Job]) -> int:
    return max((job.place for job in known), default=0)


def _write(job: Job, models: str | Path | None) -> None:
    write_whole(job_folder(job.id, models) / "job.json", canonical(dataclasses.asdict(job)))
