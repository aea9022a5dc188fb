"""What a PyTorch optimizer remembers, as arrays that a trace can hold: a column of states, one row per step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch

from optviz.trace import OptimizerStep


class TorchState(eqx.Module):
    """What a PyTorch optimizer remembers, as arrays under the names of its `state_dict`.

    `state["exp_avg"]` is an array; if the parameters are a tree, a dict of arrays by the path of the leaf. PyTorch
    makes its state as it goes: what does not exist yet before a step is NaN in the column of that step, and a list of
    tensors that grows or whose shapes differ, as in L-BFGS, is one array padded with NaN.
    """

    arrays: dict[str, Any]
    saved: Saved = eqx.field(static=True)

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]


class Saved:
    """The `state_dict` that a run goes on from. It compares equal to any other: to JAX it is no part of the state."""

    def __init__(self, state_dict: dict[str, Any] | None = None):
        self.state_dict = state_dict

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Saved)

    def __hash__(self) -> int:
        return hash(Saved)


def appended(rows: Any, new: list[Any], end: TorchState) -> tuple[Any, TorchState]:
    """The `new` rows stacked after the former ones, and the last state in the shapes of the column of states."""
    states = [row.opt_state for row in new if isinstance(row, OptimizerStep) and row.opt_state is not None]
    old = rows.opt_state if isinstance(rows, OptimizerStep) else None
    if isinstance(rows, OptimizerStep):
        rows = dataclasses.replace(rows, opt_state=None)
    if states:
        new = [dataclasses.replace(row, opt_state=None) for row in new]
    if new:
        stacked = jax.tree.map(lambda *values: np.stack(values), *new)
        rows = stacked if rows is None else jax.tree.map(lambda a, b: np.concatenate([a, b]), rows, stacked)
    if old is None and not states:
        return rows, end
    column, arrays = _state_column(old, states, end)
    return dataclasses.replace(rows, opt_state=TorchState(column, Saved())), TorchState(arrays, end.saved)


def _state_column(
    old: TorchState | None, new: list[TorchState], end: TorchState
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The states stacked after the former column, and the last one, all in the shapes that hold every one."""
    former = {} if old is None else _flat(jax.device_get(old.arrays))
    flat = [_flat(state.arrays) for state in (*new, end)]
    length = len(next(iter(former.values()))) if former else 0
    stacked = {}
    for name in dict.fromkeys(key for state in (former, *flat) for key in state):
        before = former.get(name, [None] * length)
        stacked[name] = _padded([*before, *(state.get(name) for state in flat)])
    return _nested({k: v[:-1] for k, v in stacked.items()}), _nested({k: v[-1] for k, v in stacked.items()})


def _padded(values: Sequence[Any]) -> np.ndarray:
    """The arrays stacked in the least shape that holds them all, with NaN where one has no number."""
    given = [v for v in values if v is not None]
    shape, dtype = np.max([v.shape for v in given], axis=0).astype(int), jnp.result_type(*(v.dtype for v in given))
    if len(given) < len(values) or any(v.shape != tuple(shape) for v in given):
        dtype = dtype if np.issubdtype(dtype, np.inexact) else jax.dtypes.canonicalize_dtype(float)
    stacked = np.full((len(values), *shape), np.nan if np.issubdtype(dtype, np.inexact) else 0, dtype)
    for i, value in enumerate(values):
        if value is not None:
            stacked[(i, *map(slice, value.shape))] = value
    return stacked


def state_of(state_dict: Mapping[str, Any], paths: Sequence[str]) -> TorchState:
    """The numbers of a `state_dict` of an optimizer whose parameters have these `paths`."""
    return TorchState(_nested(_arrays(state_dict, paths)), Saved())


def saved_in(state: TorchState, paths: Sequence[str]) -> dict[str, Any]:
    """The `state_dict` that a run goes on from. ValueError if the state's numbers are others by now."""
    saved = state.saved.state_dict
    if saved is None or not _agree(_flat(state.arrays), _arrays(saved, paths)):
        raise ValueError("A run of PyTorch goes on only from the unchanged state of a trace, `trace.opt_state`.")
    return saved


def _arrays(state_dict: Mapping[str, Any], paths: Sequence[str]) -> dict[tuple[str, str], np.ndarray]:
    """The numbers of a `state_dict` by name and by path of the parameter."""
    found: dict[tuple[str, str], np.ndarray | None] = {}
    for key, state in state_dict["state"].items():
        if isinstance(state, Mapping):
            path = paths[key] if isinstance(key, int) else str(key)
            found |= {(name, path): _as_array(v) for name, v in state.items()}
        else:  # an entry of no parameter
            found[str(key), ""] = _as_array(state)
    return {key: array for key, array in found.items() if array is not None}


def _as_array(value: Any) -> np.ndarray | None:
    """A copy of a tensor, a number or a list of them, in a type that JAX has; None for what is neither, or empty."""
    if isinstance(value, list | tuple):
        entries = [array for v in value if (array := _as_array(v)) is not None]
        if len({entry.ndim for entry in entries}) > 1:
            entries = [entry.ravel() for entry in entries]
        return _padded(entries) if entries else None
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    elif not isinstance(value, int | float):
        return None
    value = np.asarray(value)
    return np.array(value, jax.dtypes.canonicalize_dtype(value.dtype))


def _agree(numbers: Mapping[Any, Any], saved: Mapping[Any, np.ndarray]) -> bool:
    """Whether `numbers`, padded or not, are those that were `saved`."""
    return all(
        k in numbers and np.array_equal(np.asarray(numbers[k])[tuple(map(slice, v.shape))], v, equal_nan=True)
        for k, v in saved.items()
    )


def _nested(flat: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """By name, and within that by the path of the parameter, unless the parameters are one array."""
    nested: dict[str, Any] = {}
    for (name, path), value in flat.items():
        nested[name] = nested.get(name, {}) | {path: value} if path else value
    return nested


def _flat(nested: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    by_path = {name: value if isinstance(value, dict) else {"": value} for name, value in nested.items()}
    return {(name, path): value for name, parts in by_path.items() for path, value in parts.items()}
