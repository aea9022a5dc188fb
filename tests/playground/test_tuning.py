"""Tuning: equal effort, the plotted number of steps, and the best of what was tried."""

import dataclasses
import itertools

import numpy as np
import pytest

from optviz.playground import compute, settings, tuning
from optviz.playground.errors import BadSettings

CHOSEN = {
    "surface": "booth",
    "num_steps": 30,
    "optimizers": ["gd", "adam", "damped_newton", {"name": "lion", "on": False}],
}


def test_no_rate_tried_is_better_than_the_one_found_each_judged_with_the_next():
    chosen = settings.from_json(CHOSEN)
    found = tuning.tune(chosen, budget=29)
    assert [t.name for t in found] == ["gd", "adam", "damped_newton"]
    for tuned in found[:2]:
        rates = [float(f"{rate:.3g}") for rate in np.geomspace(1e-6, 10, 29)]
        losses = [_final(chosen, tuned.index, rate) for rate in rates]
        judged = {rate: max(pair) for rate, pair in zip(rates, itertools.pairwise(losses), strict=False)}
        # Losses within 1e-4 of the minimum count as equal.
        assert judged[tuned.rate] <= min(judged.values()) + 1e-4
        assert tuned.loss == pytest.approx(_final(chosen, tuned.index, tuned.rate), abs=1e-4)
        best = tuning.with_rates(chosen, found)
        assert best.optimizers[tuned.index].hyperparameters["learning_rate"] == tuned.rate


NEWTON = {"num_steps": 60, "optimizers": [{"name": "newton"}]}


@pytest.mark.parametrize("place", [{"surface": "quadratic_bowl"}, {"surface": "booth"}, {"formula": "x**2 + 10*y**2"}])
def test_a_rate_that_is_as_good_as_the_best_found_and_no_slower_stays(place):
    """At its own rate of 1, which lies between two of those tried, Newton's method needs one step."""
    chosen = settings.from_json({**NEWTON, **place})
    (tuned,) = tuning.tune(chosen)
    assert tuned.rate == chosen.optimizers[0].hyperparameters["learning_rate"] == 1.0


def test_a_rate_that_is_slower_than_the_best_found_goes():
    slow = [{"name": "newton", "hyperparameters": {"learning_rate": 0.1}}]
    chosen = settings.from_json({"surface": "booth", "num_steps": 2000, "optimizers": slow})
    (tuned,) = tuning.tune(chosen)
    assert tuned.rate > 0.5
    assert _reached(chosen, tuned.rate) < _reached(chosen, 0.1) / 5


def _reached(chosen, rate):
    choice = dataclasses.replace(chosen.optimizers[0], hyperparameters={"learning_rate": rate})
    trial = dataclasses.replace(chosen, optimizers=(choice,))
    return float(compute.path(trial, compute.runs(trial)[0]).totals.reached)


def test_an_optimizer_without_a_rate_and_one_that_is_off_keep_what_they_have():
    chosen = settings.from_json(CHOSEN)
    found = tuning.tune(chosen, budget=2)
    assert (found[2].rate, found[2].loss) == (None, None)
    assert tuning.with_rates(chosen, found).optimizers[2:] == chosen.optimizers[2:]


def _final(chosen, index, rate):
    choice = chosen.optimizers[index]
    values = {**choice.hyperparameters, "learning_rate": float(rate)}
    trial = dataclasses.replace(chosen, optimizers=(dataclasses.replace(choice, hyperparameters=values),))
    loss = compute.path(trial, compute.runs(trial)[0]).points[-1, 2]
    return float(loss) if np.isfinite(loss) else np.inf


def test_progress_is_told_to_its_end():
    shares = []
    tuning.tune(settings.from_json(CHOSEN), budget=5, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_it_stops_when_it_is_told_to():
    asked = []
    with pytest.raises(tuning.Cancelled):
        tuning.tune(settings.from_json(CHOSEN), budget=50, cancelled=lambda: len(asked) > 3, progress=asked.append)
    assert len(asked) < 60


def test_more_work_than_a_minute_is_refused():
    chosen = settings.from_json({"num_steps": 100_000, "optimizers": ["gd"] * 20})
    with pytest.raises(BadSettings, match="take fewer steps"):
        tuning.tune(chosen, budget=200)
