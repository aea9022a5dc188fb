"""`optviz lm self-play`: a model that learns from what it writes itself."""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import experiments.report
from optviz import language_model as lm
from optviz.arguments import parse_optimizer, require_writable
from optviz.folders import refuse_foreign
from optviz.language_model.checkpoints import INDEX
from optviz.language_model.diversity import Played, Settings
from optviz.language_model.locks import locked
from optviz.language_model.reasoning.exam import Share
from optviz.language_model.reasoning.game import AFTER, BEFORE, ROUNDS, WARM_UP, Event, Options, play_game
from optviz.language_model.settings import require_rates
from optviz.lm_options import REFUSALS, Models, Name, fields_of, quoted
from optviz.terminal import console, interruptible, needing, one_sentence, visible

_LESS = ", or less if the model's context is too short."
_SECONDS = 1.0  # between two rounds that are told, at least
_LEGEND = (
    "A round tells the share of proposals that are new tasks, the tasks kept so far, the share that are tasks at all "
    "(valid), the operations in their programs, and mean rewards; below it a proposal as the model wrote it."
)

app = typer.Typer(help="Let a model learn from what it writes itself.", no_args_is_help=True)


@app.command()
def diversity(
    name: Name,
    rounds: Annotated[int | None, typer.Option(min=1, help="How many rounds. Default: until Ctrl-C.")] = None,
    optimizer: Annotated[str, typer.Option(help="NAME:KEY=VALUE,KEY=VALUE.")] = "adam:learning_rate=1e-4",
    texts: Annotated[int, typer.Option(help="Texts of a round.")] = Settings.texts,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(help=f"Tokens of the book that each text goes on from. Default: {Settings.prompt_tokens}{_LESS}"),
    ] = None,
    new_tokens: Annotated[
        int | None, typer.Option(help=f"Tokens that each text is made of. Default: {Settings.new_tokens}{_LESS}")
    ] = None,
    temperature: Annotated[float, typer.Option(help="The higher, the bolder it writes.")] = Settings.temperature,
    leash: Annotated[float, typer.Option(help="Weight of the divergence from the model as it was.")] = Settings.leash,
    validate_every: Annotated[
        int, typer.Option(help="Rounds between validations on the book.")
    ] = Settings.validate_every,
    seed: Annotated[int, typer.Option(help="Of prompts and texts.")] = Settings.seed,
    which: Annotated[str, typer.Option(help="The weights to begin with: best, last or self-play.")] = "best",
    models: Models = None,
) -> None:
    """Reward texts for diversity, length and coherence; what that costs is told as the loss on the book.

    The result is saved as the weights `self-play` of the model; `best` and `last` stay as they are. A round is told
    every second, with the divergence from the model as it was in nats per token; self_play.csv has all.

    Ctrl-C pauses; the same command goes on. With other options another game begins, in the place of the first.
    """
    with one_sentence(REFUSALS), needing("lm"), interruptible() as is_asked:
        given, model = fields_of(Settings, locals()), lm.open_model(name, models)
        settings, rule = Settings.fitting(model.transformer.context, **given), parse_optimizer(optimizer)
        require_rates(rule.hyperparameters)
        told = -math.inf
        # The game itself moves the weights `self-play`: their step is no part of its name.
        step = "" if which == "self-play" else f" at {model.checkpoint(which, ()).facts['step']}"
        game = f"{optimizer} from {which}{step}, {settings}"
        for played in _until(is_asked, lm.play_model(model, rule, settings, which=which, num_rounds=rounds, game=game)):
            if time.monotonic() - told >= _SECONDS or played.number + 1 == rounds:
                _print_round(played)
                told = time.monotonic()
        console.print(f"Saved: optviz lm generate {escape(quoted(name))} --which self-play")


