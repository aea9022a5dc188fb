"""Which optimizers suit: questions whose answers are read off the catalogue, so that a new entry is asked as well."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from optviz.app.shell import _
from optviz.optimizers import OptimizerEntry, optimizer

NEEDS = {
    "value": _("the loss"),
    "gradient function": _("gradients at other points"),
    "line search": _("a line search"),
    "hessian": _("second derivatives"),
    "residuals": _("residuals of a sum of squares"),
    "matrix": _("parameters that are matrices"),
}
_MEASURED = 64
"""Parameters of the vector whose state is counted."""


class Answer(NamedTuple):
    """An answer and the entries that it leaves."""

    text: str
    fits: Callable[[OptimizerEntry], bool]


class Question(NamedTuple):
    """A question with its answers by name; the first leaves everything."""

    name: str
    text: str
    answers: Mapping[str, Answer]


def _tunable(entry: OptimizerEntry) -> int:
    return sum(h.low is not None and h.name != "seed" for h in entry.hyperparameters)


QUESTIONS = (
    Question(
        "known",
        _("What do you know beside the gradient?"),
        {
            "any": Answer(_("does not matter"), lambda e: True),
            "gradient": Answer(_("the gradient alone"), lambda e: not set(e.needs) - {"matrix"}),
            "value": Answer(_("the loss, too"), lambda e: not set(e.needs) - {"matrix", "value"}),
            "curvature": Answer(
                _("second derivatives or residuals"), lambda e: bool({"hessian", "residuals"} & set(e.needs))
            ),
        },
    ),
    Question(
        "rate",
        _("Will you tune a learning rate?"),
        {
            "any": Answer(_("does not matter"), lambda e: True),
            "yes": Answer(_("yes"), lambda e: e.learning_rate is not None),
            "no": Answer(_("no, it should find its own"), lambda e: e.learning_rate is None),
            "few": Answer(_("yes, but hardly anything else"), lambda e: _tunable(e) <= 2),
        },
    ),
    Question(
        "memory",
        _("How much memory is there?"),
        {
            "any": Answer(_("does not matter"), lambda e: True),
            "none": Answer(_("none beside the parameters"), lambda e: memory(e) < 0.5),
            "one": Answer(_("at most one number per parameter"), lambda e: memory(e) <= 1.5),
            "two": Answer(_("at most two numbers per parameter"), lambda e: memory(e) <= 2.5),
        },
    ),
    Question(
        "parameters",
        _("What are the parameters?"),
        {
            "any": Answer(_("does not matter"), lambda e: True),
            "vector": Answer(_("numbers or vectors"), lambda e: "matrix" not in e.needs),
            "matrix": Answer(_("matrices, as in a network"), lambda e: not {"hessian", "residuals"} & set(e.needs)),
        },
    ),
)


def fits(entry: OptimizerEntry, answers: Mapping[str, str]) -> bool:
    """Whether an entry suits all the answers."""
    return all(question.answers[answers[question.name]].fits(entry) for question in QUESTIONS)


def in_order(entries: Sequence[OptimizerEntry]) -> list[OptimizerEntry]:
    """What everyone knows first, then the newest."""
    return sorted(entries, key=lambda e: (not e.well_known, -e.year))


def memory(entry: OptimizerEntry) -> float:
    """How many numbers per parameter an optimizer keeps between steps, counted on a vector of 64."""
    return _memory(entry.name)


@functools.cache
def _memory(name: str) -> float:
    state = jax.eval_shape(optimizer(name).init, jax.ShapeDtypeStruct((_MEASURED,), jnp.float32))
    sizes = (math.prod(leaf.shape) for leaf in jax.tree.leaves(state) if leaf.shape)
    return sum(sizes) / _MEASURED
