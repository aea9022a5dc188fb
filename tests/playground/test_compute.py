"""Paths: those of `optviz.record`, the same bytes always, and no program compiled twice."""

import concurrent.futures
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optviz
from optviz.playground import compute, settings
from optviz.playground.errors import BadSettings
from optviz.playground.programs import PROGRAMS
from optviz.playground.world import catalogue, surface_entry
from surfaces import Noisy, Quadratic, Rosenbrock

SMALL_RATES = {"learning_rate": 0.001}


def _settings(**given):
    return settings.from_json({"optimizers": ["adam", "momentum"], **given})


def _computed(chosen, world=None):
    return [compute.path(chosen, run, world) for run in compute.runs(chosen, world)]


def _recorded(chosen, run, world=None):
    arguments, others = compute.as_recorded(chosen, run, world)
    return optviz.record(*arguments, **others, fields=("params", "loss", "gradient_norm"))


CASES = {
    "plain": {},
    "noisy": {"noise": 0.5, "seed": 3},
    "one step": {"num_steps": 1},
    "coefficients": {"surface": "quadratic_bowl", "coefficients": {"condition_number": 37.0, "angle": -0.3}},
    "schedule": {"optimizers": [{"name": "adam", "schedule": {"name": "one_cycle"}}]},
    "average kept apart": {"optimizers": ["schedule_free_sgd"], "surface": "booth"},
    "state of its own kind": {"optimizers": ["lbfgs", "sam", "newton", "mechanize"], "surface": "beale"},
    "least squares": {"optimizers": ["gauss_newton", "levenberg_marquardt"], "surface": "rosenbrock"},
    "formula": {"formula": "(x-1)**2 + cos(3*y) + y**4/10"},
    "decoupled": {"regularisation": {"kind": "decoupled", "strength": 0.5}},
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())
def test_a_path_is_bit_for_bit_the_one_that_record_gives(given):
    chosen = _settings(**{"num_steps": 200, **given})
    for run, path in zip(compute.runs(chosen), _computed(chosen), strict=True):
        trace = _recorded(chosen, run)
        np.testing.assert_array_equal(path.points[:-1, :2], trace.path[:-1])
        np.testing.assert_array_equal(path.points[:-1, 3], trace.steps.gradient_norm)
        np.testing.assert_array_equal(path.points[:-1, 2], trace.losses[:-1])
        # A trace has the end's loss alone, and an average kept apart outside the loop; here they come as in any row.
        np.testing.assert_allclose(path.points[-1, :2], trace.final_params, rtol=1e-6)
        np.testing.assert_allclose(path.points[-1, 2], trace.losses[-1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["l1", "l2", "elastic"])
def test_a_penalised_run_is_recorded_alike_and_tells_the_loss_without_its_penalty(kind):
    chosen = _settings(num_steps=100, regularisation={"kind": kind, "strength": 0.7, "twins": False})
    plain = compute.surface_of(chosen)
    for run, path in zip(compute.runs(chosen), _computed(chosen), strict=True):
        trace = _recorded(chosen, run)
        # The loss without the penalty is one more use of the point, and lets the compiler round elsewhere.
        np.testing.assert_allclose(path.points[:, :2], trace.path, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(path.points[:, 2], jax.vmap(plain)(path.points[:, :2]), rtol=1e-4, atol=1e-5)
        assert run.regularised
        assert not run.twin


@pytest.mark.parametrize(
    ("num_steps", "every", "points"), [(1, 1, 2), (1000, 1, 1001), (1001, 2, 502), (2500, 3, 835), (100_000, 100, 1001)]
)
def test_long_paths_are_thinned_and_keep_their_end(num_steps, every, points):
    chosen = _settings(num_steps=num_steps, optimizers=[{"name": "gd", "hyperparameters": {"learning_rate": 0.0005}}])
    (path,) = _computed(chosen)
    assert (path.every, path.points.shape) == (every, (points, 4))
    whole = _recorded(chosen, compute.runs(chosen)[0])
    # Gradient descent contracts here, but record's loop over skipped steps may round otherwise.
    np.testing.assert_allclose(path.points[:, :2], whole.path, rtol=1e-4)
    np.testing.assert_allclose(path.points[-1, :2], whole.final_params, rtol=1e-4)


def test_totals_count_the_steps_between_points_too():
    chosen = _settings(surface="booth", num_steps=3000, optimizers=["gd"])
    (path,) = _computed(chosen)
    arguments, _ = compute.as_recorded(chosen, compute.runs(chosen)[0])
    trace = optviz.record(*arguments)
    losses = np.asarray(trace.losses)
    assert path.totals.best == pytest.approx(losses.min(), abs=1e-9)
    assert path.totals.reached == optviz.metrics.steps_to_tolerance(trace)
    assert path.totals.gradient_norm / 3000 == pytest.approx(float(optviz.metrics.mean_gradient_norm(trace)), rel=1e-4)


MOVES = {
    "rate": {"optimizers": [{"name": "adam", "hyperparameters": {"learning_rate": 0.2, "b1": 0.5, "eps": 1e-3}}]},
    "coefficients": {"coefficients": {"a": 1.5, "b": 50.0}},
    "start": {"start": [0.5, 1.25]},
    "seed": {"seed": 77},
    "level of noise": {"noise": 2.0},
    "steps": {"num_steps": 777},
    "many steps": {"num_steps": 5000},
    "view": {"view": [0, 1, 0, 1]},
    "numbers of the schedule": {
        "optimizers": [{"name": "adam", "schedule": {"name": "cosine", "parameters": {"end": 0.5}}}]
    },
    "penalty": {"regularisation": {"kind": "elastic", "strength": 3.0, "ratio": 0.9}},
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES.keys())
def test_no_slider_compiles_anything(move):
    frame = {
        "surface": "rosenbrock",
        "noise": 1.0,
        "num_steps": 100,
        "optimizers": [{"name": "adam"}],
        "regularisation": {"kind": "l1"},
    }
    if "schedule" in str(move):
        frame["optimizers"] = [{"name": "adam", "schedule": {"name": "cosine"}}]
    _touch(settings.from_json(frame), 100, 80)
    traced = _count_traces(lambda: _touch(settings.from_json({**frame, **move}), 64, 48))
    assert traced == 0


def _touch(chosen, width, height):
    """Everything that a page asks for when a slider has moved."""
    from optviz.playground.at_step import at_step

    compute.paths(chosen)
    compute.landscape(chosen, chosen.view or (-1, 1, -1, 1), width, height)
    compute.facts(chosen)
    for run in compute.runs(chosen):
        at_step(chosen, run, 7)


def _count_traces(function):
    """How often JAX traces anything while `function` runs, and how many programs are made."""
    before = PROGRAMS.compiled
    events = []

    def listen(name, *args, **kwargs):
        if "jaxpr_trace" in name or "backend_compile" in name:
            events.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        function()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return len(events) + PROGRAMS.compiled - before


def test_moving_the_level_of_noise_off_zero_is_prepared_for():
    chosen = _settings(num_steps=50)
    compute.prepare(chosen)
    assert _count_traces(lambda: compute.paths(dataclasses.replace(chosen, noise=0.3))) == 0


def test_equal_settings_give_equal_bytes_in_any_thread_and_in_double_precision_too():
    chosen = _settings(num_steps=300, noise=0.3)
    wanted = [path.points.tobytes() for path in _computed(chosen)]
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = [threads.submit(_computed, chosen) for _ in range(4)]
    with jax.enable_x64(True):
        mine = _computed(chosen)
    for paths in (*(f.result() for f in found), mine, compute.paths(chosen)):
        assert [path.points.tobytes() for path in paths] == wanted


def test_what_is_only_shown_changes_no_hash_and_what_is_computed_changes_it():
    frame = _settings()

    def hashes(**given):
        return [run.hash for run in compute.runs(_settings(**given))]

    base = [run.hash for run in compute.runs(frame)]
    assert hashes(shown={"step": 3}, view=[0, 1, 0, 1]) == base
    assert hashes(optimizers=["momentum", {"name": "adam", "color": "#000000"}]) == base[::-1]
    assert hashes(optimizers=["gd", {"name": "adam"}, {"name": "momentum", "on": False}])[1:] == base[:1]
    for move in ({"start": [0, 0]}, {"num_steps": 5}, {"noise": 1}, {"seed": 1}, {"coefficients": {"b": 90}}):
        assert not set(hashes(**move)) & set(base)
    twins = hashes(regularisation={"kind": "l2"})
    assert twins[::2] == base


def test_a_landscape_has_the_losses_at_its_points_whatever_its_size():
    chosen = _settings()
    surface = compute.surface_of(chosen)
    for width, height in ((2, 2), (7, 5), (150, 120)):
        values = compute.landscape(chosen, (-2.0, 1.0, -1.0, 3.0), width, height)
        assert values.shape == (height, width)
        assert values.dtype == np.float32
        for i, j in ((0, 0), (0, width - 1), (height - 1, 0)):
            point = np.float32([np.linspace(-2, 1, width)[j], np.linspace(-1, 3, height)[i]])
            np.testing.assert_allclose(values[i, j], surface(jnp.asarray(point)), rtol=1e-5)


def test_divergence_is_a_result():
    chosen = _settings(optimizers=[{"name": "gd", "hyperparameters": {"learning_rate": 10.0}}], num_steps=100)
    (path,) = _computed(chosen)
    assert not np.isfinite(path.points[-1, 2])
    assert np.isfinite(path.points[0]).all()


def test_every_optimizer_runs_or_says_why_not():
    names = list(catalogue().optimizers)
    for some in (names[:30], names[30:60], names[60:]):
        for path in compute.paths(settings.from_json({"surface": "booth", "num_steps": 3, "optimizers": some})):
            assert isinstance(path, compute.Path), path


def test_every_surface_is_finite_at_its_start_with_each_coefficient_at_either_end():
    for entry in catalogue().surfaces.values():
        for c in entry.coefficients:
            for value in (c.low, c.high):
                chosen = settings.from_json({"surface": entry.name, "coefficients": {c.name: value}})
                known = compute.facts(chosen)
                assert np.isfinite(known.customary), (entry.name, c.name, value)


def test_a_surface_of_ones_own_has_its_name_and_shares_no_path_with_another_of_that_name():
    worlds = [catalogue().with_surface(surface_entry(Rosenbrock(b=b), "mine")) for b in (1.0, 2.0)]
    chosen = [settings.from_json({"surface": "mine", "optimizers": ["gd"]}, world) for world in worlds]
    hashes = {compute.runs(c, w)[0].hash for c, w in zip(chosen, worlds, strict=True)}
    assert len(hashes) == 2
    first, second = (compute.paths(c, w)[0] for c, w in zip(chosen, worlds, strict=True))
    assert first.points.tobytes() != second.points.tobytes()


@pytest.mark.parametrize("surface", [Noisy(Rosenbrock()), Quadratic()], ids=["noisy", "four parameters"])
def test_surfaces_that_cannot_be_shown_are_refused(surface):
    with pytest.raises(ValueError, match=r"noise of its own|vector of two numbers"):
        surface_entry(surface)


def test_an_optimizer_that_cannot_be_built_is_refused_alone(unchecked):
    bad = settings.Choice("emonavi", {"version": "none such"})
    chosen = dataclasses.replace(_settings(num_steps=3), optimizers=(settings.Choice("gd", SMALL_RATES), bad))
    good, refused = compute.paths(chosen)
    assert isinstance(good, compute.Path)
    assert isinstance(refused, BadSettings)
    assert refused.where == "optimizers[1]"


def test_programs_are_forgotten_beyond_a_bound():
    from optviz.playground.programs import Programs

    few = Programs(most=2)
    for size in (1, 2, 3, 1):
        assert few(np.negative if size < 0 else _doubled, np.ones(size, np.float32)).tolist() == [2.0] * size
    assert len(few.kept) == 2
    assert few.compiled == 4


def _doubled(x):
    return 2 * x
