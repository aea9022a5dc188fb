"""The language models that the pages show: their folder, who works for it, and what is done beside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optviz.app.uploads import Files, NoRoom
from optviz.app.work import Process, Workers
from optviz.language_model import jobs, worker
from optviz.language_model.models import models_folder

NEEDED = ("tokenizers", "safetensors", "charset_normalizer")
"""What the extra `lm` brings."""
REFUSALS = (ValueError, TypeError, OSError, OverflowError, RuntimeError, MemoryError, ModuleNotFoundError, NoRoom)
"""What is told a visitor as a sentence: bad input, no room, a damaged file, a process that died."""
_LOOK = 1.0
"""Seconds between two looks whether a worker is needed."""
_LONGEST_WAIT = 300.0
"""Seconds between two starts of a worker that fails each time."""


def is_installed() -> bool:
    """Whether the extra `lm` is there."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


class Library:
    """A folder of models with everything that the pages need for it. One for an app."""

    def __init__(self, workers: Workers, models: str | Path | None = None):
        self.workers, self.models = workers, models_folder(models)
        self.uploads = Files(self.models / ".uploads")
        self.downloads = Files(self.models / ".downloads")
        self._starters: dict[int, _Starter] = {}
        died = "The process that does this ended; its memory may have been too small."
        self._chores = Process(_prepare_process, died)
        self._turn = asyncio.Semaphore(1)

    async def chore(self, do: Callable[..., Any], *args: Any) -> Any:
        """The result of `do(*args)` in a process of its own: reading books, making, packing and judging models.

        Both must be picklable. One at a time; whatever else the server does goes on meanwhile.
        """
        async with self._turn:
            return await self._chores.run(do, *args)

    def employ(self) -> None:
        """Start a worker for each device that needs one and has none."""
        if not is_installed():
            return
        for starter in self._starters.values():
            starter.is_running()  # one that has ended is taken off the system's list
        for device in range(worker.num_devices(self.models)):
            if worker.is_needed(device, self.models):
                self._starters.setdefault(device, _Starter(self.models, device)).start()

    def trouble(self) -> str:
        """The last words of a worker that failed to start; empty if none did."""
        for device, starter in self._starters.items():
            if starter.has_failed():
                log = jobs.jobs_folder(self.models) / f"worker-{device}.log"
                lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
                return lines[-1][:300] if lines else "The worker ended without a word."
        return ""

    async def watch(self) -> None:
        """Employ workers for as long as the app runs; those that it employed go on after it."""
        while True:
            with contextlib.suppress(ValueError, OSError):  # a full disk, or no file locks: the pages tell
                await asyncio.to_thread(self.employ)
            await asyncio.sleep(_LOOK)

    def close(self) -> None:
        """End the process for chores; workers go on."""
        self._chores.end()


class _Starter:
    """Starts the worker of one device, ever more rarely if it fails."""

    def __init__(self, models: Path, device: int):
        self.models, self.device = models, device
        self.process: subprocess.Popen[bytes] | None = None
        self.started, self.wait = 0.0, 0.0

    def is_running(self) -> bool:
        """Whether the process that was started last goes on."""
        return self.process is not None and self.process.poll() is None

    def has_failed(self) -> bool:
        """Whether the last process ended with a fault of its own; one that was killed did not."""
        return self.process is not None and (self.process.poll() or 0) > 0

    def start(self) -> None:
        """Start a process, unless there is one, or the last one failed just now."""
        if self.process is not None:
            code, age = self.process.poll(), time.monotonic() - self.started
            if code is None or (code and age < self.wait):  # it has not got its lock yet, or could not start
                return
            self.wait = min(max(1.0, 2 * self.wait), _LONGEST_WAIT) if code and age < _LONGEST_WAIT else 0.0
        self.process, self.started = worker.start(self.models, self.device), time.monotonic()


def _prepare_process() -> None:
    import os
    import signal

    import jax

    from optviz.terminal import use_compilation_cache

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it
    os.nice(worker.NICENESS)
    jax.config.update("jax_platforms", "cpu")  # accelerators belong to the workers
    use_compilation_cache()
