"""The one entry: every kind answers, equal requests alike, and bad ones with a sentence."""

import json

import numpy as np
import pytest

from optviz.playground import service, wire


def ask(kind, **request):
    return wire.unpack(service.answer(kind, request))


def test_paths_come_with_their_settings_numbers_and_points():
    message = ask("paths", settings={"num_steps": 120})
    assert message.header["settings"]["num_steps"] == 120
    for i, path in enumerate(message.header["paths"]):
        points = message.arrays[f"path{i}"]
        assert points.shape == (121, 4)
        assert path["metrics"]["final_loss"] == pytest.approx(float(points[-1, 2]))
        assert {"name", "label", "color", "twin", "hash", "every", "num_steps", "status"} <= path.keys()
    assert message.header["best"].keys() == {"final_loss", "best_loss", "steps_to_tolerance", "distance"}


def test_equal_requests_have_equal_bytes_and_the_settings_of_an_answer_ask_the_same():
    first = service.answer("paths", {"settings": {"noise": 0.2}})
    assert service.answer("paths", {"settings": {"noise": 0.2}}) == first
    assert service.answer("paths", {"settings": wire.unpack(first).header["settings"]}) == first
    assert service.answer("paths", {"settings": json.dumps(wire.unpack(first).header["settings"])}) == first


def test_a_path_that_is_there_already_is_not_sent_again():
    whole = ask("paths", settings={})
    hashes = [path["hash"] for path in whole.header["paths"]]
    given = whole.header["settings"]
    given["optimizers"][2]["hyperparameters"]["learning_rate"] = 0.5
    part = ask("paths", settings=given, have=hashes)
    assert list(part.arrays) == ["path2"]
    assert [path["hash"] for path in part.header["paths"]][:2] == hashes[:2]


def test_a_colour_stays_with_its_name_when_others_are_switched_off():
    def colors(*off):
        names = ["gd", "adam", "lion", "yogi"]
        given = [{"name": name, "on": name not in off} for name in names]
        return {
            p["name"]: p["color"] for p in ask("paths", settings={"num_steps": 2, "optimizers": given}).header["paths"]
        }

    assert colors("gd", "lion").items() <= colors().items()
    given = [{"name": "gd", "color": "#123456"}]
    assert ask("paths", settings={"num_steps": 2, "optimizers": given}).header["paths"][0]["color"] == "#123456"


def test_twins_come_in_pairs():
    message = ask("paths", settings={"num_steps": 5, "regularisation": {"kind": "decoupled", "strength": 1}})
    paths = message.header["paths"]
    assert [path["twin"] for path in paths] == [False, True] * 4
    assert [path["optimizer"] for path in paths] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_landscape_says_what_it_shows():
    message = ask("landscape", settings={"surface": "himmelblau"}, view=[-6, 6, -5, 5], width=40, height=30)
    values = message.arrays["values"]
    assert values.shape == (30, 40)
    assert message.header["low"] == pytest.approx(float(values.min()))
    assert message.header["high"] == pytest.approx(float(values.max()))
    assert message.header["log"] is False
    assert len(message.header["minima"]) == 4
    assert ask("landscape", settings={"surface": "himmelblau"}).header["view"] == [-6, 6, -6, 6]
    assert ask("landscape", settings={"surface": "rosenbrock"}).header["log"] is True


@pytest.mark.parametrize("formula", ["log(x)", "1/(x-x)", "x", "3"])
def test_a_landscape_that_is_finite_only_in_places_or_flat_is_answered(formula):
    message = ask("landscape", settings={"formula": formula, "optimizers": ["gd"]}, width=9, height=9)
    assert message.arrays["values"].shape == (9, 9)
    finite = message.arrays["values"][np.isfinite(message.arrays["values"])]
    assert message.header["low"] == (pytest.approx(float(finite.min())) if finite.size else None)
    ask("paths", settings={"formula": formula, "optimizers": ["gd"], "num_steps": 3})


def test_a_step_is_looked_at_and_its_twin_too():
    given = {"num_steps": 20, "regularisation": {"kind": "l2", "strength": 2}}
    one, other = (ask("step", settings=given, optimizer=1, step=10, twin=twin).header for twin in (False, True))
    assert (one["twin"], other["twin"]) == (False, True)
    assert one["x"] != other["x"]
    assert one["momentum"] is not None


def test_tuning_answers_with_settings_that_use_the_rates():
    message = ask("tune", settings={"num_steps": 20}, budget=5)
    rates = message.header["rates"]
    found = [o["hyperparameters"]["learning_rate"] for o in message.header["settings"]["optimizers"]]
    assert found == list(rates.values())
    assert message.header["budget"] == 5


BAD = [
    ("nothing", {}, "kind"),
    (3, {}, "kind"),
    ("paths", [], "request"),
    ("paths", None, "request"),
    ("paths", {"settings": "{"}, None),
    ("paths", {"settings": {"num_steps": 1e9}}, "num_steps"),
    ("paths", {"settings": {"start": [float("nan"), 0]}}, "start[0]"),
    ("paths", {"settings": {"formula": "x" * 10_000_000}}, "formula"),
    ("paths", {"settings": {"formula": "x + qq"}}, "column 5"),
    ("paths", {"have": 3}, "have"),
    ("landscape", {"width": 1_000_000}, "width"),
    ("landscape", {"width": True}, "width"),
    ("landscape", {"height": 1}, "height"),
    ("landscape", {"view": "all"}, "view"),
    ("landscape", {"view": [0, 1, 0, 1e30]}, "view[3]"),
    ("step", {}, "optimizer"),
    ("step", {"optimizer": 4, "step": 0}, "optimizer"),
    ("step", {"optimizer": 0, "step": 301}, "step"),
    ("step", {"optimizer": 0, "step": 1, "settings": {"optimizers": []}}, "optimizer"),
    ("step", {"optimizer": 0, "step": 1, "settings": {"optimizers": [{"name": "gd", "on": False}]}}, "optimizer"),
    ("tune", {"budget": 1}, "budget"),
    ("tune", {"budget": 200, "settings": {"num_steps": 100_000}}, "num_steps"),
]


@pytest.mark.parametrize(("kind", "request_", "where"), BAD, ids=range(len(BAD)))
def test_a_bad_request_gets_a_sentence_and_the_field(kind, request_, where):
    message = wire.unpack(service.answer(kind, request_))
    assert message.header.keys() == {"error", "where"}
    assert message.header["where"] == where
    assert message.header["error"].endswith(".")
    assert len(message.header["error"]) < 300
    assert "Traceback" not in message.header["error"]


def test_a_comparison_of_nothing_is_a_picture_too():
    message = ask("paths", settings={"optimizers": []})
    assert message.header["paths"] == []
    assert message.header["best"]["final_loss"] == []


def test_a_change_of_one_optimizer_sends_little():
    names = [
        "gd",
        "momentum",
        "nesterov",
        "adagrad",
        "rmsprop",
        "adam",
        "adamw",
        "nadam",
        "lion",
        "amsgrad",
        "sgd",
        "yogi",
    ]
    message = service.answer("paths", {"settings": {"num_steps": 1000, "optimizers": names}})
    assert len(message) < 250_000
