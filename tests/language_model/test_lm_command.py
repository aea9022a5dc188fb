"""`optviz lm` from the user's side: a model's life, what each command says, and what it refuses."""

import contextlib
import io
import itertools
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

from optviz import language_model as lm
from optviz import lm_report, lm_self_play_command
from optviz.cli import app
from optviz.language_model import jobs
from optviz.terminal import visible

SMALL = shlex.split(
    "--preset shakespeare-cpu --width 8 --layers 1 --heads 2 --context 8 --batch-size 2 --warmup-steps 1"
)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`command("list")`, with models in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTVIZ_MODELS", str(tmp_path / "models"))
    (tmp_path / "cats.txt").write_text("the cat sat on the mat. the dog sat on the cat.\n" * 40)
    return lambda *words, **options: CliRunner().invoke(app, ["lm", *map(str, words)], **options)


@pytest.fixture
def trained(command):
    for words in (["create", "cats", "--book", "cats.txt", "--steps", 3, *SMALL], ["train", "cats"]):
        result = command(*words)
        assert result.exit_code == 0, result.output
    return command


def test_the_life_of_a_model(command, tmp_path):
    made = command("create", "cats", "--book", "cats.txt", "--steps", 4, "--validate-every", 2, *SMALL)
    assert made.exit_code == 0, made.output
    assert "read as utf-8" in made.output and "optviz lm train cats" in made.output
    result = command("train", "cats", "--tensorboard", "curves")
    assert result.exit_code == 0, result.output
    assert "step 2: loss " in result.output and "Finished: all 4 steps are taken" in result.output
    assert list((tmp_path / "curves").iterdir())
    assert "Finished: all 6 steps are taken" in command("train", "cats", "--steps", 6).output
    refused = command("train", "cats", "--steps", 5)
    assert refused.exit_code == 2 and "cats has taken 6 steps already" in " ".join(refused.output.split())
    text = command("generate", "cats", "the ", "--length", 20, "--seed", 1)
    assert text.exit_code == 0 and text.output.startswith("the ") and len(text.output) == 25
    assert command("generate", "cats", "the ", "--length", 20, "--seed", 1).output == text.output
    assert command("generate", "cats", "the ", "--length", 20, "--seed", 2).output != text.output
    assert command("export", "cats", "cats.zip").exit_code == 0
    assert "Imported as copy" in command("import", "cats.zip", "--name", "copy").output
    assert command("generate", "copy", "the ", "--length", 20, "--seed", 1).output == text.output
    listed = {row["name"]: row for row in json.loads(command("list", "--json").output)}
    assert set(listed) == {"cats", "copy"}
    assert listed["cats"]["steps"] == 6 and listed["cats"]["title"] == "cats"
    assert "cats" in command("list").output
    assert command("delete", "copy", input="n\n").exit_code == 1
    assert command("delete", "copy", input="y\n").exit_code == 0
    assert command("delete", "cats", "--yes").exit_code == 0
    assert "There are no models" in command("list").output


def test_create_takes_every_option(command, tmp_path):
    words = "--tokenizer bpe --vocabulary 300 --positions rotary --dropout 0.1 --compute bfloat16 --feed-forward 12"
    words += " --optimizer lion:learning_rate=0.001,weight_decay=0.5 --steps 5 --accumulation 2 --schedule linear"
    words += " --final-rate 0.5 --clip-norm 0 --decay-vectors --seed 3 --validate-every 2 --save-every 3 --log-every 2"
    words += " --sharpness --patience 4 --obey-should-stop --validation-share 0.2"
    result = command("create", "cats", "--book", "cats.txt", *SMALL, *words.split())
    assert result.exit_code == 0, result.output
    model = lm.open_model("cats", tmp_path / "models")
    sizes = {"positions": "rotary", "dropout": 0.1, "compute": "bfloat16", "feed_forward": 12, "context": 8}
    assert sizes.items() <= model.config["model"].items()
    training = {"optimizer": "lion", "steps": 5, "batch_size": 2, "accumulation": 2, "schedule": "linear"}
    training |= {"hyperparameters": {"learning_rate": 0.001, "weight_decay": 0.5}, "warmup_steps": 1, "clip_norm": 0.0}
    training |= {"final_rate": 0.5, "decay_vectors": True, "seed": 3, "validate_every": 2, "save_every": 3}
    training |= {"log_every": 2, "sharpness": True, "patience": 4, "obey_should_stop": True}
    assert model.config["training"] == training
    assert model.config["about"]["validation_share"] == 0.2


