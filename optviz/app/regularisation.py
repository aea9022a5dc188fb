"""What a penalty does to the minimum of a quadratic, in closed form, and a drawing of it.

The loss is f(p) = (a1 (x - c1)^2 + a2 (y - c2)^2) / 2, the penalty strength * (ratio |p|_1 + (1 - ratio) |p|^2 / 2).
Then each coordinate has its own minimum: soft thresholding, then shrinking (Zou & Hastie 2005, J. R. Stat. Soc. B 67,
equation 6, for a diagonal Hessian).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

CENTRE = np.array([2.2, 0.8])
"""Not on a diagonal, so that L1 sets one coordinate to zero long before the other."""
CURVATURES = np.array([1.0, 1.6])
_BOX = (-1.4, 3.4, -1.4, 2.2)
_PIXELS = 130.0


class Kind(NamedTuple):
    """A penalty by name: the share of L1 in it, None where the reader chooses."""

    ratio: float | None
    color: str


KINDS = {"l1": Kind(1.0, "#D55E00"), "l2": Kind(0.0, "#0072B2"), "elastic": Kind(None, "#009E73")}


def minimum(strength: float, ratio: float) -> Float[np.ndarray, "2"]:
    """The minimum of the penalised loss."""
    shrunk = np.maximum(np.abs(CENTRE) * CURVATURES - strength * ratio, 0.0)
    return np.sign(CENTRE) * shrunk / (CURVATURES + strength * (1.0 - ratio))


def path(ratio: float, strengths: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
    """The minimum for each strength."""
    return np.array([minimum(float(s), ratio) for s in strengths])


def penalty(point: Float[np.ndarray, "2"], ratio: float) -> float:
    """The penalty at a point, for strength 1."""
    return float(ratio * np.sum(np.abs(point)) + (1.0 - ratio) * np.sum(point**2) / 2)


def ball(radius: float, ratio: float, count: int = 181) -> Float[np.ndarray, "count 2"]:
    """The points whose penalty is `radius`, around the origin."""
    angles = np.linspace(0.0, 2 * np.pi, count)
    directions = np.stack([np.cos(angles), np.sin(angles)], -1)
    linear, square = ratio * np.sum(np.abs(directions), -1), (1.0 - ratio) / 2
    # The positive root of square t^2 + linear t = radius, in the form that square = 0 does not upset.
    lengths = 2 * radius / (linear + np.sqrt(linear**2 + 4 * square * radius))
    return directions * lengths[:, None]


def drawing(strength: float, ratio: float, names: dict[str, str], title: str) -> Markup:
    """Level sets, the ball of the elastic penalty at its minimum, the paths of the minima, and the minima, as SVG."""
    x0, x1, y0, y1 = _BOX
    width, height = _PIXELS * (x1 - x0), _PIXELS * (y1 - y0)
    parts = [_axes(), *(_ellipse(r) for r in (0.25, 0.6, 1.0, 1.5, 2.1, 2.8))]
    parts.append(_line(ball(penalty(minimum(strength, ratio), ratio), ratio), "var(--faint)", "1.5", dash="5 4"))
    for name, kind in KINDS.items():
        share = ratio if kind.ratio is None else kind.ratio
        parts.append(_line(path(share, np.linspace(0.0, 8.0, 161)), kind.color, "2"))
        parts.append(_dot(minimum(strength, share), kind.color, names[name]))
    parts.append(_dot(CENTRE, "var(--ink)", ""))
    return Markup('<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        width, height, title, Markup("").join(parts)
    )


def _at(point: Float[np.ndarray, "2"]) -> tuple[float, float]:
    return _PIXELS * (point[0] - _BOX[0]), _PIXELS * (_BOX[3] - point[1])


def _axes() -> Markup:
    (x, y), (right, bottom) = _at(np.zeros(2)), _at(np.array([_BOX[1], _BOX[2]]))
    return Markup(
        '<path d="M0 {1:.1f}H{2:.1f}M{0:.1f} 0V{3:.1f}" stroke="var(--faint)" opacity="0.6"/>'
        '<text x="{4:.1f}" y="{5:.1f}">x</text><text x="{6:.1f}" y="18">y</text>'
    ).format(x, y, right, bottom, right - 18, y - 8, x + 8)


def _ellipse(radius: float) -> Markup:
    x, y = _at(CENTRE)
    rx, ry = _PIXELS * radius / np.sqrt(CURVATURES)
    return Markup('<ellipse cx="{:.1f}" cy="{:.1f}" rx="{:.1f}" ry="{:.1f}" fill="none" stroke="var(--line)"/>').format(
        x, y, rx, ry
    )


def _line(points: Float[np.ndarray, "n 2"], color: str, width: str, dash: str = "none") -> Markup:
    pairs = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_at, points))
    return Markup(
        '<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-dasharray="{}"/>'
    ).format(pairs, color, width, dash)  # fmt: skip


def _dot(point: Float[np.ndarray, "2"], color: str, name: str) -> Markup:
    x, y = _at(point)
    return Markup(
        '<circle cx="{:.1f}" cy="{:.1f}" r="6" fill="{}" stroke="var(--paper)" stroke-width="1.5">'
        "<title>{}</title></circle>"
    ).format(x, y, color, name)
