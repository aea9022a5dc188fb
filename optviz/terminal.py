"""What all commands share: the terminal, one sentence for bad input, and programs kept between runs."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator

import jax
import platformdirs
import typer
from rich.console import Console
from rich.markup import escape

console = Console()
errors = Console(stderr=True)


@contextlib.contextmanager
def one_sentence(kinds: tuple[type[Exception], ...] = (ValueError, TypeError, OSError)) -> Iterator[None]:
    """Turn an error about the user's input into one sentence on stderr and exit code 2."""
    try:
        yield
    except kinds as error:
        reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else error
        errors.print(f"[bold red]optviz:[/bold red] {escape(str(reason))}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from None


def prepare() -> None:
    """Make ready the process of a command: output that any terminal takes, compiled programs kept between runs."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name with an umlaut is no reason to fail on an ASCII terminal
            stream.reconfigure(errors="replace")
    use_compilation_cache()


def use_compilation_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless JAX has been told where to keep them."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", platformdirs.user_cache_dir("optviz"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
