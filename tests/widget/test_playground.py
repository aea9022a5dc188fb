"""The module in a real browser, with a real mouse and real keys: in a page and behind a notebook's widget."""

import json
import time
from urllib.parse import quote

import numpy as np
import optax
import pytest

from optviz.metrics import DEFAULT_TOLERANCE
from optviz.optimizers import CATALOGUE
from optviz.playground import listing
from optviz.playground.settings import from_json, to_json
from surfaces import QuadraticBowl
from tests.browser import needs_chromium

pytestmark = needs_chromium
SMALL = {"surface": "quadratic_bowl", "num_steps": 60, "optimizers": [{"name": "gd"}, {"name": "adam"}]}
SURFACE = '.ov-controls select[aria-label="Surface"]'
RATE = ".ov-card input[type=range]"
RATE_BOX = ".ov-card input[type=number]"


@pytest.fixture
def page(browser, address):
    """A function that opens the playground with some settings and waits for its paths."""

    def opened(**settings):
        browser.size(1280, 900)
        browser.dark(False)
        browser.goto("about:blank")
        browser.goto(f"{address}/#{quote(json.dumps({**SMALL, **settings}))}")
        browser.wait_for("painted.length && app.settings")
        return browser

    yield opened
    assert browser.errors == []


def settings(page):
    return page.evaluate("app.settings")


def repainted(page, act):
    """Do something, and wait until its paths are on the screen; the detail of the event."""
    page.evaluate("painted.length = 0")
    act()
    page.wait_for("painted.length")
    return page.evaluate("painted.at(-1)")


def press(page, text):
    page.evaluate(f"[...document.querySelectorAll('button')].find((b) => b.textContent === {json.dumps(text)}).click()")


def choose(page, selector, value):
    page.evaluate(
        f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('change')); }})"
        f"(document.querySelector({json.dumps(selector)}))"
    )


def picture(page, selector=".ov-top"):
    """What a canvas shows, as text to compare."""
    page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    return page.evaluate(f"document.querySelector({json.dumps(selector)}).toDataURL()")


def pixel(page, x, y):
    """Where a point of the plane is on the screen: the picture shows the view for which its landscape was asked."""
    size = "(e => [e.clientWidth - 104, e.clientHeight - 44])(document.querySelector('.ov-top'))"
    view = "sent.findLast((r) => r.kind === 'landscape').view"
    # A unit is as long on both axes; until then the page's width has changed since the landscape was asked for.
    page.wait_for(f"(([x0, x1, y0, y1], [w, h]) => Math.abs((x1 - x0) / (y1 - y0) / w * h - 1) < 1e-3)({view}, {size})")
    (x0, x1, y0, y1), (width, height) = page.evaluate(view), page.evaluate(size)
    left, top = page.centre(".ov-top", 0, 0)
    return left + 46 + (x - x0) / (x1 - x0) * width, top + 10 + (y1 - y) / (y1 - y0) * height


def test_a_comparison_is_on_the_screen_without_a_button(page):
    rows = page().evaluate("[...document.querySelectorAll('tbody th')].map((e) => e.textContent)")
    assert rows == ["gd", "adam"]


def test_no_request_leaves_the_machine(page, address):
    asked = page().requests
    assert asked and all(url.startswith((address, "data:")) for url in asked)


def test_a_slider_tells_what_its_number_means(page):
    sliders = "[...document.querySelectorAll('.ov-controls input[type=range]')].map((e) => [e.ariaLabel, e.title])"
    told = dict(page().evaluate(sliders))
    assert told["condition number"] == QuadraticBowl.meanings()["condition_number"]
    assert all(told.values())


def test_dragging_a_slider_draws_new_paths_and_the_number_box_agrees(page):
    page = page()
    x, y = page.centre(RATE)
    before = picture(page)
    repainted(page, lambda: page.drag((x, y), (x + 30, y)))
    rate = settings(page)["optimizers"][0]["hyperparameters"]["learning_rate"]
    assert float(page.evaluate(f"document.querySelector('{RATE_BOX}').value")) == rate != 0.0012
    assert picture(page) != before


def test_only_the_path_that_changed_is_sent(page):
    page = page(optimizers=[{"name": name} for name in ("gd", "momentum", "adam", "rmsprop")], num_steps=1000)
    x, y = page.centre(RATE)
    detail = repainted(page, lambda: page.drag((x, y), (x + 20, y), moves=2))
    assert detail["bytes"] < 30_000


