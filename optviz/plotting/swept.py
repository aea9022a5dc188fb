"""What the pictures of sweeps share: numbers judged and seeds summed up; names, scales and colours.

Letters in shapes: `n` values along one axis of a sweep.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize

from optviz import metrics
from optviz.plotting import style
from optviz.plotting.comparison import suits_log
from surfaces.names import unknown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEED = "seed"  # the dimension that pictures sum up
MAP = "viridis"
DIVERGED = "#b9b9b9"
BEST: dict[str, Any] = {"marker": "o", "markersize": 6, "markeredgecolor": "black", "markeredgewidth": 1.0}


def of_metric(swept: Any, metric: str, *dims: str) -> xarray.Dataset:
    """The metric and the flag of divergence alone, so without the dimensions of whole runs.

    Raises:
      TypeError: for anything but a Dataset, and for a flag as the metric.
      ValueError: for a metric or a dimension that is not there, and for a dimension whose values are no numbers.
    """
    if not isinstance(swept, xarray.Dataset):
        raise TypeError(
            f"A picture of a sweep needs the xarray.Dataset that sweep returns, got {type(swept).__name__}."
        )
    if metric not in swept.data_vars:
        raise ValueError(unknown_name("metric of this sweep", metric, map(str, swept.data_vars)))
    if swept[metric].dtype.kind not in "iuf":
        raise TypeError(f"The metric {metric!r} is no number (its type is {swept[metric].dtype}); choose one that is.")
    alone = swept[[metric, *({"diverged"} & set(swept.data_vars))]]
    for dim in dims:
        _require_dimension(alone, dim)
    return alone


def _require_dimension(swept: xarray.Dataset, dim: str) -> None:
    if dim in swept.coords and dim not in swept.dims:
        along = ", ".join(map(str, swept[dim].dims)) or "no dimension, being one value"
        raise ValueError(
            f"{dim!r} is no dimension of this sweep: it varies along {along}. "
            "Sweep over it by itself, or use plot_parallel_coordinates."
        )
    if dim not in swept.dims:
        raise ValueError(unknown_name("dimension of this sweep", dim, map(str, swept.dims)))
    if swept[dim].dtype.kind not in "iuf":
        raise ValueError(f"The dimension {dim!r} needs numbers for an axis, got {swept[dim].dtype} values.")


def require_only(swept: xarray.Dataset, *drawn: str) -> xarray.Dataset:
    """The sweep without its dimensions of one value; refuses any other that is not among those `drawn`."""
    if len(set(drawn)) < len(drawn):
        raise ValueError(f"A map needs two dimensions, got {drawn[0]!r} for both x and y.")
    left = {str(dim): size for dim, size in swept.sizes.items() if dim not in drawn and size > 1}
    if left:
        sizes = ", ".join(f"{dim} ({size} values)" for dim, size in left.items())
        raise ValueError(
            f"The picture has the dimensions {' and '.join(drawn)}, but the sweep also has {sizes}. "
            f"Choose one value of each first: swept.isel({dict.fromkeys(left, 0)})."
        )
    return swept.isel({dim: 0 for dim in swept.sizes if dim not in drawn})


def judged(swept: xarray.Dataset, metric: str) -> tuple[xarray.DataArray, xarray.DataArray]:
    """The metric and the flag of divergence as floats: the metric is infinite where a run diverged or has no number.

    A diverged run counts as worse than any other, whatever its metric says. Both are NaN where there was no run, as
    in sweeps of different rates put side by side.
    """
    values = swept[metric].astype(float)
    diverged = swept["diverged"].astype(float) if "diverged" in swept else xarray.zeros_like(values)
    bad = (diverged > 0) | ~np.isfinite(values)
    return values.where(~bad, np.inf).where(diverged.notnull()), diverged


def over_seeds(values: xarray.DataArray, q: float = 0.5) -> xarray.DataArray:
    """The quantile `q` over the seeds, if there are any; see `quantile`."""
    return values.reduce(quantile, SEED, q=q) if SEED in values.dims else values


def quantile(values: np.ndarray, q: float, axis: int) -> np.ndarray:
    """As `np.quantile`, but infinite where it lies between a finite and an infinite value, and NaN is left out."""
    finite = np.isfinite(values)
    largest = np.max(values, where=finite, initial=-np.inf)
    of = np.nanquantile if np.isnan(values).any() else np.quantile  # the former is a loop in Python
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN")
        ranked = of(np.where(np.isposinf(values), np.finfo(float).max / 2, values), q, axis=axis)
    return np.where(ranked > largest, np.inf, ranked)


def settled(swept: xarray.Dataset, metric: str) -> tuple[xarray.DataArray, xarray.DataArray]:
    """The median over the seeds of the metric, as `judged`, and whether half of the seeds or more diverged."""
    values, diverged = judged(swept, metric)
    share = diverged.mean(SEED) if SEED in diverged.dims else diverged
    return over_seeds(values), share >= 0.5


def varying(swept: xarray.Dataset, *drawn: str) -> list[str]:
    """The dimensions of more than one value that are neither `drawn` nor seeds."""
    return [str(dim) for dim, size in swept.sizes.items() if size > 1 and dim not in (*drawn, SEED)]


def each_setting(swept: xarray.Dataset, dims: Iterable[str]) -> Iterator[tuple[str, dict[str, int]]]:
    """For every combination along `dims` its label and its place."""
    dims = list(dims)
    for place in np.ndindex(*(swept.sizes[dim] for dim in dims)):
        at = dict(zip(dims, map(int, place), strict=True))
        yield label({dim: swept[dim].values[i] for dim, i in at.items()}) or constant(swept, "optimizer"), at


def label(setting: Mapping[str, Any]) -> str:
    """A setting in words: `adam (b1 = 0.9)`, so that colours follow the name."""
    names = ", ".join(str(v) for v in setting.values() if isinstance(v, str))
    numbers = ", ".join(f"{words(k)} = {number(v)}" for k, v in setting.items() if not isinstance(v, str))
    return f"{names} ({numbers})" if names and numbers else names or numbers


def words(name: str) -> str:
    """The name of an axis or a metric as it is written in a picture."""
    if name.startswith("start.x"):
        return f"start $x_{{{name.removeprefix('start.x')}}}$"
    return name.removeprefix("surface.").replace("surface.", "").replace("_", " ")


def number(value: Any) -> str:
    """A number in at most four digits."""
    return f"{value:.4g}"


def constant(swept: xarray.Dataset, name: str) -> str:
    """The one optimizer, surface or number of steps of a sweep in words; empty if there are several, or if unknown."""
    if name not in swept.coords:
        return str(swept.attrs.get(name, "")).replace("_", " ")
    return str(np.ravel(swept[name])[0]).replace("_", " ") if swept[name].size == 1 else ""


def title(swept: xarray.Dataset) -> str:
    """The heading of a picture: what was swept on what, as far as it is one."""
    return " on ".join(name for name in (constant(swept, "optimizer"), constant(swept, "surface")) if name)


def what_was_equal(swept: xarray.Dataset) -> str:
    """What all runs had in common, for the line under a heading: steps, seeds, and coordinates of one value."""
    said = ("optimizer", "surface", "num_steps", SEED)
    alone = {str(k): v.values.ravel()[0] for k, v in swept.coords.items() if v.size == 1 and k not in said}
    steps, seeds = constant(swept, "num_steps"), swept.sizes.get(SEED, 1)
    parts = [f"{steps} steps" if steps else "", f"median of {seeds} seeds" if seeds > 1 else ""]
    return " · ".join(part for part in (*parts, *(label({k: v}) for k, v in alone.items())) if part)


def by_factors(values: np.ndarray) -> bool:
    """Whether values (n,) call for a logarithmic axis: positive, and more evenly spaced by factors than by steps."""
    values = np.unique(values)
    if len(values) < 2 or values[0] <= 0:
        return False
    if len(values) == 2:
        return bool(values[1] >= 10 * values[0])
    steps, factors = np.diff(values), np.diff(np.log(values))
    return bool(np.std(factors) / np.mean(factors) < np.std(steps) / np.mean(steps))


def edges(values: np.ndarray) -> np.ndarray:
    """The borders (n + 1,) of cells around ascending values (n,): half-way, by factors where these are the spacing."""
    if by_factors(values):
        return np.exp(_edges(np.log(values)))
    return _edges(np.asarray(values, float))


def _edges(values: np.ndarray) -> np.ndarray:
    if len(values) == 1:
        return values + np.array([-0.5, 0.5]) * (abs(values[0]) or 1.0)
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def line_colours(swept: xarray.Dataset, labels: Sequence[str], dims: Sequence[str]) -> Any:
    """A colour for each label: rows of a sequential map where all `dims` are numbers, else by name."""
    if dims and all(swept[dim].dtype.kind in "iuf" for dim in dims):
        return colormaps[MAP](np.linspace(0.0, 0.9, len(labels)))
    return [style.colours(labels)[name] for name in labels]


def colour_norm(values: np.ndarray) -> Normalize | None:
    """From values to shares of a colour map, logarithmic where they call for it; None if none is finite.

    On the logarithmic one, zero counts as the lowest value above it.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    if suits_log([finite]):
        # What lies deeper is rounding, in double precision too.
        return LogNorm(max(finite[finite > 0].min(), 1e-20 * finite.max()), finite.max(), clip=True)
    spread = 0.0 if np.ptp(finite) else 0.5
    return Normalize(finite.min() - spread, finite.max() + spread, clip=True)


