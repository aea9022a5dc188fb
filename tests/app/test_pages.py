"""Every page as a visitor without a browser sees it, in both languages."""

import asyncio
import functools
import json
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

import surfaces
from optviz.app import choosing, formulas, sweep_page, sweeping
from optviz.app.shell import PAGES
from optviz.app.texts import Texts
from optviz.optimizers import CATALOGUE
from optviz.playground.errors import BadSettings
from tests.app import visiting
from tests.app.visiting import sees

pytest.importorskip("nicegui.testing", reason="the extra `app` is not installed")
MAIN = Path(__file__).parent / "simulated.py"
visit = functools.partial(visiting.visit, main=MAIN)
ALL = [*(page.path for page in PAGES), "/glossary/regularisation"]


TITLES = {path: next((p.title for p in PAGES if p.path == path), "Regularisation") for path in ALL}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_page_opens_in_every_language(language):
    texts = Texts(language)
    visit(*(sees(path, texts(title), language=language) for path, title in TITLES.items()))


def test_every_optimizer_and_surface_has_a_page():
    optimizers = [sees(f"/catalogue/optimizer/{e.name}", e.name, str(e.year)) for e in CATALOGUE[::9]]
    places = [sees(f"/catalogue/surface/{s.catalogue_name()}", s.__name__) for s in surfaces.CATALOGUE[::9]]
    visit(*optimizers, *places)


def test_a_search_leaves_what_has_the_words():
    async def search(user):
        user.find(kind=_ui().input).type("heavy ball")
        await asyncio.sleep(0.1)
        await user.should_see("1 shown")

    visit(sees("/catalogue", f"{len(CATALOGUE) + len(surfaces.CATALOGUE)} shown"), search)


def test_a_slider_of_the_regularisation_page_moves_the_minimum():
    async def slide(user):
        slider = next(e for e in user.find(kind=_ui().slider).elements if e._props["max"] == 3.0)
        with user.client:
            slider.value = 2.0
        await user.should_see("y is zero")

    visit(sees("/glossary/regularisation", "Strength of the penalty: 1.00"), slide)


def tells(problem):
    """The playground of the page begins with this sentence."""

    async def step(user):
        element = next(e for e in user.client.elements.values() if type(e).__name__ == "Playground")
        assert element._props["problem"].startswith(problem)

    return step


FAULTY = '/surface?settings={"formula":"x*open(y)"}'


def test_a_formula_with_a_fault_is_told_its_column():
    visit(sees(FAULTY), tells("Column 3"))


def test_a_fault_is_told_in_the_language_of_the_page():
    faults = {
        FAULTY: "Столбец 3: Нет такого имени (функция)",
        '/?settings={"num_steps":0}': "num_steps: нужно число от 1",
    }
    visit(*(step for path, told in faults.items() for step in (sees(path, language="ru"), tells(told))))


@pytest.mark.parametrize("settings", ["{", "[1]", '{"surface": "nowhere"}', '{"num_steps": 1e9}', "x" * 60_001])
def test_an_absurd_address_opens_the_playground_with_a_sentence(settings):
    from urllib.parse import quote

    async def told(user):
        element = next(e for e in user.client.elements.values() if type(e).__name__ == "Playground")
        assert element._props["settings"] is None
        assert element._props["problem"].endswith((".", "?"))

    visit(sees(f"/?settings={quote(settings)}"), told)


def test_a_sweep_stops_when_its_page_is_closed(monkeypatch):
    import threading

    going, stopped = threading.Event(), threading.Event()

    def endless(planned, show, cancelled):
        going.set()
        while not cancelled():
            threading.Event().wait(0.01)
        stopped.set()

    async def close(user):
        from optviz.app import sweep_page

        monkeypatch.setattr(sweep_page.sweeping, "run", endless)
        await user.open("/sweep")
        assert await asyncio.to_thread(going.wait, 10)
        user.client.delete()
        assert await asyncio.to_thread(stopped.wait, 10)

    visit(close)


def test_a_page_that_has_gone_is_forgotten():
    async def come_and_go(user):
        from nicegui import Client

        await user.open("/guide")
        client = user.client
        client.delete()
        assert client.id not in Client.instances

    visit(come_and_go)


def test_one_page_too_many_is_refused(monkeypatch):
    async def flood(user):
        from optviz.app import shell

        monkeypatch.setattr(shell, "MAX_PAGES", 2)
        answers = [(await user.http_client.get("/guide")).status_code for _ in range(4)]
        assert answers == [200, 200, 503, 503]

    visit(flood)


def _ui():
    from nicegui import ui

    return ui


