"""The catalogue: search, filter and "help me choose"; and a page for each optimizer and each surface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from fastapi import HTTPException, Request
from markupsafe import Markup
from nicegui import ui
from starlette.concurrency import run_in_threadpool

import surfaces
from optviz.app import choosing
from optviz.app.formulas import formula_svg
from optviz.app.shell import _, frame, joined, playground_link, texts_of, with_code, write
from optviz.app.texts import Texts, sentences_of
from optviz.optimizers import CATALOGUE, OptimizerEntry
from optviz.playground.errors import Sentence, unknown
from optviz.playground.world import catalogue

_KINDS = {"all": _("Everything"), "optimizer": _("Optimizers"), "surface": _("Surfaces")}
_CARD = '<a class="card" href="{}"><span class="year">{}</span><b>{}</b><p>{}</p><div class="tags">{}</div></a>'


def list_page(request: Request) -> None:
    """All optimizers and surfaces as cards, and four questions that leave those which suit."""
    with frame(request, _("Catalogue")) as texts:
        write(
            Markup("<h1>{}</h1><p class=lead>{}</p>").format(
                texts("Catalogue"),
                texts(
                    "{optimizers} optimizers and {surfaces} surfaces, each with its formula, its source and what it "
                    "is good and bad at.",
                    optimizers=len(CATALOGUE),
                    surfaces=len(surfaces.CATALOGUE),
                ),
            )
        )
        _List(texts).build()


class _List:
    """The cards of one visitor, and what leaves some of them out."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self.cards: list[tuple[str, str, Any, ui.html]] = []
        self.answers = {question.name: next(iter(question.answers)) for question in choosing.QUESTIONS}
        self.kind, self.words = "all", ""

    def build(self) -> None:
        texts = self.texts
        with ui.element("div").classes("controls"):
            ui.input(texts("Search"), on_change=lambda e: self.filter(words=e.value or "")).props(
                "outlined dense clearable debounce=150"
            )
            kinds = {kind: texts(title) for kind, title in _KINDS.items()}
            ui.toggle(kinds, value="all", on_change=lambda e: self.filter(kind=e.value)).props("no-caps outline")
        box = ui.expansion(texts("Help me choose an optimizer")).props("dense").classes("w-full")
        with box, ui.element("div").classes("controls"):
            for question in choosing.QUESTIONS:
                self.question(question)
        self.count = ui.label().classes("tags").props('role="status"')
        with ui.element("div").classes("cards"):
            for entry in choosing.in_order(CATALOGUE):
                self.card("optimizer", entry.name, entry, _optimizer_card(entry, texts), texts(entry.summary))
            for make in surfaces.CATALOGUE:
                name = make.catalogue_name()
                self.card("surface", name, None, _surface_card(make, texts), texts(sentences_of(make)[0]))
        self.filter()

    def question(self, question: choosing.Question) -> None:
        """One of the questions as a box of answers."""
        answers = {name: self.texts(answer.text) for name, answer in question.answers.items()}

        def chosen(event: Any) -> None:
            self.answers[question.name] = event.value
            self.filter(kind="optimizer")

        ui.select(answers, value=next(iter(answers)), label=self.texts(question.text), on_change=chosen).props(
            "outlined dense"
        ).style("min-width: 260px")

    def card(self, kind: str, name: str, entry: Any, markup: Markup, summary: str) -> None:
        """One card; words are sought in its name and its summary."""
        self.cards.append((kind, f"{name} {name.replace('_', ' ')} {summary}".lower(), entry, write(markup)))

    def filter(self, kind: str | None = None, words: str | None = None) -> None:
        """Show the cards that suit, and say how many."""
        self.kind = self.kind if kind is None else kind
        self.words = self.words if words is None else words.lower()
        shown = 0
        for card_kind, text, entry, card in self.cards:
            fits = self.kind in ("all", card_kind) and all(word in text for word in self.words.split())
            fits = fits and (entry is None or choosing.fits(entry, self.answers))
            card.set_visibility(fits)
            shown += fits
        self.count.text = self.texts("{shown} shown", shown=shown)


