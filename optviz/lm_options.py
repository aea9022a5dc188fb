"""What the commands of `optviz lm` share: options, and what is the user's mistake and not the program's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import jax
import typer

REFUSALS = (ValueError, TypeError, OSError, OverflowError, jax.errors.JaxRuntimeError)

Name = Annotated[str, typer.Argument(help="The model's name.")]
Models = Annotated[
    Path | None, typer.Option(help="The folder of models. Default: the user's own.", envvar="OPTVIZ_MODELS")
]
Which = Annotated[str, typer.Option(help="Which of its weights: best, last or self-play.")]
Book = Annotated[Path | None, typer.Option(help="A text file. Default: Python's help topics.")]
Encoding = Annotated[str | None, typer.Option(help="Of the file. Default: found out.")]


def quoted(name: str) -> str:
    """A model's name as a shell takes it; no name has quotes, or anything else that a shell reads within them."""
    return f'"{name}"' if " " in name else name


def fields_of(kind: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a command's options say of the fields of a dataclass; None says nothing."""
    return {
        field.name: options[field.name] for field in dataclasses.fields(kind) if options.get(field.name) is not None
    }
