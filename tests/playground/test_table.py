"""The table: the numbers of `optviz.metrics`, a word for the fate, and ties that are ties."""

import numpy as np
import pytest

import optviz
from optviz.playground import compute, settings, table


def _verdicts(**given):
    chosen = settings.from_json(given)
    known = compute.facts(chosen)
    paths = compute.paths(chosen)
    runs = compute.runs(chosen)
    return chosen, runs, [table.verdict(p, known, r.regularised) for p, r in zip(paths, runs, strict=True)], known


@pytest.mark.parametrize(
    "given",
    [
        {"surface": "booth", "optimizers": ["gd", "adam", "lbfgs"]},
        {"surface": "six_hump_camel", "optimizers": ["momentum", "rmsprop"], "noise": 0.1},
        {"surface": "rosenbrock", "optimizers": [{"name": "gd", "hyperparameters": {"learning_rate": 0.1}}]},
        {"surface": "saddle", "optimizers": ["gd"], "num_steps": 30},
    ],
    ids=lambda given: given["surface"],
)
def test_the_numbers_are_those_of_the_metrics(given):
    chosen, runs, verdicts, _ = _verdicts(**given)
    for run, verdict in zip(runs, verdicts, strict=True):
        arguments, others = compute.as_recorded(chosen, run)
        trace = optviz.record(*arguments, **others)
        wanted = optviz.metrics.summary(trace)
        found = {**verdict["metrics"], "distance_to_minimum": verdict["metrics"]["distance"]}
        for name in ("final_loss", "best_loss", "mean_gradient_norm", "distance_to_minimum", "steps_to_tolerance"):
            value = np.nan if found[name] is None else found[name]
            np.testing.assert_allclose(value, wanted[name], rtol=1e-4, atol=1e-6, err_msg=name)
        assert (verdict["status"] == "diverged") == wanted["diverged"]


def test_each_fate_has_its_word():
    cases = {
        "converged": {"surface": "booth", "optimizers": ["lbfgs"]},
        "descending": {"surface": "booth", "num_steps": 3, "optimizers": [_rate("gd", 1e-3)]},
        "oscillating": {"surface": "booth", "num_steps": 6, "optimizers": [_rate("adam", 5.0)]},
        "diverged": {"surface": "booth", "optimizers": [_rate("gd", 1.0)]},
    }
    for word, given in cases.items():
        assert _verdicts(**given)[2][0]["status"] == word


def test_a_penalty_that_pulls_uphill_is_no_divergence():
    how = {"kind": "l2", "strength": 5.0, "twins": False}
    _, _, (verdict,), known = _verdicts(
        surface="shifted_optimum", start=[9, 9], regularisation=how, optimizers=[_rate("gd", 0.05)]
    )
    assert verdict["metrics"]["final_loss"] > known.customary
    assert verdict["status"] == "oscillating"


def _rate(name, rate):
    return {"name": name, "hyperparameters": {"learning_rate": rate}}


ROW = dict.fromkeys(table.METRICS)


@pytest.mark.parametrize(
    ("losses", "minimum", "winners"),
    [
        ([3.0, 1.0, 2.0], 0.0, [1]),
        ([1.0, 1.00005, 2.0], 0.0, [0, 1]),
        ([1.0, 1.001], 0.0, [0]),
        ([1e-9, 1e-13, 1e-3], 0.0, [0, 1]),
        ([-106.764, -106.76401, -100.0], -106.76453, [0, 1]),
        ([float("nan"), float("inf"), 5.0], 0.0, [2]),
        ([float("nan"), None], 0.0, []),
        ([2.0, 2.0], None, [0, 1]),
    ],
)
def test_the_best_is_one_or_a_tie_and_never_what_is_not_finite(losses, minimum, winners):
    rows = [{**ROW, "final_loss": loss} for loss in losses]
    assert table.best(rows, minimum)["final_loss"] == winners


def test_steps_tie_when_they_are_equal_alone():
    rows = [{**ROW, "steps_to_tolerance": steps} for steps in (10_000.0, 10_001.0, np.inf, 10_000.0)]
    assert table.best(rows, 0.0)["steps_to_tolerance"] == [0, 3]
