"""Language models in a real browser: from a book that is dropped to a model that is deleted, and all between."""

import base64
import io
import json
import os
import signal
import time
import zipfile

import pytest

from optviz import language_model as lm
from optviz.language_model import jobs
from tests.app.conftest import Server
from tests.browser import Browser, needs_chromium

pytest.importorskip("safetensors", reason="the extra `lm` is not installed")
pytest.importorskip("fcntl", reason="the queue needs file locks")
pytestmark = needs_chromium
TEXT = "Кошка сидит на окне и смотрит на собаку; собака сидит у двери и смотрит на кошку.\n" * 40
BOOK = lm.decode_book(b"the cat sat on the mat and the dog sat on the cat.\n" * 60, "cats")
SIZES = {"width": 16, "layers": 1, "heads": 2, "context": 16}
TRAINING = {"batch_size": 2, "warmup_steps": 2, "validate_every": 50, "save_every": 50, "clip_norm": 1.0}
LONG = 10**6
SHOWN_STATS = "[...document.querySelectorAll('.stats')].find(e => e.offsetParent)"
SHOWN_CHARTS = "[...document.querySelectorAll('.line-chart canvas')].filter(e => e.offsetParent)"
TABS = ("train", "write", "compare", "play", "files")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of models, one of which is trained; workers that are left there are ended."""
    folder = tmp_path_factory.mktemp("models")
    lm.train(made(folder, "trained", steps=20))
    yield folder
    for job in jobs.list_jobs(folder):
        if job.is_active:
            jobs.stop(job.id, folder)
    end = time.monotonic() + 30
    while jobs.is_held(jobs.device_lock(0, folder)):
        assert time.monotonic() < end
        time.sleep(0.1)


def shelved(models):
    """What lies in the folder of models beside the app's own folders."""
    return sorted(path for path in models.iterdir() if not path.name.startswith("."))


