"""Every optimizer of the catalogue obeys every law, but for what its entry says and why."""

import pytest

import optviz
from optviz.conformance import LAWS, check_optimizer

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.mark.parametrize("entry", optviz.CATALOGUE, ids=lambda e: e.name)
def test_an_optimizer_obeys_the_laws_but_for_its_known_failures(entry):
    report = check_optimizer(entry.spec(), expected_failures=entry.known_failures, with_traits=False)
    assert report.passed, "\n".join(f"{r.law.id}: {r.outcome}: {r.detail}" for r in report.failures)


@pytest.mark.parametrize("entry", optviz.CATALOGUE, ids=lambda e: e.name)
def test_known_failures_name_laws_and_give_reasons(entry):
    assert set(entry.known_failures) <= {law.id for law in LAWS}
    assert all(len(reason.split()) > 3 for reason in entry.known_failures.values())
