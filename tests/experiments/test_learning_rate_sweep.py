"""The sweep of rates against what is known of gradient descent."""

import numpy as np
import pytest

import optviz
import surfaces
from experiments.learning_rate_sweep import FACTOR, FLOOR, run_lr_sweep

BOWL = surfaces.QuadraticBowl(condition_number=10.0)


def test_gradient_descent_diverges_from_two_over_the_largest_eigenvalue():
    rates = np.geomspace(0.01, 1.0, 41)
    (row,) = run_lr_sweep(optviz.optimizer("gd"), BOWL, BOWL.start, rates, num_steps=300).table
    assert row["diverges from"] == pytest.approx(rates[rates > 2 / 10][0], rel=1e-6)
    assert row["good to"] < 2 / 10


def test_the_good_rates_are_those_that_the_definition_names():
    rates = np.geomspace(1e-3, 1.0, 31)
    report = run_lr_sweep(optviz.optimizer("gd"), BOWL, BOWL.start, rates, num_steps=30)
    (row,) = report.table
    # Along an eigenvalue h the distance shrinks by |1 - rate h| a step.
    start = np.asarray(BOWL.start, float)
    hessian = np.asarray(BOWL.hessian(BOWL.start), float)
    values, vectors = np.linalg.eigh(hessian)
    at = (1 - rates[:, None] * values) ** 30 * (vectors.T @ start)
    losses = np.maximum(0.5 * (values * at**2).sum(1), FLOOR * float(BOWL(BOWL.start)))
    good = rates[losses <= FACTOR * losses.min()]
    assert (row["good from"], row["good to"]) == (pytest.approx(good[0], rel=1e-6), pytest.approx(good[-1], rel=1e-6))
    assert row["decades"] == pytest.approx(np.log10(good[-1] / good[0]), rel=1e-5)
    assert row["best rate"] == pytest.approx(rates[np.argmin(0.5 * (values * at**2).sum(1))], rel=1e-6)


def test_rivals_of_one_name_are_told_apart_and_the_widest_comes_first():
    rivals = [optviz.optimizer("adam", b1=0.9), optviz.optimizer("adam", b1=0.0), optviz.optimizer("gd")]
    report = run_lr_sweep(rivals, BOWL, BOWL.start, np.geomspace(1e-3, 1.0, 7), num_steps=50)
    names = [row["optimizer"] for row in report.table]
    assert sorted(names) == ["adam (b1=0)", "adam (b1=0.9)", "gd"]
    assert [row["decades"] for row in report.table] == sorted((r["decades"] for r in report.table), reverse=True)
    assert report.answer.startswith(f"{names[0]} forgives most")
