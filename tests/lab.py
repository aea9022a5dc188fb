"""A JupyterLab with a notebook, for tests of the widget where most of its users meet it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat

PANEL = "[...jupyterapp.shell.widgets('main')][0]"
ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def jupyterlab(folder, cells):
    """The address of a notebook `cells`, open to everybody on this machine, in a JupyterLab of this Python."""
    kernel = {"name": "python3", "display_name": "Python 3"}
    cells = [nbformat.v4.new_code_cell(code) for code in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "widget.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    words = ["--no-browser", f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    words += ["--ServerApp.allow_root=True", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"]
    words += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command = [sys.executable, "-m", "jupyterlab", *words]
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/api", process, folder / "log")
        yield f"http://127.0.0.1:{port}/lab/tree/widget.ipynb?reset"
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


def open_notebook(browser, address):
    """Go there, run the first cell, and wait for the picture; `painted` holds the details of all later ones."""
    browser.goto(address)
    browser.wait_for(f"window.jupyterapp && {PANEL}?.content?.model?.cells?.length", 90)
    browser.wait_for(f"{PANEL}.sessionContext.session?.kernel?.status === 'idle'", 90)
    browser.evaluate(
        "window.painted = []; document.addEventListener('painted', (event) => painted.push(event.detail), true)"
    )
    run_cell(browser, 0)
    browser.wait_for("painted.length", 120)


def run_cell(browser, index):
    """Click into a cell, and Shift + Enter."""
    browser.click(*browser.centre(f"[data-windowed-list-index='{index}'] .cm-content"))
    browser.key("Enter", shift=True)
