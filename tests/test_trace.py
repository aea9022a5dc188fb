"""The recorder's promises, for every optimizer of the catalogue where they concern optimizers."""

import os
import subprocess
import sys

import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
import surfaces
from optviz import metrics
from optviz.trace import COLUMNS

START = [-2.0, 2.0]
ADAM = optviz.optimizer("adam", learning_rate=0.1)
every_optimizer = pytest.mark.parametrize("entry", optviz.CATALOGUE, ids=lambda e: e.name)


def bowl():
    return surfaces.QuadraticBowl()


class Counted:
    """A loss that counts how often Python evaluates it: while tracing, never while running."""

    def __init__(self):
        self.calls = 0

    def __call__(self, params):
        self.calls += 1
        return jnp.sum((params - 1.0) ** 2 * jnp.array([1.0, 10.0]))


def test_rows_hold_what_was_known_and_what_came_of_it():
    trace = optviz.record(ADAM, surfaces.Rosenbrock(), START, 20)
    assert len(trace) == 20 and trace.count == 20
    surface = surfaces.Rosenbrock()
    for i, row in enumerate(trace.steps):
        assert row.index == i
        np.testing.assert_allclose(row.loss, surface(row.params), rtol=1e-6)
        np.testing.assert_allclose(row.gradients, surface.gradient(row.params), rtol=1e-4)
        # Compiled as one program, a sum may be rounded once instead of twice.
        np.testing.assert_allclose(row.new_params, row.params + row.updates, rtol=1e-6)
        np.testing.assert_allclose(row.step_size, jnp.linalg.norm(row.updates), rtol=1e-6)
        np.testing.assert_allclose(row.gradient_norm, jnp.linalg.norm(row.gradients), rtol=1e-6)
        assert row.hyperparameters["learning_rate"] == np.float32(0.1)
    chex.assert_trees_all_equal(trace.steps[3].new_opt_state, trace.steps[4].opt_state)
    chex.assert_trees_all_equal(trace.steps[-1].new_params, trace.current_params)
    chex.assert_trees_all_equal(trace.steps.new_params[:-1], trace.steps.params[1:])


def test_the_end_is_part_of_the_trajectory():
    trace = optviz.record(ADAM, surfaces.Rosenbrock(), START, 7)
    data = trace.get_trajectory_data()
    assert set(data) == {"params", "losses", "gradients", "step_sizes", "optimizer_states"}
    assert data["params"].shape == (8, 2) and data["losses"].shape == (8,)
    assert data["gradients"].shape == (7, 2) and data["step_sizes"].shape == (7,)
    assert jax.tree.leaves(data["optimizer_states"])[0].shape[0] == 8
    np.testing.assert_array_equal(data["params"][-1], trace.current_params)
    np.testing.assert_allclose(data["losses"][-1], surfaces.Rosenbrock()(trace.current_params), rtol=1e-6)


@every_optimizer
def test_a_run_in_parts_equals_the_run_in_one(entry):
    whole = optviz.record(entry.spec(), surfaces.Rosenbrock(), START, 30, key=1)
    parts = optviz.record(entry.spec(), surfaces.Rosenbrock(), START, 13, key=1).run_optimization(17)
    chex.assert_trees_all_equal(parts.rows, whole.rows)
    chex.assert_trees_all_equal(parts.opt_state, whole.opt_state)
    chex.assert_trees_all_equal(parts.losses, whole.losses)


def test_without_fused_multiply_add_every_cut_and_every_k_is_exact():
    code = (
        "import chex, optviz, surfaces\n"
        "for name in ('lamb', 'adafactor'):\n"
        "    for every in (1, 2):\n"
        "        given = (optviz.optimizer(name), surfaces.Rosenbrock(), [-2.0, 2.0])\n"
        "        trace = optviz.OptimizerTrace(*given, every=every)\n"
        "        for num_steps in (1, 1, 3, 2):\n"
        "            trace = trace.run_optimization(num_steps)\n"
        "        chex.assert_trees_all_equal(trace.rows, optviz.record(*given, 7, every=every).rows)"
    )
    without = {**os.environ, "XLA_FLAGS": "--xla_cpu_max_isa=AVX"}
    subprocess.run([sys.executable, "-c", code], check=True, env=without)


