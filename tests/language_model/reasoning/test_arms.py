"""The comparison: every arm starts from one warm-up, sits one exam, and no difference is claimed that luck explains."""

import csv

import numpy as np
import pytest

from optviz.language_model.reasoning.arms import Arm, Plan, Result, csv_lines, run_arm, summary, warmed_up
from optviz.language_model.reasoning.exam import Share
from optviz.language_model.reasoning.play import Settings
from optviz.language_model.reasoning.tasks import ALPHABET, KINDS, TEXT_LENGTH
from surfaces.transformer import Transformer

TINY = Settings(Transformer(len(ALPHABET), 16, 1, 2, 32, TEXT_LENGTH), 1, 12, 2, 2, 1)
PLAN = Plan(TINY, "adam:learning_rate=1e-2", warm_up_steps=20, minutes=1e-4, exams=2, exam_tasks=4)


def result(arm, seed, right, total=100):
    marks = {kind: np.arange(total) < right for kind in KINDS}
    rates = {kind: {name: Share(5, 10) for name in ("valid", "unique", "new")} for kind in KINDS}
    return Result(arm, seed, marks, rates, 1, 1.0)


def test_every_arm_is_examined_as_its_time_runs_and_written():
    params, start = warmed_up(PLAN, seed=0)
    results = [start, *(result for arm in Arm for result in run_arm(PLAN, arm, 0, params))]
    assert [r.arm for r in results] == ["warm-up", *(arm for arm in Arm for _ in range(PLAN.exams))]
    assert all(len(r.marks[kind]) == PLAN.exam_tasks for r in results for kind in KINDS)
    for first, second in zip(results[1::2], results[2::2], strict=True):
        assert 0 < first.rounds < second.rounds
        assert 0 < first.minutes < second.minutes
    rows = list(csv.DictReader((csv_lines(results[:2], head=True) + csv_lines(results[2:])).splitlines()))
    assert [row["arm"] for row in rows] == [r.arm for r in results for _ in KINDS]
    assert summary(results)


def test_self_play_is_told_beside_every_control_that_was_run():
    arms = [("warm-up", 50), ("self-play", 80), ("supervised", 90), ("frozen", 70)]
    lines = summary([result(arm, 0, right) for arm, right in arms])
    told = [line.split("points")[0].strip() for line in lines if "less" in line]
    own = ["less warm-up: +30.0", "less supervised: -10.0", "less frozen: +10.0"]
    assert told == [*own, "less warm-up: +40.0", "less warm-up: +20.0"]


@pytest.mark.parametrize(("right", "verdict"), [(90, ": without 0"), (51, ": with 0"), (20, ": without 0")])
def test_one_seed_has_an_interval_over_its_tasks(right, verdict):
    lines = summary([result("warm-up", 0, 50), result("self-play", 0, right)])
    assert lines[-1].endswith(verdict)
    assert "one seed" in lines[-1]


@pytest.mark.parametrize(("gains", "verdict"), [((10, 11, 12), ": without 0"), ((-20, 5, 30), ": with 0")])
def test_several_seeds_have_an_interval_over_seeds(gains, verdict):
    results = [r for s, gain in enumerate(gains) for r in (result("warm-up", s, 50), result("self-play", s, 50 + gain))]
    assert summary(results)[-1].endswith(verdict)
    assert f"{np.mean(gains):+.1f} points" in summary(results)[-1]


@pytest.mark.parametrize("seeds", [2, 4, 9])
def test_seeds_that_sit_the_same_tasks_do_not_count_as_more_tasks(seeds):
    assert "deduction 50.0 % [50.0, 50.0]" in summary([result("warm-up", seed, 50) for seed in range(seeds)])[0]
    told = summary([result("warm-up", seed, 40 + 20 * (seed % 2)) for seed in range(2)])[0]
    low, high = -77.1, 177.1  # Student with one degree of freedom: 50 - 12.706 * 10
    assert f"deduction 50.0 % [{low}, {high}]" in told
