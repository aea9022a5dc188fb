"""What the pictures of experiments share: names, panels under one heading, and the look of each panel."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from optviz import OptimizerSpec
from optviz.plotting import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def told_apart(optimizers: Sequence[Any]) -> list[Any]:
    """The optimizers, those that share a name renamed after what they differ in."""
    names = style.labels([SimpleNamespace(name=o.name, optimizer=o) for o in optimizers])
    return [
        o if name == o.name else OptimizerSpec(o.factory, name, **o.hyperparameters, **dict(o.options))
        for o, name in zip(optimizers, names, strict=True)
    ]


def panels(count: int, title: str, caption: str, *, columns: int = 4, size: tuple[float, float] = (3.0, 2.6)) -> Any:
    """Axes for `count` panels of `size` inches on a new figure, `(count,)`, under a title and a line in small type."""
    import matplotlib.pyplot as plt

    columns = min(columns, count)
    rows = -(-count // columns)
    width = size[0] * columns + 0.6
    lines = textwrap.wrap(caption, int(19 * width))
    head = 0.28 + 0.14 * len(lines)
    height = size[1] * rows + head
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - head / height))
    for unused in axes.flat[count:]:
        figure.delaxes(unused)
    figure.text(0.01, 1 - 0.06 / height, title, fontsize=10, va="top")
    figure.text(0.01, 1 - 0.26 / height, "\n".join(lines), fontsize=7.5, color="0.35", va="top")
    return axes.flat[:count]


def tidy(ax: Axes, xlabel: str, ylabel: str, *, x: str = "linear", y: str = "linear", title: str = "") -> None:
    """Labels, scales, a light grid, and no frame at the top and at the right."""
    ax.set_xscale(x)
    ax.set_yscale(y)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_title(title, loc="left", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)


def draw_lines(ax: Axes, x: Any, lines: Mapping[str, Any], *, named: bool = True, **look: Any) -> None:
    """A line `(n,)` for every name over `x` `(n,)`, in the colour of the name; what is not finite is left out.

    Each is thinner than the one before, so that lines that coincide are all seen.
    """
    widths = np.linspace(1.1 + 0.3 * len(lines), 1.4, len(lines))
    for (name, color), width in zip(style.colours(lines).items(), widths, strict=True):
        values = np.asarray(lines[name], float)
        seen = np.where(np.isfinite(values), values, np.nan)
        ax.plot(x, seen, **{"color": color, "linewidth": width, **look, "label": name if named else ""})


def theory(ax: Axes, x: Any, y: Any, label: str, color: str = "0.25") -> None:
    """A prediction: a dashed line over the data."""
    ax.plot(*np.broadcast_arrays(x, y), color=color, linewidth=1.1, linestyle=(0, (4, 2)), zorder=4, label=label)
