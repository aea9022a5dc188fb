"""Runs on their surface in three dimensions, to turn and to play, on one page that needs no network."""

from __future__ import annotations

import html
import math
import os
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from optviz.plotting import style
from optviz.plotting.files import checked_path, replacing
from optviz.plotting.page import interactive_page
from optviz.plotting.planes import Plane, on_plane, view
from optviz.plotting.relief import LIFT, Relief, Track, relief, track
from optviz.plotting.trajectories import drawn_name, starts
from surfaces.contours import Range, light_map

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def interactive_3d(
    traces: Any,
    surface: Callable[..., Any] | None = None,
    x_range: Range | None = None,
    y_range: Range | None = None,
    *,
    plane: Any = None,
    resolution: int = 120,
    note: str | None = None,
) -> Figure:
    """The runs on their surface in three dimensions, as a Plotly figure; `save_interactive_3d` adds a step slider.

    Heights are losses, logarithmic above the minimum where they span decades. The paths lie on the surface: on a
    plane through more dimensions their own losses are others, and the pointer shows those. A path that leaves the
    view is drawn where it is inside, and the legend says when it left.

    Args:
      traces: one run or several.
      surface: the surface to draw; by default the one that all runs descended.
      x_range, y_range, plane: what to show, as in `plot_trajectory`.
      resolution: grid points per axis of the surface, which is stored once.
      note: said in the heading instead of the learning rates.

    Raises:
      ValueError: for runs on different surfaces without `surface`, and for a range or a plane that cannot be meant.
    """
    import plotly.graph_objects as go

    traces = style.as_traces(traces)
    drawn = on_plane(traces, surface, plane)
    ground = relief(drawn.surface, *view(drawn, x_range, y_range), resolution)
    axes = [_plain(label) for label in drawn.labels]
    parts = [_ground_trace(ground, axes), *_path_traces(traces, drawn, ground, axes), *_mark_traces(ground, drawn)]
    caption = " · ".join(filter(None, (style.what_was_equal(traces, note), drawn.caption)))
    who = traces[0].name if len(traces) == 1 else f"{len(traces)} optimizers"
    return go.Figure(parts, _layout(ground, axes, f"{who} on {drawn_name(drawn)}", caption))


def save_interactive_3d(
    figure: Any, filename: str | os.PathLike[str], *, compress: bool = True, **options: Any
) -> Path:
    """Write a page with the figure, a step slider and a play button, which opens without a network.

    `page.html#step=120` opens at step 120.

    Args:
      figure: what `interactive_3d` returns; or a run or several, for which it is called with the `options`.
      filename: where to write: `.html`.
      compress: store Plotly's library and the data compressed, in less than half the size. Any browser from 2023
        on can read it; a page stored plain works in older ones too.

    Returns:
      The path of the page. It replaces one of that name only once it is complete.

    Raises:
      TypeError: for a figure with options.
      ValueError: for another kind of file, and as `interactive_3d`.
      FileNotFoundError: for a folder that does not exist.
    """
    path = checked_path(filename, (".html",))
    if not hasattr(figure, "to_json"):
        figure = interactive_3d(figure, **options)
    elif options:
        raise TypeError(f"A finished figure takes no options, got {', '.join(options)}.")
    page = interactive_page(figure, compress)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return path


def _ground_trace(ground: Relief, axes: list[str]) -> Any:
    import plotly.graph_objects as go
    from matplotlib.colors import to_hex

    colours = [[share, to_hex(light_map()(share))] for share in np.linspace(0, 1, 9)]
    ticks, texts = _ticks(ground)
    title = {"text": ground.levels.label, "side": "right"}
    return go.Surface(
        x=_rounded(ground.x, np.ptp(ground.x)),
        y=_rounded(ground.y, np.ptp(ground.y)),
        z=_rounded(ground.heights, ground.span, 4),
        customdata=[_losses(row) for row in ground.losses],
        colorscale=colours,
        colorbar={"title": title, "tickvals": ticks, "ticktext": texts, "len": 0.6, "thickness": 12},
        contours={"z": _lines(ground)},
        lighting={"ambient": 0.8, "diffuse": 0.4, "specular": 0.05, "roughness": 0.9},
        hovertemplate=_hover(axes),
        name="surface",
    )


