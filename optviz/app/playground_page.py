"""The playground's page, and the page for a surface of one's own: a formula, and the playground that descends it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request
from markupsafe import Markup
from nicegui import ui

from optviz.app.shell import _, frame, joined, playground_link, write
from optviz.app.texts import Texts
from optviz.playground import formula, settings
from optviz.playground.errors import BadSettings

_ELEMENT = Path(__file__).parent / "static" / "playground_element.js"
_LONGEST = 60_000
"""Characters of settings in an address."""
_EXAMPLES = (
    "(1-x)**2 + 100*(y-x**2)**2",
    "x**2 + 10*y**2",
    "sin(x)*cos(y) + (x**2 + y**2)/20",
    "sqrt(x**2 + 1) + abs(y)",
    "(x**2 - 1)**2 + y**2 + x*y/2",
)


class Playground(ui.element, component=_ELEMENT):
    """The drawing module in a page."""

    def __init__(self, texts: Texts, chosen: Mapping[str, Any] | None, problem: str = "", files: bool = True) -> None:
        super().__init__()
        self._props["settings"] = chosen
        self._props["problem"] = problem
        self._props["files"] = files
        self._props["language"] = texts.language
        self._props["texts"] = {
            "keep": texts("Share and keep:"),
            "copy": texts("Copy link"),
            "copied": texts("Copied"),
            "open": texts("Open a JSON export"),
        }


def playground_page(request: Request) -> None:
    """The playground with the settings in the address; if they cannot be meant, with a sentence and without them."""
    with frame(request, _("Playground"), wide=True) as texts:
        chosen, problem = settings_in(request, texts)
        Playground(texts, chosen, problem).classes("w-full")


def settings_in(request: Request, texts: Texts) -> tuple[dict[str, Any] | None, str]:
    """The settings in the address, filled in, or None; and what is wrong with them."""
    text = request.query_params.get("settings")
    if not text:
        return None, ""
    if len(text) > _LONGEST:
        told = {"most": _LONGEST, "count": len(text)}
        return None, texts("The settings in an address have at most {most} characters, got {count}.", **told)
    try:
        return settings.to_json(settings.from_json(text)), ""
    except BadSettings as error:
        return None, texts.error(error)


def own_surface_page(request: Request) -> None:
    """How a formula is written, examples, and the playground that has the box for it."""
    with frame(request, _("Your own surface"), wide=True) as texts:
        chosen, problem = settings_in(request, texts)
        write(_how_to_write(texts))
        own = chosen if chosen and chosen["formula"] else _own(_EXAMPLES[-1])
        Playground(texts, own, problem).classes("w-full")


def _how_to_write(texts: Texts) -> Markup:
    examples = ((playground_link(_own(example), "/surface"), example) for example in _EXAMPLES)
    return Markup("<h1>{}</h1><p>{}</p><p>{}{}</p>").format(
        texts("Your own surface"),
        texts(
            "Type a formula in x and y into the box under “Surface” and press Enter. It is Python's arithmetic: "
            "+ − * / ** and parentheses, pi and e, and the functions {functions}. Derivatives are automatic.",
            functions=", ".join(formula.FUNCTIONS),
        ),
        texts("Examples:"),
        joined(' <a href="{}"><code>{}</code></a>', examples),
    )


def _own(text: str) -> dict[str, Any]:
    """The settings that a formula begins with."""
    return {"formula": text, "start": [-1.6, 1.4], "view": [-2.5, 2.5, -2.5, 2.5]}
