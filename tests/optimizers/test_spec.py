"""What a specification traces, what it keeps static, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import optviz
from optviz import OptimizerSpec

START = [-2.0, 2.0]


def adam_of_pair(learning_rate, betas=(0.9, 0.999)):
    return optax.adam(learning_rate, *betas)


def descent_of_many(learning_rate, steps: int, axes=None):
    return optax.chain(*[optax.sgd(learning_rate)] * steps)


def square(params):
    return jnp.sum(params**2)


@pytest.mark.parametrize(
    ("factory", "given", "leaves", "options"),
    [
        (adam_of_pair, {"betas": (0.8, 0.9)}, {"betas": (0.8, 0.9)}, ()),
        (adam_of_pair, {"betas": [np.float64(0.5), 0]}, {"betas": (0.5, 0.0)}, ()),
        (adam_of_pair, {"betas": (0, 1)}, {"betas": (0.0, 1.0)}, ()),
        (optax.contrib.muon, {"ns_coeffs": [(3.4, -5, 2.0)]}, {"ns_coeffs": ((3.4, -5.0, 2.0),)}, ()),
        (optax.contrib.dog, {"init_step": ("heuristic", 1e-6)}, {}, (("init_step", ("heuristic", 1e-6)),)),
        (descent_of_many, {"axes": (0, 1)}, {}, (("axes", (0, 1)),)),
        (descent_of_many, {"steps": 2}, {}, (("steps", 2),)),
        (descent_of_many, {"steps": 2.0}, {}, (("steps", 2),)),
        (optax.lbfgs, {"memory_size": np.int64(5)}, {}, (("memory_size", 5),)),
        (optax.contrib.muon, {"ns_steps": np.int64(5)}, {}, (("ns_steps", 5),)),
        (optax.contrib.schedule_free_adamw, {"warmup_steps": 5}, {}, (("warmup_steps", 5),)),
        (optax.adam, {"b1": np.int64(0)}, {"b1": 0.0}, ()),
        (optax.adam, {"b1": np.array(0.5)}, {"b1": 0.5}, ()),
    ],
)
def test_numbers_are_leaves_and_what_a_shape_needs_is_static(factory, given, leaves, options):
    spec = OptimizerSpec(factory, **given)
    assert spec.hyperparameters == leaves
    assert spec.options == options
    assert all(type(v) is type(w) for (_, v), (_, w) in zip(spec.options, options, strict=True))


def test_changing_a_number_in_a_tuple_never_traces_again():
    calls = []

    def loss(params):
        calls.append(params)
        return square(params)

    optviz.record(OptimizerSpec(adam_of_pair, learning_rate=0.1, betas=(0.9, 0.99)), loss, START, 3)
    before = len(calls)
    pair = OptimizerSpec(adam_of_pair, learning_rate=0.1, betas=[0.5, 0.9])
    mine = optviz.record(pair, loss, START, 3)
    assert len(calls) == before
    one_by_one = optviz.record(OptimizerSpec(optax.adam, learning_rate=0.1, b1=0.5, b2=0.9), loss, START, 3)
    np.testing.assert_array_equal(mine.losses, one_by_one.losses)


@pytest.mark.parametrize("entry", optviz.CATALOGUE, ids=lambda e: e.name)
def test_a_whole_number_is_the_same_in_any_type(entry):
    for h in (h for h in entry.hyperparameters if h.integer):
        plain = entry.spec(**{h.name: int(h.high)})
        for kind in (float, np.int64, np.int32, np.float32):
            other = entry.spec(**{h.name: kind(h.high)})
            assert jax.tree.structure(other) == jax.tree.structure(plain) and other == plain
        lowest = entry.spec(**{h.name: int(h.low)})
        assert lowest.replace(**{h.name: np.int64(h.high)}) == plain


NOT_A_NUMBER = [[0.1], (0.1,), {}, b"x", 1j, "0.1", True, np.True_, np.array([0.1]), jnp.array([0.1]), jnp.array(1j)]


@pytest.mark.parametrize("value", NOT_A_NUMBER, ids=repr)
def test_what_is_no_number_is_refused_by_name(unchecked, value):
    for name in ("learning_rate", "b1"):
        with pytest.raises(TypeError, match=f"adam: {name} must be a number or a schedule, got "):
            optviz.optimizer("adam", **{name: value})
        with pytest.raises(TypeError, match=f"adam: {name} must be a number or a schedule, got "):
            OptimizerSpec(optax.adam, **{name: value})
    with pytest.raises(TypeError, match="lbfgs: memory_size must be a whole number known before compilation, got "):
        optviz.optimizer("lbfgs", memory_size=value)


@pytest.mark.parametrize(
    ("factory", "given", "error", "sentence"),
    [
        (optax.lbfgs, {"memory_size": 5.5}, ValueError, "lbfgs: memory_size must be a whole number, got 5.5"),
        (optax.lbfgs, {"memory_size": "5"}, TypeError, "lbfgs: memory_size must be a number or a schedule, got '5'"),
        (optax.adam, {"b1": np.inf}, ValueError, "adam: b1 must be a finite number, got inf"),
        (optax.sgd, {"nesterov": True}, ValueError, "sgd: nesterov=True does nothing without momentum"),
        (optax.rmsprop, {"nesterov": True, "momentum": None}, ValueError, "rmsprop: nesterov=True does nothing"),
        (adam_of_pair, {"betas": (0.9, np.nan)}, ValueError, "adam_of_pair: betas must be a finite number, got nan"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(unchecked, factory, given, error, sentence):
    with pytest.raises(error, match=sentence):
        OptimizerSpec(factory, **given)


def test_nesterov_needs_a_momentum_that_may_be_the_default():
    with pytest.raises(ValueError, match="nesterov=True does nothing without momentum"):
        optviz.optimizer("sgd", nesterov=True)
    assert ("nesterov", True) in optviz.optimizer("sgd", nesterov=True, momentum=0.9).options
    assert ("nesterov", True) in OptimizerSpec(optax.lars, learning_rate=0.1, nesterov=True).options


def averaging(rate=0.1):
    return optax.contrib.schedule_free(optax.sgd(rate), learning_rate=rate)


@pytest.mark.parametrize(
    ("around", "x", "y"),
    [
        (optax.partition({"a": averaging(), "b": optax.sgd(0.1)}, {"x": "a", "y": "b"}), averaging(), optax.sgd(0.1)),
        (optax.partition({"a": averaging(), "b": averaging(0.2)}, {"x": "a", "y": "b"}), averaging(), averaging(0.2)),
        (optax.masked(averaging(), {"x": True, "y": False}), averaging(), optax.identity()),
    ],
    ids=["partition", "partition of two", "masked"],
)
def test_a_schedule_free_part_is_judged_at_its_average_and_the_rest_as_it_is(around, x, y):
    params = {"x": jnp.array(START), "y": {"z": jnp.array([1.0, 3.0])}}
    trace = optviz.record(around, lambda p: square(p["x"]) + square(p["y"]["z"]), params, 5)
    alone = optviz.record(x, square, params["x"], 5)
    rest = optviz.record(y, square, params["y"]["z"], 5)
    # Sums in another order.
    np.testing.assert_allclose(trace.final_loss, alone.final_loss + rest.final_loss, rtol=1e-5)
