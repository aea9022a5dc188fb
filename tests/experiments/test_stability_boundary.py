"""The edge of trainability: runs, verdicts and box counts against calculations of their own."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

import optviz
from experiments.parts.trainability import (
    Separable,
    TanhNetwork,
    Window,
    box_counts,
    edge_of,
    layerwise_gd,
    local_dimensions,
    trainability,
)
from experiments.stability_boundary import parse_window, run_stability_boundary

POINTS, STEPS = 64, 60


@pytest.fixture(scope="module")
def report():
    yield run_stability_boundary(points=POINTS, num_steps=STEPS, zooms=1)
    plt.close("all")


def trained(network, first_rate, second_rate, num_steps):
    """The losses of training, by the chain rule written out."""
    x, y, n = np.asarray(network.inputs), np.asarray(network.targets), network.inputs.shape[1]
    first, second = (np.asarray(network.initial[name]) for name in ("first", "second"))
    losses = []
    with np.errstate(all="ignore"):  # divergence is a result
        for _ in range(num_steps):
            hidden = np.tanh(np.sqrt(2 / n) * x @ first)
            error = hidden @ second / n - y
            losses.append(np.mean(error**2))
            outer = 2 * error / len(y) / n
            back = np.sqrt(2 / n) * x.T @ (outer[:, None] * second * (1 - hidden**2))
            first, second = first - first_rate * back, second - second_rate * hidden.T @ outer
    return np.array(losses)


@pytest.mark.parametrize("second_rate", [2.0, 12.0, 40.0])
def test_a_pixel_is_the_training_run_with_its_two_rates(second_rate, x64):
    network, window = TanhNetwork.random(neurons=3, seed=5), Window(1.5, second_rate, 0.3)
    swept = trainability(network, window, 4, STEPS)
    for i, second in enumerate(window.rates(4)[1]):
        for j, first in enumerate(window.rates(4)[0]):
            losses = trained(network, first, second, STEPS)
            relative = losses / losses[0]
            recent = 0.0
            for value in relative:
                recent += (min(value, 1e6) - recent if np.isfinite(value) else 1e6 - recent) / 20
            assert bool(swept.diverged[i, j]) == (recent >= 1)
            held = np.where(relative <= 1, 1.0, np.nan_to_num(1 / relative)).sum()
            # Near the edge nearby runs part by factors, so that rounding shows.
            np.testing.assert_allclose(swept.steps_held[i, j], held, rtol=1e-5)
            if recent < 1:
                np.testing.assert_allclose(swept.mean_loss[i, j], relative.mean(), rtol=1e-5)


def test_equal_rates_are_gradient_descent():
    network = TanhNetwork.random(neurons=3)
    by_layer = optviz.record(layerwise_gd(0.5, 0.5), network, network.start, 20)
    plain = optviz.record(optviz.optimizer("gd", learning_rate=0.5), network, network.start, 20)
    np.testing.assert_allclose(by_layer.losses, plain.losses, rtol=1e-6)


def test_each_rate_moves_its_own_layer_only():
    network = TanhNetwork.random(neurons=3)
    trace = optviz.record(layerwise_gd(0.0, 0.5), network, network.start, 5)
    np.testing.assert_array_equal(trace.final_params["first"], network.initial["first"])
    assert np.abs(trace.final_params["second"] - network.initial["second"]).max() > 0


def test_a_network_is_the_same_in_any_precision():
    single = TanhNetwork.random(seed=7)
    with jax.enable_x64(True):
        double = TanhNetwork.random(seed=7)
    assert double.inputs.dtype == np.float64 and double.inputs.shape == (20, 4)
    np.testing.assert_allclose(single.inputs, double.inputs, rtol=1e-6)


def straight(size):
    return np.add.outer(np.arange(size), 0.37 * np.arange(size)) > 0.7 * size


def scattered(size):
    return np.random.default_rng(0).random((size, size)) < 0.5


def carpet(size):
    """Sierpinski's carpet, cut to a power of two: a pixel is out if two ternary digits are 1 at the same place."""
    i, j = np.indices((size, size))
    inside = np.ones((size, size), bool)
    while i.any() or j.any():
        inside &= ~((i % 3 == 1) & (j % 3 == 1))
        i, j = i // 3, j // 3
    return inside


