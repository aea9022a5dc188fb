"""The app in a real browser: what a visitor does, from the first picture to a link that shows the same one."""

import json
import time
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.browser import Browser, needs_chromium

pytestmark = needs_chromium
WATCH = 'window.painted = []; document.addEventListener("painted", (e) => painted.push(e.detail), true);'
SMALL = {"surface": "quadratic_bowl", "num_steps": 60, "optimizers": [{"name": "gd"}, {"name": "adam"}]}
PAGES = ("/", "/sweep", "/surface", "/catalogue", "/glossary", "/glossary/regularisation", "/guide")


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        found.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        yield found


@pytest.fixture
def page(browser, server):
    """A function that opens a page of the app, in English and in light colours."""

    def opened(path="/", **settings):
        browser.size(1280, 900)
        browser.goto(f"{server.url}/static/app.css")
        for name in ("optviz-language", "optviz-theme"):
            browser.evaluate(f"document.cookie = '{name}=; path=/; max-age=0'")
        query = f"?settings={quote(json.dumps({**SMALL, **settings}))}" if path == "/" else ""
        browser.goto(server.url + path + query)
        if path in ("/", "/surface"):
            browser.wait_for("painted.length")
        return browser

    yield opened
    assert browser.errors == []


def text(page):
    return page.evaluate("document.body.innerText")


def address(page):
    """The settings that the address bar holds, once they have settled."""
    time.sleep(1.0)
    return json.loads(parse_qs(urlsplit(page.evaluate("location.href")).query)["settings"][0])


@pytest.mark.parametrize("path", PAGES)
def test_no_request_of_any_page_leaves_the_machine(page, server, path):
    opened = page(path)
    time.sleep(0.5)
    assert opened.requests
    assert [url for url in opened.requests if not url.startswith((server.url, "data:", "blob:"))] == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_the_window(page, path, width):
    opened = page(path)
    opened.size(width, 844, mobile=width < 500)
    time.sleep(0.3)
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_slider_moves_the_paths_and_the_address_keeps_it(page):
    opened = page()
    opened.evaluate("painted.length = 0")
    x, y = opened.centre(".ov-card input[type=range]")
    opened.click(x + 15, y)
    opened.wait_for("painted.length")
    rate = address(opened)["optimizers"][0]["hyperparameters"]["learning_rate"]
    assert rate != default_rate(opened, "gd")


def default_rate(page, name):
    return page.evaluate(
        "(async () => { const r = await fetch('/api/answer', {method: 'POST', body: JSON.stringify({kind: 'paths',"
        f"settings: {{optimizers: ['{name}'], num_steps: 1}}}})}}); const b = await r.arrayBuffer();"
        "const n = new DataView(b).getUint32(0, true);"
        "return JSON.parse(new TextDecoder().decode(new Uint8Array(b, 4, n)))"
        ".settings.optimizers[0].hyperparameters.learning_rate })()"
    )


def test_a_link_shows_the_same_bytes_to_whoever_opens_it(page, server):
    opened = page(noise=0.4, seed=11)
    first = digest(opened)
    link = opened.evaluate("location.href")
    with Browser() as other:
        other.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        other.goto(link)
        other.wait_for("painted.length")
        assert digest(other) == first


def arrived(file):
    """Wait until a download is complete."""
    end = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < end, f"{file.name} has not arrived"
        time.sleep(0.05)


def digest(page):
    """The bytes of paths that the settings in the address give, as a digest."""
    chosen = parse_qs(urlsplit(page.evaluate("location.href")).query)["settings"][0]
    return page.evaluate(
        "(async () => { const r = await fetch('/api/answer', {method: 'POST', body: JSON.stringify({kind: 'paths',"
        f"settings: {chosen}}})}});"
        "return [...new Uint8Array(await crypto.subtle.digest('SHA-256', await r.arrayBuffer()))].join() })()"
    )


def test_bad_settings_in_the_address_are_told_and_the_default_is_shown(page):
    opened = page(surface="nowhere")
    assert "Unknown surface 'nowhere'" in text(opened)
    assert opened.evaluate("document.querySelectorAll('.ov-card').length") > 1


