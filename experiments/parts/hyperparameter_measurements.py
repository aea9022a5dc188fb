"""What `hyperparameter_interactions` measures: a random design, maps of b1 and b2, and of eps and the rate."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

import optviz
from optviz.sweeps.metrics import METRICS, StreamedMetric
from surfaces.contours import known_minimum

RANGES = {"learning_rate": (1e-3, 10.0), "one_minus_b1": (1e-3, 1.0), "one_minus_b2": (1e-4, 0.5), "eps": (1e-12, 1e-2)}
DEEPEST = -12.0  # decades below the first loss: what is lower counts as this
NUM_RATES = 13


def random_design(optimizer: Any, surface: Any, num_steps: int, num_runs: int) -> Any:
    """The sweep over `num_runs` settings drawn from `RANGES`, each with its own seed, twice: dims `(repeat, run)`.

    `decades` is what `gained` says of the final loss.
    """
    import xarray

    drawn = optviz.log_uniform(num_runs, 0, **RANGES)
    design = {"learning_rate": drawn["learning_rate"], "eps": drawn["eps"], **_betas(**drawn)}
    axes = [{"run": {**design, "seed": np.arange(num_runs) + first}} for first in (0, num_runs)]
    swept = [optviz.sweep(optimizer, surface, surface.start, num_steps, axes=a, metrics=_METRICS) for a in axes]
    both = xarray.concat([s.drop_vars("seed") for s in swept], "repeat", combine_attrs="override")
    both = both.assign_coords({name: ("run", drawn[name]) for name in ("one_minus_b1", "one_minus_b2")})
    return both.assign(decades=gained(both.final_loss, surface))


def tuned_betas(optimizer: Any, surface: Any, num_steps: int, num_points: int, num_seeds: int) -> Any:
    """Maps over 1 - b1 and 1 - b2: final loss and longest step at the best of the rates of every cell.

    The rate is chosen with `num_seeds` seeds, and what is told comes from as many others.
    """
    rates = np.geomspace(*RANGES["learning_rate"], NUM_RATES)
    one_less = {name: np.geomspace(*RANGES[name], num_points) for name in ("one_minus_b1", "one_minus_b2")}
    axes = {"learning_rate": rates, **_betas(**one_less), "seed": 2 * num_seeds}
    swept = optviz.sweep(optimizer, surface, surface.start, num_steps, axes=axes, metrics=_METRICS)
    swept = swept.rename(b1="one_minus_b1", b2="one_minus_b2").assign_coords(one_less)
    swept = swept.assign(
        decades=gained(swept.final_loss, surface), longest=swept.longest_step / swept.learning_rate
    ).drop_vars("longest_step")
    best = swept.decades.isel(seed=slice(num_seeds)).mean("seed").argmin(dim="learning_rate")
    judged = swept.isel(seed=slice(num_seeds, None), learning_rate=best).drop_vars("learning_rate")
    return judged.assign(rate=swept.learning_rate[best].drop_vars("learning_rate")).assign_coords(
        best_of_rates=NUM_RATES
    )


def eps_and_rate(optimizer: Any, surface: Any, num_steps: int, num_points: int, num_seeds: int) -> Any:
    """A map over eps, far beyond what is sensible, and the rate; and the sqrt(v) of a good run at the smallest eps."""
    axes = {"eps": np.geomspace(1e-8, 1e5, num_points), "learning_rate": np.geomspace(1e-3, 1e4, num_points)}
    swept = optviz.sweep(optimizer, surface, surface.start, num_steps, axes={**axes, "seed": num_seeds})
    best = optimizer.replace(eps=float(swept.eps[0]), learning_rate=float(good_rates(swept, surface)[0]))
    return swept.assign_attrs(root_mean_square=root_mean_square(best, surface, num_steps))


def gained(losses: Any, surface: Any) -> Any:
    """log10 of the final loss over the first, both above the known minimum, from `DEEPEST` to 0 (nothing gained)."""
    minimum = known_minimum(surface) or 0.0
    first = float(surface(surface.start)) - minimum
    share = ((losses - minimum) / first).fillna(np.inf)
    return np.log10(share.clip(10.0**DEEPEST, 1.0))


def good_rates(eps: Any, surface: Any) -> Any:
    """For every eps the smallest rate whose final loss is within a factor of two of the best."""
    decades = gained(eps.final_loss, surface).mean("seed")
    good = decades <= decades.min("learning_rate") + np.log10(2.0)
    return eps.learning_rate.where(good).min("learning_rate")


def root_mean_square(optimizer: Any, surface: Any, num_steps: int) -> float:
    """The sqrt(v) of a run, corrected for its beginning at zero: geometric mean over steps and coordinates."""
    trace = optviz.record(optimizer, surface, surface.start, num_steps, key=0, fields=("opt_state",))
    nu = np.asarray(optax.tree.get(trace.steps.new_opt_state, "nu"), float)
    corrected = nu.T / (1 - float(optimizer.hyperparameters["b2"]) ** np.arange(1, num_steps + 1))
    return float(np.exp(np.mean(np.log(np.sqrt(corrected)))))


def edge_profile(betas: Any) -> tuple[np.ndarray, np.ndarray]:
    """The loss in decades against (1 - b2) / (1 - b1^2), which is 1 where b1 = sqrt(b2): means over 0.2 decades.

    Each b1 whose row of the map crosses the line counts, above its own median where the ratio is below 0.3.
    """
    decades = betas.decades.mean("seed").transpose("one_minus_b1", "one_minus_b2").values
    b1, spread = 1 - betas.one_minus_b1.values, betas.one_minus_b2.values
    ratio = np.log10(spread / (1 - b1[:, None] ** 2))
    crosses = (ratio.max(axis=1) > 0.3) & (ratio.min(axis=1) < -0.8)
    raised = [row - np.median(row[at < -0.5]) for row, at in zip(decades[crosses], ratio[crosses], strict=True)]
    edges = np.arange(-1.5, 2.6, 0.2)
    cells = np.digitize(ratio[crosses].ravel(), edges) - 1
    inside = (cells >= 0) & (cells < len(edges) - 1)
    values = np.ravel(raised)[inside] if crosses.any() else np.array([])
    size = np.bincount(cells[inside], minlength=len(edges) - 1)
    means = np.bincount(cells[inside], values, len(edges) - 1) / np.where(size > 0, size, np.nan)
    return 10 ** ((edges[1:] + edges[:-1]) / 2), means


def measured_edge(betas: Any) -> tuple[float, float]:
    """Where the profile has made half of its rise, and how high it rises in decades."""
    ratio, rise = edge_profile(betas)
    known = np.isfinite(rise)
    ratio, rise = np.log10(ratio[known]), rise[known]
    if not known.any():
        return float("nan"), float("nan")
    top = rise.max()
    above = int(np.argmax(rise >= top / 2))
    at = np.interp(top / 2, rise[[above - 1, above]], ratio[[above - 1, above]]) if above else ratio[0]
    return float(10**at), float(top)


def _largest_step(total: Any, row: Any, loss: Any, surface: Any) -> Any:
    return jnp.fmax(total, jnp.max(jnp.abs(row.updates)))


def _total(total: Any, end: Any) -> Any:
    return total


_METRICS = {
    **{name: METRICS[name] for name in ("final_loss", "diverged")},
    "longest_step": StreamedMetric(
        "largest change of a coordinate in one step", "parameter", _total, 0.0, _largest_step
    ),
}


def _betas(one_minus_b1: np.ndarray, one_minus_b2: np.ndarray, **others: np.ndarray) -> dict[str, np.ndarray]:
    return {"b1": 1 - one_minus_b1, "b2": 1 - one_minus_b2}
