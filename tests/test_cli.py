"""The command line from the user's side: what it writes, and what it refuses."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import optviz
import surfaces
from optviz.cli import app
from optviz.job import record_rivals
from optviz.store import read_csv

SMALL = [
    "--steps",
    "12",
    "--optimizer",
    "adam:learning_rate=0.02,b1=0.8",
    "--optimizer",
    "gd:learning_rate=0.001",
]


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`command("run", "--steps", "3")` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(w) for w in words])


def test_python_runs_the_package_as_the_command():
    words = [sys.executable, "-m", "optviz", "--version"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == f"optviz {optviz.__version__}\n"


def test_run_writes_pictures_traces_and_a_manifest_that_reproduces_it(command, tmp_path):
    result = command("run", *SMALL, "--noise", "0.1", "--seed", "7")
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "runs").iterdir()
    written = {p.name for p in folder.iterdir()}
    assert written == {"contours.png", "losses.png", "animation.gif", "surface.html", "traces", "traces.json",
                       "manifest.json"}  # fmt: skip
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["versions"]["optviz"] == optviz.__version__ and manifest["arguments"]["seed"] == 7
    again = command(*shlex.split(manifest["arguments"]["command"])[1:], "--out", "again")
    assert again.exit_code == 0, again.output
    (second,) = (tmp_path / "again").iterdir()
    for name in ("traces.json", "traces/adam.csv", "traces/gd.csv"):
        assert (folder / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (["--surface", "sphere:dimension=1"], {"contours.png", "animation.gif", "surface.html"}),
        (["--start", "1e30,2"], {"contours.png", "animation.gif", "surface.html"}),
    ],
    ids=["one parameter", "far out"],
)
def test_a_picture_that_a_run_cannot_have_is_left_out_with_the_reason(command, tmp_path, options, missing):
    result = command("run", "--optimizer", "adam", "--steps", "3", "--out", str(tmp_path), *options)
    assert result.exit_code == 0
    (folder,) = tmp_path.iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["missing"]) == missing and all(f"No {name}: " in result.output for name in missing)
    assert (folder / "traces.json").exists() and not any((folder / name).exists() for name in missing)


def test_run_from_python_says_seed_start_and_tolerance(tmp_path):
    folder = optviz.run([optviz.optimizer("adam")], start=[0.0, 1.0], num_steps=2, key=5, out=tmp_path).folder
    arguments = json.loads((folder / "manifest.json").read_text())["arguments"]
    assert arguments == {"seed": 5, "tolerance": 1e-4, "start": [0.0, 1.0]}


def test_rivals_keep_the_precision_of_the_caller(x64):
    (trace,) = record_rivals([optviz.optimizer("adam")], surfaces.Rosenbrock(), [0.1, 1.0], 2)
    assert trace.losses.dtype == np.float64


def test_run_prints_the_result_as_a_table(command):
    result = command("run", *SMALL)
    for heading in ("final", "best", "steps to", "0.0001", "distance", "to minimum", "behaviour"):
        assert heading in result.output
    assert "adam" in result.output and "gd" in result.output


def test_run_prints_the_result_as_json(command):
    result = command("run", *SMALL, "--json", "--surface", "quadratic_bowl:condition_number=50")
    document = json.loads(result.output)
    surface = surfaces.QuadraticBowl(condition_number=50.0)
    trace = optviz.record(optviz.optimizer("gd", learning_rate=0.001), surface, surface.start, 12)
    np.testing.assert_allclose(document["results"][1]["final_loss"], trace.final_loss, rtol=1e-6)


def test_the_traces_written_hold_the_last_point(command, tmp_path):
    command("run", *SMALL, "--start", "-1,1.5")
    (folder,) = (tmp_path / "runs").iterdir()
    table = read_csv(folder / "traces" / "gd.csv")
    trace = optviz.record(optviz.optimizer("gd", learning_rate=0.001), surfaces.Rosenbrock(), [-1.0, 1.5], 12)
    assert table["step"][-1] == 12
    np.testing.assert_array_equal(np.float32(table["x1"]), trace.path[:, 0])
    np.testing.assert_array_equal(np.float32(table["loss"]), trace.losses)


def test_a_diverging_run_is_a_result(command):
    result = command("run", "--optimizer", "gd:learning_rate=1.0", "--steps", "30")
    assert result.exit_code == 0 and "diverged" in result.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "--optimizer", "adm"], "Unknown optimizer 'adm'. Did you mean 'adam'"),
        (["run", "--optimizer", "adam:lr=0.1"], "adam: Unknown hyperparameter 'lr'"),
        (["run", "--optimizer", "adam:learning_rate"], "Expected NAME:KEY=VALUE"),
        (["run", "--optimizer", "adam:learning_rate=nan"], "learning_rate must be a finite number, got nan"),
        (["run", "--optimizer", "adam:learning_rate=1e"], "learning_rate must be a number, got '1e'"),
        (["run", "--surface", "rosenbrok"], "Unknown surface 'rosenbrok'. Did you mean 'rosenbrock'"),
        (["run", "--surface", "rosenbrock:c=3"], "rosenbrock: Unknown coefficient 'c'"),
        (["run", "--surface", "quadratic_bowl:condition_number=0.1"], "needs condition_number >= 1"),
        (["run", "--surface", "rosenbrock:b=abc"], "rosenbrock: b must be a number, got 'abc'"),
        (["run", "--surface", "rosenbrock:dimension=2.5"], "needs a whole dimension >= 2, got 2.5"),
        (["run", "--start", "1,2,3"], "--start needs 2 numbers for rosenbrock, got 3"),
        (["run", "--start", "nan,1"], "--start must be a finite number, got nan"),
        (["run", "--start", "a,b"], "--start must be a number, got 'a'"),
        (["run", "--surface", "xor_network", "--start", "1,2"], "has a tree of parameters"),
        (["run", "--steps", "-5"], "--steps must be at least 1 and below 2**31, got -5"),
        (["run", "--steps", "0"], "--steps must be at least 1 and below 2**31, got 0"),
        (["run", "--noise", "nan"], "--noise must be a finite number"),
        (["run", "--noise", "-1"], "--noise must be a finite number, at least 0"),
        (["run", "--seed", "-1"], "--seed must be between 0"),
        (["run", "--tolerance", "0"], "--tolerance must be a finite number above 0"),
        (["run", "--out", "file/below"], "is not a writable folder"),
        (["show", "adm"], "Unknown optimizer or surface 'adm'. Did you mean 'adam'"),
        (["show", "adam", "--picture", "adam.exe"], "--picture must end in .png, .svg or .pdf"),
        (["show", "adam", "--picture", "file/below/adam.png"], "is not a writable folder"),
        (["run", "--steps", "many"], "Invalid value for '--steps'"),
        (["list", "everything"], "Invalid value"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2_and_leaves_nothing(unchecked, command, tmp_path, words, sentence):
    (tmp_path / "file").write_text("not a folder")
    result = command(*words)
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_run_that_fails_while_writing_leaves_no_half_written_folder(command, tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device", "losses.png")

    monkeypatch.setattr("optviz.plotting.plot_losses", full_disk)
    result = command("run", *SMALL)
    assert result.exit_code == 2 and "No space left on device" in result.output
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("what", "names"),
    [("optimizers", [e.name for e in optviz.CATALOGUE]), ("surfaces", list(surfaces.names()))],
)
def test_list_names_the_whole_catalogue(command, what, names):
    output = command("list", what).output
    assert all(name in output for name in names)


@pytest.mark.parametrize("entry", optviz.CATALOGUE[:1], ids=lambda e: e.name)
def test_show_an_optimizer(command, tmp_path, entry):
    result = command("show", entry.name)
    assert result.exit_code == 0, result.output
    assert entry.formula.split()[0] in result.output and entry.hyperparameters[0].name in result.output
    assert (tmp_path / "runs" / "show" / f"{entry.name}.png").stat().st_size > 5000


@pytest.mark.parametrize("name", ["himmelblau", "powell", "xor_network"])
def test_show_a_surface(command, tmp_path, name):
    result = command("show", name)
    assert result.exit_code == 0, result.output
    assert surfaces.surface(name).source in " ".join(result.output.split())
    assert (tmp_path / "runs" / "show" / f"{name}.png").stat().st_size > 5000


def test_the_module_runs_as_a_program():
    code = "from optviz.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, f"optviz {optviz.__version__}")