@pytest.mark.parametrize("parts", [(1,) * 6, (3, 3), (1, 5), (4, 2)], ids=str)
def test_however_a_run_is_cut_it_is_the_same_run(parts):
    trace = optviz.OptimizerTrace(ADAM, surfaces.Rosenbrock(), START)
    for num_steps in parts:
        trace = trace.run_optimization(num_steps)
    chex.assert_trees_all_equal(trace.rows, optviz.record(ADAM, surfaces.Rosenbrock(), START, 6).rows)


def test_stepping_one_by_one_leaves_the_earlier_trace_alone():
    surface = surfaces.Rosenbrock()
    first = optviz.OptimizerTrace(ADAM, surface, START)
    assert len(first) == 0 and first.final_loss == surface(jnp.array(START))
    second = first.step().step()
    assert (len(first), first.count, len(second)) == (0, 0, 2)
    chex.assert_trees_all_equal(second.rows, optviz.record(ADAM, surface, START, 2).rows)


@every_optimizer
def test_recording_equals_the_plain_optax_loop(entry):
    surface = bowl()
    spec, params = entry.spec(), jnp.array(START)
    recorded = optviz.record(spec, surface, params, 10)
    transformation, state = spec.build(), spec.build().init(params)

    def value_fn(p):
        return surface(p)

    @jax.jit
    def step(params, state):
        value, grads = jax.value_and_grad(value_fn)(params)
        wanted = {
            "value": {"value": value},
            "line search": {"value": value, "grad": grads, "value_fn": value_fn},
            "hessian": {"obj_fn": value_fn},
            "residuals": {"residuals_fn": surface.residuals},
            "gradient function": {"grad_fn": lambda p, _: jax.grad(value_fn)(p)},
        }
        extra = {k: v for need in entry.needs for k, v in wanted.get(need, {}).items()}
        updates, state = transformation.update(grads, state, params, **extra)
        return optax.apply_updates(params, updates), state

    for i in range(10):
        # Two programs of the same sums differ by float32 rounding, which a sign or a root can enlarge.
        np.testing.assert_allclose(recorded.steps.params[i], params, rtol=2e-4, atol=2e-5)
        params, state = step(params, state)


@pytest.mark.parametrize("every", [1, 3, 10])
@pytest.mark.parametrize("parts", [(20,), (7, 13), (1, 4, 15)])
def test_every_k_keeps_rows_0_k_2k_however_the_run_is_cut(every, parts):
    trace = optviz.OptimizerTrace(ADAM, surfaces.Rosenbrock(), START, every=every)
    for num_steps in parts:
        trace = trace.run_optimization(num_steps)
    full = optviz.record(ADAM, surfaces.Rosenbrock(), START, 20)
    np.testing.assert_array_equal(trace.steps.index, np.arange(0, 20, every))
    # Other programs, other fusions: equal up to float32 rounding.
    np.testing.assert_allclose(trace.steps.loss, full.steps.loss[::every], rtol=1e-4)
    np.testing.assert_allclose(trace.current_params, full.current_params, rtol=1e-4)
    assert trace.path_index[-1] == 20


def test_only_chosen_fields_are_kept():
    scalars = optviz.record(ADAM, surfaces.Rosenbrock(), START, 5, fields=optviz.SCALARS)
    kept = {name for name in COLUMNS if getattr(scalars.rows, name) is not None}
    assert kept == {"loss", "gradient_norm", "step_size"}
    assert scalars.losses.shape == (6,)
    with pytest.raises(AttributeError, match="'params': it was not among the fields recorded"):
        _ = scalars.steps.params
    with pytest.raises(AttributeError, match="'evaluation_loss': this run has none apart"):
        _ = optviz.record(ADAM, surfaces.Rosenbrock(), START, 5).steps.evaluation_loss


