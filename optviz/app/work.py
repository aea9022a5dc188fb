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
IsGone = Callable[[], Awaitable[bool]]
"""Whether the browser that asked has gone."""


class Busy(Exception):
    """More requests wait than can be answered soon."""


class Gone(Exception):
    """The browser that asked has gone."""


class Process:
    """A spawned process that does one thing at a time: begun when it is first needed, and anew when it has ended.

    A forked one would inherit the locks of JAX's threads. `prepare` is called in it first, `ended` says that it died.
    """

    def __init__(self, prepare: Callable[[], None], ended: str):
        self._prepare, self._ended = prepare, ended
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, do: Callable[..., Any], *args: Any, is_gone: IsGone | None = None) -> Any:
        """The result of `do(*args)`; both must be picklable.

        Raises:
          Gone: if nobody waits for it any more; the process is ended, and with it the work.
          RuntimeError: if the process died.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), self._prepare)
        future = asyncio.get_running_loop().run_in_executor(self._pool, do, *args)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, if nobody else looks
        while not (await asyncio.wait({future}, timeout=_WATCH))[0]:
            if is_gone is not None and await is_gone():
                self.end()
                raise Gone
        try:
            return future.result()
        except BrokenProcessPool:
            self._pool = None
            raise RuntimeError(self._ended) from None

    def end(self) -> None:
        """End the process if there is one, with what it does."""
        if self._pool is not None:
            # The interpreter would wait for what goes on, and there is no public way to end it.
            processes = list((self._pool._processes or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
            for process in processes:
                process.terminate()


class Workers:
    """Threads for numbers, which XLA computes beside the loop, and a process for pictures.

    Matplotlib would hold the interpreter's lock for seconds.
    """

    def __init__(self, cores: int | None = None):
        cores = cores or os.cpu_count() or 1
        # An answer spreads over the cores by itself; one long job goes on beside it.
        self._answers = asyncio.Semaphore(cores)
        self._jobs = asyncio.Semaphore(1)
        self._waiting = 0
        self._pictures = Process(_prepare_process, "The process that draws pictures ended; try again.")

    async def answer(self, work: Callable[[], Any], is_gone: IsGone) -> Any:
        """The result of something short.

        Raises:
          Busy: at once, if too many wait already.
          Gone: without doing it, if nobody waits for it when its turn comes.
        """
        async with self._turn(self._answers):
            if await is_gone():
                raise Gone
            return await run_in_threadpool(work)

    async def job(self, work: Callable[[Callable[[], bool]], Any], is_gone: IsGone) -> Any:
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

    async def drawing(self, work: Callable[..., Any], *args: Any, is_gone: IsGone) -> Any:
        """The result of `work(*args)` in the process for pictures; both must be picklable.

        Raises:
          Busy, Gone: as `job` does.
        """
        async with self._turn(self._jobs):
            if await is_gone():
                raise Gone
            return await self._pictures.run(work, *args, is_gone=is_gone)

    def close(self) -> None:
        """End the process for pictures."""
        self._pictures.end()

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
