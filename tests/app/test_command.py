"""`optviz app` refuses in one sentence what cannot be."""

import socket
import sys

import pytest
from typer.testing import CliRunner

from optviz.cli import app


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
