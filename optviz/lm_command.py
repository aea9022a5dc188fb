"""`optviz lm`: small language models from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from optviz import language_model as lm
from optviz import lm_compare_command, lm_report, lm_self_play_command
from optviz.arguments import parse_spec
from optviz.language_model import jobs
from optviz.language_model.curves import told_divergence
from optviz.lm_options import REFUSALS, Book, Encoding, Models, Name, Which, fields_of, quoted
from optviz.manifest import json_number
from optviz.terminal import console, interruptible, needing, one_sentence, visible
from surfaces.transformer import Transformer

app = typer.Typer(
    help="Small language models: trained on a book by any optimizer, and left to play.", no_args_is_help=True
)
app.add_typer(lm_self_play_command.app, name="self-play")


@app.command()
def create(
    name: Name,
    book: Book = None,
    encoding: Encoding = None,
    preset: Annotated[str, typer.Option(help="shakespeare-cpu, shakespeare-gpu or book: what is not said.")] = "book",
    tokenizer: Annotated[str | None, typer.Option(help="bytes, characters or bpe.")] = None,
    vocabulary: Annotated[int | None, typer.Option(help="Tokens of bpe, at most.")] = None,
    layers: Annotated[int | None, typer.Option(help="Blocks of attention and network.")] = None,
    heads: Annotated[int | None, typer.Option(help="Heads of attention, which divide the width.")] = None,
    width: Annotated[int | None, typer.Option(help="Numbers for each token.")] = None,
    feed_forward: Annotated[int | None, typer.Option(help="Width of the networks. Default: 4 times --width.")] = None,
    context: Annotated[int | None, typer.Option(help="Tokens that the model sees.")] = None,
    positions: Annotated[str | None, typer.Option(help="learned or rotary.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of numbers left out in training.")] = None,
    compute: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="NAME:learning_rate=VALUE,KEY=VALUE.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of training, at most.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Stretches of text in a batch.")] = None,
    accumulation: Annotated[int | None, typer.Option(help="Batches in a step.")] = None,
    schedule: Annotated[str | None, typer.Option(help="constant, linear or cosine.")] = None,
    warmup_steps: Annotated[int | None, typer.Option(help="Steps over which the rate rises.")] = None,
    final_rate: Annotated[float | None, typer.Option(help="The last rate, as a share of the highest.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient; 0: any.")] = None,
    decay_vectors: Annotated[bool | None, typer.Option(help="Weight decay on the scales of norms too.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of initial weights and batches.")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Steps between validations.")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    log_every: Annotated[int | None, typer.Option(help="Steps between rows of curves.csv.")] = None,
    sharpness: Annotated[bool | None, typer.Option(help="Measure the sharpness at validations.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="End after so many validations without a new best; 0: never.")
    ] = None,
    obey_should_stop: Annotated[bool | None, typer.Option(help="End when the optimizer says so.")] = None,
    validation_share: Annotated[
        float | None, typer.Option(help="The share of the text held out. Default: 0.1, at most a million characters.")
    ] = None,
    models: Models = None,
) -> None:
    """Make a model for a book: a preset, but for what is said. `optviz lm train NAME` trains it."""
    said = dict(locals())
    with one_sentence(REFUSALS), needing("lm"):
        read = lm.default_book() if book is None else lm.read_book(book, encoding)
        if optimizer is not None:
            said["optimizer"], said["hyperparameters"] = parse_spec(optimizer)
        made = lm.create_from_book(
            name,
            read,
            preset,
            tokenizer=tokenizer,
            vocabulary_size=vocabulary,
            sizes=fields_of(Transformer, said),
            training=fields_of(lm.TrainingSettings, said),
            validation_share=validation_share,
            models=models,
        )
        lm_report.print_made(made, read)


@app.command()
def train(
    name: Name,
    steps: Annotated[
        int | None, typer.Option(help="Steps in all, with the schedule of so many. Default: as it was created.")
    ] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Write curves for TensorBoard into this folder.")] = None,
    models: Models = None,
) -> None:
    """Train a model to its last step, from where it stands. Ctrl-C pauses: the same command goes on."""
    with one_sentence(REFUSALS), needing("lm"), interruptible() as is_asked:
        model = lm.open_model(name, models)
        model = model if steps is None else lm.lengthen(model, steps)
        with lm_report.watched(model) as on_progress:
            last = lm.train(model, on_progress, is_asked, tensorboard)
    if last.event == "paused":
        told = f"Paused after {last.step} of {last.steps} steps; optviz lm train {escape(quoted(name))} goes on."
        console.print(told, soft_wrap=True)
        raise typer.Exit(130)
    told = (
        f"{last.event.capitalize()}: {last.reason}. Its best weights write: optviz lm generate {escape(quoted(name))}"
    )
    console.print(told, soft_wrap=True)
    if diverged := told_divergence(model.folder):
        console.print(diverged, style="yellow", soft_wrap=True)


@app.command()
def generate(
    name: Name,
    prompt: Annotated[str, typer.Argument(help="How the text begins.")] = "",
    length: Annotated[int, typer.Option(help="Tokens to write.")] = 100,
    temperature: Annotated[float, typer.Option(help="0.1 to 2: the higher, the bolder; 0: the likeliest.")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Draw from so many of the likeliest tokens; 0: all.")] = 40,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest with this probability together.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: rather other tokens than had before.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    which: Which = "best",
    models: Models = None,
) -> None:
    """Let a model go on from a prompt; the text comes as it is written."""
    with one_sentence(REFUSALS), needing("lm"):
        sampling = lm.Sampling(length, temperature, top_k, top_p, repetition_penalty, seed)
        model = lm.open_model(name, models)
        pieces = lm.stream(model.transformer, model.weights(which), model.tokenizer, prompt, sampling)
        typer.echo(visible(prompt), nl=False)
        for piece in pieces:
            typer.echo(visible(piece), nl=False)
        typer.echo()


@app.command()
def evaluate(
    name: Name,
    book: Annotated[Path | None, typer.Option(help="A text file. Default: the model's own validation part.")] = None,
    encoding: Encoding = None,
    which: Which = "best",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    models: Models = None,
) -> None:
    """Tell how well a model knows a text, with 95 % intervals."""
    with one_sentence(REFUSALS), needing("lm"):
        model = lm.open_model(name, models)
        read = None if book is None else lm.read_book(book, encoding)
        if read is None and not model.has_text:
            raise ValueError(f"The model {name} was imported without its text. Give one: --book FILE.")
        result = lm.evaluate(model, None if read is None else read.text, which)
    if as_json:
        typer.echo(json.dumps({k: json_number(v) for k, v in result.as_json().items()}, indent=2))
        return
    if read is not None:
        lm_report.print_book(read)
        if read.sha256 == model.config["about"].get("sha256"):
            share = 100 * model.config["about"].get("validation_share", 0)
            console.print(f"The model was trained on this very book, all but its last {share:.3g} %.")
    lm_report.print_evaluation(result)


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False, models: Models = None
) -> None:
    """List the models: what they read, how large they are, how far they have come."""
    with one_sentence(REFUSALS), needing("lm"):
        known, damaged = lm_report.told_models(models)
        if as_json:
            rows = [{"name": model.name, **model.config["about"], **figures} for model, figures in known]
            rows += [{"name": bad, "damaged": reason} for bad, reason in damaged.items()]
            typer.echo(json.dumps(rows, indent=2))
            return
        if known:
            console.print(lm_report.model_table(known))
        elif not damaged:
            where = escape(str(lm.models_folder(models)))
            console.print(f"There are no models in {where}. optviz lm create NAME makes one.", soft_wrap=True)
        for bad, reason in damaged.items():
            console.print(f"[red]{escape(bad)}[/red] cannot be used: {escape(reason)}", soft_wrap=True)


@app.command()
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="FILE.zip to import elsewhere, or FILE.pt: weights for PyTorch.")],
    which: Which = "best",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    models: Models = None,
) -> None:
    """Write a model to one file. The book does not travel with it."""
    with one_sentence(REFUSALS), needing("lm"):
        if not file.parent.is_dir():
            raise ValueError(f"There is no folder {file.parent}. Make it, or give another.")
        if file.exists() and not overwrite:
            raise ValueError(f"There is a file {file} already. Give another name, or --overwrite.")
        written = lm.export_model(lm.open_model(name, models), file, which)
        console.print(f"Written to [bold]{escape(str(written))}[/bold]", soft_wrap=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="FILE.zip from optviz lm export.")],
    name: Annotated[str | None, typer.Option(help="The name it gets here. Default: that in the file.")] = None,
    models: Models = None,
) -> None:
    """Make a model of an exported file."""
    with one_sentence(REFUSALS), needing("lm"):
        made = lm.import_model(file, name, models)
        console.print(f"Imported as [bold]{escape(made.name)}[/bold]", soft_wrap=True)


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    models: Models = None,
) -> None:
    """Delete a model with all that it has learnt."""
    with one_sentence(REFUSALS), needing("lm"):
        folder = lm.folder_of(name, models)
        if not yes:
            typer.confirm(f"Delete {folder} for ever?", abort=True)
        jobs.stop_waiting(name, models)
        lm.delete_model(name, models)
        console.print(f"Deleted {escape(str(folder))}", soft_wrap=True)


app.command("compare")(lm_compare_command.compare)
