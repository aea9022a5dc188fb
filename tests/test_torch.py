"""PyTorch's optimizers keep the promises of the recorder, and agree with Optax's where both mean the same."""

import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

import optviz
import surfaces
from optviz.optimizers.twins import ONLY_IN_TORCH

START = [-2.0, 2.0]
CLASSES = {c for c in vars(torch.optim).values() if isinstance(c, type) and issubclass(c, torch.optim.Optimizer)}
CLASSES -= {torch.optim.Optimizer}
DENSE = sorted(CLASSES - {torch.optim.SparseAdam, torch.optim.Muon}, key=lambda c: c.__name__)
MATCHED = [e for e in optviz.CATALOGUE if e.torch is not None and not e.torch.differs]
every_class = pytest.mark.parametrize("factory", DENSE, ids=lambda c: c.__name__)
ADAM = optviz.torch.optimizer(torch.optim.Adam, lr=0.1)


def bowl(params):
    return sum(jnp.sum((leaf - 1.0) ** 2) for leaf in jax.tree.leaves(params))


@pytest.fixture
def torch_float64(x64):
    """Double precision for the numbers too that PyTorch keeps in its default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_every_class_of_torch_is_an_entrys_twin_or_listed_with_the_reason():
    twins = {e.torch.name for e in optviz.CATALOGUE if e.torch is not None}
    assert {c.__name__ for c in CLASSES} == twins | set(ONLY_IN_TORCH) and not twins & set(ONLY_IN_TORCH)


@pytest.mark.parametrize("surface", [surfaces.Rosenbrock(), surfaces.MatrixRegression()], ids=lambda s: s.name)
@pytest.mark.parametrize("entry", MATCHED, ids=lambda e: e.name)
def test_matched_optimizers_take_the_same_steps(torch_float64, entry, surface):
    # At a small part of the rate, where the runs contract: at the larger ones some hop about the minimum, and
    # enlarge the last bit's difference.
    ours, theirs = optviz.torch.matched(entry.name, learning_rate=0.03 * entry.learning_rate)
    start = jnp.asarray(surface.start, jnp.float64)
    a, b = (optviz.record(o, surface, start, 500) for o in (ours, theirs))
    length = np.linalg.norm(np.asarray(a.steps.updates).reshape(500, -1), axis=1).sum()
    assert b.current_params.dtype == jnp.float64 and length > 0
    np.testing.assert_allclose(b.path / length, a.path / length, rtol=0, atol=entry.torch.tolerance)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("sgd", {"momentum": 0.8, "nesterov": True}),
        ("adagrad", {"initial_accumulator_value": 0.5}),
        ("rmsprop", {"centered": True, "momentum": 0.5, "decay": 0.8}),
        ("adamw", {"weight_decay": 0.05, "b1": 0.5}),
        ("nadamw", {"weight_decay": 0.05}),
        ("adadelta", {"weight_decay": 0.05, "rho": 0.7}),
    ],
)
def test_other_hyperparameters_are_matched_too(torch_float64, name, given):
    ours, theirs = optviz.torch.matched(name, learning_rate=1e-3, **given)
    a, b = (optviz.record(o, surfaces.Rosenbrock(), START, 100) for o in (ours, theirs))
    np.testing.assert_allclose(b.path, a.path, rtol=0, atol=1e-12)


@every_class
def test_recording_equals_the_plain_torch_loop(factory):
    surface = surfaces.Rosenbrock()
    trace = optviz.record(optviz.torch.optimizer(factory, lr=1e-3), surface, START, 8)
    params = torch.tensor(START, requires_grad=True)
    live = factory([params], lr=1e-3)

    def closure():
        value, gradient = surface.value_and_gradient(jnp.asarray(params.detach().numpy().copy()))
        params.grad = torch.tensor(np.array(gradient))
        return torch.tensor(float(value))

    for i in range(8):
        # Two programs for one formula: equal up to float32 rounding, which a sign or a root can enlarge.
        np.testing.assert_allclose(trace.steps.params[i], params.detach().numpy(), rtol=1e-4, atol=1e-5)
        live.step(closure)


@every_class
@pytest.mark.parametrize("parts", [(1,) * 6, (2, 4), (0, 6)], ids=str)
def test_however_a_run_is_cut_it_is_the_same_run_and_the_parts_stay(dtype, factory, parts):
    torch_optimizer = optviz.torch.optimizer(factory, lr=1e-3)
    start = jnp.array(START, dtype)
    whole = optviz.record(torch_optimizer, surfaces.Rosenbrock(), start, 6)
    traces = [optviz.OptimizerTrace(torch_optimizer, surfaces.Rosenbrock(), start)]
    for num_steps in parts:
        traces.append(traces[-1].run_optimization(num_steps))
    chex.assert_trees_all_equal(traces[-1].rows, whole.rows)
    chex.assert_trees_all_equal(traces[-1].opt_state.arrays, whole.opt_state.arrays)
    assert whole.current_params.dtype == dtype and whole.losses.dtype == dtype
    assert [len(t) for t in traces] == list(np.cumsum((0, *parts)))
    # An earlier trace goes on as if nothing had come after it.
    again = traces[1].run_optimization(6 - parts[0])
    chex.assert_trees_all_equal(again.rows, whole.rows)


def test_a_row_holds_what_was_known_and_what_came_of_it():
    surface = surfaces.Rosenbrock()
    trace = optviz.OptimizerTrace(ADAM, surface, torch.tensor(START)).run_optimization(5).step()
    for i, row in enumerate(trace.steps):
        np.testing.assert_allclose(row.gradients, surface.gradient(row.params), rtol=1e-5)
        np.testing.assert_allclose(row.loss, surface(row.params), rtol=1e-6)
        np.testing.assert_allclose(row.new_params, row.params + row.updates, rtol=1e-6)
        np.testing.assert_allclose(row.step_size, np.linalg.norm(row.updates), rtol=1e-6)
        assert row.index == i and row.hyperparameters["learning_rate"] == 0.1 and row.hyperparameters["b2"] == 0.999
    np.testing.assert_array_equal(trace.steps.opt_state["step"], [np.nan, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(trace.steps.new_opt_state["exp_avg"][-1], trace.opt_state["exp_avg"])
    assert trace.get_trajectory_data()["optimizer_states"]["exp_avg"].shape == (7, 2)


def test_a_loss_that_is_the_parameter_itself_is_recorded_as_it_was():
    def identity(param):
        return param

    trace = optviz.record(optviz.torch.optimizer(torch.optim.SGD, lr=0.5), identity, jnp.float32(4.0), 3)
    np.testing.assert_array_equal(trace.steps.loss, [4.0, 3.5, 3.0])


class WritesIntoItsGradient(torch.optim.SGD):
    """Clips in place, as code from the wild does."""

    def step(self, closure=None):
        self.param_groups[0]["params"][0].grad.clamp_(-1, 1)
        return super().step()


def test_an_optimizer_of_ones_own_may_write_into_the_gradient():
    trace = optviz.record(optviz.torch.optimizer(WritesIntoItsGradient, lr=0.5), bowl, [4.0, -8.0], 2)
    np.testing.assert_array_equal(trace.steps.gradients[0], [6, -18])
    np.testing.assert_array_equal(trace.steps.updates[0], [-0.5, 0.5])


def test_lbfgs_evaluates_as_often_as_it_likes_within_a_step():
    lbfgs = optviz.torch.optimizer(torch.optim.LBFGS, line_search_fn="strong_wolfe")
    trace = optviz.record(lbfgs, surfaces.Rosenbrock(), START, 4)
    assert trace.final_loss < 1e-8 and trace.opt_state["func_evals"] > 20
    resumed = trace.run_optimization(2)  # its history grows: the former rows are padded
    assert resumed.get_trajectory_data()["optimizer_states"]["old_dirs"].shape[0] == 7


def first_coordinate(row):
    return {"x": row.params[0], "rate": row.hyperparameters["learning_rate"]}


def test_every_and_fields_choose_what_is_kept():
    full = optviz.record(ADAM, bowl, START, 10)
    sparse = optviz.OptimizerTrace(ADAM, bowl, START, every=3, fields=optviz.SCALARS)
    sparse = sparse.run_optimization(4).run_optimization(1).run_optimization(5)
    np.testing.assert_array_equal(sparse.steps.loss, full.steps.loss[::3])
    with pytest.raises(AttributeError, match="'opt_state': it was not among the fields"):
        _ = sparse.steps.opt_state
    chosen = optviz.record(ADAM, bowl, START, 10, fields=first_coordinate)
    np.testing.assert_array_equal(chosen.rows["x"], full.steps.params[:, 0])


def test_rivals_in_torch_and_jax_see_the_same_noise():
    noisy = surfaces.Noisy(surfaces.QuadraticBowl(), gradient_scale=1.0)
    rivals = (ADAM, optviz.optimizer("sgd", learning_rate=1e-3))
    a, b = (optviz.record(o, noisy, START, 6, key=3) for o in rivals)
    noise = [t.steps.gradients - jax.vmap(surfaces.QuadraticBowl().gradient)(t.steps.params) for t in (a, b)]
    np.testing.assert_allclose(*noise, atol=1e-4)
    np.testing.assert_allclose(a.losses, jax.vmap(surfaces.QuadraticBowl())(a.path), rtol=1e-5)


@pytest.mark.parametrize(
    "params", [{"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}, jnp.float32(2.0), torch.nn.Parameter(torch.zeros(3))],
    ids=["dict", "scalar", "Parameter"],
)  # fmt: skip
def test_any_tree_of_parameters(params):
    trace = optviz.record(ADAM, bowl, params, 200)
    assert trace.final_loss < 1e-3 and jax.tree.structure(trace.path) == jax.tree.structure(trace.current_params)
    resumed = trace.run_optimization(1)
    assert jax.tree.leaves(resumed.steps.opt_state["exp_avg"])[0].shape[0] == 201


def test_divergence_is_recorded_not_raised():
    trace = optviz.record(optviz.torch.optimizer(torch.optim.SGD, lr=1.0), surfaces.Rosenbrock(), START, 30)
    assert len(trace) == 30 and not jnp.isfinite(trace.final_loss) and optviz.metrics.summary(trace)["diverged"]


def test_metrics_and_pictures_take_torch_beside_jax(tmp_path):
    jax_adam = optviz.optimizer("adam", learning_rate=0.1)
    traces = [optviz.record(o, surfaces.Rosenbrock(), START, 50) for o in (ADAM, jax_adam)]
    torchs, jaxs = (optviz.metrics.summary(t) for t in traces)
    assert torchs["final_loss"] == pytest.approx(jaxs["final_loss"], rel=1e-4)
    for draw in (optviz.plot_comparison, optviz.plot_losses):
        legend = draw(traces).get_legend()
        assert {t.get_text() for t in legend.get_texts()} >= {"torch_adam", "adam"}
    optviz.plot_trajectory(traces[0])
    optviz.plot_diagnostics(traces[0], state="exp_avg_sq")
    optviz.write_json(traces, tmp_path / "traces.json")


def test_a_loop_of_ones_own_uses_init_and_update():
    surface, params = surfaces.Rosenbrock(), jnp.array(START)
    trace, state = optviz.record(ADAM, surface, params, 5), ADAM.init(params)
    for _ in range(5):
        loss, grads = surface.value_and_gradient(params)
        updates, state = ADAM.update(grads, state, params, value=loss)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params, trace.current_params, rtol=1e-6)


@pytest.mark.parametrize(
    ("attempt", "error", "sentence"),
    [
        (lambda: optviz.torch.optimizer(optax.adam), TypeError, "Expected a class of optimizers such as torch.optim"),
        (
            lambda: optviz.torch.optimizer(torch.optim.SGD([torch.zeros(1)])),
            TypeError,
            "an object of the class SGD. Give the class and its arguments",
        ),
        (
            lambda: optviz.torch.optimizer(torch.optim.Adam, beta=1),
            TypeError,
            "torch_adam: Unknown argument 'beta'. Did you mean 'betas'",
        ),
        (lambda: optviz.torch.optimizer(torch.optim.Adam, lr=-1.0), ValueError, "Invalid learning rate: -1.0"),
        (lambda: optviz.torch.matched("rprop"), ValueError, "rprop cannot be matched in PyTorch: Optax takes every"),
        (lambda: optviz.torch.matched("lion"), ValueError, "torch.optim has no such optimizer"),
        (lambda: optviz.record(ADAM, surfaces.Rosenbrock(), [1.0, 2.0, 3.0], 1), ValueError, "takes a vector of 2"),
        (
            lambda: optviz.sweep(ADAM, surfaces.Rosenbrock(), START, 3, axes={"learning_rate": [0.1, 0.2]}),
            TypeError,
            "torch_adam runs on the host, step by step, and can be neither compiled nor swept",
        ),
        (
            lambda: jax.jit(lambda p: optviz.record(ADAM, bowl, p, 3).losses)(jnp.array(START)),
            TypeError,
            "can be neither compiled nor swept",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_a_sentence(unchecked, attempt, error, sentence):
    with pytest.raises(error, match=sentence):
        attempt()


def test_a_state_that_was_changed_is_not_gone_on_from():
    params = jnp.array(START)
    state = optviz.record(ADAM, bowl, params, 3).opt_state
    with pytest.raises(ValueError, match="goes on only from the unchanged state"):
        ADAM.update(params, jax.tree.map(jnp.zeros_like, state), params)


def test_without_pytorch_the_sentence_says_what_to_install():
    code = "import sys; sys.modules['torch'] = None\nimport optviz\noptviz.torch"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "optviz.torch needs PyTorch: pip install 'optviz[torch]'" in result.stderr
