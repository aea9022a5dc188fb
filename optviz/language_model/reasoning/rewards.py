"""Rewards and baselines of verified self-play, after the Absolute Zero Reasoner (arXiv:2505.03335, section 3).

Differences from the published code (LeapLabTHU/Absolute-Zero-Reasoner, `rewards/reward_managers.py`): there a proposal
whose task is never or always solved has -0.5, here 0 as in the paper; there a program that fails has -1 like text that
is no program, here -0.5, being well-formed; there the baseline is the mean of a role and kind, here that of a task's
other answers where it has several.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from optviz.language_model.reasoning.language import Refusal
from optviz.language_model.reasoning.tasks import Verdict

_ROUNDING = 1e-6  # of the mean of equal rewards
WRONG = -0.5
MALFORMED = -1.0


def learnability(successes: Sequence[bool]) -> float:
    """One minus the mean success of the solutions tried; 0 for a task that was never or always solved."""
    mean = sum(successes) / len(successes)
    return 1 - mean if 0 < mean < 1 else 0.0


def proposal_reward(refusal: Refusal | None, successes: Sequence[bool] = ()) -> float:
    """A task's learnability; -0.5 for a well-formed text that makes no task, -1 for a malformed one."""
    if refusal is None:
        return learnability(successes)
    return MALFORMED if refusal.malformed else WRONG


def solution_reward(verdict: Verdict) -> float:
    """1 for a right answer, -0.5 for a well-formed wrong one, -1 for a malformed one."""
    return {"right": 1.0, "wrong": WRONG, "malformed": MALFORMED}[verdict]


def advantages(
    rewards: Float[np.ndarray, " n"], groups: Sequence[object], questions: Sequence[str] | None = None
) -> Float[np.ndarray, " n"]:
    """Rewards less their baseline, over the standard deviation in their group: Task-Relative REINFORCE++ (section 3.3).

    A group is a role with a kind of task, six in all. An answer to one of the `questions` that was answered several
    times has the mean of its other answers for a baseline, since else the difficulty of questions is most of what is
    learnt from: Kool, van Hoof & Welling (2019), Buy 4 REINFORCE samples, get a baseline for free. Those answered once
    share the mean of their rewards in the group. Where all rewards are equal nothing is to be learnt: the advantages
    are 0.
    """
    result, labels = np.zeros(len(rewards), np.float32), _numbered(groups)
    asked = _numbered(range(len(rewards)) if questions is None else zip(labels, questions, strict=True))
    often = np.bincount(asked)[asked]
    means = np.bincount(asked, rewards)[asked] / often
    for label in range(labels.max(initial=-1) + 1):
        once, again = (labels == label) & (often == 1), (labels == label) & (often > 1)
        result[once] = rewards[once] - rewards[once].mean() if once.any() else 0.0
        result[again] = (rewards - means)[again] * (often / np.maximum(often - 1, 1))[again]
        own = labels == label
        size = float(np.sqrt(np.mean(result[own] ** 2)))
        result[own] = result[own] / size if size > _ROUNDING else 0.0
    return result


def _numbered(values: Iterable[Any]) -> Int[np.ndarray, " n"]:
    """Equal values have equal numbers, from 0 on."""
    known: dict[Any, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], int)
