"""Runs for TensorBoard: every number of a trace as a curve (extra `tensorboard`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optviz.trace import OptimizerTrace

Curves = dict[str, tuple[np.ndarray, np.ndarray]]


def write_tensorboard(trace: OptimizerTrace, folder: str | Path) -> Path:
    """Write `curves(trace)` as TensorBoard's scalars into `folder`, under whose name TensorBoard shows the run.

    `tensorboard --logdir PARENT` compares the runs in the folders under PARENT. Each call adds one file of events.

    Args:
      trace: one run; what it did not record is left out.
      folder: made if it is not there.

    Returns:
      The folder.

    Raises:
      ModuleNotFoundError: without tensorboardX.
      ValueError: for a trace that recorded nothing to write.
    """
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        sentence = "write_tensorboard needs tensorboardX: pip install 'optviz[tensorboard]'."
        raise ModuleNotFoundError(sentence, name="tensorboardX") from error
    if not isinstance(trace, OptimizerTrace):
        raise TypeError(f"write_tensorboard takes one trace, into a folder of its own, got {type(trace).__name__}.")
    written = curves(trace)
    if not written:
        raise ValueError("The trace recorded none of the columns that TensorBoard could show: record all, or SCALARS.")
    with SummaryWriter(str(folder)) as writer:
        for tag, (steps, values) in written.items():
            for step, value in zip(steps.tolist(), values.tolist(), strict=True):
                writer.add_scalar(tag, value, step)
    return Path(folder)


def curves(trace: OptimizerTrace) -> Curves:
    """By tag, the numbers of steps and the values of every number that the trace recorded.

    `loss` at the points of the path, the end included (T + 1); `gradient_norm` and `step_size` of each step (T);
    `hyperparameters/NAME` in force at each step (T); `state/FIELD` for every single number of the optimizer's state,
    before each step and after the last (T + 1, less where it is not a number).
    """
    found: dict[str, Any] = {}
    if _has(trace, "loss"):
        found["loss"] = trace.losses
    found |= {name: getattr(trace.steps, name) for name in ("gradient_norm", "step_size") if _has(trace, name)}
    if _has(trace, "hyperparameters"):
        found |= {f"hyperparameters/{k}": v for k, v in trace.steps.hyperparameters.items()}
    if _has(trace, "opt_state"):
        found |= _state_curves(trace)
    index = np.asarray(trace.path_index)
    columns = {tag: np.asarray(jax.device_get(v), float) for tag, v in found.items() if _is_curve(v)}
    found = {tag: (index[: len(values)], values) for tag, values in columns.items()}
    # A number that PyTorch's state does not have yet is NaN.
    return {tag: _known(*curve) if tag.startswith("state/") else curve for tag, curve in found.items()}


def _known(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return steps[~np.isnan(values)], values[~np.isnan(values)]


def _has(trace: OptimizerTrace, column: str) -> bool:
    return getattr(trace.rows, column, None) is not None


def _state_curves(trace: OptimizerTrace) -> dict[str, Any]:
    states = jax.tree_util.tree_leaves_with_path(trace.steps.opt_state)
    return {
        f"state/{jax.tree_util.keystr(path, simple=True, separator='/')}": jnp.append(column, last)
        for (path, column), last in zip(states, jax.tree.leaves(trace.opt_state), strict=True)
        if _is_curve(column)
    }


def _is_curve(column: Any) -> bool:
    """Whether the column holds one real number or truth value per row: no arrays, no random keys."""
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    return jnp.ndim(column) == 1 and any(jnp.issubdtype(column.dtype, kind) for kind in kinds)
