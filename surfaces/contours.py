"""Level sets: the values of a surface on a grid, levels that suit them, and the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from surfaces.base import LossSurface, as_surface, describe
from surfaces.wrappers import Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

Range = tuple[float, float]

MINIMUM = {"marker": "*", "markersize": 12, "markerfacecolor": "white", "markeredgecolor": "black"}
_DECADES_APART = 50.0  # the ratio of high to low values from which even levels would leave a valley empty
_EQUAL = (0.4, 2.5)  # between these ratios of height to width, a unit is as long on both axes
_LARGE = 100_000  # parameters of a network
_DEEPEST = 1e-9  # the lowest level, as a share of the highest: below it lies rounding


class Levels(NamedTuple):
    """The levels to draw: of the loss itself, or on a logarithmic scale of its excess over `floor`."""

    values: np.ndarray
    """(L,) ascending: losses, or positive excesses if `log`."""
    floor: float
    """What is subtracted from the loss before it is drawn: 0 unless `log`."""
    log: bool
    label: str
    """What the values are, in words."""

    def heights(self, z: np.ndarray) -> np.ndarray:
        """The losses as drawn: if `log`, what lies below the lowest level is raised to it."""
        return np.maximum(z - self.floor, self.values[0]) if self.log else z


def level_grid(
    surface: Callable[..., Any],
    x_range: Range | None = None,
    y_range: Range | None = None,
    resolution: int = 200,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The losses of a two-parameter surface on a grid of `resolution` by `resolution` points.

    Ranges left out are the surface's domain. A stochastic surface gives its expectation.

    Returns:
      x (n,), y (m,) and z (m, n), on the host: `z[i, j]` is the loss at `(x[j], y[i])`, be it finite or not.

    Raises:
      ValueError: for a surface of other than two parameters, a range that is none, or a plain function
        without ranges.
    """
    surface = as_surface(surface)
    x_range, y_range = ranges(surface, x_range, y_range)
    x, y = np.linspace(*x_range, resolution), np.linspace(*y_range, resolution)
    dtype = jnp.result_type(float)
    return x, y, np.asarray(_values(surface, jnp.asarray(x, dtype), jnp.asarray(y, dtype)), float)


def losses_at(surface: LossSurface, points: np.ndarray) -> np.ndarray:
    """The losses at points (T, 2), as they are on the grid: (T,), NaN where a point is not finite."""
    # Padded, so that paths of all lengths share a few compiled programs.
    padded = np.concatenate([points, np.full((-len(points) % 1024, 2), np.nan)])
    return np.asarray(_at_points(surface, jnp.asarray(padded, jnp.result_type(float))), float)[: len(points)]


def ranges(surface: LossSurface, x_range: Range | None, y_range: Range | None) -> tuple[Range, Range]:
    """The two ranges, checked; what is left out is the surface's domain."""
    domain = plane_domain(surface)
    if domain is None and (x_range is None or y_range is None):
        raise ValueError(f"{surface.name} is a plain function and has no domain; give x_range and y_range.")
    default_x, default_y = domain or (None, None)
    return (
        _checked_range("x_range", default_x if x_range is None else x_range),
        _checked_range("y_range", default_y if y_range is None else y_range),
    )


def plane_domain(surface: LossSurface) -> tuple[Range, Range] | None:
    """The ranges of the domain of a two-parameter surface; None for a plain function, which has none.

    Raises:
      ValueError: for a surface of other than a vector of two numbers.
    """
    try:
        lower, upper = jax.device_get(surface.domain)
    except AttributeError:
        return None
    if np.shape(lower) != (2,):
        raise ValueError(
            f"Level sets are drawn of surfaces of a vector of two numbers; {surface.name} takes "
            f"{describe(lower)}. Take a plane through it first, with Slice.coordinates or Slice.through."
        )
    return (float(lower[0]), float(upper[0])), (float(lower[1]), float(upper[1]))


def known_minimum(surface: LossSurface) -> float | None:
    """The lowest loss there is, if known; a slice may stay above it."""
    while isinstance(surface, Slice):
        surface = surface.surface
    minimum = surface.minimum_value
    return None if minimum is None else float(minimum)


