"""`optviz lm compare` from the user's side: what it prints, writes and refuses, and how it goes on."""

import contextlib
import io
import itertools
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from optviz import lm_compare_command
from optviz.cli import app
from optviz.language_model.comparison_report import told_row

SMALL = ("--preset", "shakespeare-cpu", "--width", 8, "--layers", 1, "--heads", 2, "--context", 8, "--batch-size", 2)
ASKED = ("--optimizers", "adamw:b2=0.99,lion", "--budget", 3, "--seeds", 2, "--steps", 4, "--validations", 2)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a book and a model."""
    home = tmp_path_factory.mktemp("home")
    (home / "cats.txt").write_text("the cat sat on the mat. the dog sat on the cat.\n" * 40)
    made = run(home, "create", "cats", "--book", home / "cats.txt", *SMALL)
    assert made.exit_code == 0, made.output
    return home


def run(home, *words):
    return CliRunner().invoke(app, ["lm", *map(str, words)], env={"OPTVIZ_MODELS": str(home / "models")})


@pytest.fixture(scope="module")
def compared(home):
    result = run(home, "compare", "cats", *ASKED, "--out", home / "out")
    assert result.exit_code == 0, result.output
    return result


def test_it_prints_the_table_the_answer_and_where_all_is(compared, home):
    for part in (
        "validation loss",
        "bits per byte",
        "steps to target",
        "ends lowest, at",
        "nats per token",
        "run 1 of 10",
    ):
        assert part in compared.output
    assert "adamw tuning rate 1e-06 seed 0: validation loss" in compared.output
    assert f"Written to {home / 'out'}" in compared.output
    settings = json.loads((home / "out" / "results.json").read_text())["model"]["training"]
    assert (settings["steps"], settings["warmup_steps"]) == (4, 0)  # 100 of 2000 steps, in proportion


def test_80_columns_are_enough_for_every_figure():
    figures = dict.fromkeys(("loss", "loss_low", "loss_high", "seconds_per_step"), 1.23456)
    figures |= {f"bits_per_byte{end}": 2.34567 for end in ("", "_low", "_high")}
    row = {"optimizer": "adamw (b2 = 0.99)", "rate": 0.00316, "rate_on_edge": True, **figures}
    row |= {"steps_to_target": 1234.0, "seconds_to_target": 1234.0, "reached_target": 5, "seeds": 5, "diverged": 0}
    told, screen = told_row(row), Console(file=io.StringIO(), width=80)
    heads = list(told)
    for part in (heads[:4], heads[:1] + heads[4:]):
        screen.print(lm_compare_command._table([told], part))
    shown = screen.file.getvalue()
    for word in (*heads, *list(told.values())[1:]):
        assert word in shown, shown


def test_the_same_again_makes_no_run_twice(compared, home):
    again = run(home, "compare", "cats", *ASKED, "--out", home / "out")
    assert again.exit_code == 0
    assert again.output.count("(kept)") == 10
    assert again.output.replace(" (kept)", "") == compared.output


def test_paused_it_says_how_to_go_on_and_goes_on(compared, home, tmp_path, monkeypatch):
    @contextlib.contextmanager
    def soon():
        yield itertools.chain([False] * 6, itertools.repeat(True)).__next__

    monkeypatch.setattr(lm_compare_command, "interruptible", soon)
    paused = run(home, "compare", "cats", *ASKED, "--out", tmp_path / "out")
    assert paused.exit_code == 130 and "The same command goes on" in paused.output
    monkeypatch.undo()
    result = run(home, "compare", "cats", *ASKED, "--out", tmp_path / "out")
    assert result.exit_code == 0 and 0 < result.output.count("(kept)") < 10
    lines = [line for line in compared.output.splitlines() if line.startswith("run ")]
    assert [line for line in result.output.replace(" (kept)", "").splitlines() if line.startswith("run ")] == lines


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nobody",), "Unknown model 'nobody'"),
        (("cats", "--book", "cats.txt"), "Give a model or a --book, not both"),
        (("cats", "--optimizers", "adamm"), "Did you mean 'adam'"),
        (("cats", "--optimizers", "adamw:learning_rate=fast"), "learning_rate must be a number"),
        (("cats", "--budget", "1"), "budget must be a whole number, at least 3"),
        (("--book", "absent.txt"), "No such file"),
        (("--preset", "huge"), "Unknown preset 'huge'"),
    ],
)
def test_what_cannot_be_meant_ends_with_one_sentence_and_nothing_written(words, sentence, home, tmp_path):
    result = run(home, "compare", *words, "--out", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert sentence in result.output and "Traceback" not in result.output
    assert not list((tmp_path / "out").glob("*"))


def test_another_comparison_is_not_overwritten_unasked(compared, home):
    before = (home / "out" / "results.json").read_bytes()
    result = run(home, "compare", "cats", *ASKED, "--out", home / "out", "--seeds", 3)
    assert result.exit_code == 2 and "with other settings (seeds)" in result.output and "--overwrite" in result.output
    assert (home / "out" / "results.json").read_bytes() == before


def test_a_model_made_of_a_book_is_found_again(home, tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr("optviz.language_model.comparison.compare", lambda model, *rest, **more: tried.append(model))
    for words in (("--book", home / "cats.txt"), ("--book", home / "cats.txt")):
        assert run(home, "compare", *words, "--out", tmp_path / "out").exit_code == 130
    assert tried[0].folder == tried[1].folder == tmp_path / "out" / "model"
    (tmp_path / "dogs.txt").write_text("the dog sat on the cat. the cat sat on the mat.\n" * 40)
    result = run(home, "compare", "--book", tmp_path / "dogs.txt", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "on another book or preset" in result.output