def _optimizer_card(entry: OptimizerEntry, texts: Texts) -> Markup:
    needs = ", ".join(texts(choosing.NEEDS[need]) for need in entry.needs)
    tags = texts("optimizer, needs: {needs}", needs=needs) if needs else texts("optimizer")
    return Markup(_CARD).format(
        f"/catalogue/optimizer/{entry.name}", entry.year, entry.name, texts(entry.summary), tags
    )


def _surface_card(make: type[surfaces.LossSurface], texts: Texts) -> Markup:
    name = make.catalogue_name()
    first = with_code(_first_sentence(texts(sentences_of(make)[0])))
    return Markup(_CARD).format(f"/catalogue/surface/{name}", "", name, first, texts("surface"))


def _first_sentence(text: str) -> str:
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]


async def optimizer_page(request: Request, name: str) -> None:
    """All that is known of one optimizer."""
    entry = _found(request, name, {e.name: e for e in CATALOGUE})
    picture = await run_in_threadpool(formula_svg, entry.formula)
    with frame(request, entry.name) as texts:
        write(_optimizer_markup(entry, picture, texts))


def _optimizer_markup(entry: OptimizerEntry, picture: str, texts: Texts) -> Markup:
    settings = {"optimizers": [{"name": entry.name}]}
    return Markup("").join(
        (
            _title(texts, entry.name, texts(entry.summary), f"{entry.paper}."),
            _formula(picture),
            Markup('<p><a class="button strong" href="{}">{}</a></p>').format(
                playground_link(settings), texts("Try it in the playground")
            ),
            Markup("<h2>{}</h2><p>{}</p>").format(texts("Good for"), with_code(texts(entry.good_for))),
            Markup(
                '<div class="columns"><div><h2>{}</h2><ul>{}</ul></div><div><h2>{}</h2><ul>{}</ul></div></div>'
            ).format(
                texts("Advantages"),
                joined('<li class="good">{}</li>', (with_code(texts(said)) for said in entry.advantages)),
                texts("Drawbacks"),
                joined('<li class="bad">{}</li>', (with_code(texts(said)) for said in entry.drawbacks)),
            ),
            _needs(entry, texts),
            _hyperparameters(entry, texts),
            _code(texts, _optimizer_code(entry)),
        )
    )  # fmt: skip


def _title(texts: Texts, name: str, summary: str, source: str) -> Markup:
    return Markup('<p><a href="/catalogue">← {}</a></p><h1>{}</h1><p>{}</p><p class="lead">{}</p>').format(
        texts("Catalogue"), name, with_code(summary), source
    )


def _formula(picture: str) -> Markup:
    return Markup('<div class="formula-box">{}</div>').format(Markup(picture))  # drawn by formula_svg, which escapes


def _needs(entry: OptimizerEntry, texts: Texts) -> Markup:
    memory = texts("It remembers {count} numbers per parameter.", count=f"{choosing.memory(entry):.3g}")
    needs = [texts(choosing.NEEDS[need]) for need in entry.needs]
    wanted = texts("Beside the gradient it needs: {needs}.", needs=", ".join(needs)) if needs else ""
    return Markup("<h2>{}</h2><p>{} {}</p>").format(texts("What it needs"), wanted, memory)


def _hyperparameters(entry: OptimizerEntry, texts: Texts) -> Markup:
    heads = [_("hyperparameter"), _("default"), _("range"), _("scale"), _("meaning")]
    scales = {"log": _("logarithmic"), "linear": _("linear"), "choice": _("choice")}
    rows = (
        (h.name, _shown(h.default), _range(h), texts(scales[h.scale]), with_code(texts(h.meaning)))
        for h in entry.hyperparameters
    )
    return Markup(
        '<h2>{}</h2><div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(
        texts("Hyperparameters"),
        joined("<th>{}</th>", map(texts, heads)),
        joined(
            "<tr><td><code>{}</code></td><td class=number>{}</td><td class=number>{}</td><td>{}</td><td>{}</td></tr>",
            rows,
        ),
    )  # fmt: skip


def _shown(default: Any) -> str:
    return "–" if default is None else str(default)


def _range(h: Any) -> str:
    return "" if h.low is None or h.high is None else f"{h.low:g} … {h.high:g}"


def _code(texts: Texts, code: str) -> Markup:
    return Markup("<h2>{}</h2><pre><code>{}</code></pre>").format(texts("In Python"), code)


