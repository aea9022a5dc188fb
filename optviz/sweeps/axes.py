"""The axes of a sweep: what varies along which dimension, and how the grid is cut into blocks."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from surfaces.base import LossSurface
from surfaces.names import unknown_name

Block = tuple[slice, ...]
"""A piece of the grid: a range along each dimension."""


@dataclasses.dataclass(frozen=True)
class Axes:
    """For every dimension, the names that vary along it and their values, stacked along a leading axis."""

    values: Mapping[str, Mapping[str, Any]]

    @property
    def sizes(self) -> dict[str, int]:
        """The length of every dimension."""
        return {dim: len(jax.tree.leaves(group)[0]) for dim, group in self.values.items()}

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the dimensions."""
        return tuple(self.sizes.values())

    def at(self, block: Block, shape: Sequence[int]) -> dict[str, Any]:
        """The values at the points of `block`, `(N, ...)` each; a short block is filled up to `shape`."""
        whole = zip(block, shape, self.shape, strict=True)
        index = np.meshgrid(*(np.minimum(np.arange(b.start, b.start + n), m - 1) for b, n, m in whole), indexing="ij")
        groups = zip(self.values.values(), map(np.ravel, index), strict=True)
        return {name: jax.tree.map(lambda x, i=i: x[i], v) for group, i in groups for name, v in group.items()}

    def blocks(self, shape: Sequence[int]) -> list[Block]:
        """The grid cut into blocks of `shape`, those at the end shorter, in order."""
        cuts = [[slice(i, min(i + n, m)) for i in range(0, m, n)] for n, m in zip(shape, self.shape, strict=True)]
        return list(itertools.product(*cuts))

    def block_shape(self, most: int) -> tuple[int, ...]:
        """The shape of blocks of at most `most` points, about equally full: whole trailing dimensions, one cut."""
        shape: list[int] = []
        for length in reversed(self.shape):
            room = max(1, most // math.prod(shape))
            shape.insert(0, -(-length // -(-length // room)))
        return tuple(shape)


def as_axes(given: Mapping[str, Any], optimizer: Any, surface: LossSurface, params: Any, seed: int) -> Axes:
    """`axes` as `sweep` takes them, once every name and every value makes sense."""
    if not given:
        raise ValueError("axes needs at least one axis; record makes a single run.")
    together = {dim: v if isinstance(v, Mapping) and dim != "start" else {dim: v} for dim, v in given.items()}
    values = {
        dim: {name: _values(name, v, optimizer, surface, params, seed) for name, v in group.items()}
        for dim, group in together.items()
    }
    names = [name for group in values.values() for name in group]
    for name in names:
        if names.count(name) > 1 or (name.startswith("start.") and "start" in names):
            raise ValueError(f"The axes give {name!r} more than once.")
    for dim, group in values.items():
        lengths = {name: len(jax.tree.leaves(v)[0]) for name, v in group.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"The axis {dim!r} needs lists of one length to vary together, got {lengths}.")
    return Axes(values)


def log_uniform(num_points: int, seed: int = 0, **ranges: tuple[float, float]) -> dict[str, np.ndarray]:
    """A random design for an axis of `sweep`: for each name `(low, high)`, `num_points` draws uniform in the logarithm.

    Names with a dot are given as `**{"surface.b": (1.0, 100.0)}`.
    """
    random = np.random.default_rng(seed)
    for name, (low, high) in ranges.items():
        if not 0 < low < high < np.inf:
            raise ValueError(
                f"{name} needs a range 0 < low < high for draws uniform in the logarithm, got {low, high}."
            )
    return {name: low * (high / low) ** random.random(num_points) for name, (low, high) in ranges.items()}


def _values(name: str, given: Any, optimizer: Any, surface: LossSurface, params: Any, seed: int) -> Any:
    """The values of one axis, stacked along a leading axis."""
    if name == "start":
        return _starts(given, params)
    if name == "seed" and isinstance(given, int):
        if given < 1:
            raise ValueError(f"The axis 'seed' needs a list of seeds or how many, at least 1, got {given}.")
        given = np.arange(seed, seed + given)
    values = _numbers(name, given)
    if name == "seed":
        if values.dtype.kind == "f" or values.min() < 0 or values.max() >= 2**32:
            raise ValueError(f"The axis 'seed' needs whole numbers from 0 on, below 2**32; got {given!r}.")
        return values.astype(np.uint32)
    if name.startswith("start."):
        known = [f"start.x{i + 1}" for i in range(np.size(params))] if getattr(params, "ndim", 0) == 1 else []
        if name not in known:
            raise ValueError(unknown_name("coordinate of the start", name, known or ["start"]))
        return values.astype(float)
    if name.startswith("surface."):
        for extreme in (float(values.min()), float(values.max())):  # what a surface accepts is a range
            replaced(surface, name.removeprefix("surface.").split("."), extreme)
        return values.astype(float)
    if reason := getattr(optimizer, "on_host", ""):
        raise TypeError(reason)
    known = getattr(optimizer, "hyperparameters", {})
    if name not in known and name in inspect.signature(getattr(optimizer, "factory", lambda: None)).parameters:
        raise ValueError(f"{optimizer.name} has no value of {name!r} that an axis could replace; give it one.")
    if name not in known:
        raise ValueError(unknown_name(f"axis for {optimizer.name}", name, [*known, "seed", "start"]))
    whole = getattr(known[name], "dtype", np.dtype(float)).kind == "i"
    return values.astype(np.int32 if whole else float)


def _numbers(name: str, given: Any) -> np.ndarray:
    """A list of numbers as an array `(N,)`."""
    values = np.asarray(given)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iuf":
        raise ValueError(f"The axis {name!r} needs a list of numbers, got {given!r}.")
    if not np.isfinite(values).all():
        raise ValueError(f"The axis {name!r} needs finite numbers, got {given!r}.")
    return values


def _starts(given: Any, params: Any) -> Any:
    """Points stacked along a leading axis, in the types of `params`."""
    try:
        given = np.asarray(given) if isinstance(params, jax.Array) else given
        starts = jax.tree.map(lambda like, x: np.asarray(x, like.dtype), params, given)
    except (TypeError, ValueError):
        starts = None
    like, found = jax.tree.leaves(params), jax.tree.leaves(starts)
    fits = len(found) == len(like) and all(
        np.ndim(x) > 0 and x.shape[1:] == np.shape(y) and x.shape[0] > 0 for x, y in zip(found, like, strict=True)
    )
    if not fits:
        raise ValueError(f"The axis 'start' needs points like {params}, stacked along a leading axis; got {given!r}.")
    return starts


def replaced(surface: Any, path: Sequence[str], value: Any) -> Any:
    """`surface` with another value of the coefficient at `path`."""
    name, *rest = path
    known = [f.name for f in dataclasses.fields(surface) if not f.metadata.get("static", False)]
    if name not in known:
        raise ValueError(unknown_name(f"coefficient of {surface.name}", name, known))
    return dataclasses.replace(surface, **{name: replaced(getattr(surface, name), rest, value) if rest else value})
