"""Tasks about programs: three kinds, their text, and what a text is worth. Everything is checked by the interpreter.

A task is a program with inputs and the outputs that the interpreter makes of them. After the Absolute Zero Reasoner
(Zhao et al. 2025, arXiv:2505.03335, section 3), one of the three is asked for:

    kind        given                       asked for               question                 an answer
    deduction   program, input              the output              `Ds2i       >305  :`     `257.`
    abduction   program, output             any input that gives it `As2i       <257  :`     `530.`
    induction   three pairs, three hidden   any program that does   `I305  >257  ,...:`      `s2i.`

A proposer answers `PD` or `PA` with a program and an input, `s2i:305.`, and `PIs2i       :` with six inputs,
`305,21,...,7.` In a question programs and lists are padded, so that the same thing always stands in the same place.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int

from optviz.language_model.reasoning.language import (
    DIGITS,
    MAX_PROGRAM,
    MAX_VALUES,
    OPERATIONS,
    Refusal,
    evaluate,
    format_values,
    parse_program,
    parse_values,
)

Kind = Literal["deduction", "abduction", "induction"]
Verdict = Literal["right", "wrong", "malformed"]
KINDS: tuple[Kind, ...] = ("deduction", "abduction", "induction")

NUM_SHOWN = 3
NUM_PAIRS = 2 * NUM_SHOWN
"""Pairs of an induction task; the second half is hidden, as in the published code."""
PAD, END = " ", "."
ALPHABET = PAD + END + ":,<>()PDAI" + DIGITS + "".join(OPERATIONS)
"""Every character of a task's text; the place of a character is its token, that of the padding is 0."""
TEXT_LENGTH = max(
    len("I:.") + NUM_SHOWN * (2 * MAX_VALUES + len(">,")) - 1 + MAX_PROGRAM,
    len("PI:.") + MAX_PROGRAM + NUM_PAIRS * (MAX_VALUES + len(",")) - 1,
)
"""Characters of the longest question with its answer."""
_REPEATS = 0.1


@dataclasses.dataclass(frozen=True)
class Task:
    """A program with inputs and outputs, all as text; one pair, or `NUM_PAIRS` for induction."""

    kind: Kind
    program: str
    pairs: tuple[tuple[str, str], ...]

    @property
    def question(self) -> str:
        """What the solver reads."""
        given, output = self.pairs[0]
        if self.kind == "deduction":
            return f"D{_program(self.program)}>{_values(given)}:"
        if self.kind == "abduction":
            return f"A{_program(self.program)}<{_values(output)}:"
        return "I" + ",".join(f"{_values(i)}>{_values(o)}" for i, o in self.pairs[:NUM_SHOWN]) + ":"

    @property
    def answer(self) -> str:
        """The answer that the task was made with; abduction and induction may have others."""
        given, output = self.pairs[0]
        return {"deduction": output, "abduction": given, "induction": self.program}[self.kind] + END

    @property
    def proposal(self) -> str:
        """What a proposer writes to propose this task, after `request(kind, program)`."""
        inputs = ",".join(given for given, _ in self.pairs)
        return (inputs if self.kind == "induction" else f"{self.program}:{inputs}") + END


def request(kind: Kind, program: str = "") -> str:
    """What a proposer reads: the kind, and for induction the program for which it shall choose inputs."""
    return f"PI{_program(program)}:" if kind == "induction" else {"deduction": "PD", "abduction": "PA"}[kind]


def proposed(kind: Kind, text: str, program: str = "") -> Task | Refusal:
    """The task that a proposer's `text` makes, or why it makes none. Any text is allowed.

    Malformed: no end, no program, no lists, or not `NUM_PAIRS` of them. Else refused: the interpreter refuses an input,
    or an induction task repeats one, so that a hidden pair would be shown.
    """
    text, end, _ = text.partition(END)
    if not end:
        return Refusal("the proposal has no end", True)
    if kind != "induction":
        program, _, text = text.partition(":")
    inputs = tuple(text.split(","))
    if len(inputs) != (needed := NUM_PAIRS if kind == "induction" else 1):
        return Refusal(f"{kind} needs {needed} input{'s' * (needed > 1)}, not {len(inputs)}", True)
    return make_task(kind, program, inputs)


