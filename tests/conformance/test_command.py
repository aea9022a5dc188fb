"""`optviz check` and the pytest plugin from the user's side."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from optviz.cli import app

MINE = """
import jax, optax

def good(learning_rate, momentum=0.9):
    return optax.sgd(learning_rate, momentum=momentum)

def uphill(learning_rate):
    return optax.sgd(-learning_rate)

made = optax.adam(0.1)

def branches(learning_rate=0.1):
    def update(g, s, p=None):
        return jax.tree.map(lambda x: -learning_rate * x if x.sum() > 0 else x, g), s
    return optax.GradientTransformation(lambda p: (), update)

def leaves():
    raise SystemExit(3)

def number():
    return 3
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`command("mine:good", ...)` in a folder with a module of one's own."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    yield lambda *words: CliRunner().invoke(app, ["check", *map(str, words)])
    sys.modules.pop("mine", None)


def test_one_error_is_told_once_with_its_line_and_the_page_needs_no_path(command, tmp_path):
    result = command("mine:branches", "--only", "protocol", "--only", "edges", "--json", "--html", "r.html")
    failed = {r["law"]: r for r in json.loads(result.stdout)["results"] if r["outcome"] == "fail"}
    assert result.exit_code == 1 and "at mine.py:14" in failed["protocol.runs"]["detail"]
    assert "Branch with jnp.where" in failed["protocol.runs"]["mend"]
    assert failed["edges.none_leaf"]["mend"] == "It is the error of protocol.runs: mend that first."
    assert "mend that first" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("mine:leaves", "cannot be made: SystemExit: 3, at mine.py:18"),
        ("mine:number", "number must return an optimizer, which has `init` and `update`, and returns 3."),
        ("mine:good", "missing 1 required positional argument: 'learning_rate'. Hyperparameters are given by name"),
        ("broken_module:x", "broken_module cannot be imported: SyntaxError"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_sentence(command, tmp_path, target, sentence):
    (tmp_path / "broken_module.py").write_text("def f(:\n")
    result = command(target)
    assert result.exit_code == 2 and sentence in result.stderr


def test_a_stranger_gets_a_verdict_that_tells_what_to_mend(command, tmp_path):
    rate = ("--learning_rate", "0.1")
    assert command("mine:good", *rate, "--momentum=0.5", "--only", "protocol").exit_code == 0
    result = command("mine:uphill", *rate, "--only", "descent", "--only", "golden", "--html", "r.html")
    assert result.exit_code == 1
    assert "descent.convex" in result.output and "minus the direction uphill" in result.output
    page = (tmp_path / "r.html").read_text()
    assert "<svg" in page and "minus the direction uphill" in page


def test_a_ready_made_optimizer_and_one_of_the_catalogue(command):
    for target in ("mine:made", "adam"):
        document = json.loads(command(target, "--only", "types.float32", "--json").stdout)
        assert document["passed"] and document["results"][0]["law"] == "types.float32"


def test_an_expected_failure_is_strict(command):
    words = ("mine:uphill", "--learning_rate", "0.1", "--only", "descent.convex")
    assert command(*words, "--expect", "descent.convex=it is meant to climb").exit_code == 0
    assert command("mine:good", *words[1:], "--expect", "descent.convex=it is meant to climb").exit_code == 1


def test_a_reference_that_differs_is_told_with_its_first_step(command):
    words = ("mine:good", "--learning_rate", "0.0001", "--only", "golden")
    assert command(*words, "--reference", "mine:good").exit_code == 0
    result = command("mine:good", "--learning_rate", "0.0001", "--reference", "mine:made", "--only", "golden")
    assert result.exit_code in (1, 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nobody:good"], "No module named 'nobody'"),
        (["mine:bad"], "has no attribute 'bad'"),
        (["mine.good"], "Expected PACKAGE.MODULE:FACTORY"),
        (["adm"], "adam"),
        (["mine:good", "--learning_rate"], "Hyperparameters are given as --NAME VALUE"),
        (["mine:good", "--rate", "0.1"], "rate"),
        (["adam", "--expect", "descent"], "--expect needs LAW=REASON"),
        (["adam", "--only", "speed"], "There is no law or group speed"),
    ],
)
def test_what_makes_no_sense_ends_with_one_sentence_and_exit_code_2(command, words, sentence):
    result = command(*words)
    assert result.exit_code == 2 and sentence in result.output and "Traceback" not in result.output


def test_the_plugin_makes_a_test_of_every_law(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "test_mine.py").write_text(
        "import mine, optviz\n"
        "from optviz.pytest_plugin import parametrize_with_checks\n"
        "specs = [optviz.OptimizerSpec(f, learning_rate=0.1) for f in (mine.good, mine.uphill)]\n"
        "known = {'good': {'descent.convex': 'is thought to climb'}}\n"
        "@parametrize_with_checks(specs, expected_failures=known)\n"
        "def test_mine(optimizer, law):\n"
        "    law(optimizer)\n"
    )
    words = ["-m", "pytest", "-q", "-p", "no:xdist", "--strict-markers", "-m", "optviz_law", "-k", "descent or golden"]
    result = subprocess.run([sys.executable, *words, "-rA"], cwd=tmp_path, capture_output=True, text=True)
    assert "2 failed, 2 skipped" in result.stdout, result.stdout + result.stderr
    assert "[XPASS(strict)] is thought to climb" in result.stdout and "Mend: Return what is to be" in result.stdout