def _lines(ground: Relief) -> dict[str, Any]:
    """Level lines at every tick; none on a surface with holes, at whose borders Plotly's can hang a browser."""
    ticks, _ = _ticks(ground)
    if len(ticks) < 2 or np.isnan(ground.heights).any():
        return {"show": False}
    ends = {"start": float(ticks[0]), "end": float(ticks[-1]), "size": float(ticks[1] - ticks[0])}
    return {"show": True, "color": "white", "width": 1, **ends}


def _path_traces(traces: list[Any], drawn: Plane, ground: Relief, axes: list[str]) -> list[Any]:
    """For every run its path, and after it a mark at its end; the page moves both."""
    names = style.labels(traces)
    colours = style.colours(names)
    curves = jax.device_get([(trace.losses, trace.path_index) for trace in traces])
    made = []
    for name, trace, path, curve in zip(names, traces, drawn.paths, curves, strict=True):
        laid = track(ground, path, *curve)
        label = _fate(style.legend_label(name, trace), laid)
        made += _path_pair(name, label, colours[name], _columns(ground, laid), _hover(axes, name))
    return made


def _path_pair(name: str, label: str, colour: str, columns: dict[str, list[Any]], hover: str) -> list[Any]:
    import plotly.graph_objects as go

    common = {"legendgroup": name, "hovertemplate": hover}
    line = {"color": colour, "width": 4}
    mark = {"size": 5, "color": colour, "line": {"color": "white", "width": 1}}
    meta = {"role": "path", "label": name}  # how the page finds the pair
    end = {key: column[-1:] for key, column in columns.items()}
    return [
        go.Scatter3d(mode="lines", line=line, name=label, meta=meta, **columns, **common),
        go.Scatter3d(mode="markers", marker=mark, name=name, showlegend=False, **end, **common),
    ]


def _columns(ground: Relief, one: Track) -> dict[str, list[Any]]:
    x, y, z = one.points.T
    return {
        "x": _rounded(x, np.ptp(ground.x)),
        "y": _rounded(y, np.ptp(ground.y)),
        "z": _rounded(z, ground.span, 4),
        "customdata": [
            "between two steps" if between else loss
            for between, loss in zip(one.between, _losses(one.losses), strict=True)
        ],
        "text": one.steps.tolist(),
    }


def _hover(axes: list[str], name: str = "") -> str:
    """What the pointer shows: `text` is the step, `customdata` the loss."""
    who = f"<b>{html.escape(name)}</b>, step %{{text}}<br>" if name else ""
    return f"{who}{axes[0]} %{{x:.4g}}<br>{axes[1]} %{{y:.4g}}<br>loss %{{customdata:.4g}}<extra></extra>"


def _fate(label: str, one: Track) -> str:
    return html.escape(label) + ("" if one.left is None else f"<br><i>leaves the view at step {one.left}</i>")


def _mark_traces(ground: Relief, drawn: Plane) -> list[Any]:
    """The starting points, and the known minima as pins, since they lie in pits."""
    import plotly.graph_objects as go

    black = {"color": "black", "width": 2}
    common = {"hoverinfo": "name", "line": black}
    made = []
    if len(points := _laid(ground, starts(drawn.paths))):
        x, y, z = points.T.tolist()
        mark = {"size": 6, "color": "white", "line": black}
        made.append(go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=mark, name="start", **common))
    if len(points := _laid(ground, drawn.minima)):
        top = np.nanmax(ground.heights) + 0.05 * ground.span
        pins = [[(x, y, z), (x, y, top), (None,) * 3] for x, y, z in points.tolist()]
        x, y, z = zip(*(end for pin in pins for end in pin), strict=True)
        mark = {"size": 6, "symbol": "diamond", "color": "white", "line": black}
        made.append(go.Scatter3d(x=x, y=y, z=z, mode="lines+markers", marker=mark, name="minimum", **common))
    return made


