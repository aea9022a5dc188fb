"""The routes that answer with data: for the pages, and for scripts, which ask the same way."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from optviz.app.shell import LANGUAGE_COOKIE, _, texts_of
from optviz.app.texts import LANGUAGES, Texts
from optviz.app.translating import translated
from optviz.app.work import Busy, Gone, Workers
from optviz.playground import exports, reading, service, settings, tuning, wire
from optviz.playground.errors import BadSettings, Sentence

OCTETS = "application/octet-stream"
_ERROR = b'{"error":'
_TOLD = 0.2
"""Seconds between two messages of progress."""
_BUSY = _("The server has too much to do just now; try again in a moment.")
_STOPPED = _("Tuning was stopped.")
_GONE = 499
"""The status that a server notes for a request whose sender has gone."""


def routes(workers: Workers) -> APIRouter:
    """`/api/answer`, `/api/export` and `/api/import`."""
    router = APIRouter(prefix="/api")

    @router.post("/answer")
    async def answer(request: Request) -> Response:
        """What `optviz.playground.service` answers to `{"kind": ..., ...}`, as one binary message."""
        return await _guarded(_answer, request, workers)

    @router.post("/export")
    async def export(request: Request) -> Response:
        """A file of the run that `{"settings": ..., "format": ...}` describes."""
        return await _guarded(_export, request, workers)

    @router.post("/import")
    async def import_(request: Request) -> Response:
        """The settings in an exported file, `{"text": its content}`; its name is not asked for."""
        return await _guarded(_import, request, workers)

    return router


async def _guarded(handle: Callable[..., Any], request: Request, workers: Workers) -> Response:
    texts = texts_of(request)
    try:
        data = _json_object(await request.body())
        texts = _texts(data, request)
        return await handle(data, request, workers)
    except BadSettings as error:
        return JSONResponse({"error": texts.error(error), "where": error.where}, 422)
    except Busy:
        return JSONResponse({"error": texts(_BUSY)}, 503)
    except Gone:
        return Response(status_code=_GONE)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadSettings("A request is JSON; this is not: {why}.", why=reading.fault(error)) from None
    if not isinstance(data, dict):
        raise BadSettings(
            "{name} is an object with names, got {value}.", name=Sentence("A request"), value=reading.short(data)
        )
    return data


async def _answer(data: dict[str, Any], request: Request, workers: Workers) -> Response:
    kind, texts = data.get("kind"), _texts(data, request)
    if kind == "catalogue":
        return _octets(await workers.answer(lambda: _catalogue(data, texts), request.is_disconnected))
    if kind == "tune":
        return await _tune(data, request, workers)
    work = partial(service.answer, str(kind), data, say=texts.error)
    return _octets(await workers.answer(work, request.is_disconnected))


async def _tune(data: dict[str, Any], request: Request, workers: Workers) -> Response:
    """A stream of messages, each after its length (uint32, little-endian): the share done, and at last the answer.

    It ends with the connection: who closes the page, or stops, cancels the work.
    """
    chosen = settings.from_json(data.get("settings"))
    budget = settings.whole(data.get("budget", tuning.BUDGET), "budget", 2, tuning.MAX_BUDGET)
    shares, ended, texts = [0.0], asyncio.Event(), _texts(data, request)

    def work(cancelled: Callable[[], bool]) -> bytes:
        try:
            found = tuning.tune(chosen, budget, progress=shares.append, cancelled=cancelled)
            return wire.pack(service.tuned(chosen, found, budget))
        except BadSettings as error:
            return wire.pack({"error": texts.error(error), "where": error.where})
        except tuning.Cancelled:
            return wire.pack({"error": texts(_STOPPED)})

    async def closed() -> bool:
        return ended.is_set()

    async def messages() -> AsyncIterator[bytes]:
        job = asyncio.ensure_future(workers.job(work, closed))
        try:
            while not (await asyncio.wait({job}, timeout=_TOLD))[0]:
                yield _framed(wire.pack({"progress": shares[-1]}))
            yield _framed(job.result())
        except Busy:
            yield _framed(wire.pack({"error": texts(_BUSY)}))
        finally:
            ended.set()  # reached too if the connection breaks off

    return StreamingResponse(messages(), media_type=OCTETS)


def _framed(message: bytes) -> bytes:
    return struct.pack("<I", len(message)) + message


def _octets(message: bytes) -> Response:
    return Response(message, 422 if message[4 : 4 + len(_ERROR)] == _ERROR else 200, media_type=OCTETS)


def _texts(data: Mapping[str, Any], request: Request) -> Texts:
    wanted = data.get("language")
    known = request.cookies.get(LANGUAGE_COOKIE) is None and wanted in LANGUAGES
    return Texts(str(wanted)) if known else texts_of(request)


def _catalogue(data: Mapping[str, Any], texts: Texts) -> bytes:
    message = wire.unpack(service.answer("catalogue", data))
    return wire.pack(translated(message.header, texts), message.arrays)


async def _export(data: dict[str, Any], request: Request, workers: Workers) -> Response:
    # The process for pictures gets data that has been checked here, and no name of a file.
    asked = exports.checked(data.get("settings"), data.get("format"))
    made = await workers.drawing(exports.export, *asked, is_gone=request.is_disconnected)
    disposition = {"content-disposition": f'attachment; filename="{made.name}"'}
    return Response(made.content, media_type=made.media_type, headers=disposition)


async def _import(data: dict[str, Any], request: Request, workers: Workers) -> Response:
    found = await workers.answer(lambda: exports.settings_of(data.get("text")), request.is_disconnected)
    return JSONResponse({"settings": found})