def _print_round(played: Played) -> None:
    parts = ", ".join(f"{part} {value:.3f}" for part, value in played.parts.items())
    cost = "" if played.validation_loss is None else f", validation loss {played.validation_loss:.4f}"
    line = f"round {played.number}: reward {played.reward:.4f} ({parts}), divergence {played.divergence:.4f}"
    console.print(line + cost, highlight=False, soft_wrap=True)
    if cost:
        console.print(f"  {visible(played.texts[0])!r}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def verified(
    out: Annotated[Path, typer.Option(help="Folder in which the game is kept.")] = Path("verified_self_play"),
    rounds: Annotated[int, typer.Option(help="Of self-play, each one step of the optimizer.")] = Options.rounds,
    optimizer: Annotated[str, typer.Option(help="NAME:KEY=VALUE,KEY=VALUE of self-play.")] = Options.optimizer,
    warm_up_steps: Annotated[int, typer.Option(help="Steps of supervised learning before.")] = Options.warm_up_steps,
    width: Annotated[int, typer.Option(help="Width of the model, a multiple of 4.")] = Options.width,
    layers: Annotated[int, typer.Option(help="Layers of the model.")] = Options.layers,
    tasks: Annotated[int, typer.Option(help="Tasks of each kind in the exam.")] = Options.tasks,
    exam_every: Annotated[int, typer.Option(help="Rounds between two exams.")] = Options.exam_every,
    proposer: Annotated[
        str, typer.Option(help="Of the tasks: the model itself, a frozen copy or random.")
    ] = Options.proposer,
    leash: Annotated[float, typer.Option(help="Weight of the divergence from the warm-up.")] = Options.leash,
    seed: Annotated[int, typer.Option(help="Of warm-up and play.")] = Options.seed,
) -> None:
    """One model proposes tasks about small programs and solves them; an interpreter says what is true.

    A supervised warm-up comes first; the exam, sat now and then, has tasks with one operation more.

    Ctrl-C pauses; the same command goes on, and with more --rounds a finished game does.
    """
    with one_sentence(REFUSALS), needing("lm"), interruptible() as is_asked:
        options = Options(**fields_of(Options, locals()))
        importlib.import_module("safetensors")  # which saves the game: missing, it is told before any work
        require_writable("--out", out)
        refuse_foreign(out, INDEX, "game")
        out.mkdir(parents=True, exist_ok=True)
        part = WARM_UP
        with locked(out):
            for event in _until(is_asked, play_game(out, options)):
                if part != ROUNDS and event["at"][0] == ROUNDS:
                    console.print(_LEGEND, soft_wrap=True)
                part = event["at"][0]
                _print_event(event)
    if part != AFTER:
        console.print(f"Paused; the game is kept in {escape(str(out))}. The same command goes on.", soft_wrap=True)
        raise typer.Exit(130)
    console.print(f"Kept in [bold]{escape(str(out))}[/bold]", soft_wrap=True)


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
def controls(words: Annotated[list[str] | None, typer.Argument(help="Options; --help shows them.")] = None) -> None:
    """Verified self-play against what else the same time could do: supervised, random and frozen proposers."""
    from optviz.language_model.reasoning import arms

    experiments.report.script(arms.main, words or [], "optviz lm self-play controls")


def _until(is_asked: Callable[[], bool], steps: Any) -> Iterator[Any]:
    """The steps, until someone asks to end; then what makes them is closed, and so saves."""
    with contextlib.closing(steps):
        for step in steps:
            yield step
            if is_asked():
                return


def _print_event(event: Event) -> None:
    """A line for what the event tells: a loss, a round with one of its proposals, an exam, what was gained."""
    part, number = event["at"]
    lines = []
    if part == WARM_UP:
        lines.append(f"warm-up step {number}: loss {_figure(event['loss'], 4)}")
    if part == ROUNDS:
        told = ", ".join(f"{name} {_figure(value, 3)}" for name, value in event["figures"].items())
        shown = event["proposals"][number % len(event["proposals"])]
        lines += [f"round {number}: {told}", f"  {shown['written']}"]
    if "exam" in event:
        when = {BEFORE: "the warm-up", ROUNDS: f"round {number}", AFTER: "self-play"}[part]
        lines.append(f"exam after {when}: " + ", ".join(f"{kind} {Share(*own)}" for kind, own in event["exam"].items()))
    for kind, told in event.get("gain", {}).items():
        gain, low, high = (100 * value for value in told)
        lines.append(f"  {kind}: {gain:+.1f} points [{low:+.1f}, {high:+.1f}]")
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
