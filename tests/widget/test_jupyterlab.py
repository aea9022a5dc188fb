"""A notebook cell with the widget in JupyterLab: drawn, moved by the hand and from Python, arrow keys kept."""

import importlib.util
import json

import pytest

from tests.browser import Browser, needs_chromium
from tests.lab import PANEL, jupyterlab, open_notebook, run_cell

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
]
SLIDER = ".ov-card input[type=range]"
CELLS = (
    "import optviz\nw = optviz.explore('quadratic_bowl', ['gd', 'adam'], num_steps=40)\nw",
    "w.start = (1.0, 0.5)\nprint('start', w.start, len(w.traces))",
)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The notebook with its first cell run, in a browser of its own: JupyterLab asks before it is left, and that
    question would stop the tests of other pages."""
    with jupyterlab(tmp_path_factory.mktemp("lab"), CELLS) as address, Browser(1280, 1000) as browser:
        open_notebook(browser, address)
        yield browser


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
    run_cell(notebook, 1)
    notebook.wait_for("painted.length")
    assert notebook.wait_for("document.querySelector('.jp-OutputArea-output pre')?.textContent") == (
        "start (1.0, 0.5) 2\n"
    )