@pytest.mark.parametrize("latex", [e.formula for e in CATALOGUE] + [s.formula for s in surfaces.CATALOGUE])
def test_every_formula_can_be_drawn(latex):
    picture = formulas.formula_svg(latex)
    assert picture.startswith("<svg") and "<script" not in picture


@pytest.mark.parametrize("question", choosing.QUESTIONS, ids=lambda q: q.name)
def test_every_answer_leaves_some_optimizers_and_takes_some_away(question):
    first, *others = (sum(map(answer.fits, CATALOGUE)) for answer in question.answers.values())
    assert first == len(CATALOGUE)
    assert all(0 < left < first for left in others)


def test_a_sweep_shows_each_band_and_leaves_nothing_unknown():
    planned = sweeping.plan("adam", "rosenbrock", "learning_rate", "b1", 20, "final_loss")
    seen = []
    sweeping.run(
        planned, lambda values, done: seen.append((int(np.isnan(values).any(axis=1).sum()), done)), lambda: False
    )
    assert [left + done for left, done in seen] == [len(planned.y.values)] * len(seen)
    assert seen[-1][0] == 0


def test_a_cancelled_sweep_stops_at_the_next_band():
    planned = sweeping.plan("adam", "rosenbrock", "learning_rate", "b1", 20, "final_loss")
    seen = []
    sweeping.run(planned, lambda values, done: seen.append(done), lambda: bool(seen))
    assert seen == [sweeping.BAND]


def test_a_cell_shows_in_the_playground_the_run_that_it_stands_for():
    from optviz.playground import compute, settings

    planned = sweeping.plan("momentum", "quadratic_bowl", "learning_rate", "surface.condition_number", 30, "final_loss")
    found = []
    sweeping.run(planned, lambda values, done: found.append(values.copy()), lambda: False)
    values = found[-1]
    for row, column in ((0, 20), (3, 15), (len(values) - 1, 10)):
        chosen = settings.from_json(planned.settings_at(column, row))
        (path,) = compute.paths(chosen)
        end = float(path.points[-1, 2])
        # A sweep fuses its arithmetic otherwise than a single run: they agree to rounding where the run contracts.
        assert np.isinf(values[row, column]) or end == pytest.approx(values[row, column], rel=1e-3)


SLOW = {"optimizer": "adam", "surface": "rosenbrock", "steps": 30, "metric": "steps_to_tolerance"}


def test_a_run_that_did_not_reach_the_tolerance_has_not_diverged():
    planned = sweeping.plan_of(sweeping.chosen(SLOW))
    found = []
    sweeping.run(planned, lambda values, done: found.append(values.copy()), lambda: False)
    assert (found[-1] == sweeping.NEVER).any()
    losses = []
    lossy = sweeping.plan_of(sweeping.chosen({**SLOW, "metric": "final_loss"}))
    sweeping.run(lossy, lambda values, done: losses.append(values.copy()), lambda: False)
    np.testing.assert_array_equal(np.isposinf(found[-1]), np.isposinf(losses[-1]))


def maps(user):
    return next(e for e in user.client.elements.values() if type(e).__name__ == "HeatMap")


def of_the_sweep(chosen):
    from urllib.parse import quote

    return f"/sweep?settings={quote(json.dumps(chosen))}"


def test_the_map_and_the_sentence_say_not_reached_and_not_diverged(monkeypatch):
    def never(planned, show, cancelled):
        show(np.full((len(planned.y.values), len(planned.x.values)), sweeping.NEVER), len(planned.y.values))

    async def told(user):
        await user.should_see("No run came within 0.0001 of the minimum in 30 steps.")
        await user.should_not_see("diverged")
        assert {cell for row in maps(user)._props["values"] for cell in row} == {"never"}
        assert maps(user)._props["texts"]["never"] == "not reached"

    monkeypatch.setattr(sweeping, "run", never)
    visit(sees(of_the_sweep(SLOW)), told)


def test_a_map_of_runs_that_all_diverged_says_so(monkeypatch):
    def diverged(planned, show, cancelled):
        show(np.full((len(planned.y.values), len(planned.x.values)), np.inf), len(planned.y.values))

    monkeypatch.setattr(sweeping, "run", diverged)
    visit(sees(of_the_sweep(SLOW), "Every run diverged."))


CHOSEN = {
    **SLOW,
    "x": "b1",
    "y": "surface.b",
    "x_range": [0.5, 0.9, "linear"],
    "y_range": [20.0, 50.0, "log"],
    "steps": 250,
}


