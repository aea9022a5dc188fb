"""Does verified self-play help? The same warm-up, then the same time for self-play and for each of its controls.

    python -m optviz.language_model.reasoning.arms --minutes 60 --arm self-play --arm supervised --jobs 2

Arms: `self-play`; `frozen` (a copy from before proposes and does not learn), `random` (random tasks, of as many
operations as proposals may begin with), which both let the solver learn in the same way; and `supervised` (the warm-up
goes on with right answers before its eyes, which self-play never sees). All sit the same exam, one operation longer
than the warm-up's tasks: after the warm-up, and again and again as their time runs. Time is that of the processor, so
that another's work does not count.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import numpy as np
import typer
from jaxtyping import Bool

from optviz.arguments import parse_optimizer
from optviz.language_model.reasoning.exam import (
    Exam,
    Share,
    difference,
    examine_proposals,
    make_exam,
    share,
    sit_exam,
)
from optviz.language_model.reasoning.game import Options
from optviz.language_model.reasoning.play import Settings, random_buffers, self_play, warm_up, warm_up_optimizer
from optviz.language_model.reasoning.proposers import ITSELF, proposer_named
from optviz.language_model.reasoning.tasks import KINDS, Kind
from optviz.language_model.standings import mean_interval
from optviz.terminal import one_sentence, prepare
from surfaces.transformer import Weights

_EXAM_SEED = 20_250_503
_PROPOSALS = 128
_WARM_UP = "warm-up"


class Arm(StrEnum):
    """What the time after the warm-up is used for."""

    SELF_PLAY = "self-play"
    FROZEN = "frozen"
    RANDOM = "random"
    SUPERVISED = "supervised"


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long each part lasts, and what learns how."""

    settings: Settings
    optimizer: str
    """Of all arms, as the command line takes it."""
    warm_up_steps: int
    minutes: float
    """Of the processor, for each arm; two busy cores use two in a minute."""
    exams: int = 1
    """How many exams an arm sits, at equal distances of time."""
    exam_tasks: int = 300
    """Tasks of each kind."""


class Result(NamedTuple):
    """An exam of one arm with one seed: its marks, its proposals, and how far it had come."""

    arm: str
    seed: int
    marks: Mapping[Kind, Bool[np.ndarray, " tasks"]]
    proposals: Mapping[Kind, Mapping[str, Share]]
    rounds: int
    """Rounds of play, or blocks of supervised learning."""
    minutes: float
    """Of the processor, since the warm-up."""


def warmed_up(plan: Plan, seed: int) -> tuple[Weights, Result]:
    """The weights from which every arm of a seed begins, and their exam."""
    rule = warm_up_optimizer(plan.settings.model, plan.warm_up_steps)
    *_, (learner, _) = warm_up(plan.settings, rule, plan.warm_up_steps, seed)
    return learner.params, _examined(plan, _WARM_UP, seed, learner.params, 0, 0.0)


def run_arm(plan: Plan, arm: Arm, seed: int, params: Weights) -> Iterator[Result]:
    """The exams of one arm from the weights `params`, as they come."""
    steps, spent, rounds = _steps(plan, arm, seed, params), 0.0, 0
    for number in range(1, plan.exams + 1):
        now = params
        while spent < 60 * plan.minutes * number / plan.exams or now is params:
            began = time.process_time()
            now = next(steps)
            jax.block_until_ready(now)
            spent, rounds = spent + time.process_time() - began, rounds + 1
        yield _examined(plan, arm, seed, now, rounds, spent / 60)


def _steps(plan: Plan, arm: Arm, seed: int, params: Weights) -> Iterator[Weights]:
    """The weights after each round of an arm, without end."""
    settings, rule = plan.settings, parse_optimizer(plan.optimizer)
    if arm is Arm.SUPERVISED:
        return (learner.judged for learner, _ in warm_up(settings, rule, 10**9, seed + 10_000, params))
    name = ITSELF if arm is Arm.SELF_PLAY else arm
    proposer = proposer_named(name, params, settings.num_proposed)
    buffers = random_buffers(settings, seed, _exam(plan).questions)
    game = self_play(settings, rule, params, buffers, proposer=proposer, seed=seed)
    return (played.learner.judged for played in game)


def _exam(plan: Plan) -> Exam:
    return make_exam(plan.exam_tasks, plan.settings.num_operations + 1, _EXAM_SEED)


def _examined(plan: Plan, arm: str, seed: int, params: Weights, rounds: int, minutes: float) -> Result:
    """An exam; proposals are `new` that were not among the random tasks which the buffers begin with."""
    exam, model = _exam(plan), plan.settings.model
    programs = [task.program for task in exam.tasks["induction"]][:_PROPOSALS]
    known = random_buffers(plan.settings, seed, exam.questions)
    rates = examine_proposals(model, params, programs, plan.settings.num_proposed, known, jax.random.key(seed))
    return Result(arm, seed, sit_exam(model, params, exam), rates, rounds, minutes)


def summary(results: Sequence[Result]) -> list[str]:
    """Each arm's accuracies at its end, and their difference from its controls with intervals, in sentences."""
    lines, last = [], {(r.arm, r.seed): r for r in results}
    for arm in dict.fromkeys(result.arm for result in results):
        own = {seed: result for (name, seed), result in last.items() if name == arm}
        accuracy = ", ".join(f"{kind} {_accuracy(own.values(), kind)}" for kind in KINDS)
        rates = ", ".join(f"{name} {_rate(own.values(), name)}" for name in ("valid", "unique", "new"))
        lines += [f"{arm} ({', '.join(str(r.rounds) for r in own.values())} rounds): {accuracy}"]
        lines += [f"  proposals: {rates}"]
        for control in _controls(arm):
            pairs = [(_all(r), _all(last[control, seed])) for seed, r in own.items() if (control, seed) in last]
            if pairs:
                lines.append(f"  less {control}: {_gain(pairs)}")
    return lines