def made(folder, name, **training):
    return lm.create_from_book(
        name, BOOK, "shakespeare-cpu", sizes=SIZES, training={**TRAINING, **training}, models=folder
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    running = Server(tmp_path_factory.mktemp("app"), "--models", str(models))
    yield running
    running.end()


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.fixture
def page(browser, server):
    """A function that opens a page of the app."""

    def opened(path="/models"):
        browser.size(1280, 900)
        browser.goto(server.url + path)
        # Its buttons do nothing before the page is connected.
        browser.wait_for("window.socket?.connected && !!document.querySelector('main')")
        return browser

    yield opened
    assert browser.errors == []


def sees(page, text, seconds=60):
    try:
        page.wait_for(f"document.body.innerText.includes({json.dumps(text)})", seconds)
    except AssertionError as error:
        raise AssertionError(f"{text!r} is not in: {page.evaluate('document.body.innerText')}") from error


def click(page, label):
    fits = f"b.innerText.trim() === {json.dumps(label)} && b.offsetParent"
    shown = f"[...document.querySelectorAll('button')].find(b => {fits})"
    page.wait_for(f"!!{shown}", 60)
    page.evaluate(f"{shown}.setAttribute('data-test', 1)")
    at = None
    while at != (at := page.centre("[data-test]")):
        time.sleep(0.15)  # what is above it may still unfold
    page.click(*at)
    page.evaluate("document.querySelector('[data-test]')?.removeAttribute('data-test')")


def fill(page, label, text):
    """Type into the field of that label, in place of what is there."""
    page.evaluate(
        "(() => { const box = [...document.querySelectorAll('label.q-field')]"
        f".find(l => l.offsetParent && l.querySelector('.q-field__label')?.innerText === {json.dumps(label)});"
        "const input = box.querySelector('input, textarea'); input.focus(); input.select(); })()"
    )
    page.type(text)


def choose(page, label, option):
    fill(page, label, "")
    page.key("Enter")
    entry = f"[...document.querySelectorAll('.q-menu .q-item')].find(e => e.innerText.trim() === {json.dumps(option)})"
    page.wait_for(f"!!{entry}")
    page.evaluate(f"{entry}.click()")


def drop(page, data, name, place=".file-drop"):
    """Drop a file on a place, as a mouse does it."""
    encoded = base64.b64encode(data).decode()
    page.wait_for(f"[...document.querySelectorAll('{place}')].some(e => e.offsetParent)")
    page.evaluate(
        f"(() => {{ const bytes = Uint8Array.from(atob('{encoded}'), c => c.charCodeAt(0));"
        f"const transfer = new DataTransfer(); transfer.items.add(new File([bytes], {json.dumps(name)}));"
        f"const place = [...document.querySelectorAll('{place}')].find(e => e.offsetParent);"
        "for (const kind of ['dragover', 'drop']) place.dispatchEvent("
        "new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true})); })()"
    )


def open_box(page, title):
    page.evaluate(
        "[...document.querySelectorAll('.q-expansion-item .q-item')]"
        f".find(e => e.offsetParent && e.innerText.startsWith({json.dumps(title)})).click()"
    )
    time.sleep(0.5)  # it unfolds


def stats(page):
    return page.evaluate(f"{SHOWN_STATS}?.innerText ?? ''")


def test_a_dropped_book_becomes_a_model_that_trains_live_pauses_and_goes_on(page, models):
    opened = page()
    drop(opened, TEXT.encode("cp1251"), "../../Кошка и собака.txt")
    sees(opened, "read as cp1251")
    sees(opened, "Кошка сидит на окне")
    fill(opened, "Name of the model", "кошка")
    open_box(opened, "Sizes and tokenizer")
    for label, value in (("Layers", 1), ("Heads", 2), ("Width", 16), ("Context", 16)):
        fill(opened, label, str(value))
    open_box(opened, "Training")
    for label, value in (("Steps", LONG), ("Batch", 2), ("Steps between validations", 200)):
        fill(opened, label, str(value))
    click(opened, "Create the model")
    opened.wait_for("location.pathname.startsWith('/models/model/')", 60)
    assert (models / "кошка" / "config.json").exists()
    assert lm.open_model("кошка", models).config["about"]["title"] == "Кошка и собака"
    click(opened, "Train")
    sees(opened, "tokens per second", 120)
    sees(opened, "time left")
    first = stats(opened)
    opened.wait_for(f"{SHOWN_STATS}.innerText !== {json.dumps(first)}")
    assert "loss" in opened.evaluate("document.querySelector('.line-chart canvas').ariaLabel.toLowerCase()")
    click(opened, "Pause")
    sees(opened, "Paused; all is saved.")
    (job,) = [job for job in jobs.list_jobs(models) if job.model == "кошка"]
    assert job.status == "paused"
    click(opened, "Go on")
    sees(opened, "Runs. It goes on when this page is closed.")
    click(opened, "Stop")
    sees(opened, "Stopped.")
    assert jobs.read_job(job.id, models).status == "stopped"


def test_training_survives_a_killed_worker_and_a_restart_of_the_server(page, models, browser, tmp_path):
    made(models, "long", steps=LONG)
    opened = page("/models/model/long")
    click(opened, "Train")
    sees(opened, "tokens per second", 120)
    os.kill(killed := worker_of(models), signal.SIGKILL)
    other = Server(tmp_path, "--models", str(models))  # a server that knows nothing of the first one
    try:
        before = size_of(models / "long" / "curves.csv")
        end = time.monotonic() + 60
        while worker_of(models) in (killed, 0) or size_of(models / "long" / "curves.csv") <= before:
            assert time.monotonic() < end
            time.sleep(0.1)
        browser.goto(f"{other.url}/models/model/long")
        sees(opened, "tokens per second", 60)
        click(opened, "Stop")
        sees(opened, "Stopped.")
    finally:
        browser.goto("about:blank")  # or the page would look for its server, and the next test would hear of it
        other.end()


def worker_of(models):
    """The process that holds the lock of the device; 0 while it only takes it."""
    return int(jobs.device_lock(0, models).read_text() or 0)


def size_of(path):
    return path.stat().st_size if path.exists() else 0


def test_text_streams_and_stops(page):
    opened = page("/models/model/trained?tab=write")
    fill(opened, "Beginning of the text", "the cat ")
    fill(opened, "Length", "5000")
    click(opened, "Write")
    opened.wait_for("(document.querySelector('pre.written')?.innerText.length ?? 0) > 20", 60)
    first = opened.evaluate("document.querySelector('pre.written').innerText")
    assert first.startswith("the cat ")
    opened.wait_for(f"document.querySelector('pre.written').innerText.length > {len(first)}")
    click(opened, "Stop")
    sees(opened, "Write")
    opened.wait_for("[...document.querySelectorAll('button')].some(b => b.innerText === 'Write' && b.offsetParent)")
    fill(opened, "Temperature", "7")
    click(opened, "Write")
    sees(opened, "Temperature must be")


def test_self_play_shows_its_reward_its_cost_and_its_texts(page):
    opened = page("/models/model/trained?tab=play")
    open_box(opened, "Settings")
    for label, value in (("Rounds", 3), ("Texts of a round", 4)):
        fill(opened, label, str(value))
    click(opened, "Play")
    sees(opened, "3 of 3", 120)
    sees(opened, "Texts of this round")
    labels = opened.evaluate(f"{SHOWN_CHARTS}.map(e => e.ariaLabel)")
    assert any(label.startswith("What it costs: validation loss") and "nothing yet" not in label for label in labels)


def test_a_chart_is_read_with_the_arrow_keys(page):
    opened = page("/models/model/trained")
    opened.wait_for(f"{SHOWN_CHARTS}[0]?.ariaLabel.includes('validation')")
    opened.evaluate("document.querySelector('.line-chart canvas').focus()")
    for key in ("End", "ArrowLeft"):
        opened.key(key)
    opened.wait_for("/^step 19: .*validation/.test(document.querySelector('.line-chart output').innerText)")


def test_a_model_is_downloaded_imported_under_another_name_and_deleted(page, models, tmp_path):
    opened = page("/models/model/trained?tab=files")
    opened.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for suffix in (".zip", ".pt"):
        click(opened, suffix)
        arrived(tmp_path / f"trained{suffix}")
    assert "weights.safetensors" in zipfile.ZipFile(tmp_path / "trained.zip").namelist()
    opened = page()
    packed = (tmp_path / "trained.zip").read_bytes()
    drop_second(opened, packed, "trained.zip")
    fill(opened, "Name here (that in the file if empty)", "brought in")
    click(opened, "Import")
    opened.wait_for("decodeURIComponent(location.pathname) === '/models/model/brought in'", 60)
    assert lm.open_model("brought in", models).is_trained
    opened = page("/models/model/brought%20in?tab=files")
    click(opened, "Delete this model")
    sees(opened, "Delete brought in with all that it has learnt, for ever?")
    click(opened, "Delete for ever")
    opened.wait_for("location.pathname === '/models'")
    assert not (models / "brought in").exists()


def drop_second(page, data, name):
    """Drop on the place for a model, which comes after that for a book."""
    page.evaluate("document.querySelectorAll('.file-drop')[1].id = 'import'")
    drop(page, data, name, "#import")
    sees(page, "has arrived.")


def arrived(file):
    end = time.monotonic() + 40
    while not file.exists():
        assert time.monotonic() < end, f"{file.name} has not arrived"
        time.sleep(0.05)


def hostile_zip():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../evil.txt", "x")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("data", "sentence"), [(b"no zip", "no sound .zip"), (hostile_zip(), "which no exported model")]
)
def test_a_file_that_is_no_model_is_told(page, models, data, sentence):
    before = shelved(models)
    opened = page()
    drop_second(opened, data, "../../x.zip")
    click(opened, "Import")
    sees(opened, sentence)
    assert "x.zip cannot be imported" in opened.evaluate("document.body.innerText")
    assert shelved(models) == before


