"""Training on a model's page: the queue's buttons, figures and curves as they grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from nicegui import ui

from optviz.app.library import Library
from optviz.app.lm_curves import Curve, curves_of
from optviz.app.lm_form import Field, Form
from optviz.app.lm_parts import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    VIOLET,
    JobBar,
    JobView,
    Line,
    LineChart,
    duration,
    figure,
    grouped,
    jobs_of,
    stats,
)
from optviz.app.shell import _, write
from optviz.app.texts import Texts
from optviz.language_model import work
from optviz.language_model.jobs import Job
from optviz.language_model.models import Model, open_model


class Chart(NamedTuple):
    """A chart: its title, its lines by the column that each shows, whether its axis is logarithmic."""

    title: str
    lines: dict[str, Line]
    log: bool = False


CHARTS = (
    Chart(
        _("Loss, nats per token"),
        {
            "loss": Line(_("batches"), BLUE),
            "validation_loss": Line(_("validation"), RED, points=True),
        },
    ),
    Chart(_("Validation, bits per byte"), {"bits_per_byte": Line(_("bits per byte"), RED, points=True)}),
)
MORE = (
    Chart(_("Learning rate"), {"learning_rate": Line(_("learning rate"), GREEN)}),
    Chart(_("Gradient, L2 norm before clipping"), {"gradient_norm": Line(_("gradient"), ORANGE)}, log=True),
    Chart(_("Update to weights, ratio of L2 norms"), {"update_to_weight": Line(_("ratio"), VIOLET)}, log=True),
    Chart(_("Sharpness, largest eigenvalue of the Hessian"), {"sharpness": Line(_("sharpness"), RED, points=True)}),
)
FIELDS = (
    Field(
        work.STEPS,
        _("Steps"),
        _("In all; with more, a finished model goes on, on the schedule of so many."),
        low=1,
    ),
    Field(work.TENSORBOARD, _("Write curves for TensorBoard too"), kind="flag"),
)
_OF_VALIDATION = ("validation_loss", "bits_per_byte", "sharpness")


class Seen(NamedTuple):
    """What was read from the disk in one look."""

    job: Job | None
    known: Sequence[Job]
    told: dict[str, Any] | None
    curves: dict[str, Curve]
    last: dict[str, float | None]
    steps: int
    all_steps: int


class TrainTab(JobView):
    """What one visitor sees of a model's training."""

    kind = "train"

    def __init__(self, texts: Texts, model: Model, shelf: Library) -> None:
        super().__init__(texts, model, shelf)
        self.model = model
        self.curves, self.has_text = curves_of(model.folder), model.has_text

    def build(self) -> None:
        texts = self.texts
        self.bar = JobBar(texts, self.shelf, _("Train"), self.start)
        with ui.element("div").classes("w-full") as self.choices:
            self.form = Form(texts, FIELDS, {work.STEPS: self.model.settings.steps})
        self.progress = ui.linear_progress(0.0, show_value=False).props(f'aria-label="{texts("Progress")}"')
        self.figures = write(Markup())
        with ui.element("div").classes("charts") as self.shown:
            self.charts = [self.chart(chart) for chart in CHARTS]
        self.box = ui.expansion(texts("More curves")).props("dense").classes("w-full")
        with self.box, ui.element("div").classes("charts"):
            self.more = [(chart, self.chart(chart)) for chart in MORE if _is_drawn(chart, self.model)]
        self.show_charts(False)

    def asked(self) -> dict[str, Any]:
        usual = {work.STEPS: open_model(self._name, self.shelf.models).settings.steps, work.TENSORBOARD: False}
        return {name: value for name, value in self.form.values().items() if value != usual[name]}

    def show_charts(self, is_shown: bool) -> None:
        """Show the charts, which are there only if there is something to draw."""
        for place in (self.shown, self.box):
            place.set_visibility(is_shown)

    def chart(self, chart: Chart) -> LineChart:
        """One of the charts, still empty."""
        return LineChart(self.texts, chart.title, list(chart.lines.values()), _("step"), chart.log)

    def show(self, found: Seen) -> None:
        self.bar.show(found.job, found.known, found.told is not None)
        self.show_charts(bool(found.steps or found.curves["validation_loss"].x))
        if not self.has_text:
            self.bar.start.set_visibility(False)  # the head of the page says why
        self.choices.set_visibility(self.bar.start.visible)
        if found.steps >= found.all_steps:
            ended = self.bar.told.text or self.texts("Finished. {sentence}", sentence="").strip()
            more = self.texts("With more steps it goes on.") if self.choices.visible else ""
            self.bar.told.text = f"{ended} {more}".strip()
            is_longer = (self.form.boxes[work.STEPS].value or 0) > found.steps
            self.bar.start.set_visibility(self.bar.start.visible and is_longer)
        self.progress.value = min(found.steps / found.all_steps, 1.0)
        self.figures.set_content(str(self.told(found)))
        shown = [*zip(CHARTS, self.charts, strict=True), *(self.more if self.box.value else ())]
        for chart, element in shown:
            element.show([found.curves[column] for column in chart.lines])

    def gather(self) -> Seen:
        job, known, events = self.newest(lambda known: jobs_of(self.model, self.kind, known))
        self.curves.read()
        columns = [column for chart in (*CHARTS, *MORE) for column in chart.lines]
        tables = {name: self.curves.validation if name in _OF_VALIDATION else self.curves.steps for name in columns}
        curves = {name: table.curve(name) for name, table in tables.items()}
        last = {name: table.last(name) for name, table in tables.items()}
        rows, judged = self.curves.steps.steps, self.curves.validation.steps  # rows may be 10 steps apart
        told = events[-1] if events and job and job.status == "running" else None
        steps = max(
            int(rows[-1]) + 1 if rows else 0, int(judged[-1]) if judged else 0, int(told["step"]) if told else 0
        )
        return Seen(job, known, told, curves, last, steps, open_model(self._name, self.shelf.models).settings.steps)

    def told(self, seen: Seen) -> Markup:
        """The figures of this moment."""
        texts, told = self.texts, seen.told or {}
        steps = texts("{done} of {all}", done=grouped(seen.steps), all=grouped(seen.all_steps))
        pairs = [
            (texts("steps"), steps),
            (texts("loss"), figure(seen.last["loss"])),
            (texts("validation loss"), figure(seen.last["validation_loss"])),
            (texts("bits per byte"), figure(seen.last["bits_per_byte"])),
        ]
        if told:
            pairs += [
                (texts("tokens per second"), figure(told.get("tokens_per_second"), 3)),
                (texts("time left"), duration(texts, told.get("seconds_left"))),
            ]
        if seen.job and seen.job.settings.get(work.TENSORBOARD):
            pairs.append(("TensorBoard", f"{self.model.name}/{work.TENSORBOARD}"))
        return stats(pairs)


def _is_drawn(chart: Chart, model: Model) -> bool:
    """Whether the training of a model yields what a chart shows: the sharpness is measured only if asked for."""
    return "sharpness" not in chart.lines or model.settings.sharpness
