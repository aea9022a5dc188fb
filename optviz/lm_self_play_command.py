"""`optviz lm self-play`: a model that learns from what it writes itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import jax
import typer
from rich.markup import escape

import experiments.report
from optviz import language_model as lm
from optviz.arguments import parse_optimizer
from optviz.terminal import console, interruptible, needing, one_sentence, visible

REFUSALS = (ValueError, TypeError, OSError, OverflowError, jax.errors.JaxRuntimeError)

app = typer.Typer(help="Let a model learn from what it writes itself.", no_args_is_help=True)


@app.command()
def diversity(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    rounds: Annotated[int | None, typer.Option(min=1, help="How many rounds. Default: until Ctrl-C.")] = None,
    optimizer: Annotated[str, typer.Option(help="NAME:KEY=VALUE,KEY=VALUE.")] = "adam:learning_rate=1e-4",
    texts: Annotated[int | None, typer.Option(help="Texts of a round.")] = None,
    prompt_tokens: Annotated[int | None, typer.Option(help="Tokens of the book that each text goes on from.")] = None,
    new_tokens: Annotated[int | None, typer.Option(help="Tokens that each text is made of.")] = None,
    temperature: Annotated[float | None, typer.Option(help="The higher, the bolder it writes.")] = None,
    leash: Annotated[float | None, typer.Option(help="Weight of the divergence from the model as it was.")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Rounds between validations on the book.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of prompts and texts.")] = None,
    which: Annotated[str, typer.Option(help="The weights to begin with: best, last or self-play.")] = "best",
    models: Annotated[Path | None, typer.Option(help="The folder of models.", envvar="OPTVIZ_MODELS")] = None,
) -> None:
    """Reward texts for diversity, length and coherence; what that costs is told as the loss on the book.

    The result is saved as the weights `self-play` of the model; `best` and `last` stay as they are.
    """
    given: dict[str, Any] = {
        "texts": texts,
        "prompt_tokens": prompt_tokens,
        "new_tokens": new_tokens,
        "temperature": temperature,
    }
    given |= {"leash": leash, "validate_every": validate_every, "seed": seed}
    with one_sentence(REFUSALS), needing("lm"), interruptible() as is_asked:
        from optviz.language_model.diversity import Settings

        model, settings = lm.open_model(name, models), Settings(**{k: v for k, v in given.items() if v is not None})
        rule = parse_optimizer(optimizer)
        for played in _until(is_asked, lm.play_model(model, rule, settings, which=which, num_rounds=rounds)):
            parts = ", ".join(f"{part} {value:.3f}" for part, value in played.parts.items())
            cost = "" if played.validation_loss is None else f", validation loss {played.validation_loss:.4f}"
            line = f"round {played.number}: reward {played.reward:.4f} ({parts}), divergence {played.divergence:.4f}"
            console.print(line + cost, highlight=False, soft_wrap=True)
            if cost:
                console.print(f"  {visible(played.texts[0])!r}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"Saved: optviz lm generate {escape(name)} --which self-play")


@app.command()
def verified(
    rounds: Annotated[int | None, typer.Option(min=1, help="How many rounds. Default: until Ctrl-C.")] = None,
    optimizer: Annotated[str, typer.Option(help="NAME:KEY=VALUE,KEY=VALUE of self-play.")] = "adam:learning_rate=3e-4",
    warm_up_steps: Annotated[int, typer.Option(min=1, help="Steps of supervised learning before.")] = 3000,
    width: Annotated[int, typer.Option(min=4, help="Width of the model, a multiple of 4.")] = 128,
    layers: Annotated[int, typer.Option(min=1, help="Layers of the model.")] = 4,
    tasks: Annotated[int, typer.Option(min=2, help="Tasks of each kind in the exam.")] = 100,
    leash: Annotated[float, typer.Option(min=0, help="Weight of the divergence from the warm-up.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of warm-up and play.")] = 0,
) -> None:
    """One model proposes tasks about small programs and solves them; an interpreter says what is true.

    It begins with a supervised warm-up, and sits the same exam after it and at the end: tasks with one operation more.
    """
    with one_sentence(REFUSALS), interruptible() as is_asked:
        from optviz.language_model.reasoning import exam as exams
        from optviz.language_model.reasoning import play
        from optviz.language_model.reasoning.tasks import ALPHABET, TEXT_LENGTH
        from surfaces.transformer import Transformer

        settings = play.Settings(Transformer(len(ALPHABET), width, layers, 4, 4 * width, TEXT_LENGTH), leash=leash)
        exam = exams.make_exam(tasks, settings.num_operations + 1, seed + 1_000_003)
        params: Any = None
        rule = play.warm_up_optimizer(settings.model, warm_up_steps)
        for learner, loss in _until(is_asked, play.warm_up(settings, rule, warm_up_steps, seed)):
            params = learner.params
            console.print(f"warm-up step {int(learner.steps)}: loss {loss:.4f}", highlight=False)
        before = exams.sit_exam(settings.model, params, exam)
        _print_marks("after the warm-up", before)
        buffers = play.random_buffers(settings, seed, exam.questions)
        game = play.self_play(settings, parse_optimizer(optimizer), params, buffers, seed=seed)
        for played in _until(is_asked, game, rounds):
            params = played.learner.params
            told = ", ".join(f"{figure} {value:.3f}" for figure, value in played.figures.items())
            console.print(f"round {played.number}: {told}", highlight=False, soft_wrap=True)
            shown = played.proposals[played.number % len(played.proposals)]
            console.print(f"  {shown.request}{shown.text}", markup=False, highlight=False, soft_wrap=True)
        after = exams.sit_exam(settings.model, params, exam)
        _print_marks("after self-play", after)
        for kind in after:
            gain, (low, high) = exams.difference(after[kind], before[kind])
            line = f"  {kind}: {100 * gain:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
            console.print(line, markup=False, highlight=False)


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
def controls(words: Annotated[list[str] | None, typer.Argument(help="Options; --help shows them.")] = None) -> None:
    """Verified self-play against what else the same time could do: supervised, random and frozen proposers."""
    from optviz.language_model.reasoning import arms

    experiments.report.script(arms.main, words or [], "optviz lm self-play controls")


def _until(is_asked: Any, steps: Iterator[Any], number: int | None = None) -> Iterator[Any]:
    """The steps, until someone asks to end or there are `number` of them."""
    try:
        for count, step in enumerate(steps, 1):
            yield step
            if is_asked() or count == number:
                return
    finally:
        steps.close()  # pyright: ignore[reportAttributeAccessIssue]


def _print_marks(when: str, marks: Any) -> None:
    from optviz.language_model.reasoning.exam import share

    told = ", ".join(f"{kind} {share(own)}" for kind, own in marks.items())
    console.print(f"exam {when}: {told}", markup=False, highlight=False, soft_wrap=True)
