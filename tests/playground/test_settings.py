"""Settings: complete, equal after a round trip, and refused in a sentence where they cannot be meant."""

import json

import pytest

from optviz.playground import listing, settings
from optviz.playground.presets import PRESETS
from optviz.playground.settings import BadSettings
from optviz.playground.world import catalogue

GIVEN = [
    {},
    {"num_steps": 7},
    {"surface": "ackley", "coefficients": {"a": 10}, "optimizers": ["adam", {"name": "sgd", "schedule": "cosine"}]},
    {"formula": "x**2 + sin(y)", "view": [-1, 1, -2, 2], "shown": {"step": 3, "overlays": ["gradient"]}},
    {
        "regularisation": {"kind": "elastic", "strength": 2, "ratio": 0.25, "twins": False},
        "noise": 1,
        "seed": 2**32 - 1,
    },
    *(preset.settings for preset in PRESETS),
]


@pytest.mark.parametrize("given", GIVEN)
def test_settings_stay_what_they_are_through_json(given):
    once = settings.from_json(given)
    text = json.dumps(settings.to_json(once), allow_nan=False)
    assert settings.from_json(text) == once
    assert settings.from_json(json.loads(text)) == once


def test_every_optimizer_and_every_surface_can_be_named():
    world = catalogue()
    names = list(world.optimizers)
    for some in (names[:30], names[30:60], names[60:]):
        assert [c.name for c in settings.from_json({"optimizers": some}).optimizers] == some
    for name, entry in world.surfaces.items():
        chosen = settings.from_json({"surface": name})
        assert chosen.start == entry.start
        assert chosen.coefficients == {c.name: c.default for c in entry.coefficients}


def test_every_slider_may_stand_at_either_end():
    for entry in catalogue().optimizers.values():
        for end in ("low", "high"):
            values = {h.name: getattr(h, end) for h in entry.hyperparameters if h.low is not None}
            chosen = settings.from_json({"optimizers": [{"name": entry.name, "hyperparameters": values}]})
            assert {k: v for k, v in chosen.optimizers[0].hyperparameters.items() if k in values} == values
        for h in entry.hyperparameters:
            for value in settings.choices(h) if h.scale == "choice" else ():
                settings.from_json({"optimizers": [{"name": entry.name, "hyperparameters": {h.name: value}}]})


def _adam(**hyperparameters):
    return {"optimizers": [{"name": "adam", "hyperparameters": hyperparameters}]}


