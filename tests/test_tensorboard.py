"""What TensorBoard is given is what the trace holds."""

import sys

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
import surfaces
from optviz.tensorboard import curves
from tests.events import read

VALLEY = surfaces.Rosenbrock()


def assert_written(trace, folder):
    written = read(optviz.write_tensorboard(trace, folder))
    assert set(written) == set(curves(trace))
    for tag, (steps, values) in curves(trace).items():
        np.testing.assert_array_equal(written[tag][0], steps, err_msg=tag)
        np.testing.assert_array_equal(written[tag][1], values.astype(np.float32), err_msg=tag)
    return written


def test_every_number_of_a_run_is_read_back(tmp_path):
    trace = optviz.record(optviz.optimizer("emonavi", version="5.0.2"), VALLEY, VALLEY.start, 12)
    written = assert_written(trace, tmp_path / "emonavi")
    np.testing.assert_array_equal(written["loss"], (np.arange(13), trace.losses))
    np.testing.assert_array_equal(written["step_size"], (np.arange(12), trace.steps.step_size))
    for name in ("scalar", "learning_rate", "average_norm", "trust", "should_stop"):
        np.testing.assert_array_equal(written[f"state/{name}"][1][:12], getattr(trace.steps.opt_state, name))
        assert written[f"state/{name}"][1][12] == np.float32(getattr(trace.opt_state, name))
    np.testing.assert_array_equal(
        written["hyperparameters/learning_rate"][1], trace.steps.hyperparameters["learning_rate"]
    )
    assert "state/history" not in written


@pytest.mark.parametrize(
    "record",
    [
        lambda: optviz.record(optax.adam(0.1), VALLEY, VALLEY.start, 10, every=3),
        lambda: optviz.record(optviz.optimizer("gd", learning_rate=1.0), VALLEY, VALLEY.start, 20),
        lambda: optviz.record(optviz.optimizer("noisy_sgd"), VALLEY, VALLEY.start, 5),
        lambda: optviz.record(optviz.optimizer("schedule_free_sgd"), VALLEY, VALLEY.start, 5, fields=optviz.SCALARS),
        lambda: optviz.record(optax.adam(0.1), lambda p: jnp.sum(p["a"] ** 2), {"a": jnp.ones(())}, 5),
    ],
    ids=["every third step", "diverged", "with a key", "scalars only", "tree"],
)
def test_any_run_can_be_written(tmp_path, record):
    trace = record()
    assert "loss" in assert_written(trace, tmp_path / "run")


def test_a_trace_of_nothing_is_refused(tmp_path):
    trace = optviz.record(optax.adam(0.1), VALLEY, VALLEY.start, 5, fields=("params",))
    with pytest.raises(ValueError, match="recorded none of the columns"):
        optviz.write_tensorboard(trace, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_the_library_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    trace = optviz.record(optax.adam(0.1), VALLEY, VALLEY.start, 2)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'optviz\[tensorboard\]'"):
        optviz.write_tensorboard(trace, tmp_path)