@pytest.mark.parametrize("keys", [["ArrowRight"] * 6])
def test_every_press_of_an_arrow_moves_the_slider(page, keys):
    """In the playground that this one surpasses every second press was lost."""
    page = page()
    page.evaluate(f"document.querySelector('{RATE}').focus()")
    values = []
    for key in keys:
        page.key(key)
        values.append(settings(page)["optimizers"][0]["hyperparameters"]["learning_rate"])
    assert values == sorted(set(values))


def test_a_number_typed_moves_the_slider_to_its_place(page):
    page = page()
    page.click(*page.centre(RATE_BOX))
    page.evaluate(f"document.querySelector('{RATE_BOX}').select()")
    page.type("0.5")
    repainted(page, lambda: page.key("Enter"))
    assert settings(page)["optimizers"][0]["hyperparameters"]["learning_rate"] == 0.5
    # 0.5 lies at 81 % of the logarithmic way from 1e-6 to 10.
    assert float(page.evaluate(f"document.querySelector('{RATE}').value")) == pytest.approx(814, abs=1)


def test_keys_stay_inside_the_widget(page):
    """JupyterLab would take the arrows for its own cells."""
    page = page()
    for selector in (RATE, ".ov-top", ".ov-scrubber"):
        page.evaluate(f"document.querySelector('{selector}').focus()")
        for key in ("ArrowLeft", "ArrowDown", "Enter", " "):
            page.key(key)
    assert page.evaluate("outside") == []


def test_a_click_places_the_start_and_a_drag_moves_it_along(page):
    page = page()
    repainted(page, lambda: page.click(*page.centre(".ov-top", 0.3, 0.3)))
    first = settings(page)["start"]
    detail = repainted(page, lambda: page.drag(page.centre(".ov-top", 0.3, 0.3), page.centre(".ov-top", 0.6, 0.6)))
    second = settings(page)["start"]
    assert first[0] < second[0] and first[1] > second[1]
    assert settings(page)["view"] is None
    assert detail["paths"] == 2


def test_a_drag_beside_the_start_moves_the_view_and_the_wheel_narrows_it(page):
    page = page()
    start = settings(page)["start"]
    page.drag(page.centre(".ov-top", 0.6, 0.3), page.centre(".ov-top", 0.5, 0.2))
    moved = settings(page)["view"]
    page.wheel(*page.centre(".ov-top"), -120)
    page.wait_for(f"app.settings.view[0] !== {moved[0]}")
    closer = settings(page)["view"]
    assert settings(page)["start"] == start
    assert closer[1] - closer[0] < moved[1] - moved[0]
    page.wait_for("sent.filter((r) => r.kind === 'landscape').at(-1).settings.view?.[0] === app.settings.view[0]")
    press(page, "whole view")
    assert settings(page)["view"] is None


def test_the_scrubber_reaches_the_last_step_and_playback_ends_there(page):
    page = page()
    whole = picture(page)
    page.evaluate("document.querySelector('.ov-scrubber').focus()")
    page.key("Home")
    assert page.evaluate("document.querySelector('.ov-bar output').textContent") == "0 / 60"
    assert picture(page) != whole
    page.key("End")
    assert page.evaluate("document.querySelector('.ov-bar output').textContent") == "60 / 60"
    assert picture(page) == whole
    choose(page, 'select[aria-label="speed"]', "4")
    press(page, "▶")
    page.wait_for("document.querySelector('.ov-bar output').textContent !== '60 / 60'")
    page.wait_for("document.querySelector('.ov-bar output').textContent === '60 / 60'")
    assert page.evaluate("document.querySelector('.ov-play').textContent") == "▶"
    assert picture(page) == whole


@pytest.mark.parametrize(("row", "step"), [(0, 0), (-1, 60)])
def test_hovering_a_path_tells_step_loss_and_gradient_norm(page, row, step):
    """Of the end too: the scrubber at its right shows the last step."""
    page = page(optimizers=[{"name": "adam", "hyperparameters": {"learning_rate": 0.05}}])
    points = page.evaluate(
        """(async () => {
        const { decode, overHttp } = await import("/playground.js");
        const buffer = await overHttp("/api/answer").request({ kind: "paths", settings: app.settings });
        return [...decode(buffer).arrays.path0.data];
    })()"""
    )
    x, y, loss, norm = points[4 * row : 4 * row + 4 or None]
    page.mouse("mouseMoved", *pixel(page, x, y))
    lines = page.evaluate("document.querySelector('.ov-tip').innerText").split("\n")
    assert lines[:2] == ["adam", f"step {step}"]
    assert [float(line.split()[-1]) for line in lines[3:]] == pytest.approx([loss, norm], rel=1e-3)


