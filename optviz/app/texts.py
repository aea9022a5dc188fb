"""The languages of the interface: English is written in the code, others are gettext catalogues in `locale/`.

`python -m optviz.app.texts` adds what is new in the code to the catalogues, and drops what is gone.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract, extract_from_dir
from babel.messages.pofile import read_po, write_po

import surfaces
from optviz.optimizers import CATALOGUE
from optviz.playground.errors import BadSettings
from optviz.playground.presets import PRESETS
from optviz.playground.schedules import SCHEDULES
from surfaces.names import NONE_NEAR, SOME_NEAR

LANGUAGES = {"en": "English", "ru": "Русский"}
LOCALE = Path(__file__).parent / "locale"
MODULES = sorted((Path(__file__).parent.parent / "widget" / "js").glob("*.js"))
_CODE = (Path(__file__).parent, Path(__file__).parent.parent / "playground")
_PYTHON = [("**.py", "python")]
_MARKS = {"_": None, "texts": None, "Sentence": None, "BadSettings": None}
"""What looks a message up, or marks it to be looked up."""
_MARK_OF_THE_MODULE = "t"
_HEADER = """# The sentences of optviz; `python -m optviz.app.texts` keeps them in step with the code.
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

"""


class Texts:
    """The sentences of one language: `_("Step {step}", step=3)`. What has no translation stays English."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._messages = _messages(language)

    def __call__(self, message: str, /, **values: Any) -> str:
        translated = self._messages.get(message) or message
        return translated.format(**values) if values else translated

    def error(self, error: BadSettings) -> str:
        """What is wrong with a request, in one sentence."""
        return error.sentence.said(self)


def chosen_language(cookie: str | None, accepted: str) -> str:
    """The language of a cookie if there is such a one, else the first of an Accept-Language header that there is."""
    wanted = [cookie or "", *(part.split(";")[0].strip()[:2].lower() for part in accepted.split(","))]
    return next((language for language in wanted if language in LANGUAGES), "en")


@functools.cache
def _messages(language: str) -> Mapping[str, str]:
    if language == "en":
        return {}
    return {str(m.id): str(m.string) for m in read_catalogue(language) if m.id and m.string and not m.fuzzy}


def read_catalogue(language: str) -> Catalog:
    """The catalogue of a language as it stands in `locale/`."""
    with catalogue_file(language).open("rb") as file:
        return read_po(file, locale=language)


def catalogue_file(language: str) -> Path:
    """Where the sentences of a language stand."""
    return LOCALE / language / "LC_MESSAGES" / "optviz.po"


def messages_of_the_code() -> Iterator[tuple[str, str]]:
    """Every message and where it comes from: marked in the code, or said by the catalogues."""
    for folder in _CODE:
        for file, _line, message, _comments, _context in extract_from_dir(folder, _PYTHON, keywords=_MARKS):
            yield str(message), f"{folder.name}/{file}"
    for message in (NONE_NEAR, SOME_NEAR):
        yield message, "unknown names"
    for message in messages_of_the_module():
        yield message, "widget/js"
    for preset in PRESETS:
        yield preset.title, "presets"
        yield preset.text, "presets"
    for entry in CATALOGUE:
        said = (entry.summary, entry.good_for, *entry.advantages, *entry.drawbacks)
        for message in (*said, *(h.meaning for h in entry.hyperparameters)):
            yield message, "catalogue of optimizers"
    for make in surfaces.CATALOGUE:
        for message in (*sentences_of(make), *make.meanings().values()):
            yield message, "catalogue of surfaces"
    for schedule in SCHEDULES.values():
        for parameter in schedule.parameters:
            yield parameter.meaning, "schedules"


@functools.cache
def messages_of_the_module() -> tuple[str, ...]:
    """The labels that the playground's JavaScript modules mark, in their order."""
    found = []
    for module in MODULES:
        with module.open("rb") as file:
            marked = extract("javascript", file, keywords={_MARK_OF_THE_MODULE: None})
            found += [str(message) for _line, message, _comments, _context in marked]
    return tuple(dict.fromkeys(found))


def sentences_of(surface: type[surfaces.LossSurface]) -> list[str]:
    """What is said of a surface, a paragraph each."""
    paragraphs = inspect.cleandoc(surface.__doc__ or "").split("\n\n")
    return [" ".join(paragraph.split()) for paragraph in paragraphs]


def update(language: str) -> list[str]:
    """Bring a catalogue up to the code; the messages that have no translation yet."""
    old = {str(m.id): m.string for m in read_catalogue(language)} if catalogue_file(language).exists() else {}
    new = Catalog(locale=language, fuzzy=False)
    for message, place in messages_of_the_code():
        if message:
            new.add(message, old.get(message, ""), locations=[(place, 0)])
    with catalogue_file(language).open("wb") as file:
        file.write(_HEADER.encode())
        write_po(file, new, width=120, include_lineno=False, omit_header=True)  # its dates would change every time
    return [str(m.id) for m in new if m.id and not m.string]


if __name__ == "__main__":
    for name in LANGUAGES:
        if name != "en":
            print(name, *update(name), sep="\n")
