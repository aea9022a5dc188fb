"""The routes: every answer of the playground comes through them unchanged, and nothing absurd harms them."""

import asyncio
import contextlib
import json
import re
import struct
import threading
import time

import httpx
import pytest
from fastapi import FastAPI

from optviz.app import api, work
from optviz.app.security import Access, guarded
from optviz.app.work import Busy, Gone, Workers
from optviz.playground import service, wire

SETTINGS = {"optimizers": ["sgd", "adam"], "num_steps": 50}


@contextlib.asynccontextmanager
async def client():
    workers = Workers()
    app = FastAPI()
    app.include_router(api.routes(workers))
    transport = httpx.ASGITransport(guarded(app, Access()), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as found:
        yield found
    workers.close()


def posted(path, data=None, **more):
    async def post():
        async with client() as found:
            return await found.post(path, **({"json": data} if data is not None else more), timeout=60)

    return asyncio.run(post())


@pytest.mark.parametrize(
    "request_",
    [
        {"kind": "paths", "settings": SETTINGS},
        {"kind": "landscape", "settings": SETTINGS, "width": 20, "height": 10},
        {"kind": "step", "settings": SETTINGS, "optimizer": 1, "step": 7},
        {"kind": "nothing"},
    ],
    ids=lambda r: r["kind"],
)
def test_the_route_answers_what_the_service_answers(request_):
    answer = posted("/api/answer", request_)
    assert answer.content == service.answer(request_["kind"], request_)
    assert answer.status_code == (422 if "error" in wire.unpack(answer.content).header else 200)


def test_equal_settings_give_equal_bytes_in_every_session():
    async def many():
        async with client() as one, client() as other:
            request = {"kind": "paths", "settings": {**SETTINGS, "noise": 0.5, "seed": 3}}
            disturbing = {"kind": "paths", "settings": {**SETTINGS, "noise": 0.1, "seed": 4}}
            tasks = [c.post("/api/answer", json=r) for c in (one, other) for r in (request, disturbing, request)]
            return [answer.content for answer in await asyncio.gather(*tasks)]

    first, _, again, third, _, fourth = asyncio.run(many())
    assert first == again == third == fourth


ABSURD = {
    "a billion steps": {"num_steps": 10**9},
    "no steps": {"num_steps": 0},
    "half a step": {"num_steps": 1.5},
    "a beta of one": {"optimizers": [{"name": "adam", "hyperparameters": {"b1": 1.0}}]},
    "an unknown optimizer": {"optimizers": ["adamm"]},
    "an unknown surface": {"surface": "../../etc/passwd"},
    "an unknown hyperparameter": {"optimizers": [{"name": "adam", "hyperparameters": {"__class__": 1}}]},
    "text for a number": {"noise": "much"},
    "a start of three": {"start": [1, 2, 3]},
    "a thousand optimizers": {"optimizers": ["adam"] * 1000},
    "a long formula": {"formula": "x+" * 100_000 + "x"},
    "a formula that calls": {"formula": "__import__('os').system('true')"},
    "a power beyond the limit": {"formula": "x**99999999"},
    "a view inside out": {"view": [1, -1, 0, 1]},
    "a list": [],
    "deep nesting": json.loads("[" * 500 + "]" * 500),
}


@pytest.mark.parametrize("settings", ABSURD.values(), ids=ABSURD)
@pytest.mark.parametrize("path", ["/api/answer", "/api/export"])
def test_absurd_settings_get_a_sentence(path, settings):
    answer = posted(path, {"kind": "paths", "format": "csv", "settings": settings})
    assert answer.status_code == 422
    told = answer.json() if path == "/api/export" else wire.unpack(answer.content).header
    assert told["error"].endswith((".", "?", ".'")) or len(told["error"]) > 20
    assert "Traceback" not in told["error"] and len(told["error"]) < 700


BODIES = {
    "not JSON": b"{",
    "no object": b"[]",
    "not text": b"\xff\xfe",
    "NaN": b'{"kind": "paths", "settings": {"noise": NaN}}',
    "infinity": b'{"kind": "paths", "settings": {"start": [1e999, 0]}}',
    "a long number": b'{"kind": "paths", "settings": {"seed": ' + b"9" * 5000 + b"}}",
    "deep": b"[" * 100_000,
    "nothing": b"",
    "kind is an object": b'{"kind": {}}',
    "no settings": b'{"kind": "step"}',
    "a null byte": b'{"kind": "paths", "settings": {"surface": "\\u0000"}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/api/answer", "/api/export", "/api/import"])
def test_a_broken_request_gets_a_sentence(path, body):
    answer = posted(path, content=body)
    assert answer.status_code == 422
    assert b'"error"' in answer.content and b"Traceback" not in answer.content


def test_the_catalogue_speaks_the_language_asked_for():
    said = {
        language: wire.unpack(posted("/api/answer", {"kind": "catalogue", "language": language}).content).header
        for language in ("en", "ru", "xx")
    }
    assert said["en"] == said["xx"]
    assert said["en"]["optimizers"][0]["summary"].isascii()
    assert not said["ru"]["optimizers"][0]["summary"].isascii()
    assert [o["name"] for o in said["en"]["optimizers"]] == [o["name"] for o in said["ru"]["optimizers"]]
    for kind, numbers in (("surfaces", "coefficients"), ("optimizers", "hyperparameters"), ("schedules", "parameters")):
        meanings = {language: [n["meaning"] for e in said[language][kind] for n in e[numbers]] for language in said}
        assert all(meanings["en"]) and all(meanings["ru"])
        assert not set(meanings["en"]) & set(meanings["ru"])


WRONG = {
    "a wrong formula": (
        "/api/answer",
        {"kind": "paths", "settings": {"formula": "x**2 + open(y)"}},
        "Столбец 8: .*'open'",
    ),
    "a value out of range": ("/api/answer", {"kind": "paths", "settings": {"num_steps": 0}}, "num_steps: нужно .* 1 "),
    "an unknown name": (
        "/api/answer",
        {"kind": "paths", "settings": {"optimizers": ["adamm"]}},
        "'adam' или 'radam' или ",
    ),
    "an unknown kind": ("/api/answer", {"kind": "nothing"}, "^Запрос: одно из "),
    "a wrong number of runs": ("/api/answer", {"kind": "tune", "budget": 1}, "budget: нужно "),
    "an unknown format": ("/api/export", {"format": "exe", "settings": {}}, "format: одно из csv"),
    "nothing to export": ("/api/export", {"format": "csv", "settings": {"optimizers": []}}, "нечего"),
    "a broken import": ("/api/import", {"text": "{"}, "не JSON: .* строки 1, столбца 2"),
    "another import": ("/api/import", {"text": "[]"}, "площадкой"),
    "no object": ("/api/answer", [], "Запрос: нужен объект"),
}
ASKED = {
    "Accept-Language": {"accept-language": "ru-RU,ru;q=0.9,en;q=0.5"},
    "cookie": {"accept-language": "en", "cookie": "optviz-language=ru"},
}


@pytest.mark.parametrize("headers", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(("path", "data", "words"), WRONG.values(), ids=WRONG)
def test_an_error_comes_in_the_language_of_the_visitor(path, data, words, headers):
    def error(**more):
        answer = posted(path, content=json.dumps(data), **more)
        assert answer.status_code == 422
        is_json = answer.headers["content-type"].startswith("application/json")
        return (answer.json() if is_json else wire.unpack(answer.content).header)["error"]

    assert re.search(words, error(headers=headers))
    assert error().isascii()


def test_a_tuning_that_takes_too_long_is_refused_in_the_language_of_the_visitor():
    data = {"kind": "tune", "budget": 200, "settings": {"optimizers": ["adam"] * 20, "num_steps": 100_000}}
    answer = posted("/api/answer", content=json.dumps(data), headers=ASKED["cookie"])
    assert "возьмите меньше шагов" in list(frames(answer.content))[-1]["error"]


def frames(stream):
    while stream:
        (length,) = struct.unpack_from("<I", stream)
        yield wire.unpack(stream[4 : 4 + length]).header
        stream = stream[4 + length :]


def test_tuning_tells_its_progress_and_at_last_the_rates():
    *told, answer = frames(posted("/api/answer", {"kind": "tune", "budget": 5, "settings": SETTINGS}).content)
    assert all(0 <= message["progress"] <= 1 for message in told)
    assert set(answer["rates"]) == {"sgd", "adam"}


def test_tuning_that_takes_too_long_is_refused():
    settings = {"optimizers": ["adam"] * 20, "num_steps": 100_000}
    *_, answer = frames(posted("/api/answer", {"kind": "tune", "budget": 200, "settings": settings}).content)
    assert "too long" in answer["error"]


def test_an_import_brings_back_the_settings_of_an_export():
    exported = posted("/api/export", {"settings": SETTINGS, "format": "json"})
    assert exported.headers["content-disposition"].startswith('attachment; filename="optviz-')
    found = posted("/api/import", {"text": exported.text, "name": "../../evil.json"}).json()["settings"]
    assert found == json.loads(exported.text)["settings"]
    one, two = ({"kind": "paths", "settings": s} for s in (SETTINGS, found))
    assert service.answer("paths", one) == service.answer("paths", two)


def gone(after=0):
    """A browser that is there for as many looks as told."""
    looks = iter(range(10**9))

    async def is_gone():
        return next(looks) >= after

    return is_gone


def test_nothing_is_computed_for_a_browser_that_has_gone():
    done = []

    async def ask():
        with pytest.raises(Gone):
            await Workers().answer(lambda: done.append(1), gone())

    asyncio.run(ask())
    assert not done


def test_the_work_of_a_closed_session_stops():
    stopped = threading.Event()

    def going_on(cancelled):
        while not cancelled():
            time.sleep(0.01)
        stopped.set()

    async def ask():
        workers = Workers()
        with pytest.raises(Gone):
            await workers.job(going_on, gone(after=2))
        assert await workers.job(lambda cancelled: "next", gone(after=10)) == "next"

    asyncio.run(ask())
    assert stopped.is_set()


def test_at_most_as_many_computations_as_cores_go_on_at_once():
    going, most, lock = 0, 0, threading.Lock()

    def computed():
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        time.sleep(0.02)
        with lock:
            going -= 1

    async def ask():
        workers = Workers(cores=2)
        await asyncio.gather(*(workers.answer(computed, gone(after=10)) for _ in range(20)))

    asyncio.run(ask())
    assert most == 2


def test_a_flood_of_requests_is_told_to_wait():
    async def ask():
        workers = Workers(cores=1)
        tasks = [workers.answer(lambda: time.sleep(0.001), gone(after=10)) for _ in range(400)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(ask())
    assert sum(isinstance(r, Busy) for r in results) > 100
    assert sum(r is None for r in results) >= 200


def test_a_picture_that_nobody_waits_for_is_given_up_and_the_next_one_drawn():
    async def ask():
        workers = Workers()
        with pytest.raises(Gone):
            await workers.drawing(time.sleep, 600, is_gone=gone(after=3))
        # Drawn by the same process, it would wait ten minutes for the first.
        assert await asyncio.wait_for(workers.drawing(len, "next", is_gone=gone(after=10**6)), 120) == 4
        workers.close()

    asyncio.run(ask())


def test_pictures_are_drawn_by_a_spawned_process(monkeypatch):
    import multiprocessing

    made = []
    monkeypatch.setattr(work, "ProcessPoolExecutor", lambda n, context, prepare: made.append(context))

    async def ask():
        workers = Workers()
        with contextlib.suppress(AttributeError, TypeError):
            await workers.drawing(len, "", is_gone=gone(after=10))

    asyncio.run(ask())
    assert made == [multiprocessing.get_context("spawn")]
