"""Newton's method against its equations; the damped one against its rule and its promise to go downhill."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optviz
import surfaces
from optviz.optimizers.newton import damped_newton, newton
from tests.optimizers.transcription import A, assert_same_path, hessian, path_of, transcribed


def plain(rate, damping):
    return lambda t, x, g, s: x - rate * np.linalg.solve(hessian(x) + damping * np.eye(x.size), g)


def loss(x):
    return np.sum(np.log(np.cosh(A @ x)))


def damped(damping):
    def step(t, x, g, s):
        h = hessian(x)
        eigenvalues = np.linalg.eigvalsh(h)
        if t == 1:
            s.update(mu=damping * np.abs(eigenvalues).max(), nu=2.0)
        shift = s["mu"] + max(0.0, -eigenvalues.min())
        step = np.linalg.solve(h + shift * np.eye(x.size), -g)
        gain = (loss(x) - loss(x + step)) / (-(g @ step) - step @ h @ step / 2)
        if gain > 0:
            s.update(mu=s["mu"] * max(1 / 3, 1 - (2 * gain - 1) ** 3), nu=2.0)
            return x + step
        s.update(mu=s["mu"] * s["nu"], nu=2 * s["nu"])
        return x

    return step


def test_newton_is_its_equations(x64):
    path = path_of(newton(0.1, damping=0.5))
    assert_same_path(path, transcribed(plain(0.1, 0.5)))


def test_damped_newton_is_its_equations(x64):
    # With noise in the gradient some steps fail, so that both branches of the rule are seen.
    path = path_of(damped_newton(0.1))
    assert_same_path(path, transcribed(damped(0.1)))
    still = (np.diff(path, axis=0) == 0).all(axis=1)
    assert still.any() and not still.all()


def test_a_quadratic_takes_one_step(dtype):
    surface = surfaces.QuadraticBowl(condition_number=1000.0)
    for spec in (optviz.optimizer("newton"), optviz.optimizer("damped_newton", damping=1e-8)):
        trace = optviz.record(spec, surface, surface.start, 1)
        # The error is that of solving a system of condition 1000.
        np.testing.assert_allclose(trace.final_params, 0.0, atol=1e-3 if dtype == "float32" else 1e-4)


def test_convergence_is_quadratic(x64):
    trace = optviz.record(optviz.optimizer("newton"), surfaces.LogCosh(), [0.5, -0.7], 5)
    errors = np.linalg.norm(trace.path, axis=1)
    # log cosh has no cubic term at its minimum: the number of digits even triples.
    assert (errors[1:4] < errors[:3] ** 2).all()


def test_newton_goes_to_a_saddle_and_damped_newton_past_it():
    surface = surfaces.StrictSaddle()
    start = jnp.array([0.5, 0.1])
    ends = {name: optviz.record(optviz.optimizer(name), surface, start, 50) for name in ("newton", "damped_newton")}
    np.testing.assert_allclose(ends["newton"].final_params, 0.0, atol=1e-4)
    assert ends["damped_newton"].final_loss < surface(jnp.zeros(2)) - 0.1


@pytest.mark.parametrize("make", [surfaces.Rosenbrock, surfaces.Himmelblau, surfaces.Beale, surfaces.LogCosh])
def test_the_damped_loss_never_rises(make):
    trace = optviz.record(optviz.optimizer("damped_newton"), make(), make().start, 100)
    assert (np.diff(trace.losses) <= 0).all()
    assert np.isfinite(jnp.stack(jax.tree.leaves(jax.tree.map(jnp.float32, trace.opt_state)))).all()
    np.testing.assert_allclose(trace.final_loss, make().minimum_value, atol=1e-6)


def test_a_flat_hessian_does_not_stop_the_damped_method():
    surface = surfaces.Huber()
    trace = optviz.record(optviz.optimizer("damped_newton"), surface, surface.start, 100)
    np.testing.assert_allclose(trace.final_params, 0.0, atol=1e-5)


@pytest.mark.parametrize("factory", [newton, damped_newton])
def test_it_says_what_it_needs(factory):
    optimizer, params = factory(), jnp.ones(2)
    with pytest.raises(ValueError, match=rf"{factory.__name__} needs params and obj_fn\(params\)"):
        optimizer.update(params, optimizer.init(params), params)
