"""A process that works through the queue of jobs, one at a time, and ends when nothing waits.

    python -m optviz.language_model.worker --models FOLDER

One process works on a device; another that is started ends at once. A request to end (SIGTERM, Ctrl-C) saves the job
and leaves it at the head of the queue. Killed outright, a job is queued again by the next worker and goes on from its
checkpoint.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import jax
import typer

from optviz.language_model import jobs, work
from optviz.language_model.checkpoints import write_whole
from optviz.language_model.models import models_folder
from optviz.terminal import interruptible, needing, one_sentence, prepare

_PATIENCE = 3.0  # seconds in which whoever only looks at a lock lets go of it
NICENESS = 5
"""Below the pages, which have to answer at once."""
_DEVICES = "devices"
_REFUSALS = (ValueError, TypeError, OSError, OverflowError, MemoryError, jax.errors.JaxRuntimeError)


def main(
    models: Annotated[Path | None, typer.Option(help="The folder of models.", envvar="OPTVIZ_MODELS")] = None,
    device: Annotated[int, typer.Option(min=0, help="Which of the accelerators, or 0 for the processor.")] = 0,
) -> None:
    """Work through the queue of jobs until it is empty."""
    with one_sentence(), interruptible() as is_asked:
        folder = jobs.jobs_folder(models)
        folder.mkdir(parents=True, exist_ok=True)
        lock = jobs.device_lock(device, models)
        with jobs.held(lock, _PATIENCE) as got:
            if got:
                lock.write_text(str(os.getpid()))  # for people
                _prepare_device(device, folder)
                work_through(models, device, is_asked)


def work_through(models: str | Path | None, device: int = 0, is_leaving: Callable[[], bool] = lambda: False) -> None:
    """Do every job that waits; the lock of the device must be held."""
    jobs.adopt_orphans(device, models)
    while not is_leaving() and (job := jobs.take(device, models)):
        with contextlib.suppress(ValueError):  # a job whose folder was deleted meanwhile
            jobs.settle(job.id, *_ending(work.Desk(job, models, is_leaving)), models)


def _ending(desk: work.Desk) -> work.Ending:
    """How a job ended; a fault of its own ends the job, not the worker."""
    try:
        with needing("lm"):
            return work.do(desk)
    except _REFUSALS as error:
        return work.Ending("failed", str(error) or type(error).__name__)
    except Exception as error:
        traceback.print_exc()
        return work.Ending("failed", f"It ended by a fault of the program: {type(error).__name__}: {error}")


def _prepare_device(device: int, folder: Path) -> None:
    prepare()
    os.nice(NICENESS)
    devices = jax.local_devices()
    if device >= len(devices):
        raise ValueError(f"There are {len(devices)} devices, none has the number {device}.")
    jax.config.update("jax_default_device", devices[device])
    write_whole(folder / _DEVICES, str(len(devices)).encode())


def num_devices(models: str | Path | None = None) -> int:
    """How many devices this machine has, as the last worker found; 1 before there was one."""
    with contextlib.suppress(OSError, ValueError):
        return max(1, int((jobs.jobs_folder(models) / _DEVICES).read_text()))
    return 1


def is_needed(device: int, models: str | Path | None = None) -> bool:
    """Whether something waits, or was left behind by a process that died, and no one works on the device."""
    active = [job for job in jobs.list_jobs(models) if job.status in ("queued", "running")]
    if not any(job.status == "queued" or job.device == device for job in active):
        return False
    return not jobs.is_held(jobs.device_lock(device, models))


def start(models: str | Path | None = None, device: int = 0) -> subprocess.Popen[bytes]:
    """A worker in a process of its own, which outlives this one; what it prints is in `.jobs/worker-N.log`."""
    folder = jobs.jobs_folder(models)
    folder.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, "-P", "-m", "optviz.language_model.worker"]
    options = ["--models", str(models_folder(models).resolve()), "--device", str(device)]
    # It must run the same code, wherever that was imported from.
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    with (folder / f"worker-{device}.log").open("wb") as log:
        return subprocess.Popen(
            [*program, *options],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


if __name__ == "__main__":
    typer.run(main)
