"""The game: it runs with any optimizer, repeats from its seed, learns what it is paid for, and is examined honestly."""

import dataclasses
import itertools
import math
import random
import types

import jax
import numpy as np
import optax
import pytest

import optviz
from optviz.language_model.policy import log_probs
from optviz.language_model.reasoning.answers import ROWS, answer, as_rows
from optviz.language_model.reasoning.exam import (
    Share,
    difference,
    examine_proposals,
    make_exam,
    share,
    sit_exam,
)
from optviz.language_model.reasoning.language import OPERATIONS, Refusal, count_operations
from optviz.language_model.reasoning.play import (
    Settings,
    Written,
    initial_weights,
    proposals_paid,
    random_buffers,
    self_play,
    start_learning,
    supervised_batch,
    taught,
    tried,
    warm_up,
)
from optviz.language_model.reasoning.proposers import FrozenProposer, OwnProposer, Proposal, RandomProposer
from optviz.language_model.reasoning.tasks import ALPHABET, KINDS, TEXT_LENGTH, Task, decode, make_task
from surfaces.transformer import Transformer

MODEL = Transformer(len(ALPHABET), 16, 1, 2, 32, TEXT_LENGTH)
TINY = Settings(MODEL, num_operations=1, warm_up_batch=12, proposals=2, solutions=2, again=1)
ADAM = optviz.optimizer("adam", learning_rate=1e-2)


@pytest.fixture(scope="module")
def weights():
    """Warmed up until some answers are well-formed: where all rewards are equal nothing is learnt."""
    *_, (learner, _) = warm_up(TINY, ADAM, 120, seed=0)
    return learner.params


def played(weights, rounds=2, optimizer=ADAM, settings=TINY, **options):
    buffers = random_buffers(settings, 0)
    return list(itertools.islice(self_play(settings, optimizer, weights, buffers, **options), rounds))


def same(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: np.array_equal(x, y), a, b))


def test_the_warm_up_learns():
    *_, (learner, last) = warm_up(TINY, ADAM, 65, seed=0)
    assert last < 0.75 * np.log(len(ALPHABET))  # the loss of a model that knows nothing
    assert learner.steps == 65


def test_a_model_that_only_ever_fails_learns_nothing():
    raw = initial_weights(MODEL, jax.random.key(0))
    end = played(raw, 1)[0]
    assert {end.figures[f"{kind}/solving"] for kind in KINDS} == {-1.0}
    assert same(end.learner.params, raw)


def test_the_warm_up_shows_three_solutions_for_each_proposal_and_weighs_texts_equally():
    tokens, weights = supervised_batch(TINY, random.Random(0))
    assert [decode(row)[0] for row in tokens].count("P") == TINY.warm_up_batch // 4
    np.testing.assert_allclose(weights.sum(axis=1), 1 / TINY.warm_up_batch, rtol=1e-5)


def test_the_same_seed_plays_the_same_game(weights):
    first, second, other = (played(weights, 3, seed=seed) for seed in (1, 1, 2))
    assert same(first[-1].learner, second[-1].learner)
    assert str(first[-1].figures) == str(second[-1].figures)  # NaN included
    assert not same(first[-1].learner, other[-1].learner)


@pytest.mark.parametrize("optimizer", [optviz.optimizer("lion"), optviz.optimizer("muon"), optax.sgd(0.1)])
def test_any_optimizer_plays(weights, optimizer):
    end = played(weights, 3, optimizer)[-1].learner
    assert not same(end.params, weights)
    assert jax.tree.all(jax.tree.map(lambda x: bool(np.isfinite(x).all()), end.params))


@pytest.mark.parametrize("proposer", [None, RandomProposer(1)], ids=["itself", "random"])
def test_a_round_tells_its_figures(weights, proposer):
    rounds = played(weights, proposer=proposer)
    assert [r.number for r in rounds] == [0, 1]
    for r in rounds:
        assert 0 <= r.figures["new"] <= r.figures["valid"] <= 1
        assert len(r.proposals) == 3 * TINY.proposals
        assert all(-1 <= r.figures[f"{kind}/{role}"] <= 1 for kind in KINDS for role in ("proposing", "solving"))


def test_a_random_proposer_proposes_valid_tasks_only(weights):
    assert played(weights, 1, proposer=RandomProposer(1))[0].figures["valid"] == 1


def test_a_frozen_proposer_asks_what_the_model_asked_before_it_learnt(weights):
    buffers, moved = random_buffers(TINY, 0), jax.tree.map(lambda x: x + 1, weights)
    key = jax.random.key(5)
    frozen = FrozenProposer(weights, 1)(MODEL, moved, buffers, 2, random.Random(0), key)
    assert frozen == OwnProposer(1)(MODEL, weights, buffers, 2, random.Random(0), key)
    assert frozen != OwnProposer(1)(MODEL, moved, buffers, 2, random.Random(0), key)


