"""The form for a new model: a book, a preset, and whatever shall be otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from markupsafe import Markup
from nicegui import ui

from optviz.app import chores
from optviz.app.file_drop import FileDrop
from optviz.app.library import REFUSALS, Library
from optviz.app.lm_form import Field, Form, OptimizerBox
from optviz.app.lm_parts import Button, book_told, problem
from optviz.app.shell import _, write
from optviz.app.texts import Texts
from optviz.arguments import parse_spec
from optviz.language_model.presets import PRESETS, preset
from optviz.language_model.settings import SCHEDULES

PRESET_TEXTS = {
    "shakespeare-cpu": _("Characters, 4 layers of width 128: minutes on a processor, for books of about a megabyte."),
    "shakespeare-gpu": _("Characters, 6 layers of width 384: for an accelerator."),
    "book": _("8000 byte pairs, 6 layers of width 256: for long books, hours; the best validation counts."),
}
SIZES = (
    Field("layers", _("Layers"), _("Blocks of attention and network."), low=1),
    Field("heads", _("Heads"), _("Heads of attention, which divide the width."), low=1),
    Field("width", _("Width"), _("Numbers for each token."), low=1),
    Field("feed_forward", _("Width of the networks"), _("Four times the width if empty."), low=1, is_optional=True),
    Field("context", _("Context"), _("Tokens that the model sees."), low=1),
    Field("dropout", _("Dropout"), _("Share of numbers left out in training."), "number", low=0, high=0.99),
    Field("positions", _("Positions"), "", "choice", ("learned", "rotary")),
    Field("compute", _("Precision"), "", "choice", ("float32", "bfloat16")),
)
TRAINING = (
    Field("steps", _("Steps"), _("At most so many."), low=1),
    Field("batch_size", _("Batch"), _("Stretches of text in a step."), low=1),
    Field("accumulation", _("Accumulation"), _("Batches in a step, whose gradients are averaged."), low=1),
    Field("schedule", _("Schedule"), "", "choice", SCHEDULES),
    Field("warmup_steps", _("Warm-up steps"), _("The rate rises over them in a straight line."), low=0),
    Field("final_rate", _("Final rate"), _("As a share of the highest."), "number", low=0),
    Field("clip_norm", _("Longest gradient"), _("Longer ones are shortened to it; 0: none is."), "number", low=0),
    Field("validate_every", _("Steps between validations"), low=1),
    Field("save_every", _("Steps between checkpoints"), low=1),
    Field("log_every", _("Steps between points of a curve"), low=1),
    Field("patience", _("Patience"), _("Validations without a new best, after which training ends; 0: never."), low=0),
    Field("seed", _("Seed"), _("Of the initial weights and of the batches."), low=0),
    Field("decay_vectors", _("Weight decay on the scales of norms"), "", "flag"),
    Field("sharpness", _("Measure the sharpness at validations"), "", "flag"),
    Field("obey_should_stop", _("End when the optimizer says so"), "", "flag"),
)
TEXT = (
    Field("tokenizer", _("Tokenizer"), "", "choice", ("bytes", "characters", "bpe")),
    Field(
        "vocabulary_size",
        _("Vocabulary"),
        _("Byte pairs at most; for the tokenizer bpe alone."),
        low=256,
        is_optional=True,
    ),
    Field(
        "validation_share",
        _("Share held out"),
        _("Of the text, at its end, for validation; empty: a tenth at most."),
        "number",
        low=0.0001,
        high=0.9999,
        is_optional=True,
    ),
)
_SIZE_DEFAULTS = {"positions": "learned", "compute": "float32", "dropout": 0.0}


class CreateForm:
    """The form of one visitor; `on_made` gets the name of the model."""

    def __init__(self, texts: Texts, shelf: Library, on_made: Callable[[str], Any]) -> None:
        self.texts, self.shelf, self.on_made = texts, shelf, on_made
        self.suggested = ""

    def build(self) -> None:
        texts = self.texts
        with ui.element("div").classes("panel"):
            self.build_book()
            with ui.element("div").classes("controls"):
                self.name = ui.input(texts("Name of the model")).props("outlined dense maxlength=64")
                ready = [each.name for each in PRESETS]
                self.preset = ui.select(ready, value=ready[0], label=texts("Preset"), on_change=self.fill)
                self.preset.props("outlined dense options-dense").style("min-width: 190px")
            self.told = ui.label().classes("tags")
            self.optimizer = OptimizerBox(texts, "adamw", 1e-3)
            with ui.expansion(texts("Sizes and tokenizer")).props("dense").classes("w-full"):
                self.sizes, self.text = Form(texts, SIZES), Form(texts, TEXT)
            with ui.expansion(texts("Training")).props("dense").classes("w-full"):
                self.training = Form(texts, TRAINING)
            self.make = Button(texts("Create the model"), self.create, strong=True)
            self.state = ui.label().classes("tags").props('role="status"')
            self.problem = problem()
        self.fill()

    def build_book(self) -> None:
        """The place for the book, what was found in it, and its encoding if that was found wrong."""
        texts = self.texts
        write(
            Markup("<h3>{}</h3><p class=lead>{}</p>").format(
                texts("Book"),
                texts("A plain text in any language and any encoding. Without one, Python's own help is read."),
            )
        )
        files = self.shelf.uploads
        self.place = FileDrop(texts, files, "/api/lm/book", ".txt,text/plain", self.arrived, self.changed)
        self.found = write(Markup())
        with ui.element("div").classes("controls") as self.again:
            self.encoding = ui.input(texts("Encoding, if it was found wrong"))
            self.encoding.props("outlined dense stack-label debounce=600").style("flex: 0 1 280px")
            Button(texts("Read again"), self.read)
        self.remove = Button(texts("Remove the book"), self.place.empty)
        for place in (self.again, self.remove):
            place.set_visibility(False)

    def fill(self) -> None:
        """Fill in what the preset says."""
        chosen = preset(self.preset.value)
        training = chosen.training.as_json()
        self.told.text = self.texts(PRESET_TEXTS[chosen.name])
        self.sizes.set({**_SIZE_DEFAULTS, **chosen.sizes, "feed_forward": None})  # four times the width in all of them
        told = {"tokenizer": chosen.tokenizer, "vocabulary_size": chosen.vocabulary_size, "validation_share": None}
        self.text.set(told)
        self.training.set(training)
        self.optimizer.set(training["optimizer"], training["hyperparameters"])

    def changed(self) -> None:
        """A book is on its way, or was given up: nothing that was told holds any more."""
        self.found.set_content("")
        self.problem.text, self.encoding.value = "", ""
        self.again.set_visibility(False)
        self.remove.set_visibility(self.place.is_missing)

    async def arrived(self) -> None:
        """A book has come: tell what it is, and call the model after it unless the visitor has named it."""
        for place in (self.again, self.remove):
            place.set_visibility(True)
        if (self.name.value or "") in ("", self.suggested):
            self.suggested = "".join(c for c in self.place.title if c.isalnum() or c in " _-")[:64].strip(" _-")
            self.name.value = self.suggested
        await self.read()

    async def read(self) -> None:
        """Read the book, in the encoding that was typed if one was, and show its beginning."""
        self.problem.text, title = "", self.place.title
        typed = (self.encoding.value or "").strip() or None
        try:
            with self.place.lent() as path:
                told = await self.shelf.chore(chores.read_book, path, title, typed)
        except REFUSALS as error:
            self.problem.text = str(error)
            self.found.set_content("")
            return
        self.found.set_content(str(_found(self.texts, told)))

    async def create(self) -> None:
        """Make the model that the form describes."""
        self.problem.text = ""
        if self.place.is_missing:
            self.problem.text = self.texts("The book that you chose has not come: send it again, or remove it.")
            return
        self.make.props("disabled")
        self.state.text = self.texts("The book is read and its tokens are counted; a long one takes minutes.")
        try:
            with self.place.lent() as book:
                made = await self.shelf.chore(chores.create, self.recipe(book), self.shelf.models)
        except REFUSALS as error:
            self.problem.text = str(error)
            return
        finally:
            self.make.props(remove="disabled")
            self.state.text = ""
        self.place.forget()
        self.on_made(made)

    def chosen_sizes(self) -> dict[str, Any]:
        """What stands in the form of sizes. ValueError for heads that the width cannot be shared among."""
        sizes = self.sizes.given()
        if sizes["width"] % sizes["heads"]:
            raise ValueError(self.texts("The heads must divide the width: {width} / {heads} is not whole.", **sizes))
        return sizes

    def recipe(self, book: Path | None) -> chores.Recipe:
        """What stands in the form. ValueError or TypeError for what cannot be meant."""
        text, training = self.text.values(), self.training.given()
        name, hyperparameters = parse_spec(self.optimizer.text())
        return chores.Recipe(
            name=(self.name.value or "").strip(),
            preset=self.preset.value,
            book=book,
            title=self.place.title,
            encoding=(self.encoding.value or "").strip() or None,
            tokenizer=text["tokenizer"],
            vocabulary_size=text["vocabulary_size"] if text["tokenizer"] == "bpe" else None,
            sizes=self.chosen_sizes(),
            training={**training, "optimizer": name, "hyperparameters": hyperparameters},
            validation_share=text["validation_share"],
        )


def _found(texts: Texts, told: chores.BookTold) -> Markup:
    """What was found in a book."""
    sentence = book_told(texts, told)
    return Markup('<p role="status">{}</p><pre class="written">{}</pre>').format(sentence, told.beginning)
