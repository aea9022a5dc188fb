"""Verified self-play: a game with an exam before and after, its rewards and its tasks as they come."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import Request
from markupsafe import Markup
from nicegui import ui

from optviz.app import library
from optviz.app.library import Library
from optviz.app.lm_curves import Curve, events_of, thinned
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
    require_installed,
    stats,
    table,
)
from optviz.app.shell import _, frame, write
from optviz.language_model import jobs
from optviz.language_model.jobs import Job
from optviz.language_model.reasoning.exam import Share
from optviz.language_model.reasoning.game import AFTER, BEFORE, ROUNDS, WARM_UP, Options
from optviz.language_model.reasoning.proposers import PROPOSERS

FIELDS = (
    Field("warm_up_steps", _("Warm-up steps"), _("Of supervised learning before the game."), low=1),
    Field("rounds", _("Rounds"), _("One step of the optimizer each; a longer game goes on from a shorter one."), low=1),
    Field("width", _("Width"), _("Numbers for each token, a multiple of 4."), low=4),
    Field("layers", _("Layers"), _("Blocks of attention and network."), low=1),
    Field("tasks", _("Tasks of an exam"), _("Of each kind; more make the interval narrower."), low=2),
    Field("exam_every", _("Rounds between exams"), low=1),
    Field("leash", _("Leash"), _("Weight of the divergence from the model after the warm-up."), "number", low=0),
    Field("seed", _("Seed"), _("Of warm-up and play."), low=0),
)
NAMES = {
    "itself": _("the model itself"),
    "frozen": _("a frozen copy, only solving learns"),
    "random": _("chance, only solving learns"),
}
KINDS = {
    "deduction": Line(_("deduction"), BLUE, points=True),
    "abduction": Line(_("abduction"), RED, points=True),
    "induction": Line(_("induction"), GREEN, points=True),
}
SOLVING = {f"{kind}/solving": line._replace(points=False) for kind, line in KINDS.items()}
PROPOSING = {f"{kind}/proposing": line._replace(points=False) for kind, line in KINDS.items()}
RATES = {"valid": Line(_("valid"), VIOLET), "new": Line(_("new"), ORANGE)}
_LOOK = 1.0
_SHOWN_GAMES = 20


def verified_page(request: Request, shelf: Library) -> None:
    """The latest game, and the form for another one."""
    with frame(request, _("Verified self-play")) as texts:
        write(
            Markup('<p><a href="/models">← {}</a></p><h1>{}</h1><p>{}</p><p class="lead">{}</p>').format(
                texts("Language models"),
                texts("Verified self-play"),
                texts(
                    "One model proposes tasks about small programs and solves them; an interpreter says what is true. "
                    "Proposing pays for tasks that are sometimes solved, solving for right answers."
                ),
                texts(
                    "It starts from nothing, so a supervised warm-up on random tasks comes first. The exam asks for "
                    "programs with one operation more, before and after; its 95 % intervals tell the luck of the tasks."
                ),
            )
        )
        if library.is_installed():
            with ui.element("div").classes("side"):
                _Game(texts, None, shelf).build()
        else:
            require_installed(texts)


class Seen(NamedTuple):
    """What was read from the disk in one look."""

    job: Job | None
    known: list[Job]
    events: list[Event]
    ended: list[tuple[Options, Event]]
    """The latest games that were played to their end, and what that told."""


class _Game(JobView):
    """What one visitor sees of the latest game, and of those before."""

    kind = "verified"

    def build(self) -> None:
        texts, defaults = self.texts, Options()
        with ui.expansion(texts("Settings")).props("dense").classes("w-full"):
            self.optimizer = OptimizerBox(texts, "adam", 2e-4)
            self.form = Form(texts, FIELDS, {field.name: getattr(defaults, field.name) for field in FIELDS})
        names = {name: texts(NAMES[name]) for name in PROPOSERS}
        self.proposer = ui.select(names, value=defaults.proposer, label=texts("Who proposes"))
        self.proposer.props("outlined dense options-dense").style("max-width: 360px")
        self.bar = JobBar(texts, self.shelf, _("Play"), self.start)
        self.figures = write(Markup())
        self.exam = write(Markup())
        with ui.element("div").classes("charts") as self.charts:
            self.marks = LineChart(texts, _("Exam, share solved"), list(KINDS.values()), _("round"))
            self.solving = LineChart(texts, _("Reward of solving"), list(SOLVING.values()), _("round"))
            self.proposing = LineChart(texts, _("Reward of proposing"), list(PROPOSING.values()), _("round"))
            self.rates = LineChart(texts, _("Proposals, share valid and new"), list(RATES.values()), _("round"))
            self.warm_up = LineChart(texts, _("Warm-up, loss"), [Line(_("nats per token"), BLUE)], _("step"))
        self.samples = write(Markup())
        self.games = write(Markup())
        self.charts.set_visibility(False)
        ui.timer(_LOOK, self.look)

    def asked(self) -> dict[str, Any]:
        return {**self.form.given(), "optimizer": self.optimizer.text(), "proposer": self.proposer.value}

    def show(self, found: Seen) -> None:
        job, known, events, ended = found
        self.bar.show(job, known, bool(events))
        self.charts.set_visibility(bool(events))
        parts = {part: [e for e in events if e["at"][0] == part] for part in (WARM_UP, BEFORE, ROUNDS, AFTER)}
        rounds = [float(event["at"][1]) for event in parts[ROUNDS]]
        self.warm_up.show([thinned([e["at"][1] for e in parts[WARM_UP]], [e["loss"] for e in parts[WARM_UP]])])
        for chart, lines in ((self.solving, SOLVING), (self.proposing, PROPOSING), (self.rates, RATES)):
            chart.show([thinned(rounds, [e["figures"].get(name) for e in parts[ROUNDS]]) for name in lines])
        exams = [(_round_of(event, rounds), event["exam"]) for event in events if "exam" in event]
        self.marks.show([_shares(exams, kind) for kind in KINDS])
        self.tell(job, parts, exams)
        self.games.set_content(str(self.game_table(ended)) if len(ended) > 1 else "")

    def gather(self) -> Seen:
        job, known, events = self.newest(self.own)
        return Seen(job, known, events, [game for each in known if (game := self.ended(each))][-_SHOWN_GAMES:])

    def ended(self, job: Job) -> tuple[Options, Event] | None:
        """What a game that was played to its end was told in advance, and what it told at last."""
        if (job.kind, job.status) == (self.kind, "finished"):
            with contextlib.suppress(ValueError, TypeError):  # of another release
                options, events = Options(**job.settings), events_of(jobs.events_file(job.id, self.shelf.models)).read()
                return (options, events[-1]) if events and "gain" in events[-1] else None
        return None

    def own(self, known: Sequence[Job]) -> list[Job]:
        """The games, one that goes on last."""
        games = [job for job in known if job.kind == self.kind]
        return [*games, *[job for job in games if job.is_active][:1]]

    def tell(self, job: Job | None, parts: Mapping[int, Sequence[Any]], exams: Sequence[Any]) -> None:
        """The figures of the last round, the exams, and tasks that were proposed."""
        texts = self.texts
        if job is None:
            for place in (self.figures, self.exam, self.samples):
                place.set_content("")
            return
        options = Options(**job.settings)
        steps = parts[WARM_UP][-1]["at"][1] if parts[WARM_UP] else 0
        last = parts[ROUNDS][-1] if parts[ROUNDS] else {"at": [ROUNDS, -1], "figures": {}, "proposals": []}
        pairs = [
            (texts("warm-up"), texts("{done} of {all}", done=grouped(steps), all=grouped(options.warm_up_steps))),
            (texts("rounds"), texts("{done} of {all}", done=grouped(last["at"][1] + 1), all=grouped(options.rounds))),
            (texts("valid proposals"), _percent(last["figures"].get("valid"))),
            (texts("tasks kept"), figure(last["figures"].get("kept"))),
        ]
        self.figures.set_content(str(stats(pairs)))
        gain = parts[AFTER][-1].get("gain", {}) if parts[AFTER] else {}
        self.exam.set_content(str(self.exam_table(exams, gain)) if exams else "")
        rows = [(texts(KINDS[p["kind"]].name), p["written"], self.outcome(p)) for p in last.get("proposals", [])]
        shown = table((texts("kind"), texts("written"), texts("what the interpreter made of it")), rows)
        heading = Markup("<h3>{}</h3>").format(texts("Proposals of this round"))
        self.samples.set_content(str(heading + shown) if rows else "")

    def exam_table(self, exams: Sequence[tuple[float, Mapping[str, Any]]], gain: Mapping[str, Any]) -> Markup:
        """Each kind before, now, and by how much it changed."""
        texts, rows = self.texts, []
        for kind, line in KINDS.items():
            change = self.change(gain[kind]) if kind in gain else "–"
            first, latest = (str(Share(*exam[kind])) for _at, exam in (exams[0], exams[-1]))
            rows.append((texts(line.name), first, latest, change))
        return table((texts("exam"), texts("after the warm-up"), texts("latest"), texts("change")), rows)

    def game_table(self, ended: Sequence[tuple[Options, Event]]) -> Markup:
        """The games side by side: what the exam gained in each, by kind."""
        texts = self.texts
        rows = [
            (
                texts(NAMES[options.proposer]),
                options.optimizer,
                grouped(options.warm_up_steps),
                grouped(options.rounds),
                options.seed,
                *(self.change(last["gain"][kind]) for kind in KINDS),
            )
            for options, last in ended
        ]
        heads = (_("who proposes"), _("optimizer"), _("warm-up steps"), _("rounds"), _("seed"))
        names = [texts(head) for head in heads] + [texts(line.name) for line in KINDS.values()]
        title = texts("Games played to their end: what the exam gained")
        return Markup("<h3>{}</h3>").format(title) + table(names, rows)

    def change(self, gain: Sequence[float]) -> str:
        """A gain in points with its interval."""
        value, low, high = (f"{100 * number:+.1f}" for number in gain)
        return self.texts("{value} points [{low}, {high}]", value=value, low=low, high=high)

    def outcome(self, proposal: Mapping[str, str]) -> str:
        """The task that a proposal makes, or why it makes none."""
        if "task" in proposal:
            return self.texts("task {task} answer {answer}", task=proposal["task"], answer=proposal["answer"])
        return self.texts("refused: {reason}", reason=proposal["refusal"])


def _round_of(event: Mapping[str, Any], rounds: Sequence[float]) -> float:
    """After how many rounds an exam was sat."""
    part, number = event["at"]
    return 0.0 if part == BEFORE else number + 1.0 if part == ROUNDS else float(len(rounds))


def _shares(exams: Sequence[tuple[float, Mapping[str, Any]]], kind: str) -> Curve:
    return Curve([at for at, _exam in exams], [round(exam[kind][0] / exam[kind][1], 4) for _at, exam in exams])


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
