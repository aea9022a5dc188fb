"""The models that there are, the queue of what is being done to them, and how new ones are made or brought in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from fastapi import Request
from markupsafe import Markup
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from optviz.app import chores, library
from optviz.app.file_drop import FileDrop
from optviz.app.library import REFUSALS, Library
from optviz.app.lm_create import CreateForm
from optviz.app.lm_parts import KINDS, Button, figure, grouped, num_weights, problem, require_installed, state_of
from optviz.app.shell import _, frame, joined, write
from optviz.app.texts import Texts
from optviz.language_model import cards, jobs
from optviz.language_model.jobs import Job
from optviz.language_model.models import model_names, open_model

_LOOK = 1.5
_DECIMALS = 3
HEADINGS = (
    _("name"),
    _("book"),
    _("tokenizer"),
    _("optimizer"),
    _("weights"),
    _("steps"),
    _("validation loss"),
    _("bits per byte"),
)


def models_page(request: Request, shelf: Library) -> None:
    """All models, all jobs, a form for a new model, a place for an exported one."""
    with frame(request, _("Language models")) as texts:
        write(
            Markup("<h1>{}</h1><p>{}</p>").format(
                texts("Language models"),
                texts(
                    "Train a small transformer on a book with any optimizer of the catalogue, let it write, and let it "
                    "play itself. Everything stays on the machine that runs this app."
                ),
            )
        )
        if library.is_installed():
            _Models(texts, shelf).build()
        else:
            require_installed(texts)


def model_link(name: str) -> str:
    """The address of a model's page."""
    return f"/models/model/{quote(name, safe='')}"


def job_link(job: Job) -> str:
    """The address of the page that shows a job."""
    if not job.model:
        return "/models/verified"
    return model_link(job.model) + {"diversity": "?tab=play", "compare": "?tab=compare"}.get(job.kind, "")


