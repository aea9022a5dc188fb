"""How do Adam, RMSProp and AdaGrad adapt to different curvatures?

The world is a bowl of two curvatures, 1 and `condition_number`. Four things are measured, each beside its theory:

* The effective rate of each coordinate, |update| over |gradient|. What divides by the size of past gradients moves
  coordinates along the axes of the bowl alike whatever their curvatures: the rates are in the ratio of the curvatures
  at every step. Duchi et al. (2011), JMLR 12; Kingma & Ba (2014), arXiv:1412.6980, section 2.1.
* What is left of this when the bowl is turned. With the Hessian H the mean square of a coordinate's gradient over all
  directions is an entry of the diagonal of H^2, so that the ratio falls to its root where 1 / tan^2 of the angle is
  the condition number, and to 1 at 45 degrees; gradient descent depends on no axes. Salomon (1996), BioSystems 39(3).
* Whether the path stays the same when the loss, one curvature, or the unit of one coordinate is multiplied by a
  number. The constant in the denominator says down to which size of the gradient it does.
* How large the rates become in a long run at a constant rate: up to the edge of stability. Cohen et al. (2022),
  arXiv:2207.14484.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import typer
from jaxtyping import ArrayLike

import optviz
from experiments.parts.adaptive_rates import (
    CHANGES,
    RADIUS,
    SMALLEST,
    denominator_floor,
    forgets,
    rate_ratios,
    rates_through_time,
    rescaled_paths,
    turned_losses,
)
from experiments.parts.panels import draw_lines, panels, theory, tidy, told_apart
from experiments.report import RUNS, Optimizers, Out, Points, Report, Steps, parse_optimizers, present, script

QUESTION = "How do Adam, RMSProp and AdaGrad adapt to different curvatures?"
NAMES = ("gd", "adagrad", "rmsprop", "adam")
LATER = 50  # how many times longer than they are tuned for the rates are followed


def run_adaptive_lr_behavior(
    optimizers: Sequence[Any] | None = None,
    condition_number: float = 100.0,
    learning_rates: ArrayLike | None = None,
    angles: ArrayLike | None = None,
    *,
    num_steps: int = 200,
) -> Report:
    """Measure how optimizers adapt to a bowl of two curvatures, turned and rescaled.

    Args:
      optimizers: optimizers with a hyperparameter `learning_rate`, by default gd, adagrad, rmsprop and adam. Each has
        its best rate for the bowl along the axes, whatever rate it comes with.
      condition_number: the larger curvature of the bowl, above 1; the smaller is 1.
      learning_rates: the rates tried, `(N,)`, by default 31 from 1e-4 to 10.
      angles: the angles of the bowl in radians, `(M,)`, by default 31 from 0 to 90 degrees.
      num_steps: the number of steps of each run.

    Raises:
      ValueError: for a condition number of 1 or less, and an optimizer without a learning rate.
    """
    if not condition_number > 1:
        raise ValueError(f"condition_number must be above 1 for curvatures that differ, got {condition_number:g}.")
    optimizers = told_apart([optviz.optimizer(name) for name in NAMES] if optimizers is None else optimizers)
    rates = np.geomspace(1e-4, 10.0, 31) if learning_rates is None else np.asarray(learning_rates, float)
    angles = np.linspace(0, np.pi / 2, 31) if angles is None else np.asarray(angles, float)
    turned = turned_losses(optimizers, condition_number, rates, np.union1d(angles, [0.0, np.pi / 4]), num_steps)
    tuned = [o.replace(learning_rate=float(r)) for o, r in zip(optimizers, turned.rate.values, strict=True)]
    data = {
        "turned": turned,
        "ratios": rate_ratios(tuned, condition_number, turned.angle.values, num_steps),
        "rescaled": rescaled_paths(tuned, condition_number, num_steps),
        "rates": rates_through_time(tuned, condition_number, LATER * num_steps),
    }
    table = [row for optimizer in tuned for row in _rows(optimizer, condition_number, data)]
    drawn = {"turned": draw_turned, "ratios": draw_ratios, "rescaled": draw_rescaled, "rates": draw_rates}
    pictures = {name: draw(data[name]) for name, draw in drawn.items()}
    return Report("adaptive_lr_behavior", QUESTION, _answer(table, condition_number), table, data, pictures)


def _rows(optimizer: Any, condition_number: float, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was measured of one optimizer, and what theory says where it says something."""
    turned, ratios, rescaled, rates = (data[name].sel(optimizer=optimizer.name) for name in data)
    divides, unknown = denominator_floor(optimizer) > 0, float("nan")
    best, moved = turned.decades.min("learning_rate"), rescaled.moved.sel(scale=1024.0)
    edge = rates.effective_rate.sel(curvature=1.0) / rates.limit.sel(curvature=1.0)
    late = edge.values[len(edge) * 3 // 4 :]
    quantities = {
        "ratio of rates, along the axes": (ratios.ratio[0], condition_number if divides else 1.0),
        "ratio of rates, turned by 45°": (ratios.ratio.sel(angle=45.0), 1.0),
        "half of the ratio is lost at, degrees": (
            _halved(ratios),
            _halved(ratios, "predicted") if divides else unknown,
        ),
        "decades of loss lost by turning": (best.max() - best[0], unknown if divides else 0.0),
        **{f"path moved by {c} × 1024": (moved.sel(change=c), 0.0 if divides else unknown) for c in CHANGES[:2]},
        "path moved by one unit × 1024": (moved.sel(change="one unit"), unknown),
        "eps counts below the loss times": (_departs(rescaled), rescaled.floor) if divides else (unknown, unknown),
        "late rate / edge of stability": (_median(late), 1.0 if forgets(optimizer) else unknown),
    }
    return [
        {"optimizer": optimizer.name, "quantity": q, "measured": float(m), "predicted": float(p)}
        for q, (m, p) in quantities.items()
    ]


def _halved(ratios: Any, name: str = "ratio") -> float:
    """The first angle, in degrees, at which the ratio has fallen to the root of what it is at 0; NaN if nowhere."""
    left = np.log(ratios[name].values)
    below = np.flatnonzero(left <= left[0] / 2)
    if not below.size or not left[0] > 0.1:
        return float("nan")
    i = below[0]
    return float(np.interp(left[0] / 2, left[[i, i - 1]], ratios.angle.values[[i, i - 1]]))


def _median(values: np.ndarray) -> float:
    """The median of what is finite and not zero; NaN if nothing is."""
    known = values[np.isfinite(values) & (values > 0)]
    return float(np.median(known)) if known.size else float("nan")


def _departs(rescaled: Any) -> float:
    """The largest scale of the loss, below 1, at which the path is off by a tenth of the way; 0 if there is none."""
    moved = rescaled.moved.sel(change="loss")
    return float(moved.scale.where((moved.scale < 1) & (moved > 0.1)).max().fillna(0.0))


def _answer(table: Sequence[Mapping[str, Any]], condition_number: float) -> str:
    """A sentence for each of the measurements."""
    return "\n".join(
        (
            f"On a bowl with curvatures 1 and {condition_number:g} along the axes the effective rates are in the ratio "
            f"{_told(table, 'ratio of rates, along the axes')}.",
            "Turning the bowl takes half of this ratio, in decades, at an angle in degrees of "
            f"{_told(table, 'half of the ratio is lost at, degrees')}.",
            f"It costs {_told(table, 'decades of loss lost by turning')} decades of the final loss, with the best rate "
            "for each angle.",
            f"A loss times 1024 moves the path by {_told(table, 'path moved by loss × 1024')} of the way to go, the "
            f"unit of one coordinate times 1024 by {_told(table, 'path moved by one unit × 1024')}.",
            "The constant in the denominator counts below a loss times "
            f"{_told(table, 'eps counts below the loss times')}.",
            f"At the end of {LATER} times as many steps the flat direction's rate over the edge of stability is "
            f"{_told(table, 'late rate / edge of stability')}.",
        )
    )


def _told(table: Sequence[Mapping[str, Any]], quantity: str) -> str:
    """A quantity of all optimizers that have it, in words, with what was predicted."""
    rows = [row for row in table if row["quantity"] == quantity and not math.isnan(row["measured"])]
    return ", ".join(
        f"{row['measured']:.3g} ({row['optimizer']}"
        + ("" if math.isnan(row["predicted"]) else f", predicted {row['predicted']:.3g}")
        + ")"
        for row in rows
    )


def draw_turned(data: Any) -> Any:
    """The final loss against the angle of the bowl, at the best rate of each angle and at that of angle 0."""
    caption = (
        f"condition number {data.attrs['condition_number']:g} · {data.attrs['num_steps']} steps · mean over "
        f"{data.attrs['num_starts']} starts that turn along · best of {data.sizes['learning_rate']} rates for each "
        f"angle; dotted: the rate that is best for 0° · floor {SMALLEST:g}"
    )
    (ax,) = panels(1, "A bowl turned against the axes: final loss", caption, size=(5.4, 3.4))
    best, kept = data.decades.min("learning_rate"), data.decades.sel(learning_rate=data.rate)
    draw_lines(ax, data.angle, _by_name(best))
    draw_lines(ax, data.angle, _by_name(kept), named=False, linestyle=":", linewidth=1.0)
    tidy(ax, "angle of the bowl, degrees", "log10 of final loss / first loss")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def draw_ratios(data: Any) -> Any:
    """The ratio of the coordinates' effective rates against the angle, and what theory says."""
    caption = (
        f"condition number {data.attrs['condition_number']:g} · geometric mean over {data.attrs['num_steps']} steps "
        f"and {data.attrs['num_starts']} starts · each at its best rate for 0°"
    )
    (ax,) = panels(1, "A bowl turned against the axes: how much of the curvature is seen", caption, size=(5.4, 3.4))
    draw_lines(ax, data.angle, _by_name(data.ratio))
    theory(ax, data.angle, data.predicted, "root mean square\nof gradients")
    tidy(ax, "angle of the bowl, degrees", "effective rate of x / effective rate of y", y="log")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def draw_rescaled(data: Any) -> Any:
    """How far the path moves when something is rescaled."""
    caption = (
        f"largest distance between the paths of {data.attrs['num_steps']} steps, as a share of the way to go, from "
        "1e-8 to 1e4 (or diverged) · dashed: where the constant in the denominator equals the smaller first gradient"
    )
    axes = panels(len(CHANGES), "What a rescaling changes", caption, size=(3.2, 2.7))
    for ax, change in zip(axes, data.change.values, strict=True):
        draw_lines(ax, data.scale, _by_name(data.moved.sel(change=change).clip(1e-8, 1e4)))
        tidy(ax, f"factor on {'the ' if change == 'loss' else ''}{change}", "distance between paths", x="log", y="log")
    for line, floor in zip(axes[0].lines, data.floor.values, strict=True):
        axes[0].axvline(floor or np.nan, color=line.get_color(), linewidth=0.9, linestyle=(0, (4, 2)))
    axes[-1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return axes[0]


def draw_rates(data: Any) -> Any:
    """The effective rates through time, a panel per optimizer, and the edge of stability of each direction."""
    caption = (
        f"bowl along the axes, start {RADIUS:g} along both · each at its best rate for {data.sizes['step'] // LATER} "
        "steps · dashed: the largest rate that is stable for a direction · lines end where a gradient is zero"
    )
    axes = panels(data.sizes["optimizer"], "Effective rates through time", caption, size=(2.7, 2.6))
    for ax, name in zip(axes, data.optimizer.values, strict=True):
        one = data.sel(optimizer=name)
        for color, h in zip(("#56B4E9", "#D55E00"), data.curvature.values, strict=True):
            rates = one.effective_rate.sel(curvature=h)
            ax.plot(data.step + 1, rates.where(rates > 0), color=color, linewidth=1.2, label=f"curvature {h:g}")
            theory(ax, data.step + 1, float(one.limit.sel(curvature=h)), "", color)
        tidy(ax, "steps", "|update| / |gradient|", x="log", y="log", title=str(name))
    axes[-1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return axes[0]


def _by_name(data: Any) -> dict[str, np.ndarray]:
    """The rows of `(optimizer, n)` by the names of the optimizers."""
    return {str(name): data.sel(optimizer=name).values for name in data.optimizer.values}


def main(
    optimizer: Optimizers = None,
    condition_number: Annotated[float, typer.Option(help="The larger curvature; the smaller is 1.")] = 100.0,
    steps: Steps = 200,
    points: Points = 31,
    out: Out = RUNS,
) -> None:
    """How do Adam, RMSProp and AdaGrad adapt to different curvatures?"""

    def experiment() -> Report:
        rates, angles = np.geomspace(1e-4, 10.0, points), np.linspace(0, np.pi / 2, points)
        chosen = parse_optimizers(optimizer or NAMES)
        return run_adaptive_lr_behavior(chosen, condition_number, rates, angles, num_steps=steps)

    present(experiment, out)


if __name__ == "__main__":
    script(main)
