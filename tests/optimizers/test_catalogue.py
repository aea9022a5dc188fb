"""Every optimizer of the catalogue keeps these promises."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import optviz
import surfaces

START = [-2.0, 2.0]
every_optimizer = pytest.mark.parametrize("entry", optviz.CATALOGUE, ids=lambda e: e.name)


def traced(entry):
    """The hyperparameters whose numbers may change without compiling, absent ones aside."""
    return [h for h in entry.hyperparameters if h.scale != "choice" and not h.static and h.default is not None]


def optax_optimizers():
    """What Optax exports as an optimizer: a factory that takes a learning rate and no other transformation."""
    for module in (optax, optax.contrib):
        for name, factory in inspect.getmembers(module, inspect.isfunction):
            if name.startswith(("_", "scale_by")) or "schedule" in getattr(factory, "__module__", "").split(".")[-1]:
                continue
            parameters = inspect.signature(factory).parameters
            rate = any(p.endswith("learning_rate") for p in parameters)
            if rate and not any(isinstance(getattr(p, "default", 0), type(p.empty)) and "optimizer" in n
                                for n, p in parameters.items()):  # fmt: skip
                yield name


def test_the_catalogue_has_every_optimizer_of_optax():
    deprecated = {"optimistic_adam"}  # in favour of optimistic_adam_v2, says its docstring
    missing = set(optax_optimizers()) - {e.name for e in optviz.CATALOGUE} - deprecated
    assert not missing
    assert len({e.name for e in optviz.CATALOGUE}) == len(optviz.CATALOGUE) >= 47


def test_six_optimizers_are_well_known():
    assert sum(e.well_known for e in optviz.CATALOGUE) == 6


@every_optimizer
def test_the_entry_is_complete(entry):
    assert entry.summary.endswith(".") and entry.good_for and entry.advantages and entry.drawbacks
    assert entry.formula.count("{") == entry.formula.count("}") and "theta" in entry.formula
    assert 1847 <= entry.year <= 2026 and str(entry.year) in entry.paper
    names = [h.name for h in entry.hyperparameters]
    assert len(set(names)) == len(names)
    for h in entry.hyperparameters:
        assert h.meaning
        if h.scale == "choice":
            continue
        assert h.low is not None and h.high is not None and h.low < h.high
        assert h.default is None or h.low <= h.default <= h.high
        assert h.scale != "log" or h.low > 0


@every_optimizer
def test_the_catalogue_rate_works_on_the_default_surface(entry):
    surface = surfaces.Rosenbrock()
    trace = optviz.record(entry.spec(), surface, surface.start, 1000, key=0)
    # An optimizer that lowers its own rate for good stops on the way.
    assert trace.final_loss < 0.15 * surface(surface.start)


@every_optimizer
def test_changing_any_number_never_traces_again(entry):
    calls = []

    def loss(params):
        calls.append(params)
        return jnp.sum((params - 1.0) ** 2 * jnp.array([1.0, 10.0]))

    optviz.record(entry.spec(), loss, START, 4)
    before = len(calls)
    for h in traced(entry):
        other = h.low if h.default != h.low else h.high
        optviz.record(entry.spec(**{h.name: int(other) if h.integer else float(other)}), loss, START, 4)
        assert len(calls) == before, f"{h.name} is not traced"


@every_optimizer
def test_every_number_may_be_a_schedule_and_a_constant_one_changes_nothing(entry):
    numbers = {h.name: h.default for h in traced(entry) if not h.integer}
    constant = {name: optviz.schedules.constant_schedule(value) for name, value in numbers.items()}
    plain = optviz.record(entry.spec(), surfaces.QuadraticBowl(), START, 10, key=0)
    scheduled = optviz.record(entry.spec(**constant), surfaces.QuadraticBowl(), START, 10, key=0)
    # A constant folded by the compiler may round otherwise than one that is read.
    np.testing.assert_allclose(scheduled.losses, plain.losses, rtol=1e-4, atol=1e-6)
    assert set(scheduled.optimizer.scheduled) == set(numbers)


@every_optimizer
def test_mapping_over_a_number_equals_the_loop(entry):
    h = next(h for h in traced(entry) if not h.integer)
    values = jnp.array([0.5, 0.75, 1.0]) * h.default

    def losses(value):
        return optviz.record(entry.spec(**{h.name: value}), surfaces.QuadraticBowl(), jnp.array(START), 5, key=0).losses

    mapped = jax.jit(jax.vmap(losses))(values)
    # Batched and single programs round differently; signs and line searches can enlarge that.
    np.testing.assert_allclose(mapped, jnp.stack([losses(v) for v in values]), rtol=1e-3, atol=1e-5)


@every_optimizer
def test_replacing_a_number_is_giving_it(entry):
    for h in traced(entry):
        value = int(h.high) if h.integer else float(h.high)
        chex.assert_trees_all_equal(
            entry.spec().replace(**{h.name: value}).hyperparameters,
            entry.spec(**{h.name: value}).hyperparameters,
        )


@every_optimizer
def test_matrices_are_parameters_too(entry):
    surface = surfaces.MatrixRegression()
    trace = optviz.record(entry.spec(), surface, surface.start, 3, key=0)
    assert jnp.isfinite(trace.final_loss)


def test_what_needs_a_matrix_differs_on_one_from_what_it_is_on_a_vector():
    """Muon on a 2-vector is NAdam: on matrices it must be itself."""
    surface = surfaces.MatrixRegression()
    for entry in (e for e in optviz.CATALOGUE if "matrix" in e.needs):
        trace = optviz.record(entry.spec(), surface, surface.start, 2)
        flat = optviz.record(entry.spec(), lambda w: surface(w.reshape(surface.start.shape)), surface.start.ravel(), 2)
        assert not jnp.allclose(trace.final_params.ravel(), flat.final_params, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "given", "error", "sentence"),
    [
        ("adm", {}, ValueError, "Unknown optimizer 'adm'. Did you mean 'adam'"),
        ("adam", {"lr": 0.1}, TypeError, "adam: Unknown hyperparameter 'lr'"),
        ("adam", {"learning_rat": 0.1}, TypeError, "Did you mean 'learning_rate'"),
        (
            "adam",
            {"learning_rate": float("nan")},
            ValueError,
            "learning_rate must be a finite number, got nan",
        ),
        ("adam", {"learning_rate": "fast"}, TypeError, "must be a number or a schedule, got 'fast'"),
        ("adam", {"nesterov": 3}, TypeError, "nesterov must be a bool, got 3"),
    ],
)
def test_what_the_catalogue_does_not_know_is_refused_with_the_nearest_name(unchecked, name, given, error, sentence):
    with pytest.raises(error, match=sentence):
        optviz.optimizer(name, **given)