def make_task(kind: Kind, program: str, inputs: Sequence[str]) -> Task | Refusal:
    """The task of a program and inputs; the interpreter adds the outputs."""
    outputs = [evaluate(program, given) for given in inputs]
    refusals = [o for o in outputs if isinstance(o, Refusal)]
    if refusals:
        return max(refusals, key=lambda refusal: refusal.malformed)
    if len(set(inputs)) < len(inputs):
        return Refusal("an input is repeated", False)
    texts = [format_values(o) for o in outputs if not isinstance(o, Refusal)]
    return Task(kind, program, tuple(zip(inputs, texts, strict=True)))


def judge(task: Task, text: str) -> Verdict:
    """What a solver's `text` is worth. Any text is allowed.

    The interpreter decides: an abduced input is right if the program makes the output of it, an induced program if it
    makes the outputs of all hidden pairs. A deduced output is right if it is the program's.
    """
    text, end, _ = text.partition(END)
    parsed = parse_program(text) if task.kind == "induction" else parse_values(text)
    if not end or isinstance(parsed, Refusal):
        return "malformed"
    if task.kind == "deduction":
        right = text == task.pairs[0][1]
    elif task.kind == "abduction":
        right = _gives(task.program, text, task.pairs[0][1])
    else:
        right = all(_gives(text, given, output) for given, output in task.pairs[NUM_SHOWN:])
    return "right" if right else "wrong"


def random_task(rng: random.Random, kind: Kind, num_operations: int) -> Task:
    """A task whose program has `num_operations` random operations, one in ten repeated twice or thrice.

    Lists have two to four random digits. Drawn anew until the interpreter refuses nothing.

    Raises:
      ValueError: for a number of operations that a program cannot always hold with its counts.
    """
    if not 1 <= num_operations <= MAX_PROGRAM // 2:
        raise ValueError(f"A random program has 1 to {MAX_PROGRAM // 2} operations, got {num_operations}.")
    needed = NUM_PAIRS if kind == "induction" else 1
    while True:
        program, inputs = random_program(rng, num_operations), dict[str, None]()
        for _ in range(4 * needed):  # a program that refuses most inputs is not worth looking for those that it takes
            given = random_input(rng)
            if len(inputs) < needed and not isinstance(evaluate(program, given), Refusal):
                inputs[given] = None
        task = make_task(kind, program, list(inputs))
        if isinstance(task, Task) and len(inputs) == needed:
            return task


def random_program(rng: random.Random, num_operations: int) -> str:
    """The text of `num_operations` random operations, some with a count."""
    letters = rng.choices("".join(OPERATIONS), k=num_operations)
    return "".join(rng.choice("23") + letter if rng.random() < _REPEATS else letter for letter in letters)


def random_input(rng: random.Random) -> str:
    """Two to four random digits."""
    return "".join(rng.choices(DIGITS, k=rng.randint(2, 4)))


def encode(text: str) -> Int[np.ndarray, " characters"]:
    """The tokens of a text.

    Raises:
      ValueError: for a character that no task has.
    """
    places = [ALPHABET.find(c) for c in text]
    if -1 in places:
        raise ValueError(f"A task is written in the characters {ALPHABET!r}, got {text[places.index(-1)]!r}.")
    return np.array(places, np.int32)


def decode(tokens: Int[np.ndarray, " characters"]) -> str:
    """The text of tokens, padding included."""
    return "".join(ALPHABET[token] for token in tokens)


def _program(text: str) -> str:
    return text.ljust(MAX_PROGRAM, PAD)


def _values(text: str) -> str:
    return text.ljust(MAX_VALUES, PAD)


def _gives(program: str, given: str, output: str) -> bool:
    values = evaluate(program, given)
    return not isinstance(values, Refusal) and format_values(values) == output