@pytest.mark.parametrize(("fields", "told"), [(None, True), (("gradient_norm",), False)])
def test_a_notebook_shows_what_was_recorded(fields, told):
    page = optviz.record(ADAM, surfaces.Rosenbrock(), START, 5, fields=fields)._repr_html_()
    assert "final loss" in page and ("best loss" in page) == told


def test_a_trace_before_its_first_step_has_data_and_metrics():
    trace = optviz.OptimizerTrace(ADAM, surfaces.Rosenbrock(), START, key=np.int64(3))
    data = trace.get_trajectory_data()
    assert data["params"].shape == (1, 2) and data["gradients"].shape == (0, 2) and data["losses"].shape == (1,)
    assert metrics.summary(trace)["final_loss"] == trace.final_loss


def first_coordinate_and_rate(row):
    return {"x": row.params[0], "rate": row.hyperparameters["learning_rate"]}


def test_fields_may_be_a_function_of_the_row():
    trace = optviz.record(ADAM, surfaces.Rosenbrock(), START, 5, fields=first_coordinate_and_rate)
    full = optviz.record(ADAM, surfaces.Rosenbrock(), START, 5)
    np.testing.assert_allclose(trace.rows["x"], full.steps.params[:, 0], rtol=1e-5)
    np.testing.assert_allclose(trace.rows["rate"], 0.1)
    assert len(trace) == 5


def test_rivals_see_the_same_noise_and_another_seed_is_other_noise():
    noisy = surfaces.Noisy(bowl(), gradient_scale=1.0)

    def noise(name, key):
        trace = optviz.record(optviz.optimizer(name, learning_rate=1e-3), noisy, START, 10, key=key)
        exact = jax.vmap(bowl().gradient)(trace.steps.params)
        return trace.steps.gradients - exact

    np.testing.assert_allclose(noise("adam", 0), noise("sgd", 0), atol=1e-4)
    assert jnp.abs(noise("adam", 0) - noise("adam", 1)).min() > 1e-6


def test_a_stochastic_run_is_judged_by_the_expectation():
    surface = surfaces.NoisyQuadratic()
    trace = optviz.record(optviz.optimizer("adam"), surface, surface.start, 50, key=0)
    np.testing.assert_allclose(trace.losses, jax.vmap(surface)(trace.path), rtol=1e-5)
    assert optviz.metrics.best_loss(trace) >= surface.minimum_value
    assert jnp.abs(trace.losses[:-1] - trace.steps.loss).max() > 1e-3
    kept = optviz.record(optviz.optimizer("adam"), surface, surface.start, 50, key=0, fields=("loss",))
    np.testing.assert_allclose(kept.losses, trace.losses, rtol=1e-4)


def test_the_optimizers_draws_are_not_the_surfaces():
    def update(updates, state, params=None, *, key):
        return jax.random.normal(key, params.shape), state

    random_walk = optax.GradientTransformationExtraArgs(lambda params: (), update)
    noisy = surfaces.Noisy(surfaces.Sphere(), gradient_scale=1.0)
    trace = optviz.record(random_walk, noisy, START, 4, key=0)
    noise = trace.steps.gradients - jax.vmap(surfaces.Sphere().gradient)(trace.steps.params)
    assert jnp.abs(trace.steps.updates - noise).max(axis=1).min() > 1e-2
    unkeyed = optviz.record(random_walk, surfaces.Sphere(), START, 4).steps.updates
    assert len({tuple(row) for row in unkeyed.tolist()}) == 4


def test_noise_on_the_gradient_leaves_the_loss_exact():
    noisy = surfaces.Noisy(bowl(), gradient_scale=1.0)
    trace = optviz.record(ADAM, noisy, START, 10, key=0)
    np.testing.assert_allclose(trace.steps.loss, jax.vmap(bowl())(trace.steps.params), rtol=1e-6)


def test_divergence_is_recorded_not_raised():
    trace = optviz.record(optviz.optimizer("gd", learning_rate=1.0), surfaces.Rosenbrock(), START, 50)
    assert len(trace) == 50 and not jnp.isfinite(trace.final_loss)
    assert jnp.isfinite(trace.steps.loss[0])


