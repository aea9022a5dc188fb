"""Tasks: what is asked has a right answer, any right answer counts, and any text is judged."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optviz.language_model.reasoning.answers import as_rows
from optviz.language_model.reasoning.buffers import Buffers
from optviz.language_model.reasoning.language import Refusal, count_operations, evaluate, format_values
from optviz.language_model.reasoning.rewards import (
    MALFORMED,
    WRONG,
    advantages,
    learnability,
    proposal_reward,
    solution_reward,
)
from optviz.language_model.reasoning.tasks import (
    ALPHABET,
    END,
    KINDS,
    NUM_PAIRS,
    NUM_SHOWN,
    TEXT_LENGTH,
    Task,
    decode,
    encode,
    judge,
    make_task,
    proposed,
    random_task,
    request,
)

TEXTS = st.one_of(st.text(), st.text(ALPHABET, max_size=TEXT_LENGTH))


def random_tasks(kind, number=50, num_operations=3):
    rng = random.Random(1)
    return [random_task(rng, kind, num_operations) for _ in range(number)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_interpreter_made_every_output(kind):
    for task in random_tasks(kind):
        assert len(task.pairs) == (NUM_PAIRS if kind == "induction" else 1)
        assert count_operations(task.program) == 3
        for given_list, output in task.pairs:
            assert format_values(evaluate(task.program, given_list)) == output


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_that_a_task_was_made_with_is_right_and_its_text_fits(kind):
    for task in random_tasks(kind):
        assert judge(task, task.answer) == "right"
        assert len(task.question + task.answer) <= TEXT_LENGTH
        assert len(request(kind, task.program) + task.proposal) <= TEXT_LENGTH


@pytest.mark.parametrize("kind", KINDS)
def test_a_proposal_reads_back_as_its_task(kind):
    for task in random_tasks(kind):
        assert proposed(kind, task.proposal, task.program) == task


@pytest.mark.parametrize("kind", KINDS)
def test_questions_of_a_kind_have_one_length(kind):
    assert len({len(task.question) for task in random_tasks(kind)}) == 1


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(KINDS))
def test_any_answer_is_right_wrong_or_malformed(text, kind):
    assert judge(random_tasks(kind, 1)[0], text) in ("right", "wrong", "malformed")


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(KINDS))
def test_any_proposal_makes_a_task_or_is_refused(text, kind):
    outcome = proposed(kind, text, "ro")
    assert isinstance(outcome, Refusal) or judge(outcome, outcome.answer) == "right"


@pytest.mark.parametrize(
    ("kind", "program", "inputs", "answer", "verdict"),
    [
        ("deduction", "s", ["31"], "13.", "right"),
        ("deduction", "s", ["31"], "31.", "wrong"),
        ("deduction", "s", ["31"], "13", "malformed"),  # it never ended
        ("deduction", "s", ["31"], "1a.", "malformed"),
        ("abduction", "s", ["31"], "31.", "right"),
        ("abduction", "s", ["31"], "13.", "right"),  # another input that gives the same
        ("abduction", "s", ["31"], "33.", "wrong"),
        ("abduction", "d", ["31"], "0.", "wrong"),  # refused by the interpreter
        ("abduction", "s", ["31"], "s.", "malformed"),
        ("induction", "rr", ["31", "12", "55", "90", "123", "4"], "2r.", "right"),  # another program that does
        ("induction", "rr", ["31", "12", "55", "90", "123", "4"], "r.", "wrong"),
        ("induction", "rr", ["31", "12", "55", "90", "123", "4"], "s.", "wrong"),  # right on no hidden pair but two
        ("induction", "rr", ["31", "12", "55", "90", "123", "4"], "(r.", "malformed"),
        ("induction", "r", ["31", "12", "56", "4", "123", "5"], "o.", "wrong"),  # right on all pairs shown
        ("induction", "r", ["312", "12", "56", "4", "33", "5"], "o.", "right"),  # only hidden pairs count
    ],
)
def test_verdicts(kind, program, inputs, answer, verdict):
    assert judge(make_task(kind, program, inputs), answer) == verdict


def test_the_hidden_pairs_are_not_in_the_question():
    task = make_task("induction", "i", ["11", "12", "13", "70", "80", "555"])
    assert not any(text in task.question for pair in task.pairs[NUM_SHOWN:] for text in pair)


@pytest.mark.parametrize(
    ("kind", "text", "program", "malformed"),
    [
        ("deduction", "s:31", "", True),
        ("deduction", "s31.", "", True),
        ("deduction", "s:31,32.", "", True),
        ("deduction", "i:9.", "", False),
        ("abduction", "zz:31.", "", True),
        ("induction", "1,2,3,4,5.", "r", True),
        ("induction", "1,2,3,4,5,x.", "r", True),
        ("induction", "1,2,3,4,5,9.", "i", False),
        ("induction", "1,2,3,4,5,1.", "r", False),  # a hidden pair would be shown
    ],
)
def test_what_makes_no_task_is_malformed_or_refused(kind, text, program, malformed):
    outcome = proposed(kind, text, program)
    assert isinstance(outcome, Refusal)
    assert outcome.malformed == malformed


def test_the_same_seed_draws_the_same_tasks():
    assert random_tasks("induction", 5) == random_tasks("induction", 5)


@pytest.mark.parametrize("number", [0, 6])
def test_a_program_too_long_to_draw_is_refused(number):
    with pytest.raises(ValueError, match="1 to 5 operations"):
        random_task(random.Random(0), "deduction", number)


@given(st.text(ALPHABET))
def test_tokens_read_back(text):
    assert decode(encode(text)) == text


def test_a_character_without_a_token_is_refused():
    with pytest.raises(ValueError, match="'z'"):
        encode("sz")


def test_rows_are_padded_and_know_where_the_answer_begins():
    tokens, lengths = as_rows(["PD", "PA"], ["s:1.", "r:12."])
    assert tokens.shape == (2, TEXT_LENGTH)
    assert lengths.tolist() == [2, 2]
    assert decode(tokens[1]).rstrip() == "PAr:12."


@pytest.mark.parametrize(
    ("successes", "reward"),
    [([True, False, False, False], 0.75), ([True] * 3 + [False], 0.25), ([True] * 4, 0.0), ([False] * 4, 0.0)],
)
def test_learnability_is_one_minus_the_mean_success_and_nothing_at_the_ends(successes, reward):
    assert learnability(successes) == proposal_reward(None, successes) == reward


def test_failures_cost_half_where_the_form_is_right_and_one_where_it_is_not():
    assert proposal_reward(Refusal("", False)) == solution_reward("wrong") == WRONG == -0.5
    assert proposal_reward(Refusal("", True)) == solution_reward("malformed") == MALFORMED == -1.0
    assert solution_reward("right") == 1.0


def test_each_group_has_its_own_mean_and_deviation():
    rewards = np.array([1.0, 0.0, 0.5, 0.5, 10.0, 20.0, 30.0, 40.0], np.float32)
    groups = [("solve", "a")] * 2 + [("solve", "b")] * 2 + [("propose", "a")] * 4
    found = advantages(rewards, groups)
    np.testing.assert_allclose(found[:4], [1, -1, 0, 0])
    np.testing.assert_allclose(found[4:].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(found[4:].std(), 1, rtol=1e-6)
    np.testing.assert_allclose(advantages(3 * rewards + 7, groups), found, rtol=1e-5)


def test_answers_to_one_question_are_held_against_each_other_and_not_against_easier_questions():
    """Three answers to a hard question, three to an easy one, and two questions that were answered once."""
    rewards = np.array([1, 0, 0, 1, 1, 0, 1, 0], np.float32)
    found = advantages(rewards, ["solve"] * 8, [*"hhheee", "x", "y"])
    expected = np.array([1, -0.5, -0.5, 0.5, 0.5, -1, 0.5, -0.5])
    np.testing.assert_allclose(found, expected / np.sqrt(np.mean(expected**2)), rtol=1e-5)
    equal = advantages(np.array([1, 1, 1, 0, -1, -1], np.float32), ["solve"] * 6, [*"eeee", "x", "y"])
    assert equal[:4].any() and not equal[4:].any()  # those answered once are held against each other alone
    assert not advantages(np.array([1, 1, 0, 0], np.float32), ["solve"] * 4, [*"eehh"]).any()
    assert not advantages(np.full(7, 2 / 3, np.float32), ["propose"] * 7).any()  # whose mean is rounded
    np.testing.assert_allclose(advantages(rewards, ["a"] * 4 + ["b"] * 4, ["q"] * 8)[4:].mean(), 0, atol=1e-6)


def test_buffers_hold_a_task_once_and_none_of_the_exam():
    first, second, third = random_tasks("deduction", 3)
    empty = Buffers(forbidden=frozenset([third.question]))
    full = empty.added([first, second, first, third]).added([second])
    assert len(full) == 2
    assert len(empty) == 0
    assert not full.accepts(first)
    assert not empty.accepts(third)
    assert empty.accepts(first)


def test_the_newest_tasks_stay(monkeypatch):
    monkeypatch.setattr("optviz.language_model.reasoning.buffers.MAX_TASKS", 2)
    tasks = random_tasks("abduction", 4)
    assert list(Buffers().added(tasks).tasks["abduction"].values()) == tasks[-2:]


def test_tasks_are_drawn_without_repetition_while_there_are_enough():
    buffers = Buffers().added(random_tasks("deduction", 20))
    number = len(buffers)
    assert len({task.question for task in buffers.draw(random.Random(0), "deduction", number)}) == number
    assert len(buffers.draw(random.Random(0), "deduction", 40)) == 40
    with pytest.raises(ValueError, match="no induction task"):
        buffers.draw(random.Random(0), "induction", 1)


def test_what_stands_behind_the_end_counts_nothing():
    assert judge(make_task("deduction", "s", ["31"]), "13" + END + "31" + END) == "right"


def test_a_task_is_data():
    task = make_task("deduction", "s", ["31"])
    assert task == Task("deduction", "s", (("31", "13"),))
    assert hash(task)