def _controls(arm: str) -> Sequence[str]:
    """What an arm is compared with."""
    if arm == _WARM_UP:
        return ()
    return (_WARM_UP, Arm.SUPERVISED, Arm.RANDOM, Arm.FROZEN) if arm == Arm.SELF_PLAY else (_WARM_UP,)


def _gain(pairs: Sequence[tuple[Bool[np.ndarray, " t"], Bool[np.ndarray, " t"]]]) -> str:
    """The mean gain over all kinds, a pair a seed: with several an interval over seeds, else one over tasks."""
    if len(pairs) == 1:
        mean, (low, high) = difference(*pairs[0])
        basis = "over tasks; one seed"
    else:
        mean, (low, high) = mean_interval([after.mean() - before.mean() for after, before in pairs])
        basis = f"over {len(pairs)} seeds"
    without = "without" if low > 0 or high < 0 else "with"
    return f"{100 * mean:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}] ({basis}), 95 % interval: {without} 0"


def _accuracy(results: Iterable[Result], kind: Kind) -> str:
    """The share of tasks solved: with several seeds, which sit the same tasks, an interval over seeds."""
    shares = [share(result.marks[kind]) for result in results]
    if len(shares) == 1:
        return str(shares[0])
    mean, (low, high) = mean_interval([each.value for each in shares])
    return f"{100 * mean:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _all(result: Result) -> Bool[np.ndarray, " tasks"]:
    return np.concatenate([result.marks[kind] for kind in KINDS])


def _rate(results: Iterable[Result], name: str) -> str:
    """Without an interval: whether a proposal is unique or new depends on the others."""
    shares = [result.proposals[kind][name] for result in results for kind in KINDS]
    return f"{100 * sum(s.hits for s in shares) / sum(s.total for s in shares):.1f} %"


def csv_lines(results: Sequence[Result], head: bool = False) -> str:
    """A line for each exam and kind: exam tasks solved, and proposals valid, unique and new."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["arm", "seed", "minutes", "rounds", "kind", "solved", "tasks", "valid", "unique", "new", "proposals"]
    writer.writerows([names] if head else [])
    for r in results:
        for kind in KINDS:
            rates = r.proposals[kind]
            hits = [rates[name].hits for name in ("valid", "unique", "new")]
            place = [r.arm, r.seed, round(r.minutes, 2), r.rounds, kind]
            writer.writerow([*place, *share(r.marks[kind]), *hits, rates["valid"].total])
    return text.getvalue()


def _told(plan: Plan, arm: Arm, seed: int, params: Weights, out: Path) -> list[Result]:
    """The exams of an arm, each printed and appended to the table as it comes; in a process of its own."""
    prepare()
    results = []
    for result in run_arm(plan, arm, seed, params):
        results.append(result)
        shares = ", ".join(f"{kind} {100 * share(result.marks[kind]).value:.1f} %" for kind in KINDS)
        typer.echo(f"{arm}, seed {seed}, {result.minutes:.1f} min, round {result.rounds}: {shares}")
        with out.open("a", encoding="utf-8") as file:
            file.write(csv_lines([result]))
    return results


def main(
    minutes: Annotated[float, typer.Option(min=0.01, help="Minutes of the processor for each arm.")] = 60.0,
    arm: Annotated[list[Arm] | None, typer.Option(help="What is compared; may be repeated. Default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Arms that run at once, in processes.")] = 1,
    exams: Annotated[int, typer.Option(min=1, help="Exams of each arm, at equal distances of time.")] = 12,
    tasks: Annotated[int, typer.Option(min=2, help="Tasks of each kind in the exam.")] = 1000,
    warm_up_steps: Annotated[int, typer.Option(min=1, help="Supervised steps before.")] = Options.warm_up_steps,
    width: Annotated[int, typer.Option(min=4, help="Width of the model, a multiple of 4.")] = Options.width,
    layers: Annotated[int, typer.Option(min=1, help="Layers of the model.")] = Options.layers,
    leash: Annotated[float, typer.Option(min=0.0, help="Weight of KL to the model before self-play.")] = Options.leash,
    optimizer: Annotated[str, typer.Option(help="NAME:KEY=VALUE,... for all arms.")] = Options.optimizer,
    out: Annotated[Path, typer.Option(help="File for the table.")] = Path("verified_self_play.csv"),
) -> None:
    """Play, examine and compare; results are printed as they come."""
    with one_sentence((OSError, ValueError, TypeError)):
        settings = Options(optimizer, width=width, layers=layers, leash=leash).settings()
        plan = Plan(settings, optimizer, warm_up_steps, minutes, exams, tasks)
        starts = [warmed_up(plan, seed) for seed in range(seeds)]
        results = [result for _, result in starts]
        typer.echo("\n".join(summary(results)))
        out.write_text(csv_lines(results, head=True), encoding="utf-8")
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            work = [
                pool.submit(_told, plan, each, seed, jax.tree.map(np.asarray, params), out)
                for seed, (params, _) in enumerate(starts)
                for each in arm or Arm
            ]
            for done in as_completed(work):
                results += done.result()
        typer.echo("\n".join(["", *summary(results)]))


if __name__ == "__main__":
    prepare()
    typer.run(main)
