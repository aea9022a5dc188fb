"""The comparison: every arm starts from one warm-up, sits one exam, and no difference is claimed that luck explains."""

import csv

import numpy as np
import pytest

import optviz
from optviz.language_model.reasoning.arms import Plan, Result, run_arms, summary, write_csv
from optviz.language_model.reasoning.exam import Share
from optviz.language_model.reasoning.play import Settings
from optviz.language_model.reasoning.tasks import ALPHABET, KINDS, TEXT_LENGTH
from surfaces.transformer import Transformer

ADAM = optviz.optimizer("adam", learning_rate=1e-2)
TINY = Settings(Transformer(len(ALPHABET), 16, 1, 2, 32, TEXT_LENGTH), 1, 12, 2, 2, 1)
ARMS = ["warm-up", "self-play", "frozen", "random", "supervised"]


def result(arm, seed, right, total=100):
    marks = {kind: np.arange(total) < right for kind in KINDS}
    rates = {kind: {name: Share(5, 10) for name in ("valid", "unique", "new")} for kind in KINDS}
    return Result(arm, seed, marks, rates, 1, {})


def test_every_arm_is_examined_and_written(tmp_path):
    results = list(run_arms(Plan(TINY, ADAM, ADAM, warm_up_steps=20, seconds=0.01, exam_tasks=4), seed=0))
    assert [r.arm for r in results] == ARMS
    assert all(len(r.marks[kind]) == 4 for r in results for kind in KINDS)
    assert all(r.rounds > 0 for r in results[1:])
    write_csv(results, tmp_path / "table.csv")
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [row["arm"] for row in rows] == [arm for arm in ARMS for _ in KINDS]
    assert summary(results)


@pytest.mark.parametrize(
    ("right", "verdict"), [(90, ": significant"), (51, ": not significant"), (20, ": significant")]
)
def test_one_seed_has_an_interval_over_its_tasks(right, verdict):
    lines = summary([result("warm-up", 0, 50), result("self-play", 0, right)])
    assert lines[-1].endswith(verdict)
    assert "one seed" in lines[-1]


@pytest.mark.parametrize(("gains", "verdict"), [((10, 11, 12), ": significant"), ((-20, 5, 30), ": not significant")])
def test_several_seeds_have_an_interval_over_seeds(gains, verdict):
    results = [r for s, gain in enumerate(gains) for r in (result("warm-up", s, 50), result("self-play", s, 50 + gain))]
    assert summary(results)[-1].endswith(verdict)
    assert f"{np.mean(gains):+.1f} points" in summary(results)[-1]
