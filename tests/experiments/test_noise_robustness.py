"""Noise: the recursion against closed forms, measurements against the recursion, and a fair contest."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import optviz
import surfaces
from experiments.noise_robustness import RATES, judged_losses, losses_at_rest, rank_agreement, run_noise_robustness
from experiments.parts.momentum_theory import stationary_variance
from experiments.parts.noise_theory import is_linear, loss_quantiles, mean_and_variance, quadratic

GD, MOMENTUM = optviz.optimizer("gd"), optviz.optimizer("momentum")
BOWL = surfaces.Shifted(surfaces.Quadratic(np.array([1.0, 4.0])), 1.0)


@pytest.fixture(autouse=True)
def no_figure_left():
    yield
    plt.close("all")


@pytest.mark.parametrize("num_steps", [1, 7, 300])
def test_without_momentum_mean_and_variance_are_the_closed_form(num_steps):
    h, x, sigma, rate = 3.0, -2.0, 0.7, 0.1
    factor = 1 - rate * h
    expected = x * factor**num_steps, (rate * sigma) ** 2 * (1 - factor ** (2 * num_steps)) / (1 - factor**2)
    np.testing.assert_allclose(mean_and_variance(h, x, sigma, rate, 0.0, num_steps), expected, rtol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_in_the_long_run_the_variance_is_that_of_the_autoregression(momentum):
    found = mean_and_variance(2.0, 1.0, 1.5, 0.05, momentum, 3000)
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert found[1] == pytest.approx(1.5**2 * float(stationary_variance(0.05, momentum, 2.0)), rel=1e-9)


@pytest.mark.parametrize("optimizer", [GD, MOMENTUM], ids=lambda o: o.name)
def test_without_noise_the_recursion_is_the_run(optimizer):
    tuned = optimizer.replace(learning_rate=0.03)
    trace = optviz.record(tuned, BOWL, BOWL.start, 25)
    found = loss_quantiles(tuned, quadratic(BOWL), 0.0, 25, (0.1, 0.9))
    np.testing.assert_allclose(found, float(trace.final_loss), rtol=1e-4)


@pytest.mark.parametrize("optimizer", [GD, MOMENTUM], ids=lambda o: o.name)
def test_the_quantiles_of_many_runs_are_the_predicted_ones(optimizer):
    tuned = optimizer.replace(learning_rate=0.02)
    noisy = surfaces.Noisy(BOWL, gradient_scale=2.0)
    ends = optviz.sweep(tuned, noisy, BOWL.start, 100, axes={"seed": 4000}).final_loss.values
    for level in (0.1, 0.5, 0.9):
        predicted = loss_quantiles(tuned, quadratic(BOWL), 2.0, 100, level)
        # The share below it is `level`, up to four standard errors of it.
        assert np.mean(ends < predicted) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 4000)), level


def test_what_is_no_quadratic_or_not_linear_has_no_theory():
    assert quadratic(surfaces.Rosenbrock()) is None and quadratic(surfaces.Booth()) is not None
    assert is_linear(GD) and is_linear(MOMENTUM) and not is_linear(optviz.optimizer("sign_sgd"))


@pytest.fixture(scope="module")
def judged():
    return judged_losses([GD, optviz.optimizer("adam")], BOWL, np.array([0.1, 3.0]), 60, 12)


def test_what_judges_are_the_runs_of_the_seeds_that_did_not_tune(judged):
    assert judged.seed.values.tolist() == [1, 3, 5, 7, 9, 11]
    for name in ("gd", "adam"):
        one = judged.sel(optimizer=name, noise=3.0)
        tuned = optviz.optimizer(name, learning_rate=float(one.rate))
        noisy = surfaces.Noisy(BOWL, gradient_scale=3.0)
        expected = [float(optviz.record(tuned, noisy, BOWL.start, 60, key=int(k)).final_loss) for k in judged.seed]
        np.testing.assert_allclose(one.loss, expected, rtol=1e-3)


def test_more_noise_wants_a_smaller_rate_and_leaves_a_higher_loss(judged):
    gd = judged.sel(optimizer="gd")
    assert float(gd.rate[1]) <= float(gd.rate[0]) and float(gd.loss[1].median()) > 10 * float(gd.loss[0].median())
    assert set(judged.rate.values.ravel()) <= set(RATES)


def test_the_loss_at_rest_is_the_predicted_one():
    rest = losses_at_rest(500)
    off = ((rest.measured - rest.predicted) / rest.error).values
    # Root mean square of 24 standard errors, heavy tails included: 1.6 is four standard deviations above 1.
    assert np.sqrt(np.mean(off**2)) < 1.6
    np.testing.assert_allclose(rest.measured, rest.predicted, rtol=0.4)


@pytest.mark.parametrize(
    ("a", "b", "tau"), [([1, 2, 3], [1, 2, 3], 1), ([1, 2, 3], [3, 2, 1], -1), ([1, 2, 3, 4], [1, 3, 2, 4], 2 / 3)]
)
def test_rankings_agree_by_the_share_of_pairs_in_the_same_order(a, b, tau):
    assert rank_agreement(np.array(a), np.array(b)) == pytest.approx(tau)


def test_the_report_says_who_is_best_and_that_theory_is_met():
    report = run_noise_robustness([GD, MOMENTUM], BOWL, [0.1, 10.0], num_steps=50, num_seeds=60)
    assert [row["noise"] for row in report.table] == [0.1, 10.0]
    assert all(row["gd"] == pytest.approx(row["predicted"], rel=0.6) for row in report.table)  # a median of 30
    inside = int(report.answer.split("are known ")[1].split(" %")[0])
    assert 60 <= inside <= 95  # 80 expected; both optimizers and levels share 30 draws
    assert report.data["judged"].theory.notnull().all()


def test_a_best_rate_at_the_end_of_those_tried_is_told():
    flat = surfaces.Scaled(surfaces.Sphere(), scale=1e-4)
    report = run_noise_robustness([GD], flat, [1e-6], num_steps=10, num_seeds=2)
    assert "at an end of those tried for gd" in report.answer


def test_optimizers_of_one_name_are_told_apart_and_one_alone_has_no_rival():
    slow = optviz.optimizer("momentum", momentum=0.5)
    report = run_noise_robustness([MOMENTUM, slow], BOWL, [0.1], num_steps=20, num_seeds=4)
    names = {"momentum (momentum=0.9)", "momentum (momentum=0.5)"}
    assert set(report.data["judged"].optimizer.values) == {report.table[0]["best"], report.table[0]["second"]} == names
    alone = run_noise_robustness([MOMENTUM], BOWL, [0.1], num_steps=20, num_seeds=4)
    assert alone.table[0]["second"] == "" and "Best" not in alone.answer


def test_one_seed_or_no_known_minimum_are_refused():
    with pytest.raises(ValueError, match="num_seeds must be at least 2"):
        run_noise_robustness([GD], BOWL, num_seeds=1)
    with pytest.raises(ValueError, match="no minimum of"):
        run_noise_robustness([GD], surfaces.Saddle(), num_seeds=2)