@pytest.mark.parametrize(
    "params",
    [
        {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)},
        (jnp.ones(3), [jnp.zeros(()), jnp.ones((1, 2))]),
        jnp.float32(2.0),
    ],
    ids=["dict", "tuple", "scalar"],
)
def test_any_tree_of_parameters_and_any_callable(params):
    def loss(params):
        return sum(jnp.sum((leaf - 3.0) ** 2) for leaf in jax.tree.leaves(params))

    trace = optviz.record(optax.sgd(0.25), loss, params, 40)
    chex.assert_trees_all_close(trace.final_params, jax.tree.map(lambda x: jnp.full_like(x, 3.0), params), atol=1e-5)
    assert jax.tree.structure(trace.path) == jax.tree.structure(params)


def test_a_callable_module_is_traced_like_a_surface():
    class Parabola(eqx.Module):
        centre: jax.Array

        def __call__(self, params):
            return jnp.sum((params - self.centre) ** 2)

    traces = [optviz.record(ADAM, Parabola(jnp.full(2, c)), START, 300) for c in (0.5, 1.0)]
    assert all(jnp.allclose(t.final_params, c, atol=1e-2) for t, c in zip(traces, (0.5, 1.0), strict=True))


def test_a_function_with_a_key_is_stochastic():
    def loss(params, *, key=None):
        noise = 0.0 if key is None else jax.random.normal(key)
        return jnp.sum(params**2) * (1 + noise)

    losses = optviz.record(optax.sgd(0.0), loss, START, 5, key=3).steps.loss
    assert len(set(losses.tolist())) == 5
    assert (optviz.record(optax.sgd(0.0), loss, START, 5).steps.loss == 8.0).all()


def test_a_plain_optax_transformation_is_taken_unmodified():
    trace = optviz.record(optax.chain(optax.clip(1.0), optax.adam(0.1)), surfaces.Rosenbrock(), START, 10)
    assert trace.name == "chain" and len(trace) == 10
    injected = optax.inject_hyperparams(optax.sgd)(optax.linear_schedule(0.1, 0.0, 10))
    rates = optviz.record(injected, bowl(), START, 10).steps.hyperparameters["learning_rate"]
    np.testing.assert_allclose(rates, optax.linear_schedule(0.1, 0.0, 10)(jnp.arange(10)), rtol=1e-6)


def test_a_schedule_free_run_is_judged_at_its_average():
    trace = optviz.record(optax.contrib.schedule_free_sgd(1e-3), surfaces.Rosenbrock(), START, 50)
    average = optax.contrib.schedule_free_eval_params(trace.opt_state, trace.current_params)
    np.testing.assert_allclose(trace.path[-1], average, rtol=1e-6)
    np.testing.assert_allclose(trace.losses[-1], surfaces.Rosenbrock()(average), rtol=1e-5)
    assert jnp.abs(trace.path[-1] - trace.current_params).max() > 1e-4


def test_numbers_in_force_follow_their_schedules():
    rate = optviz.schedules.cosine_decay_schedule(0.1, 20)
    spec = optviz.optimizer("adam", learning_rate=rate, b1=lambda count: 0.5 + count / 100)
    in_force = optviz.record(spec, bowl(), START, 10).steps.hyperparameters
    np.testing.assert_allclose(in_force["learning_rate"], jax.vmap(rate)(jnp.arange(10)), rtol=1e-6)
    np.testing.assert_allclose(in_force["b1"], 0.5 + jnp.arange(10) / 100, rtol=1e-6)
    np.testing.assert_allclose(in_force["b2"], 0.999, rtol=1e-6)