def test_the_address_of_a_sweep_holds_all_choices(monkeypatch):
    replaced = []

    async def choose(user):
        x, y = maps(user)._props["x"], maps(user)._props["y"]
        assert (x["name"], x["values"][0], x["values"][-1], x["log"]) == ("b1", 0.5, 0.9, False)
        assert (y["name"], y["values"][0], y["values"][-1], y["log"]) == ("surface.b", 20.0, 50.0, True)
        with user.client:
            box = next(e for e in user.find(kind=_ui().select).elements if e.value == "steps_to_tolerance")
            box.value = "best_loss"
        [*_, address] = replaced
        assert address.startswith("/sweep?settings=")
        kept = json.loads(unquote(address.partition("=")[2]))
        assert kept == {**CHOSEN, "metric": "best_loss"}

    monkeypatch.setattr(sweeping, "run", lambda planned, show, cancelled: None)
    monkeypatch.setattr("nicegui.functions.navigate.History.replace", lambda self, url: replaced.append(url))
    visit(sees(of_the_sweep(CHOSEN)), choose)


def test_a_range_of_ones_own_is_typed_and_a_wrong_one_is_told(monkeypatch):
    async def type_(user):
        low, high = (e for e in user.find(kind=_ui().number).elements if e.value in (0.5, 0.9))
        low, high = sorted((low, high), key=lambda e: e.value)
        with user.client:
            low.value = 0.8
        assert maps(user)._props["x"]["values"][0] == 0.8
        with user.client:
            low.value = 0.95
        await user.should_see("b1 goes from a smaller number to a larger one, got 0.95 to 0.9.")

    monkeypatch.setattr(sweeping, "run", lambda planned, show, cancelled: None)
    monkeypatch.setattr("nicegui.functions.navigate.History.replace", lambda self, url: None)
    visit(sees(of_the_sweep(CHOSEN)), type_)


ABSURD = (
    "{",
    "[1]",
    "[" * 5000,
    "x" * 60_001,
    '{"optimizer": []}',
    '{"optimizer": "nobody"}',
    '{"surface": null}',
    '{"x": "b1", "y": "b1"}',
    '{"steps": 1e9}',
    '{"x_range": [NaN, 1, "log"]}',
    '{"x_range": [0, 1]}',
    '{"x_range": "wide"}',
    '{"x_range": [0.1, 1, "cubic"]}',
    '{"x_range": [1e-30, 1e30, "log"]}',
    '{"x": "momentum", "y": "learning_rate", "x_range": [0, 0.9, "log"]}',
    '{"colour": "red"}',
)


@pytest.mark.parametrize("settings", ABSURD, ids=lambda text: text[:30])
def test_an_absurd_address_of_a_sweep_opens_it_with_a_sentence(settings, monkeypatch):
    from urllib.parse import quote

    async def told(user):
        (problem,) = (e for e in user.client.elements.values() if e._props.get("role") == "alert")
        assert problem.text.endswith((".", "?"))
        assert maps(user)._props["x"]["values"]

    monkeypatch.setattr(sweeping, "run", lambda planned, show, cancelled: None)
    visit(sees(f"/sweep?settings={quote(settings)}"), told)


def test_what_needs_a_known_minimum_is_refused_where_there_is_none():
    for metric in ("steps_to_tolerance", "distance_to_minimum"):
        with pytest.raises(BadSettings, match="no known minimum"):
            sweeping.plan_of(sweeping.chosen({"surface": "saddle", "optimizer": "adam", "metric": metric}))


def test_the_bar_of_progress_goes_when_the_sweep_is_done(monkeypatch):
    def quick(planned, show, cancelled):
        show(np.zeros((len(planned.y.values), len(planned.x.values))), len(planned.y.values))

    async def gone(user):
        assert not next(iter(e for e in user.client.elements.values() if "Progress" in type(e).__name__)).visible

    monkeypatch.setattr(sweeping, "run", quick)
    visit(sees(of_the_sweep(SLOW), "Best: steps to tolerance"), gone)


def test_the_colours_of_the_map_are_those_of_all_sweeps():
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    from optviz.plotting.swept import MAP

    module = (Path(sweep_page.__file__).parent / "static" / "heat_map.js").read_text()
    stops = re.findall(r'"(#[0-9a-f]{6})"', module.partition("];")[0])
    assert stops == [to_hex(colormaps[MAP](share)) for share in np.linspace(0, 1, len(stops))]


GOOD = {
    "optimizer": "adam",
    "surface": "rosenbrock",
    "x": "learning_rate",
    "y": "b1",
    "num_steps": 20,
    "metric": "final_loss",
}
WRONG = (
    {"optimizer": "nobody"},
    {"x": "b1"},
    {"num_steps": 10**9},
    {"y": None},
    {"metric": "__class__"},
    {"surface": 1},
)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_sweep_that_cannot_be_meant_is_a_sentence(wrong):
    with pytest.raises(BadSettings, match=r"\.$") as refusal:
        sweeping.plan(**{**GOOD, **wrong})
    assert not Texts("ru").error(refusal.value).isascii()
