"""A notebook cell with the widget in JupyterLab: drawn, moved by the hand and from Python, arrow keys kept."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest

from tests.browser import Browser, needs_chromium

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
]
SLIDER = ".ov-card input[type=range]"
PANEL = "[...jupyterapp.shell.widgets('main')][0]"
CELLS = (
    "import optviz\nw = optviz.explore('quadratic_bowl', ['gd', 'adam'], num_steps=40)\nw",
    "w.start = (1.0, 0.5)\nprint('start', w.start, len(w.traces))",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab of this Python that has the notebook open to everybody on this machine."""
    folder = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(code) for code in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "widget.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    words = ["--no-browser", f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    words += ["--ServerApp.allow_root=True", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"]
    words += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command = [sys.executable, "-m", "jupyterlab", *words]
    root = os.fspath(pytest.importorskip("optviz").__path__[0] + "/..")
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, **settings, "PYTHONPATH": root}
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/api", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_up(url, process, log):
    end = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)


@pytest.fixture(scope="module")
def browser():
    """One of its own: JupyterLab asks before it is left, and that question would stop the tests of other pages."""
    with Browser(1280, 1000) as opened:
        yield opened


@pytest.fixture(scope="module")
def notebook(lab, browser):
    """The notebook with both cells run, and the number of paints in `painted`."""
    browser.goto(f"{lab}/lab/tree/widget.ipynb?reset")
    browser.wait_for(f"window.jupyterapp && {PANEL}?.content?.model?.cells?.length === 2", 90)
    browser.wait_for(f"{PANEL}.sessionContext.session?.kernel?.status === 'idle'", 90)
    browser.evaluate(
        "window.painted = []; document.addEventListener('painted', (event) => painted.push(event.detail), true)"
    )
    run(browser, 0)
    browser.wait_for("painted.length", 120)
    return browser


def run(page, index):
    """Click into a cell, and Shift + Enter."""
    page.click(*page.centre(f"[data-windowed-list-index='{index}'] .cm-content"))
    page.key("Enter", shift=True)


def test_the_widget_is_drawn_in_a_cell(notebook):
    rows = notebook.evaluate("[...document.querySelectorAll('.jp-OutputArea tbody th')].map((e) => e.textContent)")
    assert rows == ["gd", "adam"]


def test_a_slider_moves_the_paths(notebook):
    x, y = notebook.centre(SLIDER)
    notebook.evaluate("painted.length = 0")
    notebook.drag((x, y), (x + 30, y))
    notebook.wait_for("painted.length")


def test_arrow_keys_move_the_slider_and_not_the_selected_cell(notebook):
    value = f"+document.querySelector({json.dumps(SLIDER)}).value"
    active = f"{PANEL}.content.activeCellIndex"
    notebook.evaluate(f"document.querySelector({json.dumps(SLIDER)}).focus()")
    before, cell = notebook.evaluate(value), notebook.evaluate(active)
    for key in ("ArrowRight", "ArrowUp", "ArrowRight"):
        notebook.key(key)
    assert notebook.evaluate(value) > before and notebook.evaluate(active) == cell


def test_python_moves_the_start_and_reads_the_traces(notebook):
    notebook.evaluate("painted.length = 0")
    run(notebook, 1)
    notebook.wait_for("painted.length")
    assert notebook.wait_for("document.querySelector('.jp-OutputArea-output pre')?.textContent") == (
        "start (1.0, 0.5) 2\n"
    )