def test_another_surface_clears_the_paths_of_the_old_one_at_once(page):
    page = page()
    choose(page, SURFACE, "ackley")
    # Before Python has answered nothing may be drawn but the new start.
    assert page.evaluate("document.querySelectorAll('tbody tr').length") in (0, 2)
    page.evaluate("painted.length = 0")
    page.wait_for("painted.length")
    assert settings(page)["surface"] == "ackley"
    assert settings(page)["view"] is None
    assert page.evaluate("sent.findLast((r) => r.kind === 'paths').have") == []


def test_a_coefficient_changes_the_landscape_coarsely_while_dragged_and_finely_at_rest(page):
    page = page()
    x, y = page.centre(".ov-controls section .ov-number input[type=range]")
    page.evaluate("sent.length = 0")
    page.drag((x, y), (x + 20, y))
    page.wait_for("sent.filter((r) => r.kind === 'landscape').at(-1)?.width > 200")
    widths = page.evaluate("sent.filter((r) => r.kind === 'landscape').map((r) => r.width)")
    assert min(widths) < 100


def test_the_relief_turns_under_the_mouse_and_keeps_its_start(page):
    page = page(shown={"three_d": True})
    before = picture(page)
    start = settings(page)["start"]
    page.drag(page.centre(".ov-top", 0.4, 0.5), page.centre(".ov-top", 0.6, 0.5))
    assert picture(page) != before
    assert settings(page)["start"] == start
    asked = page.evaluate("sent.filter((r) => r.kind === 'landscape').length")
    page.drag(page.centre(".ov-top", 0.4, 0.5), page.centre(".ov-top", 0.5, 0.6))
    time.sleep(0.4)
    assert page.evaluate("sent.filter((r) => r.kind === 'landscape').length") == asked


@pytest.mark.parametrize("three_d", [False, True])
def test_a_click_on_the_relief_too_places_the_start_there(page, three_d):
    page = page(shown={"three_d": three_d})
    before = settings(page)["start"]
    repainted(page, lambda: page.click(*page.centre(".ov-top", 0.5, 0.5)))
    assert settings(page)["start"] != before


@pytest.mark.parametrize("display", ["points", "heads"])
def test_paths_are_shown_as_points_or_heads_alone(page, display):
    page = page()
    paths = picture(page)
    choose(page, 'select[aria-label="display"]', display)
    assert picture(page) != paths


def test_overlays_ask_for_the_step_and_tell_it_in_numbers(page):
    page = page(shown={"step": 5, "optimizer": 1, "overlays": ["gradient", "update", "newton", "model", "state"]})
    page.wait_for("document.querySelectorAll('.ov-facts dt').length > 5")
    asked = page.evaluate("sent.findLast((r) => r.kind === 'step')")
    assert (asked["optimizer"], asked["step"]) == (1, 5)
    with_arrows = picture(page)
    page.evaluate("document.querySelectorAll('.ov-checks input').forEach((box) => box.checked && box.click())")
    assert picture(page) != with_arrows


def test_the_best_of_a_column_is_marked_and_a_tie_is_a_tie(page):
    page = page(
        optimizers=[{"name": "gd"}, {"name": "gd"}, {"name": "adam", "hyperparameters": {"learning_rate": 1e-6}}]
    )
    marked = page.evaluate(
        "[...document.querySelectorAll('tbody tr')].map((r) => r.querySelectorAll('.ov-best').length)"
    )
    assert marked[0] == marked[1] > 0 == marked[2]


def test_a_heading_sorts_the_table(page):
    page = page()
    names = "[...document.querySelectorAll('tbody th')].map((e) => e.textContent)"
    press(page, "final loss")
    losses = page.evaluate("[...document.querySelectorAll('tbody td:nth-child(2)')].map((e) => +e.textContent)")
    first = page.evaluate(names)
    assert losses == sorted(losses)
    press(page, "final loss ↑")
    assert page.evaluate(names) == first[::-1]