def test_the_default_book_needs_no_file(command):
    result = command("create", "help", "--steps", 1, *SMALL)
    assert result.exit_code == 0 and "Python's help topics" in result.output


def test_an_encoding_is_told_and_can_be_named(command, tmp_path):
    (tmp_path / "ru.txt").write_bytes(("Все счастливые семьи похожи друг на друга.\n" * 40).encode("cp1251"))
    assert "read as cp1251" in command("create", "ru", "--book", "ru.txt", *SMALL).output
    named = command("create", "ru2", "--book", "ru.txt", "--encoding", "koi8-r", *SMALL)
    assert "read as koi8-r" in named.output


def test_a_model_is_deleted_with_what_waits_for_it_and_not_while_something_is_done_to_it(trained, tmp_path):
    models = tmp_path / "models"
    job = jobs.submit("train", "cats", {}, models)
    jobs.take(0, models)
    refused = trained("delete", "cats", "--yes")
    assert refused.exit_code == 2 and "Something is being done to cats" in refused.stderr
    jobs.settle(job.id, "queued", models=models)
    assert trained("delete", "cats", "--yes").exit_code == 0
    assert jobs.read_job(job.id, models).status == "stopped"


def test_evaluate_tells_figures_with_intervals(trained, tmp_path):
    result = trained("evaluate", "cats")
    assert result.exit_code == 0, result.output
    for figure in ("loss", "bits per byte", "perplexity"):
        assert figure in result.output
    assert result.output.count("[") == 3
    told = json.loads(trained("evaluate", "cats", "--json").output)
    assert f"{told['loss']:.4f}" in result.output
    assert "this very book, all but its last 10 %" in trained("evaluate", "cats", "--book", "cats.txt").output
    (tmp_path / "other.txt").write_text("the mat sat on the dog.\n")
    other = trained("evaluate", "cats", "--book", "other.txt", "--encoding", "cp1251")
    assert other.exit_code == 0 and "very book" not in other.output
    assert "other: 24 characters, read as cp1251." in other.output


def test_self_play_saves_what_the_model_becomes(trained, tmp_path):
    words = "self-play diversity cats --rounds 2 --texts 2 --prompt-tokens 2 --new-tokens 4 --validate-every 1"
    result = trained(*words.split())
    assert result.exit_code == 0, result.output
    assert "round 1: reward" in result.output and "validation loss" in result.output
    folder = tmp_path / "models" / "cats"
    assert (folder / "self_play.csv").read_text().count("\n") == 3
    assert lm.open_model("cats", tmp_path / "models").checkpoint("self-play").facts["step"] == 2
    assert trained("generate", "cats", "the", "--which", "self-play").exit_code == 0
    longer = trained(*words.split(), "--rounds", 4)
    assert "round 0" not in longer.output and "round 3: reward" in longer.output
    assert (folder / "self_play.csv").read_text().count("\n") == 5
    again = trained(*words.split(), "--which", "self-play")
    assert again.exit_code == 0 and (folder / "self_play.csv").read_text().count("\n") == 3
    longer = trained(*words.split(), "--which", "self-play", "--rounds", 3)
    assert "round 0" not in longer.output and "round 2: reward" in longer.output


