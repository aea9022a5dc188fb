"""Work side by side on the cores of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp


def side_by_side(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of every item, on a thread per core: XLA compiles, and loops on a CPU, on one core at a time."""
    # A context such as `jax.enable_x64(True)` holds for the thread that entered it.
    double, device = jnp.zeros(()).dtype == jnp.float64, jax.default_device.value

    def called(item: Any) -> Any:
        with jax.enable_x64(double), jax.default_device(device):
            return function(item)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(called, items))