def test_optimizers_are_switched_added_and_removed(page):
    page = page()
    repainted(page, lambda: page.click(*page.centre(".ov-card .ov-check input")))
    assert [o["on"] for o in settings(page)["optimizers"]] == [False, True]
    repainted(page, lambda: choose(page, 'select[aria-label="Add an optimizer"]', "lion"))
    assert [o["name"] for o in settings(page)["optimizers"]] == ["gd", "adam", "lion"]
    repainted(page, lambda: page.click(*page.centre(".ov-remove")))
    assert [o["name"] for o in settings(page)["optimizers"]] == ["adam", "lion"]


def test_a_schedule_is_chosen_with_its_own_sliders(page):
    page = page()
    page.evaluate("document.querySelector('.ov-card details').open = true")
    repainted(page, lambda: choose(page, '.ov-card select[aria-label="schedule"]', "drop"))
    page.wait_for("document.querySelector('.ov-card').innerText.includes('factor')")
    assert settings(page)["optimizers"][0]["schedule"]["name"] == "drop"


def test_regularised_twins_stand_beside_their_originals(page):
    page = page()
    repainted(page, lambda: choose(page, 'select[aria-label="Regularisation"]', "l2"))
    assert page.evaluate("[...document.querySelectorAll('tbody th')].map((e) => e.textContent)") == [
        "gd", "gd + L2", "adam", "adam + L2",
    ]  # fmt: skip


def test_kept_paths_stay_while_things_change(page):
    page = page()
    press(page, "Keep these paths")
    repainted(page, lambda: page.click(*page.centre(".ov-top", 0.3, 0.3)))
    rows = page.evaluate("[...document.querySelectorAll('tbody th')].map((e) => e.textContent)")
    assert rows == ["gd (kept)", "adam (kept)", "gd", "adam"]


def test_a_preset_brings_its_settings_and_its_text(page):
    page = page()
    names = page.evaluate("[...document.querySelector('select[aria-label=\"Show me\"]').options].map((o) => o.value)")
    repainted(page, lambda: choose(page, 'select[aria-label="Show me"]', names[2]))
    assert len(page.evaluate("document.querySelector('.ov-controls .ov-note').textContent")) > 40


def test_a_formula_is_drawn_and_a_bad_one_answered_by_a_sentence(page):
    page = page(surface="formula", formula="x**2 + 3*y**2", start=[-2, 2])
    page.evaluate("document.querySelector('.ov-controls input[type=text]').select()")
    page.evaluate("document.querySelector('.ov-controls input[type=text]').focus()")
    page.type("x**2 + 3*y**")
    page.key("Enter")
    page.wait_for("!document.querySelector('.ov-error').hidden")
    assert "olumn" in page.evaluate("document.querySelector('.ov-error').textContent")
    page.evaluate("document.querySelector('.ov-controls input[type=text]').value = 'x**2 + y**4'")
    choose(page, ".ov-controls input[type=text]", "x**2 + y**4")
    page.wait_for("document.querySelector('.ov-error').hidden")


def test_tuning_writes_the_rates_that_it_found(page):
    page = page(num_steps=20)
    repainted(page, lambda: press(page, "Tune all"))
    rates = [o["hyperparameters"]["learning_rate"] for o in settings(page)["optimizers"]]
    assert rates[0] != 0.0012
    page.wait_for("document.querySelector('.ov-table .ov-note').textContent.includes('equal effort')")


def test_the_settings_that_are_saved_show_the_same_picture(page):
    first = page(start=[1.0, 1.5], seed=3)
    repainted(first, lambda: first.click(*first.centre(".ov-top", 0.35, 0.3)))
    first.wait_for("window.saved?.start[0] === app.settings.start[0]")
    saved, shown = first.evaluate("saved"), picture(first)
    assert picture(page(**saved)) == shown


def test_everything_fits_a_phone_in_one_column(page):
    page = page()
    page.size(390, 844, mobile=True)
    page.wait_for("document.querySelector('.ov-picture').clientWidth < 380")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    left, right = page.evaluate(
        "['.ov-picture', '.ov-controls'].map((s) => document.querySelector(s).getBoundingClientRect().x)"
    )
    assert left == right


def test_on_a_phone_the_picture_stays_in_sight_of_the_sliders(page):
    page = page()
    page.size(390, 844, mobile=True)
    page.wait_for("document.querySelector('.ov-picture').clientWidth < 380")
    page.centre(RATE)
    top = page.evaluate("document.querySelector('.ov-picture').getBoundingClientRect().top")
    assert 0 <= top < 60


def test_dark_follows_the_system(page):
    page = page()
    light = picture(page, ".ov-layer")
    page.dark()
    page.wait_for("getComputedStyle(document.querySelector('.optviz')).colorScheme === 'dark'")
    assert picture(page, ".ov-layer") != light


