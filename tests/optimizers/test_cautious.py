"""The cautious mask against its equation, and the inner optimizer where nothing is masked."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import optviz
import surfaces
from optviz.optimizers.cautious import cautious, cautious_adamw
from tests.optimizers.transcription import assert_same_path, flat, leaves, path_of, transcribed


def equations(rate=0.1, b1=0.9, b2=0.97, eps=1e-6, decay=0.01):
    def step(t, x, g, s):
        s["m"] = b1 * s.get("m", 0 * x) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0 * x) + (1 - b2) * g**2
        u = s["m"] / (1 - b1**t) / (np.sqrt(s["v"] / (1 - b2**t)) + eps)
        kept = leaves(np.where(u * g > 0, 1.0, 0.0))
        scaled = flat({name: k / max(k.mean(), 1e-3) for name, k in kept.items()})
        return x - rate * (u * scaled + decay * x)

    return step


def test_cautious_adamw_is_its_equations(x64):
    path = path_of(cautious_adamw(0.1, 0.9, 0.97, 1e-6, 0.01))
    assert_same_path(path, transcribed(equations()))
    assert not np.allclose(path, path_of(optax.adamw(0.1, 0.9, 0.97, 1e-6, weight_decay=0.01)), rtol=1e-2)


def test_where_all_signs_agree_nothing_changes(x64):
    # A gradient step always agrees with its gradient.
    for inner in (optax.sgd(0.01), optax.sign_sgd(0.01), optax.rmsprop(0.01)):
        assert_same_path(path_of(cautious(inner)), path_of(inner))


def test_what_goes_uphill_is_left_out_and_the_rest_makes_up_for_it():
    always = optax.GradientTransformation(lambda _: (), lambda g, s, p=None: (jnp.full_like(g, -1.0), s))
    updates, _ = cautious(always).update(jnp.array([1.0, -1.0, 2.0, 0.0]), ())
    np.testing.assert_array_equal(updates, [-2.0, 0.0, -2.0, 0.0])
    none, _ = cautious(always).update(jnp.array([-1.0, -1.0]), ())
    np.testing.assert_array_equal(none, [0.0, 0.0])


def test_extra_arguments_reach_the_inner_optimizer():
    surface = surfaces.Rosenbrock()
    masked = optviz.record(cautious(optax.contrib.sophia(0.05)), surface, surface.start, 20, key=0)
    assert masked.final_loss < surface(surface.start)


def test_no_step_climbs_to_first_order():
    trace = optviz.record(optviz.optimizer("cautious_adamw"), surfaces.Rosenbrock(), [-2.0, 2.0], 200)
    slopes = jax.vmap(jnp.vdot)(trace.steps.updates, trace.steps.gradients)
    assert (slopes <= 0).all()
