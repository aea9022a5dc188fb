"""Work off the event loop: as many computations at once as there are cores, and none for a browser that has gone."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from multiprocessing import get_context
from typing import Any

from starlette.concurrency import run_in_threadpool

MAX_WAITING = 200
_WATCH = 0.25
"""Seconds between two looks whether a browser is still there."""


class Busy(Exception):
    """More requests wait than can be answered soon."""


class Gone(Exception):
    """The browser that asked has gone."""


class Workers:
    """Threads for numbers, which XLA computes beside the loop, and one spawned process for pictures.

    A forked process would inherit the locks of JAX's threads; Matplotlib would hold the interpreter's lock for seconds.
    """

    def __init__(self, cores: int | None = None):
        cores = cores or os.cpu_count() or 1
        # An answer spreads over the cores by itself; one long job goes on beside it.
        self._answers = asyncio.Semaphore(cores)
        self._jobs = asyncio.Semaphore(1)
        self._waiting = 0
        self._drawing: ProcessPoolExecutor | None = None

    async def answer(self, work: Callable[[], Any], is_gone: Callable[[], Awaitable[bool]]) -> Any:
        """The result of something short.

        Raises:
          Busy: at once, if too many wait already.
          Gone: without doing it, if nobody waits for it when its turn comes.
        """
        async with self._turn(self._answers):
            if await is_gone():
                raise Gone
            return await run_in_threadpool(work)

    async def job(self, work: Callable[[Callable[[], bool]], Any], is_gone: Callable[[], Awaitable[bool]]) -> Any:
        """The result of something long, `work(cancelled)`, which asks now and then whether it should stop.

        Raises:
          Busy, Gone: as `answer` does; Gone too if the browser leaves while the work goes on.
        """
        async with self._turn(self._jobs):
            if await is_gone():
                raise Gone
            stop = threading.Event()
            task = asyncio.ensure_future(run_in_threadpool(work, stop.is_set))
            try:
                while not (await asyncio.wait({task}, timeout=_WATCH))[0]:
                    if await is_gone():
                        stop.set()
            except asyncio.CancelledError:
                stop.set()
                await asyncio.wait({task})  # the turn ends when the work does
                raise
            if stop.is_set():
                raise Gone
            return task.result()

    async def drawing(self, work: Callable[..., Any], *args: Any) -> Any:
        """The result of `work(*args)` in the process for pictures; both must be picklable."""
        async with self._turn(self._jobs):
            if self._drawing is None:
                self._drawing = ProcessPoolExecutor(1, get_context("spawn"), _prepare_process)
            try:
                return await asyncio.get_running_loop().run_in_executor(self._drawing, work, *args)
            except BrokenProcessPool:
                self._drawing = None
                raise RuntimeError("The process that draws pictures ended; try again.") from None

    def close(self) -> None:
        """End the process for pictures."""
        if self._drawing is not None:
            self._drawing.shutdown(wait=False, cancel_futures=True)
            self._drawing = None

    @asynccontextmanager
    async def _turn(self, semaphore: asyncio.Semaphore) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            await semaphore.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            semaphore.release()


def _prepare_process() -> None:
    import signal

    import matplotlib

    from optviz.terminal import use_compilation_cache

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it
    matplotlib.use("agg")
    use_compilation_cache()