def _laid(ground: Relief, points: np.ndarray) -> np.ndarray:
    """Those of the points (k, 2) that lie in the view, on the ground: (l, 3)."""
    points = np.column_stack([points, ground.under(points) + LIFT * ground.span])
    return points[np.isfinite(points).all(axis=1)]


def _layout(ground: Relief, axes: list[str], title: str, caption: str) -> dict[str, Any]:
    ticks, texts = _ticks(ground)
    width, depth = np.ptp(ground.x), np.ptp(ground.y)
    longest = max(width, depth)
    # One unit as long on both axes, unless the box would become a wall.
    ratio = {"x": max(width / longest, 0.4), "y": max(depth / longest, 0.4), "z": 0.5}
    low, top = np.nanmin(ground.heights), np.nanmax(ground.heights)
    lines = [f"<sup>{line}</sup>" for line in textwrap.wrap(_plain(caption), 130)]
    pale = {"showbackground": False, "gridcolor": "#d9dee4", "zeroline": False}
    return {
        "template": "none",
        "meta": {"log": ground.levels.log, "floor": ground.levels.floor},  # with which heights are losses again
        "title": {"text": "<br>".join([html.escape(title), *lines]), "x": 0.02, "automargin": False,
                  "yref": "paper", "y": 1, "yanchor": "bottom", "pad": {"b": 20}},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "margin": {"l": 0, "r": 0, "t": 42 + 18 * len(lines), "b": 0},
        "legend": {"x": 1.0, "y": 1.0, "xanchor": "right", "itemsizing": "constant", "tracegroupgap": 2},
        "scene": {
            "xaxis": {"title": {"text": axes[0]}, "range": [ground.x[0], ground.x[-1]], **pale},
            "yaxis": {"title": {"text": axes[1]}, "range": [ground.y[0], ground.y[-1]], **pale},
            "zaxis": {"title": {"text": ground.levels.label}, "range": [low, top + 0.1 * ground.span],
                      "tickvals": ticks, "ticktext": texts, **pale},
            "aspectmode": "manual",
            "aspectratio": ratio,
            "camera": {"eye": {"x": -0.45, "y": -1.05, "z": 1.4}, "center": {"x": 0, "y": 0, "z": -0.1}},
            "domain": {"x": [0, 0.8], "y": [0, 1]},
        },
    }  # fmt: skip


def _ticks(ground: Relief) -> tuple[list[float], list[str]]:
    """Heights to mark, and the losses there in words."""
    low, high = np.nanmin(ground.heights), np.nanmax(ground.heights)
    if not ground.levels.log:
        values = ground.levels.values[:: -(-len(ground.levels.values) // 7)]
        return values.tolist(), [f"{value:.4g}" for value in values]
    decades = np.arange(np.ceil(low - 1e-9), np.floor(high + 1e-9) + 1)
    decades = decades[:: -(-len(decades) // 7) or 1]
    return decades.tolist(), [f"10{str(int(k)).translate(_SUPERSCRIPTS)}" for k in decades]


def _plain(label: str) -> str:
    """A label in HTML, without Matplotlib's mathematics: $x_{1}$ becomes x with a subscript."""
    label = html.escape(label)
    return re.sub(r"\$([^$_]*)(?:_\{?([^$}]*)\}?)?\$", lambda m: m[1] + (f"<sub>{m[2]}</sub>" if m[2] else ""), label)


def _rounded(values: np.ndarray, whole: float, digits: int = 5) -> list[Any]:
    """The values to so many digits of the `whole` of which they are a part: what no screen shows takes no room."""
    return np.round(values, max(0, digits - math.floor(math.log10(whole)))).tolist()


def _losses(values: np.ndarray) -> list[Any]:
    """Five significant digits; infinity and NaN, which JSON lacks, in words."""
    return [float(f"{value:.5g}") if math.isfinite(value) else str(value) for value in values.tolist()]
