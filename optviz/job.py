"""The main job: several optimizers descend one surface; every run is recorded, measured, drawn and saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from optviz import metrics
from optviz.folders import publish, scratch_folder
from optviz.manifest import describe_optimizer, describe_surface, environment, json_number
from optviz.optimizers import CATALOGUE
from optviz.parallel import side_by_side
from optviz.store import write_csv, write_json
from optviz.trace import OptimizerTrace, record
from surfaces.base import LossSurface


class Run(NamedTuple):
    """What `run` returns: the traces in the order of the optimizers, their metrics, and the folder written."""

    traces: list[OptimizerTrace]
    summaries: list[dict[str, Any]]
    folder: Path


def well_known() -> list[Any]:
    """The optimizers that everyone knows, each at its catalogue rate."""
    return [entry.spec() for entry in CATALOGUE if entry.well_known]


def record_rivals(
    optimizers: Sequence[Any], surface: LossSurface, start: Any, num_steps: int, key: int | None = None
) -> list[OptimizerTrace]:
    """One trace per optimizer, all from the same start with the same draws; programs are compiled side by side."""
    return side_by_side(lambda o: record(o, surface, start, num_steps, key=key), optimizers)


def run(
    optimizers: Sequence[Any] | None = None,
    surface: LossSurface | None = None,
    start: Any = None,
    num_steps: int = 1000,
    *,
    key: int | None = None,
    tolerance: float = metrics.DEFAULT_TOLERANCE,
    out: str | Path = "runs",
) -> Run:
    """`optviz run` from Python: record, measure, and write pictures, traces and a manifest under `out`.

    Without arguments: the well-known optimizers on Rosenbrock's valley from its customary start.

    Raises:
      ValueError, TypeError: for what `record` refuses.
      OSError: if the folder cannot be written; nothing half-written stays.
    """
    import surfaces

    surface = surfaces.Rosenbrock() if surface is None else surface
    start = surface.start if start is None else start
    optimizers = well_known() if optimizers is None else optimizers
    traces = record_rivals(optimizers, surface, start, num_steps, key)
    summaries = [metrics.summary(trace, tolerance) for trace in traces]
    return Run(traces, summaries, write_run(traces, summaries, out, run_arguments(traces, key, tolerance))[0])


def run_arguments(traces: Sequence[OptimizerTrace], seed: int | None, tolerance: float, **more: Any) -> dict[str, Any]:
    """What a manifest says of a run beside its optimizers and its surface."""
    start = jax.tree.map(lambda x: np.asarray(x).tolist(), traces[0].initial_params)
    return {**more, "seed": seed, "tolerance": tolerance, "start": start}


def write_run(
    traces: Sequence[OptimizerTrace],
    summaries: Sequence[dict[str, Any]],
    out: str | Path,
    arguments: dict[str, Any],
    progress: Callable[[str], None] = lambda what: None,
) -> tuple[Path, dict[str, str]]:
    """Pictures, traces and manifest in a new folder under `out`, which appears when all is done.

    Its path, and the pictures that this run cannot have (a plane of a surface with one parameter), with the reason.
    """
    from optviz.plotting.style import labels

    now = datetime.now(UTC)
    names = labels(traces)
    with scratch_folder(out) as folder:
        progress("traces")
        (folder / "traces").mkdir()
        for i, (name, trace) in enumerate(zip(names, traces, strict=True)):
            file = folder / "traces" / f"{_file_name(name)}.csv"
            write_csv(trace, file.with_stem(f"{file.stem}-{i + 1}") if file.exists() else file)
        write_json(traces, folder / "traces.json")
        missing = _draw(traces, folder, progress)
        manifest = _manifest(traces, summaries, names, now, arguments) | {"missing": missing}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n", "utf-8")
        return publish(folder, Path(out) / f"{traces[0].surface.name}-{now:%Y%m%d-%H%M%S}"), missing


def _draw(traces: Sequence[OptimizerTrace], folder: Path, progress: Callable[[str], None]) -> dict[str, str]:
    """The pictures of a run as files; the ones that it cannot have, by name, with the reason."""
    from optviz import plotting

    note = "catalogue defaults" if all(map(_is_as_in_catalogue, traces)) else None
    pictures: dict[str, Callable[[Path], Any]] = {
        "contours.png": lambda file: _save(plotting.plot_comparison(traces, note=note), file),
        "losses.png": lambda file: _save(plotting.plot_losses(traces, note=note), file),
        "animation.gif": lambda file: plotting.create_animation(traces, file, fps=20, note=note, progress=False),
        "surface.html": lambda file: plotting.save_interactive_3d(traces, file, note=note),
    }
    missing = {}
    for name, draw in pictures.items():
        progress(name)
        try:
            draw(folder / name)
        except ValueError as reason:
            missing[name] = str(reason)
    return missing


def _save(axes: Any, file: Path) -> None:
    import matplotlib.pyplot as plt

    from optviz.plotting.files import save_picture

    save_picture(axes, file)
    plt.close(axes.get_figure(root=True))


def _is_as_in_catalogue(trace: OptimizerTrace) -> bool:
    return any(trace.optimizer == entry.spec() for entry in CATALOGUE if entry.name == trace.name)


def _manifest(
    traces: Sequence[OptimizerTrace],
    summaries: Sequence[dict[str, Any]],
    names: Sequence[str],
    now: datetime,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """What reproduces the run, and what came of it."""
    first = traces[0]
    return {
        "created": now.isoformat(timespec="seconds"),
        "arguments": arguments,
        "surface": describe_surface(first.surface),
        "steps": first.count,
        "optimizers": [describe_optimizer(trace.optimizer) for trace in traces],
        "metrics": {
            name: {k: json_number(v) for k, v in summary.items()}
            for name, summary in zip(names, summaries, strict=True)
        },
        **environment(),
    }


def _file_name(label: str) -> str:
    """A label as a portable file name."""
    return "".join(c if c.isalnum() or c in "-_.=" else "_" for c in label).strip("_") or "trace"
