"""A sweep is many runs at once: each point of it equals the run recorded alone."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
import surfaces
from optviz import metrics
from optviz.sweeps import METRICS, program, steps_to_tolerance

VALLEY = surfaces.Rosenbrock()
NOISY = surfaces.Noisy(surfaces.QuadraticBowl(), gradient_scale=0.5)
ADAM = optviz.optimizer("adam", learning_rate=0.3)


def alone(optimizer, surface, start, num_steps, key=0):
    trace = optviz.record(optimizer, surface, start, num_steps, key=key)
    result = metrics.summary(trace)
    nearest = -1 if result["diverged"] else int(metrics.nearest_minimum(surface, trace.final_params))
    return {**result, "nearest_minimum": nearest}


@pytest.mark.parametrize("name", ["gd", "adam", "schedule_free_sgd", "lbfgs", "polyak_sgd", "sam"])
def test_a_point_over_a_hyperparameter_is_the_run_recorded_alone(name):
    spec = optviz.entry(name).spec()
    axis = next(iter(spec.hyperparameters))
    values = [0.5 * float(spec.hyperparameters[axis]), float(spec.hyperparameters[axis])]
    swept = optviz.sweep(spec, VALLEY, VALLEY.start, 20, axes={axis: values}, metrics=list(METRICS))
    for i, value in enumerate(values):
        expected = alone(spec.replace(**{axis: value}), VALLEY, VALLEY.start, 20)
        for metric in METRICS:
            np.testing.assert_allclose(swept[metric][i], expected[metric], rtol=2e-3, err_msg=metric)


@pytest.mark.parametrize(
    ("axis", "values", "noisy"),
    [
        ("surface.gradient_scale", [0.0, 1.0], lambda scale: surfaces.Noisy(NOISY.surface, gradient_scale=scale)),
        (
            "surface.surface.condition_number",
            [2.0, 50.0],
            lambda number: surfaces.Noisy(surfaces.QuadraticBowl(condition_number=number), gradient_scale=0.5),
        ),
    ],
)
def test_coefficients_of_a_wrapper_and_of_what_it_wraps_are_axes(axis, values, noisy):
    start = [1.0, 2.0]
    swept = optviz.sweep(ADAM, NOISY, start, 10, axes={axis: values})
    for i, value in enumerate(values):
        expected = alone(ADAM, noisy(value), start, 10)
        np.testing.assert_allclose(swept.final_loss[i], expected["final_loss"], rtol=1e-4)


def test_seeds_and_starts_are_axes_and_a_number_of_seeds_counts_from_the_seed():
    starts = [[1.0, 2.0], [-3.0, 0.5], [0.0, 0.1]]
    swept = optviz.sweep(ADAM, NOISY, starts[0], 10, axes={"start": starts, "seed": 2}, seed=7)
    assert dict(swept.sizes) == {"start": 3, "seed": 2} and list(swept.seed.values) == [7, 8]
    for i, start in enumerate(starts):
        for j, seed in enumerate((7, 8)):
            expected = alone(ADAM, NOISY, start, 10, key=seed)
            np.testing.assert_allclose(swept.final_loss[i, j], expected["final_loss"], rtol=1e-4)


def test_hyperparameters_may_vary_together_along_one_axis():
    pairs = {"learning_rate": [0.1, 0.2, 0.3], "b1": [0.5, 0.7, 0.9]}
    swept = optviz.sweep(ADAM, VALLEY, VALLEY.start, 10, axes={"run": pairs, "surface.b": [1.0, 10.0]})
    assert swept.final_loss.dims == ("run", "surface.b") and swept.b1.dims == ("run",)
    for i, (rate, b1) in enumerate(zip(*pairs.values(), strict=True)):
        expected = alone(ADAM.replace(learning_rate=rate, b1=b1), surfaces.Rosenbrock(b=10.0), VALLEY.start, 10)
        np.testing.assert_allclose(swept.final_loss[i, 1], expected["final_loss"], rtol=1e-4)


def test_a_random_design_is_uniform_in_the_logarithm_and_repeats_by_its_seed():
    drawn = optviz.log_uniform(4000, seed=3, learning_rate=(1e-4, 1.0), **{"surface.b": (1.0, 100.0)})
    decades = np.histogram(np.log10(drawn["learning_rate"]), bins=[-4, -3, -2, -1, 0])[0]
    assert decades.sum() == 4000 and decades.min() > 900  # 1000 each, five standard deviations below
    np.testing.assert_array_equal(
        optviz.log_uniform(9, 3, b1=(0.1, 0.9))["b1"], optviz.log_uniform(9, 3, b1=(0.1, 0.9))["b1"]
    )
    swept = optviz.sweep(ADAM, VALLEY, VALLEY.start, 3, axes={"run": {k: v[:5] for k, v in drawn.items()}})
    assert swept.sizes == {"run": 5} and swept["surface.b"].dims == ("run",)


def test_chunks_of_any_size_give_the_same_result(monkeypatch):
    axes = {"learning_rate": np.geomspace(1e-3, 1.0, 7), "b1": [0.5, 0.9]}
    whole = optviz.sweep(ADAM, VALLEY, VALLEY.start, 30, axes=axes)
    monkeypatch.setattr(program, "RUNS_PER_CHUNK", 3)
    chunked = optviz.sweep(ADAM, VALLEY, VALLEY.start, 30, axes=axes)
    for metric in whole:
        np.testing.assert_allclose(chunked[metric], whole[metric], rtol=1e-4)


def test_progress_is_shown_on_demand_on_stderr_and_not_where_nobody_looks(capsys):
    for wanted, shown in ((True, True), (None, False), (False, False)):
        optviz.sweep(ADAM, VALLEY, VALLEY.start, 3, axes={"b1": [0.5, 0.9]}, progress=wanted)
        out, err = capsys.readouterr()
        assert not out and ("2/2 blocks" in " ".join(err.split())) == shown


def test_divergence_is_a_result_with_a_flag_beside():
    swept = optviz.sweep(optviz.optimizer("gd"), VALLEY, VALLEY.start, 50, axes={"learning_rate": [1e-4, 1.0]})
    assert list(swept.diverged.values) == [False, True] and not np.isfinite(swept.final_loss[1])
    assert swept.final_loss.attrs["long_name"] == "loss after the last step"
    assert (swept.attrs["optimizer"], swept.attrs["surface"], swept.attrs["num_steps"]) == ("gd", "rosenbrock", 50)


def test_a_sweep_keeps_the_precision_of_the_caller(x64):
    swept = optviz.sweep(ADAM, VALLEY, VALLEY.start, 10, axes={"learning_rate": [0.1]})
    assert swept.final_loss.dtype == np.float64
    expected = alone(ADAM.replace(learning_rate=0.1), VALLEY, VALLEY.start, 10)["final_loss"]
    np.testing.assert_allclose(swept.final_loss[0], expected, rtol=1e-12)


def test_other_values_compile_nothing():
    calls = []

    def loss(params):
        calls.append(params)
        return jnp.sum(params**2)

    given = (loss, [1.0, 2.0], 10)
    optviz.sweep(ADAM, *given, axes={"learning_rate": [0.1, 0.2, 0.3]})
    traced = len(calls)
    optviz.sweep(ADAM.replace(b1=0.5), *given, axes={"learning_rate": [0.5, 0.6, 0.7]})
    assert len(calls) == traced


def test_a_metric_of_your_own():
    mine = {"soon": steps_to_tolerance(400.0), "late": steps_to_tolerance(1e-30)}
    swept = optviz.sweep(ADAM, VALLEY, VALLEY.start, 5, axes={"b1": [0.9]}, metrics=mine)
    assert 0 < float(swept.soon[0]) <= 5 and np.isinf(swept.late[0])


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (1.0, 0.1), (-1.0, 1.0), (1.0, np.inf)])
def test_a_range_without_a_logarithm_is_refused(bounds):
    with pytest.raises(ValueError, match="learning_rate needs a range 0 < low < high"):
        optviz.log_uniform(3, learning_rate=bounds)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"axes": {}}, "at least one axis"),
        ({"axes": {"learning_rat": [0.1]}}, "learning_rate"),
        ({"axes": {"surface.c": [0.1]}}, "coefficient of rosenbrock"),
        (
            {"optimizer": optviz.OptimizerSpec(optax.adam, learning_rate=0.1), "axes": {"b1": [0.5]}},
            "adam has no value of 'b1' that an axis could replace",
        ),
        ({"axes": {"start.x3": [0.5]}}, "coordinate of the start"),
        ({"axes": {"start": [[0.0, 1.0]], "start.x1": [0.5]}}, "give 'start.x1' more than once"),
        ({"axes": {"b1": [0.5], "run": {"b1": [0.1]}}}, "give 'b1' more than once"),
        ({"axes": {"b1": [np.nan]}}, "'b1' needs finite numbers"),
        ({"axes": {"seed": 0}}, "how many, at least 1"),
        ({"axes": {"start": [["a", "b"]]}}, "The axis 'start' needs points like"),
        ({"trace": ["speed"]}, "trace is True, or names among"),
        ({"trace": True, "metrics": {"loss": METRICS["final_loss"]}}, "is the name of a metric and of a column"),
        ({"axes": {"learning_rate": []}}, "The axis 'learning_rate' needs a list of numbers"),
        ({"axes": {"learning_rate": ["a"]}}, "The axis 'learning_rate' needs a list of numbers"),
        ({"axes": {"surface.b": [1.0, -1.0]}}, "needs b > 0, got -1.0"),
        ({"axes": {"seed": [1, -1]}}, "The axis 'seed' needs whole numbers from 0 on"),
        ({"axes": {"run": {"learning_rate": [0.1], "b1": [0.5, 0.9]}}}, "lists of one length to vary together"),
        ({"axes": {"start": [[1.0, 2.0, 3.0]]}}, "The axis 'start' needs points like"),
        ({"optimizer": optax.adam(0.1)}, "learning_rate"),
        ({"metrics": ["final_los"]}, "final_loss"),
        ({"num_steps": 0}, "num_steps must be a whole number, at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(unchecked, change, sentence):
    given = {
        "optimizer": ADAM,
        "surface": VALLEY,
        "initial_params": [0.0, 1.0],
        "num_steps": 3,
        "axes": {"learning_rate": [0.1]},
        **change,
    }
    with pytest.raises((ValueError, TypeError), match=sentence):
        optviz.sweep(**given)