def _optimizer_code(entry: OptimizerEntry) -> str:
    known = [h.name for h in entry.hyperparameters]
    rate = f", learning_rate={entry.learning_rate!r}" if "learning_rate" in known else ""
    return (
        "import optviz, surfaces\n\n"
        f"surface = surfaces.{_suitable_surface(entry).__name__}()\n"
        f'optimizer = optviz.optimizer("{entry.name}"{rate})\n'
        "trace = optviz.record(optimizer, surface, surface.start, 1000)\n"
        "print(optviz.metrics.summary(trace))"
    )


def _suitable_surface(entry: OptimizerEntry) -> type[surfaces.LossSurface]:
    """A surface that has what the optimizer needs."""
    if "matrix" in entry.needs:
        return next(s for s in surfaces.CATALOGUE if np.ndim(getattr(s(), "start", 0)) == 2)
    if "residuals" in entry.needs:
        return next(s for s in surfaces.CATALOGUE if hasattr(s, "residuals"))
    return surfaces.Rosenbrock


async def surface_page(request: Request, name: str) -> None:
    """All that is known of one surface."""
    make = _found(request, name, {s.catalogue_name(): s for s in surfaces.CATALOGUE})
    picture = await run_in_threadpool(formula_svg, make.formula)
    surface = await run_in_threadpool(make)
    with frame(request, name) as texts:
        write(_surface_markup(surface, picture, texts))


def _surface_markup(surface: surfaces.LossSurface, picture: str, texts: Texts) -> Markup:
    said = [texts(paragraph) for paragraph in sentences_of(type(surface))]
    return Markup("").join(
        (
            _title(texts, surface.name, said[0], f"{surface.source}."),
            _formula(picture),
            joined("<p>{}</p>", map(with_code, said[1:])),
            _surface_link(surface, texts),
            Markup("<h2>{}</h2><div class=scroll><table>{}</table></div>").format(
                texts("Facts"), joined("<tr><th>{}</th><td>{}</td></tr>", _facts(surface, texts))
            ),
            _code(texts, _surface_code(surface)),
        )
    )


def _surface_link(surface: surfaces.LossSurface, texts: Texts) -> Markup:
    if surface.name not in catalogue().surfaces:
        why = texts("The playground shows surfaces of two parameters without noise of their own; this one has more.")
        return Markup('<p class="lead">{}</p>').format(why)
    return Markup('<p><a class="button strong" href="{}">{}</a></p>').format(
        playground_link({"surface": surface.name}), texts("See it in the playground")
    )


def _facts(surface: surfaces.LossSurface, texts: Texts) -> Iterable[tuple[str, str]]:
    meanings = surface.meanings()
    for name, value in surface.coefficients.items():
        number = np.array2string(np.asarray(value), precision=4)
        yield texts("coefficient {name}", name=name), f"{number}: {texts(meanings[name])}"
    low, high = surface.domain
    yield texts("domain"), f"{_point(low, texts)} … {_point(high, texts)}"
    yield texts("start"), _point(surface.start, texts)
    yield texts("global minima"), ", ".join(_point(m, texts) for m in surface.minima) or texts("none known")
    if surface.minimum_value is not None:
        yield texts("loss at the minimum"), f"{float(surface.minimum_value):.6g}"


def _point(params: Any, texts: Texts) -> str:
    import jax

    sizes = [np.size(leaf) for leaf in jax.tree.leaves(params)]
    if not hasattr(params, "shape") or sum(sizes) > 8:
        return texts("{count} numbers", count=sum(sizes))
    return "(" + ", ".join(f"{float(x):.6g}" for x in np.ravel(params)) + ")"


def _surface_code(surface: surfaces.LossSurface) -> str:
    lines = [
        "import optviz, surfaces",
        "",
        f"surface = surfaces.{type(surface).__name__}()",
        'trace = optviz.record(optviz.optimizer("adam"), surface, surface.start, 1000)',
        "print(optviz.metrics.summary(trace))",
    ]
    if getattr(surface.start, "shape", None) == (2,):
        lines.append("optviz.plot_trajectory(trace)")
    return "\n".join(lines)


def _found(request: Request, name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        why = unknown(Sentence("page of the catalogue"), name[:60], known)
        raise HTTPException(404, why.said(texts_of(request)))
    return known[name]
