"""What is known at a step: what the record of the run says, and the quadratic model of the surface there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optviz
from optviz.playground import compute, settings
from optviz.playground.at_step import at_step, newton_step

CASES = {
    "adam": {"optimizers": ["adam"]},
    "momentum, noise": {"optimizers": ["momentum"], "noise": 0.5},
    "schedule": {"optimizers": [{"name": "adam", "schedule": "linear"}]},
    "no momentum": {"optimizers": ["gd"]},
    "penalty": {"optimizers": ["gd"], "regularisation": {"kind": "l2", "strength": 1.0, "twins": False}},
}


@pytest.mark.parametrize("step", [0, 1, 30])
@pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())
def test_a_step_is_told_as_it_was_recorded(given, step):
    chosen = settings.from_json({"surface": "beale", "num_steps": 50, **given})
    (run,) = compute.runs(chosen)
    told = at_step(chosen, run, step)
    arguments, others = compute.as_recorded(chosen, run)
    row = optviz.record(*arguments, **others).steps[step]
    # The programs differ, so that the last bits may.
    close = {"rtol": 1e-4, "atol": 1e-6}
    np.testing.assert_allclose([told["x"], told["y"]], row.params, **close)
    np.testing.assert_allclose(told["gradient"], row.gradients, **close)
    np.testing.assert_allclose(told["update"], row.updates, **close)
    for name, value in row.hyperparameters.items():
        np.testing.assert_allclose(told["hyperparameters"][name], value, **close)
    surface, point = compute.surface_of(chosen), jnp.array([told["x"], told["y"]])
    np.testing.assert_allclose(told["loss"], surface(point), **close)
    np.testing.assert_allclose(told["slope"], surface.gradient(point), **close)
    np.testing.assert_allclose(told["hessian"], surface.hessian(point), rtol=1e-3)


@pytest.mark.parametrize("name", ["adam", "momentum", "nadam", "lion", "adabelief"])
def test_the_momentum_is_the_average_of_gradients_that_the_optimizer_keeps(name):
    chosen = settings.from_json({"surface": "beale", "num_steps": 5, "optimizers": [name]})
    (run,) = compute.runs(chosen)
    assert at_step(chosen, run, 0)["momentum"].tolist() == [0, 0]
    after = at_step(chosen, run, 1)
    first = at_step(chosen, run, 0)["gradient"]
    # After one step it is a share of the first gradient.
    ratio = after["momentum"] / first
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-4)
    assert any(text != "0" for _, text in after["state"])


def test_the_newton_step_leads_to_where_the_quadratic_model_is_flat_and_is_none_where_that_is_no_point():
    chosen = settings.from_json({"surface": "quadratic_bowl", "optimizers": ["gd"]})
    told = at_step(chosen, compute.runs(chosen)[0], 3)
    np.testing.assert_allclose(np.add([told["x"], told["y"]], told["newton"]), [0, 0], atol=1e-5)
    assert told["eigenvalues"] == pytest.approx([1, 10], rel=1e-4)
    assert newton_step(np.ones((2, 2)), np.ones(2)) is None
    assert newton_step(np.full((2, 2), np.nan), np.ones(2)) is None


def test_a_step_beyond_divergence_is_told_too():
    chosen = settings.from_json(
        {
            "surface": "rosenbrock",
            "num_steps": 60,
            "optimizers": [{"name": "gd", "hyperparameters": {"learning_rate": 9}}],
        }
    )
    told = at_step(chosen, compute.runs(chosen)[0], 60)
    assert told["newton"] is None
    assert told["eigenvalues"] is None


def test_every_optimizer_tells_its_steps():
    names = ["emofact", "soap", "lookahead", "noisy_sgd", "sophia_h", "levenberg_marquardt", "mechanize", "prodigy"]
    chosen = settings.from_json({"surface": "booth", "num_steps": 4, "optimizers": names})
    for run in compute.runs(chosen):
        assert jax.tree.all(jax.tree.map(lambda x: np.isfinite(x).all(), at_step(chosen, run, 3)["update"]))
