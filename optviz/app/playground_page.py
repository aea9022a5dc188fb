"""The playground's page, and the page for a surface of one's own: a formula, and the playground that descends it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request
from markupsafe import Markup
from nicegui import ui

from optviz.app.shell import _, frame, write
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

    def show(self, chosen: Mapping[str, Any]) -> None:
        """Change these settings, and leave the others as the visitor has set them."""
        self._props["settings"] = dict(chosen)
        self.update()


def playground_page(request: Request) -> None:
    """The playground with the settings in the address; if they cannot be meant, with a sentence and without them."""
    with frame(request, _("Playground"), wide=True) as texts:
        chosen, problem = settings_in(request)
        Playground(texts, chosen, problem).classes("w-full")


def settings_in(request: Request) -> tuple[dict[str, Any] | None, str]:
    """The settings in the address, filled in, or None; and what is wrong with them."""
    text = request.query_params.get("settings")
    if not text:
        return None, ""
    if len(text) > _LONGEST:
        return None, f"The settings in an address have at most {_LONGEST} characters, got {len(text)}."
    try:
        return settings.to_json(settings.from_json(text)), ""
    except BadSettings as error:
        return None, str(error)


def own_surface_page(request: Request) -> None:
    """A formula in x and y, checked as it is typed, and descended below."""
    with frame(request, _("Your own surface"), wide=True) as texts:
        chosen, problem = settings_in(request)
        _Formula(texts, chosen, problem).build()


class _Formula:
    """The formula of one visitor."""

    def __init__(self, texts: Texts, chosen: Mapping[str, Any] | None, problem: str) -> None:
        self.texts, self.problem = texts, problem
        self.chosen = dict(chosen or {})
        if not self.chosen.get("formula"):
            self.chosen = {"formula": _EXAMPLES[-1], "start": [-1.6, 1.4], "view": [-2.5, 2.5, -2.5, 2.5]}

    def build(self) -> None:
        texts = self.texts
        write(
            Markup("<h1>{}</h1><p>{}</p>").format(
                texts("Your own surface"),
                texts(
                    "Type a formula in x and y, in Python's arithmetic: + − * / ** and parentheses, pi and e, and the "
                    "functions {functions}. Derivatives are automatic.",
                    functions=", ".join(formula.FUNCTIONS),
                ),
            )
        )
        with ui.element("div").classes("controls"):
            self.box = (
                ui.input(texts("Formula"), value=self.chosen["formula"], on_change=lambda e: self.typed(e.value or ""))
                .props("outlined dense debounce=250 spellcheck=false autocapitalize=off")
                .style("flex: 1 1 340px; font-family: ui-monospace, monospace")
            )
            examples = ui.select(
                list(_EXAMPLES), label=texts("Examples"), on_change=lambda e: self.box.set_value(e.value)
            )
            examples.props("outlined dense").style("flex: 0 1 260px")
        self.pointer = write(Markup()).classes("error column").props('role="alert"')
        self.element = Playground(texts, self.chosen, self.problem).classes("w-full")

    def typed(self, text: str) -> None:
        """Show the surface of the text, or what is wrong with it and where."""
        try:
            formula.surface(text)
        except BadSettings as error:
            self.pointer.set_content(str(_pointed(text, error)))
            return
        self.pointer.set_content("")
        self.element.show({"formula": text})


def _pointed(text: str, error: BadSettings) -> Markup:
    """The sentence, and under the formula a mark at the column that it speaks of."""
    column = error.where.rpartition(" ")[2] if error.where else ""
    if not column.isdecimal() or len(text) > 120:
        return Markup("<p>{}</p>").format(str(error))
    return Markup("<p>{}</p><pre>{}\n{}^</pre>").format(str(error), text, " " * (int(column) - 1))
