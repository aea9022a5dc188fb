"""A comparison as files: tables, pictures, an animation, all of them in one archive, a script; and back from JSON.

Tables hold the points that the playground draws: those of every path, its last one included, and every hyperparameter.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optviz.manifest import environment, json_number
from optviz.playground import compute, listing, reading, script, settings, table, wire
from optviz.playground.errors import BadSettings
from optviz.playground.programs import reproducible
from optviz.playground.settings import Settings
from optviz.trace import OptimizerTrace, record

if TYPE_CHECKING:
    from optviz.plotting.style import Look

FORMAT = "optviz-playground/1"
COLUMNS = ("step", "x", "y", "loss", "gradient_norm")
MAX_IMPORT = 4_000_000
"""Characters of a file to read settings from."""
_FRAMES = 80


class Export(NamedTuple):
    """A file: what to call it, what it is, and its bytes."""

    name: str
    media_type: str
    content: bytes


def export(data: Any, format: str) -> Export:
    """The comparison that the settings `data` describe, as a file.

    Args:
      data: settings as JSON data.
      format: one of `FORMATS`.

    Raises:
      BadSettings: for settings or a format that cannot be meant.
    """
    data, format = checked(data, format)
    chosen = settings.from_json(data)
    media_type, write = FORMATS[format]
    return Export(f"optviz-{chosen.surface}.{format}", media_type, write(chosen))


def checked(data: Any, format: Any) -> tuple[dict[str, Any], str]:
    """Settings filled in and a format that there is, as plain data.

    Raises:
      BadSettings: for settings or a format that cannot be meant.
    """
    if not isinstance(format, str) or format not in FORMATS:
        told = {"name": "format", "known": ", ".join(FORMATS), "value": reading.short(format)}
        raise BadSettings("{name} is one of {known}, got {value}.", "format", **told)
    chosen = settings.from_json(data)
    if not any(choice.on for choice in chosen.optimizers):
        raise BadSettings("There is nothing to export: no optimizer is on.", "optimizers")
    return settings.to_json(chosen), format


def settings_of(text: Any) -> dict[str, Any]:
    """The settings in the text of a JSON export, checked and filled in.

    Raises:
      BadSettings: for text that is no export.
    """
    if not isinstance(text, str) or len(text) > MAX_IMPORT:
        raise BadSettings(
            "An import is the text of a JSON export, of at most {most} characters.", "text", most=MAX_IMPORT
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSettings("This file is not JSON: {why}.", "text", why=reading.fault(error)) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadSettings("This file is not an export of the playground (format {format!r}).", "text", format=FORMAT)
    return settings.to_json(settings.from_json(document.get("settings")))


class _Row(NamedTuple):
    """One path with all that is said of it."""

    label: str
    run: compute.Run
    path: compute.Path

    def columns(self) -> dict[str, np.ndarray]:
        """The points drawn, by the names in `COLUMNS`."""
        steps = np.minimum(np.arange(len(self.path.points)) * self.path.every, self.path.num_steps)
        return dict(zip(COLUMNS, (steps, *self.path.points.T), strict=True))


def _rows(chosen: Settings) -> list[_Row]:
    """The paths that could be run; an optimizer that the surface does not suit has none."""
    rows = []
    for run, path in zip(compute.runs(chosen), compute.paths(chosen), strict=True):
        if isinstance(path, compute.Path):
            rows.append(_Row(listing.title(chosen, run), run, path))
    if not rows:
        raise BadSettings("There is nothing to export: the surface suits none of these optimizers.", "optimizers")
    return rows


def _csv(chosen: Settings) -> bytes:
    """A row per point; the first line, a comment, holds the settings."""
    text = io.StringIO(newline="")
    text.write(f"# {FORMAT} {wire.to_json(settings.to_json(chosen))}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("optimizer", *COLUMNS))
    for row in _rows(chosen):
        for step, *numbers in zip(*row.columns().values(), strict=True):
            writer.writerow((row.label, int(step), *(format(float(x), ".9g") for x in numbers)))
    return text.getvalue().encode()


def _json(chosen: Settings) -> bytes:
    rows = _rows(chosen)
    document = {
        "format": FORMAT,
        "settings": settings.to_json(chosen),
        "runs": list(_told(chosen, rows)),
        **environment(),
    }
    return json.dumps(document, allow_nan=False).encode()


def _told(chosen: Settings, rows: list[_Row]) -> Iterator[dict[str, Any]]:
    """Each run with its optimizer, its columns and its metrics; what is not finite is text."""
    known = compute.facts(chosen)
    for row in rows:
        found = table.verdict(row.path, known)
        yield {
            "label": row.label,
            "optimizer": {"name": row.run.choice.name, "hyperparameters": dict(row.run.choice.hyperparameters)},
            "regularised": row.run.regularised,
            "steps": row.path.num_steps,
            "every": row.path.every,
            "status": found["status"],
            "metrics": {k: json_number(v) for k, v in found["metrics"].items()},
            "columns": {k: [json_number(x) for x in v.tolist()] for k, v in row.columns().items()},
        }


def _pictured(chosen: Settings) -> tuple[list[OptimizerTrace], dict[str, Any]]:
    """The runs as the pictures take them, and what the pictures are told."""
    runs, traces = [row.run for row in _rows(chosen)], []
    for run in runs:
        arguments, others = compute.as_recorded(chosen, run)
        traces.append(record(*arguments, **others))
    x0, x1, y0, y1 = chosen.view or compute.domain(chosen)
    told = {"note": _note(chosen, runs, traces), "looks": looks(chosen, runs, traces)}
    return traces, {"surface": compute.surface_of(chosen), "x_range": (x0, x1), "y_range": (y0, y1), **told}


def looks(chosen: Settings, runs: Sequence[compute.Run], traces: Sequence[OptimizerTrace]) -> list[Look]:
    """How a picture shows the runs: named, coloured and dashed as on the screen."""
    from optviz.plotting import style

    colors = listing.run_colors(chosen)
    return [
        style.Look(style.legend_label(listing.title(chosen, run), trace), colors[run.index], run.twin)
        for run, trace in zip(runs, traces, strict=True)
    ]


def _note(chosen: Settings, runs: Sequence[compute.Run], traces: Sequence[OptimizerTrace]) -> str:
    """The learning rates, which twins share, and the penalty."""
    from optviz.plotting import style

    plain = [(trace, listing.title(chosen, run)) for run, trace in zip(runs, traces, strict=True) if not run.twin]
    traces, names = zip(*plain, strict=True)
    return " · ".join(filter(None, (style.rates(traces, names), _penalty(chosen.regularisation))))


def _penalty(how: settings.Regularisation) -> str:
    if how.kind == "none":
        return ""
    name = listing.PENALTIES[how.kind]
    return f"{name}{'' if how.kind == 'decoupled' else ' penalty'} of {how.strength:.3g}"


def _picture(chosen: Settings, suffix: str) -> bytes:
    import matplotlib.pyplot as plt

    from optviz.plotting import plot_comparison

    with reproducible():
        traces, told = _pictured(chosen)
        axes = plot_comparison(traces, **told)
        figure, content = axes.get_figure(root=True), io.BytesIO()
        # Without a date, the same comparison is the same file.
        metadata = {"Date": None} if suffix == "svg" else None
        with plt.rc_context({"svg.hashsalt": FORMAT}):
            figure.savefig(content, format=suffix, dpi=150, bbox_inches="tight", metadata=metadata)
        plt.close(figure)
    return content.getvalue()


def _gif(chosen: Settings) -> bytes:
    from optviz.plotting import create_animation

    with tempfile.TemporaryDirectory() as folder, reproducible():
        traces, told = _pictured(chosen)
        file = Path(folder) / "animation.gif"
        return create_animation(traces, file, 20, num_frames=_FRAMES, progress=False, **told).read_bytes()


def _zip(chosen: Settings) -> bytes:
    """Every other format in one archive, whose dates are fixed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for suffix, (_, write) in FORMATS.items():
            if suffix != "zip":
                info = zipfile.ZipInfo(f"optviz-{chosen.surface}.{suffix}")
                archive.writestr(info, write(chosen), zipfile.ZIP_DEFLATED)
    return content.getvalue()


FORMATS: dict[str, tuple[str, Callable[[Settings], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "json": ("application/json", _json),
    "png": ("image/png", lambda chosen: _picture(chosen, "png")),
    "svg": ("image/svg+xml", lambda chosen: _picture(chosen, "svg")),
    "gif": ("image/gif", _gif),
    "py": ("text/x-python; charset=utf-8", script.script),
    "zip": ("application/zip", _zip),
}
