"""How much of the variance of a result each input of a random design explains: alone, and in pairs beyond that.

The first and second order indices of a functional analysis of variance (Sobol 1993, Math. Modelling and Comp.
Experiment 1(4)), estimated by the means of groups: runs are put in bins of equal number along one input or two. Since
the means of few runs scatter by themselves, what pure chance explains is subtracted (Kelley 1935, PNAS 21(9)).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num


def variance_shares(
    values: Num[np.ndarray, " N"], inputs: Mapping[str, Num[np.ndarray, " N"]], *, runs_per_group: int = 50
) -> dict[tuple[str, ...], float]:
    """The share of the variance explained by every input `(name,)`, and by every pair beyond what its two inputs do.

    Args:
      values: one result per run.
      inputs: by name, one independent draw per run; only their order counts.
      runs_per_group: how many runs the mean of a group stands on; fewer make finer groups and noisier means.

    Returns:
      Shares of 1. Estimates scatter about the truth, so that a share of zero may come out as slightly negative.
    """
    count = len(values)
    fine, coarse = int(np.clip(count // runs_per_group, 2, 32)), max(2, int(np.sqrt(count / runs_per_group)))
    shares: dict[tuple[str, ...], float] = {
        (name,): _explained(values, bins(x, fine), fine) for name, x in inputs.items()
    }
    binned = {name: bins(x, coarse) for name, x in inputs.items()}
    alone = {name: _explained(values, b, coarse) for name, b in binned.items()}
    for a, b in itertools.combinations(inputs, 2):
        both = _explained(values, binned[a] * coarse + binned[b], coarse**2)
        shares[a, b] = both - alone[a] - alone[b]
    return shares


def chance_level(values: Any, inputs: Mapping[str, Any], *, num_shuffles: int = 20, seed: int = 0) -> dict[Any, float]:
    """The largest share that each term explains of shuffled values, in which there is nothing to explain."""
    random = np.random.default_rng(seed)
    drawn = [variance_shares(random.permutation(values), inputs) for _ in range(num_shuffles)]
    return {term: max(shares[term] for shares in drawn) for term in drawn[0]}


def grid_shares(values: Float[np.ndarray, "m n"]) -> tuple[float, float, float]:
    """The shares of the variance of a table explained by its rows, by its columns, and by neither alone."""
    total = values.var()
    rows, columns = values.mean(axis=1).var() / total, values.mean(axis=0).var() / total
    return float(rows), float(columns), float(1 - rows - columns)


def bins(values: Num[np.ndarray, " N"], count: int) -> Int[np.ndarray, " N"]:
    """The bin of every value, 0 to `count - 1`, each of as many values."""
    return np.argsort(np.argsort(values, kind="stable")) * count // len(values)


def _explained(values: np.ndarray, groups: np.ndarray, num_groups: int) -> float:
    """The share of the variance between groups, less what chance puts there."""
    size = np.bincount(groups, minlength=num_groups)
    mean = np.bincount(groups, values, num_groups) / np.maximum(size, 1)
    total = np.sum((values - values.mean()) ** 2)
    between = np.sum(size * (mean - values.mean()) ** 2)
    freedom = np.count_nonzero(size) - 1
    within = (total - between) / (len(values) - 1 - freedom)
    return float((between - freedom * within) / total)
