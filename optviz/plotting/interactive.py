"""Runs on their surface in three dimensions, to turn and to play, on one page that needs no network."""

from __future__ import annotations

import html
import json
import math
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from optviz.plotting import style
from optviz.plotting.files import checked_path, replacing
from optviz.plotting.planes import on_plane, view
from optviz.plotting.surfaces3d import height
from optviz.plotting.trajectories import drawn_name
from surfaces.base import as_surface
from surfaces.contours import Levels, Range, known_minimum, level_grid, light_map, suitable_levels

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_LIFT = 0.008  # how far the paths lie above the surface, as a share of its height
_PIECE = 0.01  # of the side of the view: how finely a path follows the surface,
_MOST_PIECES = 1000  # but with no more points than this between those of the path
_EDGE = 1e-9  # of the side of the view: what rounding may put outside
_PAGE = Path(__file__).with_name("interactive.html")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Relief(NamedTuple):
    """A surface as it is drawn in three dimensions."""

    x: np.ndarray
    y: np.ndarray
    losses: np.ndarray
    """(len(y), len(x))"""
    heights: np.ndarray
    """(len(y), len(x)): losses, or powers of ten of those above the minimum; NaN where not finite."""
    levels: Levels

    def under(self, points: np.ndarray) -> np.ndarray:
        """The height of the surface at points (k, 2), linear between those of the grid; NaN outside."""
        (i, u), (j, v) = _cell(self.y, points[:, 1]), _cell(self.x, points[:, 0])
        low, high = (self.heights[k, j] * (1 - v) + self.heights[k, j + 1] * v for k in (i, i + 1))
        return low * (1 - u) + high * u

    @property
    def span(self) -> float:
        """The highest height less the lowest; 1 for a level surface."""
        return float(np.nanmax(self.heights) - np.nanmin(self.heights)) or 1.0


class Track(NamedTuple):
    """A path laid on a relief: its own points, and more between them where it takes long steps."""

    points: np.ndarray
    """(k, 3): x, y and height; NaN outside the view."""
    steps: np.ndarray
    """(k,): the number of steps after which a point is reached."""
    losses: np.ndarray
    """(k,): the run's own."""
    between: np.ndarray
    """(k,): whether a point lies between two points of the path; its loss is that of the second."""
    left: int | None
    """The first step at which the path is outside the view."""


def relief(surface: Callable[..., Any], x_range: Range, y_range: Range, resolution: int = 100) -> Relief:
    """The surface on a grid, logarithmic where its losses span decades."""
    surface = as_surface(surface)
    x, y, losses = level_grid(surface, x_range, y_range, resolution)
    levels = suitable_levels(losses, known_minimum(surface))
    heights = np.where(np.isfinite(losses), height(levels, losses), np.nan)
    return Relief(x, y, losses, heights, levels)


def track(ground: Relief, path: np.ndarray, losses: np.ndarray, steps: np.ndarray) -> Track:
    """A path (T + 1, 2) with its losses and steps (T + 1,), laid on the ground.

    Its height is that of the ground as drawn, not of the losses: so it is not hidden where the grid cannot resolve
    a narrow valley, and does not float where a plane shows a run in more dimensions.
    """
    low, high = (np.array([ground.x[end], ground.y[end]]) for end in (0, -1))
    place = places(path, low, high)
    after = np.ceil(place).astype(int)
    flat = np.column_stack([np.interp(place, np.arange(len(path)), column) for column in path.T])
    inside = ((flat >= low - _EDGE * (high - low)) & (flat <= high + _EDGE * (high - low))).all(axis=1)
    flat = np.where(inside[:, None], np.clip(flat, low, high), np.nan)
    raised = np.column_stack([flat, ground.under(flat) + _LIFT * ground.span])
    out = ~inside & (place == after)
    left = int(steps[after[np.argmax(out)]]) if out.any() else None
    return Track(raised, np.asarray(steps)[after], np.asarray(losses)[after], place != after, left)


