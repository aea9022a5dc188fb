"""A sweep ends with the same result however it is run: in one go, killed and resumed, on many workers or devices."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray
import zarr
from typer.testing import CliRunner

import optviz
import surfaces
from optviz.cli import app
from optviz.sweeps import dataset, program, store
from tests.sweeps_in_parts import ARGUMENTS, AXES

ROOT = Path(__file__).parent.parent
VALLEY = surfaces.Rosenbrock()
ADAM = optviz.optimizer("adam")
SMALL = (ADAM, VALLEY, [-2.0, 2.0], 5)
RATES = {"learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5], "seed": 2}


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(program, "RUNS_PER_CHUNK", 4)


def start(*words, **environment):
    command = [sys.executable, "-m", "tests.sweeps_in_parts", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE)


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()


@pytest.fixture(scope="module")
def whole():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "RUNS_PER_CHUNK", 30)
        return optviz.sweep(*ARGUMENTS, axes=AXES, trace=("loss",))


def same(a, b):
    """The same numbers, up to how a program for another number of runs rounds; metadata apart."""
    xarray.testing.assert_allclose(a.drop_attrs(), b.drop_attrs(), rtol=1e-3)


@pytest.mark.parametrize("fields", [False, True, dataset.FIELDS])
def test_a_store_gives_what_memory_gives(small_blocks, tmp_path, fields):
    in_memory = optviz.sweep(*SMALL, axes=RATES, trace=fields)
    in_store = optviz.sweep(*SMALL, axes=RATES, trace=fields, store=tmp_path / "s.zarr")
    xarray.testing.assert_identical(in_memory, in_store)
    opened = xarray.open_zarr(tmp_path / "s.zarr", consolidated=False, chunks=None)
    xarray.testing.assert_identical(opened.final_loss.load().drop_attrs(), in_memory.final_loss.drop_attrs())
    assert list(tmp_path.iterdir()) == [tmp_path / "s.zarr"]


def test_a_sweep_killed_at_any_moment_goes_on_to_the_identical_result(tmp_path, monkeypatch, whole):
    path = tmp_path / "killed.zarr"
    kills = 0
    for wanted in (1, 4):
        process = start("store", path)
        while process.poll() is None and finished(path) < wanted:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    done = finished(path)
    assert kills == 2 and 4 <= done < 12
    written = []
    write = store.ZarrStore.write
    monkeypatch.setattr(program, "RUNS_PER_CHUNK", 30)
    monkeypatch.setattr(store.ZarrStore, "write", lambda self, i, *rest: (written.append(i), write(self, i, *rest)))
    resumed = optviz.sweep(*ARGUMENTS, axes=AXES, trace=("loss",), store=path)
    assert len(written) == 12 - done
    xarray.testing.assert_identical(resumed.load(), whole)


def finished(path):
    try:
        return int(np.sum(zarr.open_group(path, mode="r")[store.MARKS][:]))
    except (OSError, KeyError):
        return 0


def test_two_processes_may_work_on_one_store(tmp_path, whole):
    finish(*(start("store", tmp_path / "shared.zarr") for _ in range(2)))
    opened = xarray.open_zarr(tmp_path / "shared.zarr", consolidated=False, chunks=None)
    assert opened[store.MARKS].all() and list(tmp_path.iterdir()) == [tmp_path / "shared.zarr"]
    for name in whole:
        np.testing.assert_array_equal(opened[name].values, whole[name].values)


def other(params):
    return VALLEY(params)


def another(params):
    return 2 * VALLEY(params)


another.__name__ = other.__name__


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"num_steps": 6}, "num_steps is 5 there and 6 here"),
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"optimizer": ADAM.replace(b1=0.5)}, "optimizer.hyperparameters.b1 is 0.9 there and 0.5 here"),
        ({"optimizer": optviz.optimizer("gd")}, "optimizer.name is 'adam' there and 'gd' here"),
        ({"surface": another}, r"first losses from the start are \[409.0, .* there and \[818.0, "),
        ({"initial_params": [1.0, 2.0]}, "start is '2 values from -2 to 2"),
        ({"axes": {"learning_rate": [0.1, 0.3]}}, r"axes.learning_rate is '2 values from 0.1 to 0.2 "),
        ({"axes": {"b1": [0.1, 0.2]}}, "axes.dimensions.learning_rate is"),
        ({"metrics": ["final_loss"]}, "metrics.best_loss is"),
        ({"trace": True}, r"trace is \[\] there and \['params', 'loss'\] here"),
    ],
)
def test_a_store_of_another_sweep_is_refused_and_stays_as_it_is(tmp_path, change, sentence):
    given = {"optimizer": ADAM, "surface": other, "initial_params": [-2.0, 2.0], "num_steps": 5}
    given |= {"axes": {"learning_rate": [0.1, 0.2]}, "store": tmp_path / "s.zarr"}
    first = optviz.sweep(**given)
    with pytest.raises(ValueError, match=f"s.zarr holds another sweep: .*{sentence}"):
        optviz.sweep(**{**given, **change})
    xarray.testing.assert_identical(optviz.sweep(**given), first)


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match="is there already and is no store of a sweep"):
            optviz.sweep(*SMALL, axes=RATES, store=path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_dask_cluster_loses_a_worker_and_nothing_else(monkeypatch, whole, tmp_path):
    from distributed import Client, LocalCluster

    monkeypatch.setattr(program, "RUNS_PER_CHUNK", 30)
    quiet = {"silence_logs": "CRITICAL", "dashboard_address": None, "host": "127.0.0.1"}
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **quiet) as cluster, Client(cluster) as client:
        killed = []
        write = dataset.Memory.write

        def kill_then_write(*args):
            if not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)
            write(*args)

        monkeypatch.setattr(dataset.Memory, "write", kill_then_write)
        swept = optviz.sweep(*ARGUMENTS, axes=AXES, trace=("loss",), executor=client)
        assert killed
        addressed = optviz.sweep(*SMALL, axes=RATES, executor=cluster.scheduler_address)
        words = ["sweep", "--axis", "b1=0.5,0.9", "--steps", "5", "--scheduler", cluster.scheduler_address]
        assert CliRunner().invoke(app, [*words, "--out", str(tmp_path)]).exit_code == 0
        assert len(list(tmp_path.glob("*/sweep.nc"))) == 1
    xarray.testing.assert_identical(swept, whole)
    same(addressed, optviz.sweep(*SMALL, axes=RATES))


def test_devices_of_one_program_share_the_runs(tmp_path, whole):
    finish(start("file", tmp_path / "s.nc", XLA_FLAGS="--xla_force_host_platform_device_count=3"))
    same(xarray.load_dataset(tmp_path / "s.nc"), whole)


def test_two_processes_of_one_distributed_program_share_the_runs(tmp_path, whole):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    finish(*(start("process_of_two", i, port, tmp_path / f"{i}.nc") for i in range(2)))
    for i in range(2):
        same(xarray.load_dataset(tmp_path / f"{i}.nc"), whole)


def test_a_swept_run_with_its_columns_is_the_trace_of_that_run():
    swept = optviz.sweep(*SMALL, axes=RATES, trace=("params", "loss", "step_size", "opt_state"))
    trace = optviz.record(ADAM.replace(learning_rate=0.2), *SMALL[1:])
    run = swept.sel(learning_rate=0.2, seed=0)
    np.testing.assert_allclose(run.params, trace.path, rtol=1e-5)
    np.testing.assert_allclose(run.loss, trace.losses, rtol=1e-5)
    np.testing.assert_allclose(run.step_size[:-1], trace.steps.step_size, rtol=1e-5)
    assert np.isnan(run.step_size[-1]) and list(run.step.values) == [0, 1, 2, 3, 4, 5]
    states = jax.device_get(trace.get_trajectory_data()["optimizer_states"])
    np.testing.assert_allclose(run["opt_state.0.nu"], states[0].nu, rtol=1e-5)
    np.testing.assert_array_equal(run["opt_state.0.count"], states[0].count)


def test_a_scheduler_that_is_not_there_is_said_so():
    with pytest.raises(ValueError, match="No Dask scheduler answers at 'tcp"):
        optviz.sweep(*SMALL, axes=RATES, executor="tcp://127.0.0.1:9")


@pytest.mark.parametrize("suffix", ["nc", "csv"])
def test_results_open_elsewhere(tmp_path, suffix):
    swept = optviz.sweep(*SMALL, axes={**RATES, "surface.b": [10.0, 100.0]})
    if suffix == "nc":
        swept.to_netcdf(tmp_path / "s.nc")
        xarray.testing.assert_identical(xarray.load_dataset(tmp_path / "s.nc"), swept)
    else:
        table = swept.to_dataframe()
        assert table.index.names == ["learning_rate", "seed", "surface.b"] and len(table) == swept.final_loss.size
        table.to_csv(tmp_path / "s.csv")
        assert len((tmp_path / "s.csv").read_text().splitlines()) == 1 + len(table)


def test_every_variable_says_what_it_is_and_the_dataset_what_was_swept():
    import json

    swept = optviz.sweep(*SMALL, axes=RATES, metrics=list(optviz.sweeps.METRICS), trace=True)
    assert all(v.attrs["long_name"] for v in swept.values())
    assert swept.final_loss.units == "loss" and swept.distance_to_minimum.units == "parameter"
    assert swept.learning_rate.attrs["long_name"] and swept.step.units == "steps"
    manifest = json.loads(swept.manifest)
    assert manifest["optimizer"]["hyperparameters"]["b1"] == pytest.approx(0.9)
    assert manifest["surface"]["coefficients"]["b"] == 100.0 and manifest["versions"]["jax"] == jax.__version__
