"""Every failure is the one that was predicted, and its cure cures it."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest

import optviz
import surfaces
from experiments.parts.pathologies import CASES, stuck_on_the_crease
from experiments.pathological_cases import chosen, run_pathological_cases

# Reddi's problem is random, and its wall soft; all others are formulas, up to float32 and a step's worth of bouncing.
TOLERANCE = {"Adam climbs": 0.05, "Stuck on a crease": 0.02}


@pytest.fixture(scope="module")
def report():
    yield run_pathological_cases()
    plt.close("all")


@pytest.mark.parametrize("name", [make().name for make in CASES])
def test_it_fails_as_predicted(report, name):
    row = next(row for row in report.table if row["case"] == name)
    assert row["measured"] == pytest.approx(row["predicted"], rel=TOLERANCE.get(name, 5e-3))


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_the_cure_ends_far_lower_from_the_same_start(make):
    case = make()
    minimum = float(case.surface.minimum_value)
    failed, cured = case.record(case.failing), case.record(case.cured)
    np.testing.assert_array_equal(failed.initial_params, cured.initial_params)
    assert float(cured.final_loss) - minimum < 0.2 * (float(failed.final_loss) - minimum)


def test_the_answer_counts_the_predictions_that_are_met(report):
    assert report.answer.startswith(f"{len(CASES)} of {len(CASES)} predictions are met")
    assert len(report.answer.splitlines()) == 1 + len(CASES) == 1 + len(report.data)


def test_a_prediction_that_fails_is_told():
    case = dataclasses.replace(chosen(["bounces_at_a_kink"])[0], predicted=(1.0,))
    report = run_pathological_cases([case])
    plt.close("all")
    assert report.answer.startswith("0 of 1 predictions are met") and "predicted 1;" in report.answer


def test_of_predictions_that_exclude_each_other_the_nearest_counts():
    case = chosen(["thrown_off_the_cliff"])[0]
    assert case.predicted == pytest.approx((0.49, 0.09))
    assert case.nearest_prediction(0.1) == pytest.approx(0.09) and case.nearest_prediction(0.4) == pytest.approx(0.49)


@pytest.mark.parametrize(("share", "is_stuck"), [(0.9, False), (1.1, True)])
def test_signs_are_stuck_only_on_a_crease_turned_by_more_than_arctan_of_one_over_its_weight(share, is_stuck):
    surface = surfaces.Kinks(angle=share * float(np.arctan(1 / 10)))
    trace = optviz.record(optviz.optimizer("sign_sgd", learning_rate=0.01), surface, surface.start, 2000)
    assert (float(optviz.metrics.distance_to_minimum(trace)) > 0.1) is is_stuck


def test_the_prediction_on_the_crease_lies_on_it():
    case = stuck_on_the_crease()
    away = case.predicted[0]
    on_crease = case.surface.minima[0] - away * np.array([np.cos(0.5), np.sin(0.5)])
    assert float(case.surface(on_crease)) == pytest.approx(away, rel=1e-4)  # the slope along the crease is 1


def test_an_unknown_case_is_refused():
    with pytest.raises(ValueError, match="adam_climbs"):
        chosen(["adam_climb"])
