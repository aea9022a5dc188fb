"""Self-play for diversity on a model's page: what is paid beside what it costs, and texts as they come."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from nicegui import ui

from optviz.app.library import Library
from optviz.app.lm_curves import thinned
from optviz.app.lm_form import Field, Form, OptimizerBox
from optviz.app.lm_parts import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    VIOLET,
    Event,
    JobBar,
    JobView,
    Line,
    LineChart,
    figure,
    grouped,
    jobs_of,
    stats,
)
from optviz.app.lm_write import which_box
from optviz.app.shell import _, joined, write
from optviz.app.texts import Texts
from optviz.language_model import diversity
from optviz.language_model.checkpoints import has_checkpoint
from optviz.language_model.jobs import Job
from optviz.language_model.models import CHECKPOINTS, Model
from optviz.terminal import visible

FIELDS = (
    Field("rounds", _("Rounds"), _("One step of the optimizer each."), low=1),
    Field("texts", _("Texts of a round"), low=2),
    Field("prompt_tokens", _("Tokens of a prompt"), _("Of the book, from which each text goes on."), low=1),
    Field("new_tokens", _("Tokens of a text"), _("With the prompt at most the model's context."), low=1),
    Field("temperature", _("Temperature"), _("The higher, the bolder it writes."), "number", low=0.01),
    Field("leash", _("Leash"), _("Weight of the divergence from the model as it was."), "number", low=0),
    Field("validate_every", _("Rounds between validations"), low=1),
    Field("seed", _("Seed"), _("Of prompts and texts."), low=0),
)
PARTS = {
    "diversity": Line(_("diversity"), GREEN),
    "length": Line(_("length"), ORANGE, dash=True),
    "coherence": Line(_("coherence, nats per token"), VIOLET),
}
_ROUNDS = 200


class PlayTab(JobView):
    """What one visitor sees of a model's self-play."""

    kind = "diversity"

    def __init__(self, texts: Texts, model: Model, shelf: Library) -> None:
        super().__init__(texts, model, shelf)
        self.model = model
        self.text_shown: Any = None

    def build(self) -> None:
        texts = self.texts
        write(
            Markup("<p>{}</p>").format(
                texts(
                    "The model writes, is rewarded for different tokens, length and coherence, and learns from its own "
                    "texts. The reward knows nothing of truth: watch what it costs in validation loss on the book."
                )
            )
        )
        with ui.expansion(texts("Settings")).props("dense").classes("w-full") as self.box:
            self.optimizer = OptimizerBox(texts, "adam", 1e-4)
            with ui.element("div").classes("controls"):
                self.which = which_box(texts)
            usual = dataclasses.asdict(diversity.Settings.fitting(self.model.transformer.context))
            self.form = Form(texts, FIELDS, {"rounds": _ROUNDS, **usual})
        self.bar = JobBar(texts, self.shelf, _("Play"), self.start)
        self.figures = write(Markup())
        with ui.element("div").classes("charts") as self.charts:
            self.reward = LineChart(texts, _("Reward"), [Line(_("mean of the texts"), BLUE)], _("round"))
            self.cost = LineChart(
                texts,
                _("What it costs: validation loss, nats per token"),
                [Line(_("validation"), RED, points=True)],
                _("round"),
            )
            self.parts = LineChart(texts, _("Parts of the reward"), list(PARTS.values()), _("round"))
            self.leash = LineChart(
                texts, _("Divergence from the model as it was"), [Line(_("nats per token"), VIOLET)], _("round")
            )
        self.samples = write(Markup())
        self.charts.set_visibility(False)

    def asked(self) -> dict[str, Any]:
        return {**self.form.given(), "optimizer": self.optimizer.text(), "which": self.which.value or "best"}

    def show(self, found: tuple[Job | None, list[Job], list[Event], list[str]]) -> None:
        job, known, events, there = found
        if list(self.which.options) != there:
            self.which.set_options(there, value=self.which.value if self.which.value in there else there[0])
        self.bar.show(job, known, bool(events))
        self.charts.set_visibility(bool(events))
        rounds = [float(event["at"][0]) for event in events]
        self.reward.show([thinned(rounds, [event["reward"] for event in events])])
        self.parts.show([thinned(rounds, [event["parts"].get(name) for event in events]) for name in PARTS])
        judged = [(x, event["validation_loss"]) for x, event in zip(rounds, events, strict=True)]
        judged = [(x, loss) for x, loss in judged if loss is not None]
        self.cost.show([thinned([x for x, _loss in judged], [loss for _x, loss in judged])])
        self.leash.show([thinned(rounds, [event["divergence"] for event in events])])
        self.tell(job, events, judged)

    def gather(self) -> tuple[Job | None, list[Job], list[Event], list[str]]:
        there = [which for which in CHECKPOINTS if has_checkpoint(self.model.folder / which)]
        return *self.newest(lambda known: jobs_of(self.model, self.kind, known)), there or ["best"]

    def tell(self, job: Job | None, events: Sequence[Event], judged: Sequence[tuple[float, Any]]) -> None:
        """The figures of the last round, and texts of it."""
        texts = self.texts
        if not job or not events:
            self.figures.set_content("")
            self.samples.set_content("")
            return
        last, rounds = events[-1], job.settings.get("rounds", _ROUNDS)
        cost = f"{judged[-1][1] - judged[0][1]:+.4f}" if judged else "–"
        pairs = [
            (texts("rounds"), texts("{done} of {all}", done=grouped(last["at"][0] + 1), all=grouped(rounds))),
            (texts("reward"), figure(last["reward"])),
            (texts("validation loss"), figure(judged[-1][1] if judged else None)),
            (texts("its change"), cost),
        ]
        self.figures.set_content(str(stats(pairs)))
        shown = [visible(text) for text in last.get("texts", ())]
        if shown != self.text_shown:
            self.text_shown = shown
            markup = Markup('<h3>{}</h3><div class="samples">{}</div>').format(
                texts("Texts of this round"), joined('<pre class="written">{}</pre>', shown)
            )
            self.samples.set_content(str(markup))
