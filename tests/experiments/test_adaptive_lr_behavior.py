"""Adaptive rates on a bowl: what the identities say, the measurements show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import optviz
import surfaces
from experiments.adaptive_lr_behavior import run_adaptive_lr_behavior
from experiments.parts.adaptive_rates import denominator_floor, edge_of_stability, effective_rates, rescaled_paths

KAPPA = 64.0


@pytest.fixture(scope="module")
def report():
    rates, angles = np.geomspace(1e-3, 1.0, 7), np.linspace(0, np.pi / 2, 5)
    yield run_adaptive_lr_behavior(None, KAPPA, rates, angles, num_steps=60)
    plt.close("all")


def found(report, optimizer, quantity, column="measured"):
    rows = [row for row in report.table if (row["optimizer"], row["quantity"]) == (optimizer, quantity)]
    assert len(rows) == 1
    return rows[0][column]


def trace_of(name, **given):
    surface = surfaces.QuadraticBowl(condition_number=9.0, angle=0.4)
    return optviz.record(optviz.optimizer(name, **given), surface, [2.0, -1.0], 40)


RULES = {
    "gd": lambda h, state, t: h["learning_rate"],
    "momentum": lambda h, state, t: h["learning_rate"],
    "adagrad": lambda h, state, t: h["learning_rate"] / np.sqrt(state[0].sum_of_squares + h["eps"]),
    "rmsprop": lambda h, state, t: h["learning_rate"] / np.sqrt(state[0].nu + h["eps"]),
    "adam": lambda h, state, t: h["learning_rate"] / (np.sqrt(state[0].nu / (1 - h["b2"] ** t)) + h["eps"]),
}


@pytest.mark.parametrize("name", RULES)
def test_the_effective_rate_is_the_rate_over_the_denominator_that_the_state_holds(name):
    trace = trace_of(name, learning_rate=0.05)
    t = np.arange(1, 41)[:, None]
    expected = np.broadcast_to(RULES[name](trace.optimizer.hyperparameters, trace.steps.new_opt_state, t), (40, 2))
    np.testing.assert_allclose(effective_rates(trace), expected, rtol=2e-4)  # a quotient of rounded numbers


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_along_the_axes_dividing_by_past_gradients_undoes_the_curvature(report, name):
    assert found(report, name, "ratio of rates, along the axes") == pytest.approx(KAPPA, rel=1e-3)


def test_gradient_descent_has_one_rate_and_knows_no_axes(report):
    assert found(report, "gd", "ratio of rates, along the axes") == pytest.approx(1.0, abs=1e-4)
    by_angle = report.data["turned"].decades.sel(optimizer="gd")
    stable = by_angle.isel(learning_rate=by_angle.max("angle").values < 0)
    assert float((stable.max("angle") - stable.min("angle")).max()) < 1e-4  # float32 sums of turned coordinates


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam"])
def test_a_quarter_turn_changes_nothing_and_an_eighth_hides_the_curvature(report, name):
    turned, ratios = report.data["turned"].sel(optimizer=name), report.data["ratios"].sel(optimizer=name)
    first, middle, last = (turned.decades.isel(angle=i).values for i in (0, len(turned.angle) // 2, -1))
    assert np.median(np.abs(last - first)) < 0.05  # most rates do not end within rounding
    assert middle.min() > first.min() - 0.5
    np.testing.assert_allclose(ratios.ratio[-1], 1 / ratios.ratio[0], rtol=3e-2)  # late gradients are rounding
    assert float(ratios.ratio.sel(angle=45.0)) == pytest.approx(1.0, abs=1e-2)


def test_half_of_the_ratio_is_gone_where_the_square_of_the_tangent_is_one_over_the_condition_number(report):
    predicted = report.data["ratios"].predicted
    angle = np.degrees(np.arctan(1 / np.sqrt(KAPPA)))
    assert float(predicted[0]) == pytest.approx(KAPPA) and float(predicted[-1]) == pytest.approx(1 / KAPPA)
    theta = np.radians(angle)
    mean_squares = np.diag(turn(theta) @ np.diag([1.0, KAPPA**2]) @ turn(theta).T)
    assert np.sqrt(mean_squares[1] / mean_squares[0]) == pytest.approx(np.sqrt(KAPPA), rel=1e-2)
    at = found(report, "adam", "half of the ratio is lost at, degrees", "predicted")
    assert 0 < at < 22.5  # between the first two angles of a coarse run


def turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam"])
def test_a_larger_loss_moves_no_path_and_the_constant_says_where_a_smaller_one_does(report, name):
    assert found(report, name, "path moved by loss × 1024") < 2e-2
    measured, predicted = (found(report, name, "eps counts below the loss times", c) for c in ("measured", "predicted"))
    assert 0.1 < measured / predicted < 10


def test_gradient_descent_notices_the_scale_of_the_loss_and_nobody_is_indifferent_to_units(report):
    assert found(report, "gd", "path moved by loss × 1024") == np.inf
    for name in ("gd", "adagrad", "rmsprop", "adam"):
        assert found(report, name, "path moved by one unit × 1024") > 0.1


@pytest.mark.parametrize(("change", "factor"), [("loss", 4.0), ("one curvature", 4.0), ("one unit", 1 / 16)])
def test_a_rescaling_is_to_gradient_descent_a_change_of_the_curvature(change, factor):
    found = rescaled_paths([optviz.optimizer("gd", learning_rate=0.01)], 9.0, 40).moved
    t, start = np.arange(41)[:, None], np.array([3.0, 3.0])
    curvatures = np.array([1.0, 9.0]), np.array([factor if change == "loss" else 1.0, 9.0 * factor])
    before, after = (start * (1 - 0.01 * h) ** t for h in curvatures)
    expected = np.linalg.norm(after - before, axis=1).max() / np.linalg.norm(start)
    assert float(found.sel(change=change, scale=4.0, optimizer="gd")) == pytest.approx(expected, rel=1e-4)


def test_what_forgets_goes_to_the_edge_of_stability(report):
    assert found(report, "rmsprop", "late rate / edge of stability") == pytest.approx(1.0, rel=1e-2)
    assert np.isnan(found(report, "adagrad", "late rate / edge of stability", "predicted"))


@pytest.mark.parametrize("b1", [0.0, 0.9])
def test_the_edge_of_stability_is_where_gradient_descent_with_averaged_gradients_diverges(b1):
    adam = optviz.optimizer("adam", b1=b1, b2=0.0, eps=1e6)  # so large an eps leaves the average of gradients alone
    bowl = surfaces.Quadratic(np.array([2.0]))  # started so near that the correction of the average does no harm
    limit = edge_of_stability(adam) / 2.0
    ends = [
        abs(optviz.record(adam.replace(learning_rate=1e6 * limit * share), bowl, [1e-20], 2000).current_params[0])
        for share in (0.98, 1.02)
    ]
    assert ends[0] < 1e-20 and ends[1] > 1e3


@pytest.mark.parametrize(("name", "floor"), [("gd", 0.0), ("adam", 1e-8), ("rmsprop", 1e-4), ("adagrad", np.sqrt(0.1))])
def test_the_floor_of_the_denominator_is_read_off_the_optimizer(name, floor):
    assert denominator_floor(optviz.optimizer(name)) == pytest.approx(floor, rel=1e-5)


def test_optimizers_of_one_name_are_told_apart():
    twins = [optviz.optimizer("adam", b1=b1) for b1 in (0.9, 0.5)]
    report = run_adaptive_lr_behavior(twins, 10.0, [0.1, 0.3], [0.0], num_steps=10)
    plt.close("all")
    assert {row["optimizer"] for row in report.table} == {"adam (b1=0.9)", "adam (b1=0.5)"}


def test_a_round_bowl_is_refused():
    with pytest.raises(ValueError, match="condition_number must be above 1"):
        run_adaptive_lr_behavior(condition_number=1.0)