def test_tasks_of_the_exam_never_enter_the_buffers(weights):
    forbidden = random_buffers(TINY, 0)
    questions = frozenset(q for own in forbidden.tasks.values() for q in own)
    assert len(random_buffers(TINY, 0, questions)) == 0


def test_a_proposal_that_the_exam_asks_is_refused_and_neither_tried_nor_kept(weights):
    asked, other = (make_task("deduction", "s", [given]) for given in ("31", "20"))
    buffers = dataclasses.replace(random_buffers(TINY, 0), forbidden=frozenset([asked.question]))

    def both(*given):
        return [Proposal("deduction", "PD", task.proposal, task) for task in (asked, other)]

    end = next(self_play(TINY, ADAM, weights, buffers, proposer=both))
    assert [p.outcome for p in end.proposals] == [Refusal("an exam asks this", False), other]
    assert end.figures["valid"] == 0.5 and len(end.buffers) == len(buffers) + 1


def test_proposals_go_on_from_random_beginnings_and_those_for_induction_from_programs_that_have_inputs(weights):
    buffers = random_buffers(TINY, 0)
    proposals = OwnProposer(2)(MODEL, weights, buffers, 60, random.Random(0), jax.random.key(0))
    begun = {
        kind: [p.request.removeprefix("PD").removeprefix("PA") for p in proposals if p.kind == kind] for kind in KINDS
    }
    for kind in ("deduction", "abduction"):
        assert {letter for begin in begun[kind] for letter in begin} > set(OPERATIONS)
        assert {count_operations(begin) for begin in begun[kind]} >= {1, 2}
    tasks = [p for p in proposals if p.kind != "induction" and isinstance(p.outcome, Task)]
    assert tasks and all(p.outcome.program.startswith(p.request[2:]) for p in tasks)
    known = {task.program for kind in ("deduction", "abduction") for task in buffers.tasks[kind].values()}
    about = [p.request[2:].partition(":") for p in proposals if p.kind == "induction"]
    assert {program.rstrip() for program, _, _ in about} <= known
    assert {inputs.count(",") for _, _, inputs in about} >= {1, 2, 3}
    tasks = [p for p in proposals if p.kind == "induction" and isinstance(p.outcome, Task)]
    assert tasks and all(p.outcome.proposal.startswith(p.request.partition(":")[2]) for p in tasks)


def test_every_try_is_judged_and_counted_for_its_proposal(weights):
    task = make_task("deduction", "s", ["31"])
    proposals = [
        Proposal("deduction", "PD", "s:31.", task),
        Proposal("abduction", "PA", "x", Refusal("the proposal has no end", True)),
    ]
    tries, successes = tried(TINY, weights, proposals, random_buffers(TINY, 0), random.Random(0), jax.random.key(0))
    assert [len(won) for won in successes] == [TINY.solutions, 0]
    assert len(tries) == TINY.solutions + len(KINDS) * TINY.again
    assert [w.reward for w in proposals_paid(proposals, [[True, False], []])] == [0.5, -1.0]


def test_what_is_rewarded_becomes_likelier_than_what_is_not(weights):
    good, bad = (
        Written("solve", "deduction", "Ds         >31   :", text, r) for text, r in (("13.", 1), ("31.", -0.5))
    )
    sgd = optax.sgd(0.01)  # to first order it descends the loss, which is minus this difference
    learner = start_learning(sgd, weights)
    tokens, lengths = as_rows([good.question, bad.question], [good.text, bad.text])

    def likelihoods(params):
        chosen = np.take_along_axis(np.asarray(log_probs(MODEL, params, tokens)), tokens[:, 1:, None], axis=-1)[..., 0]
        return chosen[:, lengths[0] - 1 : lengths[0] + 2].sum(axis=1)

    learner = taught(TINY, sgd, learner, [good, bad], weights, jax.random.key(0))
    change = likelihoods(learner.params) - likelihoods(weights)
    assert change[0] > change[1]


def test_a_leash_holds_the_model_to_where_it_began(weights):
    settings = Settings(MODEL, 1, 12, 2, 2, 1, leash=100.0)
    prompts = as_rows(["PD"], ["s:31."])[0]

    def moved(settings):
        end = played(weights, 4, settings=settings, proposer=RandomProposer(1))[-1].learner.params
        new, old = (log_probs(MODEL, p, prompts) for p in (end, weights))
        return float(np.sum(np.exp(old) * (old - new)))

    assert moved(settings) < 0.5 * moved(TINY)


