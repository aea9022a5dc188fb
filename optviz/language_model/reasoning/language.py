"""A toy programming language whose interpreter is total: every text has a value or a refusal, in bounded time.

A program is read from left to right and turns one list of digits into another; its operations are the letters of
`OPERATIONS`. A count before an operation or a group repeats it: `s3i` sorts and adds one three times, `2(ro)` is
`roro`. Lists are written as their digits, `3052`.
Nothing of Python is ever executed: a letter is looked up in a table of functions.

    >>> evaluate("s2i", "305")
    (2, 5, 7)
    >>> evaluate("9i", "305")
    Refusal(reason='an integer left 0 to 9 in the operation i', malformed=False)
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from types import MappingProxyType

Values = tuple[int, ...]
Program = tuple[tuple[int, "str | Program"], ...]
"""Parts in order, each `(count, operation letter or group)`."""

LARGEST = 9
"""Integers are 0 to 9, so that one character writes each."""
DIGITS = "0123456789"
MAX_VALUES = 5
"""Lists have one to five entries."""
MAX_PROGRAM = 10
"""Characters of a program at most."""
MAX_STEPS = 64
"""Operations carried out at most."""


def _distinct(values: Values) -> Values:
    return tuple(dict.fromkeys(values))


OPERATIONS: MappingProxyType[str, Callable[[Values], Values]] = MappingProxyType(
    {
        "a": lambda v: tuple(itertools.accumulate(v)),  # running sums
        "b": lambda v: v[1:],  # all but the first
        "c": lambda v: v[:-1],  # all but the last
        "d": lambda v: tuple(x - 1 for x in v),
        "e": lambda v: v + v[-1:],  # the last once more
        "f": lambda v: tuple(LARGEST - x for x in v),
        "i": lambda v: tuple(x + 1 for x in v),
        "o": lambda v: v[1:] + v[:1],  # the first goes to the end
        "r": lambda v: v[::-1],
        "s": lambda v: tuple(sorted(v)),
        "t": lambda v: tuple(2 * x for x in v),
        "u": _distinct,  # repeated values once, where they stand first
        "x": lambda v: v if len(v) < 2 else (v[-1], *v[1:-1], v[0]),  # first and last swapped
    }
)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why there is no value. `malformed`: the text is no program or no list; else it is one, and running it failed."""

    reason: str
    malformed: bool


def evaluate(program: str | bytes, values: str | bytes) -> Values | Refusal:
    """The list that the text `program` makes of the list written in `values`, or the reason why there is none.

    Total: any two strings or byte strings give one or the other, after at most `MAX_STEPS` operations. Never raises.
    """
    parsed, start = parse_program(program), parse_values(values)
    if isinstance(parsed, Refusal):
        return parsed
    return start if isinstance(start, Refusal) else run(parsed, start)


def parse_program(text: str | bytes) -> Program | Refusal:
    """The program that `text` writes: letters, counts 2 to 9 before letters or groups, groups in parentheses."""
    text = _decoded(text)
    if len(text) > MAX_PROGRAM:
        return Refusal(f"a program has at most {MAX_PROGRAM} characters, not {len(text)}", True)
    parsed, rest = _parts(text)
    if isinstance(parsed, Refusal):
        return parsed
    return Refusal("a closing parenthesis has no opening one", True) if rest else parsed


def parse_values(text: str | bytes) -> Values | Refusal:
    """The list that `text` writes, one digit an entry."""
    text = _decoded(text)
    if not 1 <= len(text) <= MAX_VALUES:
        return Refusal(f"a list has 1 to {MAX_VALUES} entries, not {len(text)}", True)
    if not set(text) <= set(DIGITS):  # str.isdigit knows digits of many scripts
        return Refusal("a list is written in the digits 0 to 9", True)
    return tuple(map(int, text))


def format_values(values: Values) -> str:
    """The text of a list, as `parse_values` reads it."""
    return "".join(map(str, values))


def run(program: Program, values: Values) -> Values | Refusal:
    """The list after all operations; refused when a list or an integer leaves its bounds or the steps run out."""
    for step, letter in enumerate(_unrolled(program)):
        if step == MAX_STEPS:
            return Refusal(f"a program carries out at most {MAX_STEPS} operations", False)
        values = OPERATIONS[letter](values)
        if not values:
            return Refusal(f"the list became empty in the operation {letter}", False)
        if len(values) > MAX_VALUES:
            return Refusal(f"the list grew beyond {MAX_VALUES} entries in the operation {letter}", False)
        if min(values) < 0 or max(values) > LARGEST:
            return Refusal(f"an integer left 0 to {LARGEST} in the operation {letter}", False)
    return values


def count_operations(text: str) -> int:
    """How many operations are written in a program's text, each once however often it is repeated."""
    return sum(c in OPERATIONS for c in text)


def _parts(text: str) -> tuple[Program | Refusal, str]:
    """The parts that `text` begins with, and the text from the first closing parenthesis on."""
    parts: Program = ()
    while text and text[0] != ")":
        digits = text[: len(text) - len(text.lstrip("23456789"))]
        body, text = _body(text[len(digits) :])
        if isinstance(body, Refusal):
            return body, ""
        parts += ((math.prod(map(int, digits)), body),)
    return parts or Refusal("a program and a group have at least one operation", True), text


def _body(text: str) -> tuple[str | Program | Refusal, str]:
    """The operation or group that `text` begins with, and the text after it."""
    if text[:1] in OPERATIONS:
        return text[0], text[1:]
    if text[:1] != "(":
        return Refusal(f"an operation or a group is expected, not {text[:1] or 'the end'}", True), ""
    group, rest = _parts(text[1:])
    if isinstance(group, Refusal):
        return group, ""
    return (group, rest[1:]) if rest else (Refusal("an opening parenthesis has no closing one", True), "")


def _unrolled(program: Program) -> Iterator[str]:
    """The operations in the order in which they are carried out; lazily, since there may be billions."""
    for count, body in program:
        for _ in range(count):
            yield from body if isinstance(body, str) else _unrolled(body)


def _decoded(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