def test_a_diverging_run_leaves_the_picture_and_is_told(page):
    page = page(optimizers=[{"name": "gd", "hyperparameters": {"learning_rate": 5.0}}, {"name": "adam"}], num_steps=300)
    assert "diverged" in page.evaluate("document.querySelector('.ov-legend').textContent")
    for three_d in (True, False):
        press(page, "3-D")
        assert settings(page)["shown"]["three_d"] is three_d
        picture(page)


@pytest.mark.parametrize("rate", [1.65e-5, 1e-6, 1.235e-5, 0.001235, 0.0123457, 3.16228])
def test_a_number_box_shows_the_whole_number(page, rate):
    """Cut, 0.0000165 would be read as 0.00001."""
    page = page(optimizers=[{"name": "gd", "hyperparameters": {"learning_rate": rate}}])
    box = f"document.querySelector('{RATE_BOX}')"
    assert float(page.evaluate(f"{box}.value")) == rate
    assert page.evaluate(f"{box}.scrollWidth <= {box}.clientWidth")


def typed(page, selector, text):
    page.evaluate(f"(e => (e.focus(), e.select()))(document.querySelector({json.dumps(selector)}))")
    page.type(text)
    page.key("Enter")


@pytest.mark.parametrize(
    ("selector", "text", "sentence"),
    [
        (RATE_BOX, "50", "learning rate goes from 1e-6 to 10."),
        (RATE_BOX, "0", "learning rate goes from 1e-6 to 10."),
        ('.ov-controls input[aria-label="steps"][type=number]', "1e9", "steps goes from 1 to 100000."),
    ],
)
def test_a_number_out_of_range_is_told_its_range(page, selector, text, sentence):
    page = page(num_steps=20)
    repainted(page, lambda: typed(page, selector, text))
    told = "document.querySelector('.ov-error').textContent"
    assert page.evaluate(told) == sentence
    repainted(page, lambda: typed(page, RATE_BOX, "0.1"))
    assert page.evaluate(told) == ""


MANY = ["gd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad", "lion", "nadam", "lbfgs"]


def test_the_picture_stays_in_sight_of_the_last_slider_of_many_optimizers(page):
    page = page(optimizers=[{"name": name} for name in MANY], num_steps=20)
    page.evaluate("document.querySelectorAll('.ov-card details').forEach((e) => (e.open = true))")
    page.evaluate("[...document.querySelectorAll('.ov-card input[type=range]')].at(-1).focus()")
    top, bottom = page.evaluate(
        "(b => [b.top, b.bottom])(document.querySelector('.ov-picture').getBoundingClientRect())"
    )
    assert 0 <= top < bottom <= 900


def focused(page):
    name = "(e) => e.ariaLabel + ' ' + [...document.querySelectorAll(e.tagName)].indexOf(e)"
    return page.evaluate(f"({name})(document.activeElement)")


@pytest.mark.parametrize(
    ("selector", "act"),
    [
        ("th:nth-child(2) button", "e.click()"),
        ('select[aria-label="Regularisation"]', "e.value = 'l2'; e.dispatchEvent(new Event('change'))"),
        (
            '.ov-card:nth-of-type(2) select[aria-label="schedule"]',
            "e.value = 'drop'; e.dispatchEvent(new Event('change'))",
        ),
        ('select[aria-label="Add an optimizer"]', "e.value = 'lion'; e.dispatchEvent(new Event('change'))"),
        (SURFACE, "e.value = 'ackley'; e.dispatchEvent(new Event('change'))"),
    ],
)
def test_what_is_used_keeps_the_focus(page, selector, act):
    page = page()
    page.evaluate("document.querySelectorAll('.ov-card details').forEach((e) => (e.open = true))")
    label = page.evaluate(
        f"(e => {{ e.focus(); const label = e.ariaLabel; {act}; return label; }})(document.querySelector('{selector}'))"
    )
    time.sleep(0.5)
    assert page.evaluate("document.activeElement.ariaLabel") == label
    assert page.evaluate(f"document.activeElement === document.querySelector('{selector}')")


