"""Rewards and baselines of verified self-play, after the Absolute Zero Reasoner (arXiv:2505.03335, section 3).

Differences from the published code (LeapLabTHU/Absolute-Zero-Reasoner, `rewards/reward_managers.py`): there a proposal
whose task is never or always solved has -0.5, here 0 as in the paper; there a program that fails has -1 like text that
is no program, here -0.5, being well-formed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from optviz.language_model.reasoning.language import Refusal
from optviz.language_model.reasoning.tasks import Verdict

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


def advantages(rewards: Float[np.ndarray, " n"], groups: Sequence[object]) -> Float[np.ndarray, " n"]:
    """Rewards less the mean of their group, over its standard deviation: Task-Relative REINFORCE++ (section 3.3).

    A group is a role with a kind of task, six in all. In a group where all rewards are equal nothing is to be learnt:
    its advantages are 0.
    """
    result = np.zeros(len(rewards), np.float32)
    labels = np.array([str(group) for group in groups])
    for label in set(labels):
        own = rewards[labels == label]
        result[labels == label] = (own - own.mean()) / own.std() if np.ptp(own) > 0 else 0.0
    return result
