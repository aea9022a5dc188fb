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


AT_REST = {
    "another minimum": {"surface": "rastrigin", "start": [3.1, 2.9], "optimizers": ["GD"]},
    "a saddle": {"surface": "himmelblau", "formula": "x**2 - y**2", "start": [2, 0], "optimizers": ["GD"]},
    "a minimum that nobody knows": {"formula": "x**2 + 3*y**2 + 7", "start": [2, 1], "optimizers": ["GD"]},
    "a ring above the start": {
        "formula": "cos(3*sqrt(x**2 + y**2 + 0.000001)) + (x**2 + y**2)/9",
        "start": [0.95, 0.0],
        "optimizers": [{"name": "momentum", "hyperparameters": {"learning_rate": 0.12, "momentum": 0.95}}],
    },
}


@pytest.mark.parametrize("given", AT_REST.values(), ids=AT_REST)
def test_a_run_at_rest_elsewhere_than_at_the_known_minimum_is_stationary(given):
    chosen = [_rate("gd", 0.005 if "surface" in given else 0.05) if o == "GD" else o for o in given["optimizers"]]
    given = {**given, "optimizers": chosen, "num_steps": 2000}
    if "formula" in given:
        given.pop("surface", None)
    _, _, (verdict,), _ = _verdicts(**given)
    assert verdict["status"] == "stationary"


def test_one_rise_early_on_is_no_oscillation():
    """Momentum overshoots in Rosenbrock's valley at first, and then goes down step by step."""
    chosen, _, (verdict,), _ = _verdicts(num_steps=300, optimizers=["momentum"])
    (path,) = compute.paths(chosen)
    assert (np.diff(path.points[:, 2]) > 0).any()
    assert verdict["status"] == "descending"


def test_a_run_that_goes_on_in_the_valley_is_not_at_rest_however_small_its_gradient():
    """Gradient descent has a ten-thousandth of its first gradient left, and far to go."""
    for steps in (300, 3000):
        _, _, (verdict,), _ = _verdicts(num_steps=steps, optimizers=[_rate("gd", 5e-4)])
        assert verdict["status"] == "descending"


def test_rises_are_counted_where_only_every_second_step_is_kept():
    chosen, _, (verdict,), _ = _verdicts(
        formula="x**2 + y**2", num_steps=2000, noise=1.0, optimizers=[_rate("gd", 0.3)]
    )
    (path,) = compute.paths(chosen)
    assert path.every == 2
    assert path.totals.rises > compute.last_part(2000) / 4
    assert verdict["status"] == "oscillating"


def test_a_penalty_that_pulls_uphill_is_no_divergence():
    how = {"kind": "l2", "strength": 5.0, "twins": False}
    _, _, (verdict,), known = _verdicts(
        surface="shifted_optimum", start=[9, 9], regularisation=how, optimizers=[_rate("gd", 0.05)]
    )
    assert verdict["metrics"]["final_loss"] > known.customary
    assert verdict["status"] == "stationary"


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