def test_after_an_optimizer_is_removed_the_focus_is_on_the_next_one(page):
    page = page()
    for name in ("adam", None):
        page.evaluate("document.querySelector('.ov-remove').focus()")
        page.key("Enter")
        if name:
            assert page.evaluate("document.activeElement.ariaLabel") == f"remove {name}"
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_the_hint_says_what_a_drag_does(page):
    hint = "[...document.querySelectorAll('.ov-left > .ov-note')].map((e) => e.textContent).join()"
    assert "move the view" in page().evaluate(hint)
    assert "turn the surface" in page(shown={"three_d": True}).evaluate(hint)


def test_a_link_keeps_that_rates_were_tuned_until_one_is_moved(page):
    note = "document.querySelector('.ov-table .ov-note').textContent"
    first = page(num_steps=20)
    repainted(first, lambda: press(first, "Tune all"))
    first.wait_for("window.saved?.shown.tuned")
    other = page(**json.loads(json.dumps(to_json(from_json(first.evaluate("saved"))))))
    assert "equal effort" in other.evaluate(note)
    repainted(other, lambda: typed(other, RATE_BOX, "0.123"))
    other.wait_for(f"{note}.includes('not tuned')")


def test_a_heading_says_what_its_column_is(page):
    titles = page().evaluate("[...document.querySelectorAll('thead button')].map((e) => e.title)")
    assert all(titles[1:])
    assert f"within {DEFAULT_TOLERANCE} of the minimum" in titles[3]


def test_paths_far_away_are_brought_into_the_view(page):
    page = page(start=[30, 20])
    press(page, "fit to paths")
    x0, x1, y0, y1 = settings(page)["view"]
    assert x0 < -1 and 30 < x1 < 45 and y0 < -1 and 20 < y1 < 35
    page.wait_for("sent.filter((r) => r.kind === 'landscape').at(-1).settings.view?.[0] === app.settings.view[0]")


def test_no_path_has_the_colour_of_the_newton_step(page):
    page = page()
    ink = page.evaluate("getComputedStyle(document.querySelector('.optviz')).getPropertyValue('--ov-newton').trim()")
    taken = {*listing.colors([entry.name for entry in CATALOGUE])}
    parts = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in (ink, *taken)])
    # Shares of red, green and blue of 255; the purple that it once had lay within 26 of a path's.
    assert np.linalg.norm(parts[1:] - parts[0], axis=1).min() > 100


@pytest.fixture
def notebook(browser, address, served):
    served.settings = {"surface": "quadratic_bowl", "num_steps": 40, "optimizers": [{"name": "gd"}, {"name": "adam"}]}
    browser.goto(f"{address}/notebook")
    browser.wait_for("painted.length || document.querySelector('tbody tr')")
    yield browser
    assert browser.errors == []


def test_the_widget_in_a_notebook_draws_what_python_answers(notebook, served):
    assert notebook.evaluate("[...document.querySelectorAll('tbody th')].map((e) => e.textContent)") == ["gd", "adam"]
    notebook.click(*notebook.centre(".ov-top", 0.3, 0.3))
    end = time.monotonic() + 10
    while served.start == (-4.0, -1.0) and time.monotonic() < end:
        time.sleep(0.05)
    assert served.start != (-4.0, -1.0)


def test_what_python_assigns_moves_the_picture(notebook, served):
    before = picture(notebook)
    served.start = (0.5, 1.0)
    repainted(notebook, lambda: notebook.evaluate(f"model.set('settings', {json.dumps(served.settings)})"))
    notebook.wait_for("[...document.querySelectorAll('.ov-row input')].some((box) => box.value === '0.5')")
    assert picture(notebook) != before


def test_a_surface_and_an_optimizer_that_the_module_has_not_heard_of_are_drawn(notebook, served):
    before = served.settings

    def bowl_of_this_notebook(p):
        return p[0] ** 2 + 2 * p[1] ** 2

    try:
        served.surface, served.optimizers = bowl_of_this_notebook, [optax.sgd(0.1)]
        notebook.evaluate("painted.length = 0")
        notebook.evaluate(f"model.set('settings', {json.dumps(served.settings)})")
        notebook.wait_for("painted.length")
        assert notebook.evaluate("document.querySelector('.ov-legend').innerText.trim()") == "chain"
        assert "Bowl of this notebook" in notebook.evaluate("document.body.innerText")
    finally:
        served.settings = before


def test_a_widget_that_is_closed_leaves_nothing(notebook):
    notebook.evaluate("close_().then?.(() => 0)") if notebook.evaluate("!!close_.then") else notebook.evaluate(
        "close_()"
    )
    assert notebook.evaluate("document.querySelectorAll('.ov-picture').length") == 0
