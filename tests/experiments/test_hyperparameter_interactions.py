"""Shares of variance against functions whose shares are known; maps against the equations of Adam."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray

import optviz
import surfaces
from experiments.hyperparameter_interactions import run_hyperparameter_interactions
from experiments.parts.hyperparameter_measurements import (
    eps_and_rate,
    gained,
    good_rates,
    measured_edge,
    random_design,
    root_mean_square,
    tuned_betas,
)
from experiments.parts.variance import bins, chance_level, grid_shares, variance_shares

ADAM = optviz.optimizer("adam")
BOWL = surfaces.QuadraticBowl(condition_number=20.0)


@pytest.fixture(scope="module")
def drawn():
    random = np.random.default_rng(5)
    return {name: random.uniform(-np.pi, np.pi, 40_000) for name in "xyz"}


def test_the_shares_of_ishigamis_function_are_the_known_ones(drawn):
    x, y, z = drawn.values()
    shares = variance_shares(np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x), drawn)
    # Ishigami & Homma (1990), in closed form; the error of 40 000 runs in groups of 50 is about 0.005.
    known = {("x",): 0.3139, ("y",): 0.4424, ("z",): 0.0, ("x", "y"): 0.0, ("x", "z"): 0.2437, ("y", "z"): 0.0}
    for term, share in known.items():
        assert shares[term] == pytest.approx(share, abs=0.02), term


def test_what_an_input_does_alone_is_not_counted_as_a_pair(drawn):
    x, y, _ = drawn.values()
    shares = variance_shares(3 * x + 4 * y, drawn)
    assert shares["x",] == pytest.approx(9 / 25, abs=0.02) and shares["y",] == pytest.approx(16 / 25, abs=0.02)
    assert all(abs(share) < 0.02 for term, share in shares.items() if len(term) == 2)


def test_noise_explains_nothing_on_the_average_and_little_by_chance(drawn):
    few, random = {name: values[:2000] for name, values in drawn.items()}, np.random.default_rng(1)
    shares = [variance_shares(random.normal(size=2000), few) for _ in range(20)]
    # One share scatters by about 0.004, their mean by 0.001; without the correction it would be 0.015.
    assert all(abs(np.mean([s[term] for s in shares])) < 0.004 for term in shares[0])
    assert all(0 < share < 0.03 for share in chance_level(random.normal(size=2000), few).values())


def test_bins_hold_as_many_values_each():
    assert np.bincount(bins(np.random.default_rng(0).normal(size=1000), 8)).tolist() == [125] * 8


def test_a_sum_of_rows_and_columns_leaves_no_rest():
    rows, columns, rest = grid_shares(np.add.outer([0.0, 3.0], [0.0, 4.0]))
    assert (rows, columns) == pytest.approx((9 / 25, 16 / 25)) and rest == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("line", [1.0, 2.0, 10.0])
def test_an_edge_in_the_loss_is_found_where_it_is(line):
    one_minus_b1, one_minus_b2 = np.geomspace(1e-3, 1.0, 41), np.geomspace(1e-4, 0.5, 41)
    ratio = one_minus_b2 / (1 - (1 - one_minus_b1[:, None]) ** 2)
    decades = np.where(ratio > line, -1.0, -3.0) + np.linspace(0, 1, 41)[:, None]
    names = ("one_minus_b1", "one_minus_b2", "seed")
    betas = xarray.Dataset({"decades": (names, decades[..., None])}, {names[0]: one_minus_b1, names[1]: one_minus_b2})
    edge, rise = measured_edge(betas)
    assert edge == pytest.approx(line, rel=0.3) and rise == pytest.approx(2.0, abs=0.3)  # bins of 0.2 decades


def test_what_is_gained_is_told_in_decades_below_the_first_loss():
    first = float(BOWL(BOWL.start))
    losses = xarray.DataArray([first, first / 100, 10 * first, np.nan, 0.0])
    np.testing.assert_allclose(gained(losses, BOWL), [0, -2, 0, 0, -12], atol=1e-5)


def test_a_second_draw_of_seeds_changes_nothing_without_noise_and_much_with_it():
    noisy = surfaces.Noisy(BOWL, gradient_scale=10.0)
    still, shaken = (random_design(ADAM, surface, 20, 64).decades for surface in (BOWL, noisy))
    np.testing.assert_array_equal(still[0], still[1])
    assert np.abs(shaken[0] - shaken[1]).max() > 0.1


def test_no_step_is_longer_than_adams_bound():
    betas = tuned_betas(ADAM, surfaces.Rosenbrock(), 200, 9, 1)
    t = np.arange(1, 201)
    for one_minus_b1 in betas.one_minus_b1.values:
        for one_minus_b2 in betas.one_minus_b2.values:
            b1, b2 = 1 - one_minus_b1, 1 - one_minus_b2
            # Cauchy-Schwarz on the two averages of gradients, both corrected for their beginning at zero.
            series = np.cumsum((b1**2 / b2) ** (t - 1.0))
            bound = (1 - b1) / np.sqrt(1 - b2) * np.sqrt(series) * np.sqrt(1 - b2**t) / (1 - b1**t)
            longest = betas.longest.sel(one_minus_b1=one_minus_b1, one_minus_b2=one_minus_b2)
            assert float(longest.max()) <= 1.001 * bound.max(), (b1, b2)


def test_rate_and_eps_count_by_their_ratio_where_eps_is_large_and_eps_not_at_all_where_it_is_small():
    eps = eps_and_rate(ADAM, BOWL, 50, 14, 1)  # both in steps of a factor, eps of 10, the rate of 10^(7/13)
    last = [
        optviz.record(ADAM.replace(eps=1e7 * k, learning_rate=1e5 * k), BOWL, BOWL.start, 50).final_loss
        for k in (1.0, 10.0)
    ]
    np.testing.assert_allclose(last[0], last[1], rtol=1e-3)
    np.testing.assert_allclose(eps.final_loss[0], eps.final_loss[2], rtol=1e-2, atol=1e-6)
    assert float(good_rates(eps, BOWL)[-1]) > 100 * float(good_rates(eps, BOWL)[0])


def test_the_root_mean_square_is_that_of_the_gradients_where_they_are_constant():
    slope = surfaces.AbsoluteValue(slope_ratio=4.0)  # gradients of 1 and 4 far from the minimum
    found = root_mean_square(ADAM.replace(learning_rate=1e-4), slope, 50)
    assert found == pytest.approx(2.0, rel=1e-4)


@pytest.fixture(scope="module")
def report():
    yield run_hyperparameter_interactions(ADAM, [BOWL], num_steps=40, num_runs=600, num_points=5, num_seeds=1)
    plt.close("all")


def test_an_eps_far_below_the_gradients_explains_nothing(report):
    shares = {row["quantity"]: row["measured"] for row in report.table}
    assert abs(shares["eps"]) < 0.05 and shares["rate"] + shares["1 - b1"] > 0.2
    total = shares["each alone"] + shares["pairs"] + shares["the rest"]
    assert total == pytest.approx(1.0, abs=1e-9)
    assert "eps" in report.answer