@pytest.mark.parametrize(
    ("data", "sentence"), [(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "binary"), (b"  \n", "is empty")]
)
def test_a_file_that_is_no_book_is_told(page, data, sentence):
    opened = page()
    drop(opened, data, "x.txt")
    sees(opened, sentence)


@pytest.mark.parametrize("size", [0, 200_000_001])
def test_no_model_is_made_while_the_chosen_book_is_not_there(page, models, size):
    before = shelved(models)
    opened = page()
    opened.wait_for("!!document.querySelector('.file-drop')")
    opened.evaluate(
        f"(() => {{ const file = new File([''], 'x.txt'); if ({size}) Object.defineProperty(file, 'size', "
        f"{{value: {size}}}); const event = new Event('drop', {{cancelable: true}});"
        "event.dataTransfer = {files: [file]}; document.querySelector('.file-drop').dispatchEvent(event); })()"
    )
    sees(opened, "at most 200 MB." if size else "The book x is empty")
    fill(opened, "Name of the model", "trap")
    click(opened, "Create the model")
    sees(opened, "send it again, or remove it" if size else "The book x is empty")
    assert shelved(models) == before
    click(opened, "Remove the book")
    opened.wait_for("!/at most 200 MB\\.|is empty/.test(document.body.innerText)")


def test_a_bad_name_is_told_and_nothing_is_made(page, models):
    before = shelved(models)
    opened = page()
    for name in ("../evil", "con", ".hidden", " "):
        fill(opened, "Name of the model", name)
        click(opened, "Create the model")
        sees(opened, f"Windows reserves; got {name.strip()!r}")
    assert shelved(models) == before


