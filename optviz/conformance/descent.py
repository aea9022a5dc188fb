"""Laws of results: the optimizer descends, and agrees with a reference."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import surfaces
from optviz.conformance.law import Broken, NotApplicable, law
from optviz.conformance.subject import Subject
from optviz.optimizers import GivenOptimizer, OptimizerSpec
from optviz.optimizers.protocol import as_optimizer
from optviz.sweeps import sweep
from optviz.trace import record

_RATES = np.geomspace(1e-5, 10.0, 25)
_SHARE = 0.01
_BOWL = surfaces.QuadraticBowl()


@law(
    "descent.convex",
    "An optimizer that cannot descend a bowl has its sign or its scale wrong.",
    "Return what is to be added to the parameters: minus the direction uphill.",
)
def convex(subject: Subject) -> str | None:
    """On a bowl of condition number 10 the loss falls to a hundredth, at the best of 25 rates if there is a rate."""
    first = float(_BOWL(_BOWL.start))
    if "learning_rate" in subject.floats:
        assert subject.factory is not None
        spec = OptimizerSpec(subject.factory, **subject.numbers, **dict(subject.options))
        swept = sweep(spec, _BOWL, _BOWL.start, subject.budget, axes={"learning_rate": _RATES}, metrics=["best_loss"])
        best, rate = float(swept.best_loss.min()), float(swept.best_loss.idxmin())
        told = f"at the rate {rate:.2g}"
    else:
        trace = record(GivenOptimizer(subject.transformation, subject.name), _BOWL, _BOWL.start, subject.budget)
        best, told = float(jnp.nanmin(trace.losses)), "as given"
    if not best <= _SHARE * first:
        raise Broken(
            f"{subject.budget} steps on {_BOWL.name} bring the loss from {first:.3g} to {best:.3g} at best {told}"
        )
    return f"from {first:.3g} to {best:.3g} {told}"


@law(
    "golden.reference",
    "An implementation of a published method should be that method.",
    "Read the first step that differs: at step 1 it is the formula, later the state or its correction.",
)
def reference(subject: Subject) -> str | None:
    """Step by step equal to a reference: another optimizer, on gradients of Rosenbrock's valley in float64."""
    if subject.reference is None:
        raise NotApplicable("no reference was given")
    with jax.enable_x64(True):
        valley = surfaces.Rosenbrock()
        start = np.asarray(valley.start, np.float64)
        other = record(as_optimizer(subject.reference), valley, start, 100)
        mine = record(GivenOptimizer(subject.transformation, subject.name), valley, start, 100)
        differ = ~np.isclose(np.asarray(mine.path), np.asarray(other.path), rtol=1e-6, atol=1e-9, equal_nan=True)
    if differ.any():
        t, i = np.argwhere(differ)[0]
        a, b = np.asarray(mine.path)[t, i], np.asarray(other.path)[t, i]
        raise Broken(f"from step {t} on it differs from {other.name}: x{i + 1} is {a:.8g}, not {b:.8g}")
    return f"equal to {other.name} for 100 steps"


LAWS: tuple[Any, ...] = (convex, reference)
