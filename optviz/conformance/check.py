"""`check_optimizer`: every law on one optimizer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from optviz.conformance import descent, edges, persistence, protocol, transformations, types, wrapping
from optviz.conformance.law import Broken, Law, NotApplicable, described
from optviz.conformance.report import Report, Result
from optviz.conformance.subject import Subject, subject_of
from optviz.conformance.traits import traits
from surfaces.names import unknown_name

LAWS: tuple[Law, ...] = (
    *protocol.LAWS,
    *transformations.LAWS,
    *types.LAWS,
    *wrapping.LAWS,
    *edges.LAWS,
    *persistence.LAWS,
    *descent.LAWS,
)


class CheckFailed(AssertionError):
    """An optimizer breaks a law; the message lists which, and how to mend it."""


def check_optimizer(
    optimizer: Any,
    /,
    *,
    raise_on_failure: bool = False,
    expected_failures: Mapping[str, str] | None = None,
    only: Sequence[str] | None = None,
    reference: Any = None,
    budget: int = 1000,
    with_traits: bool = True,
    **hyperparameters: Any,
) -> Report:
    """Check an Optax-compatible optimizer against every law.

    Args:
      optimizer: a factory with its `hyperparameters`, an optimizer of the catalogue, or a ready-made
        `GradientTransformation`, for which the laws about hyperparameters do not apply.
      raise_on_failure: raise `CheckFailed` if a law is broken.
      expected_failures: by id of a law, the reason why it is known to be broken. That it holds is a failure then.
      only: ids of laws, or their groups, such as `"edges"`.
      reference: an optimizer with which it must agree step by step.
      budget: the number of steps in which it must descend a bowl.
      with_traits: whether to measure the traits as well.
      **hyperparameters: for a factory or a spec.

    Raises:
      TypeError, ValueError: for something that is no optimizer, an unknown law, or unknown hyperparameters.
      CheckFailed: if asked for.
    """
    expected = dict(expected_failures or {})
    ids = [law.id for law in LAWS]
    for name in expected:
        if name not in ids:
            raise ValueError(unknown_name("law", name, ids))
    chosen = [law for law in LAWS if only is None or any(_is_meant(law, name) for name in only)]
    if not chosen:
        raise ValueError(f"There is no law or group {', '.join(only or ())}. There are {', '.join(ids)}.")
    subject = subject_of(optimizer, hyperparameters, reference=reference, budget=budget)
    results: list[Result] = []
    for law in chosen:
        results.append(_unless_told(checked(law, subject, expected), results))
    report = Report(subject.name, results, traits(subject) if with_traits else {})
    if raise_on_failure and not report.passed:
        lines = [f"{r.law.id}: {r.detail}\n    Mend: {r.mend}" for r in report.failures]
        raise CheckFailed(f"{subject.name} breaks {len(lines)} of {len(results)} laws:\n" + "\n".join(lines))
    return report


def _is_meant(law: Law, name: str) -> bool:
    return name == law.id or law.id.startswith(f"{name}.")


def checked(law: Law, subject: Subject, expected_failures: Mapping[str, str]) -> Result:
    """The verdict of one law."""
    begin = time.perf_counter()
    expected = expected_failures.get(law.id)
    cause, mend = "", law.mend
    try:
        seen = law.check(subject)
        outcome, detail = "pass", seen or ""
    except NotApplicable as reason:
        outcome, detail = "not applicable", str(reason)
    except (Exception, SystemExit) as error:  # the optimizer's own error, wherever it is raised
        own = error.__cause__ if isinstance(error, Broken) else error
        cause = "" if own is None else described(own)
        outcome, detail = "fail", " ".join(str(error).split()) if isinstance(error, Broken) else cause
        if isinstance(own, jax.errors.ConcretizationTypeError):
            mend = transformations.jit.mend
    if expected is not None and outcome == "fail":
        outcome, detail = "expected failure", f"{expected} ({detail})"
    elif expected is not None and outcome == "pass":
        outcome, detail = "unexpected pass", f"it holds, though it was expected to fail: {expected}"
    return Result(law, outcome, detail, time.perf_counter() - begin, cause, mend)  # type: ignore[arg-type]


def _unless_told(result: Result, earlier: Sequence[Result]) -> Result:
    """The result, with its advice replaced where an earlier law failed for the same reason."""
    if result.outcome != "fail":
        return result
    failed = [r for r in earlier if r.outcome == "fail"]
    for r in failed:
        if r.cause and r.cause == result.cause:
            return dataclasses.replace(result, mend=f"It is the error of {r.law.id}: mend that first.")
    if protocol.update_is_pure in (r.law for r in failed):
        advice = f"It may follow from {protocol.update_is_pure.id}: mend that first. {result.mend}"
        return dataclasses.replace(result, mend=advice)
    return result
