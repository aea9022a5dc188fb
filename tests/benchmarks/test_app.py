"""The figures of the app: a slider in a real browser, twenty visitors at once, what a page weighs.

`pytest tests/benchmarks/test_app.py --benchmark-enable -n 0 -s` measures and holds them to what was asked.
"""

import asyncio
import json
import statistics
import time
from urllib.parse import quote

import pytest

pytest.importorskip("nicegui", reason="the extra `app` is not installed")

import httpx

from tests.app.conftest import Server
from tests.benchmarks.dragging import comparison, single_moves, steady_drag
from tests.browser import Browser, needs_chromium

WATCH = 'window.painted = []; document.addEventListener("painted", (e) => painted.push(e.detail), true);'


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("app"))
    for _ in range(2):
        httpx.post(f"{running.url}/api/answer", json={"kind": "paths", "settings": comparison()}, timeout=300)
    yield running
    running.end()


async def drag(client, session, changes, times):
    """One visitor drags a slider: each change is sent when the one before is answered, as the page does it."""
    have = []
    for i in range(changes):
        rate = 0.001 * (1 + session) * 1.02**i
        request = {"kind": "paths", "settings": comparison(rate), "have": have}
        begin = time.perf_counter()
        answer = await client.post("/api/answer", json=request, timeout=60)
        times.append(time.perf_counter() - begin)
        assert answer.status_code == 200
        have = hashes(answer.content)


def hashes(content):
    from optviz.playground import wire

    return [path["hash"] for path in wire.unpack(content).header["paths"]]


def test_twenty_visitors_drag_at_once(benchmark, figure, app):
    visitors, changes = (20, 30) if benchmark.enabled else (3, 2)

    async def all_of_them():
        times = []
        limits = httpx.Limits(max_connections=2 * visitors)
        async with httpx.AsyncClient(base_url=app.url, limits=limits) as client:
            await asyncio.gather(*(drag(client, session, changes, times) for session in range(visitors)))
        return times

    times = benchmark.pedantic(lambda: asyncio.run(all_of_them()), rounds=1)
    figure("a change, 20 visitors dragging, median", 1e3 * statistics.median(times), 250, "ms", more_is_better=False)


def test_the_memory_of_the_server_is_bounded(benchmark, figure, app):
    visits = 300 if benchmark.enabled else 3

    def visit():
        before = memory(app.process.pid)
        with httpx.Client(base_url=app.url, timeout=60) as client:
            for i in range(visits):
                client.get("/guide")
                client.post("/api/answer", json={"kind": "paths", "settings": comparison(0.001 * 1.01**i, 900)})
        return memory(app.process.pid) - before

    grown = benchmark.pedantic(visit, rounds=1)
    figure("memory after 300 visits, beyond before", grown / 1e6, 150, "MB", more_is_better=False)


def memory(pid):
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123
        return 4096 * int(file.read().split()[1])


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        found.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        yield found


@needs_chromium
def test_the_first_picture(benchmark, figure, app, browser):
    def first():
        browser.goto("about:blank")
        begin = time.perf_counter()
        browser.goto(f"{app.url}/")
        browser.wait_for("painted.length")
        return time.perf_counter() - begin

    benchmark.pedantic(first, rounds=1)
    repeats = 5 if benchmark.enabled else 1
    figure("first picture, warm", statistics.median(first() for _ in range(repeats)), 2.0, "s", more_is_better=False)
    received = "performance.getEntriesByType('resource').reduce((sum, r) => sum + r.encodedBodySize, 0) / 1e6"
    figure("page and all it loads", browser.evaluate(received), 3.0, "MB", more_is_better=False)


@needs_chromium
def test_a_slider_moved_to_new_paths_painted(benchmark, figure, app, browser):
    details = benchmark.pedantic(lambda: moved(app, browser, {}, benchmark.enabled), rounds=1)
    figure("slider to painted, 12 x 1000 steps", milliseconds(details), 50, "ms", more_is_better=False)
    figure("bytes of a change", max(d["bytes"] for d in details) / 1e3, 250, "kB", more_is_better=False)
    rate = browser.evaluate(steady_drag(3 if benchmark.enabled else 0.2))
    figure("pictures of new paths while dragging", rate, 20, "a second", more_is_better=True)


@needs_chromium
def test_a_slider_moved_to_new_paths_painted_on_the_relief(benchmark, figure, app, browser):
    """The app that this one replaces took 2.9 s on the plane and 18.6 s in 3-D for a drawing of the same work."""
    details = benchmark.pedantic(lambda: moved(app, browser, {"three_d": True}, benchmark.enabled), rounds=1)
    figure("slider to painted in 3-D", milliseconds(details), 50, "ms", more_is_better=False)
    rate = browser.evaluate(steady_drag(3 if benchmark.enabled else 0.2))
    figure("pictures of new paths in 3-D while dragging", rate, 20, "a second", more_is_better=True)


def moved(app, browser, shown, often):
    """What "painted" tells after each of a few moves of a slider."""
    browser.goto(f"{app.url}/?settings={quote(json.dumps({**comparison(), 'shown': shown}))}")
    browser.wait_for("painted.length")
    return browser.evaluate(single_moves(40 if often else 3))


def milliseconds(details):
    return statistics.median(detail["painted"] - detail["moved"] for detail in details)