def explain_colours(ax: Axes, norm: Normalize, metric: str) -> None:
    """Make `ax` the bar that says which colour is which value."""
    bar = ax.figure.colorbar(ScalarMappable(norm, MAP), cax=ax, label=words(metric))
    bar.outline.set_visible(False)  # type: ignore[operator]


def new_axes(width: float, height: float) -> Axes:
    """Axes on a new figure, in inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="compressed")[1]


def good_region(
    swept: xarray.Dataset,
    *,
    over: str = "learning_rate",
    metric: str = "final_loss",
    factor: float = 10.0,
    tolerance: float = metrics.DEFAULT_TOLERANCE,
) -> xarray.Dataset:
    """How wide the range of good values of a hyperparameter is, for every value of the other dimensions.

    Good are the swept values whose metric, the median over the seeds, is at most `factor` times the best and that did
    not diverge. The region is the unbroken row of good values around the best; between swept values nothing is
    assumed, so that a finer sweep measures it more finely. Multiples of a best that is zero or negative mean nothing:
    there good is what lies within `tolerance` of it.

    Args:
      swept: what `sweep` returns; several sweeps may be put side by side by `xarray.concat`.
      over: the dimension of the hyperparameter, positive numbers.
      metric: of which less is better.
      factor: above 1.
      tolerance: in units of the metric.

    Returns:
      `best`, `low` and `high`, values of `over`; `decades`, log10(high / low), 0 if one value alone is good; and
      `cut`, whether the region reaches an end of what was swept, so that it may be wider. The numbers are NaN where
      no run ended finite.

    Raises:
      TypeError, ValueError: for a metric, a dimension or a factor that cannot be meant.
    """
    swept = of_metric(swept, metric, over)
    values = np.asarray(swept[over], float)
    if not (values > 0).all():
        raise ValueError(f"A width in decades needs positive values of {over!r}, got {values.min():g} among them.")
    if not factor > 1:
        raise ValueError(f"factor must be above 1, got {factor:g}.")
    median = settled(swept, metric)[0].sortby(over)
    found = xarray.apply_ufunc(
        lambda row: region(np.sort(values), row, factor, tolerance), median,
        input_core_dims=[[over]], output_core_dims=[[], [], [], []], vectorize=True,
    )  # fmt: skip
    best, low, high, cut = found
    numbers = {"best": best, "low": low, "high": high, "decades": np.log10(high / low), "cut": cut}
    return xarray.Dataset(numbers, attrs=swept.attrs | {"over": over, "metric": metric, "factor": factor})


def region(values: np.ndarray, row: np.ndarray, factor: float, tolerance: float) -> tuple[float, float, float, bool]:
    """The best of ascending values (n,) by their metric (n,), both ends of the good ones around it, and `cut`."""
    values, row = values[~np.isnan(row)], row[~np.isnan(row)]
    if not np.isfinite(row).any():
        return np.nan, np.nan, np.nan, False
    best = int(np.argmin(row))
    good = row <= (factor * row[best] if row[best] > 0 else row[best] + tolerance)
    bad = np.flatnonzero(~good)
    first, last = bad[bad < best].max(initial=-1) + 1, bad[bad > best].min(initial=len(row)) - 1
    return float(values[best]), float(values[first]), float(values[last]), bool(first == 0 or last == len(row) - 1)
