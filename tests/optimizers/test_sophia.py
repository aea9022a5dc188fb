"""Sophia against its equations, with the estimates that its key draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optviz.optimizers.sophia import sophia_g, sophia_h
from tests.optimizers.transcription import START, A, assert_same_path, hessian, path_of, transcribed

HYPERPARAMETERS = {
    "learning_rate": 0.02,
    "b1": 0.9,
    "b2": 0.8,
    "eps": 1e-3,
    "weight_decay": 0.01,
    "gamma": 0.3,
    "clip_threshold": 0.7,
    "update_interval": 3,
    "seed": 5,
}


def drawn(t, size):
    return np.asarray(jax.random.normal(jax.random.fold_in(jax.random.key(5), t - 1), (size,)))


def hutchinson(t, x):
    z = drawn(t, x.size)
    return z * (hessian(x) @ z)


def gauss_newton_bartlett(t, x):
    jacobian = np.diag(1 / np.cosh(A @ x) ** 2) @ A
    return (jacobian.T @ drawn(t, len(A))) ** 2


def equations(estimate, rate=0.02, b1=0.9, b2=0.8, eps=1e-3, decay=0.01, gamma=0.3, bound=0.7, k=3):
    def step(t, x, g, s):
        s["m"] = b1 * s.get("m", 0 * x) + (1 - b1) * g
        if t % k == 1:
            s["h"] = b2 * s.get("h", 0 * x) + (1 - b2) * estimate(t, x)
        x = x - rate * decay * x
        return x - rate * np.clip(s["m"] / np.maximum(gamma * s["h"], eps), -bound, bound)

    return step


@pytest.mark.parametrize(("factory", "estimate"), [(sophia_h, hutchinson), (sophia_g, gauss_newton_bartlett)])
def test_it_is_its_equations(x64, factory, estimate):
    path = path_of(factory(**HYPERPARAMETERS))
    assert_same_path(path, transcribed(equations(estimate)))
    # Some steps were clipped and some were not.
    steps = np.abs(np.diff(path, axis=0) + 0.02 * 0.01 * path[:-1]) / 0.02
    assert (steps > 0.7 - 1e-9).any() and (steps < 0.6).any()


def estimates(factory, num_seeds, **offered):
    params = jnp.array(START)

    @jax.vmap
    def diagonal(seed):
        optimizer = factory(0.1, b2=0.0, seed=seed)
        return optimizer.update(params, optimizer.init(params), params, **offered)[1][0].h

    return np.asarray(diagonal(jnp.arange(num_seeds)))


def obj_fn(x):
    return jnp.sum(jnp.log(jnp.cosh(A @ x)))


def residuals_fn(x):
    return jnp.tanh(A @ x)


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (sophia_h, np.diag(hessian(START))),
        (sophia_g, np.diag(A.T @ np.diag(1 / np.cosh(A @ START) ** 4) @ A)),
    ],
)
def test_estimates_are_right_on_average(x64, factory, expected):
    each = estimates(factory, 4000, obj_fn=obj_fn, residuals_fn=residuals_fn)
    # Five standard errors of the mean.
    assert (np.abs(each.mean(axis=0) - expected) < 5 * each.std(axis=0) / np.sqrt(4000)).all()


def test_gauss_newton_estimates_are_never_negative_and_hutchinsons_are(x64):
    offered = {"obj_fn": obj_fn, "residuals_fn": residuals_fn}
    assert (estimates(sophia_g, 100, **offered) >= 0).all()
    assert (estimates(sophia_h, 100, **offered) < 0).any()


def test_each_says_what_it_needs():
    params = jnp.ones(2)
    for factory, need in [(sophia_h, r"obj_fn\(params\)"), (sophia_g, r"residuals_fn\(params\)")]:
        optimizer = factory(0.1)
        with pytest.raises(ValueError, match=rf"{factory.__name__} needs params and {need}"):
            optimizer.update(params, optimizer.init(params), params)