@pytest.mark.parametrize(
    ("region", "dimension", "tolerance"),
    [
        (straight, 1.0, 0.05),
        (scattered, 2.0, 0.05),
        (carpet, np.log(8) / np.log(3), 0.1),  # boxes of powers of two do not fit its powers of three
    ],
)
def test_the_estimate_of_known_edges_is_their_dimension(region, dimension, tolerance):
    slopes = local_dimensions(edge_of(region(512)))
    assert np.median(slopes) == pytest.approx(dimension, abs=tolerance)


def test_boxes_are_counted_one_by_one():
    edge = np.zeros((64, 64), bool)
    edge[0, 0] = edge[1, 1] = edge[5, 60] = True
    sides, counts = box_counts(edge)
    assert list(sides) == [1, 2, 4, 8] and list(counts) == [3, 2, 2, 2]


def test_the_edge_is_where_a_neighbour_has_another_verdict():
    diverged = np.zeros((4, 4), bool)
    diverged[2:, :] = True
    assert np.flatnonzero(edge_of(diverged).any(axis=1)).tolist() == [1]
    assert not edge_of(np.ones((4, 4), bool)).any()
    assert local_dimensions(edge_of(np.ones((64, 64), bool))).size == 0


def test_two_weights_apart_diverge_from_rate_two_on(x64):
    swept = trainability(Separable(), Window(2.0, 2.0, 1.0), 32, 300)
    first, second = Window(2.0, 2.0, 1.0).rates(32)
    np.testing.assert_array_equal(swept.diverged, (second[:, None] > 2) | (first > 2))


@pytest.mark.parametrize(("rate", "diverged"), [(1.995, False), (2.005, True)])
def test_the_verdict_turns_where_the_loss_stays_at_its_first(rate, diverged, x64):
    swept = trainability(Separable(), Window(rate, rate, 1e-4), 2, 100)  # the losses end at 0.4 and 2.7 times the first
    assert (swept.diverged == diverged).all()


def test_a_zoom_lies_around_a_pixel_of_the_edge():
    edge = np.zeros((50, 50), bool)
    edge[10, 40] = True
    window = Window(1.0, 10.0, 2.0)
    inner = window.zoomed(edge, 8.0, seed=0)
    first, second = window.rates(50)
    assert inner == Window(pytest.approx(first[40]), pytest.approx(second[10]), 0.25)
    assert np.diff(np.log10(first)) == pytest.approx(2.0 / 50)


def test_the_networks_edge_is_rougher_than_a_straight_one(report):
    by_name = {row["picture"]: row for row in report.table}
    assert list(by_name) == ["whole", "zoom_1", "straight edge"]
    assert by_name["straight edge"]["dimension"] == pytest.approx(1.0, abs=0.1)
    assert 1.1 < by_name["whole"]["dimension"] < 2.0
    assert f"{by_name['whole']['dimension']:.2f}" in report.answer
    assert set(report.pictures) == {"whole", "zoom_1", "dimension"}


def test_single_precision_changes_verdicts_at_the_edge_only(report):
    told = report.data["single_precision"].attrs
    assert told["changed"] < 0.02
    assert told["changed"] <= told["changed_at_edge"] < 0.5
    assert told["dimension_in_single"] == pytest.approx(told["dimension"], abs=0.1)  # the edge is as rough


def test_every_run_is_a_pixel_of_the_picture(report):
    ax = report.pictures["whole"]
    image = ax.images[0].get_array()
    assert image.shape[:2] == (POINTS, POINTS)
    diverged = report.data["whole"].diverged.values
    blue = image[..., 2].astype(int) > image[..., 0].astype(int)
    np.testing.assert_array_equal(blue, ~diverged)
    width = ax.get_position().width * ax.figure.get_size_inches()[0] * 150
    assert width == pytest.approx(POINTS * round(width / POINTS))  # whole pixels of the file for each run


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"points": 1}, "points must be at least 2"),
        ({"window": Window(0.0, 1.0, 1.0)}, "positive rates at its centre"),
        ({"window": Window(1.0, 1.0, 0.0)}, "sides of 0 to 20 decades"),
        ({"window": Window(1.0, 1.0, 1e-12), "zooms": 3}, "too little for double precision"),
        ({"neurons": 0}, "neurons must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        run_stability_boundary(**given)


def test_a_centre_is_two_rates():
    assert parse_window("1.5,20", 0.1) == Window(1.5, 20.0, 0.1)
    with pytest.raises(ValueError, match="--center needs two learning rates"):
        parse_window("1.5", 0.1)
