"""`optviz app` refuses in one sentence what cannot be."""

import signal
import socket
import sys

import httpx
import pytest
from typer.testing import CliRunner

from optviz.cli import app
from tests.app.conftest import Server


def refused(*words):
    result = CliRunner().invoke(app, ["app", *words])
    assert result.exit_code == 2
    return " ".join(result.output.split())


def test_a_port_that_is_taken_is_a_sentence(capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(app, ["app", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 2
    assert "Cannot listen on 127.0.0.1" in result.output + capfd.readouterr().err


@pytest.mark.parametrize("words", [("--port", "0"), ("--port", "99999"), ("--port", "x"), ("--hots", "a")])
def test_options_that_cannot_be_meant_are_refused(words):
    assert refused(*words)


def test_a_missing_extra_says_how_to_install_it(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "optviz.app", None)
    result = CliRunner().invoke(app, ["app"])
    assert result.exit_code == 2
    assert "pip install 'optviz[app]'" in result.output + capfd.readouterr().err


def test_the_server_ends_when_it_is_told_to_and_leaves_nothing_behind(tmp_path):
    """A picture first: the process that draws it has semaphores."""
    running = Server(tmp_path)
    httpx.post(f"{running.url}/api/export", json={"settings": {"num_steps": 3}, "format": "png"}, timeout=120)
    running.process.terminate()
    output = running.process.communicate(timeout=30)[0]
    assert running.process.returncode == 128 + signal.SIGTERM
    assert "leaked" not in output and "Traceback" not in output
