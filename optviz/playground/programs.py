"""Compiled programs, few and bounded: one for each structure of arguments, the longest unused forgotten first."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from optviz.playground.cache import Recent

MAX_PROGRAMS = 256
"""A program takes about 1.7 MB, and 20 of the 65,530 pieces of memory that a process may map."""


class Programs:
    """Calls of functions that share compiled programs up to a bound, from any number of threads."""

    def __init__(self, most: int = MAX_PROGRAMS):
        self.kept: Recent[_Program] = Recent(most)
        self.compiled = 0
        """How many programs were ever made."""

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        """`function(*args)` on the host, compiled once for arguments of this structure and these shapes."""
        leaves, structure = jax.tree.flatten(args)
        key = function, structure, tuple(np.shape(leaf) for leaf in leaves)
        with reproducible():
            return jax.device_get(self.kept.get(key, lambda: self._program(function))(*args))

    def _program(self, function: Callable[..., Any]) -> _Program:
        self.compiled += 1
        return _Program(function)


class _Program:
    """A function of its own for `jax.jit`, so that its compiled form goes when it goes."""

    def __init__(self, function: Callable[..., Any]):
        self._compiled = jax.jit(lambda *args: function(*args))
        self._ready = False
        self._lock = threading.Lock()

    def __call__(self, *args: Any) -> Any:
        if self._ready:
            return self._compiled(*args)
        with self._lock:  # two sessions that come at once compile it once
            result = self._compiled(*args)
            self._ready = True
        return result


@contextlib.contextmanager
def reproducible() -> Iterator[None]:
    """Single precision on a CPU, whatever else the process does."""
    with jax.enable_x64(False), jax.default_device(jax.local_devices(backend="cpu")[0]):
        yield


PROGRAMS = Programs()
"""Those of this process."""
