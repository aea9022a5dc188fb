"""A model's figures, settings and files: to download, and to delete."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from optviz.app import chores, lm_curves
from optviz.app.library import REFUSALS, Library
from optviz.app.lm_parts import Button, duration, figure, grouped, num_weights, problem, table
from optviz.app.shell import _, write
from optviz.app.texts import Texts
from optviz.language_model import cards, jobs
from optviz.language_model.checkpoints import has_checkpoint
from optviz.language_model.models import CHECKPOINTS, Model, delete_model

FORMATS = {
    ".zip": _("to be imported elsewhere: weights, sizes, tokenizer, card"),
    ".pt": _("the weights alone, for PyTorch"),
}


class FilesTab:
    """What one visitor can take of a model, or do away with."""

    def __init__(self, texts: Texts, model: Model, shelf: Library) -> None:
        self.texts, self.model, self.shelf = texts, model, shelf
        self.there: list[str] | None = None

    def build(self) -> None:
        texts = self.texts
        self.figures = write(Markup())
        write(Markup("<h2>{}</h2>").format(texts("Download")))
        self.downloads = ui.element("div")
        self.state = ui.label().classes("tags").props('role="status"')
        self.problem = problem()
        self.settings()
        write(Markup("<h2>{}</h2>").format(texts("Delete")))
        Button(texts("Delete this model"), self.ask).classes("danger")

    def settings(self) -> None:
        """Everything that the model was made with."""
        texts, config = self.texts, self.model.config
        training = {**config["training"], **config["training"]["hyperparameters"]}
        training.pop("hyperparameters")
        parts = {**config["model"], **training, **config["about"]}
        rows = [(name.replace("_", " "), str(value)) for name, value in parts.items() if value not in ("", None)]
        with ui.expansion(texts("Settings")).props("dense").classes("w-full"):
            write(table((texts("setting"), texts("value")), rows))

    async def look(self) -> None:
        """Show what has changed."""
        try:
            found, there = await run_in_threadpool(self.gather)
        except REFUSALS as error:
            self.problem.text = str(error)
            return
        self.figures.set_content(str(self.told(found)))
        if there != self.there:
            self.there = there
            self.show_downloads(there)

    def gather(self) -> tuple[dict[str, Any], list[str]]:
        """The figures, and the weights that there are."""
        there = [which for which in CHECKPOINTS if has_checkpoint(self.model.folder / which)]
        return cards.figures(self.model), there

    def told(self, found: dict[str, Any]) -> Markup:
        """The figures as a table."""
        texts, data = self.texts, self.model.config["data"]
        rows = [
            (texts("weights"), grouped(num_weights(self.model))),
            (texts("tokens to learn from"), grouped(data["train"]["tokens"])),
            (texts("tokens held out"), grouped(data["validation"]["tokens"])),
            (texts("steps"), grouped(found["steps"])),
            (texts("best step"), "–" if found["best_step"] is None else grouped(found["best_step"])),
            (texts("validation loss"), figure(found["validation_loss"])),
            (texts("bits per byte"), figure(found["bits_per_byte"])),
            (texts("time"), duration(texts, found["seconds"])),
        ]
        return table((texts("figure"), texts("value")), rows)

    def show_downloads(self, there: list[str]) -> None:
        """A button for each format of each set of weights."""
        texts = self.texts
        self.downloads.clear()
        with self.downloads:
            if not there:
                write(Markup("<p class=lead>{}</p>").format(texts("There are no weights yet: train it first.")))
            for which in there:
                with ui.element("div").classes("controls"):
                    ui.label(texts("Weights {which}", which=which)).classes("job-state")
                    for suffix, meaning in FORMATS.items():
                        made = Button(suffix, partial(self.download, suffix, which))
                        made.props(f'title="{texts(meaning)}" aria-label="{which}{suffix}, {texts(meaning)}"')

    async def download(self, suffix: str, which: str) -> None:
        """Pack the model, and hand the file to the browser."""
        self.problem.text, self.state.text = "", self.texts("The file is made.")
        shelf = self.shelf
        try:
            file_id, path = shelf.downloads.reserve()
            try:
                await shelf.chore(chores.export, self.model.name, suffix, which, path, shelf.models)
            except BaseException:
                shelf.downloads.discard(file_id)
                raise
        except REFUSALS as error:
            self.problem.text = str(error)
            return
        finally:
            self.state.text = ""
        name = f"{self.model.name}{'' if which == 'best' else f'-{which}'}{suffix}"
        ui.download.from_url(f"/api/lm/file/{file_id}?name={quote(name, safe='')}")

    def ask(self) -> None:
        """Ask before anything is deleted."""
        texts = self.texts
        with ui.dialog() as dialog, ui.element("div").classes("dialog").props('role="document"'):
            write(
                Markup("<p>{}</p>").format(
                    texts("Delete {name} with all that it has learnt, for ever?", name=self.model.name)
                )
            )
            with ui.element("div").classes("controls"):
                Button(texts("Keep it"), dialog.close)
                Button(texts("Delete for ever"), partial(self.delete, dialog)).classes("danger")
        dialog.open()

    async def delete(self, dialog: ui.dialog) -> None:
        """Delete the model, unless something is being done to it."""
        dialog.close()
        try:
            await run_in_threadpool(self._delete)
        except REFUSALS as error:
            self.problem.text = str(error)
            return
        ui.navigate.to("/models")

    def _delete(self) -> None:
        known = jobs.list_jobs(self.shelf.models)
        if any(job.status == "running" and job.model == self.model.name for job in known):
            raise ValueError(self.texts("Something is being done to this model: stop that first."))
        jobs.stop_waiting(self.model.name, self.shelf.models)
        delete_model(self.model.name, self.shelf.models)
        lm_curves.curves_of.cache_clear()  # another model may get this name
