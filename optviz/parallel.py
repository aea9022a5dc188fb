"""Work side by side on the cores of this machine."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

_NAME = "optviz"


def side_by_side(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of every item, on a thread per core: XLA compiles, and loops on a CPU, on one core at a time.

    Called by one of these threads itself, it takes one item after another.
    """
    if threading.current_thread().name.startswith(_NAME):
        return [function(item) for item in items]
    # A context such as `jax.enable_x64(True)` holds for the thread that entered it.
    double, device = jnp.result_type(float) == jnp.float64, jax.default_device.value

    def called(item: Any) -> Any:
        with jax.enable_x64(double), jax.default_device(device):
            return function(item)

    return list(_threads().map(called, items))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """The threads, made once: to start and to end them takes as long as a thousand steps."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix=_NAME)


if hasattr(os, "register_at_fork"):  # a child has no threads of its parent
    os.register_at_fork(after_in_child=_threads.cache_clear)
