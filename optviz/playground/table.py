"""The table of a comparison: numbers for each path, a word for its fate, and who is best, a tie being a tie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optviz.metrics import DEFAULT_TOLERANCE
from optviz.playground.compute import Facts, Path, last_part
from optviz.playground.errors import BadSettings

TIE = 1e-4
"""Two values count as equal within this share of the larger one."""
REST = 1e-3
"""At rest the gradient, and how far the last quarter of the run went, are this share of the first and of the way."""
METRICS = ("final_loss", "best_loss", "steps_to_tolerance", "distance", "mean_gradient_norm")
LOWER_IS_BETTER = ("final_loss", "best_loss", "steps_to_tolerance", "distance")


def verdict(
    path: Path | BadSettings, known: Facts, regularised: bool = False, say: Callable[[BadSettings], str] = str
) -> dict[str, Any]:
    """What the table says of a path: its `status`, its `metrics`, and for one that could not be run the `error`."""
    if isinstance(path, BadSettings):
        return {"status": "refused", "error": say(path), "metrics": dict.fromkeys(METRICS)}
    return {"status": status(path, known, regularised), "metrics": metrics(path, known)}


def metrics(path: Path, known: Facts) -> dict[str, float | None]:
    """The numbers of one path, None where they are not known.

    `final_loss` and `best_loss`; `steps_to_tolerance`, until the loss is first within 1e-4 of the minimum (infinity:
    never); `distance` from the end to the nearest known minimum; `mean_gradient_norm` over the steps.
    """
    end, totals = path.points[-1].astype(float), path.totals
    numbers = (
        end[2],
        totals.best,
        None if known.minimum is None else totals.reached,
        np.min(np.linalg.norm(known.minima - end[:2], axis=1)) if len(known.minima) else None,
        totals.gradient_norm / path.num_steps,
    )
    return {name: None if n is None else float(n) for name, n in zip(METRICS, numbers, strict=True)}


def status(path: Path, known: Facts, regularised: bool = False) -> str:
    """A run's fate, the first of these that holds: `diverged`, `converged`, `stationary`, `oscillating`, `descending`.

    Diverged: the end is not finite, or, for a run not at rest, higher than the first loss and than that at the
    surface's customary start; a penalty, of which the loss does not tell, may rightly lead there.
    Converged: the end is within 1e-4 of the known minimum.
    Stationary: at rest where no minimum is known, as in another minimum or at a saddle: see `REST`.
    Oscillating: over a quarter of the steps in the last quarter of the run raised the loss.
    """
    first, last = float(path.points[0, 2]), float(path.points[-1, 2])
    if not np.isfinite(path.points[-1, :3]).all():
        return "diverged"
    if known.minimum is not None and last <= known.minimum + DEFAULT_TOLERANCE:
        return "converged"
    if _is_at_rest(path):
        return "stationary"
    if last > np.fmax(first, known.customary) and not regularised:
        return "diverged"
    return "oscillating" if 4 * path.totals.rises > last_part(path.num_steps) else "descending"


def _is_at_rest(path: Path) -> bool:
    """Whether the gradient has all but vanished, and the last quarter of the run has led nowhere.

    The gradient alone would not tell: in a valley it may be tiny, and the end still far.
    """
    (*_, slope), (*_, end_slope) = path.points[0], path.points[-1]
    late = path.points[-1 - -(-last_part(path.num_steps) // path.every) :, :2]
    way = np.linalg.norm(path.points[-1, :2] - path.points[0, :2])
    return bool(end_slope <= REST * slope and np.linalg.norm(np.ptp(late, axis=0)) <= REST * way)


def best(rows: Sequence[dict[str, Any]], minimum: float | None) -> dict[str, list[int]]:
    """For each number where lower is better, the rows that have the best one, all of them in a tie.

    Losses tie if they agree in four digits above the minimum, or lie both within float32 rounding of it.
    """
    return {name: _best([row[name] for row in rows], name, minimum) for name in LOWER_IS_BETTER}


def _best(values: Sequence[float | None], name: str, minimum: float | None) -> list[int]:
    known = {i: v for i, v in enumerate(values) if v is not None and np.isfinite(v)}
    if not known:
        return []
    floor = (minimum or 0.0) if name.endswith("loss") else 0.0
    rounding = 1e-6 * max(1.0, abs(floor)) if name != "steps_to_tolerance" else 0.0
    low = min(known.values())
    reach = max(TIE * abs(low - floor), rounding) if name != "steps_to_tolerance" else 0.0
    return [i for i, v in known.items() if v <= low + reach]
