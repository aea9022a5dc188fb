"""What the pages of language models share: curves, and the state of a job with its buttons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from markupsafe import Markup
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from starlette.concurrency import run_in_threadpool

from optviz.app.chores import BookTold
from optviz.app.library import REFUSALS, Library
from optviz.app.lm_curves import Curve, events_of
from optviz.app.shell import _, joined, write
from optviz.app.texts import Texts
from optviz.language_model import cards, jobs, work
from optviz.language_model.checkpoints import canonical
from optviz.language_model.jobs import Job
from optviz.language_model.models import Model

Event = dict[str, Any]
_STATIC = Path(__file__).parent / "static"
BLUE, RED, GREEN, VIOLET, ORANGE = "#0072B2", "#D55E00", "#009E73", "#7B4FA3", "#C28500"
KINDS = {
    "train": _("Training"),
    "compare": _("Comparison of optimizers"),
    "diversity": _("Self-play for diversity"),
    "verified": _("Verified self-play"),
}


class Line(NamedTuple):
    """How a curve looks; its name is a message."""

    name: str
    color: str = BLUE
    dash: bool = False
    points: bool = False
    """Whether each of its points is marked."""


class LineChart(ui.element, component=_STATIC / "line_chart.js"):
    """Curves over the steps of a run."""

    def __init__(self, texts: Texts, title: str, lines: Sequence[Line], x: str, log: bool = False) -> None:
        super().__init__()
        self.texts, self.lines = texts, lines
        self._props["title"] = texts("{title}; logarithmic axis", title=texts(title)) if log else texts(title)
        self._props["xLabel"], self._props["log"] = texts(x), log
        self._props["empty"] = texts("nothing yet")
        self._props["series"] = []
        self.show([Curve([], []) for _line in lines])

    def show(self, curves: Sequence[Curve]) -> None:
        """Draw these, in the order of the lines."""
        series = [
            {**line._asdict(), "name": self.texts(line.name), "x": curve.x, "y": curve.y}
            for line, curve in zip(self.lines, curves, strict=True)
        ]
        if series != self._props["series"]:
            self._props["series"] = series
            self.update()


class JobBar:
    """Where a job stands, and the buttons for what can be done with it."""

    def __init__(self, texts: Texts, library: Library, start: str, on_start: Callable[[], Any]) -> None:
        self.texts, self.library, self.job = texts, library, None
        with ui.element("div").classes("controls").props('role="group"'):
            self.start = Button(texts(start), on_start, strong=True)
            self.pause = Button(texts("Pause"), lambda: self.act(jobs.pause))
            self.resume = Button(texts("Go on"), lambda: self.act(jobs.resume), strong=True)
            self.stop = Button(texts("Stop"), lambda: self.act(jobs.stop))
            self.told = ui.label().classes("job-state").props('role="status"')
        self.problem = problem()
        self.job: Job | None
        self.show(None, [])

    async def act(self, do: Callable[..., Any]) -> None:
        """Wish something of the job, and show what became of it."""
        if self.job is None:
            return
        try:
            job = await run_in_threadpool(do, self.job.id, self.library.models)
            await run_in_threadpool(self.library.employ)
        except REFUSALS as error:
            self.problem.text = str(error)
            return
        self.problem.text = ""
        self.show(job, await run_in_threadpool(jobs.list_jobs, self.library.models))

    def show(self, job: Job | None, known: Sequence[Job], has_told: bool = True) -> None:
        """Show the state of a job among all jobs; None if there is none. `has_told`: whether it told anything yet."""
        self.job = job
        status, wish = (job.status, job.wish) if job else ("", "go")
        self.start.set_visibility(not (job and job.is_active))
        self.pause.set_visibility(status in ("queued", "running") and wish == "go")
        self.resume.set_visibility(status == "paused" or (status == "running" and wish == "pause"))
        self.stop.set_visibility(bool(job and job.is_active and wish != "stop"))
        if status == "running" and wish == "go" and not has_told:
            self.told.text = self.texts("Runs: its programs are compiled, which may take a minute.")
        else:
            self.told.text = state_of(self.texts, job, known, self.library.trouble()) if job else ""


class JobView:
    """A visitor's view of the newest job of one kind: what is seen of it, and how another is asked for.

    A subclass builds its elements, with `bar` among them, and fills in `asked`, `gather` and `show`.
    """

    kind: ClassVar[str]

    def __init__(self, texts: Texts, model: Model | None, shelf: Library) -> None:
        self.texts, self.shelf = texts, shelf
        self._name = "" if model is None else model.name
        self.bar: JobBar

    def asked(self) -> dict[str, Any]:
        """The settings of a new job, as the form has them."""
        return {}

    def gather(self) -> Any:
        """Read what there is, off the event loop."""
        raise NotImplementedError

    def show(self, found: Any) -> None:
        """Show what was gathered."""
        raise NotImplementedError

    def newest(self, own: Callable[[Sequence[Job]], Sequence[Job]]) -> tuple[Job | None, list[Job], list[Event]]:
        """The newest of the jobs that `own` picks, all jobs, and what the newest has told."""
        known = jobs.list_jobs(self.shelf.models)
        job = next(iter(reversed(own(known))), None)
        return job, known, events_of(jobs.events_file(job.id, self.shelf.models)).read() if job else []

    async def start(self) -> None:
        """Queue a job with what stands in the form."""
        self.bar.problem.text = ""
        try:
            await run_in_threadpool(work.ask, self.kind, self._name, self.asked(), self.shelf.models)
            await run_in_threadpool(self.shelf.employ)
        except REFUSALS as error:
            self.bar.problem.text = str(error)
        await self.look()

    async def look(self) -> None:
        """Show what has changed."""
        try:
            found = await run_in_threadpool(self.gather)
        except REFUSALS as error:
            self.bar.problem.text = str(error)
            return
        self.show(found)


def state_of(texts: Texts, job: Job, known: Sequence[Job], trouble: str = "") -> str:
    """Where a job stands, as a sentence."""
    if job.status == "running" and job.wish != "go":
        return texts("Saves its work.")
    if job.status == "queued":
        waiting = [other for other in jobs.in_order(list(known)) if other.status in ("running", "queued")]
        before = next((i for i, other in enumerate(waiting) if other.id == job.id), 0)
        if before:
            return texts("Waits; before it: {number}.", number=before)
        return texts("Starts in a moment.") + (f" {trouble}" if trouble else "")
    sentences = {
        "running": _("Runs. It goes on when this page is closed."),
        "paused": _("Paused; all is saved."),
        "stopped": _("Stopped."),
        "finished": _("Finished. {sentence}"),
        "failed": _("Failed: {sentence}"),
    }
    return texts(sentences[job.status], sentence=job.sentence).strip()


def jobs_of(model: Model, kind: str, known: Sequence[Job]) -> list[Job]:
    """The jobs of a kind that were asked for this model, and not for one that had its name before."""
    made = (model.folder / "tokenizer.json").stat().st_mtime  # written once, as config.json is not
    return [job for job in known if (job.model, job.kind) == (model.name, kind) and job.created >= made]


class Button(TextElement):
    """A button in the looks of the app."""

    def __init__(self, label: str, on_click: Callable[[], Any], strong: bool = False) -> None:
        super().__init__(tag="button", text=label)
        self.classes("button strong" if strong else "button").props("type=button")
        self.on("click", lambda: on_click())


def num_weights(model: Model) -> int:
    """As `cards.num_weights`, traced once for the same sizes: pages ask every second."""
    sizes = canonical(model.config["model"])
    if sizes not in _NUM_WEIGHTS:
        _NUM_WEIGHTS[sizes] = cards.num_weights(model)
    return _NUM_WEIGHTS[sizes]


_NUM_WEIGHTS: dict[bytes, int] = {}


def problem() -> ui.label:
    """A place for the sentence that says what is wrong."""
    return ui.label().classes("error").props('role="alert"')


def stats(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Numbers with their names, side by side."""
    return Markup('<dl class="stats">{}</dl>').format(joined("<div><dt>{}</dt><dd>{}</dd></div>", list(pairs)))