def test_a_file_that_is_too_long_is_not_even_sent(page):
    opened = page()
    opened.evaluate(
        "(() => { const file = new File(['x'], 'x.txt'); Object.defineProperty(file, 'size', {value: 200000001});"
        "const event = new Event('drop', {cancelable: true}); event.dataTransfer = {files: [file]};"
        "document.querySelector('.file-drop').dispatchEvent(event); })()"
    )
    sees(opened, "at most 200 MB")
    assert not any("/api/lm" in url for url in opened.requests)


def test_two_people_who_train_at_once_do_not_disturb_each_other(page, models, server):
    for name in ("first", "second"):
        made(models, name, steps=400)
    opened = page("/models/model/first")
    click(opened, "Train")
    with Browser() as other:
        other.goto(f"{server.url}/models/model/second")
        click(other, "Train")
        sees(other, "400 of 400", 120)
        sees(opened, "400 of 400", 10)
        assert other.errors == []
    one, two = [(models / name / "curves.csv").read_bytes() for name in ("first", "second")]
    assert one == two


@pytest.mark.parametrize("path", ["/models", "/models/verified", *(f"/models/model/trained?tab={tab}" for tab in TABS)])
def test_no_page_is_wider_than_the_window_or_asks_another_machine(page, server, path):
    opened = page(path)
    for width in (1280, 390):
        opened.size(width, 844, mobile=width < 500)
        time.sleep(0.3)
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [url for url in opened.requests if not url.startswith((server.url, "data:", "blob:"))] == []


@pytest.mark.parametrize("path", ["/models", "/models/model/trained?tab=write", "/models/model/trained?tab=compare"])
def test_no_field_stands_alone_below_the_others(page, path):
    opened = page(path)
    opened.wait_for("document.querySelectorAll('.fields').length > 0")
    if path == "/models":
        for title in ("Sizes and tokenizer", "Training"):
            open_box(opened, title)
    rows = opened.evaluate(
        "[...document.querySelectorAll('.fields')].filter(e => e.offsetParent).map(e => [...e.children]"
        ".map(c => c.offsetTop)).map(tops => tops.filter(top => top === tops.at(-1)).length)"
    )
    assert rows and min(rows) > 1


def test_a_table_too_wide_for_a_phone_has_a_low_head_and_a_shadow_where_it_goes_on(page):
    opened = page()
    opened.size(390, 844, mobile=True)
    sees(opened, "My models")
    head, is_wider, shadow = opened.evaluate(
        "(() => { const box = document.querySelector('.scroll'); return [box.querySelector('thead').offsetHeight, "
        "box.scrollWidth > box.clientWidth, getComputedStyle(box).backgroundAttachment]; })()"
    )
    assert head < 50
    assert is_wider and "scroll" in shadow


def test_every_control_of_a_page_has_a_name(page):
    for path in ("/models", "/models/model/trained", "/models/verified"):
        opened = page(path)
        time.sleep(0.5)
        unnamed = opened.evaluate(
            "[...document.querySelectorAll('main button, main input, main canvas')].filter(e => e.offsetParent && "
            "!(e.ariaLabel || e.innerText || e.labels?.length || e.title)).map(e => e.outerHTML.slice(0, 200))"
        )
        assert unnamed == []
