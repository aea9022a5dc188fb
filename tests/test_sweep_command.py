"""`optviz sweep` from the user's side: axes in words, files that open, bad input in one sentence."""

import json

import numpy as np
import pytest
import xarray
from typer.testing import CliRunner

from optviz.arguments import parse_axis, parse_range
from optviz.cli import app


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`command("--axis", ...)` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["sweep", "--steps", "5", *map(str, words)])


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("b1=0.5,0.9", "b1", [0.5, 0.9]),
        ("b2 = 0:1:5", "b2", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("learning_rate=1e-3:1:4:log", "learning_rate", [0.001, 0.01, 0.1, 1.0]),
        ("seed=10", "seed", 10),
        ("seed=3,5", "seed", [3, 5]),
        ("start=-2,2;1,1", "start", [[-2.0, 2.0], [1.0, 1.0]]),
        ("start.x1=-1:1:3", "start.x1", [-1.0, 0.0, 1.0]),
    ],
)
def test_an_axis_in_words(text, name, values):
    assert parse_axis(text)[0] == name
    np.testing.assert_allclose(parse_axis(text)[1], values)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("b1", "--axis needs NAME=VALUE"),
        ("b1=", "--axis needs NAME=VALUE"),
        ("b1=a", "b1 must be a number, got 'a'"),
        ("b1=0:1", "needs LOW:HIGH:COUNT"),
        ("b1=0:1:0", "needs LOW:HIGH:COUNT"),
        ("b1=0:1:3:square", "needs LOW:HIGH:COUNT"),
        ("b1=0:1:3:log", "needs ends above 0"),
        ("b1=0:1:x", "b1 must be a whole number"),
        ("seed=1.5", "seed must be a whole number"),
    ],
)
def test_an_axis_that_makes_no_sense_is_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_axis(text)


def test_a_range_in_words():
    assert parse_range("learning_rate=1e-4:1") == ("learning_rate", (1e-4, 1.0))
    with pytest.raises(ValueError, match="--random needs NAME=LOW:HIGH"):
        parse_range("learning_rate=1")


@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        (["--axis", "learning_rate=1e-3:1:4:log", "--axis", "seed=2", "--noise", "1"], {"learning_rate": 4, "seed": 2}),
        (["--axis", "learning_rate=1e-3:1:4:log", "--axis", "b1=0:0.9:3"], {"learning_rate": 4, "b1": 3}),
        (["--random", "learning_rate=1e-3:1", "--random", "eps=1e-9:1", "--draws", "5"], {"run": 5}),
        (
            ["--axis", "start.x1=-1:1:3", "--axis", "start.x2=-1:1:2", "--metric", "nearest_minimum"],
            {"start.x1": 3, "start.x2": 2},
        ),
        (["--axis", "start=-2,2;1,1", "--trace", "loss", "--trace", "params"], {"start": 2, "step": 6, "parameter": 2}),
    ],
    ids=["curve", "map", "random", "basins", "starts"],
)
def test_a_sweep_is_written_whole(command, tmp_path, words, sizes):
    result = command(*words)
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "runs").iterdir()
    assert {p.name for p in folder.iterdir()} == {"sweep.nc", "metrics.csv", "manifest.json", "sweep.png"}
    swept = xarray.load_dataset(folder / "sweep.nc")
    assert dict(swept.sizes) == sizes
    assert json.loads((folder / "manifest.json").read_text())["num_steps"] == 5
    rows = np.prod([n for dim, n in sizes.items() if dim not in ("step", "parameter")])
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + rows


def test_a_store_from_the_command_line_is_used_again(command, tmp_path):
    words = ("--axis", "b1=0.5,0.9", "--store", "s.zarr")
    assert command(*words).exit_code == 0 and command(*words).exit_code == 0
    other = command(*words, "--optimizer", "gd")
    assert other.exit_code == 2 and "axis for gd" in other.output
    other = command(*words, "--optimizer", "adam:eps=1e-3")
    assert other.exit_code == 2 and "optimizer.hyperparameters.eps is 1e-08 there" in other.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "axes needs at least one axis"),
        (["--axis", "learning_rat=1"], "learning_rate"),
        (["--axis", "b1=0.5", "--surface", "rosenbrok"], "rosenbrock"),
        (["--axis", "b1=0.5", "--metric", "loss"], "metric of a sweep"),
        (["--axis", "b1=0.5", "--trace", "speed"], "trace is True, or names among"),
        (["--axis", "b1=0.5", "--seed", "-1"], "seed must be a whole number"),
        (["--axis", "seed=0"], "how many, at least 1"),
        (["--axis", "b1=0.5", "--scheduler", "tcp://127.0.0.1:9"], "No Dask scheduler answers"),
    ],
)
def test_what_makes_no_sense_ends_with_one_sentence_and_exit_code_2(command, tmp_path, words, sentence):
    result = command(*words)
    assert result.exit_code == 2 and sentence in result.output and "Traceback" not in result.output
    assert not (tmp_path / "runs").exists()
