"""Optimizers compared on a model's book: which of them, with how much effort, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from nicegui import ui

from optviz.app.choosing import in_order
from optviz.app.library import Library
from optviz.app.lm_form import Field, Form
from optviz.app.lm_parts import Event, JobBar, JobView, figure, jobs_of, stats, table
from optviz.app.shell import _, joined, write
from optviz.app.texts import Texts
from optviz.language_model.comparison import RESULTS
from optviz.language_model.jobs import Job
from optviz.language_model.models import Model
from optviz.optimizers import CATALOGUE

FIRST = ["adamw", "lion", "muon"]
FIELDS = (
    Field("budget", _("Rates tried"), _("Learning rates tried for each optimizer, from 3 on."), low=3),
    Field("seeds", _("Seeds"), _("Runs that judge each optimizer at its best rate."), low=1),
    Field("steps", _("Steps"), _("Of a run; those of the model if empty."), low=1, is_optional=True),
    Field("tuning_steps", _("Steps to try a rate"), _("As many as the others if empty."), low=1, is_optional=True),
    Field("validations", _("Validations"), _("Of each judging run."), low=1),
    Field(
        "target",
        _("Target"),
        _("A validation loss; what the first optimizer reaches if empty."),
        "number",
        is_optional=True,
    ),
)
STAGES = {"tuning": _("looks for its rate"), "judging": _("is judged")}
PICTURES = {
    "loss_curves.png": _("Validation loss over steps and seconds, by optimizer"),
    "diagnostics.png": _("Gradients, updates, learning rates and sharpness over steps, by optimizer"),
    "weight_paths.png": _("Paths of the weights in their common plane, over the level sets of the loss"),
}


class CompareTab(JobView):
    """What one visitor compares on a model."""

    kind = "compare"

    def __init__(self, texts: Texts, model: Model, shelf: Library) -> None:
        super().__init__(texts, model, shelf)
        self.model = model
        self.told: Any = None

    def build(self) -> None:
        texts = self.texts
        write(
            Markup("<p>{}</p>").format(
                texts(
                    "The same book, initial weights and batches for each; the same number of learning rates is tried "
                    "for each, and the best is judged with other seeds. The model itself stays as it is."
                )
            )
        )
        names = [entry.name for entry in in_order(CATALOGUE)]
        label = texts("Optimizers; NAME:KEY=VALUE may be typed, too")
        self.optimizers = ui.select(
            names, value=FIRST, label=label, multiple=True, with_input=True, new_value_mode="add-unique"
        )
        self.optimizers.props("outlined dense options-dense use-chips")
        self.form = Form(texts, FIELDS, {"budget": 10, "seeds": 5, "validations": 10})
        self.bar = JobBar(texts, self.shelf, _("Compare"), self.start)
        self.progress = ui.linear_progress(0.0, show_value=False).props(f'aria-label="{texts("Progress")}"')
        self.figures = write(Markup())
        with ui.expansion(texts("Finished runs")).props("dense").classes("w-full") as self.folded:
            self.runs = write(Markup())
        self.found = write(Markup())
        for place in (self.progress, self.folded):
            place.set_visibility(False)

    def fill(self, settings: Mapping[str, Any]) -> None:
        """Show with what the newest comparison was made."""
        self.form.set({field.name: settings.get(field.name) for field in FIELDS if field.name in settings})
        rivals = list(settings.get("optimizers", FIRST))
        self.optimizers.set_options([*dict.fromkeys([*self.optimizers.options, *rivals])], value=rivals)

    def asked(self) -> dict[str, Any]:
        return {**self.form.given(), "optimizers": list(self.optimizers.value or ())}

    def show(self, found: tuple[Job | None, list[Job], list[Event]]) -> None:
        job, known, events = found
        self.bar.show(job, known, bool(events))
        for place in (self.progress, self.folded):
            place.set_visibility(bool(events))
        if self.told is None and job:
            self.fill(job.settings)
        if (told := (job and job.id, job and job.status, len(events))) == self.told:
            return
        self.told = told
        runs = [event for event in events if "label" in event]
        ended = {event["number"]: event for event in runs if "loss" in event}
        self.progress.value = len(ended) / runs[-1]["total"] if runs else 0.0
        self.figures.set_content(str(self.now(runs[-1], len(ended)) if runs else ""))
        self.runs.set_content(str(self.run_table(list(ended.values())) if ended else ""))
        self.found.set_content(str(self.results(job.id, events[-1]) if job and events and "rows" in events[-1] else ""))

    def gather(self) -> tuple[Job | None, list[Job], list[Event]]:
        return self.newest(lambda known: jobs_of(self.model, self.kind, known))

    def now(self, last: Mapping[str, Any], ended: int) -> Markup:
        """Which run goes on."""
        texts = self.texts
        pairs = [(texts("runs"), texts("{done} of {all}", done=ended, all=last["total"]))]
        if ended < last["total"]:
            steps = texts("{done} of {all}", done=last.get("step", 0), all=last.get("steps", "–"))
            stage = STAGES[last["stage"]]
            pairs += [(last["label"], texts(stage)), (texts("steps"), steps)]
        return stats(pairs)

    def run_table(self, ended: Sequence[Mapping[str, Any]]) -> Markup:
        """The runs that are finished."""
        texts, stages = self.texts, {name: self.texts(stage) for name, stage in STAGES.items()}
        rows = [
            (
                run["label"],
                stages[run["stage"]],
                figure(run["rate"], 3),
                run["seed"],
                texts("diverged") if run["loss"] is None else figure(run["loss"]),
            )
            for run in ended
        ]
        heads = (texts("optimizer"), "", texts("learning rate"), texts("seed"), texts("validation loss"))
        return table(heads, rows)

    def results(self, job_id: str, last: Mapping[str, Any]) -> Markup:
        """The table, what it says, the pictures, and the files."""
        texts, address = self.texts, f"/api/lm/comparison/{job_id}"
        rows = last["rows"]
        heads = [texts(_HEADINGS[name]) if name in _HEADINGS else name for name in rows[0]]
        figures = joined(
            '<figure><a href="{0}" target="_blank"><img src="{0}" srcset="{0} 1.7x" alt="{1}" loading="lazy"></a>'
            "</figure>",
            [(f"{address}/{name}", texts(title)) for name, title in PICTURES.items()],
        )
        links = [(f"{address}/{name}", name) for name in RESULTS]
        files = joined('<a class="button" href="{}" download>{}</a> ', links)
        return Markup('<h2>{}</h2>{}<ul>{}</ul><div class="pictures">{}</div><p>{}</p>').format(
            texts("Result"),
            table(heads, [tuple(row.values()) for row in rows]),
            joined("<li>{}</li>", last["answer"]),
            figures,
            files,
        )


_HEADINGS = {
    "optimizer": _("optimizer"),
    "rate": _("learning rate"),
    "validation loss": _("validation loss"),
    "bits per byte": _("bits per byte"),
    "steps to target": _("steps to target"),
    "seconds to target": _("seconds to target"),
    "reached": _("reached"),
    "ms per step": _("ms per step"),
    "diverged": _("diverged"),
}
