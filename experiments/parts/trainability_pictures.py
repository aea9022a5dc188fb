"""The pictures of `experiments/stability_boundary.py`: the plane of the two rates, pixel by pixel, and box counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm

from experiments.parts.panels import panels, tidy
from experiments.parts.trainability import Window, box_counts, edge_of
from optviz.plotting import style

DPI = 150  # what pictures are saved at, so that pixels of the plane are pixels of the file
SIDE = 1000  # pixels of the file along a side, about
_SHADES = 10  # of each scale; with more of them a picture of noise is a large file


class Scale(NamedTuple):
    """How a number of the runs becomes a colour."""

    variable: str
    label: str
    colours: ListedColormap


_CONVERGED = Scale(
    "mean_loss", "converged: mean loss / first loss", ListedColormap(colormaps["Blues_r"](np.linspace(0, 0.9, _SHADES)))
)
_DIVERGED = Scale(
    "steps_held", "diverged: steps at the first loss", ListedColormap(colormaps["YlOrRd"](np.linspace(0, 1, _SHADES)))
)


def draw_plane(view: Any, inner: Window | None = None) -> Any:
    """A pixel for every run: blue where it converged, dark if fast, yellow to red where it diverged, pale if fast.

    `inner` is the window of the next picture, drawn as a frame.
    """
    points, told = view.sizes["first_rate"], view.attrs
    figure, ax, beside = _axes(max(1, SIDE // points) * points / DPI)
    pixels, diverged = np.zeros((points, points, 4)), view.diverged.values
    for bar, scale, where in zip(beside, (_CONVERGED, _DIVERGED), (~diverged, diverged), strict=True):
        norm = _norm(view[scale.variable].values[where])
        pixels[where] = scale.colours(norm(view[scale.variable].values[where]))
        figure.colorbar(ScalarMappable(norm, scale.colours), cax=bar, label=scale.label)
    window = Window(*(told[name] for name in Window._fields))
    ax.imshow((255 * pixels).astype(np.uint8), origin="lower", extent=_extent(window), interpolation="nearest")
    if inner is not None:
        left, right, low, high = _extent(inner)
        ax.plot([left, right, right, left, left], [low, low, high, high, low], color="black", lw=1.2)
    ax.set_xlabel("log10 of the first layer's learning rate")
    ax.set_ylabel("log10 of the second layer's learning rate")
    caption = (
        f"a two-layer tanh network, full-batch gradient descent, {told['num_steps']} steps from the same weights · "
        f"{points} × {points} runs"
    )
    style.heading(ax, f"Which learning rates train, {window.decades:.3g} decades across", caption)
    return ax


def _axes(side: float) -> tuple[Any, Any, list[Any]]:
    """A square of `side` inches, so that its pixels are those of the file, and room for two scales beside it."""
    import matplotlib.pyplot as plt

    width, height = side + 2.2, side + 1.3
    figure = plt.figure(figsize=(width, height))
    ax = figure.add_axes((0.9 / width, 0.6 / height, side / width, side / height))
    bars = [(side + 1.05) / width, 0.15 / width, 0.46 * side / height]
    beside = [figure.add_axes((bars[0], (0.6 + shift * side) / height, bars[1], bars[2])) for shift in (0.0, 0.54)]
    return figure, ax, beside


def _norm(values: np.ndarray) -> LogNorm:
    """Logarithmic, from the lowest to the highest percent of the values."""
    low, high = np.percentile(values, (1, 99)) if values.size else (1.0, 10.0)
    return LogNorm(low, high if high > low else 1.01 * low, clip=True)


def _extent(window: Window) -> tuple[float, float, float, float]:
    x, y, half = math.log10(window.first_rate), math.log10(window.second_rate), window.decades / 2
    return x - half, x + half, y - half, y + half


def draw_box_counts(views: Mapping[str, Any]) -> Any:
    """How many boxes hold some of the edge, over the side of the boxes, and what a line and an area would have."""
    caption = "boxes of 1, 2, 4, ... pixels that hold some of the edge, over those of one pixel"
    (ax,) = panels(1, "The edge at all sizes of boxes", caption, size=(5.0, 3.6))
    names = [name.replace("_", " ") for name in views]
    sides = np.ones(1)
    for (name, color), view in zip(style.colours(names).items(), views.values(), strict=True):
        sides, counts = box_counts(edge_of(view.diverged.values))
        ax.plot(sides, counts / max(counts[0], 1), ".-", color=color, lw=1.2, label=name)
    for power, label in ((1, "a line: power 1"), (2, "an area: power 2")):
        ax.plot(sides, 1.0 / sides**power, color="0.4", lw=0.9, ls=":", label=label)
    tidy(ax, "side of a box, pixels", "share of boxes", x="log", y="log")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax
