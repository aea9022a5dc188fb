"""Sweeps over one hyperparameter: a metric against it, and how wide the range of its good values is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray
from matplotlib.patches import Rectangle

from optviz import metrics
from optviz.plotting import style
from optviz.plotting.comparison import value_limits
from optviz.plotting.swept import (
    BEST,
    SEED,
    by_factors,
    each_setting,
    good_region,
    judged,
    line_colours,
    new_axes,
    of_metric,
    over_seeds,
    suits_log,
    title,
    varying,
    what_was_equal,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAND = (0.1, 0.9)
_LABELLED = 8  # the most lines of a sequential colour that all have an entry in the legend


class RateCurve(NamedTuple):
    """A metric against a hyperparameter at the `n` values that were run; infinite where it is no finite number."""

    label: str
    rates: np.ndarray
    """(n,), ascending."""
    median: np.ndarray
    """(n,), over the seeds, as all that follow."""
    low: np.ndarray
    """(n,), the 10 % quantile."""
    high: np.ndarray
    """(n,), the 90 % quantile."""
    diverged: np.ndarray
    """(n,), the share of seeds that diverged."""

    @property
    def marked(self) -> bool:
        """Whether there is something to mark in the strip at the top."""
        return bool((self.diverged > 0).any() or np.isinf(self.median).any())


def rate_curves(swept: xarray.Dataset, metric: str = "final_loss", over: str = "learning_rate") -> list[RateCurve]:
    """The curves of `plot_rate_curve`: one for every combination of the other dimensions, seeds summed up."""
    swept = of_metric(swept, metric, over)
    values, diverged = judged(swept.sortby(over), metric)
    share = diverged.mean(SEED) if SEED in diverged.dims else diverged
    columns = [*(over_seeds(values, q) for q in (0.5, *_BAND)), share]
    curves = []
    for name, at in each_setting(swept, varying(swept, over)):
        rows = [column.isel(at).values.ravel() for column in columns]
        run = ~np.isnan(rows[0])
        curves.append(RateCurve(name, np.sort(swept[over].values)[run], *(row[run] for row in rows)))
    return curves


def plot_rate_curve(
    swept: xarray.Dataset, ax: Axes | None = None, *, metric: str = "final_loss", over: str = "learning_rate"
) -> Axes:
    """Draw a metric against the learning rate or another hyperparameter, a line per setting of all others.

    A line is the median over the seeds, with a band from the 10 to the 90 % quantile. A run that diverged counts as
    infinite: the line leaves the picture where half of the seeds diverge, and each rate at which any does has a
    cross in the strip at the top, a triangle if the metric is infinite for another reason. A dot marks the best of
    each line. Both axes are logarithmic where their values call for it.

    Args:
      swept: what `sweep` returns; several sweeps may be put side by side by `xarray.concat`.
      ax: where to draw; a new figure if None.
      metric: drawn as it is; a loss is not taken above the minimum.
      over: the dimension of the rates.

    Returns:
      The Axes.

    Raises:
      TypeError, ValueError: for a metric or a dimension that cannot be meant.
    """
    swept = of_metric(swept, metric, over)
    curves = rate_curves(swept, metric, over)
    axes = new_axes(5.6, 3.6) if ax is None else ax
    heights = _frame(axes, curves)
    colors = line_colours(swept, [curve.label for curve in curves], varying(swept, over))
    named = set(np.linspace(0, len(curves) - 1, _LABELLED).astype(int)) if isinstance(colors, np.ndarray) else None
    for i, (curve, color, height) in enumerate(zip(curves, colors, heights, strict=True)):
        _draw_curve(axes, curve, color, height, curve.label if named is None or i in named else "")
    _explain_marks(axes, curves)
    axes.set_xlabel(words(over))
    axes.set_ylabel(words(metric))
    lines = [np.column_stack(_line(axes, curve, height)) for curve, height in zip(curves, heights, strict=True)]
    style.legend(axes, lines, widen=ax is None)
    band = "band 10 to 90 %" if swept.sizes.get(SEED, 1) > 1 else ""
    style.heading(axes, title(swept) or words(metric), " · ".join(p for p in (what_was_equal(swept), band) if p))
    return axes


def _frame(ax: Axes, curves: Sequence[RateCurve]) -> list[float]:
    """Scales, limits, and a strip at the top for what leaves them; the height of each curve's row in it."""
    values = [row[np.isfinite(row)] for curve in curves for row in (curve.median, curve.low, curve.high)]
    log = suits_log(values)
    ax.set_xscale("log" if by_factors(np.concatenate([curve.rates for curve in curves])) else "linear")
    ax.set_yscale("log" if log else "linear")
    ax.set_ylim(*value_limits(values, [False] * len(values), log))
    marked = [i for i, curve in enumerate(curves) if curve.marked]
    strip = min(0.03 + 0.035 * len(marked), 0.3) if marked else 0.0
    if marked:
        _reserve(ax, strip, any(map(len, values)))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)
    rows = {i: 1 - strip * (k + 0.5) / len(marked) for k, i in enumerate(marked)}
    return [_height(ax, rows.get(i, 1.0)) for i in range(len(curves))]


def _reserve(ax: Axes, strip: float, ticks: bool) -> None:
    """Raise the top of the axes by this share of their new height, without ticks there, or anywhere without `ticks`."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(top=_height(ax, 1 / (1 - strip)))
    for minor in (False, True):
        ax.set_yticks([t for t in ax.get_yticks(minor=minor) if ticks and bottom <= t <= top], minor=minor)
    ax.spines.left.set_bounds(bottom, top)
    ax.add_patch(Rectangle((0, 1 - strip), 1, strip, transform=ax.transAxes, color="0.94", lw=0, zorder=0))


def _height(ax: Axes, share: float) -> float:
    """The value at this share of the height of the axes."""
    return float(ax.transData.inverted().transform(ax.transAxes.transform((0.5, share)))[1])


def _line(ax: Axes, curve: RateCurve, height: float) -> tuple[np.ndarray, np.ndarray]:
    """The points of a line that goes to its row in the strip where it is infinite, and to the bottom below it."""
    return curve.rates, np.where(np.isinf(curve.median), height, np.maximum(curve.median, ax.get_ylim()[0]))


def _draw_curve(ax: Axes, curve: RateCurve, color: Any, height: float, name: str) -> None:
    rates, line = _line(ax, curve, height)
    low, high = (np.clip(row, *ax.get_ylim()) for row in (curve.low, curve.high))
    ax.fill_between(rates, low, high, where=np.isfinite(curve.low), color=color, alpha=0.18, lw=0, zorder=2)
    ax.plot(rates, line, color=color, lw=0.9, ls=":", zorder=2)
    finite = np.where(np.isfinite(curve.median), line, np.nan)
    ax.plot(rates, finite, color=color, lw=1.3, marker="o", ms=2.2, zorder=3, label=name)
    _draw_marks(ax, curve, color, height)
    if np.isfinite(curve.median).any():
        best = int(np.argmin(curve.median))
        ax.plot(rates[best], line[best], color=color, zorder=5, clip_on=False, **BEST)


def _draw_marks(ax: Axes, curve: RateCurve, color: Any, height: float) -> None:
    """Crosses where seeds diverged, the fainter the fewer, and triangles where the metric is infinite without that."""
    share = curve.diverged
    strengths = np.where(share > 0, 0.3 + 0.7 * share, 1.0)
    for marker, size, rows in (("x", 16, share > 0), ("^", 12, np.isinf(curve.median) & (share == 0))):
        if rows.any():
            mark: dict[str, Any] = {"marker": marker, "s": size, "lw": 1.1, "alpha": strengths[rows]}
            ax.scatter(curve.rates[rows], np.full(rows.sum(), height), color=color, zorder=4, clip_on=False, **mark)


def _explain_marks(ax: Axes, curves: Sequence[RateCurve]) -> None:
    """Entries of the legend for the marks that are there."""
    share = np.concatenate([curve.diverged for curve in curves])
    infinite = np.concatenate([np.isinf(curve.median) for curve in curves])
    diverged = "diverged (faint: some seeds)" if ((share > 0) & (share < 1)).any() else "diverged"
    marks = {
        "best": (not infinite.all(), {**BEST, "markerfacecolor": "0.6"}),
        diverged: ((share > 0).any(), {"marker": "x", "markersize": 4.5}),
        "not finite": ((infinite & (share == 0)).any(), {"marker": "^", "markersize": 4}),
    }
    for name, (there, mark) in marks.items():
        if there:
            ax.plot([], [], linestyle="none", color="0.35", label=name, **mark)


class Bar(NamedTuple):
    """The good region of one setting, as `good_region` found it."""

    label: str
    color: Any
    best: float
    low: float
    high: float
    decades: float
    cut: bool

    @property
    def text(self) -> str:
        """The width in words: at least so wide, where the region is cut off by an end of what was swept."""
        return "none is finite" if np.isnan(self.decades) else f"{'≥ ' if self.cut else ''}{self.decades:.1f} decades"


def sensitivity_bars(swept: xarray.Dataset, over: str, metric: str, factor: float, tolerance: float) -> list[Bar]:
    """The bars of `plot_sensitivity`, the widest first."""
    swept = of_metric(swept, metric, over)
    found = good_region(swept, over=over, metric=metric, factor=factor, tolerance=tolerance)
    dims = varying(swept, over)
    labels, places = zip(*each_setting(swept, dims), strict=True)
    colors = line_colours(swept, labels, dims)
    ends = [[found[name].isel(at).item() for name in Bar._fields[2:]] for at in places]
    bars = [Bar(name, color, *numbers) for name, color, numbers in zip(labels, colors, ends, strict=True)]
    return sorted(bars, key=lambda bar: -1.0 if np.isnan(bar.decades) else bar.decades, reverse=True)


def plot_sensitivity(
    swept: xarray.Dataset,
    ax: Axes | None = None,
    *,
    over: str = "learning_rate",
    metric: str = "final_loss",
    factor: float = 10.0,
    tolerance: float = metrics.DEFAULT_TOLERANCE,
) -> Axes:
    """Draw how wide the range of good values of a hyperparameter is: a bar per setting of the others.

    The widest is on top. A bar goes from the lowest to the highest good value, with a dot at the best and its width
    in decades at the right, "≥" where it reaches an end of what was swept. What is good, and the arguments: see
    `good_region`.

    Returns:
      The Axes.

    Raises:
      TypeError, ValueError: as `good_region`.
    """
    bars = sensitivity_bars(swept, over, metric, factor, tolerance)
    axes = new_axes(5.6, 1.3 + 0.3 * len(bars)) if ax is None else ax
    axes.set_xscale("log")
    for i, bar in enumerate(bars):
        axes.barh(i, bar.high - bar.low, 0.56, bar.low, color=bar.color, alpha=0.35, lw=0)
        axes.plot(bar.best, i, color=bar.color, **BEST)
        axes.annotate(bar.text, (1, i), (8, 0), axes.get_yaxis_transform(), textcoords="offset points", va="center")
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlim(float(swept[over].min()) / 1.1, float(swept[over].max()) * 1.1)
    axes.set_xlabel(words(over))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, axis="x", color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    good = f"good: {words(metric)} at most {factor:g} times the best of the row"
    if (swept[metric] <= 0).any():
        good += f", or within {tolerance:g} of a best that is not positive"
    caption = what_was_equal(of_metric(swept, metric, over))
    style.heading(axes, title(swept) or words(metric), " · ".join(p for p in (caption, good) if p))
    return axes
