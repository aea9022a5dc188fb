"""Writing on a model's page: text that comes as it is written, and how well the model knows a text."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup
from nicegui import background_tasks, ui

from optviz.app import chores
from optviz.app.file_drop import FileDrop
from optviz.app.library import REFUSALS, Library
from optviz.app.lm_form import Field, Form
from optviz.app.lm_parts import Button, book_told, figure, grouped, problem, table
from optviz.app.shell import _, write
from optviz.app.texts import Texts
from optviz.app.work import Busy, Gone
from optviz.language_model import generation
from optviz.language_model.checkpoints import has_checkpoint
from optviz.language_model.evaluation import Evaluation
from optviz.language_model.models import CHECKPOINTS, Model, open_model
from optviz.playground.programs import reproducible
from optviz.terminal import visible

MAX_LENGTH = 5000
"""Tokens that are written for a page at a time."""
MAX_PROMPT = 10_000
SAMPLING = (
    Field("length", _("Length"), _("Tokens to write, 5000 at most."), low=1, high=MAX_LENGTH),
    Field(
        "temperature",
        _("Temperature"),
        _("0.1 to 2: the higher, the bolder; 0: the likeliest token."),
        "number",
        low=0,
        high=2,
    ),
    Field("top_k", _("Top-k"), _("Draws from so many of the likeliest tokens; 0: from all."), low=0),
    Field(
        "top_p",
        _("Top-p"),
        _("Draws from the likeliest that together have this probability."),
        "number",
        low=0.001,
        high=1,
    ),
    Field(
        "repetition_penalty",
        _("Repetition penalty"),
        _("Above 1: rather tokens not had before."),
        "number",
        low=1,
        high=10,
    ),
    Field("seed", _("Seed"), _("The same seed writes the same text."), low=0),
)


class WriteTab:
    """What one visitor lets a model write."""

    def __init__(self, texts: Texts, model: Model, shelf: Library) -> None:
        self.texts, self.model, self.shelf = texts, model, shelf
        self.stop, self.is_writing = threading.Event(), False

    def build(self) -> None:
        texts, defaults = self.texts, generation.Sampling()
        self.prompt = ui.textarea(texts("Beginning of the text")).classes("w-full")
        self.prompt.props(f"outlined dense autogrow maxlength={MAX_PROMPT}")
        self.form = Form(texts, SAMPLING, {field.name: getattr(defaults, field.name) for field in SAMPLING})
        with ui.element("div").classes("controls"):
            self.which = which_box(texts)
            self.go = Button(texts("Write"), self.begin, strong=True)
            self.end = Button(texts("Stop"), lambda: self.stop.set())
            self.end.set_visibility(False)
            self.state = ui.label().classes("job-state").props('role="status"')
        self.problem = problem()
        self.text = write(Markup())
        self.build_evaluation()
        ui.context.client.on_delete(lambda: self.stop.set())

    def build_evaluation(self) -> None:
        """A text to be judged, or the model's own validation part."""
        texts = self.texts
        write(
            Markup("<h2>{}</h2><p class=lead>{}</p>").format(
                texts("How well does it know a text?"),
                texts("The loss on the whole text, with 95 % intervals. Bits per byte compare between tokenizers."),
            )
        )
        self.place = FileDrop(texts, self.shelf.uploads, "/api/lm/book", ".txt,text/plain", self.evaluate)
        with ui.element("div").classes("controls"):
            self.encoding = ui.input(texts("Encoding, if it was found wrong"))
            self.encoding.props("outlined dense stack-label").style("flex: 0 1 280px")
            self.judge = Button(texts("Judge its own validation part"), self.evaluate)
            self.judged = ui.label().classes("job-state").props('role="status"')
        self.verdict = write(Markup())

    async def look(self) -> None:
        """Offer the weights that there are."""
        there = [which for which in CHECKPOINTS if has_checkpoint(self.model.folder / which)]
        if list(self.which.options) != there:
            chosen = self.which.value if self.which.value in there else next(iter(there), None)
            self.which.set_options(there, value=chosen)
        if not there:
            self.state.text = self.texts("There are no weights yet: train it first.")
        elif not self.is_writing:
            self.state.text = ""

    async def begin(self) -> None:
        """Write, in place of what is being written."""
        self.stop.set()
        self.problem.text = ""
        try:
            sampling = generation.Sampling(**self.form.given())
        except (ValueError, TypeError) as error:
            self.problem.text = str(error)
            return
        self.stop = threading.Event()
        work = self.run(self.prompt.value or "", sampling, str(self.which.value), self.stop)
        background_tasks.create(work, name="generation")

    async def run(self, prompt: str, sampling: generation.Sampling, which: str, stop: threading.Event) -> None:
        """Show each piece as it comes. The thread only leaves pieces; the loop shows them."""
        pieces: list[str] = []
        self.writes(True)
        shown = -1

        async def look() -> bool:
            nonlocal shown
            if len(pieces) != shown and not stop.is_set():
                shown = len(pieces)
                self.show(prompt, "".join(pieces[:shown]))
                self.state.text = self.texts("Writes.") if shown else self.texts("Begins.")
            return stop.is_set()

        def job(cancelled: Any) -> None:
            # On the processor: accelerators belong to the workers.
            with reproducible():
                for piece in written(self.model.name, self.shelf, prompt, sampling, which):
                    pieces.append(piece)
                    if cancelled():
                        return

        try:
            await self.shelf.workers.job(job, look)
            await look()
        except Gone:
            pass
        except Busy:
            self.problem.text = self.texts("The server has too much to do just now; try again in a moment.")
        except REFUSALS as error:
            self.problem.text = str(error)
        if stop is self.stop:
            self.writes(False)

    def writes(self, is_writing: bool) -> None:
        """Offer to stop while it writes, and to write otherwise."""
        self.is_writing = is_writing
        self.go.set_visibility(not is_writing)
        self.end.set_visibility(is_writing)
        self.state.text = self.texts("Begins.") if is_writing else ""

    def show(self, prompt: str, text: str) -> None:
        """The prompt, and what was written after it."""
        markup = Markup('<pre class="written"><span class="lead">{}</span>{}</pre>')
        self.text.set_content(str(markup.format(visible(prompt), visible(text))))

    async def evaluate(self) -> None:
        """Tell how well the model knows the text that was sent, or its own validation part."""
        texts, title = self.texts, self.place.title
        encoding = (self.encoding.value or "").strip() or None
        self.problem.text, self.judged.text = "", texts("The text is read.")
        try:
            with self.place.lent() as book:
                self.place.forget()  # the next look is at the validation part again
                arguments = (self.model.name, str(self.which.value), book, title, encoding, self.shelf.models)
                told, result = await self.shelf.chore(chores.evaluate, *arguments)
        except REFUSALS as error:
            self.problem.text = str(error)
            return
        finally:
            self.judged.text = ""
        what = book_told(texts, told) if told else texts("Its own validation part:")
        self.verdict.set_content(str(_verdict(texts, what, result)))


def which_box(texts: Texts) -> ui.select:
    """The choice of weights."""
    box = ui.select(["best"], value="best", label=texts("Weights"))
    return box.props("outlined dense options-dense").style("min-width: 130px")


def written(name: str, shelf: Library, prompt: str, sampling: generation.Sampling, which: str) -> Iterator[str]:
    """The pieces of a text."""
    model = open_model(name, shelf.models)
    return generation.stream(model.transformer, model.weights(which), model.tokenizer, prompt, sampling)


def _verdict(texts: Texts, told: str, result: Evaluation) -> Markup:
    rows = (
        (texts("loss, nats per token"), figure(result.loss), *map(figure, result.loss_interval)),
        (texts("bits per byte"), figure(result.bits_per_byte), *map(figure, result.bits_per_byte_interval)),
        (texts("perplexity"), figure(result.perplexity), *map(figure, result.perplexity_interval)),
    )
    tokens = texts(
        "{tokens} tokens, {bytes} bytes.", tokens=grouped(result.num_predicted), bytes=grouped(result.num_bytes)
    )
    return Markup("<p>{} {}</p>{}").format(told, tokens, table(("", "", texts("from"), texts("to")), rows))
