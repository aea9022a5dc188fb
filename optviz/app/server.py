"""The server: pages, routes and files put together behind the guard, and run until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from nicegui import core, ui
from starlette.types import ASGIApp

from optviz.app import (
    api,
    catalogue_page,
    glossary_page,
    guide_page,
    lm_api,
    missing_page,
    model_page,
    models_page,
    playground_page,
    regularisation_page,
    security,
    sweep_page,
    verified_page,
)
from optviz.app.library import Library
from optviz.app.work import Workers
from optviz.language_model import jobs
from optviz.optimizers import CATALOGUE

_STATIC = Path(__file__).parent / "static"
_WIDGET = Path(__file__).parent.parent / "widget"
FILES = {
    "app.css": _STATIC,
    "app.js": _STATIC,
    "playground.css": _WIDGET,
    **{module.name: module.parent for module in (_WIDGET / "js").glob("*.js")},
}
"""The files that `/static/` serves, by name: nothing else is read at a visitor's request."""
MAX_CONNECTIONS = 512
_DRAWN = 30.0
"""Seconds in which a formula is drawn at the latest, Matplotlib being loaded for the first one."""


def add_pages(workers: Workers, shelf: Library | None = None) -> None:
    """Register every page with NiceGUI; those of language models show the models of `shelf`, or the user's own."""
    models = shelf or Library(workers)

    @ui.page("/sweep")
    def _sweep(request: Request) -> None:
        sweep_page.sweep_page(request, workers)

    @ui.page("/models")
    def _models(request: Request) -> None:
        models_page.models_page(request, models)

    @ui.page("/models/model/{name}", response_timeout=_DRAWN)
    async def _model(request: Request, name: str) -> None:
        await model_page.model_page(request, name, models)

    @ui.page("/models/verified")
    def _verified(request: Request) -> None:
        verified_page.verified_page(request, models)

    core.app.exception_handler(404)(missing_page.missing_page)
    ui.page("/")(playground_page.playground_page)
    ui.page("/surface")(playground_page.own_surface_page)
    ui.page("/catalogue")(catalogue_page.list_page)
    ui.page("/catalogue/optimizer/{name}", response_timeout=_DRAWN)(catalogue_page.optimizer_page)
    ui.page("/catalogue/surface/{name}", response_timeout=_DRAWN)(catalogue_page.surface_page)
    ui.page("/glossary")(glossary_page.glossary_page)
    ui.page("/glossary/regularisation")(regularisation_page.regularisation_page)
    ui.page("/guide")(guide_page.guide_page)


def create_app(access: security.Access | None = None, models: Path | None = None) -> ASGIApp:
    """The whole application, behind its guard. One for a process: NiceGUI has one set of pages."""
    workers = Workers()
    shelf = Library(workers, models)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watch = asyncio.create_task(shelf.watch())
        yield
        watch.cancel()
        workers.close()
        shelf.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(api.routes(workers))
    app.include_router(lm_api.routes(shelf))
    app.get("/static/{name}")(static_file)
    add_pages(workers, shelf)
    # Little is kept for a visitor: no storage on disk, a short history to resend, and nothing once the page has gone.
    ui.run_with(
        app,
        title="optviz",
        favicon=_STATIC / "favicon.svg",
        tailwind=False,
        reconnect_timeout=5.0,
        message_history_length=100,
        show_welcome_message=False,
    )
    core.app.config.socket_io_js_transports = ["websocket"]
    return security.guarded(app, access or security.Access(), uploads=lm_api.UPLOADS)


async def static_file(name: str) -> FileResponse:
    """One of `FILES`."""
    from fastapi import HTTPException

    if name not in FILES:
        raise HTTPException(404, "There is no such file.")
    kind = mimetypes.guess_type(name)[0]
    return FileResponse(FILES[name] / name, media_type=kind, headers={"cache-control": "no-cache"})


def serve(
    host: str, port: int, access: security.Access, open_browser: bool = False, models: Path | None = None
) -> None:
    """Serve until interrupted.

    Raises:
      OSError: if the address is taken.
    """
    # An accelerator is shared with the processes that train.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    config = uvicorn.Config(
        create_app(access, models),
        host=host,
        port=port,
        log_level="warning",
        ws_max_size=security.MAX_SOCKET_MESSAGE,
        limit_concurrency=MAX_CONNECTIONS,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    if open_browser:
        timer = threading.Timer(1.0, webbrowser.open, (address(host, port, access),))
        timer.daemon = True
        timer.start()
    warm()
    # Uvicorn ends well, and then raises the signal again: Python is to end well too, and give back its semaphores.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    uvicorn.Server(config).run()


def is_training(models: Path | None) -> bool:
    """Whether a worker goes on after the server, which it does not need."""
    try:
        return jobs.is_held(jobs.device_lock(0, models))
    except ValueError:  # no file locks, no workers
        return False


def address(host: str, port: int, access: security.Access) -> str:
    """Where a browser on this machine finds the app."""
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={access.token}" if access.token else "")


def warm() -> None:
    """Compile what the first picture needs while the browser is still loading the page."""
    from optviz.app.formulas import formula_svg
    from optviz.playground import service

    def compute() -> None:
        for kind in ("paths", "landscape", "catalogue"):
            service.answer(kind, {"settings": {}})
        formula_svg(CATALOGUE[0].formula)

    threading.Thread(target=compute, name="warm", daemon=True).start()
    os.environ.setdefault("MPLBACKEND", "agg")
