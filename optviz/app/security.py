"""What stands before every request: known hosts, same origin, a token, a limit on bodies, and what a page may load.

NiceGUI's socket takes any origin and any host. All of this is plain ASGI, outside of the web framework, so that no
route and no socket can be reached around it.
"""

from __future__ import annotations

import dataclasses
import http.cookies
import ipaddress
import secrets
import socket
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
MAX_BODY = 4_000_000
"""Bytes of a request's body; the JSON export of twelve runs has a third of that."""
MAX_SOCKET_MESSAGE = 256_000
TOKEN_COOKIE = "optviz-token"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_SOCKET_PATH = "/_nicegui_ws/"

# Vue compiles templates in the page, hence unsafe-eval; nothing is loaded from, or sent to, another machine.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclasses.dataclass(frozen=True)
class Access:
    """Who may use the server: under which names it answers, and the token that it asks for, if any."""

    hosts: tuple[str, ...] = LOOPBACK
    token: str | None = None


def access_for(host: str, no_token: bool = False, allow_hosts: Iterable[str] = ()) -> Access:
    """Loopback needs no token; any other address needs one, unless `no_token` says that it is not wanted.

    `allow_hosts` are further names under which browsers reach the server; its own name and addresses are known.
    """
    own = () if is_loopback(host) else (host, *_own_names())
    token = None if no_token or is_loopback(host) else secrets.token_urlsafe(24)
    return Access(tuple(dict.fromkeys((*LOOPBACK, *own, *allow_hosts))), token)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _own_names() -> tuple[str, ...]:
    name = socket.gethostname()
    try:
        addresses = {str(info[4][0]).split("%")[0] for info in socket.getaddrinfo(name, None)}
    except OSError:
        addresses = set()
    return (name, *sorted(addresses), *sorted(f"[{a}]" for a in addresses if ":" in a))


def guarded(
    app: ASGIApp, access: Access, max_body: int = MAX_BODY, uploads: Mapping[str, int] | None = None
) -> ASGIApp:
    """`app` behind every check, the cheapest first; `uploads` are the paths with a limit on bodies of their own."""
    app = LimitedBody(app, max_body, uploads)
    app = SameOrigin(app)
    if access.token is not None:
        app = Token(app, access.token)
    return Sealed(TrustedHostMiddleware(app, list(access.hosts), www_redirect=False))


class Sealed:
    """Adds the headers that keep a page from loading anything from elsewhere, or from being framed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self.app(scope, receive, sealed)


class SameOrigin:
    """Refuses what a page of another origin sends: sockets, and every method that may change something.

    A browser always sends Origin with these. A script of the user's own sends none, and is let through.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_checked(scope) and not _is_same_origin(Headers(scope=scope)):
            await _refuse(scope, receive, send, 403, "This request comes from a page of another origin.")
        else:
            await self.app(scope, receive, send)


def _is_checked(scope: Scope) -> bool:
    if scope["type"] == "websocket":
        return True
    polled = scope["type"] == "http" and scope["path"].startswith(_SOCKET_PATH)
    return polled or (scope["type"] == "http" and scope["method"] not in _SAFE_METHODS)


def _is_same_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == headers.get("host", "").lower()


class Token:
    """Asks for a token: in the link once (it becomes a cookie), or as a bearer's in a header."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["type"] == "http" and scope["method"] == "GET" and self._fits(_query(scope).get("token")):
            await self._remember(scope)(scope, receive, send)
        elif self._fits(_cookie(headers)) or self._fits(headers.get("authorization", "").removeprefix("Bearer ")):
            await self.app(scope, receive, send)
        else:
            await _refuse(scope, receive, send, 401, "Open the link with the token that `optviz app` printed.")

    def _fits(self, given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), self.token.encode())

    def _remember(self, scope: Scope) -> Response:
        """The same page without the token in its address, which stays out of history, bookmarks and shared links."""
        rest = {name: value for name, value in _query(scope).items() if name != "token"}
        # One slash: `//name` would lead to another machine.
        target = "/" + scope["path"].lstrip("/") + (f"?{urlencode(rest)}" if rest else "")
        response = RedirectResponse(target, 303)
        response.set_cookie(TOKEN_COOKIE, self.token, httponly=True, samesite="strict")
        return response


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


def _cookie(headers: Headers) -> str | None:
    try:
        found = http.cookies.SimpleCookie(headers.get("cookie", "")).get(TOKEN_COOKIE)
    except http.cookies.CookieError:
        return None
    return None if found is None else found.value


class LimitedBody:
    """Refuses a body beyond `limit` bytes, whatever its length claims to be, chunked ones included.

    A path of `others`, which takes files, has its own limit.
    """

    def __init__(self, app: ASGIApp, limit: int, others: Mapping[str, int] | None = None) -> None:
        self.app, self.limit, self.others = app, limit, dict(others or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        claimed = Headers(scope=scope).get("content-length", "0")
        limit = self.others.get(scope["path"], self.limit)
        if not claimed.isdecimal() or int(claimed[:20]) > limit:
            await self._refuse(scope, receive, send, limit)
            return
        await self._count(scope, receive, send, limit)

    async def _count(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        received, answered, refused = 0, False, False

        async def counted() -> Message:
            nonlocal received, refused
            message = await receive()
            received += len(message.get("body", b""))
            if received <= limit:
                return message
            if not (answered or refused):
                refused = True
                await self._refuse(scope, receive, send, limit)
            return {"type": "http.disconnect"}

        async def noted(message: Message) -> None:
            nonlocal answered
            if not refused:
                answered = True
                await send(message)

        try:
            await self.app(scope, counted, noted)
        except Exception:
            if not refused:  # to the application, a refused request is one that broke off
                raise

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        await _refuse(scope, receive, send, 413, f"A request may have at most {limit} bytes.")


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await receive()  # the connection is refused as an answer to its opening
        await send({"type": "websocket.close", "code": 1008, "reason": sentence})
        return
    headers: dict[str, Any] = {"connection": "close"} if status == 413 else {}
    await PlainTextResponse(sentence, status, headers)(scope, receive, send)
