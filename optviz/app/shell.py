"""What every page shares: the header with its links, language and theme; helpers for text; links to settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

from fastapi import HTTPException, Request
from markupsafe import Markup
from nicegui import Client, ui

from optviz.app.texts import LANGUAGES, Texts, chosen_language

LANGUAGE_COOKIE, THEME_COOKIE = "optviz-language", "optviz-theme"
MAX_PAGES = 500
"""Pages that the server keeps at a time; each takes about 100 kB."""
_DARK = {"dark": True, "light": False}


class Link(NamedTuple):
    """A page in the header; its title is a message."""

    path: str
    title: str


def _(message: str) -> str:
    """Marks a message for the catalogues; it is translated when the page is built."""
    return message


PAGES = (
    Link("/", _("Playground")),
    Link("/sweep", _("Sweep")),
    Link("/surface", _("Your own surface")),
    Link("/models", _("Language models")),
    Link("/catalogue", _("Catalogue")),
    Link("/glossary", _("Glossary")),
    Link("/guide", _("Guide")),
)


def texts_of(request: Request) -> Texts:
    """The sentences in the language that the browser's cookie or its header asks for."""
    return Texts(chosen_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", "")))


@contextmanager
def frame(request: Request, title: str, wide: bool = False) -> Iterator[Texts]:
    """The frame of a page: header, links, and the main part, into which the block writes."""
    _require_room()
    texts = texts_of(request)
    ui.page_title(f"{texts(title)} · optviz")
    ui.dark_mode(_DARK.get(request.cookies.get(THEME_COOKIE, "")))
    ui.colors(primary="#2f6690")
    ui.add_head_html(
        '<link rel="stylesheet" href="/static/app.css"><link rel="stylesheet" href="/static/playground.css">'
        '<script src="/static/app.js" defer></script>'
        f'<script>document.documentElement.lang = "{texts.language}"</script>'
    )
    _header(request, texts)
    with ui.element("main").classes("page wide" if wide else "page"):
        yield texts


def _require_room() -> None:
    """Refuse one page too many; those that no browser ever came back for are forgotten first."""
    if len(Client.instances) > MAX_PAGES:
        Client.prune_instances(client_age_threshold=10.0)
    if len(Client.instances) > MAX_PAGES:
        raise HTTPException(503, "Too many pages are open just now; try again in a minute.")


def _header(request: Request, texts: Texts) -> None:
    here = request.url.path
    links = Markup("").join(_link(page, here, texts) for page in PAGES)
    other = next(language for language in LANGUAGES if language != texts.language)
    buttons = Markup(
        '<button type="button" data-cookie="{}" data-value="{}" lang="{}">{}</button>'
        '<button type="button" data-theme-button aria-label="{}" title="{}">◐</button>'
    ).format(LANGUAGE_COOKIE, other, other, LANGUAGES[other], texts("Light or dark"), texts("Light or dark"))
    write(
        Markup(
            '<header class="header"><a class="brand" href="/">optviz</a><nav aria-label="{}">{}</nav>'
            '<div class="switches">{}</div></header>'
        ).format(texts("Pages"), links, buttons)
    )


def _link(page: Link, here: str, texts: Texts) -> Markup:
    is_here = here == page.path or (page.path != "/" and here.startswith(page.path + "/"))
    current = Markup(' aria-current="page"') if is_here else ""
    return Markup('<a href="{}"{}>{}</a>').format(page.path, current, texts(page.title))


def write(markup: Markup) -> ui.html:
    """Put markup into the page. Only `Markup` is taken: what comes from elsewhere has been escaped by its `format`."""
    if not isinstance(markup, Markup):
        raise TypeError(f"write takes Markup, got {type(markup).__name__}.")
    return ui.html(str(markup), sanitize=False).classes("plain")


def joined(template: str, items: Any) -> Markup:
    """`template` formatted with each of the items, one after another."""
    pattern = Markup(template)
    return Markup("").join(pattern.format(*item) if isinstance(item, tuple) else pattern.format(item) for item in items)


def with_code(text: str) -> Markup:
    """`text` escaped, and what stands in it between backticks as code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(parts))


def playground_link(settings: Mapping[str, Any], path: str = "/") -> str:
    """The address that shows these settings of the playground."""
    return f"{path}?settings={quote(json.dumps(settings, separators=(',', ':')), safe='{}:,[]')}"
