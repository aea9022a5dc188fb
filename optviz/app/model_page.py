"""The page of one model: train it, let it write, let it play, its files."""

from __future__ import annotations

from fastapi import HTTPException, Request
from markupsafe import Markup
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from optviz.app import library
from optviz.app.library import Library
from optviz.app.lm_compare import CompareTab
from optviz.app.lm_files import FilesTab
from optviz.app.lm_parts import grouped, num_weights, require_installed
from optviz.app.lm_play import PlayTab
from optviz.app.lm_train import TrainTab
from optviz.app.lm_write import WriteTab
from optviz.app.shell import _, frame, texts_of, write
from optviz.app.texts import Texts
from optviz.language_model.models import Model, model_names, open_model

TABS = {
    "train": (_("Train"), TrainTab),
    "write": (_("Write"), WriteTab),
    "compare": (_("Compare"), CompareTab),
    "play": (_("Self-play"), PlayTab),
    "files": (_("Files"), FilesTab),
}
_LOOK = 1.0


async def model_page(request: Request, name: str, shelf: Library) -> None:
    """A model, and in the address which of its sides."""
    if not library.is_installed():
        with frame(request, _("Language models")) as texts:
            require_installed(texts)
        return
    try:
        model = await run_in_threadpool(open_model, name, shelf.models)
    except ValueError as error:
        is_there = name in model_names(shelf.models)
        unknown = texts_of(request)(_("There is no model of this name."))
        raise HTTPException(404, str(error) if is_there else unknown) from None
    first = request.query_params.get("tab", "")
    with frame(request, model.name) as texts:
        _heading(texts, model)
        _tabs(texts, model, shelf, first if first in TABS else next(iter(TABS)))


def _heading(texts: Texts, model: Model) -> None:
    about, sizes = model.config["about"], model.transformer
    sentence = texts(
        "Weights: {weights}. Layers: {layers}, width: {width}, context: {context}, tokenizer: {kind}. "
        "Optimizer: {optimizer}. Book: {book}.",
        weights=grouped(num_weights(model)),
        layers=sizes.layers,
        width=sizes.width,
        context=sizes.context,
        kind=about.get("tokenizer", "–"),
        optimizer=model.settings.optimizer,
        book=about.get("title", "–"),
    )
    if not model.has_text:
        sentence += " " + texts("It was imported without the text of its book: it writes, but cannot be trained here.")
    write(
        Markup('<p><a href="/models">← {}</a></p><h1>{}</h1><p class="lead">{}</p>').format(
            texts("Language models"), model.name, sentence
        )
    )


def _tabs(texts: Texts, model: Model, shelf: Library, first: str) -> None:
    """The sides of the model; only that which is shown looks for what is new."""
    with ui.tabs().props("dense no-caps inline-label align=left") as tabs:
        for tab, (title, _make) in TABS.items():
            ui.tab(tab, label=texts(title))
    sides = {}
    with ui.tab_panels(tabs, value=first, keep_alive=True).classes("w-full").props("keep-alive") as panels:
        for tab, (_title, make) in TABS.items():
            with ui.tab_panel(tab).classes("side"):
                sides[tab] = make(texts, model, shelf)
                sides[tab].build()

    async def look() -> None:
        await sides[str(panels.value)].look()

    tabs.on_value_change(look)
    ui.timer(_LOOK, look)