def grouped(number: float) -> str:
    """A whole number with narrow spaces between thousands, which no language takes for a fraction."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def book_told(texts: Texts, told: BookTold) -> str:
    """What a book that was sent is, how it was read, and what is damaged in it."""
    sentence = texts(
        "{title}: {characters} characters, {size}, read as {encoding}.",
        title=told.title,
        characters=grouped(told.num_characters),
        size=_size(texts, told.num_bytes),
        encoding=told.encoding,
    )
    damaged = texts("{number} damaged characters are replaced.", number=told.broken) if told.broken else ""
    return f"{sentence} {damaged}".strip()


def _size(texts: Texts, num_bytes: int) -> str:
    """The size of a file, to be read."""
    if num_bytes < 1e5:
        return texts("{number} kB", number=f"{num_bytes / 1e3:.3g}")
    return texts("{number} MB", number=f"{num_bytes / 1e6:.2f}")


def figure(value: float | None, digits: int = 4) -> str:
    """A number to be read; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return grouped(value) if abs(value) >= 1000 else f"{value:.{digits}g}"


def duration(texts: Texts, seconds: float | None) -> str:
    """A time to be read: `1:02:03`, or days where they are many."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return texts("{days} days", days=f"{hours / 24:.1f}") if hours >= 100 else f"{hours}:{minutes:02}:{rest:02}"


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    """A table that scrolls on a narrow screen."""
    body = Markup("").join(Markup("<tr>{}</tr>").format(joined("<td>{}</td>", list(row))) for row in rows)
    return Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        joined("<th>{}</th>", list(headings)), body
    )


def require_installed(texts: Texts) -> None:
    """Say how the extra is installed."""
    sentence = texts("Language models need one more package of libraries: pip install 'optviz[lm]'")
    write(Markup("<p>{}</p>").format(sentence))
