"""What every experiment promises: a question answered in words, what the answer rests on, and no traceback."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import xarray
from typer.testing import CliRunner

import experiments
from optviz.cli import app

SMALL = {"steps": 30, "points": 32, "seeds": 2}
LOG = Path(experiments.__file__).parent / "LOG.md"


def options(name, values=SMALL):
    """Those of `values` that the experiment has, as words."""
    known = inspect.signature(importlib.import_module(f"experiments.{name}").main).parameters
    return [str(word) for k, v in values.items() if k in known for word in (f"--{k}", v)]


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["experiment", *map(str, words)])


@pytest.mark.parametrize("name", experiments.NAMES)
def test_an_experiment_answers_its_question_and_writes_what_the_answer_rests_on(command, tmp_path, name):
    result = command(name, *options(name))
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "runs").iterdir()
    question, _, answer = (folder / "answer.txt").read_text().partition("\n\n")
    assert question.endswith("?") and question in result.output and len(answer.split()) > 10
    assert len((folder / "table.csv").read_text().splitlines()) > 1
    assert all(p.stat().st_size < 500_000 for p in folder.glob("*.png")) and list(folder.glob("*.png"))
    assert all(xarray.load_dataset(p).data_vars for p in folder.glob("*.nc")) and list(folder.glob("*.nc"))


@pytest.mark.parametrize("name", experiments.NAMES)
def test_what_was_found_is_in_the_log_with_a_date(name):
    entries = re.findall(rf"^## \d{{4}}-\d\d-\d\d {name}\n(.+?)(?=^## |\Z)", LOG.read_text(), re.M | re.S)
    assert entries and all(len(entry.split()) > 30 for entry in entries)


@pytest.mark.parametrize("name", experiments.NAMES)
def test_bad_input_ends_with_one_sentence_and_exit_code_2(command, tmp_path, name):
    (tmp_path / "file").write_text("")
    result = command(name, *options(name), "--out", tmp_path / "file" / "runs")
    assert result.exit_code == 2 and "Traceback" not in result.output


def test_an_unknown_experiment_is_refused_with_the_nearest_name(command):
    result = command(experiments.NAMES[0][:-1])
    assert result.exit_code == 2 and experiments.NAMES[0] in result.output


def test_list_and_help_name_every_question(command):
    for output in (CliRunner().invoke(app, ["list", "experiments"]).output, command("--help").output):
        assert all(name in output for name in experiments.NAMES)


@pytest.mark.parametrize("name", experiments.NAMES)
def test_help_after_a_name_shows_its_options(command, name):
    result = command(name, "--help")
    assert result.exit_code == 0 and "--out" in result.output
