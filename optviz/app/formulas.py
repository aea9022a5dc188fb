"""Formulas as SVG, drawn by Matplotlib's mathtext on the server: no script and no font comes from elsewhere."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from typing import NamedTuple

_SIZE = 20.0
_LEADING = 0.55
# What mathtext lacks, in words that it has.
_REWRITTEN = (
    (r"\textstyle", ""),
    (r"\Bigl", ""),
    (r"\Bigr", ""),
    (r"\bigl", ""),
    (r"\bigr", ""),
    (r"\top", r"\mathsf{T}"),
    (r"\le ", r"\leq "),
    (r"\ge ", r"\geq "),
)
_ONE_MATHTEXT_AT_A_TIME = threading.Lock()


class _Line(NamedTuple):
    """An outline as SVG path data, in points with y downwards, and its box: left, top, width, height."""

    path: str
    box: tuple[float, float, float, float]


@functools.lru_cache(maxsize=256)
def formula_svg(latex: str) -> str:
    r"""A formula as an inline SVG image in the colour of the text around it, a line for each `\\`.

    Raises:
      ValueError: for LaTeX that mathtext does not know.
    """
    lines = [_outline(line) for line in _lines(latex)]
    width = max(line.box[2] for line in lines)
    parts, y = [], 0.0
    for line in lines:
        left, top, _, height = line.box
        parts.append(f'<path transform="translate({-left:.1f} {y - top:.1f})" d="{line.path}"/>')
        y += height + _LEADING * _SIZE
    height = y - _LEADING * _SIZE
    label = latex.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="formula" viewBox="0 0 {width:.1f} {height:.1f}" '
        f'style="width:{width:.0f}px" fill="currentColor"><title>{label}</title>{"".join(parts)}</svg>'
    )


def _lines(latex: str) -> Iterator[str]:
    import re

    latex = re.sub(r"\\begin{cases}(.*?)\\end{cases}", lambda found: _cases(found[1]), latex, flags=re.DOTALL)
    for old, new in _REWRITTEN:
        latex = latex.replace(old, new)
    latex = re.sub(r"\\tfrac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}", latex).replace(r"\tfrac", r"\frac")
    yield from (line.strip() for line in latex.split(r"\\") if line.strip())


def _cases(inside: str) -> str:
    """The cases of a definition in one line: { a if b; c if d }."""
    cases = (case.replace("&", r"\;\mathrm{if}\;") for case in inside.split(r"\\"))
    return r"\{\," + r";\;\; ".join(cases) + r"\,\}"


def _outline(line: str) -> _Line:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    with _ONE_MATHTEXT_AT_A_TIME:  # its parser keeps state between calls
        path = TextPath((0, 0), f"${line}$", size=_SIZE, prop=FontProperties(math_fontfamily="cm"))
        box = path.get_extents()
    data, letters = [], {1: ("M", 1), 2: ("L", 1), 3: ("Q", 2), 4: ("C", 3), 79: ("Z", 0)}
    for points, code in path.iter_segments(curves=True, simplify=False):
        letter, count = letters[int(code)]
        numbers = (f"{v:.1f}" for x, y in points.reshape(-1, 2)[:count] for v in (x, -y))
        data.append(letter + " ".join(numbers))
    return _Line("".join(data), (box.x0, -box.y1, box.width, box.height))