def test_self_play_fits_a_short_context_by_itself_and_tells_a_round_a_second(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(lm_self_play_command, "_SECONDS", math.inf)
    result = trained("self-play", "diversity", "cats", "--rounds", 4, "--texts", 2)
    assert result.exit_code == 0, result.output
    rows = (tmp_path / "models" / "cats" / "self_play.csv").read_text().splitlines()
    assert len(rows) == 5  # a head, and every round
    assert [line.split(":")[0] for line in result.output.splitlines() if "reward" in line] == ["round 0", "round 3"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("self-play diversity cats --texts 0", "optviz: texts must be at least 2, got 0.\n"),
        ("self-play diversity cats --new-tokens 0", "optviz: new_tokens must be at least 1, got 0.\n"),
        ("self-play diversity cats --new-tokens 9", "more than the model's context of 8. Lower one of them.\n"),
        ("self-play diversity cats --optimizer adam:learning_rate=-1", "a finite number, at least 0, got -1.0.\n"),
        ("self-play verified --optimizer adam:learning_rate=-1", "a finite number, at least 0, got -1.0.\n"),
        ("export cats nowhere/cats.zip", "There is no folder nowhere. Make it, or give another.\n"),
        ("evaluate copy", "imported without its text. Give one: --book FILE.\n"),
        ("train copy", "it cannot be trained, compared or left to play.\n"),
        ("compare copy", "it cannot be trained, compared or left to play.\n"),
    ],
)
def test_what_a_trained_or_an_imported_model_cannot_do_is_said(trained, words, sentence):
    trained("export", "cats", "cats.zip")
    trained("import", "cats.zip", "--name", "copy")
    result = trained(*words.split())
    assert result.exit_code == 2 and result.stderr.endswith(sentence) and result.stderr.count("\n") == 1
    assert trained("evaluate", "copy", "--book", "cats.txt").exit_code == 0


def test_a_file_is_replaced_by_an_export_only_if_asked(trained, tmp_path):
    kept = tmp_path / "mine.zip"
    kept.write_text("mine")
    refused = trained("export", "cats", "mine.zip")
    assert refused.exit_code == 2 and "--overwrite" in refused.stderr and kept.read_text() == "mine"
    assert trained("export", "cats", "mine.zip", "--overwrite").exit_code == 0 and kept.read_bytes()[:2] == b"PK"


def test_the_commands_that_are_told_can_be_pasted(command):
    made = command("create", "my own model", "--book", "cats.txt", "--steps", 2, *SMALL)
    told = made.output.split("Train it: optviz lm ")[1]
    trained = command(*shlex.split(told))
    assert trained.exit_code == 0
    assert command(*shlex.split(trained.output.split("write: optviz lm ")[1])).exit_code == 0


def test_the_list_breaks_no_usual_word_in_80_columns_and_tells_the_optimizer(command, tmp_path):
    words = ["--book", "cats.txt", "--optimizer", "muon:learning_rate=0.02", *SMALL]
    assert command("create", "shakespeare-deep", *words).exit_code == 0
    known, _ = lm_report.told_models(tmp_path / "models")
    screen = Console(file=io.StringIO(), width=80)
    screen.print(lm_report.model_table(known * 2))
    shown = screen.file.getvalue()
    for word in ("shakespeare-deep", "tokenizer", "characters", "optimizer", "muon", "0/2000", "2 models"):
        assert word in shown, shown


VERIFIED = shlex.split(
    "self-play verified --rounds 3 --warm-up-steps 40 --width 4 --layers 1 --tasks 2 --exam-every 2 --leash 0.5 "
    "--optimizer adam:learning_rate=1e-3 --seed 1"
)


def left_after(number):
    """For `interruptible`: someone asks to end when so many events are told."""

    @contextlib.contextmanager
    def asked():
        times = iter(range(1, 10**6))
        yield lambda: next(times) == number

    return asked