def suitable_levels(
    z: np.ndarray,
    minimum: float | None = None,
    levels: int | Sequence[float] = 16,
    log: bool | None = None,
) -> Levels:
    """Levels for the losses `z`: at most about `levels`, or those given as losses.

    Without `log` given they are logarithmic where the losses span decades above the `minimum`; where that is
    not known, above the lowest of `z`.
    """
    finite = np.ravel(z)[np.isfinite(np.ravel(z))]
    if not finite.size:
        raise ValueError("The surface is finite nowhere in this range: there are no levels to draw.")
    floor = float(finite.min()) if minimum is None else min(minimum, float(finite.min()))
    excess = finite - floor
    low, high = np.quantile(excess, [0.05, 0.95])
    if log is None:
        log = bool(high > _DECADES_APART * low and high > 0)
    given = None if isinstance(levels, int | np.integer) else np.unique(np.asarray(levels, float))
    if not log:
        values = _even(finite.min(), finite.max(), levels) if given is None else given
        return Levels(values, 0.0, False, "loss")
    values = _logarithmic(excess, levels) if given is None else given[given > floor] - floor
    if not values.size:
        raise ValueError(f"Logarithmic levels must lie above the lowest loss, {floor:g}; none of these does.")
    return Levels(values, floor, True, _excess_label(minimum, floor))


def plot_contours(
    surface: Callable[..., Any],
    x_range: Range | None = None,
    y_range: Range | None = None,
    ax: Axes | None = None,
    *,
    levels: int | Sequence[float] = 16,
    log: bool | None = None,
    resolution: int = 200,
    colorbar: bool | None = None,
    minima: bool = True,
    cmap: str | Colormap | None = None,
) -> Axes:
    """Draw the level sets of a two-parameter surface, with a star at every known minimum.

    Args:
      surface: a `LossSurface` or a plain function of a vector of two numbers. For more parameters, take a
        plane first: `Slice.coordinates`, `Slice.random`, `Slice.through`.
      x_range, y_range: what to show; the surface's domain where left out.
      ax: where to draw; a new figure if None.
      levels: about how many, or the losses themselves.
      log: whether the levels of the loss above its minimum are logarithmic; chosen by the values if None.
      resolution: grid points per axis.
      colorbar: whether to explain the colours; if None, only on a new figure.
      minima: whether to mark the known minima.
      cmap: another colour map than the light one on which paths stand out.

    Returns:
      The Axes.

    Raises:
      ValueError: as `level_grid`.
    """
    surface = as_surface(surface)
    x, y, z = level_grid(surface, x_range, y_range, resolution)
    chosen = suitable_levels(z, known_minimum(surface), levels, log)
    colorbar = ax is None if colorbar is None else colorbar
    axes = _new_axes(x, y) if ax is None else ax
    filled = _draw_levels(axes, x, y, z, chosen, cmap)
    if colorbar:
        _draw_colorbar(axes, filled, chosen)
    if minima and surface.minima:
        axes.plot(*np.asarray(jax.device_get(surface.minima)).T, linestyle="none", zorder=4, **MINIMUM)
    _frame(axes, (x[0], x[-1]), (y[0], y[-1]))
    axes.set_xlabel("$x_1$")
    axes.set_ylabel("$x_2$")
    return axes


@cache
def light_map() -> Colormap:
    """White valleys to blue-grey heights, even in lightness and light enough for lines in any colour."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("optviz_light", ["#fdfdfe", "#dfe4ea", "#c1cad4", "#a2afbe"])


def _draw_levels(ax: Axes, x: Any, y: Any, z: Any, levels: Levels, cmap: Any) -> Any:
    """The filled level sets with thin lines between them; what is not finite stays empty."""
    heights = np.ma.masked_invalid(levels.heights(z))
    norm: Any = "log" if levels.log else None
    filled = ax.contourf(
        x,
        y,
        heights,
        levels.values,
        cmap=cmap or light_map(),
        norm=norm,
        extend=_beyond(heights, levels),
        zorder=0,
    )
    if len(levels.values) > 1:
        ax.contour(x, y, heights, levels.values[1:], colors="white", linewidths=0.5, alpha=0.9, zorder=1)
    return filled


def _beyond(heights: Any, levels: Levels) -> Any:
    """At which ends losses lie outside the levels, in Matplotlib's words."""
    below, above = heights.min() < levels.values[0], heights.max() > levels.values[-1]
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[int(below), int(above)]


