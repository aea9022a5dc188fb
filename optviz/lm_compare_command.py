"""`optviz lm compare`: optimizers on the same language model, with rates found with equal effort."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from optviz import language_model as lm
from optviz.arguments import require_writable
from optviz.folders import scratch_folder
from optviz.lm_options import REFUSALS, Book, Encoding, Models
from optviz.terminal import console, interruptible, needing, one_sentence, visible

if TYPE_CHECKING:
    from optviz.language_model.comparison import Comparison
    from optviz.language_model.comparison_runs import ComparisonProgress

_MODEL = "model"  # the name, within the folder of a comparison, of the model that it makes of a book


def compare(
    name: Annotated[
        str | None, typer.Argument(help="A model, for its book, sizes and settings. Default: one made of --book.")
    ] = None,
    optimizers: Annotated[
        str, typer.Option(help="NAME or NAME:KEY=VALUE,KEY=VALUE, with commas between. A rate that is given stays.")
    ] = "adamw,lion,muon",
    budget: Annotated[
        int, typer.Option(help="Learning rates tried for each optimizer, from 3 on; below 8 too coarse to rank.")
    ] = 10,
    seeds: Annotated[int, typer.Option(help="Runs that judge each optimizer at its best rate.")] = 5,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of a run, warm-up in proportion.")] = None,
    tuning_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of a run that tries a rate. Default: as many.")
    ] = None,
    validations: Annotated[int, typer.Option(help="Validations of a judging run.")] = 10,
    target: Annotated[
        float | None, typer.Option(help="Validation loss to reach. Default: what the first optimizer reaches.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for tables, pictures, report and runs.")] = Path("comparison"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another comparison in --out.")] = False,
    book: Book = None,
    encoding: Encoding = None,
    preset: Annotated[str, typer.Option(help="Sizes and settings of a model made of --book.")] = "shakespeare-cpu",
    models: Models = None,
) -> None:
    """Compare optimizers: same book, initial weights and batches, rates tuned with equal effort, several seeds.

    Finished runs are kept. Ctrl-C pauses; the same command goes on.
    """
    with one_sentence(REFUSALS), needing("lm"), interruptible() as is_asked:
        from optviz.language_model import comparison
        from optviz.language_model.comparison_plan import Plan, split_optimizers

        plan = Plan(split_optimizers(optimizers), budget, seeds, tuning_steps, validations, target)
        require_writable("--out", out)
        comparison.refuse_foreign(out)
        if name is None:
            read = lm.default_book() if book is None else lm.read_book(book, encoding)
            model = _model_of(read, preset, out, overwrite)
        elif book is not None:
            raise ValueError(f"Give a model or a --book, not both: {name} has its book already.")
        else:
            model = lm.open_model(name, models)
        model = model if steps is None else comparison.with_steps(model, steps)
        with _watched() as on_progress:
            found = comparison.compare(model, plan, out, on_progress, is_asked, overwrite=overwrite)
    if found is None:
        console.print(f"Paused; finished runs are kept in {escape(str(out))}. The same command goes on.")
        raise typer.Exit(130)
    print_comparison(found, out)


def _model_of(book: lm.Book, preset: str, out: Path, overwrite: bool) -> lm.Model:
    """The model in the folder of the comparison, made of the book; the one that is there if it is alike."""
    with scratch_folder(out) as scratch:
        made = lm.create_from_book(_MODEL, book, preset, models=scratch)
        if (out / _MODEL).exists():
            held = lm.open_model(_MODEL, out)
            if held.config == made.config:
                return held
            if not overwrite:
                raise ValueError(
                    f"{out} holds a comparison on another book or preset. Give another --out, or --overwrite."
                )
            shutil.rmtree(held.folder)
        made.folder.rename(out / _MODEL)
    return lm.open_model(_MODEL, out)


@contextlib.contextmanager
def _watched() -> Iterator[Callable[[ComparisonProgress], Any]]:
    """A bar of runs where there is a terminal, and a line for each that is finished."""
    if not console.is_terminal:
        yield lambda told: _print_finished(told, console)
        return
    columns = (BarColumn(bar_width=12), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("compiling", total=None)

        def show(told: ComparisonProgress) -> None:
            bar.update(task, total=told.total, completed=told.number - (told.loss is None), description=_told(told))
            _print_finished(told, bar.console)

        yield show


def _print_finished(told: ComparisonProgress, where: Any) -> None:
    if told.loss is None:
        return
    ending = f"validation loss {told.loss:.4f}" if math.isfinite(told.loss) else "diverged"
    kept = "" if told.training else " (kept)"
    line = f"run {told.number} of {told.total}: {_run(told)}: {ending}{kept}"
    where.print(line, markup=False, highlight=False, soft_wrap=True)


def _told(told: ComparisonProgress) -> str:
    if told.training is None or told.loss is not None:
        return _run(told)
    return f"{_run(told)}, step {told.training.step} of {told.training.steps}, loss {told.training.loss:.3f}"


def _run(told: ComparisonProgress) -> str:
    rate = "" if told.rate is None else f" rate {told.rate:.3g}"
    return f"{told.label} {told.stage}{rate} seed {told.seed}"


def _table(rows: Sequence[Mapping[str, str]], heads: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in heads:
        is_name = heading == "optimizer"
        table.add_column(heading, justify="left" if is_name else "right", overflow="fold", no_wrap=not is_name)
    for row in rows:
        table.add_row(*(escape(visible(row[heading])) for heading in heads))
    return table


def print_comparison(found: Comparison, out: Path) -> None:
    """Print the table, the answer, and where all is."""
    from optviz.language_model.comparison_report import answer, comparison_table, target_sentence, told_row

    rows = [told_row(row) for row in comparison_table(found)]
    heads = list(rows[0])
    for part in (heads[:4], heads[:1] + heads[4:]):  # two tables, since one has no room in 80 columns
        console.print(_table(rows, part))
    for sentence in (*answer(found), target_sentence(found.target)):
        console.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Written to [bold]{escape(str(out))}[/bold]", soft_wrap=True)