def test_every_format_is_downloaded_one_after_another_and_json_comes_back(page, tmp_path):
    opened = page()
    opened.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for suffix in ("csv", "json", "png", "py", "csv"):
        file = tmp_path / f"optviz-quadratic_bowl.{suffix}"
        file.unlink(missing_ok=True)  # the second time it must come again
        opened.click(*opened.centre(f'[data-format="{suffix}"]'))
        opened.wait_for(f"!document.querySelector('[data-format=\"{suffix}\"]').disabled", 60)
        arrived(file)
    exported = (tmp_path / "optviz-quadratic_bowl.json").read_text()
    other = page(surface="rosenbrock")
    other.evaluate("painted.length = 0")
    other.evaluate(
        "(() => { const i = document.querySelector('.keep input[type=file]'); const d = new DataTransfer();"
        f"d.items.add(new File([{json.dumps(exported)}], '../../evil.json')); i.files = d.files;"
        "i.dispatchEvent(new Event('change')); })()"
    )
    other.wait_for("painted.length")
    assert address(other)["surface"] == "quadratic_bowl"


def test_a_broken_import_is_told_and_changes_nothing(page):
    opened = page()
    opened.evaluate(
        "(() => { const i = document.querySelector('.keep input[type=file]'); const d = new DataTransfer();"
        "d.items.add(new File(['{'], 'x.json')); i.files = d.files; i.dispatchEvent(new Event('change')); })()"
    )
    opened.wait_for("document.body.innerText.includes('This file is not JSON')")
    opened.errors.clear()  # the browser itself notes the refused request


FORMULA = ".ov-controls input[type=text]"


def test_a_formula_is_drawn_and_a_fault_points_at_its_column(page):
    opened = page("/surface")
    for formula in ("x**2 + 3*y**2", "x**2 + open(y)"):
        opened.evaluate(f"painted.length = 0; document.querySelector('{FORMULA}').select()")
        opened.type(formula)
        opened.key("Enter")
        if "open" not in formula:
            opened.wait_for("painted.length")
            assert address(opened)["formula"] == formula
    opened.wait_for("document.body.innerText.includes('Column 8')")
    assert opened.evaluate("getSelection().toString()") == "o"
    assert address(opened)["formula"] == "x**2 + 3*y**2"
    opened.errors.clear()  # the browser itself notes the refused requests


def test_the_page_of_ones_own_surface_has_one_box_for_its_formula(page):
    opened = page("/surface")
    assert opened.evaluate("document.querySelectorAll('input[type=text]').length") == 1
    opened.click(*opened.centre("main a code"))
    opened.wait_for(f"location.search && document.querySelector('{FORMULA}')?.value.startsWith('(1-x)')")


def test_language_and_theme_are_kept_from_page_to_page(page, server):
    opened = page("/guide")
    opened.click(*opened.centre("[data-cookie]"))
    opened.wait_for("document.documentElement?.lang === 'ru' && document.body.innerText.includes('Руководство')")
    opened.click(*opened.centre("[data-theme-button]"))
    opened.wait_for("document.body.classList.contains('body--dark')")
    opened.goto(f"{server.url}/glossary")
    opened.wait_for("document.body?.innerText.includes('Словарь') && document.body.classList.contains('body--dark')")


def test_a_cell_of_the_sweep_leads_to_its_run(page):
    opened = page("/sweep")
    opened.wait_for("document.body.innerText.includes('Best: final loss')", 60)
    opened.click(*opened.centre(".heat-map canvas", 0.4, 0.3))
    opened.wait_for("location.pathname === '/' && painted.length")
    chosen = address(opened)
    assert chosen["optimizers"][0]["name"] == "momentum"


def test_the_sweep_is_read_and_opened_by_keyboard(page):
    opened = page("/sweep")
    opened.wait_for("document.body.innerText.includes('Best: final loss')", 60)
    opened.evaluate("document.querySelector('.heat-map canvas').focus()")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp"):
        opened.key(key)
    opened.wait_for(
        "/learning rate .*, momentum .*: final loss/.test(document.querySelector('.heat-map output').innerText)"
    )
    opened.key("Enter")
    opened.wait_for("location.pathname === '/' && painted.length")


def test_the_server_has_written_nothing(page, run_folder):
    page("/")
    assert list(run_folder.iterdir()) == []
