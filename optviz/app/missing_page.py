"""The page that is shown where there is none: what is missing, in the visitor's language, and the way back."""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from markupsafe import Markup
from nicegui import Client, core, ui
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response

from optviz.app.shell import _, frame, write

_UNSAID = "Not Found"
"""What Starlette says of an address without a route."""


async def missing_page(request: Request, error: Exception) -> Response:
    """A page with status 404; JSON for a route that is none of the pages."""
    if not isinstance(error, StarletteHTTPException):
        raise error
    endpoint = request.scope.get("endpoint")
    if endpoint not in (None, core.app) and not request.scope.get("nicegui_page_path"):
        return await http_exception_handler(request, error)
    with Client(ui.page(""), request=request) as client:
        try:
            _build(request, "" if error.detail == _UNSAID else str(error.detail))
        except HTTPException as full:  # too many pages are open
            client.delete()
            return await http_exception_handler(request, full)
    return client.build_response(request, 404)


def _build(request: Request, detail: str) -> None:
    with frame(request, _("Not found")) as texts:
        is_of_models = request.url.path.startswith("/models")
        path, title = ("/models", _("Language models")) if is_of_models else ("/", _("Playground"))
        write(
            Markup('<h1>{}</h1><p>{}</p><p><a href="{}">← {}</a></p>').format(
                texts("Not found"), detail or texts("There is no page at this address."), path, texts(title)
            )
        )
