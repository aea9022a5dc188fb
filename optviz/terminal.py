"""What all commands share: the terminal, one sentence for bad input, and programs kept between runs."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

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
    except BrokenPipeError:  # `optviz ... | head` has read enough
        raise
    except kinds as error:
        reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else error
        errors.print(f"[bold red]optviz:[/bold red] {escape(str(reason))}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from None


@contextlib.contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turn a missing library into a ValueError that names the extra which brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        says_how = "pip install" in str(error)
        how = f"This needs the extra `{extra}`: pip install 'optviz[{extra}]' ({error})."
        raise ValueError(str(error) if says_how else how) from None


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C, or a request to end, only makes the given function say yes; a second one ends it."""
    asked = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def visible(text: str) -> str:
    """Text from a file or a model without what could command a terminal: its control characters become pictures."""
    return text.translate(_PICTURES)


_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
_PICTURES |= {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}


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
