"""The routes by which books, models and results come and go: the body of a request is the file, as it is."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import ClientDisconnect

from optviz.app import library
from optviz.app.library import Library
from optviz.app.uploads import MAX_BYTES, NoRoom, title_of
from optviz.language_model import work
from optviz.language_model.comparison import RESULTS

UPLOADS = {"/api/lm/book": MAX_BYTES, "/api/lm/model": MAX_BYTES}
"""The routes that take more than other requests may have, and how much."""
_GONE = 499
"""The status that a server notes for a request whose sender has gone."""


def routes(shelf: Library) -> APIRouter:
    """`/api/lm/book` and `/api/lm/model` take a file, `/api/lm/file/...` and `/api/lm/comparison/...` give one."""
    router = APIRouter(prefix="/api/lm")

    @router.post("/book")
    @router.post("/model")
    async def receive(request: Request) -> JSONResponse:
        """Keep a file for an hour. Its id and its title, which is the `X-File-Name` without what a path may have."""
        if not library.is_installed():
            return JSONResponse({"error": "Language models need: pip install 'optviz[lm]'."}, 503)
        try:
            file_id = await shelf.uploads.receive(request.stream())
        except NoRoom as error:
            return JSONResponse({"error": str(error)}, 503)
        except (ClientDisconnect, TimeoutError):
            return JSONResponse({"error": "The file did not arrive whole."}, _GONE)
        except OSError as error:
            return JSONResponse({"error": f"The file could not be kept: {error.strerror}."}, 507)
        return JSONResponse({"id": file_id, "title": title_of(request.headers.get("x-file-name"))})

    @router.get("/file/{file_id}")
    async def send(file_id: str, name: str = "model.zip") -> FileResponse:
        """A file that a page had made, under its unguessable id."""
        try:
            path = shelf.downloads.path(file_id)
        except ValueError as error:
            raise HTTPException(404, str(error)) from None
        suffix = ".pt" if name.endswith(".pt") else ".zip"
        return FileResponse(path, media_type="application/octet-stream", filename=title_of(name) + suffix)

    @router.get("/comparison/{job_id}/{name}")
    async def result(job_id: str, name: str) -> FileResponse:
        """One of the files that a comparison leaves."""
        try:
            path = work.comparison_folder(job_id, shelf.models) / name
        except ValueError as error:
            raise HTTPException(404, str(error)) from None
        if name not in RESULTS or not path.is_file():
            raise HTTPException(404, "There is no such file.")
        shown = "inline" if path.suffix == ".png" else "attachment"
        return FileResponse(path, filename=name, content_disposition_type=shown, headers={"cache-control": "no-cache"})

    return router
