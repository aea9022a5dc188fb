"""The figures of the widget in JupyterLab: a slider in a cell.

`pytest tests/benchmarks/test_jupyterlab.py --benchmark-enable -n 0 -s` measures and holds them to what was asked.
"""

import importlib.util
import itertools
import statistics
import time

import pytest

from tests.benchmarks.dragging import single_moves, steady_drag
from tests.browser import Browser, needs_chromium
from tests.lab import jupyterlab, open_notebook

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
]
CELL = "import optviz\nfrom tests.benchmarks.dragging import comparison\noptviz.explore(**comparison())"
STAGES = ("moved", "sent", "received", "begun", "drawn", "painted")


def test_a_slider_in_a_cell_moved_to_new_paths_painted(benchmark, figure, tmp_path):
    with jupyterlab(tmp_path, [CELL]) as address, Browser(1280, 1400) as browser:
        open_notebook(browser, address)
        time.sleep(5 if benchmark.enabled else 0)  # JupyterLab goes on loading for a while
        details = benchmark.pedantic(lambda: browser.evaluate(single_moves(40 if benchmark.enabled else 3)), rounds=1)
        rate = browser.evaluate(steady_drag(3 if benchmark.enabled else 0.2))
    for begin, end in itertools.pairwise(STAGES):
        print(f"\n{begin} to {end}: {median(details, begin, end):.1f} ms", end="")
    milliseconds = median(details, "moved", "painted")
    figure("slider to painted in JupyterLab, 12 x 1000 steps", milliseconds, 80, "ms", more_is_better=False)
    figure("pictures of new paths while dragging", rate, 20, "a second", more_is_better=True)


def median(details, begin, end):
    return statistics.median(detail[end] - detail[begin] for detail in details)