def _draw_colorbar(ax: Axes, filled: Any, levels: Levels) -> None:
    # Inside the axes' own frame of reference it stays as high as they are, whatever their aspect.
    bar = ax.figure.colorbar(filled, cax=ax.inset_axes((1.02, 0, 0.03, 1)), label=levels.label)
    bar.outline.set_visible(False)  # type: ignore[operator]
    if levels.log:
        powers = np.log10(levels.values)
        decades = np.arange(np.ceil(powers[0] - 1e-9), np.floor(powers[-1] + 1e-9) + 1)
        bar.set_ticks([10.0**k for k in decades[:: -(-len(decades) // 8) or 1]])
        bar.ax.minorticks_off()


def _frame(ax: Axes, x_range: Range, y_range: Range) -> None:
    """Exactly these ranges, one unit as long on both axes unless the picture would become a strip."""
    ax.set_xlim(*x_range)
    ax.set_ylim(*y_range)
    sides = (y_range[1] - y_range[0]) / (x_range[1] - x_range[0])
    ax.set_aspect("equal" if _EQUAL[0] <= sides <= _EQUAL[1] else "auto")


def _new_axes(x: np.ndarray, y: np.ndarray) -> Axes:
    """Axes on a new figure as high as the picture needs."""
    import matplotlib.pyplot as plt

    sides = np.ptp(y) / np.ptp(x)
    height = 3.9 * sides if _EQUAL[0] <= sides <= _EQUAL[1] else 3.2
    return plt.subplots(figsize=(5.2, min(height, 6.0) + 1.0), layout="compressed")[1]


def _checked_range(name: str, given: Any) -> Range:
    low, high = (float(end) for end in given)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"{name} must be (low, high), finite and ascending, got ({low:g}, {high:g}).")
    return low, high


def _logarithmic(excess: np.ndarray, count: Any) -> np.ndarray:
    """Powers of ten, or even parts of them, from the deepest values that take up room to the highest."""
    positive = excess[excess > 0]
    if not positive.size:
        return np.array([1.0, 10.0])
    high = positive.max()
    low = max(np.quantile(positive, 0.004), _DEEPEST * high)
    span = np.log10(high / low)
    parts = next((p for p in (10, 5, 4, 2, 1) if span * p <= count), 1 / np.ceil(span / count))
    exponents = np.arange(np.floor(np.log10(low) * parts), np.ceil(np.log10(high) * parts) + 1) / parts
    return 10.0**exponents


def _even(low: float, high: float, count: Any) -> np.ndarray:
    """Round numbers from below `low` to above `high`."""
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return np.array([low - 0.5, low + 0.5]) if abs(low) < 1e6 else np.array([0.9, 1.1]) * abs(low)
    rough = (high - low) / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    return step * np.arange(np.floor(low / step), np.ceil(high / step) + 1)


def _excess_label(minimum: float | None, floor: float) -> str:
    if floor == 0:
        return "loss"
    return "loss − minimum" if minimum is not None else "loss − lowest shown"


@jax.jit
def _values(surface: LossSurface, x: Float[Array, " n"], y: Float[Array, " m"]) -> Float[Array, "m n"]:
    """Row by row, or point by point for a large network, since every point of a row has a copy of the weights."""
    size = sum(leaf.size for leaf in jax.tree.leaves(surface.origin)) if isinstance(surface, Slice) else 2
    row = None if size > _LARGE else len(x)
    return jax.lax.map(lambda v: jax.lax.map(lambda u: surface(jnp.stack([u, v])), x, batch_size=row), y)


@jax.jit
def _at_points(surface: LossSurface, points: Float[Array, "T 2"]) -> Float[Array, " T"]:
    return jax.lax.map(surface, points, batch_size=128)
