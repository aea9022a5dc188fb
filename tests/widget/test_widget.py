"""The Python side of the widget: what is given, read, set and answered."""

import json

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
import surfaces
from optviz.optimizers.protocol import as_optimizer
from optviz.playground import compute, wire
from optviz.widget import explore


def double_well(p):
    return (p[0] ** 2 - 1) ** 2 + p[1] ** 2


@pytest.fixture(scope="module")
def widget():
    return explore("quadratic_bowl", ["gd", "adam"], num_steps=30)


def answered(widget, payload):
    """What the widget sends back to a message of the module."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    try:
        widget._asked(widget, {"id": "7", "payload": payload}, [])
    finally:
        del widget.send
    [(content, [message])] = sent
    assert content == {"id": "7"}
    return wire.unpack(message)


def test_settings_are_plain_json_that_says_everything(widget):
    assert json.loads(json.dumps(widget.settings)) == widget.settings
    assert {"surface", "start", "num_steps", "noise", "seed", "optimizers", "view"} <= set(widget.settings)


def test_the_paths_sent_to_the_browser_end_where_the_traces_end(widget):
    message = answered(widget, {"kind": "paths", "settings": widget.settings})
    for i, trace in enumerate(widget.traces):
        np.testing.assert_allclose(message.arrays[f"path{i}"][:, :2], trace.path, rtol=1e-5, atol=1e-6)


def test_what_is_assigned_is_read_again_and_reaches_the_browser(widget):
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "settings")
    widget.start, widget.num_steps, widget.noise, widget.seed = (0, 1), 12, 0.5, 3
    assert (widget.start, widget.num_steps, widget.noise, widget.seed) == ((0.0, 1.0), 12, 0.5, 3)
    assert seen[-1]["start"] == [0.0, 1.0] and len(seen) == 4
    widget.noise, widget.num_steps = 0.0, 30


def test_settings_from_the_browser_are_not_sent_back(widget):
    """Filled in they would differ, and go back to a hand that is still dragging a slider."""
    partial = {"surface": "sphere", "optimizers": [{"name": "gd"}]}
    other = explore("quadratic_bowl", "gd")
    other.settings = partial
    assert other.settings == partial
    assert other.num_steps == 300


def test_a_choice_of_another_surface_forgets_what_belonged_to_the_first():
    widget = explore("rosenbrock", "gd", start=(-2.0, 2.0), coefficients={"b": 50.0})
    widget.surface = "himmelblau"
    assert widget.surface.name == "himmelblau"
    assert widget.start == tuple(np.asarray(surfaces.Himmelblau().start).tolist())


@pytest.mark.parametrize(
    "given", [double_well, surfaces.Rosenbrock(b=5.0), surfaces.Rotated(surfaces.Rosenbrock(), 0.5)]
)
def test_any_surface_of_two_parameters_is_descended(given):
    widget = explore(given, "gd", num_steps=5, start=(0.4, 0.3))
    expected = optviz.record(optviz.optimizer("gd"), given, [0.4, 0.3], 5)
    np.testing.assert_allclose(widget.traces[0].path, expected.path, rtol=1e-6)
    assert answered(widget, {"kind": "paths", "settings": widget.settings}).header["paths"][0]["num_steps"] == 5


def test_a_surface_given_as_an_object_keeps_its_coefficients_as_sliders():
    widget = explore(surfaces.Rosenbrock(b=5.0), "gd")
    [first, *_] = answered(widget, {"kind": "catalogue"}).header["surfaces"]
    assert {c["name"]: c["default"] for c in first["coefficients"]} == {"a": 1.0, "b": 5.0}


@pytest.mark.parametrize(
    "given",
    [
        "adam",
        optviz.optimizer("adam", learning_rate=0.05),
        optviz.optimizer("adam", learning_rate=30.0),
        optviz.OptimizerSpec(optax.adam, learning_rate=0.05, nesterov=True),
        optviz.OptimizerSpec(optax.sgd, "mine", learning_rate=0.1, momentum=0.8),
        optviz.entry("lion"),
        {"name": "adam", "hyperparameters": {"b1": 0.5}, "schedule": {"name": "cosine"}},
    ],
    ids=("name", "spec", "beyond the range", "spec with a flag", "factory", "entry", "settings"),
)
def test_optimizers_are_given_as_names_specs_entries_or_settings(given):
    widget = explore("quadratic_bowl", given, num_steps=8)
    [trace] = widget.traces
    if isinstance(given, optviz.OptimizerSpec):
        expected = optviz.record(given, widget.surface, widget.start, 8)
        # Another compiled program may round otherwise, by the last bit a step.
        np.testing.assert_allclose(trace.path, expected.path, rtol=1e-5)
    assert len(trace.path) == 9


READY = {
    "alone": lambda: optax.adam(0.1),
    "in a list": lambda: [optax.adam(0.1)],
    "a chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.05, momentum=0.9)),
    "named": lambda: optviz.GivenOptimizer(optax.sgd(0.01), "mine"),
    "named, in a list with a name": lambda: ["adam", optviz.GivenOptimizer(optax.sgd(0.01), "mine")],
    "with a schedule": lambda: optax.adam(optax.cosine_decay_schedule(0.1, 8)),
    "with a line search": lambda: optax.lbfgs(),
}


@pytest.mark.parametrize("make", READY.values(), ids=READY)
def test_whatever_optimizer_can_be_recorded_can_be_explored(make):
    given = make()
    widget = explore("quadratic_bowl", given, num_steps=8)
    last = given[-1] if isinstance(given, list) else given
    expected = optviz.record(last, surfaces.QuadraticBowl(), widget.start, 8)
    np.testing.assert_allclose(widget.traces[-1].path, expected.path, rtol=1e-5)
    told = answered(widget, {"kind": "paths", "settings": widget.settings}).header["paths"]
    assert told[-1]["label"] == as_optimizer(last).name
    assert not told[-1].get("error")
    assert widget.optimizers[-1]["hyperparameters"] == {}


def test_two_ready_made_optimizers_of_one_name_are_two_runs():
    widget = explore("quadratic_bowl", [optax.adam(0.1), optax.adam(0.3)], num_steps=5)
    one, other = (np.asarray(trace.path) for trace in widget.traces)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("rate", [np.float32(0.125), np.float64(0.125), jnp.float32(0.125), np.array(0.125)])
def test_a_rate_is_a_number_of_any_kind(rate):
    choice = {"name": "adam", "hyperparameters": {"learning_rate": rate}}
    widget = explore("quadratic_bowl", choice, num_steps=2)
    widget.settings = {**widget.settings, "optimizers": [choice]}
    assert json.loads(json.dumps(widget.settings))["optimizers"][0]["hyperparameters"]["learning_rate"] == 0.125
    widget.optimizers, widget.noise = [choice], rate
    assert (widget.optimizers[0]["hyperparameters"]["learning_rate"], widget.noise) == (0.125, 0.125)


def of_two(x, y):
    return x**2 + y**2


def of_a_vector(p):
    return p**2


def by_float(p):
    return float(p[0]) ** 2


def by_numpy(p):
    return np.asarray(p)[0] ** 2


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (of_two, "of_two takes two arguments, .*: it is called with one vector"),
        (of_a_vector, "of_a_vector must give one number .*, got an array of shape \\(2,\\)"),
        (lambda p: (p[0], p[1]), "must give one number"),
        (lambda p: None, "must give one number"),
        (by_float, "by_float .* jax.numpy"),
        (by_numpy, "by_numpy .* jax.numpy"),
        (lambda p: p[0] if p[0] > 0 else -p[0], "jnp.where"),
        (lambda p: 1 / 0, "division by zero"),
        (surfaces.Rosenbrock, r"an instance, Rosenbrock\(\)"),
    ],
)
def test_a_function_that_is_no_surface_is_refused_at_once_in_a_sentence(function, says, unchecked):
    with pytest.raises((TypeError, ValueError), match=says) as refusal:
        explore(function)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400


@pytest.mark.parametrize("given", [double_well, surfaces.Rosenbrock(b=10.0), surfaces.Rotated(surfaces.Booth(), 0.5)])
def test_the_surface_may_be_changed_for_whatever_explore_takes(given):
    widget = explore("booth", "gd", num_steps=5, coefficients={})
    widget.surface = given
    expected = optviz.record(optviz.optimizer("gd"), given, widget.start, 5)
    np.testing.assert_allclose(widget.traces[0].path, expected.path, rtol=1e-6)
    assert not answered(widget, {"kind": "paths", "settings": widget.settings}).header["paths"][0].get("error")


def test_the_settings_name_the_coefficients_of_a_surface_that_was_assigned():
    """The module may know another surface of that name, whose defaults it would fill in."""
    widget = explore("rosenbrock", "gd")
    widget.surface = surfaces.Rosenbrock(b=10.0)
    assert widget.settings["coefficients"] == {"a": 1.0, "b": 10.0}


def test_a_function_changed_and_assigned_again_is_another_surface():
    def valley(p):
        return p[0] ** 2

    widget = explore(valley, "gd", num_steps=5)
    before = widget.settings

    def valley(p):
        return p[1] ** 2

    widget.surface = valley
    assert widget.settings != before
    assert float(widget.surface(jnp.array([3.0, 0.0]))) == 0.0


def test_the_view_is_read_and_set(widget):
    widget.view = (-1, 1, np.float32(-2), 2)
    assert widget.view == (-1.0, 1.0, -2.0, 2.0)
    widget.view = None
    assert widget.view is None
    with pytest.raises(ValueError, match="view needs x0 < x1"):
        widget.view = (1, -1, 0, 1)


def test_an_attribute_that_there_is_not_is_refused_with_the_nearest(widget):
    with pytest.raises(AttributeError, match="Did you mean 'start'"):
        widget.strat = (0, 0)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"name": "adam", "learning_rate": 0.1}, 'hyperparameters.*"hyperparameters": {"learning_rate": 0.1}'),
        ({"name": "adam", "lr": 0.1}, '"hyperparameters": {"learning_rate": 0.1}'),
        ({"name": "adam", "hyperparameters": {"lr": 0.1}}, "Did you mean 'learning_rate'"),
        ({"name": "adam", "colour": "#000000"}, "Did you mean 'color'"),
    ],
)
def test_a_number_in_the_wrong_place_is_told_the_right_one(choice, says):
    with pytest.raises(ValueError, match=says):
        explore("rosenbrock", choice)


def test_two_specs_of_one_name_with_numbers_beyond_the_sliders_are_two_runs():
    specs = [optviz.optimizer("gd", learning_rate=rate) for rate in (0.01, 20.0, 30.0)]
    widget = explore("quadratic_bowl", specs, num_steps=2)
    ends = [float(trace.optimizer.hyperparameters["learning_rate"]) for trace in widget.traces]
    np.testing.assert_allclose(ends, [0.01, 20.0, 30.0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rosenbrok",), "Did you mean 'rosenbrock'"),
        ((surfaces.XorNetwork(),), "vector of two numbers"),
        ((surfaces.NoisyQuadratic(),), "noise of its own"),
        ((None, [3]), "OptimizerSpec"),
        ((None, 3), "An optimizer to explore"),
        ((None, optax.adam), "Call the factory first"),
        ((None, optviz.optimizer("adam", learning_rate=lambda count: 0.1)), "Schedules are chosen in the settings"),
        ((7,), "a LossSurface or a function"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(arguments, says, unchecked):
    with pytest.raises((ValueError, TypeError), match=says):
        explore(*arguments)


@pytest.mark.parametrize("change", [{"num_steps": 10**9}, {"start": (np.nan, 0)}, {"seed": -1}, {"optimizers": [7]}])
def test_an_absurd_assignment_is_refused_and_leaves_the_widget_as_it_was(widget, change, unchecked):
    before = widget.settings
    [(name, value)] = change.items()
    with pytest.raises((ValueError, TypeError)):
        setattr(widget, name, value)
    assert widget.settings == before


@pytest.mark.parametrize(
    "payload", [{"kind": "nonsense"}, {"kind": "paths", "settings": {"num_steps": -1}}, {"kind": "tune"}]
)
def test_every_request_is_answered_even_one_that_fails(widget, payload, monkeypatch):
    monkeypatch.setattr("optviz.widget.tuning.tune", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("optviz.widget.threading.Thread", Immediately)
    assert answered(widget, payload).header["error"]


class Immediately:
    """A thread that runs at once."""

    def __init__(self, target, args, daemon):
        self.target, self.args = target, args

    def start(self):
        self.target(*self.args)


def test_tuning_tells_its_progress_and_can_be_stopped(monkeypatch):
    widget = explore("quadratic_bowl", "gd", num_steps=5)
    monkeypatch.setattr("optviz.widget.threading.Thread", Immediately)
    sent = []

    def send(content, buffers=None):
        sent.append((content, buffers))
        widget._asked(widget, {"stop": "7"}, [])

    widget.send = send
    widget._asked(widget, {"id": "7", "payload": {"kind": "tune", "settings": widget.settings}}, [])
    assert any("progress" in content for content, _ in sent)
    assert not widget._stops


def test_the_hash_of_a_path_tells_worlds_apart():
    """Two notebooks' surfaces of one name are not one surface."""
    runs = [compute.runs(w._chosen, w._world) for w in (explore(lambda p: p[0] ** 2), explore(lambda p: p[1] ** 2))]
    assert runs[0][0].hash != runs[1][0].hash
