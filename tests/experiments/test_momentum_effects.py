"""Momentum on bowls: the formulas are those of the equations, and the measurements are those of the formulas."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments.momentum_effects import run_momentum_effects
from experiments.parts import momentum_theory as theory
from experiments.parts.momentum_measurements import (
    TARGET,
    crossing,
    speed_ups,
    stability_limits,
    steps_over_rate_and_momentum,
)

KAPPA = 30.0
VARIANTS = pytest.mark.parametrize("nesterov", [False, True], ids=["heavy ball", "nesterov"])


def step_matrix(rate, momentum, curvature, nesterov=False):
    """One step of `optax.sgd` on a bowl: from (position, velocity) to the next."""
    velocity = np.array([curvature, momentum])
    moved = velocity * momentum + [curvature, 0.0] if nesterov else velocity
    return np.array([np.array([1.0, 0.0]) - rate * moved, velocity])


def losses_of(rate, momentum, kappa, num_steps, nesterov=False):
    """The losses along a path, the start included, by matrix products: half of the first loss in each direction."""
    steps = {h: step_matrix(rate, momentum, h, nesterov) for h in (1.0, kappa)}
    ends = {h: np.array([h**-0.5, 0.0]) for h in steps}
    losses = []
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is a result
        for _ in range(num_steps + 1):
            losses.append(sum(h * x[0] ** 2 / 2 for h, x in ends.items()))
            ends = {h: steps[h] @ x for h, x in ends.items()}
    return np.array(losses)


@pytest.fixture(scope="module")
def report():
    yield run_momentum_effects(KAPPA, [3.0, 30.0, 300.0], points=15, num_steps=4000, num_seeds=10)
    plt.close("all")


@VARIANTS
def test_the_factor_is_the_spectral_radius_of_the_step(nesterov):
    random = np.random.default_rng(0)
    for rate, momentum, curvature in random.uniform([0.0, 0.0, 0.1], [2.0, 1.0, 3.0], (200, 3)):
        expected = np.abs(np.linalg.eigvals(step_matrix(rate, momentum, curvature, nesterov))).max()
        # Near a double root, the root of a rounding error.
        np.testing.assert_allclose(theory.factor(rate, momentum, curvature, nesterov=nesterov), expected, atol=1e-6)


@VARIANTS
@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.99])
def test_the_limit_of_stability_is_where_the_factor_passes_one(nesterov, momentum):
    limit = theory.stability_limit(momentum, 5.0, nesterov=nesterov)
    below, above = (theory.factor(limit * x, momentum, 5.0, nesterov=nesterov) for x in (0.999, 1.001))
    assert below < 1 < above


@pytest.mark.parametrize(
    ("best", "nesterov"),
    [
        (theory.best_gradient_descent, False),
        (theory.best_heavy_ball, False),
        (theory.usual_nesterov, True),
        (theory.best_nesterov, True),
    ],
)
@pytest.mark.parametrize("kappa", [1.5, 30.0, 1e4])
def test_the_published_factors_are_those_of_the_published_settings(best, nesterov, kappa):
    tuned = best(kappa)
    found = theory.worst_factor(tuned.learning_rate, tuned.momentum, kappa, nesterov=nesterov)
    assert found == pytest.approx(tuned.factor, abs=1e-6)  # a double root of rounded numbers


@pytest.mark.parametrize(("best", "nesterov"), [(theory.best_heavy_ball, False), (theory.best_nesterov, True)])
@pytest.mark.parametrize("kappa", [1.5, 30.0, 1e4])
def test_no_rate_and_momentum_are_better_than_the_optimal_ones(best, nesterov, kappa):
    rates, momenta = np.meshgrid(np.linspace(0.01, 4, 400) / kappa, np.linspace(0, 0.999, 400))
    assert theory.worst_factor(rates, momenta, kappa, nesterov=nesterov).min() >= best(kappa).factor - 1e-9


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("kappa", [3.0, 30.0, 3000.0])
def test_the_factor_at_the_best_rate_is_the_least_over_rates(momentum, kappa):
    rates = np.linspace(1e-3, 4, 100_001) / kappa
    least = theory.worst_factor(rates, momentum, kappa).min()
    assert theory.best_rate_factor(momentum, kappa) == pytest.approx(least, abs=1e-4)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_variance_at_rest_solves_the_equation_of_the_covariance(momentum):
    rate, curvature = 0.7, 0.4
    step, noise = step_matrix(rate, momentum, curvature), np.outer([-rate, 1.0], [-rate, 1.0])
    covariance = np.linalg.solve(np.eye(4) - np.kron(step, step), noise.ravel())
    assert theory.stationary_variance(rate, momentum, curvature) == pytest.approx(covariance[0])


@pytest.mark.parametrize("kappa", [4.0, 30.0, 2500.0])
def test_the_peak_of_the_optimal_heavy_ball_is_that_of_its_path(kappa):
    best = theory.best_heavy_ball(kappa)
    losses = losses_of(best.learning_rate, best.momentum, kappa, 600)
    assert theory.heavy_ball_peak(kappa) == pytest.approx(losses.max(), rel=1e-9)


@VARIANTS
def test_a_cell_of_the_map_is_the_run_by_matrix_products(nesterov, x64):
    swept = steps_over_rate_and_momentum("nesterov" if nesterov else "momentum", KAPPA, 5, 400)
    for i, rate in enumerate(swept.learning_rate.values):
        for j, momentum in enumerate(swept.momentum.values):
            losses = losses_of(rate, momentum, KAPPA, 400, nesterov)
            above = np.flatnonzero(~(losses <= TARGET))
            expected = above[-1] + 1 if above[-1] < 400 else np.inf
            assert swept.steps.values[i, j] == expected


def test_measured_limits_are_those_of_theory_and_nesterovs_falls(x64):
    limits = stability_limits(KAPPA, 6, 3000)
    above = (limits.measured - limits.predicted).values
    assert above.min() > -1e-9 and above.max() < 0.015 + 1e-9  # the next rate, 0.01 apart, and one for slow divergence
    assert (np.diff(limits.measured.sel(variant="momentum")) > 0).all()
    assert (np.diff(limits.measured.sel(variant="nesterov")) < 0).all()


def test_the_best_cell_is_near_the_optimum_of_theory(report):
    steps, best = report.data["map"].steps, theory.best_heavy_ball(KAPPA)
    cell = steps.isel(steps.argmin(...))
    assert abs(float(cell.momentum) - best.momentum) < 0.1  # cells are 0.07 apart
    assert float(cell.learning_rate) == pytest.approx(float(best.learning_rate), rel=0.6)  # and by factors of 1.56


def test_the_speed_up_is_that_of_the_factors_as_far_as_runs_have_an_end(report):
    speed = report.data["speed_up"]
    measured, predicted = speed_ups(speed)
    fixed = [name for name in speed.variant.values if name.startswith("momentum")]
    for name in fixed:
        np.testing.assert_allclose(measured.sel(variant=name), predicted.sel(variant=name), rtol=0.25)
    optimal = measured.sel(variant="optimal momentum") / predicted.sel(variant="optimal momentum")
    assert (optimal < 1).all() and (optimal > 0.5).all()  # the run climbs first
    assert (np.diff(measured.sel(variant="optimal momentum")) > 0).all()


def test_a_large_momentum_hurts_at_a_low_condition_number(report):
    measured = speed_ups(report.data["speed_up"])[0]
    assert (measured.sel(variant="momentum 0.9", condition_number=3.0) < 0.2).all()
    assert (measured.sel(variant="momentum 0.9", condition_number=300.0) > 4).all()
    assert crossing(measured.sel(variant="momentum 0.9")) == pytest.approx(theory.least_condition_number(0.9), rel=0.25)
    assert np.isnan(crossing(measured.sel(variant="optimal momentum")))  # never below 1


def test_the_loss_at_rest_with_noise_is_that_of_theory(report):
    noise = report.data["noise"]
    off = abs(noise.measured - noise.predicted) / noise.error
    assert float(off.max()) < 5  # standard errors from 10 seeds, of 6 settings
    assert float((abs(noise.optimal_measured / noise.optimal_predicted - 1)).max()) < 0.2


def test_in_the_ravine_some_momentum_is_best_and_more_goes_further(report):
    ravine = report.data["ravine"]
    best = int(np.argmin(ravine.steps.values))
    assert 0 < best < len(ravine.momentum) - 1
    assert (np.diff(ravine.path_length) > 0).all()


def test_the_answer_tells_what_the_table_holds(report):
    for row in report.table:
        if row["quantity"] in ("speed-up, optimal momentum", "speed-up in a ravine", "highest loss on the way"):
            assert f"{row['measured']:.3g}" in report.answer
    assert set(report.pictures) == {"map", "map_nesterov", "speed_up", "ravine", "paths", "noise"}


@pytest.mark.parametrize("given", [{"condition_number": 1.0}, {"condition_numbers": [10.0, 0.5]}])
def test_equal_curvatures_are_refused(given):
    with pytest.raises(ValueError, match="condition_number must be above 1"):
        run_momentum_effects(**given)


def test_a_run_leaves_the_precision_of_the_caller_alone(report):
    assert not jax.config.jax_enable_x64
    assert report.data["map"].steps.dtype == np.float64
