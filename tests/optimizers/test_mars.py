"""MARS-AdamW against its equations and its special cases."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
import surfaces
from optviz.optimizers.mars import mars_adamw
from tests.optimizers.transcription import NOISE, START, assert_same_path, loss_gradient, path_of, transcribed

HYPERPARAMETERS = {"learning_rate": 0.1, "b1": 0.9, "b2": 0.97, "eps": 1e-6, "weight_decay": 0.01, "gamma": 0.3}


def equations(exact, max_norm, rate=0.1, b1=0.9, b2=0.97, eps=1e-6, decay=0.01, gamma=0.3):
    def step(t, x, g, s):
        if t == 1:
            s.update(m=0 * x, v=0 * x, before=x, last=g)
        h = loss_gradient(s["before"]) + NOISE[t - 1] if exact else s["last"]
        c = g + gamma * b1 / (1 - b1) * (g - h)
        length = np.sqrt(np.sum(c**2))
        c = c / length * max_norm if length > max_norm else c
        s["m"] = b1 * s["m"] + (1 - b1) * c
        s["v"] = b2 * s["v"] + (1 - b2) * c**2
        s.update(before=x, last=g)
        direction = s["m"] / (1 - b1**t) / (np.sqrt(s["v"] / (1 - b2**t)) + eps)
        return x - rate * (direction + decay * x)

    return step


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("max_norm", [1.0, 3.0, 1e6])
def test_it_is_its_equations(x64, exact, max_norm):
    path = path_of(mars_adamw(**HYPERPARAMETERS, exact=exact, max_norm=max_norm))
    assert_same_path(path, transcribed(equations(exact, max_norm)))


def test_the_two_forms_differ_where_there_is_noise_and_agree_where_there_is_none(x64):
    forms = [mars_adamw(**HYPERPARAMETERS, exact=exact) for exact in (False, True)]
    noisy = [path_of(form) for form in forms]
    assert not np.allclose(*noisy, rtol=1e-2)
    assert_same_path(*(path_of(form, noise=0 * NOISE) for form in forms))


@pytest.mark.parametrize("exact", [False, True])
def test_without_correction_and_clipping_it_is_adamw(x64, exact):
    mars = mars_adamw(0.1, 0.9, 0.97, 1e-6, 0.01, gamma=0.0, max_norm=1e9, exact=exact)
    assert_same_path(path_of(mars), path_of(optax.adamw(0.1, 0.9, 0.97, 1e-6, weight_decay=0.01)))


def test_the_exact_form_says_what_it_needs():
    mars, params = mars_adamw(0.1, exact=True), jnp.array(START)
    with pytest.raises(ValueError, match=r"exact=True needs params and grad_fn\(params, i\)"):
        mars.update(params, mars.init(params), params)


def test_the_recorder_offers_the_gradient_at_the_same_sample():
    surface = surfaces.Noisy(surfaces.QuadraticBowl(), gradient_scale=1.0)
    runs = [
        optviz.record(
            optviz.optimizer("mars_adamw", exact=exact, gamma=1.0, max_norm=1e3), surface, [-2.0, 2.0], 20, key=0
        )
        for exact in (False, True)
    ]
    assert not np.allclose(runs[0].final_params, runs[1].final_params, rtol=1e-3)
