"""EmoNavi, EmoFact and EmoLynx repeat the published programs' paths, and do what is said of them."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
import surfaces
from optviz.optimizers import emofact, emolynx, emonavi

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "emo.json").read_text())["cases"]
FACTORIES = {"emonavi": emonavi, "emofact": emofact, "emolynx": emolynx}
VERSIONS = ("4.0", "4.1", "5.0.2")
PROBLEMS = {
    "quad": lambda p: p["x"][0] ** 2 + 10 * p["x"][1] ** 2,
    "rosen": lambda p: (1 - p["x"][0]) ** 2 + 100 * (p["x"][1] - p["x"][0] ** 2) ** 2,
}
# Where the averages of the original stand in `moments`; a single average stands there alone.
PLACES = {"exp_avg": 0, "exp_avg_r": 0, "exp_avg_sq": -1, "exp_avg_c": 1}
VALLEY = surfaces.Rosenbrock()
every_optimizer = pytest.mark.parametrize("make", FACTORIES.values(), ids=FACTORIES)
every_version = pytest.mark.parametrize("version", VERSIONS)


def stored(name):
    with np.load(GOLDEN / "emo.npz") as arrays:
        return {key.removeprefix(f"{name}/"): arrays[key] for key in arrays.files if key.startswith(f"{name}/")}


def leaves_of(arrays, kind):
    return {key.removeprefix(kind): value for key, value in arrays.items() if key.startswith(kind)}


def started(case, params):
    optimizer = FACTORIES[case["optimizer"]](**case["kwargs"])
    state = optimizer.init(params)
    if case["start_state"] is not None:
        state = warm(state, **case["start_state"])
    return optimizer, state


def warm(state, **given):
    return state._replace(count=jnp.ones_like(state.count), **{k: jnp.asarray(v, float) for k, v in given.items()})


def followed(optimizer, state, params, inputs, value_and_grads):
    """Parameters and states after every step, by one compiled scan."""

    def step(carry, given):
        params, state = carry
        value, grads = value_and_grads(params, given)
        updates, state = optimizer.update(grads, state, params, value=value)
        return (optax.apply_updates(params, updates), state), (optax.apply_updates(params, updates), state)

    return jax.jit(lambda start, inputs: jax.lax.scan(step, start, inputs))((params, state), inputs)[1]


def descended(optimizer, loss, params, num_steps):
    return followed(
        optimizer,
        optimizer.init(params),
        params,
        jnp.arange(num_steps),
        lambda params, _: jax.value_and_grad(loss)(params),
    )


def tree():
    """Parameters in the precision of the test."""
    return {"w": jnp.ones((3, 2)), "b": jnp.array(0.5), "v": jnp.array([1.0, -2.0])}


def tree_loss(params):
    return sum(
        jnp.sum((leaf - 0.3) ** 2 * jnp.arange(1, leaf.size + 1).reshape(leaf.shape)) for leaf in params.values()
    )


def moment(moments, name):
    return moments[PLACES[name]] if isinstance(moments, tuple) else moments


# The scalar saturates within a few last places of 1, where the original's rounding is enlarged; elsewhere 1e-12 holds.
def assert_repeats(actual, expected, where):
    np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-9, err_msg=where)


@pytest.mark.parametrize("name", CASES)
def test_a_published_path_is_repeated_from_its_losses_and_gradients(x64, name):
    case, golden = CASES[name], stored(name)
    params = {leaf: jnp.asarray(path[0]) for leaf, path in leaves_of(golden, "params_").items()}
    optimizer, state = started(case, params)
    inputs = (golden["value"], leaves_of(golden, "grads_"))
    path, states = followed(optimizer, state, params, inputs, lambda _, given: given)
    for leaf in params:
        assert_repeats(path[leaf], golden[f"params_{leaf}"][1:], leaf)
    for field in ("average_norm", "short", "long", "trust"):
        assert_repeats(getattr(states, field), golden[field], field)
    assert_repeats(states.learning_rate, golden["learning_rate"][1:], "rate")
    assert_repeats(states.used_rate, golden["learning_rate"][:-1], "rate used")
    assert_repeats(states.scalar, golden["scalar"][:, -1], "scalar")
    assert_repeats(states.history[-1], golden["scalar"].ravel()[-32:], "history")
    np.testing.assert_array_equal(states.should_stop, golden["should_stop"])
    for key, expected in leaves_of(golden, "state_").items():
        leaf, kind = key.split("_", 1)
        made = np.isfinite(expected)  # a shadow is stored as NaN until it is made
        actual = states.shadow[leaf] if kind == "shadow" else moment(states.moments[leaf], kind)
        assert_repeats(np.asarray(actual).reshape(expected.shape)[made], expected[made], key)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["closed_loop"]])
def test_a_published_path_is_repeated_from_its_start_alone(x64, name):
    case, golden = CASES[name], stored(name)
    params = {"x": jnp.array([-2.0, 2.0])}
    optimizer, _ = started(case, params)
    path, states = descended(optimizer, PROBLEMS[case["problem"]], params, len(golden["value"]))
    assert_repeats(path["x"], golden["params_x"][1:], "x")
    assert_repeats(states.scalar, golden["scalar"][:, -1], "scalar")


def test_the_published_paths_cover_optimizers_versions_and_shapes():
    kinds = {(case["optimizer"], case["kwargs"]["version"]) for case in CASES.values()}
    assert kinds == {(name, version) for name in FACTORIES for version in VERSIONS}
    with np.load(GOLDEN / "emo.npz") as arrays:
        assert {arrays[key].ndim - 1 for key in arrays.files if "/params_" in key} == {0, 1, 2, 3}


def test_emolynx_without_norm_control_is_lion(x64):
    ours = descended(emolynx(0.05, weight_decay=0.1, max_norm=0.0), tree_loss, tree(), 60)[0]
    lions = optax.with_extra_args_support(optax.lion(0.05, b1=0.9, b2=0.99, weight_decay=0.1))
    theirs = descended(lions, tree_loss, tree(), 60)[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13), ours, theirs)


def test_emonavi_without_norm_control_is_adamw_without_bias_correction(x64):
    path = descended(emonavi(0.05, max_norm=0.0, weight_decay=0.1), lambda p: VALLEY(p), jnp.array([-2.0, 2.0]), 60)[0]
    p, m, v = np.array([-2.0, 2.0]), np.zeros(2), np.zeros(2)
    for ours in path:
        x, y = p
        g = np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        p = p - 0.05 * 0.1 * p - 0.05 * m / (np.sqrt(v) + 1e-8)
        np.testing.assert_allclose(ours, p, rtol=1e-9)  # 60 steps along a curved valley enlarge the last place


@every_optimizer
def test_in_version_4_the_feedback_is_inert_and_the_stop_signal_comes_by_itself(make):
    path, states = descended(make(0.1), tree_loss, tree(), 20)
    plain, _ = descended(make(0.1, use_shadow=True, use_trust=False), tree_loss, tree(), 20)
    assert not jnp.any(states.scalar) and jnp.all(states.trust == 1)
    jax.tree.map(np.testing.assert_array_equal, path, plain)
    first = math.ceil(32 / len(tree())) - 1
    np.testing.assert_array_equal(states.should_stop, np.arange(20) >= first)


@every_optimizer
def test_in_version_5_the_feedback_works(make):
    states = descended(make(0.1, version="5.0.2", max_norm=0.0), tree_loss, tree(), 20)[1]
    np.testing.assert_allclose(states.scalar, np.tanh(5 * (states.short - states.long)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(states.trust, 1 - states.scalar**2, atol=1e-6)
    assert jnp.max(jnp.abs(states.scalar)) > 0.5


def test_the_scalar_is_right_to_the_last_places_where_it_nears_one(x64):
    optimizer = emonavi(version="5.0.2")
    for d in np.linspace(3.0, 3.8, 17):
        state = warm(optimizer.init(tree()), short=d / 0.7, long=0.0)
        after = optimizer.update(tree(), state, tree(), value=0.0)[1]
        # Two last places of numbers below 1.
        np.testing.assert_allclose(1 - after.scalar, 1 - np.tanh(5 * after.short), rtol=0, atol=2.3e-16)


@every_optimizer
@every_version
def test_a_warm_start_uses_the_averages_as_they_stand(x64, make, version):
    optimizer = make(0.1, version=version)
    state = warm(optimizer.init(tree()), short=1.0, long=3.0, scalar=-0.5)
    after = optimizer.update(tree(), state, tree(), value=2.0)[1]
    np.testing.assert_allclose([after.short, after.long], [0.3 * 2 + 0.7 * 1, 0.01 * 2 + 0.99 * 3])
    d, s = after.short - after.long, -0.5
    for _ in tree():
        s = np.tanh(5 * d / (1 + abs(s)))
    expected = {"4.0": np.tanh(5 * 0.5 * d), "4.1": s, "5.0.2": np.tanh(5 * d)}
    np.testing.assert_allclose(after.scalar, expected[version], rtol=1e-12)


def test_the_norm_control_lowers_the_rate_for_good_and_raises_one_below_the_floor(x64):
    large, small = {"x": jnp.array([30.0, 40.0])}, {"x": jnp.zeros(2)}
    optimizer = emonavi(0.1, max_norm=2.0)
    state = optimizer.init(large)
    _, state = optimizer.update(large, state, large, value=1.0)
    np.testing.assert_allclose([state.average_norm, state.learning_rate], [5.0, 0.1 * 0.95 ** (5 / 2)])
    for _ in range(100):
        _, state = optimizer.update(small, state, large, value=1.0)
    assert state.average_norm < 2.0 and state.learning_rate < 0.1 * 0.95 ** (5 / 2)
    tiny = emonavi(1e-8)
    np.testing.assert_allclose(tiny.update(large, tiny.init(large), large, value=1.0)[1].learning_rate, 1e-6)


@pytest.mark.parametrize("direct", [True, False], ids=["callable", "spec"])
def test_a_scheduled_rate_keeps_the_share_that_the_control_has_left_of_it(direct):
    def rate(count):
        return 0.1 / (1 + count)

    norms = jnp.array([50.0, 0.0, 0.0, 50.0, 0.0, 0.0])
    optimizer = emonavi(rate, max_norm=1.0) if direct else optviz.OptimizerSpec(emonavi, learning_rate=rate)
    states = followed(
        optimizer, optimizer.init(jnp.ones(1)), jnp.ones(1), norms, lambda _, norm: (1.0, jnp.full(1, norm))
    )[1]
    states = states if direct else states.inner
    share, expected = 1.0, []
    for count, average in enumerate(states.average_norm):
        expected.append(share * rate(count))
        share *= 0.95 ** float(average) if average > 1 else 1.0
    np.testing.assert_allclose(states.used_rate, expected, rtol=1e-5)
    np.testing.assert_allclose(states.hyperparams["learning_rate"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda make: make(0.1, version="3.6.1"), "version must be one of 4.0, 4.1, 5.0.2, got '3.6.1'"),
        (lambda make: make(0.1).update(tree(), make(0.1).init(tree()), tree()), "need value: update"),
        (lambda make: make(0.1).update(tree(), make(0.1).init(tree()), value=1.0), "need params: update"),
    ],
    ids=["version", "value", "params"],
)
@every_optimizer
def test_what_is_missing_is_named(make, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(make)


@every_optimizer
@every_version
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16], ids=lambda d: d.__name__)
def test_updates_and_state_keep_their_types(make, version, dtype):
    params = jax.tree.map(lambda x: x.astype(dtype), tree())
    optimizer = make(jnp.float32(0.01), b1=jnp.float32(0.9), use_shadow=True, version=version)
    state = optimizer.init(params)
    updates, after = optimizer.update(params, state, params, value=jnp.asarray(1.0, dtype))
    assert jax.tree.map(jnp.result_type, updates) == jax.tree.map(jnp.result_type, params)
    assert jax.eval_shape(lambda: after) == jax.eval_shape(lambda: state)
    assert all(jnp.all(jnp.isfinite(leaf)) and jnp.any(leaf) for leaf in jax.tree.leaves(updates))


@every_optimizer
def test_compiled_is_eager_and_mapped_is_the_loop(x64, make):
    def end(rate, max_norm):
        optimizer = make(rate, max_norm=max_norm, version="5.0.2", use_shadow=True)
        return descended(optimizer, tree_loss, tree(), 10)[0]["w"][-1]

    rates, norms = jnp.array([0.01, 0.02, 0.05]), jnp.array([0.0, 1.0, 100.0])
    mapped = jax.vmap(end)(rates, norms)
    with jax.disable_jit():
        eager = jnp.stack([end(*pair) for pair in zip(rates, norms, strict=True)])
    np.testing.assert_allclose(mapped, eager, rtol=1e-9)


@every_optimizer
def test_leaves_without_entries_and_no_leaves_at_all_are_left_alone(make):
    for params in ({"none": None, "empty": jnp.ones((0, 3)), "one": jnp.ones(())}, {}):
        optimizer = make(0.1, use_shadow=True, version="4.1")
        updates, state = optimizer.update(params, optimizer.init(params), params, value=1.0)
        assert jax.tree.structure(updates) == jax.tree.structure(params)
        assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((updates, state)))


@pytest.mark.parametrize("name", FACTORIES)
def test_a_sweep_over_the_norm_is_the_run_recorded_alone(name):
    values = [0.0, 1.0, 1000.0]
    swept = optviz.sweep(optviz.optimizer(name), VALLEY, VALLEY.start, 15, axes={"max_norm": values})
    for value, loss in zip(values, swept.final_loss.values, strict=True):
        alone = optviz.record(optviz.optimizer(name, max_norm=value), VALLEY, VALLEY.start, 15)
        np.testing.assert_allclose(loss, alone.final_loss, rtol=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optviz.optimizer("emonavi"),
        lambda: emonavi(0.11),
        lambda: optviz.optimizer("emonavi", learning_rate=lambda count: 0.11 + 0 * count),
    ],
    ids=["catalogue", "ready-made", "scheduled"],
)
def test_a_trace_tells_the_rate_really_used_under_the_optimizers_name(make):
    trace = optviz.record(make(), VALLEY, VALLEY.start, 12)
    rates = trace.steps.hyperparameters["learning_rate"]
    assert trace.name == "emonavi" and rates.shape == (12,)
    state = getattr(trace.steps.opt_state, "inner", trace.steps.opt_state)
    np.testing.assert_array_equal(rates, state.learning_rate)
    assert rates[0] == jnp.float32(0.11) and rates[3] == jnp.float32(1e-6)
    assert trace.steps[3].hyperparameters["learning_rate"] == rates[3]


def test_diagnostics_draw_several_quantities_of_the_state_one_below_the_other():
    import matplotlib.pyplot as plt

    quantities = ("scalar", "trust", "learning_rate", "should_stop")
    trace = optviz.record(optviz.optimizer("emonavi", version="5.0.2"), VALLEY, VALLEY.start, 40)
    axes = optviz.plot_diagnostics(trace, state=quantities)
    for ax, name in zip(axes[-4:], quantities, strict=True):
        assert ax.get_ylabel().endswith(name)
        drawn = np.concatenate([line.get_ydata() for line in ax.lines])
        assert set(np.asarray(getattr(trace.steps.opt_state, name), float)) <= set(drawn)
    plt.close("all")
