"""The interpreter is total: any text has a value or a reasoned refusal, in bounded time; and it means what it says."""

import ast
import itertools
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optviz.language_model.reasoning import language
from optviz.language_model.reasoning.language import (
    LARGEST,
    MAX_PROGRAM,
    MAX_VALUES,
    OPERATIONS,
    Refusal,
    count_operations,
    evaluate,
    format_values,
    parse_program,
    parse_values,
)

LETTERS = "".join(OPERATIONS)
ANYTHING = st.one_of(st.text(), st.binary(), st.text(LETTERS + "0123456789()", max_size=MAX_PROGRAM + 2))
LISTS = st.text("0123456789", min_size=1, max_size=MAX_VALUES)


@settings(max_examples=800, deadline=None)
@given(ANYTHING, st.one_of(ANYTHING, LISTS))
def test_any_text_has_a_value_within_bounds_or_a_reason(program, values):
    result = evaluate(program, values)
    if isinstance(result, Refusal):
        assert result.reason and isinstance(result.malformed, bool)
    else:
        assert 1 <= len(result) <= MAX_VALUES
        assert all(type(x) is int and 0 <= x <= LARGEST for x in result)


@pytest.mark.parametrize(
    "program", ["9" * 9 + "r", "9(9(9(9r))", "9(9(99r))", "(" * 10, ")" * 10, "9" * 10, "r" * 100_000, "(" * 100_000]
)
def test_the_worst_texts_are_answered_in_bounded_time(program):
    began = time.process_time()
    evaluate(program, "12")
    assert time.process_time() - began < 0.05  # the slowest takes 1e-4 s; the machine may be busy


@settings(max_examples=300, deadline=None)
@given(st.text(LETTERS, min_size=1, max_size=MAX_PROGRAM), LISTS)
def test_a_program_is_its_operations_one_after_the_other(program, values):
    expected = parse_values(values)
    for letter in program:
        expected = OPERATIONS[letter](expected)
        if not 1 <= len(expected) <= MAX_VALUES or not 0 <= min(expected) <= max(expected) <= LARGEST:
            assert isinstance(evaluate(program, values), Refusal)
            return
    assert evaluate(program, values) == expected


@pytest.mark.parametrize(
    ("counted", "written_out"),
    [("3r", "rrr"), ("2(ro)", "roro"), ("(ro)x", "rox"), ("23o", "6o"), ("s2(e2(xo))", "sexoxoexoxo"), ("((r))", "r")],
)
def test_a_count_repeats_what_stands_behind_it(counted, written_out):
    for length, start in itertools.product((2, 3), ("12345", "90817")):
        shorter = start[:length]
        unrolled = parse_values(shorter)
        for part in written_out.replace("6o", "oooooo"):
            unrolled = OPERATIONS[part](unrolled)
        assert evaluate(counted, shorter) == unrolled


@pytest.mark.parametrize(
    ("letter", "given_list", "made"),
    [
        ("a", "1203", "1336"), ("b", "305", "05"), ("c", "305", "30"), ("d", "315", "204"), ("e", "305", "3055"),
        ("f", "305", "694"), ("i", "305", "416"), ("o", "305", "053"), ("r", "305", "503"), ("s", "305", "035"),
        ("t", "304", "608"), ("u", "3033", "30"), ("x", "3052", "2053"), ("x", "4", "4"),
    ],
)  # fmt: skip
def test_each_operation_does_what_its_line_says(letter, given_list, made):
    assert format_values(evaluate(letter, given_list)) == made


@pytest.mark.parametrize(
    ("program", "values", "word", "malformed"),
    [
        ("i", "9", "left 0 to 9", False), ("d", "0", "left 0 to 9", False), ("t", "5", "left 0 to 9", False),
        ("b", "1", "empty", False), ("5e", "1", "grew", False), ("8(9r)", "1", "at most 64 operations", False),
        ("", "1", "at least one", True), ("()", "1", "at least one", True), ("z", "1", "not z", True),
        ("2", "1", "not the end", True), ("(r", "1", "no closing", True), ("r)", "1", "no opening", True),
        ("1r", "1", "not 1", True), ("r" * 11, "1", "at most 10", True), ("r", "", "1 to 5 entries", True),
        ("r", "123456", "1 to 5 entries", True), ("r", "-1", "digits", True), ("r", "٣", "digits", True),
        (b"\xff", "1", "expected", True), ("eval('1')", "1", "expected", True),
    ],
)  # fmt: skip
def test_a_refusal_says_why_and_whether_it_was_a_program_at_all(program, values, word, malformed):
    result = evaluate(program, values)
    assert isinstance(result, Refusal)
    assert word in result.reason
    assert result.malformed == malformed


@given(LISTS)
def test_a_list_reads_back(text):
    assert format_values(parse_values(text)) == text


def test_bytes_mean_the_same_as_text():
    assert parse_program(b"2(ro)") == parse_program("2(ro)")
    assert evaluate(b"s2i", b"305") == evaluate("s2i", "305") == (2, 5, 7)


def test_operations_are_counted_as_written():
    assert count_operations("s3i2(ro)") == 4


def test_nothing_of_python_is_executed():
    names = {node.id for node in ast.walk(ast.parse(Path(language.__file__).read_text())) if isinstance(node, ast.Name)}
    assert not names & {"eval", "exec", "compile", "getattr", "__import__", "globals"}
