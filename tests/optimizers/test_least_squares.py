"""Gauss-Newton and Levenberg-Marquardt against their equations, linear least squares and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax.flatten_util import ravel_pytree

import optviz
import surfaces
from optviz.optimizers.least_squares import gauss_newton, levenberg_marquardt
from tests.optimizers.transcription import NOISE, A, assert_same_path, path_of, transcribed

SUMS_OF_SQUARES = [make for make in surfaces.CATALOGUE if hasattr(make, "residuals")]


def residuals(x):
    return np.tanh(A @ x)


def jacobian(x):
    return np.diag(1 / np.cosh(A @ x) ** 2) @ A


def plain(rate, damping):
    def step(t, x, g, s):
        j = jacobian(x)
        return x - rate * np.linalg.solve(j.T @ j + damping * np.eye(x.size), j.T @ residuals(x))

    return step


def marquardt(damping):
    def step(t, x, g, s):
        j, r = jacobian(x), residuals(x)
        if t == 1:
            s.update(mu=damping * np.diag(j.T @ j).max(), nu=2.0)
        h = np.linalg.solve(j.T @ j + s["mu"] * np.eye(x.size), -j.T @ r)
        fall = (r @ r - residuals(x + h) @ residuals(x + h)) / 2
        model = (r @ r - np.sum((r + j @ h) ** 2)) / 2
        if fall / model > 0:
            s.update(mu=s["mu"] * max(1 / 3, 1 - (2 * fall / model - 1) ** 3), nu=2.0)
            return x + h
        s.update(mu=s["mu"] * s["nu"], nu=2 * s["nu"])
        return x

    return step


def test_gauss_newton_is_its_equations(x64):
    path = path_of(gauss_newton(0.1, damping=0.01))
    assert_same_path(path, transcribed(plain(0.1, 0.01)))


def test_levenberg_marquardt_is_its_equations(x64):
    # Until rounding decides whether a step succeeds.
    path = path_of(levenberg_marquardt(1e-3), noise=NOISE[:8])
    assert_same_path(path, transcribed(marquardt(1e-3), noise=NOISE[:8]))


@pytest.mark.parametrize("make", SUMS_OF_SQUARES)
def test_half_the_squared_residuals_are_the_loss_and_give_its_gradient(x64, make):
    surface = make()
    lower, unravel = ravel_pytree(surface.domain[0])
    upper, _ = ravel_pytree(surface.domain[1])
    for share in (0.1, 0.4, 0.8):
        params = unravel(lower + share * (upper - lower))
        half_squares = lambda p: jnp.sum(surface.residuals(p) ** 2) / 2  # noqa: E731
        value, gradient = jax.value_and_grad(half_squares)(params)
        np.testing.assert_allclose(value, surface(params), rtol=1e-12)
        expected = ravel_pytree(surface.gradient(params))[0]
        np.testing.assert_allclose(ravel_pytree(gradient)[0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["gauss_newton", "levenberg_marquardt"])
def test_linear_least_squares_take_one_step(x64, name):
    surface = surfaces.MatrixRegression(condition_number=1000.0)
    spec = optviz.optimizer(name, damping=1e-8)
    trace = optviz.record(spec, surface, surface.start, 1)
    # The damping is 1e-8 of the largest curvature, 1e-5 of the least.
    np.testing.assert_allclose(trace.final_params, surface.minima[0], atol=1e-4)


def test_without_residuals_left_gauss_newton_is_newton(x64):
    """At a minimum of value zero the two matrices agree: so do the last digits of the way there."""
    surface, start = surfaces.Rosenbrock(), jnp.array([1.001, 1.002])
    steps = [optviz.record(optviz.optimizer(n), surface, start, 1).steps.updates[0] for n in ("newton", "gauss_newton")]
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-2)


@pytest.mark.parametrize("name", ["gauss_newton", "levenberg_marquardt"])
def test_it_is_differentiable_even_where_singular_values_meet(x64, name):
    optimizer = optviz.optimizer(name, damping=0.3)

    def second_loss(scale):
        """Its residuals have the identity, times a number, for a Jacobian: all singular values are one."""
        params = jnp.array([1.0, -1.0])
        residuals = lambda p: scale * p + 0.1 * p**3 * (scale - 1)  # noqa: E731
        updates, _ = optimizer.update(params, optimizer.init(params), params, residuals_fn=residuals)
        return jnp.sum((params + updates) ** 2)

    h = 1e-5
    numeric = (second_loss(1 + h) - second_loss(1 - h)) / (2 * h)
    # Central differences: error of order h^2, rounding over h.
    np.testing.assert_allclose(jax.grad(second_loss)(1.0), numeric, rtol=1e-6)


@pytest.mark.parametrize("make", SUMS_OF_SQUARES)
def test_levenberg_marquardt_finds_what_scipy_finds(x64, make):
    surface = make()
    start, unravel = ravel_pytree(surface.start)
    theirs = scipy.optimize.least_squares(lambda x: np.asarray(surface.residuals(unravel(x))), np.asarray(start))
    trace = optviz.record(optviz.optimizer("levenberg_marquardt"), surface, surface.start, 60, fields=("loss",))
    assert (np.diff(trace.losses) <= 0).all()
    np.testing.assert_allclose(trace.final_loss, theirs.cost, atol=1e-9)


def test_a_loss_without_residuals_counts_as_one(x64):
    trace = optviz.record(optviz.optimizer("gauss_newton"), lambda x: jnp.sum(x**4), [1.0, -2.0], 3)
    for row in trace.steps:
        expected = -2 * row.loss * row.gradients / jnp.sum(row.gradients**2)
        np.testing.assert_allclose(row.updates, expected, rtol=1e-12)
    # Only a damping tells sqrt(2 f) from another multiple of the root.
    damped = optviz.record(optviz.optimizer("gauss_newton", damping=0.5), lambda x: jnp.sum(x**4), [1.0, -2.0], 1)
    row = damped.steps[0]
    expected = -row.gradients / (jnp.sum(row.gradients**2) / (2 * row.loss) + 0.5)
    np.testing.assert_allclose(row.updates, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["gauss_newton", "levenberg_marquardt"])
def test_at_the_minimum_and_below_zero_it_stands_still(name):
    for loss in (lambda x: jnp.sum(x**2), lambda x: jnp.sum(x**2) - 10.0):
        trace = optviz.record(optviz.optimizer(name), loss, [0.0, 0.0], 40)
        np.testing.assert_array_equal(trace.final_params, [0.0, 0.0])
        assert np.isfinite(jnp.stack([jnp.float32(x) for x in jax.tree.leaves(trace.opt_state)] or [0.0])).all()


@pytest.mark.parametrize("factory", [gauss_newton, levenberg_marquardt])
def test_it_says_what_it_needs(factory):
    optimizer, params = factory(), jnp.ones(2)
    with pytest.raises(ValueError, match=rf"{factory.__name__} needs params and residuals_fn\(params\)"):
        optimizer.update(params, optimizer.init(params), params)
