"""What is written can be read again, exactly."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
import surfaces
from optviz.folders import publish, scratch_folder
from optviz.manifest import describe_surface
from optviz.store import columns


def run(num_steps=9, **kwargs):
    return optviz.record(optviz.optimizer("adam"), surfaces.Rosenbrock(), [-2.0, 2.0], num_steps, **kwargs)


def test_csv_reads_back_exactly(dtype, tmp_path):
    trace = run()
    table = optviz.read_csv(optviz.write_csv(trace, tmp_path / "adam.csv"))
    assert list(table) == ["step", "x1", "x2", "loss", "gradient_norm", "step_size"]
    for name, column in columns(trace).items():
        np.testing.assert_array_equal(table[name].astype(column.dtype), column)
    assert len(table["step"]) == 10 and np.isnan(table["gradient_norm"][-1])


def test_json_reads_back_exactly_and_is_valid_json(tmp_path):
    diverged = optviz.record(optviz.optimizer("gd", learning_rate=1.0), surfaces.Rosenbrock(), [-2.0, 2.0], 30)
    file = optviz.write_json([run(), diverged], tmp_path / "traces.json")
    json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    first, second = optviz.read_json(file)
    assert first["optimizer"]["name"] == "adam" and first["surface"]["coefficients"] == {"a": 1.0, "b": 100.0}
    for name, column in columns(diverged).items():
        np.testing.assert_array_equal(np.asarray(second["columns"][name], column.dtype), column)
    assert second["metrics"]["diverged"] is True


def test_a_surface_made_of_surfaces_is_described_whole():
    surface = surfaces.Noisy(surfaces.Rosenbrock(b=7.0, dimension=4), gradient_scale=0.1)
    described = describe_surface(surface)
    assert described["coefficients"]["gradient_scale"] == 0.1
    assert described["surface"]["coefficients"] == {"a": 1.0, "b": 7.0}
    assert described["surface"]["settings"] == {"dimension": 4}


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "x.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="is not a file of traces"):
        optviz.read_json(tmp_path / "x.json")


def test_every_number_of_a_tree_has_a_column():
    params = {"w": jnp.ones((2, 2)), "b": jnp.zeros(())}
    trace = optviz.record(optax.sgd(0.1), lambda p: jnp.sum(p["w"] ** 2) + p["b"] ** 2, params, 3)
    table = columns(trace)
    weights = [f"params.w[{i},{j}]" for i in (0, 1) for j in (0, 1)]
    assert list(table) == ["step", "params.b", *weights, "loss", "gradient_norm", "step_size"]
    np.testing.assert_array_equal(table["params.w[1,0]"], jax.device_get(trace.path["w"])[:, 1, 0])


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    for n in range(3):
        with scratch_folder(tmp_path) as folder:
            (folder / "a.txt").write_text(str(n))
            publish(folder, tmp_path / "run")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "run-2", "run-3"]
    with pytest.raises(RuntimeError), scratch_folder(tmp_path) as folder:
        (folder / "a.txt").write_text("half")
        raise RuntimeError
    assert len(list(tmp_path.iterdir())) == 3