class _Models:
    """The page of one visitor."""

    def __init__(self, texts: Texts, shelf: Library) -> None:
        self.texts, self.shelf = texts, shelf
        self.shown: Any = None

    def build(self) -> None:
        texts = self.texts
        self.models = write(Markup())
        self.queue = ui.element("section").props(f'aria-label="{texts("Queue")}"')
        write(Markup("<h2>{}</h2>").format(texts("New model")))
        CreateForm(texts, self.shelf, lambda name: ui.navigate.to(model_link(name))).build()
        self.build_import()
        write(
            Markup('<h2>{}</h2><p>{}</p><p><a class="button" href="/models/verified">{}</a></p>').format(
                texts("Verified self-play"),
                texts(
                    "A model of its own proposes tasks about small programs and solves them; an interpreter says what "
                    "is true. An exam shows whether it has become better."
                ),
                texts("Open verified self-play"),
            )
        )
        ui.timer(_LOOK, self.look)

    def build_import(self) -> None:
        """The place for a .zip, and the name that the model gets."""
        texts = self.texts
        write(
            Markup("<h2>{}</h2><p>{}</p>").format(
                texts("Import a model"),
                texts("A .zip that was exported by optviz elsewhere. Every part is checked before anything is kept."),
            )
        )
        files = self.shelf.uploads
        self.place = FileDrop(texts, files, "/api/lm/model", ".zip,application/zip", self.arrived, self.changed)
        self.arrival = ui.label().classes("tags").props('role="status"')
        with ui.element("div").classes("controls") as self.waiting:
            self.name = ui.input(texts("Name here (that in the file if empty)")).props("outlined dense")
            self.name.style("flex: 0 1 320px")
            Button(texts("Import"), self.take_in, strong=True)
        self.waiting.set_visibility(False)
        self.problem = problem()

    def changed(self) -> None:
        """A file is on its way, or was given up."""
        self.arrival.text = self.problem.text = ""
        self.waiting.set_visibility(False)

    async def arrived(self) -> None:
        """A file has come; it waits until it is imported."""
        self.arrival.text, self.problem.text = self.texts("{file} has arrived.", file=self.place.title), ""
        self.waiting.set_visibility(True)

    async def take_in(self) -> None:
        """Make a model of the file that came."""
        shelf, name = self.shelf, (self.name.value or "").strip() or None
        self.arrival.text = self.texts("The file is checked.")
        try:
            with self.place.lent() as path:
                made = await shelf.chore(chores.take_in, path, self.place.title, name, shelf.models)
        except REFUSALS as error:
            self.problem.text, self.arrival.text = str(error), ""
            return
        self.place.forget()
        ui.navigate.to(model_link(made))

    async def look(self) -> None:
        """Show what has changed."""
        try:
            rows, known = await run_in_threadpool(self.gather)
        except REFUSALS as error:
            self.models.set_content(str(Markup("<p class=error>{}</p>").format(str(error))))
            return
        listed, trouble = _listed(known, [row[0] for row in rows]), self.shelf.trouble()
        states = [(job, state_of(self.texts, job, known, trouble)) for job in listed]
        if (rows, states) != self.shown:
            self.shown = (rows, states)
            self.models.set_content(str(self.model_table(rows)))
            self.show_queue(states)

    def gather(self) -> tuple[list[tuple[Any, ...]], list[Job]]:
        """The lines of the table, and all jobs."""
        rows = [self.row(name) for name in model_names(self.shelf.models)]
        return rows, jobs.list_jobs(self.shelf.models)

    def row(self, name: str) -> tuple[Any, ...]:
        """The line of one model; of a damaged one what is wrong with it."""
        try:
            model = open_model(name, self.shelf.models)
            about, known = model.config["about"], cards.figures(model)
        except REFUSALS as error:
            return (name, str(error), *["–"] * (len(HEADINGS) - 2))
        told = (str(about.get("title", "–")), str(about.get("tokenizer", "–")), model.settings.optimizer)
        numbers = (figure(known[name]) for name in ("validation_loss", "bits_per_byte"))
        steps = f"{grouped(known['steps'])} / {grouped(model.settings.steps)}"
        return (model.name, *told, grouped(num_weights(model)), steps, *numbers)

    def model_table(self, rows: Sequence[tuple[Any, ...]]) -> Markup:
        """The models with links to their pages."""
        texts = self.texts
        if not rows:
            return Markup("<p class=lead>{}</p>").format(texts("There are no models yet; the form below makes one."))
        body = joined(
            '<tr><td><a href="{}">{}</a></td><td>{}</td><td>{}</td><td>{}</td><td class=number>{}</td>'
            "<td class=number>{}</td><td class=number>{}</td><td class=number>{}</td></tr>",
            [(model_link(row[0]), *row) for row in rows],
        )
        heads = joined("<th>{}</th>", [texts(heading) for heading in HEADINGS])
        return Markup(
            '<h2>{}</h2><div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
        ).format(texts("My models"), heads, body)

    def show_queue(self, states: Sequence[tuple[Job, str]]) -> None:
        """The jobs that are not ended, in their order, then the last that are."""
        self.queue.clear()
        if not states:
            return
        texts = self.texts
        with self.queue:
            names = [f"{texts(KINDS[job.kind])}: {job.model}".removesuffix(": ") for job, _sentence in states]
            rows = [(job_link(job), name, sentence) for name, (job, sentence) in zip(names, states, strict=True)]
            write(
                Markup("<h2>{}</h2><p class=lead>{}</p><ul>{}</ul>").format(
                    texts("Queue"),
                    texts("One at a time on each device, in processes of their own: they go on when this app ends."),
                    joined('<li><a href="{}">{}</a> <span class="tags">{}</span></li>', rows),
                )
            )


def _listed(known: Sequence[Job], names: Sequence[str]) -> list[Job]:
    """What is to be done, and the last that was done to models that are still there."""
    done = [job for job in known if not job.is_active and job.model in ("", *names)]
    ended = sorted(done, key=lambda job: job.ended or 0.0)
    return [*jobs.in_order(list(known)), *ended[:-4:-1]]
