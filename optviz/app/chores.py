"""What is done to books and models in the process for chores: functions of files, without any page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from optviz import language_model as lm

_BEGINNING = 400


class BookTold(NamedTuple):
    """What is told of a book that was sent."""

    title: str
    encoding: str
    num_bytes: int
    num_characters: int
    broken: int
    beginning: str


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A model to be made; None leaves a thing to the preset."""

    name: str
    preset: str
    book: Path | None = None
    """A text file; Python's help topics if None."""
    title: str = ""
    encoding: str | None = None
    tokenizer: str | None = None
    vocabulary_size: int | None = None
    sizes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    validation_share: float | None = None


def read_book(path: Path, title: str, encoding: str | None = None) -> BookTold:
    """Read a book only to tell of it. ValueError if it is none."""
    return _told(lm.decode_book(path.read_bytes(), title, encoding))


def _told(book: lm.Book) -> BookTold:
    beginning = book.text[:_BEGINNING].strip()
    return BookTold(book.title, book.encoding, book.num_bytes, len(book.text), book.broken, beginning)


def create(recipe: Recipe, models: Path) -> str:
    """Make a model; its name. ValueError or TypeError for what cannot be."""
    if recipe.book is None:
        book = lm.default_book()
    else:
        book = lm.decode_book(recipe.book.read_bytes(), recipe.title, recipe.encoding)
    return lm.create_from_book(
        recipe.name,
        book,
        recipe.preset,
        tokenizer=recipe.tokenizer,
        vocabulary_size=recipe.vocabulary_size,
        sizes=recipe.sizes,
        training=recipe.training,
        validation_share=recipe.validation_share,
        models=models,
    ).name


def export(name: str, suffix: str, which: str, target: Path, models: Path) -> None:
    """Write a model to the file `target`, in the format of `suffix`: .zip or .pt."""
    written = lm.export_model(lm.open_model(name, models), target.with_name(f"{target.name}{suffix}"), which)
    written.replace(target)


def take_in(path: Path, title: str, name: str | None, models: Path) -> str:
    """Make a model of a sent .zip; its name. ValueError if it is none."""
    try:
        return lm.import_model(path, name, models).name
    except ValueError as error:
        raise ValueError(str(error).replace(path.name, f"{title}.zip")) from None


def evaluate(
    name: str, which: str, path: Path | None, title: str, encoding: str | None, models: Path
) -> tuple[BookTold | None, lm.Evaluation]:
    """What a sent book is and how well a model knows it; or its own validation part, without a book."""
    book = None if path is None else lm.decode_book(path.read_bytes(), title, encoding)
    result = lm.evaluate(lm.open_model(name, models), None if book is None else book.text, which)
    return None if book is None else _told(book), result
