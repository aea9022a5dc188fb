"""The routes by which books and models come and go as files."""

import os
import time
from types import SimpleNamespace
from urllib.parse import quote

import pytest

pytest.importorskip("nicegui.testing", reason="the extra `app` is not installed")
pytest.importorskip("fcntl", reason="the queue needs file locks")
pytest.importorskip("safetensors", reason="the extra `lm` is not installed")

from optviz.app import security, uploads
from optviz.app.library import Library
from optviz.app.work import Workers
from tests.app.shelf import asked, made


def shelf_of(tmp_path):
    return Library(Workers(), tmp_path / "models")


def stored(shelf):
    return sorted(path for path in shelf.models.rglob("*") if path.is_file())


HOSTILE = (
    "../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\evil.txt",
    "%2e%2e%2fevil",
    "a/b/c.txt",
    "\x01\x02.txt",
    "",
    ".",
    "..",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_lies_under_an_id_whatever_it_is_called(tmp_path, name):
    shelf = shelf_of(tmp_path)
    answer = asked(shelf, "POST", "/api/lm/book", content=b"text", headers={"x-file-name": quote(name)})
    assert answer.status_code == 200
    sent = answer.json()
    assert stored(shelf) == [shelf.models / ".uploads" / sent["id"]]
    assert shelf.uploads.path(sent["id"]).read_bytes() == b"text"
    assert not set("/\\\x01") & set(sent["title"]) and sent["title"]


def chunks(size, piece=10_000):
    async def generate():
        for _ in range(size // piece):
            yield b"x" * piece

    return generate()


@pytest.mark.parametrize("content", ["whole", "chunks"])
def test_a_file_beyond_the_limit_is_refused_and_nothing_of_it_stays(tmp_path, content):
    shelf, size = shelf_of(tmp_path), 300_000
    body = b"x" * size if content == "whole" else chunks(size)
    answer = asked(shelf, "POST", "/api/lm/book", limit=200_000, content=body)
    assert answer.status_code == 413
    assert stored(shelf) == []


def test_only_the_routes_for_files_take_long_bodies(tmp_path):
    shelf, body = shelf_of(tmp_path), b"x" * (security.MAX_BODY + 1)
    assert asked(shelf, "POST", "/api/lm/model", content=body).status_code == 200
    for path in ("/api/lm/book/", "/api/lm/books", "/api/answer", "/API/LM/BOOK"):
        assert asked(shelf, "POST", path, content=body).status_code == 413


def test_a_page_of_another_origin_sends_nothing(tmp_path):
    shelf = shelf_of(tmp_path)
    answer = asked(shelf, "POST", "/api/lm/book", content=b"x", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert not shelf.models.exists()


def test_only_so_many_files_are_kept_and_old_ones_make_room(tmp_path):
    shelf = shelf_of(tmp_path)
    ids = [asked(shelf, "POST", "/api/lm/book", content=b"x").json()["id"] for _ in range(uploads.MAX_FILES)]
    refused = asked(shelf, "POST", "/api/lm/book", content=b"x")
    assert refused.status_code == 503 and refused.json()["error"].endswith(".")
    aged = time.time() - uploads._IN_USE - 1
    os.utime(shelf.uploads.path(ids[2]), (aged, aged))
    assert asked(shelf, "POST", "/api/lm/book", content=b"x").status_code == 200
    with pytest.raises(ValueError, match="deleted"):
        shelf.uploads.path(ids[2])
    assert shelf.uploads.path(ids[0])


def test_a_full_disk_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    answer = asked(shelf_of(tmp_path), "POST", "/api/lm/book", content=b"x")
    assert answer.status_code == 503 and "full" in answer.json()["error"]


@pytest.mark.parametrize("file_id", ["..", "../../one/config.json", "x", "0" * 31, "0" * 32, "0" * 33, "%2e%2e"])
def test_only_a_file_that_was_made_is_given(tmp_path, file_id):
    shelf = shelf_of(tmp_path)
    made(shelf.models)
    assert asked(shelf, "GET", f"/api/lm/file/{file_id}").status_code == 404


@pytest.mark.parametrize("file_id", ["..", "../../one/config.json", "/etc/passwd", "", "x" * 32])
def test_an_id_never_leads_out_of_the_folder_of_files(tmp_path, file_id):
    shelf = shelf_of(tmp_path)
    made(shelf.models)
    with pytest.raises(ValueError, match="no such file"):
        shelf.uploads.path(file_id)
    shelf.uploads.discard(file_id)
    assert (shelf.models / "one" / "config.json").exists()


def test_a_made_file_is_given_under_a_harmless_name(tmp_path):
    shelf = shelf_of(tmp_path)
    shelf.models.mkdir(parents=True)
    file_id, path = shelf.downloads.reserve()
    path.write_bytes(b"packed")
    answer = asked(shelf, "GET", f"/api/lm/file/{file_id}?name=../../x%0d%0aSet-Cookie:a.pt")
    assert answer.content == b"packed"
    assert "set-cookie" not in answer.headers
    assert "/" not in answer.headers["content-disposition"].split("filename")[1].removeprefix("*=utf-8''")
