"""Traces on disk: CSV for one run, JSON for several, each with the last point and every number exactly."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import itertools
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from optviz import metrics
from optviz.optimizers.schedules import Schedule
from optviz.trace import OptimizerTrace
from surfaces.base import LossSurface

FORMAT = "optviz-traces/1"
PACKAGES = ("optviz", "jax", "jaxlib", "optax", "equinox", "numpy")


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


def describe_optimizer(optimizer: Any) -> dict[str, Any]:
    """An optimizer's name, hyperparameters and options as JSON data; a schedule as the text that it prints."""
    hyperparameters = getattr(optimizer, "hyperparameters", {})
    options = dict(getattr(optimizer, "options", ()))
    return {
        "name": optimizer.name,
        "hyperparameters": {k: _json_value(v) for k, v in hyperparameters.items()},
        "options": {k: v if isinstance(v, bool | int | str) else repr(v) for k, v in options.items()},
    }


def describe_surface(surface: Any) -> dict[str, Any]:
    """A surface as JSON data: name, coefficients, whole-number and other settings, and the surfaces it is made of."""
    fields = {f.name: getattr(surface, f.name) for f in dataclasses.fields(surface)}
    settings = {k: v for k, v in fields.items() if k not in surface.coefficients}
    return {
        "name": surface.name,
        "coefficients": {k: _json_value(v) for k, v in surface.coefficients.items()},
        "settings": {k: v for k, v in settings.items() if isinstance(v, bool | int | str)},
        **{k: describe_surface(v) for k, v in settings.items() if isinstance(v, LossSurface)},
    }


def environment() -> dict[str, Any]:
    """What a run depends on besides its arguments: versions, device, precision."""
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "device": jax.devices()[0].device_kind,
        "x64": jax.numpy.result_type(float) == np.float64,
        "versions": {name: version(name) for name in PACKAGES},
    }


@contextlib.contextmanager
def scratch_folder(parent: str | Path) -> Iterator[Path]:
    """A temporary folder under `parent`, gone after the block unless `publish` has renamed it: no half-written runs."""
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=parent))
    scratch.chmod(0o755)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def publish(folder: Path, target: Path) -> Path:
    """Rename a finished `folder` to `target`, or to the first free numbered name beside it; the name it got."""
    numbered = (target.with_name(f"{target.name}-{n}") for n in itertools.count(2))
    for candidate in itertools.chain([target], numbered):
        if not candidate.exists():
            return folder.rename(candidate)
    raise AssertionError("unreachable: the numbers never end")


def json_number(value: Any) -> Any:
    """`value` as JSON can hold it: non-finite floats as text."""
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


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


def _json_value(value: Any) -> Any:
    if isinstance(value, Schedule):
        return repr(value)
    return jax.tree.map(json_number, np.asarray(value).tolist())