def test_answers_do_not_depend_on_how_many_are_asked_at_once(weights):
    questions = ["PD"] * (ROWS + 3)
    key = jax.random.key(0)
    assert answer(MODEL, weights, questions, key, 0.0).texts[-1] == answer(MODEL, weights, ["PD"], key, 0.0).texts[0]
    assert answer(MODEL, weights, questions, key).texts[:ROWS] == answer(MODEL, weights, questions[:ROWS], key).texts


def test_an_exam_has_distinct_tasks_of_the_length_asked_for_and_repeats_from_its_seed():
    exam = make_exam(20, 3, seed=1)
    assert exam == make_exam(20, 3, seed=1)
    assert len(exam.questions) == 60
    assert {count_operations(task.program) for own in exam.tasks.values() for task in own} == {3}


def test_an_exam_that_cannot_be_made_is_refused(monkeypatch):
    task = make_task("deduction", "s", ["31"])
    monkeypatch.setattr("optviz.language_model.reasoning.exam.random_task", lambda rng, kind, number: task)
    with pytest.raises(ValueError, match="not 2 deduction tasks"):
        make_exam(2, 1, seed=0)


def test_an_exam_marks_right_answers(weights, monkeypatch):
    exam = make_exam(4, 1, seed=1)
    by_question = {task.question: task.answer for own in exam.tasks.values() for task in own}
    module = "optviz.language_model.reasoning.exam.answer"
    monkeypatch.setattr(module, lambda m, p, qs, k, temperature: answer_sheet([by_question[q] for q in qs]))
    assert all(share(marks).value == 1 for marks in sit_exam(MODEL, weights, exam).values())
    monkeypatch.setattr(module, lambda m, p, qs, k, temperature: answer_sheet(["" for _ in qs]))
    assert all(share(marks).value == 0 for marks in sit_exam(MODEL, weights, exam).values())


def answer_sheet(texts):
    return types.SimpleNamespace(texts=texts)


def test_proposals_are_examined_for_validity_and_novelty(weights, monkeypatch):
    texts = ["s:31.", "s:31.", "r:31.", "i:9.", "zz"]

    def sheet(model, params, requests, key):
        return answer_sheet(texts * len(KINDS))

    monkeypatch.setattr("optviz.language_model.reasoning.proposers.answer", sheet)
    monkeypatch.setattr("optviz.language_model.reasoning.proposers.random_program", lambda *given: "")
    known = random_buffers(TINY, 0).added([make_task("deduction", "r", ["31"])])
    rates = examine_proposals(MODEL, weights, ["s"] * 5, 1, known, jax.random.key(0))
    assert {name: s.hits for name, s in rates["deduction"].items()} == {"valid": 3, "unique": 2, "new": 1}
    assert rates["induction"]["valid"] == Share(0, 5)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),  # Newcombe (1998), Statistics in Medicine 17, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_the_literature(count, total, low, high):
    np.testing.assert_allclose(Share(count, total).interval, (low, high), atol=5e-5)


def test_a_difference_on_the_same_tasks_is_paired():
    a, b = np.array([True] * 60 + [False] * 40), np.array([True] * 50 + [False] * 50)
    mean, (low, high) = difference(a, b)
    assert mean == pytest.approx(0.1)
    assert 0 < low < mean < high  # unpaired, the interval would hold 0


@pytest.mark.parametrize("total", [1, 10, 100, 10_000])
def test_no_difference_is_told_as_certain(total):
    marks = np.arange(total) % 3 == 0
    mean, (low, high) = difference(marks, marks)
    assert mean == 0 and -1 <= low < 0 < high <= 1 and low == -high
    assert high == pytest.approx(1.96 * math.sqrt(2) / total, rel=0.03) or total < 100
    mean, (low, high) = difference(np.ones(total, bool), np.zeros(total, bool))
    assert mean == 1 and low < 1 and high == 1


def test_intervals_of_differences_hold_them_in_95_of_100_cases():
    rng, held = np.random.default_rng(0), []
    for _ in range(1000):
        before = rng.random(100) < 0.03
        after = np.where(rng.random(100) < 0.04, ~before, before)
        low, high = difference(after, before)[1]
        held.append(low <= 0.04 * (1 - 2 * 0.03) <= high)
    assert 0.93 < np.mean(held) <= 1


def test_a_task_survives_the_round_that_proposed_it(weights):
    task = make_task("deduction", "s", ["31"])

    def always(model, params, buffers, number, rng, key):
        return [Proposal("deduction", "PD", "s:31.", task)] * 2

    rounds = played(weights, 2, proposer=always)
    assert isinstance(task, Task)
    assert rounds[0].figures["new"] == 0.5
    assert rounds[1].figures["new"] == 0
    assert task.question in rounds[1].buffers.tasks["deduction"]
