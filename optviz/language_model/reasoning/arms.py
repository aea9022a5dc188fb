"""Does verified self-play help? The same warm-up, then the same time for self-play and for each of its controls.

    python -m optviz.language_model.reasoning.arms --minutes 60 --seeds 3

Arms: `self-play`; `frozen` (a copy from before proposes and does not learn), `random` (tasks as in the warm-up), which
both let the solver learn in the same way; `supervised` (the warm-up goes on with right answers before its eyes, which
self-play never sees); and `warm-up`, which stops. All sit the same exam, one operation longer than the warm-up's tasks.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
import typer
from jaxtyping import Bool

from optviz.arguments import parse_optimizer
from optviz.language_model.evaluation import STUDENT
from optviz.language_model.reasoning.buffers import Buffers
from optviz.language_model.reasoning.exam import (
    Exam,
    Share,
    difference,
    examine_proposals,
    make_exam,
    share,
    sit_exam,
)
from optviz.language_model.reasoning.play import Settings, random_buffers, self_play, warm_up, warm_up_optimizer
from optviz.language_model.reasoning.proposers import FrozenProposer, Proposer, RandomProposer, propose
from optviz.language_model.reasoning.tasks import ALPHABET, KINDS, TEXT_LENGTH, Kind
from optviz.terminal import one_sentence, prepare
from surfaces.transformer import Transformer, Weights

_EXAM_SEED = 20_250_503
_PROPOSALS = 128


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long each part lasts, with which optimizers."""

    settings: Settings
    warm_up_optimizer: Any
    optimizer: Any
    warm_up_steps: int
    seconds: float
    exam_tasks: int = 300


class Result(NamedTuple):
    """One arm with one seed: its marks in the exam, its proposals, and how far it came in its time."""

    arm: str
    seed: int
    marks: Mapping[Kind, Bool[np.ndarray, " tasks"]]
    proposals: Mapping[Kind, Mapping[str, Share]]
    rounds: int
    """Rounds of play, or blocks of supervised learning."""
    figures: Mapping[str, float]
    """Of the last round."""


def run_arms(plan: Plan, seed: int) -> Iterator[Result]:
    """The results of all arms from one warm-up, as they come."""
    exam = make_exam(plan.exam_tasks, plan.settings.num_operations + 1, _EXAM_SEED)
    buffers = random_buffers(plan.settings, seed, exam.questions)
    *_, (learner, _) = warm_up(plan.settings, plan.warm_up_optimizer, plan.warm_up_steps, seed)
    params = learner.params
    yield _examined(plan, exam, "warm-up", seed, params, buffers, 0, {})
    proposers: dict[str, Proposer] = {
        "self-play": propose,
        "frozen": FrozenProposer(params),
        "random": RandomProposer(plan.settings.num_operations),
    }
    for arm, proposer in proposers.items():
        game = self_play(plan.settings, plan.optimizer, params, buffers, proposer=proposer, seed=seed)
        last, rounds = _for(plan.seconds, game)
        yield _examined(plan, exam, arm, seed, last.learner.params, last.buffers, rounds, last.figures)
    more = warm_up(plan.settings, plan.optimizer, 10**9, seed + 10_000, params)
    (longer, _), blocks = _for(plan.seconds, more)
    yield _examined(plan, exam, "supervised", seed, longer.params, buffers, blocks, {})


def summary(results: Sequence[Result]) -> list[str]:
    """Each arm's accuracies, and its difference from the warm-up alone with its interval, in sentences."""
    lines = []
    for arm in dict.fromkeys(result.arm for result in results):
        own = [result for result in results if result.arm == arm]
        accuracy = ", ".join(f"{kind} {share(_together(own, kind))}" for kind in KINDS)
        rates = ", ".join(f"{name} {_rate(own, name)}" for name in ("valid", "unique", "new"))
        lines += [f"{arm} ({', '.join(str(r.rounds) for r in own)} rounds): {accuracy}", f"  proposals: {rates}"]
        if arm != "warm-up":
            lines.append(f"  less warm-up alone: {_gain(results, own)}")
    return lines


