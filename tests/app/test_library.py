"""What works beside the pages of language models: workers that are started, curves that are followed, links."""

from types import SimpleNamespace

import pytest

pytest.importorskip("nicegui.testing", reason="the extra `app` is not installed")
pytest.importorskip("fcntl", reason="the queue needs file locks")
pytest.importorskip("safetensors", reason="the extra `lm` is not installed")

from optviz.app import library, lm_curves, models_page
from optviz.app.library import _Starter


def test_a_worker_that_fails_is_started_ever_more_rarely(tmp_path, monkeypatch):
    clock, ended = [0.0], [0]
    monkeypatch.setattr(library.time, "monotonic", lambda: clock[0])
    begun = []

    def start(models, device):
        begun.append(clock[0])
        return SimpleNamespace(poll=lambda: ended[0])

    monkeypatch.setattr(library.worker, "start", start)
    starter = _Starter(tmp_path, 0)
    ended[0] = 1
    for clock[0] in range(200):
        starter.start()
    assert begun == [0, 1, 2, 4, 8, 16, 32, 64, 128]
    ended[0] = 0
    for clock[0] in range(200, 203):
        starter.start()
    assert begun[-3:] == [200, 201, 202]


def test_curves_are_thinned_to_means_and_keep_their_end():
    curve = lm_curves.thinned(range(1000), [float(i) for i in range(1000)], 10)
    assert curve.x[-1] == 999 and len(curve.x) == 10
    assert curve.y[0] == pytest.approx(49.5)
    assert lm_curves.thinned([0, 1], [float("inf"), None], 10).y == [None, None]


def test_curves_follow_a_file_that_grows_and_one_that_begins_anew(tmp_path):
    path = tmp_path / "curves.csv"
    table = lm_curves.Table(path, ("loss",))
    assert table.read() == 0
    path.write_text("step,other,loss\n0,9,3.5\n1,9,nan\n2,9")
    assert table.read() == 2
    assert table.curve("loss") == ([0.0, 1.0], [3.5, None])
    with path.open("a") as file:
        file.write(",2.5\nrubbish,x,y\n3,9,2.0\n")
    assert table.read() == 4 and table.last("loss") == 2.0
    path.unlink()
    path.write_text("step,loss\n0,1.0\n")
    assert table.read() == 1 and table.last("loss") == 1.0


def test_a_link_leads_to_the_page_of_a_model_whatever_its_name():
    assert models_page.model_link("a b.c é") == "/models/model/a%20b.c%20%C3%A9"
