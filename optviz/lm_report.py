"""What `optviz lm` tells on a terminal: models, figures, a run as it goes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from optviz import language_model as lm
from optviz.lm_options import quoted
from optviz.terminal import console, visible

if TYPE_CHECKING:
    from optviz.language_model.training import Progress as Told

Known = list[tuple["lm.Model", dict[str, Any]]]
"""Models with their `figures`."""


def told_models(models: Path | None) -> tuple[Known, dict[str, str]]:
    """The sound models with their figures, and of the damaged ones what is wrong by name."""
    known: Known = []
    damaged: dict[str, str] = {}
    for name in lm.model_names(models):
        try:
            model = lm.open_model(name, models)
            known.append((model, lm.figures(model)))
        except ValueError as error:
            damaged[name] = str(error)
    return known, damaged


def model_table(known: Known) -> Table:
    """The models, a line each."""
    title = "1 model" if len(known) == 1 else f"{len(known)} models"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", show_edge=False, padding=(0, 1, 0, 0))
    for heading in ("name", "book,\ntokenizer", "optimizer"):
        table.add_column(heading, overflow="fold")
    for heading in ("weights", "steps", "loss", "bits/\nbyte"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model, figures in known:
        about = model.config["about"]
        told = "\n".join(visible(str(about.get(name, "-"))) for name in ("title", "tokenizer"))
        steps = f"{figures['steps']}/{model.settings.steps}"
        numbers = (_number(figures[name]) for name in ("validation_loss", "bits_per_byte"))
        words = map(escape, (model.name, told, model.settings.optimizer))
        table.add_row(*words, f"{lm.num_weights(model):,}", steps, *numbers)
    return table


def print_made(model: lm.Model, book: lm.Book) -> None:
    """Tell what was made of which book."""
    print_book(book)
    tokens = {split: model.config["data"][split]["tokens"] for split in ("train", "validation")}
    console.print(f"{tokens['train']:,} tokens to learn from, {tokens['validation']:,} held out.", highlight=False)
    console.print(f"{lm.num_weights(model):,} weights in {escape(str(model.folder))}", soft_wrap=True)
    console.print(f"Train it: optviz lm train {escape(quoted(model.name))}", soft_wrap=True)


def print_book(book: lm.Book) -> None:
    """Tell how a book was read."""
    read = f"{escape(visible(book.title))}: {len(book.text):,} characters, read as {book.encoding}."
    console.print(read, soft_wrap=True)
    if book.broken:
        console.print(f"{book.broken} characters of the file are damaged; U+FFFD stands for them.", style="yellow")


def print_evaluation(result: lm.Evaluation) -> None:
    """Tell the figures of a model on a text, with their intervals."""
    rows = {
        "loss": (result.loss, result.loss_interval, " nats per token"),
        "bits per byte": (result.bits_per_byte, result.bits_per_byte_interval, ""),
        "perplexity": (result.perplexity, result.perplexity_interval, ""),
    }
    for name, (value, (low, high), unit) in rows.items():
        interval = f" [{low:.4f}, {high:.4f}]" if math.isfinite(high) else ""
        console.print(f"{name:13} {value:.4f}{interval}{unit}", markup=False, highlight=False)
    console.print(f"{result.num_predicted:,} tokens, {result.num_bytes:,} bytes", highlight=False)


@contextlib.contextmanager
def watched(model: lm.Model) -> Iterator[Callable[[Told], None]]:
    """A bar with the figures below it where there is a terminal, else a line for each validation."""
    if not console.is_terminal:
        yield _print_event
        return
    with _Bar(model.settings.steps, lm.figures(model)["steps"]) as bar:
        yield bar.show


def _print_event(told: Told) -> None:
    if told.event == "validated":
        console.print(f"step {told.step}: {_figures(told)}{_time_left(told)}", highlight=False, soft_wrap=True)


class _Bar(Progress):
    """Steps, time left, and a line of figures below."""

    def __init__(self, steps: int, taken: int = 0):
        self.figures = "compiling"
        columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("steps{task.description}"))
        super().__init__(*columns, console=console, refresh_per_second=4)
        self.task = self.add_task("", total=steps, completed=taken)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self.figures)

    def show(self, told: Told) -> None:
        """What is known now; validations stay on the screen."""
        self.figures = _figures(told)
        self.update(self.task, completed=told.step, description=_time_left(told))
        if told.event == "validated":
            validated = f"validation loss {told.validation_loss:.4f}, {told.bits_per_byte:.4f} bits per byte"
            self.print(f"step {told.step}: {validated}", highlight=False)


def _figures(told: Told) -> str:
    parts = [f"loss {told.loss:.3f}", f"validation {told.validation_loss:.3f}", f"{told.bits_per_byte:.3f} bits/byte"]
    speed = [f"{told.tokens_per_second:,.0f} tokens/s"] if told.tokens_per_second > 0 else []
    return ", ".join([*parts, *speed])


def _time_left(told: Told) -> str:
    if not told.seconds_left > 0:  # NaN before the first step of a sitting
        return ""
    minutes, seconds = divmod(round(told.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return f", {hours}:{minutes:02}:{seconds:02} left"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