@pytest.mark.parametrize("precision", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_parameters_keep_their_precision(precision):
    trace = optviz.record(ADAM, bowl(), jnp.array(START, precision), 5)
    assert trace.current_params.dtype == precision and trace.steps.params.dtype == precision


@every_optimizer
def test_double_precision_is_recorded_in_double(x64, entry):
    trace = optviz.record(entry.spec(), bowl(), jnp.array(START, jnp.float64), 3)
    assert trace.current_params.dtype == jnp.float64 and trace.losses.dtype == jnp.float64


def test_one_program_per_number_of_steps_and_none_for_other_numbers():
    loss = Counted()
    optviz.record(ADAM, loss, START, 8)
    traced = loss.calls
    optviz.record(ADAM.replace(learning_rate=0.3, b1=0.5), loss, [1.0, 2.0], 8)
    assert loss.calls == traced
    optviz.record(ADAM, loss, START, 9)
    assert loss.calls > traced


def test_a_first_record_compiles_one_program(caplog):
    start = jnp.array(START)
    with jax.log_compiles():
        optviz.record(ADAM, surfaces.Rosenbrock(), start, 11)
    assert [m.split(" with ")[0] for m in caplog.messages if m.startswith("Compiling")] == ["Compiling jit(_run)"]


@pytest.mark.parametrize(("num_steps", "every"), [(1, 1), (2, 1), (7, 3), (8, 10)])
def test_the_final_loss_has_a_derivative_by_the_rate(x64, num_steps, every):
    start = jnp.array(START, jnp.float64)

    def final(rate):
        spec = optviz.optimizer("gd", learning_rate=rate)
        return optviz.record(spec, bowl(), start, num_steps, every=every).final_loss

    rate, h = 0.01, 1e-6
    numeric = (final(rate + h) - final(rate - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(final)(rate), numeric, rtol=1e-6)


def test_the_recorder_maps_over_hyperparameters_and_starts():
    def final(rate, start):
        return optviz.record(ADAM.replace(learning_rate=rate), surfaces.Rosenbrock(), start, 30).final_loss

    rates, starts = jnp.array([0.01, 0.1, 0.5]), jnp.array([[-2.0, 2.0], [1.0, 0.0], [0.0, 2.0]])
    mapped = jax.jit(jax.vmap(final))(rates, starts)
    np.testing.assert_allclose(mapped, [final(r, s) for r, s in zip(rates, starts, strict=True)], rtol=1e-4)


def test_a_run_can_be_resumed_after_and_within_a_compiled_function():
    surface, start = surfaces.Rosenbrock(), jnp.array(START)
    whole = optviz.record(ADAM, surface, start, 8).losses
    after = jax.jit(lambda start: optviz.record(ADAM, surface, start, 5))(start).run_optimization(3)
    within = jax.jit(lambda start: optviz.record(ADAM, surface, start, 5).run_optimization(3).losses)(start)
    np.testing.assert_allclose(after.losses, whole, rtol=1e-4)
    np.testing.assert_allclose(within, whole, rtol=1e-4)


def test_the_run_is_on_the_device_given():
    code = (
        "import jax, optviz, surfaces; device = jax.devices()[1]; s = surfaces.QuadraticBowl();"
        "trace = optviz.record(optviz.optimizer('adam'), s, s.start, 3, device=device);"
        "assert trace.losses.devices() == {device} and trace.steps.params.devices() == {device}"
    )
    two_devices = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", code], check=True, env=two_devices)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"optimizer": optax.adam}, "Call the factory first"),
        ({"optimizer": 3}, "An optimizer has `init` and `update`"),
        ({"surface": 3}, "A surface is a LossSurface or a function"),
        ({"initial_params": [1.0, 2.0, 3.0]}, "takes a vector of 2 numbers, got a vector of 3 numbers"),
        ({"num_steps": -1}, "num_steps must be a whole number, at least 0, got -1"),
        ({"num_steps": 2.5}, "num_steps must be a whole number"),
        ({"every": 0}, "every must be a whole number, at least 1, got 0"),
        ({"fields": ("lost",)}, "fields are names among"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(unchecked, change, sentence):
    arguments = {
        "optimizer": ADAM,
        "surface": bowl(),
        "initial_params": START,
        "num_steps": 3,
        **change,
    }
    with pytest.raises((TypeError, ValueError), match=sentence):
        optviz.record(**arguments)


def test_a_trace_shows_itself():
    trace = optviz.record(ADAM, bowl(), START, 3)
    assert "adam on quadratic_bowl, 3 steps" in repr(trace)
    assert "<table>" in trace._repr_html_() and "final loss" in trace._repr_html_()
