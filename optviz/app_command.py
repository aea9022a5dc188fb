"""`optviz app`: the playground and its pages in a browser."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from optviz.terminal import console, one_sentence


def app(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    open_browser: Annotated[bool, typer.Option("--open", help="Open a browser.")] = False,
    no_token: Annotated[bool, typer.Option("--no-token", help="Let anyone in who reaches the address.")] = False,
    allow_host: Annotated[list[str] | None, typer.Option(help="Another name of this machine. Repeatable.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="The folder of language models.", envvar="OPTVIZ_MODELS", file_okay=False)
    ] = None,
) -> None:
    """Serve the playground, sweeps and the catalogue to a browser, on this machine alone unless --host says more."""
    with one_sentence((ValueError, OSError)):
        try:
            from optviz.app import security, server
        except ImportError as error:
            raise ValueError(f"The app needs the extra `app`: pip install 'optviz[app]' ({error}).") from None
        require_free(host, port)
        access = security.access_for(host, no_token, allow_host or ())
        console.print(
            f"optviz is at [bold]{server.address(host, port, access)}[/bold] (Ctrl+C ends it)", soft_wrap=True
        )
        if access.token is None and not security.is_loopback(host):
            console.print("Anyone who reaches this address may use it: --no-token was given.", style="yellow")
        server.serve(host, port, access, open_browser, models)
        if server.is_training(models):
            console.print("What was being trained goes on without the app; `optviz app` shows it again.")


def require_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is compiled."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise ValueError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another --host or --port."
        ) from None