def _gain(results: Sequence[Result], own: Sequence[Result]) -> str:
    """The mean gain over all kinds: with several seeds an interval over seeds, else one over tasks."""
    before = {result.seed: result for result in results if result.arm == "warm-up"}
    pairs = [(_all(result), _all(before[result.seed])) for result in own]
    if len(pairs) == 1:
        mean, (low, high) = difference(*pairs[0])
        basis = "over tasks; one seed"
    else:
        gains = np.array([after.mean() - start.mean() for after, start in pairs])
        student = STUDENT[min(len(pairs) - 1, len(STUDENT)) - 1]
        mean, half = float(gains.mean()), student * float(gains.std(ddof=1)) / math.sqrt(len(gains))
        low, high, basis = mean - half, mean + half, f"over {len(pairs)} seeds"
    verdict = "significant" if low > 0 or high < 0 else "not significant"
    return f"{100 * mean:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}] ({basis}): {verdict}"


def _for(seconds: float, steps: Iterator[Any]) -> tuple[Any, int]:
    """The last of the steps that begin within a time, at least one, and their number."""
    began = time.monotonic()
    for number, step in enumerate(steps, 1):
        if time.monotonic() - began >= seconds:
            return step, number
    raise ValueError("The steps ended before the time.")


def _examined(
    plan: Plan,
    exam: Exam,
    arm: str,
    seed: int,
    params: Weights,
    buffers: Buffers,
    rounds: int,
    figures: Mapping[str, float],
) -> Result:
    programs = [task.program for task in exam.tasks["induction"]][:_PROPOSALS]
    model = plan.settings.model
    rates = examine_proposals(model, params, programs, buffers, jax.random.key(seed))
    return Result(arm, seed, sit_exam(model, params, exam), rates, rounds, figures)


def _together(results: Sequence[Result], kind: Kind) -> Bool[np.ndarray, " tasks"]:
    return np.concatenate([result.marks[kind] for result in results])


def _all(result: Result) -> Bool[np.ndarray, " tasks"]:
    return np.concatenate([result.marks[kind] for kind in KINDS])


def _rate(results: Sequence[Result], name: str) -> Share:
    shares = [result.proposals[kind][name] for result in results for kind in KINDS]
    return Share(sum(s.hits for s in shares), sum(s.total for s in shares))


def write_csv(results: Sequence[Result], path: Path) -> None:
    """A row for each arm, seed and kind: exam tasks solved, and proposals valid, unique and new."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["arm", "seed", "rounds", "kind", "solved", "tasks", "valid", "unique", "new", "proposals"])
        for r in results:
            for kind in KINDS:
                rates = r.proposals[kind]
                hits = [rates[name].hits for name in ("valid", "unique", "new")]
                marks = share(r.marks[kind])
                writer.writerow([r.arm, r.seed, r.rounds, kind, *marks, *hits, rates["valid"].total])


def main(
    minutes: Annotated[float, typer.Option(min=0.01, help="Time for each arm.")] = 60.0,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    warm_up_steps: Annotated[int, typer.Option(min=1, help="Steps of supervised learning before.")] = 3000,
    width: Annotated[int, typer.Option(min=4, help="Width of the model, a multiple of 4.")] = 128,
    layers: Annotated[int, typer.Option(min=1, help="Layers of the model.")] = 4,
    leash: Annotated[float, typer.Option(min=0.0, help="Weight of KL to the model before self-play.")] = 0.0,
    optimizer: Annotated[str, typer.Option(help="NAME:KEY=VALUE,... for self-play.")] = "adam:learning_rate=3e-4",
    out: Annotated[Path, typer.Option(help="File for the table.")] = Path("verified_self_play.csv"),
) -> None:
    """Play, examine and compare; results are printed as they come."""
    with one_sentence((OSError, ValueError, TypeError)):
        model = Transformer(len(ALPHABET), width, layers, 4, 4 * width, TEXT_LENGTH)
        warm = warm_up_optimizer(model, warm_up_steps)
        plan = Plan(Settings(model, leash=leash), warm, parse_optimizer(optimizer), warm_up_steps, 60 * minutes)
        results: list[Result] = []
        for seed in range(seeds):
            for result in run_arms(plan, seed):
                results.append(result)
                write_csv(results, out)
                typer.echo("\n".join(summary([r for r in results if r.arm in (result.arm, "warm-up")])[-3:]))
        typer.echo("\n".join(["", *summary(results)]))


if __name__ == "__main__":
    prepare()
    typer.run(main)
