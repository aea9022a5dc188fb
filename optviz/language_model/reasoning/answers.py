"""What the model writes when it is asked: texts in, texts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int, PRNGKeyArray

from optviz.language_model.policy import write
from optviz.language_model.reasoning.tasks import ALPHABET, END, TEXT_LENGTH, decode, encode
from surfaces.transformer import Transformer, Weights

ROWS = 64
"""Texts written at once: one compiled program for any number of questions."""


class Answers(NamedTuple):
    """Questions with what was written after them, as tokens and as text (`END` included, padding not)."""

    tokens: Int[np.ndarray, "B T"]
    lengths: Int[np.ndarray, " B"]
    """Tokens of each question."""
    texts: list[str]


def answer(
    model: Transformer, params: Weights, questions: Sequence[str], key: PRNGKeyArray, temperature: float = 1.0
) -> Answers:
    """One answer to each question, drawn at `temperature`; at 0 the likeliest tokens.

    Questions of equal length should stand together: a block of `ROWS` takes as long as its longest answer.
    """
    tokens, lengths = as_rows(questions, [""] * len(questions))
    for block, first in enumerate(range(0, len(questions), ROWS)):
        rows = np.arange(first, first + ROWS).clip(max=len(questions) - 1)
        block_key = jax.random.fold_in(key, block)
        written = write(
            model, params, tokens[rows], lengths[rows], block_key, np.float32(temperature), end=ALPHABET.index(END)
        )
        tokens[rows] = np.asarray(written)
    texts = [decode(row[length:]).rstrip() for row, length in zip(tokens, lengths, strict=True)]
    return Answers(tokens, lengths, texts)


def as_rows(questions: Sequence[str], texts: Sequence[str]) -> tuple[Int[np.ndarray, "B T"], Int[np.ndarray, " B"]]:
    """The tokens of questions with given answers, padded to `TEXT_LENGTH`, and the lengths of the questions."""
    tokens = np.zeros((len(questions), TEXT_LENGTH), np.int32)
    for row, question, text in zip(tokens, questions, texts, strict=True):
        row[: len(question) + len(text)] = encode(question + text)
    return tokens, np.array([len(question) for question in questions], np.int32)