def places(path: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where on a path (T + 1, 2) to draw points, so that the line between them can follow a surface.

    They count in points of the path: k + 0.5 is half way from point k to the next. They are all its points, those at
    which it enters or leaves the box between `low` and `high`, and inside it some more on long moves.
    """
    start, move = path[:-1], np.diff(path, axis=0)
    with np.errstate(all="ignore"):
        ends = (low - _EDGE * (high - low) - start) / move, (high + _EDGE * (high - low) - start) / move
        enter = np.maximum(np.minimum(*ends).max(axis=1), 0)
        leave = np.minimum(np.maximum(*ends).min(axis=1), 1)
        lengths = (leave - enter) * np.max(np.abs(move) / (high - low), axis=1)
    seen = np.flatnonzero(lengths > 0)
    piece = max(_PIECE, lengths[seen].sum() / _MOST_PIECES)
    between = [k + np.linspace(enter[k], leave[k], math.ceil(lengths[k] / piece) + 1) for k in seen]
    return np.unique(np.concatenate([np.arange(len(path)), *between]))


def interactive_3d(
    traces: Any,
    surface: Callable[..., Any] | None = None,
    x_range: Range | None = None,
    y_range: Range | None = None,
    *,
    plane: Any = None,
    resolution: int = 100,
) -> Figure:
    """The runs on their surface in three dimensions, as a Plotly figure; `save_interactive_3d` adds a step slider.

    Heights are losses, logarithmic above the minimum where they span decades. A path that leaves the view is drawn
    only where it is inside, and the legend says when it left.

    Args:
      traces: one run or several.
      surface: the surface to draw; the first run's if None.
      x_range, y_range, plane: what to show, as in `plot_trajectory`.
      resolution: grid points per axis of the surface, which is stored once.

    Raises:
      ValueError: for a range or a plane that cannot be meant.
    """
    import plotly.graph_objects as go

    traces = style.as_traces(traces)
    drawn = on_plane(traces, None if surface is None else as_surface(surface), plane)
    ground = relief(drawn.surface, *view(drawn, x_range, y_range), resolution)
    curves = jax.device_get([(trace.losses, trace.path_index) for trace in traces])
    tracks = [track(ground, p, np.asarray(c[0], float), c[1]) for p, c in zip(drawn.paths, curves, strict=True)]
    axes = [_plain(label) for label in drawn.labels]
    figure = go.Figure(
        [
            _ground_trace(ground, axes),
            *_path_traces(traces, tracks, ground, axes),
            *_mark_traces(ground, drawn),
        ]
    )
    captions = filter(None, (style.what_was_equal(traces), drawn.caption))
    who = traces[0].name if len(traces) == 1 else f"{len(traces)} optimizers"
    return figure.update_layout(_layout(ground, axes, f"{who} on {drawn_name(drawn)}", _plain(" · ".join(captions))))


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
      ValueError: for another kind of file, and as `interactive_3d`.
      FileNotFoundError: for a folder that does not exist.
    """
    path = checked_path(filename, (".html",))
    page = _page(figure if hasattr(figure, "to_json") else interactive_3d(figure, **options), compress)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return path


def _cell(grid: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell of the grid in which each value lies, and where in it, from 0 to 1; NaN outside."""
    inside = (values >= grid[0]) & (values <= grid[-1])
    place = np.where(inside, (values - grid[0]) / (grid[1] - grid[0]), 0.0)
    cell = np.minimum(place.astype(int), len(grid) - 2)
    return cell, np.where(inside, place - cell, np.nan)


def _ground_trace(ground: Relief, axes: list[str]) -> Any:
    import plotly.graph_objects as go
    from matplotlib.colors import to_hex

    colours = [[share, to_hex(light_map()(share))] for share in np.linspace(0, 1, 9)]
    ticks, texts = _ticks(ground)
    label = ground.levels.label
    return go.Surface(
        x=_rounded(ground.x, np.ptp(ground.x)),
        y=_rounded(ground.y, np.ptp(ground.y)),
        z=_rounded(ground.heights, ground.span, 4),
        customdata=[_losses(row) for row in ground.losses],
        colorscale=colours,
        colorbar={
            "title": {"text": label, "side": "right"},
            "tickvals": ticks,
            "ticktext": texts,
            "len": 0.6,
            "thickness": 12,
        },
        contours={"z": _lines(ground)},
        lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.05, "roughness": 0.9},
        hovertemplate=_hover(axes),
        name="surface",
    )


def _lines(ground: Relief) -> dict[str, Any]:
    """Level lines at every tick."""
    ticks, _ = _ticks(ground)
    step = float(ticks[1] - ticks[0]) if len(ticks) > 1 else ground.span
    return {
        "show": True,
        "start": float(ticks[0]),
        "end": float(ticks[-1]),
        "size": step,
        "color": "white",
        "width": 1,
    }


def _path_traces(traces: list[Any], tracks: list[Track], ground: Relief, axes: list[str]) -> list[Any]:
    """For every run its path, and after it a mark at its end; the page moves both."""
    import plotly.graph_objects as go

    names = style.labels(traces)
    colours = style.colours(names)
    made = []
    for name, trace, one in zip(names, traces, tracks, strict=True):
        columns = _columns(ground, one)
        line = {"color": colours[name], "width": 4}
        mark = {"size": 5, "color": colours[name], "line": {"color": "white", "width": 1}}
        label, meta = _fate(style.legend_label(name, trace), one), {"role": "path", "label": name}
        made.append(go.Scatter3d(mode="lines", line=line, name=label, meta=meta, legendgroup=name, **columns))
        end = {key: column[-1:] for key, column in columns.items()}
        made.append(go.Scatter3d(mode="markers", marker=mark, name=name, showlegend=False, legendgroup=name, **end))
        for one_of_two in made[-2:]:
            one_of_two.hovertemplate = _hover(axes, "%{text}", html.escape(name))
    return made


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


def _hover(axes: list[str], step: str = "", name: str = "") -> str:
    who = f"<b>{name}</b>, step {step}<br>" if name else ""
    return f"{who}{axes[0]} %{{x:.4g}}<br>{axes[1]} %{{y:.4g}}<br>loss %{{customdata:.4g}}<extra></extra>"


def _fate(label: str, one: Track) -> str:
    return html.escape(label) + ("" if one.left is None else f"<br><i>leaves the view at step {one.left}</i>")


def _mark_traces(ground: Relief, drawn: Any) -> list[Any]:
    """The starting points and the known minima."""
    import plotly.graph_objects as go

    starts = np.unique([path[0] for path in drawn.paths], axis=0)
    made = []
    for name, points, symbol in (("start", starts, "circle"), ("minimum", drawn.minima, "diamond")):
        heights = ground.under(points) + _LIFT * ground.span
        points = np.column_stack([points, heights])[np.isfinite(heights)]
        if len(points):
            mark = {"size": 6, "symbol": symbol, "color": "white", "line": {"color": "black", "width": 2}}
            x, y, z = points.T.tolist()
            made.append(go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=mark, name=name, hoverinfo="name"))
    return made


def _layout(ground: Relief, axes: list[str], title: str, caption: str) -> dict[str, Any]:
    ticks, texts = _ticks(ground)
    width, depth = np.ptp(ground.x), np.ptp(ground.y)
    longest = max(width, depth)
    # One unit as long on both axes, unless the box would become a wall.
    ratio = {"x": max(width / longest, 0.4), "y": max(depth / longest, 0.4), "z": 0.5}
    low, top = np.nanmin(ground.heights), np.nanmax(ground.heights)
    pale = {"showbackground": False, "gridcolor": "#d9dee4", "zeroline": False}
    return {
        "template": "none",
        "title": {"text": f"{html.escape(title)}<br><sup>{html.escape(caption)}</sup>", "x": 0.02},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "margin": {"l": 0, "r": 0, "t": 60, "b": 0},
        "legend": {"x": 1.0, "y": 1.0, "xanchor": "right", "itemsizing": "constant", "tracegroupgap": 2},
        "scene": {
            "xaxis": {"title": {"text": axes[0]}, "range": [ground.x[0], ground.x[-1]], **pale},
            "yaxis": {"title": {"text": axes[1]}, "range": [ground.y[0], ground.y[-1]], **pale},
            "zaxis": {"title": {"text": ground.levels.label}, "range": [low, top + 0.1 * ground.span],
                      "tickvals": ticks, "ticktext": texts, **pale},
            "aspectmode": "manual",
            "aspectratio": ratio,
            "camera": {"eye": {"x": -0.3, "y": -1.15, "z": 1.2}, "center": {"x": 0, "y": 0, "z": -0.12}},
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
    return decades.tolist(), [
        f"10{int(k)}".replace(f"10{int(k)}", "10" + str(int(k)).translate(_SUPERSCRIPTS)) for k in decades
    ]


def _plain(label: str) -> str:
    """A label without Matplotlib's mathematics: $x_{1}$ becomes x with a subscript of HTML."""
    return re.sub(r"\$([^$_]*)(?:_\{?([^$}]*)\}?)?\$", lambda m: m[1] + (f"<sub>{m[2]}</sub>" if m[2] else ""), label)


def _rounded(values: np.ndarray, whole: float, digits: int = 5) -> list[Any]:
    """The values to so many digits of the `whole` of which they are a part: what no screen shows takes no room."""
    return np.round(values, max(0, digits - math.floor(math.log10(whole)))).tolist()


def _losses(values: np.ndarray) -> list[Any]:
    """Five significant digits; infinity and NaN, which JSON lacks, in words."""
    return [float(f"{value:.5g}") if math.isfinite(value) else str(value) for value in values.tolist()]


def _page(figure: Any, compress: bool) -> str:
    """The page of the template with the library and the figure in it."""
    from plotly.offline import get_plotlyjs

    stored = json.loads(figure.to_json())
    title = re.sub("<.*", "", stored["layout"].get("title", {}).get("text", "optviz"))
    text = json.dumps({**stored, "steps": _shared_steps(stored["data"])}, separators=(",", ":"))
    if compress:
        library = f'<script id="library" type="text/gzip">{_packed(get_plotlyjs())}</script>'
        kind, text = "text/gzip", _packed(text)
    else:
        library, kind, text = (
            f"<script>{get_plotlyjs()}</script>",
            "application/json",
            text.replace("<", "\\u003c"),
        )
    parts = {"TITLE": title, "LIBRARY": library, "FIGURE_TYPE": kind, "FIGURE": text}
    return re.sub(r"__([A-Z_]+?)__", lambda match: parts[match[1]], _PAGE.read_text(encoding="utf-8"))


def _shared_steps(traces: list[dict[str, Any]]) -> list[list[int]]:
    """The steps of the paths, each different list once; the traces keep the number of theirs."""
    lists: list[list[int]] = []
    for trace in traces:
        if trace.get("meta", {}).get("role") == "path":
            steps = [int(step) for step in trace["text"]]
            if steps not in lists:
                lists.append(steps)
            trace["text"] = lists.index(steps)
    return lists


def _packed(text: str) -> str:
    """A text compressed and written in seven bits a character, for `unpacked` of the page; base64 has six."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16: with the header of gzip
    squeezed = compressor.compress(text.encode()) + compressor.flush()
    bits = np.unpackbits(np.frombuffer(squeezed, np.uint8))
    sevens = np.pad(bits, (0, -len(bits) % 7)).reshape(-1, 7)
    characters = (np.packbits(sevens, axis=1) >> 1).tobytes().decode("ascii")
    return characters.translate({code: chr(256 + code) for code in b"\0\r<"})
