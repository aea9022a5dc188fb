"""Convergence on bowls: the factors measured are those of theory, and of a run computed without the recorder."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

import optviz
import surfaces
from experiments.convergence_analysis import power, run_convergence_analysis
from experiments.parts.convergence_measurements import OPTIMAL, TARGET, predicted_factor, shape_of_run, start
from experiments.parts.momentum_theory import heavy_ball_peak, worst_factor

NUMBERS = [4.0, 25.0, 100.0]
RATES = np.geomspace(1e-3, 2.0, 25)


@pytest.fixture(scope="module")
def report():
    names = ("gd", "momentum", "adagrad", "rmsprop")
    chosen = [optviz.optimizer(name) for name in names]
    yield run_convergence_analysis(chosen, NUMBERS, RATES, num_steps=3000)
    plt.close("all")


@pytest.mark.parametrize("name", OPTIMAL)
def test_at_its_optimal_settings_a_method_converges_as_theory_says(report, name):
    one = report.data["optimal"].sel(optimizer=name)
    # A critically damped run is (1 + b t) r^t: the slope of its logarithm is off by 1 / t, of about 350 / log(r) steps.
    np.testing.assert_allclose(np.log(one.factor), np.log(one.predicted), rtol=1e-2)


def test_steps_grow_as_the_condition_number_and_with_momentum_as_its_root(report):
    powers = [power(report.data["optimal"].sel(optimizer=name)) for name in OPTIMAL]
    np.testing.assert_allclose(powers, [1.0, 0.5, 0.5, 0.5], atol=0.12)  # the powers of infinite condition numbers


def test_the_steps_at_the_tuned_rate_are_those_of_a_loop(report):
    for bowl, angle in (("turned", np.pi / 6), ("along axes", 0.0)):
        at = report.data["tuned"].sel(bowl=bowl, optimizer="momentum", condition_number=25.0)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        hessian = turn @ np.diag([1.0, 25.0]) @ turn.T
        x, velocity, losses = turn @ [1.0, 0.2], np.zeros(2), []
        for _ in range(3001):
            losses.append(x @ hessian @ x / 2)
            velocity = 0.9 * velocity + hessian @ x
            x = x - float(at.rate) * velocity
        assert losses[0] == pytest.approx(1.0)
        assert float(at.steps) == np.flatnonzero(np.array(losses) > TARGET)[-1] + 1


@pytest.mark.parametrize("name", ["gd", "momentum"])
def test_linear_methods_do_not_know_the_axes(report, name):
    turned, along = (report.data["tuned"].sel(optimizer=name, bowl=bowl) for bowl in ("turned", "along axes"))
    np.testing.assert_allclose(turned.steps, along.steps, atol=1)  # rounding at the target
    np.testing.assert_array_equal(turned.rate, along.rate)


def test_tuned_gradient_descent_takes_the_steps_that_its_factor_says(report):
    one = report.data["tuned"].sel(optimizer="gd")
    expected = np.log(TARGET) / 2 / np.log(one.predicted)
    np.testing.assert_allclose(one.steps, expected, rtol=0.1, atol=2)


def test_a_given_momentum_is_as_slow_at_all_low_condition_numbers(report):
    one = report.data["tuned"].sel(optimizer="momentum", bowl="turned")
    np.testing.assert_allclose(one.factor, np.sqrt(0.9), rtol=2e-3)
    np.testing.assert_allclose(one.predicted, np.sqrt(0.9), rtol=1e-12)


def test_dividing_by_past_gradients_undoes_the_condition_number_along_the_axes_only(report):
    turned, along = (report.data["tuned"].sel(optimizer="adagrad", bowl=bowl) for bowl in ("turned", "along axes"))
    assert float(along.steps.max()) < 20
    assert float(turned.steps[-1]) > 20 * float(along.steps[-1])


def test_at_a_constant_rate_rmsprop_never_settles(report):
    assert np.isinf(report.data["tuned"].steps.sel(optimizer="rmsprop", condition_number=100.0)).all()
    assert "rmsprop never" in report.answer


def test_gradient_descent_is_monotone_and_the_heavy_ball_is_not(report):
    optimal = report.data["optimal"]
    assert (optimal.rises.sel(optimizer="gradient descent") == 0).all()
    assert (optimal.turns.sel(optimizer="gradient descent") > 0.99).all()  # monotone in the loss, zigzag in the path
    climbs = [heavy_ball_peak(kappa) > 1 for kappa in NUMBERS]
    assert list(optimal.rises.sel(optimizer="heavy ball").values > 0) == climbs == [False, True, True]


def test_the_shape_of_a_run_is_that_of_its_path(x64):
    surface, first = surfaces.QuadraticBowl(9.0, 0.3), start(9.0, 0.3)
    assert float(surface(first)) == pytest.approx(1.0)
    slow = optviz.record(optviz.optimizer("gd", learning_rate=0.05), surface, first, 200)
    zigzag = optviz.record(optviz.optimizer("gd", learning_rate=2.1 / 9), surface, first, 20)
    found = jax.device_get([shape_of_run(slow), shape_of_run(zigzag)])
    assert found[0]["factor"] == pytest.approx(0.95) and found[0]["rises"] == found[0]["turns"] == 0
    assert found[1]["rises"] > 0.5 and found[1]["turns"] > 0.8


def test_theory_is_told_for_the_methods_that_it_speaks_of():
    kappas, rates = np.array([4.0, 50.0]), np.geomspace(1e-3, 1, 50)
    nesterov = optviz.optimizer("sgd", momentum=0.8, nesterov=True)
    expected = [min(worst_factor(r, 0.8, k, nesterov=True) for r in rates) for k in kappas]
    np.testing.assert_allclose(predicted_factor(nesterov, kappas, rates), expected)
    assert np.isnan(predicted_factor(optviz.optimizer("adam"), kappas, rates)).all()


def test_equal_curvatures_are_refused():
    with pytest.raises(ValueError, match="condition_numbers must be above 1"):
        run_convergence_analysis(condition_numbers=[1.0, 2.0])
