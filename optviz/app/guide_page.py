"""The guide: how the playground is used, what its numbers mean, and presets that show something."""

from __future__ import annotations

from fastapi import Request
from markupsafe import Markup

from optviz.app.shell import _, frame, joined, playground_link, write
from optviz.app.texts import Texts
from optviz.playground.presets import PRESETS

STEPS = (
    _("Click on the map, or drag the start: all paths begin there and are computed anew."),
    _("Turn the wheel to zoom and drag the map to move it; the surface is computed for what you look at."),
    _(
        "Move any slider: the paths follow. Every optimizer has its own numbers; the box beside a slider takes exact "
        "values."
    ),
    _("Play, pause, or pull the scrubber: it reaches the last step. The curves below show the same moment."),
    _("Sort the table by a click on a head. A tie is a tie; a note says when rates were not tuned."),
    _("Keep a run as baseline: it stays as a dotted line while you try something else."),
    _("The address holds everything: the link you copy shows the identical picture to whoever opens it."),
)
KEYS = (
    ("Tab", _("moves from control to control")),
    ("← →", _("move a slider or the scrubber by one step")),
    (_("Space"), _("plays and pauses")),
    ("Enter", _("opens what is chosen")),
    ("← → ↑ ↓", _("on the map: move the start, with Shift ten times as far; in 3-D: turn the surface")),
    ("Home End", _("on the map: the first step, the last step")),
    (", .", _("on the map: one step back, one step on")),
    ("+ -", _("on the map: nearer, farther")),
    ("0", _("on the map: the whole surface")),
)
PARAMETERS = (
    (
        _("Steps"),
        _("How many updates each optimizer makes, from 1 to 100,000. At most 1000 points of a path are drawn."),
    ),
    (
        _("Start"),
        _("Where all paths begin. Equal for all, since a comparison from different places compares the places."),
    ),
    (
        _("Noise"),
        _("Standard deviation of a random vector added to each gradient; the loss that is shown stays exact."),
    ),
    (_("Seed"), _("Chooses the draws of the noise. The same seed gives the same path, today and tomorrow.")),
    (_("Coefficients"), _("Numbers of the surface itself, such as its condition number or its angle.")),
    (_("Schedule"), _("How the learning rate changes over the run, as shares of the rate and of the steps.")),
    (
        _("Regularisation"),
        _("A penalty on the size of the parameters, with twin runs that show the path without it as well."),
    ),
    (
        _("Tune all"),
        _("Tries the same number of rates for every optimizer and takes the best of each: equal effort for all."),
    ),
)


def guide_page(request: Request) -> None:
    """How to use it, the parameters, the keys, the presets."""
    with frame(request, _("Guide")) as texts:
        write(Markup("").join((_how(texts), _parameters(texts), _keys(texts), _presets(texts), _scripts(texts))))


def _how(texts: Texts) -> Markup:
    return Markup("<h1>{}</h1><ol>{}</ol>").format(texts("Guide"), joined("<li>{}</li>", map(texts, STEPS)))


def _parameters(texts: Texts) -> Markup:
    pairs = ((texts(name), texts(meaning)) for name, meaning in PARAMETERS)
    return Markup('<h2>{}</h2><dl class="terms">{}</dl>').format(
        texts("What the parameters mean"), joined("<dt>{}</dt><dd>{}</dd>", pairs)
    )


def _keys(texts: Texts) -> Markup:
    pairs = ((texts(key), texts(meaning)) for key, meaning in KEYS)
    return Markup("<h2>{}</h2><table>{}</table>").format(
        texts("Keyboard"), joined("<tr><td><kbd>{}</kbd></td><td>{}</td></tr>", pairs)
    )


def _presets(texts: Texts) -> Markup:
    cards = ((playground_link(p.settings), texts(p.title), texts(p.text)) for p in PRESETS)
    return Markup('<h2>{}</h2><p>{}</p><div class="cards">{}</div>').format(
        texts("Presets"),
        texts("Each shows one thing, and a test measures that it does."),
        joined('<a class="card" href="{}"><b>{}</b><p>{}</p></a>', cards),
    )


def _scripts(texts: Texts) -> Markup:
    code = (
        "import httpx\n"
        "from optviz.playground import wire\n\n"
        'request = {"kind": "paths", "settings": {"optimizers": ["adam"], "num_steps": 100}}\n'
        'answer = httpx.post("http://127.0.0.1:8080/api/answer", json=request)\n'
        'print(wire.unpack(answer.content).arrays["path0"])'
    )
    return Markup("<h2>{}</h2><p>{}</p><pre><code>{}</code></pre>").format(
        texts("For scripts"),
        texts("The route that answers the playground answers scripts as well."),
        code,
    )
