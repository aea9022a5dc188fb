"""Parameter groups do what they say, or refuse; states go to files and back."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
from optviz.optimizers import load_state_dict, param_groups, set_hyperparameter, state_dict
from optviz.optimizers.protocol import as_optimizer

every_optimizer = pytest.mark.parametrize("entry", optviz.CATALOGUE, ids=lambda e: e.name)
PARAMS = {
    "encoder": {"w": jnp.ones((3, 2)), "b": jnp.array([0.5, 0.5])},
    "head": [jnp.ones(2), jnp.array([-1.0])],
}
ADAM = optviz.optimizer("adam", learning_rate=0.01)
TWO = [{"params": "encoder/*", "learning_rate": 0.1}, {"params": "*", "name": "rest", "b1": 0.5}]


def loss(params):
    return sum(jnp.sum((leaf - 2.0) ** 2) for leaf in jax.tree.leaves(params))


def run(optimizer, num_steps=5, start=PARAMS, function=loss, **given):
    return optviz.record(optimizer, function, start, num_steps, **given)


@every_optimizer
def test_one_group_of_everything_is_the_optimizer_itself(entry):
    alone = run(entry.spec())
    grouped = run(param_groups([{"params": "*"}], entry.spec()))
    # Numbers read from the state where others are constants of the program: other fusions, other roundings.
    chex.assert_trees_all_close(grouped.path, alone.path, rtol=1e-4, atol=1e-5)


def test_each_group_is_its_own_optimizer_on_its_own_part():
    trace = run(param_groups(TWO, ADAM), num_steps=8)
    encoder = run(ADAM.replace(learning_rate=0.1), 8, PARAMS["encoder"])
    head = run(ADAM.replace(b1=0.5), 8, PARAMS["head"])
    chex.assert_trees_all_close(trace.path, {"encoder": encoder.path, "head": head.path}, rtol=1e-5)
    in_force = trace.steps.hyperparameters
    np.testing.assert_allclose(in_force["encoder/*"]["learning_rate"], 0.1)
    np.testing.assert_allclose(in_force["rest"]["b1"], 0.5)


def test_labels_do_what_patterns_do():
    by_pattern = run(param_groups(TWO, ADAM))
    groups = [{"params": "body", "learning_rate": 0.1}, {"params": "rest", "b1": 0.5}]
    labels = {"encoder": "body", "head": "rest"}
    for given in (labels, lambda params: {k: labels[k] for k in params}):
        chex.assert_trees_all_close(run(param_groups(groups, ADAM, labels=given)).path, by_pattern.path)


def test_a_leaf_belongs_to_the_first_group_that_matches():
    groups = param_groups([{"params": ["*/b", "head/1"]}, {"params": "encoder/*"}, {"params": "head*"}], ADAM)
    assert groups.owners(PARAMS) == ("*/b, head/1", "encoder/*", "head*", "*/b, head/1")


@pytest.mark.parametrize("name", ["gd", "adam", "lion", "lbfgs", "polyak_sgd", "sophia", "sam", "momo"])
def test_maximizing_is_minimizing_the_negative_with_any_optimizer(name):
    def steep(params):  # where a line search must shorten its first guess
        return sum(jnp.sum(jnp.sqrt(1 + 100 * (leaf - 0.9) ** 2)) for leaf in jax.tree.leaves(params))

    spec = optviz.optimizer(name)
    climbed = run(param_groups([{"params": "*", "maximize": True}], spec), 4, function=lambda p: -steep(p), key=0)
    chex.assert_trees_all_close(climbed.path, run(spec, 4, function=steep, key=0).path, rtol=1e-4, atol=1e-5)


def test_one_group_may_climb_while_the_other_descends():
    def saddle(params):
        return jnp.sum(params["x"] ** 2) - jnp.sum((params["y"] - 1) ** 2)

    groups = [{"params": "x"}, {"params": "y", "maximize": True}]
    start = {"x": jnp.ones(2), "y": jnp.zeros(2)}
    for name in ("gd", "lbfgs"):
        end = run(param_groups(groups, optviz.optimizer(name, learning_rate=0.3)), 60, start, saddle).final_params
        chex.assert_trees_all_close(end, {"x": jnp.zeros(2), "y": jnp.ones(2)}, atol=1e-3)


def test_a_schedule_multiplies_every_group_and_keeps_their_ratio():
    decay = optviz.schedules.linear_schedule(1.0, 0.0, 10)
    groups = param_groups(TWO, ADAM, schedules={"learning_rate": decay})
    rates = {k: v["learning_rate"] for k, v in run(groups, 6).steps.hyperparameters.items()}
    np.testing.assert_allclose(rates["encoder/*"], 0.1 * (1 - np.arange(6) / 10), rtol=1e-6)
    np.testing.assert_allclose(rates["encoder/*"] / rates["rest"], 10, rtol=1e-5)


def test_setting_a_hyperparameter_changes_the_next_step_and_no_earlier_state():
    groups = param_groups(TWO, ADAM)
    state, grads = groups.init(PARAMS), PARAMS
    faster = set_hyperparameter(state, "learning_rate", 0.2, group="encoder/*")
    steps = [groups.update(grads, s, PARAMS)[0] for s in (state, faster)]
    chex.assert_trees_all_close(steps[1]["encoder"], jax.tree.map(lambda u: 2 * u, steps[0]["encoder"]), rtol=1e-5)
    chex.assert_trees_all_equal(steps[1]["head"], steps[0]["head"])
    assert state.groups["encoder/*"].base["learning_rate"] == np.float32(0.1)
    everywhere = set_hyperparameter(state, "learning_rate", 0.3)
    assert {float(g.base["learning_rate"]) for g in everywhere.groups.values()} == {np.float32(0.3)}


def test_setting_and_stepping_compile_once():
    groups, traced = param_groups(TWO, ADAM), []

    @jax.jit
    def step(state):
        traced.append(1)
        return groups.update(PARAMS, state, PARAMS)[1]

    state = step(groups.init(PARAMS))
    step(set_hyperparameter(state, "b1", 0.7))
    step(groups.reset(state, PARAMS))
    step(load_state_dict(state, state_dict(state)))
    assert len(traced) == 1


def test_a_reset_forgets_counts_and_moments_but_not_what_was_set():
    groups = param_groups(TWO, ADAM)
    state = set_hyperparameter(run(groups).opt_state, "b2", 0.9)
    fresh = set_hyperparameter(groups.init(PARAMS), "b2", 0.9)
    one = groups.reset(state, PARAMS, group="rest")
    chex.assert_trees_all_equal(groups.reset(state, PARAMS).groups["rest"].inner, fresh.groups["rest"].inner)
    chex.assert_trees_all_equal(one.groups["rest"].base, state.groups["rest"].base)
    chex.assert_trees_all_equal(one.groups["encoder/*"], state.groups["encoder/*"])
    assert (one.groups["rest"].steps, state.groups["rest"].steps) == (0, 5)


@every_optimizer
def test_every_state_goes_to_a_file_and_back_bit_for_bit(entry, tmp_path):
    state = run(entry.spec(), key=0).opt_state
    np.savez(tmp_path / "state.npz", **{k or "state": v for k, v in state_dict(state).items()})
    stored = {k if k in state_dict(state) else "": v for k, v in np.load(tmp_path / "state.npz").items()}
    template = as_optimizer(entry.spec()).init(PARAMS)
    template = jax.tree.map(lambda x, like: jnp.asarray(x, like.dtype) if x.dtype != like.dtype else x, template, state)
    chex.assert_trees_all_equal(load_state_dict(template, stored), state)


def test_bfloat16_and_keys_are_stored_too():
    state = {"m": jnp.arange(3, dtype=jnp.bfloat16), "key": jax.random.key(7)}
    back = load_state_dict({"m": jnp.zeros(3, jnp.bfloat16), "key": jax.random.key(0)}, state_dict(state))
    np.testing.assert_array_equal(back["m"], state["m"])
    assert jax.random.key_data(back["key"]).tolist() == jax.random.key_data(state["key"]).tolist()


STATE = param_groups(TWO, ADAM).init(PARAMS)


@pytest.mark.parametrize(
    ("attempt", "error", "sentence"),
    [
        (lambda: param_groups([], ADAM), ValueError, "Groups need names of their own, got no group"),
        (lambda: param_groups([{"params": "*"}, {"params": "*"}], ADAM), ValueError, "got '\\*' twice"),
        (lambda: param_groups([{"learning_rate": 1.0}], ADAM), TypeError, "A group needs 'params'"),
        (lambda: param_groups([{"params": 3}], ADAM), TypeError, "'params' of a group"),
        (lambda: param_groups([{"params": "*", "lr": 0.1}], ADAM), TypeError, "Group '\\*': adam: Unknown hyperpara"),
        (lambda: param_groups([{"params": "*", "maximize": 1}], ADAM), TypeError, "maximize must be True or False"),
        (lambda: param_groups([{"params": "*", "b1": 0.1}], optax.adam(0.1)), TypeError, "sets b1, which chain cannot"),
        (lambda: param_groups([{"params": "*"}], ADAM, schedules={"lr": abs}), TypeError, "Unknown number 'lr'"),
        (
            lambda: param_groups([{"params": "encoder/*"}], ADAM).init(PARAMS),
            ValueError,
            "No group has the parameters 'head/0', 'head/1'",
        ),
        (
            lambda: param_groups([{"params": "*"}, {"params": "head/*"}], ADAM).init(PARAMS),
            ValueError,
            "The group 'head/\\*' has no parameters, or earlier groups have them. There are 'encoder/b'",
        ),
        (
            lambda: param_groups([{"params": "a"}], ADAM, labels={"encoder": "a", "head": "c"}).init(PARAMS),
            ValueError,
            "No group has the parameters 'head/0'",
        ),
        (lambda: set_hyperparameter(STATE, "b3", 1.0), ValueError, "Unknown number 'b3'. Did you mean"),
        (lambda: set_hyperparameter(STATE, "b1", 1.0, group="rst"), ValueError, "Did you mean 'rest'"),
        (lambda: set_hyperparameter(STATE, "b1", "high"), TypeError, "b1 must be a number"),
        (lambda: set_hyperparameter((), "b1", 1.0), TypeError, "needs the state of param_groups, got tuple"),
        (lambda: load_state_dict({"a": jnp.ones(2)}, {}), ValueError, "lacks 'a'"),
        (lambda: load_state_dict({}, {"a": np.ones(2)}), ValueError, "Unknown path in the stored state 'a'"),
        (
            lambda: load_state_dict({"a": jnp.ones(2)}, {"a": np.ones(3, np.float32)}),
            ValueError,
            "'a' needs float32\\[2\\], got float32\\[3\\]",
        ),
        (lambda: load_state_dict({"a": jnp.ones(2)}, {"a": np.ones(2)}), ValueError, "got float64\\[2\\]"),
        (lambda: state_dict({"a/b": jnp.ones(1), "a": {"b": jnp.ones(1)}}), ValueError, "Two leaves .* 'a/b'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(unchecked, attempt, error, sentence):
    with pytest.raises(error, match=sentence):
        attempt()
