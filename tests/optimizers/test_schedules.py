"""The schedules are Optax's, as PyTrees."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
from optviz import schedules

COUNTS = jnp.arange(0, 140)
SAMPLES = [
    ("constant_schedule", {"value": 0.3}),
    ("linear_schedule", {"init_value": 1.0, "end_value": 0.1, "transition_steps": 50, "transition_begin": 7}),
    ("linear_schedule", {"init_value": 1.0, "end_value": 0.1, "transition_steps": 0}),
    ("polynomial_schedule", {"init_value": 1.0, "end_value": 0.1, "power": 2.5, "transition_steps": 60}),
    (
        "exponential_decay",
        {"init_value": 1.0, "transition_steps": 10, "decay_rate": 0.5, "transition_begin": 5},
    ),
    ("exponential_decay", {"init_value": 1.0, "transition_steps": 9, "decay_rate": 0.5, "staircase": True}),
    ("exponential_decay", {"init_value": 1.0, "transition_steps": 9, "decay_rate": 0.5, "end_value": 0.2}),
    ("exponential_decay", {"init_value": 1.0, "transition_steps": 9, "decay_rate": 1.5, "end_value": 8.0}),
    ("cosine_decay_schedule", {"init_value": 1.0, "decay_steps": 90, "alpha": 0.1, "exponent": 1.5}),
    ("warmup_constant_schedule", {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 20}),
    (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.1, "peak_value": 1.0, "warmup_steps": 20, "decay_steps": 100, "end_value": 0.05},
    ),
    (
        "warmup_exponential_decay_schedule",
        {"init_value": 0.1, "peak_value": 1.0, "warmup_steps": 20, "transition_steps": 10, "decay_rate": 0.7},
    ),
    ("piecewise_constant_schedule", {"init_value": 1.0, "boundaries_and_scales": {60: 0.1, 20: 0.5}}),
    (
        "piecewise_interpolate_schedule",
        {"interpolate_type": "cosine", "init_value": 1.0, "boundaries_and_scales": {20: 0.5, 60: 0.1}},
    ),
    (
        "piecewise_interpolate_schedule",
        {"interpolate_type": "linear", "init_value": 1.0, "boundaries_and_scales": {20: 0.5, 60: 0.1}},
    ),
    ("linear_onecycle_schedule", {"transition_steps": 100, "peak_value": 1.0}),
    ("cosine_onecycle_schedule", {"transition_steps": 100, "peak_value": 1.0, "pct_start": 0.4}),
    (
        "sgdr_schedule",
        {
            "cosine_kwargs": [
                {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 5, "decay_steps": 40},
                {"init_value": 0.0, "peak_value": 0.5, "warmup_steps": 5, "decay_steps": 60},
            ]
        },
    ),
]


@pytest.mark.parametrize(("name", "arguments"), SAMPLES, ids=lambda x: x if isinstance(x, str) else "")
def test_values_are_optax_values_and_numbers_are_traced(name, arguments):
    schedule = getattr(schedules, name)(**arguments)
    mine = jax.jit(lambda schedule: jax.vmap(schedule)(COUNTS))(schedule)
    theirs = jnp.stack([jnp.asarray(getattr(optax, name)(**arguments)(int(c))) for c in COUNTS])
    np.testing.assert_allclose(jnp.broadcast_to(mine, theirs.shape), theirs, rtol=1e-6, atol=2e-7)


def test_all_of_optax_is_offered():
    offered = {n for n in dir(optax.schedules) if n.endswith(("_schedule", "_decay", "_schedules"))}
    offered -= {"_schedule"}
    assert all(callable(getattr(schedules, name)) for name in offered)


def test_joined_schedules_count_from_their_own_boundary():
    parts = [optax.linear_schedule(0.0, 1.0, 10), schedules.cosine_decay_schedule(1.0, 50)]
    mine = jax.vmap(schedules.join_schedules(parts, [10]))(COUNTS)
    theirs = optax.join_schedules([parts[0], optax.cosine_decay_schedule(1.0, 50)], [10])
    np.testing.assert_allclose(mine, jnp.stack([theirs(int(c)) for c in COUNTS]), atol=2e-7)
    with pytest.raises(ValueError, match="2 schedules need 1 boundaries, got 2"):
        schedules.join_schedules(parts, [10, 20])


def test_a_scheduled_rate_equals_optax_own():
    rate = optax.exponential_decay(0.1, 10, 0.9)
    mine = optviz.record(optviz.OptimizerSpec(optax.adam, learning_rate=rate), jnp.linalg.norm, [3.0, 4.0], 30)
    theirs = optviz.record(optax.adam(rate), jnp.linalg.norm, [3.0, 4.0], 30)
    np.testing.assert_allclose(mine.losses, theirs.losses, rtol=1e-5)


def test_changing_a_schedules_numbers_never_traces_again():
    calls = []

    def loss(params):
        calls.append(params)
        return jnp.sum(params**2)

    for peak in (0.1, 0.2, 0.3):
        rate = schedules.warmup_cosine_decay_schedule(0.0, peak, int(100 * peak), 100)
        optviz.record(optviz.optimizer("adam", learning_rate=rate), loss, [1.0, 2.0], 5)
        before = before if peak > 0.1 else len(calls)  # noqa: F821
    assert len(calls) == before
