"""The results of a sweep as an `xarray.Dataset`: variables, coordinates, and the arrays in memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from optviz.optimizers import CATALOGUE
from optviz.sweeps.axes import Axes, Block
from optviz.sweeps.metrics import StreamedMetric
from optviz.sweeps.program import Results

_MEANINGS = {
    "loss": ("loss by which the run is judged, along its path", "loss"),
    "params": ("where the run is judged, along its path", "parameter"),
    "gradients": ("gradient as the optimizer saw it", "loss / parameter"),
    "updates": ("what was added to the parameters", "parameter"),
    "gradient_norm": ("L2 norm of the gradient", "loss / parameter"),
    "step_size": ("L2 norm of the update", "parameter"),
    "opt_state": ("state of the optimizer", ""),
    "hyperparameters": ("value in force", ""),
}
FIELDS = tuple(_MEANINGS)
"""The columns of the runs that a sweep can keep."""


@dataclasses.dataclass(frozen=True)
class Variable:
    """One variable of the dataset, before it has values."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attrs: Mapping[str, str]

    @property
    def has_steps(self) -> bool:
        """Whether it is a column of the runs, time-major, and not a metric."""
        return self.dims[0] == "step"

    @property
    def missing(self) -> Any:
        """What stands where no value is: NaN, else False or -1."""
        return {"f": math.nan, "c": math.nan, "b": False}.get(self.dtype.kind, np.array(-1).astype(self.dtype).item())

    def at(self, block: Block) -> tuple[slice, ...]:
        """The index of a block."""
        return (slice(None), *block) if self.has_steps else block


def variables(axes: Axes, metrics: Mapping[str, StreamedMetric], one: Results) -> dict[str, Variable]:
    """The variables of a sweep, from the shapes of what comes of one point."""
    dims, shape = tuple(axes.sizes), axes.shape
    found = {
        name: Variable(dims, shape, np.dtype(x.dtype), _attrs(metrics[name].meaning, metrics[name].unit))
        for name, x in zip(metrics, one.metrics, strict=True)
    }
    for name, x in named(one.rows):
        steps, _, *rest = x.shape
        extra = ["parameter"] if "." not in name and len(rest) == 1 else [f"{name}_{i}" for i in range(len(rest))]
        attrs = _attrs(*_MEANINGS[name.split(".")[0]])
        found[name] = Variable(("step", *dims, *extra), (steps + 1, *shape, *rest), np.dtype(x.dtype), attrs)
    return found


def named(columns: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The leaves of columns by name: `loss`, `opt_state.0.mu`."""
    for field, tree in columns.items():
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            yield f"{field}.{jax.tree_util.keystr(path, simple=True, separator='.')}".rstrip("."), leaf


def coordinates(axes: Axes, variables: Mapping[str, Variable], optimizer: Any) -> dict[str, Any]:
    """The coordinates, as `xarray` takes them; starts are numbered."""
    meanings = {h.name: h.meaning for e in CATALOGUE if e.name == optimizer.name for h in e.hyperparameters}
    found: dict[str, Any] = {}
    for (dim, group), size in zip(axes.values.items(), axes.shape, strict=True):
        for name, v in group.items():
            if name != "start":
                unit = "parameter" if name.startswith("start.") else ""
                found[name] = (dim, v, _attrs(meanings.get(name, ""), unit))
                continue
            found[name] = (dim, np.arange(size), {})
            if isinstance(v, np.ndarray) and v.ndim == 2:
                found |= {f"start.x{i + 1}": (dim, x, _attrs("", "parameter")) for i, x in enumerate(v.T)}
    for variable in variables.values():
        lengths = dict(zip(variable.dims, variable.shape, strict=True))
        if "step" in lengths:
            found["step"] = ("step", np.arange(lengths["step"]), _attrs("number of steps taken", "steps"))
        if "parameter" in lengths:
            names = [f"x{i + 1}" for i in range(lengths["parameter"])]
            found["parameter"] = ("parameter", np.array(names, object))
    return found


def _attrs(meaning: str, unit: str) -> dict[str, str]:
    return {key: text for key, text in (("long_name", meaning), ("units", unit)) if text}


def values_of(
    results: Results, variables: Mapping[str, Variable], shape: tuple[int, ...], block: Block
) -> Iterator[tuple[str, np.ndarray, Any]]:
    """By name, the values of a block whose points lie in a grid of `shape`, and those after the last step."""
    inside = tuple(slice(b.stop - b.start) for b in block)
    metrics = (name for name, variable in variables.items() if not variable.has_steps)
    for name, x in zip(metrics, results.metrics, strict=True):
        yield name, np.reshape(x, shape)[inside], None
    ends = dict(named(results.ends))
    for name, rows in named(results.rows):
        grid = np.reshape(rows, (len(rows), *shape, *rows.shape[2:]))[:, *inside]
        end = ends.get(name)
        yield name, grid, variables[name].missing if end is None else np.reshape(end, (*shape, *end.shape[1:]))[inside]


class Memory:
    """The arrays of a sweep in memory."""

    def __init__(self, variables: Mapping[str, Variable]):
        self.variables = variables
        self.arrays = {name: np.empty(v.shape, v.dtype) for name, v in variables.items()}

    def missing(self, num_blocks: int) -> list[int]:
        """The numbers of the blocks still to be run: all."""
        return list(range(num_blocks))

    def is_missing(self, number: int) -> bool:
        """Whether nobody has run block `number` meanwhile: these arrays have one process."""
        return True

    def write(self, number: int, block: Block, shape: tuple[int, ...], results: Results) -> None:
        """Keep the results of block `number`."""
        for name, values, end in values_of(results, self.variables, shape, block):
            array = self.arrays[name]
            if self.variables[name].has_steps:
                array[:-1, *block] = values
                array[-1, *block] = end
            else:
                array[block] = values

    def dataset(self, coordinates: Mapping[str, Any], attrs: Mapping[str, Any]) -> Any:
        """The sweep as a dataset."""
        import xarray

        data = {name: (v.dims, self.arrays[name], v.attrs) for name, v in self.variables.items()}
        return xarray.Dataset(data, coordinates, attrs)