BAD = [
    ("{", None, "JSON"),
    ("[" * 100_000, None, "JSON"),
    ("x" * 1_000_000, None, "at most"),
    ([], "settings", "object"),
    (3, "settings", "object"),
    ({"sufrace": "ackley"}, "settings.sufrace", "Did you mean 'surface'"),
    ({"surface": "rosenbrok"}, "surface", "Did you mean 'rosenbrock'"),
    ({"surface": "reddi_online"}, "surface", "Unknown surface"),
    ({"surface": ["rosenbrock"]}, "surface", "Unknown surface"),
    ({"surface": "formula"}, "formula", "needs a formula"),
    ({"coefficients": {"c": 1}}, "coefficients.c", "Unknown coefficient"),
    (
        {"surface": "quadratic_bowl", "coefficients": {"condition_number": 0.1}},
        "coefficients.condition_number",
        "from 1",
    ),
    ({"formula": 3}, "formula", "text"),
    ({"formula": "x*" * 5_000_000}, "formula", "at most 500"),
    ({"num_steps": 1e9}, "num_steps", "from 1 to 100000"),
    ({"num_steps": 0}, "num_steps", "from 1"),
    ({"num_steps": 2.5}, "num_steps", "whole"),
    ({"num_steps": True}, "num_steps", "number"),
    ({"num_steps": "100"}, "num_steps", "number"),
    ({"num_steps": 10**5000}, "num_steps", "too large to show"),
    ({"noise": float("nan")}, "noise", "nan"),
    ({"noise": -1}, "noise", "from 0"),
    ({"seed": -1}, "seed", "from 0"),
    ({"start": [0]}, "start", "2 numbers"),
    ({"start": [0, float("inf")]}, "start[1]", "number"),
    ({"start": {"x": 0}}, "start", "2 numbers"),
    ({"view": [1, 0, 0, 1]}, "view", "x0 < x1"),
    ({"view": [1, 1 + 1e-12, 0, 1]}, "view", "float32"),
    ({"optimizers": "adam"}, "optimizers", "list"),
    ({"optimizers": ["adam"] * 1000}, "optimizers", "at most 32"),
    ({"optimizers": ["adamm"]}, "optimizers[0].name", "Did you mean 'adam'"),
    ({"optimizers": [{}]}, "optimizers[0].name", "Unknown optimizer"),
    (_adam(b1=1.0), "optimizers[0].hyperparameters.b1", "adam: b1 must be a number from 0 to 0.999, got 1.0"),
    (_adam(b1=None), "optimizers[0].hyperparameters.b1", "number"),
    (_adam(learning_rate=float("inf")), "optimizers[0].hyperparameters.learning_rate", "number"),
    (_adam(nesterov=1), "optimizers[0].hyperparameters.nesterov", "false or true"),
    (_adam(momentum=0.9), "optimizers[0].hyperparameters.momentum", "Unknown hyperparameter"),
    ({"optimizers": [{"name": "adam", "on": 1}]}, "optimizers[0].on", "true or false"),
    ({"optimizers": [{"name": "adam", "color": "red;}"}]}, "optimizers[0].color", "#0072B2"),
    ({"optimizers": [{"name": "adam", "schedule": "up"}]}, "optimizers[0].schedule.name", "Unknown schedule"),
    ({"optimizers": [{"name": "damped_newton", "schedule": "cosine"}]}, "optimizers[0].schedule", "finds its own"),
    ({"regularisation": {"kind": "l3"}}, "regularisation.kind", "one of none, l1"),
    ({"regularisation": {"strength": 1e9}}, "regularisation.strength", "from 0 to 1000"),
    ({"shown": {"a": "x" * 5000}}, "shown", "4000"),
    ({"shown": {"a": float("nan")}}, "shown", "JSON"),
]


@pytest.mark.parametrize(("given", "where", "words"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_meant_is_refused_in_one_short_sentence(given, where, words):
    with pytest.raises(BadSettings) as refusal:
        settings.from_json(given)
    assert words in str(refusal.value)
    assert refusal.value.where == where
    assert len(str(refusal.value)) < 400


def test_a_momentum_that_is_left_out_stays_out_and_whole_numbers_stay_whole():
    chosen = settings.from_json({"optimizers": ["sgd", {"name": "lbfgs", "hyperparameters": {"memory_size": 3.0}}]})
    assert chosen.optimizers[0].hyperparameters["momentum"] is None
    assert chosen.optimizers[1].hyperparameters["memory_size"] == 3
    assert isinstance(chosen.optimizers[1].hyperparameters["memory_size"], int)


def test_the_catalogue_lists_every_name_with_what_a_page_needs():
    found = listing.catalogue(catalogue())
    assert [o["name"] for o in found["optimizers"]] == list(catalogue().optimizers)
    assert found["settings"] == settings.to_json(settings.from_json({}))
    for surface in found["surfaces"]:
        (x0, x1), (y0, y1) = surface["domain"]
        assert x0 < surface["start"][0] < x1
        assert y0 < surface["start"][1] < y1
        for c in surface["coefficients"]:
            assert c["meaning"]
            assert c["low"] <= c["default"] <= c["high"]
            assert c["scale"] != "log" or c["low"] > 0
    for entry in found["optimizers"]:
        assert entry["color"].startswith("#")
        for h in entry["hyperparameters"]:
            assert (h["scale"] == "choice") == (h["choices"] is not None)


def test_rivals_of_one_name_are_told_apart_in_their_labels():
    chosen = settings.from_json({"optimizers": [
        {"name": "adam", "hyperparameters": {"learning_rate": 0.1}},
        {"name": "adam", "hyperparameters": {"learning_rate": 0.2}},
        "gd", "lion", "lion",
    ]})  # fmt: skip
    assert listing.labels(chosen) == [
        "adam (learning_rate=0.1)", "adam (learning_rate=0.2)", "gd", "lion #1", "lion #2",
    ]  # fmt: skip
