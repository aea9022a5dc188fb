"""Every law can fail, and holds for gradient descent; a report says what to mend."""

import inspect
import json
import os
import subprocess
import sys

import optax
import pytest

import optviz
from optviz.conformance import LAWS, CheckFailed, check_optimizer
from tests.conformance.broken import BROKEN, RATE

IDS = [law.id for law in LAWS]


def found(law, optimizer, **options):
    (result,) = check_optimizer(optimizer, only=[law], with_traits=False, **options).results
    return result


def broken(law):
    factory = BROKEN[law]
    takes_a_rate = "learning_rate" in inspect.signature(factory).parameters
    return optviz.OptimizerSpec(factory, learning_rate=RATE) if takes_a_rate else factory()


@pytest.mark.parametrize("law", [law for law in IDS if law != "persistence.sharding"])
def test_a_law_fails_for_the_optimizer_that_breaks_it(law):
    result = found(law, broken(law), reference=optax.sgd(RATE))
    assert result.outcome == "fail" and result.detail


def test_the_law_of_sharding_fails_on_two_devices():
    code = (
        "from tests.conformance.broken import BROKEN; from optviz.conformance import check_optimizer; import optax;"
        "law = 'persistence.sharding';"
        "print([check_optimizer(o, only=[law], with_traits=False).results[0].outcome"
        " for o in (BROKEN[law](), optax.adam(0.1))])"
    )
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=flags)
    assert result.stdout.strip() == "['fail', 'pass']"


def test_there_is_a_broken_optimizer_for_every_law_and_ids_are_unique():
    assert sorted(BROKEN) == sorted(IDS) and len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.id)
def test_a_law_holds_for_gradient_descent_and_says_why_it_matters_and_how_to_mend_it(law):
    sgd = optviz.OptimizerSpec(optax.sgd, learning_rate=RATE, momentum=0.9)
    assert found(law.id, sgd, reference=optax.sgd(RATE, momentum=0.9)).outcome in ("pass", "not applicable")
    assert law.why.endswith(".") and law.mend.endswith((".", ")")) and "." in law.id


def test_a_report_lists_failures_and_expected_ones_strictly():
    law = "edges.empty_vector"
    report = check_optimizer(
        BROKEN[law](), only=["edges"], expected_failures={law: "a maximum over nothing"}, with_traits=False
    )
    outcomes = {r.law.id: r.outcome for r in report.results}
    assert outcomes[law] == "expected failure" and outcomes["edges.empty_matrix"] == "fail" and not report.passed
    strict = check_optimizer(optax.sgd(RATE), only=[law], expected_failures={law: "was broken"}, with_traits=False)
    assert strict.failures[0].outcome == "unexpected pass" and "was broken" in strict.failures[0].detail
    with pytest.raises(CheckFailed, match=r"edges\.empty_vector: .*\n    Mend: Guard maxima"):
        check_optimizer(BROKEN[law](), only=[law], raise_on_failure=True, with_traits=False)


def test_amplified_rounding_is_reported_and_not_judged():
    # Shampoo divides rounding by the root of eps where no gradient has been; in float64 there is nothing to divide.
    result = found("transformations.jit", optviz.optimizer("shampoo"))
    assert result.outcome == "pass" and "rounding of float32 is amplified" in result.detail


def test_what_may_follow_from_an_impure_update_says_so():
    report = check_optimizer(BROKEN["protocol.update_is_pure"](), only=["protocol", "transformations.jit"])
    mends = {r.law.id: r.mend for r in report.failures}
    assert "It may follow from protocol.update_is_pure" in mends["transformations.jit"]
    assert "It may follow" not in mends["protocol.update_is_pure"]


def test_a_report_as_json_as_a_table_and_as_a_page(tmp_path):
    report = check_optimizer(optviz.optimizer("gd"), only=["protocol", "edges.scalar_leaf"])
    document = json.loads(report.as_json())
    assert document["passed"] is True and {r["law"] for r in document["results"]} >= {"protocol.runs"}
    assert report.table().row_count == len(report.results)
    page = report.write_html(tmp_path / "report.html").read_text()
    assert "edges.scalar_leaf" in page and "http" not in page


@pytest.mark.parametrize(
    ("trait", "name", "value"),
    [
        ("same path if the problem is turned", "gd", True),
        ("same path if the problem is turned", "adam", False),
        ("same path if the loss is rescaled", "adam", True),
        ("same path if the loss is rescaled", "gd", False),
        ("same path if the problem is shifted", "momentum", True),
        ("numbers in the state per parameter", "gd", 0.0),
        ("numbers in the state per parameter", "momentum", 1.0),
        ("step on large gradients", "sign_sgd", "bounded"),
        ("further evaluations per step", "adam", "none"),
        ("further evaluations per step", "sam", "1 of the gradient"),
    ],
)
def test_traits_are_those_that_the_formulas_have(trait, name, value):
    from optviz.conformance.subject import subject_of
    from optviz.conformance.traits import TRAITS

    assert TRAITS[trait](subject_of(optviz.optimizer(name), {})) == value


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (({},), "An optimizer has `init` and `update`"),
        ((optax.sgd(0.1),), "takes no hyperparameters, got momentum"),
    ],
)
def test_what_is_no_optimizer_is_refused(arguments, sentence):
    options = {} if arguments == ({},) else {"momentum": 0.9}
    with pytest.raises(TypeError, match=sentence):
        check_optimizer(*arguments, **options)
    with pytest.raises(ValueError, match=r"edges\.none_leaf"):
        check_optimizer(optax.sgd(0.1), expected_failures={"edges.non_leaf": "x"})
    with pytest.raises(ValueError, match="There is no law or group speed"):
        check_optimizer(optax.sgd(0.1), only=["speed"])
