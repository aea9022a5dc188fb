"""Metrics on runs whose numbers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
import surfaces
from optviz import metrics

SPHERE = surfaces.Sphere()


def gd(rate, start, num_steps=20, surface=SPHERE):
    return optviz.record(optax.sgd(rate), surface, start, num_steps)


def curvature():
    return float(SPHERE.hessian(jnp.zeros(2))[0, 0])


def test_gradient_descent_on_a_sphere_has_the_textbook_numbers():
    shrink = 0.5
    trace = gd((1 - shrink) / curvature(), [3.0, 4.0], 10)
    np.testing.assert_allclose(metrics.distances(trace), 5.0 * shrink ** np.arange(11), rtol=1e-5)
    np.testing.assert_allclose(metrics.distance_to_minimum(trace), 5.0 * shrink**10, rtol=1e-5)
    np.testing.assert_allclose(metrics.path_length(trace), 5.0 * (1 - shrink**10), rtol=1e-5)
    np.testing.assert_allclose(metrics.convergence_rate(trace), shrink**2, rtol=1e-5)
    np.testing.assert_allclose(metrics.final_loss(trace), trace.losses[0] * shrink**20, rtol=1e-5)
    np.testing.assert_allclose(metrics.mean_gradient_norm(trace), jnp.mean(trace.steps.gradient_norm))
    assert metrics.oscillation(trace) == 0


def test_steps_to_counts_from_the_start_and_may_be_never():
    trace = gd(0.25 / curvature(), [1.0, 0.0], 30)
    for n in (0, 7, 30):
        assert metrics.steps_to(trace, trace.losses[n]) == n
    assert metrics.steps_to(trace, -1.0) == jnp.inf
    sparse = optviz.record(optax.sgd(0.25 / curvature()), SPHERE, [1.0, 0.0], 30, every=10)
    assert metrics.steps_to(sparse, trace.losses[11]) == 20
    assert metrics.steps_to_tolerance(trace, float(trace.losses[5])) == 5


@pytest.mark.parametrize(
    ("rate", "expected", "turns"),
    [(0.5, "monotone", 0.0), (1.5, "monotone", 1.0), (2.5, "diverged", 1.0)],
    ids=["overdamped", "underdamped", "unstable"],
)
def test_behaviour_of_gradient_descent_by_its_rate(rate, expected, turns):
    summary = metrics.summary(gd(rate / curvature(), [1.0, 2.0]))
    assert summary["behaviour"] == expected and summary["oscillation"] == turns
    assert summary["diverged"] == (expected == "diverged")


def test_momentum_oscillates():
    trace = optviz.record(optax.sgd(0.1 / curvature(), momentum=0.9), SPHERE, [1.0, 2.0], 50)
    assert metrics.summary(trace)["behaviour"] == "oscillating"


def test_a_noisy_run_from_beside_the_minimum_has_not_diverged():
    noisy = surfaces.Noisy(SPHERE, gradient_scale=1.0)
    trace = optviz.record(optax.sgd(0.1), noisy, [1e-3, 0.0], 50, key=0)
    assert trace.losses[-1] > trace.losses[0] and metrics.summary(trace)["behaviour"] == "oscillating"


def test_a_run_to_infinity_has_metrics_too():
    summary = metrics.summary(gd(1e3, [1.0, 2.0], 100))
    assert summary["diverged"] and summary["behaviour"] == "diverged"
    assert summary["best_loss"] == pytest.approx(float(SPHERE(jnp.array([1.0, 2.0]))))
    assert summary["steps_to_tolerance"] == np.inf


def test_without_a_known_minimum_the_distance_is_unknown():
    summary = metrics.summary(optviz.record(optax.sgd(0.1), lambda p: jnp.sum(p**2), [1.0, 2.0], 10))
    assert np.isnan(summary["distance_to_minimum"]) and np.isnan(summary["steps_to_tolerance"])
    assert np.isfinite(summary["final_loss"])


def test_the_nearest_of_several_minima_counts():
    surface = surfaces.Himmelblau()
    for minimum in surface.minima:
        trace = optviz.record(optax.sgd(0.001), surface, minimum + 0.1, 500)
        np.testing.assert_allclose(metrics.distance_to_minimum(trace), jnp.linalg.norm(trace.final_params - minimum))


def test_metrics_map_over_runs():
    def measure(rate):
        trace = optviz.record(optviz.optimizer("gd", learning_rate=rate), SPHERE, jnp.array([1.0, 2.0]), 20)
        return metrics.steps_to_tolerance(trace, 1e-2), metrics.behaviour(trace)

    rates = jnp.array([0.1, 0.5, 2.5]) / curvature()
    mapped = jax.jit(jax.vmap(measure))(rates)
    looped = [measure(rate) for rate in rates]
    np.testing.assert_array_equal(mapped[0], [steps for steps, _ in looped])
    np.testing.assert_array_equal(mapped[1], [code for _, code in looped])