def test_verified_self_play_tells_warm_up_rounds_exams_and_gains_and_goes_on_where_it_was_left(command, monkeypatch):
    whole = command(*VERIFIED, "--out", "whole")
    assert whole.exit_code == 0, whole.output
    *told, kept = whole.output.splitlines()
    assert kept == "Kept in whole"
    heads = ["warm-up step 20: loss", "warm-up step 40: loss", "exam after the warm-up: deduction"]
    heads += [
        "A round tells",
        "round 0: new",
        "  P",
        "round 1: new",
        "  P",
        "exam after round 1: deduction",
        "round 2: new",
        "  P",
    ]
    heads += ["exam after self-play: deduction", "  deduction: ", "  abduction: ", "  induction: "]
    assert [line[: len(head)] for line, head in zip(told, heads, strict=True)] == heads
    assert all(line.count("[") == 3 for line in told if line.startswith("exam"))
    shorter = command(*VERIFIED, "--out", "whole", "--rounds", 2)
    assert shorter.exit_code == 2 and "of which 3 rounds are played, got rounds 2" in shorter.stderr
    longer = command(*VERIFIED, "--out", "whole", "--rounds", 4).output.splitlines()
    assert [line.split(":")[0] for line in longer if "round" in line][1:] == ["round 3", "exam after round 3"]
    pieces = []
    for number in (1, 2, 3):  # in the warm-up, after the first exam, after the second round
        with monkeypatch.context() as patch:
            patch.setattr("optviz.lm_self_play_command.interruptible", left_after(number))
            left = command(*VERIFIED)
        assert left.exit_code == 130, left.output
        *lines, sentence = left.output.splitlines()
        assert sentence == "Paused; the game is kept in verified_self_play. The same command goes on."
        pieces.append(lines)
    end = command(*VERIFIED)
    assert end.exit_code == 0
    pieces.append(end.output.splitlines()[:-1])
    assert [lines[0].split(":")[0] for lines in pieces] == [
        "warm-up step 20",
        "warm-up step 40",
        "exam after the warm-up",  # told again, since no round was played
        lm_self_play_command._LEGEND,
    ]
    assert list(dict.fromkeys(itertools.chain(*pieces))) == list(dict.fromkeys(told))


def test_a_verified_game_with_other_options_or_in_a_folder_of_other_things_is_refused_and_nothing_is_lost(
    command, monkeypatch, tmp_path
):
    monkeypatch.setattr("optviz.lm_self_play_command.interruptible", left_after(1))
    assert command(*VERIFIED).exit_code == 130
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refused = {"--seed 2": "holds a game with seed 1, not 2", "--exam-every 1": "exam_every 2, not 1"}
    for words, sentence in refused.items():
        result = command(*VERIFIED, *words.split())
        assert result.exit_code == 2 and result.stderr.count("\n") == 1 and sentence in result.stderr
    foreign = command(*VERIFIED, "--out", ".")
    assert foreign.exit_code == 2 and "holds no game but" in foreign.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_that_diverged_says_so_at_its_end(command):
    wild = ["--optimizer", "sgd:learning_rate=1e30", "--clip-norm", 0]
    command("create", "cats", "--book", "cats.txt", "--steps", 3, *SMALL, *wild)
    assert "It diverged: the validation loss was " in command("train", "cats").output


@pytest.mark.parametrize("name", ["self-play controls", "self-play diversity", "train"])
def test_every_command_says_what_it_does(command, name):
    assert command(*name.split(), "--help").exit_code == 0


def test_a_damaged_model_hides_no_other_and_can_be_deleted(command, tmp_path):
    for name in ("cats", "dogs"):
        command("create", name, "--book", "cats.txt", *SMALL)
    (tmp_path / "models" / "cats" / "config.json").write_text("{")
    listed = command("list")
    assert listed.exit_code == 0 and "dogs" in listed.output
    assert "cats cannot be used: " in listed.output and "config.json is damaged" in listed.output
    assert {row["name"]: "damaged" in row for row in json.loads(command("list", "--json").output)} == {
        "cats": True,
        "dogs": False,
    }
    assert command("train", "cats").exit_code == 2
    assert command("delete", "cats", "--yes").exit_code == 0
    assert not (tmp_path / "models" / "cats").exists()


