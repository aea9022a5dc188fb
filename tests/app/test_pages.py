"""Every page as a visitor without a browser sees it, in both languages."""

import asyncio
import warnings
from pathlib import Path

import pytest

import surfaces
from optviz.app import choosing, formulas, sweeping
from optviz.app.shell import PAGES
from optviz.app.texts import Texts
from optviz.optimizers import CATALOGUE
from optviz.playground.errors import BadSettings

pytest.importorskip("nicegui.testing", reason="the extra `app` is not installed")
MAIN = Path(__file__).parent / "simulated.py"
ALL = [*(page.path for page in PAGES), "/glossary/regularisation"]


def visit(*steps):
    """Let a simulated user do the `steps`, each a coroutine function of the user."""
    from nicegui.testing import user_simulation

    async def run():
        async with user_simulation(main_file=MAIN) as user:
            for step in steps:
                await step(user)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NiceGUI's own, under Python's next version
        asyncio.run(run())


def sees(path, *sentences, language="en"):
    async def step(user):
        user.http_client.cookies.set("optviz-language", language)
        await user.open(path)
        for sentence in sentences:
            await user.should_see(sentence)

    return step


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


def test_a_formula_with_a_fault_is_told_its_column():
    async def type_(user):
        box = user.find(kind=_ui().input)
        box.clear()
        box.type("x**2 + open(y)")
        await user.should_see("Column 8")

    visit(sees("/surface"), type_)


def test_a_fault_is_told_in_the_language_of_the_page():
    async def type_(user):
        box = user.find(kind=_ui().input)
        box.clear()
        box.type("x**2 + open(y)")
        await user.should_see("Столбец 8: Нет такого имени (функция)")

    async def told(user):
        element = next(e for e in user.client.elements.values() if type(e).__name__ == "Playground")
        assert element._props["problem"].startswith("num_steps: нужно число от 1 до 100000")

    visit(sees("/surface", language="ru"), type_, sees('/?settings={"num_steps":0}', language="ru"), told)


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
    import numpy as np

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
    import numpy as np

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
