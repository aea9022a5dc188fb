"""Traces on disk: CSV for one run, JSON for several, each with the last point and every number exactly."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from optviz import metrics
from optviz.manifest import describe_optimizer, describe_surface, json_number
from optviz.trace import OptimizerTrace

FORMAT = "optviz-traces/1"


def columns(trace: OptimizerTrace) -> dict[str, np.ndarray]:
    """The run as a table, one row per point of the path, the end included.

    `step`, one column per parameter (`x1`, `x2`, ... for a vector, `params.` and the path in a tree), `loss`,
    `gradient_norm` and `step_size`; the last two are NaN in the last row, from which no step was taken.
    """
    index, path, losses = jax.device_get((trace.path_index, trace.path, trace.losses))
    table = {"step": np.asarray(index)}
    for keys, leaf in jax.tree_util.tree_flatten_with_path(path)[0]:
        name = jax.tree_util.keystr(keys, simple=True, separator=".")
        table |= _parameter_columns(name and f"params.{name}", np.asarray(leaf))
    table["loss"] = np.asarray(losses)
    for name in ("gradient_norm", "step_size"):
        column = np.asarray(jax.device_get(getattr(trace.steps, name)))
        table[name] = np.append(column, column.dtype.type(np.nan))
    return table


def write_csv(trace: OptimizerTrace, filename: str | Path) -> Path:
    """Write `columns(trace)`; numbers have the digits that read back exactly."""
    table = columns(trace)
    with Path(filename).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*(map(_digits, column) for column in table.values()), strict=True))
    return Path(filename)


def read_csv(filename: str | Path) -> dict[str, np.ndarray]:
    """The columns that `write_csv` wrote, as float64."""
    with Path(filename).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return {name: np.array([float(row[i]) for row in rows]) for i, name in enumerate(header)}


def write_json(traces: Sequence[OptimizerTrace], filename: str | Path) -> Path:
    """Write several runs with their hyperparameters and metrics.

    JSON has no NaN or infinity: they are written as the strings "NaN", "Infinity" and "-Infinity".
    """
    document = {"format": FORMAT, "traces": [describe_trace(trace) for trace in traces]}
    Path(filename).write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
    return Path(filename)


def read_json(filename: str | Path) -> list[dict[str, Any]]:
    """What `write_json` wrote: one dictionary per run, its `columns` as float64 arrays."""
    document = json.loads(Path(filename).read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{filename} is not a file of traces in the format {FORMAT!r}.")
    return [
        {**run, "columns": {k: np.array([float(v) for v in c]) for k, c in run["columns"].items()}}
        for run in document["traces"]
    ]


def describe_trace(trace: OptimizerTrace) -> dict[str, Any]:
    """A run as JSON data: optimizer, surface, columns and metrics."""
    return {
        "optimizer": describe_optimizer(trace.optimizer),
        "surface": describe_surface(trace.surface),
        "steps": int(trace.count),
        "every": trace.every,
        "columns": {k: [json_number(v) for v in c.tolist()] for k, c in columns(trace).items()},
        "metrics": {k: json_number(v) for k, v in metrics.summary(trace).items()},
    }


def _parameter_columns(name: str, leaf: np.ndarray) -> dict[str, np.ndarray]:
    """One column per number of a leaf `(T + 1, ...)`."""
    if leaf.ndim == 1:
        return {name or "x": leaf}
    if not name and leaf.ndim == 2:
        return {f"x{i + 1}": leaf[:, i] for i in range(leaf.shape[1])}
    positions = list(np.ndindex(leaf.shape[1:]))
    return {f"{name or 'x'}[{','.join(map(str, p))}]": leaf[(slice(None), *p)] for p in positions}


def _digits(value: Any) -> str:
    if isinstance(value, np.integer):
        return str(int(value))
    return format(float(value), ".9g" if value.dtype.itemsize <= 4 else ".17g")
