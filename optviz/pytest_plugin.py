"""A pytest plugin, installed with the package: `parametrize_with_checks` makes a test of every law.

    from optviz.pytest_plugin import parametrize_with_checks

    @parametrize_with_checks([OptimizerSpec(my_optimizer, learning_rate=0.1)])
    def test_my_optimizer(optimizer, law):
        law(optimizer)

Each law is one test, named after the optimizer and the law; one that says nothing about the optimizer is skipped with
the reason, and an expected failure is a strict xfail. `pytest -m optviz_law` runs these tests alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark of these tests known."""
    config.addinivalue_line("markers", "optviz_law: a law of optviz that an optimizer must obey")


@dataclasses.dataclass(frozen=True)
class LawTest:
    """A law as a test calls it."""

    id: str

    def __call__(self, optimizer: Any, **hyperparameters: Any) -> None:
        """Fail the test if the law is broken, skip it if it says nothing about the optimizer."""
        import pytest

        from optviz.conformance.check import LAWS, checked
        from optviz.conformance.subject import subject_of

        law = next(law for law in LAWS if law.id == self.id)
        result = checked(law, subject_of(optimizer, hyperparameters), {})
        if result.outcome == "not applicable":
            pytest.skip(result.detail)
        if result.failed:
            pytest.fail(f"{law.id}: {result.detail}\nWhy it matters: {law.why}\nMend: {result.mend}", pytrace=False)


def parametrize_with_checks(
    optimizers: Any, expected_failures: Mapping[str, Mapping[str, str]] | None = None
) -> pytest.MarkDecorator:
    """A decorator that calls a test with every `optimizer` and every `law`.

    Args:
      optimizers: a sequence of what `check_optimizer` takes, or one such.
      expected_failures: by name of an optimizer, then by id of a law, the reason of a known failure.

    Raises:
      ValueError: for failures expected of an optimizer or a law that is not there.
    """
    import pytest

    from optviz.conformance.check import LAWS
    from optviz.conformance.subject import subject_of
    from surfaces.names import unknown_name

    chosen = optimizers if isinstance(optimizers, list | tuple) else [optimizers]
    names = [subject_of(optimizer, {}).name for optimizer in chosen]
    ids = [law.id for law in LAWS]
    for known, reasons in (expected_failures or {}).items():
        for kind, name, there in (("optimizer", known, names), *(("law", law, ids) for law in reasons)):
            if name not in there:
                raise ValueError(unknown_name(kind, name, there))
    cases = []
    for optimizer, name in zip(chosen, names, strict=True):
        reasons = (expected_failures or {}).get(name, {})
        for law in LAWS:
            marks = [pytest.mark.optviz_law]
            marks += [pytest.mark.xfail(reason=reasons[law.id], strict=True)] if law.id in reasons else []
            cases.append(pytest.param(optimizer, LawTest(law.id), id=f"{name}-{law.id}", marks=marks))
    return pytest.mark.parametrize(("optimizer", "law"), cases)
