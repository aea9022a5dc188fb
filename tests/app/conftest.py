"""A server of the app in a process of its own, as `optviz app` starts it, for tests that need real sockets."""

import os
import re
import subprocess
import sys
import time

import pytest

pytest.importorskip("nicegui", reason="the extra `app` is not installed")

PROGRAM = "import sys; sys.argv[0] = 'optviz'; from optviz.cli import main; main()"


class Server:
    """`optviz app` with `options` in `folder`; `url` is what it printed."""

    def __init__(self, folder, *options):
        port = free_port()
        command = [sys.executable, "-c", PROGRAM, "app", "--port", str(port), *options]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment(), "OPTVIZ_MODELS": str(folder / "models")},
        )
        self.port, self.output = port, ""
        self.url = self._printed()
        self._wait()

    def _printed(self):
        while line := self.process.stdout.readline():
            self.output += line
            if found := re.search(r"http://\S+", line):
                return found.group().rstrip("/") if "?" not in found.group() else found.group()
        raise AssertionError(self.output)

    def _wait(self):
        import httpx

        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/static/app.css", timeout=5)
                return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("the server did not start")

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


def environment():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    return {**os.environ, "PYTHONPATH": root}


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """The folder in which the server runs; it must stay empty."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="session")
def server(run_folder):
    running = Server(run_folder)
    yield running
    running.end()
