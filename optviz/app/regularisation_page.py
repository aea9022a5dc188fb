"""Regularisation: where L1, L2 and the elastic net move the minimum, and which of them makes a coordinate zero."""

from __future__ import annotations

from fastapi import Request
from markupsafe import Markup
from nicegui import ui

from optviz.app import regularisation
from optviz.app.shell import _, frame, joined, playground_link, write
from optviz.app.texts import Texts

_NAMES = {"l1": _("L1"), "l2": _("L2"), "elastic": _("elastic net")}
_SENTENCES = (
    _(
        "L1 adds the sum of absolute values. It subtracts the same amount from each coordinate, so a small one becomes "
        "exactly zero: the minimum is sparse."
    ),
    _("L2 adds half the sum of squares. It divides each coordinate; none becomes zero, all become smaller."),
    _("The elastic net adds a share of both: it shrinks, and it sets to zero what is small."),
    _(
        "The minimum without a penalty lies off the diagonal on purpose: only there does one coordinate vanish before "
        "the other."
    ),
)


def regularisation_page(request: Request) -> None:
    """Two sliders and what they do."""
    with frame(request, _("Regularisation")) as texts:
        write(
            Markup('<p><a href="/glossary">← {}</a></p><h1>{}</h1><ul>{}</ul>').format(
                texts("Glossary"), texts("Regularisation"), joined("<li>{}</li>", map(texts, _SENTENCES))
            )
        )
        _Sliders(texts).build()
        settings = {"regularisation": {"kind": "l1", "strength": 0.5, "ratio": 0.5, "twins": True}}
        write(
            Markup('<p><a class="button strong" href="{}">{}</a></p>').format(
                playground_link(settings), texts("See runs with and without a penalty")
            )
        )


class _Sliders:
    """The strength and the share of L1 of one visitor, and the drawing for them."""

    def __init__(self, texts: Texts) -> None:
        self.texts, self.strength, self.ratio = texts, 1.0, 0.5

    def build(self) -> None:
        with ui.element("div").classes("columns"):
            with ui.element("div"):
                self.slider(_("Strength of the penalty"), "strength", 0.0, 3.0)
                self.slider(_("Share of L1 in the elastic net"), "ratio", 0.0, 1.0)
                self.table = write(Markup())
            with ui.element("div"):
                self.figure = write(Markup()).classes("svg-figure")
                self.caption = ui.label().classes("tags")
        self.draw()

    def slider(self, title: str, name: str, low: float, high: float) -> None:
        """A slider for one of the numbers, which has a label that says its value."""
        text = self.texts(title)
        label = ui.label().classes("tags")

        def show() -> None:
            label.text = f"{text}: {getattr(self, name):.2f}"

        def moved(event: object) -> None:
            setattr(self, name, float(getattr(event, "value", 0.0)))
            show()
            self.draw()

        show()
        value = getattr(self, name)
        ui.slider(min=low, max=high, step=0.05, value=value, on_change=moved).props(f'aria-label="{text}"')

    def draw(self) -> None:
        """The drawing and the numbers for where the sliders stand."""
        texts = self.texts
        names = {name: texts(title) for name, title in _NAMES.items()}
        title = texts("Level sets of a quadratic, and how far each penalty moves its minimum")
        self.caption.text = texts("Dashed: all points with as much penalty as the elastic net's minimum has.")
        self.figure.set_content(str(regularisation.drawing(self.strength, self.ratio, names, title)))
        self.table.set_content(str(self._numbers(names)))

    def _numbers(self, names: dict[str, str]) -> Markup:
        texts, rows = self.texts, []
        for name, kind in regularisation.KINDS.items():
            x, y = regularisation.minimum(self.strength, self.ratio if kind.ratio is None else kind.ratio)
            zeros = texts("y is zero") if x and not y else texts("both are zero") if not (x or y) else ""
            rows.append((kind.color, names[name], f"{x:.3f}", f"{y:.3f}", zeros))
        return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
            joined("<th>{}</th>", (texts("penalty"), "x", "y", "")),
            joined(
                '<tr><td><span style="color:{}">●</span> {}</td><td class=number>{}</td><td class=number>{}</td>'
                "<td>{}</td></tr>",
                rows,
            ),
        )