TOLD = lm.Progress(1250, 2000, 1.9234, 1.9812, 2.8581, 131_204.4, 3723.4)


def test_a_terminal_of_80_columns_shows_every_figure(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(lm_report, "console", screen)
    bar = lm_report._Bar(2000)
    bar.show(TOLD)
    lines = ["".join(part.text for part in line) for line in screen.render_lines(bar.get_renderable())]
    assert len(lines) == 2
    shown = "\n".join(lines)
    for figure in ("1250/2000 steps, 1:02:03 left", "loss 1.923", "validation 1.981", "2.858 bits/byte", "131,204 tok"):
        assert figure in shown, shown


def test_the_bar_of_a_run_that_goes_on_begins_where_it_was_left(trained, tmp_path, monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(lm_report, "console", screen)
    with lm_report.watched(lm.open_model("cats", tmp_path / "models")):
        pass
    assert "3/3" in screen.file.getvalue() and "0/3" not in screen.file.getvalue()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train nobody", "There are no models"),
        ("create ../evil --book cats.txt", "A model's name has"),
        ("create a --book none.txt", "No such file"),
        ("create a --book .", "is a folder"),
        ("create a --book cats.txt --optimizer adamw", "needs a learning_rate"),
        ("create a --book cats.txt --optimizer adam:foo=1", "Unknown hyperparameter 'foo'"),
        ("create a --book cats.txt --optimizer adam:learning_rate=-1", "learning_rate must be a finite number"),
        ("create a --book cats.txt --optimizer adamx:learning_rate=1", "adamx"),
        ("create a --book cats.txt --context 4000", "Take a longer text or a smaller context"),
        ("create a --book cats.txt --tokenizer words", "Unknown tokenizer"),
        ("create a --book cats.txt --preset big", "Unknown preset"),
        ("import cats.txt", "cats.txt cannot be imported: it is no sound .zip"),
        ("self-play verified --rounds 0", "rounds must be a whole number, at least 1"),
        ("self-play verified --width 6", "width that its heads divide"),
        ("self-play verified --out cats.txt", "--out: cannot write to cats.txt"),
        ("generate a b --temperature 3", "temperature must be a number from 0 to 2"),
    ],
)
def test_a_refusal_is_one_sentence(command, words, sentence):
    result = command(*words.split())
    assert result.exit_code == 2
    assert sentence in result.stderr and result.stderr.startswith("optviz: ") and result.stderr.count("\n") == 1


def test_a_model_without_weights_or_with_an_unknown_checkpoint_is_refused(command):
    command("create", "cats", "--book", "cats.txt", *SMALL)
    for words in (["generate", "cats"], ["generate", "cats", "--which", "../cats/best"], ["evaluate", "cats"]):
        result = command(*words)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.stderr


def test_a_model_cannot_command_the_terminal():
    assert visible("a\x1b[31m\x07\n\tb\x9b\x7f") == "a␛[31m␇\n\tb\ufffd␡"


def test_ctrl_c_pauses_and_the_same_command_goes_on(command, tmp_path):
    steps = ["--steps", 100_000, "--validate-every", 50_000, "--save-every", 50_000]
    command("create", "cats", "--book", "cats.txt", *SMALL, *steps)
    process = subprocess.Popen(
        [sys.executable, "-c", "from optviz.cli import main; main()", "lm", "train", "cats"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    curves = tmp_path / "models" / "cats" / "curves.csv"
    deadline = time.monotonic() + 60
    while not curves.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Paused after" in output and "optviz lm train cats goes on" in output
    step = lm.open_model("cats", tmp_path / "models").checkpoint("last", ()).facts["step"]
    assert f"Paused after {step} of 100000 steps" in output and step > 0
