"""How fast does each optimizer converge, and how does that depend on the condition number?

On a bowl of condition number κ = L / μ a linear method multiplies the distance to the minimum by a factor per step.
First the factor is measured at the settings that theory calls optimal: gradient descent (κ - 1) / (κ + 1), the heavy
ball (√κ - 1) / (√κ + 1), Nesterov's momentum 1 - 1 / √κ as he chose it and 1 - 2 / √(3κ + 1) at its best on a bowl
(Polyak, 1964; Lessard, Recht & Packard, 2016; see `experiments/momentum_theory.py`). Then every optimizer has the same
rates to choose from, all else as in the catalogue, and is judged by the steps after which the loss stays below 1e-12
of the first: on a bowl along the axes, and on one turned against them, for theory speaks of methods that know no axes.

All runs are in double precision: single precision ends at a loss of 1e-38.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import ArrayLike

import optviz
import surfaces
from experiments.parts.convergence_measurements import (
    ANGLES,
    TARGET,
    at_optimal_settings,
    at_tuned_rates,
    rivals,
    start,
)
from experiments.parts.panels import draw_lines, panels, tidy, told_apart
from experiments.report import RUNS, Optimizers, Out, Points, Report, Steps, parse_optimizers, present, script
from optviz.plotting import style

QUESTION = "How fast does each optimizer converge, and how does that depend on the condition number?"


def run_convergence_analysis(
    optimizers: Sequence[Any] | None = None,
    condition_numbers: ArrayLike | None = None,
    learning_rates: ArrayLike | None = None,
    *,
    num_steps: int = 20_000,
) -> Report:
    """Measure factors per step against the condition number, at optimal and at tuned settings.

    Args:
      optimizers: those to tune, with a hyperparameter `learning_rate`; by default `rivals()`.
      condition_numbers: `(K,)`, above 1 and ascending; by default 10 from 2 to 1000.
      learning_rates: the rates that each may choose from, `(R,)`; by default 81 from 1e-5 to 10.
      num_steps: the number of steps of each run.

    Raises:
      ValueError: for a condition number of 1 or less, and an optimizer without a learning rate.
    """
    numbers = np.geomspace(2.0, 1e3, 10) if condition_numbers is None else np.asarray(condition_numbers, float)
    rates = np.geomspace(1e-5, 10.0, 81) if learning_rates is None else np.asarray(learning_rates, float)
    if not numbers.min() > 1:
        raise ValueError(f"condition_numbers must be above 1, for curvatures that differ, got {numbers.min():g}.")
    optimizers = rivals() if optimizers is None else told_apart(optimizers)
    with jax.enable_x64(True):
        data = {
            "optimal": at_optimal_settings(numbers, num_steps),
            "tuned": at_tuned_rates(optimizers, numbers, rates, num_steps),
        }
        number = float(numbers[np.argmin(abs(np.log(numbers / 100)))])
        pictures = {
            "optimal": draw_optimal(data["optimal"]),
            "tuned": draw_tuned(data["tuned"]),
            "losses": draw_losses(optimizers, data["tuned"], number),
        }
    table = _table(data, number)
    return Report("convergence_analysis", QUESTION, _answer(data, number), table, data, pictures)


def _table(data: Mapping[str, Any], condition_number: float) -> list[dict[str, Any]]:
    """A row for each optimizer at each of its settings, at one condition number."""
    optimal, tuned = data["optimal"], data["tuned"]
    rows = [("optimal", optimal.sel(optimizer=name)) for name in optimal.optimizer.values]
    rows += [
        (f"tuned, {bowl}", tuned.sel(bowl=bowl, optimizer=name))
        for bowl in tuned.bowl.values
        for name in tuned.optimizer.values
    ]
    return [_row(settings, one, one.sel(condition_number=condition_number)) for settings, one in rows]


def _row(settings: str, curve: Any, at: Any) -> dict[str, Any]:
    return {
        "optimizer": at.optimizer.item(),
        "settings": settings,
        "κ": float(at.condition_number),
        "steps": _whole(float(at.get("steps", math.nan))),
        "power of κ": power(curve),
        "factor": float(at.factor),
        "predicted": float(at.predicted),
        "rises %": 100 * float(at.rises),
        "turns %": 100 * float(at.turns),
    }


def _whole(number: float) -> float:
    return int(number) if math.isfinite(number) else number


def power(curve: Any) -> float:
    """The power of κ with which steps grow, from those until a run has settled or from the factor; NaN if unknown."""
    steps = curve.steps if "steps" in curve else -1 / np.log(curve.factor)
    known = np.isfinite(steps.values)
    if known.sum() < 2:
        return math.nan
    return float(np.polyfit(np.log(curve.condition_number.values[known]), np.log(steps.values[known]), 1)[0])


def _answer(data: Mapping[str, Any], condition_number: float) -> str:
    optimal, tuned = data["optimal"], data["tuned"]
    off = abs(np.log(optimal.factor) / np.log(optimal.predicted) - 1).max("condition_number")
    theory = optimal.assign(factor=optimal.predicted)
    powers = {name: [power(one.sel(optimizer=name)) for one in (optimal, theory)] for name in optimal.optimizer.values}
    grow = ", ".join(f"{found:.2f} ({name}, theory {known:.2f})" for name, (found, known) in powers.items())
    turned, along = (tuned.sel(bowl=bowl, condition_number=condition_number) for bowl in ANGLES)
    order = np.argsort(turned.steps.values)
    ranking = ", ".join(f"{turned.optimizer.values[i]} {_steps(turned.steps.values[i])}" for i in order)
    gains = turned.steps / along.steps
    gained = [str(n) for n, gain in zip(gains.optimizer.values, gains.values, strict=True) if gain > 1.5]
    calm = _calm(turned.isel(optimizer=np.isfinite(turned.steps.values)))
    return "\n".join(
        (
            "At the settings that theory calls optimal the logarithm of the measured factor is off by at most "
            f"{100 * float(off.max()):.2g} % ({off.optimizer.values[np.argmax(off.values)]}).",
            f"The number of steps grows as κ to the power {grow}.",
            f"Each at the best of {tuned.attrs['num_rates']} constant rates, on a turned bowl of "
            f"κ = {condition_number:.3g}, steps until the loss stays below {TARGET:.0e} of the first: {ranking}.",
            f"Less than two thirds of these steps along the axes of the bowl: {', '.join(gained) or 'none'}.",
            f"Of those that settle, the loss never rises with {', '.join(calm) or 'none'}; at optimal settings with "
            f"{', '.join(_calm(optimal.sel(condition_number=condition_number))) or 'none'}. With the others it does.",
            *_forgetting(tuned, condition_number),
        )
    )


def _calm(one: Any) -> list[str]:
    """The names of those whose loss never rises."""
    return [str(name) for name in one.optimizer.values if one.rises.sel(optimizer=name) == 0]


def _steps(steps: float) -> str:
    return f"{steps:.0f}" if math.isfinite(steps) else "never"


def _forgetting(tuned: Any, condition_number: float) -> list[str]:
    """Adam beside AMSGrad, which differs in nothing but that its denominators cannot shrink."""
    if not {"adam", "amsgrad"} <= set(tuned.optimizer.values):
        return []
    one = tuned.steps.sel(bowl="turned", condition_number=condition_number)
    adam, amsgrad = (_steps(float(one.sel(optimizer=name))) for name in ("adam", "amsgrad"))
    return [f"adam takes {adam} steps; amsgrad, which differs only in denominators that cannot shrink, {amsgrad}."]


def draw_optimal(optimal: Any) -> Any:
    """One minus the factor against the condition number, measured as dots, theory as lines."""
    caption = (
        "one minus the factor by which the distance to the minimum shrinks per step, fitted over "
        f"{optimal.attrs['num_steps']} steps or as many as double precision has · dots: measured · dashed: theory"
    )
    (ax,) = panels(1, "Convergence at the settings that theory calls optimal", caption, size=(5.6, 3.6))
    numbers, names = optimal.condition_number.values, [str(name) for name in optimal.optimizer.values]
    for name, color in style.colours(names).items():
        one = optimal.sel(optimizer=name)
        ax.plot(numbers, 1 - one.factor, "o", color=color, ms=4, label=name)
        ax.plot(numbers, 1 - one.predicted, color=color, lw=1.1, ls=(0, (4, 2)))
    tidy(ax, "condition number", "1 − factor per step", x="log", y="log")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def draw_tuned(tuned: Any) -> Any:
    """Steps against the condition number at tuned rates, on both bowls, with theory for the linear methods."""
    told = tuned.attrs
    caption = (
        f"steps until the loss stays below {told['target']:.0e} of the first, from equal loss in both directions · "
        f"each at the best of the same {told['num_rates']} constant rates, all else as in the catalogue · dashed: "
        f"theory for runs without end · a line that is missing never settles within {told['num_steps']} steps"
    )
    axes = panels(len(ANGLES), "Convergence at tuned rates", caption, size=(3.9, 3.4))
    numbers, names = tuned.condition_number.values, [str(name) for name in tuned.optimizer.values]
    for ax, bowl in zip(axes, tuned.bowl.values, strict=True):
        one = tuned.sel(bowl=bowl)
        draw_lines(ax, numbers, {n: one.steps.sel(optimizer=n).values for n in names}, marker=".", linewidth=1.2)
        for name, color in style.colours(names).items():
            expected = np.log(told["target"]) / 2 / np.log(one.predicted.sel(optimizer=name))
            ax.plot(numbers, expected, color=color, lw=0.9, ls=(0, (4, 2)))
        tidy(ax, "condition number", "steps", x="log", y="log", title=f"bowl {bowl}")
    axes[-1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return axes[0]


def draw_losses(optimizers: Sequence[Any], tuned: Any, condition_number: float) -> Any:
    """The losses on the turned bowl at the tuned rates, until the slowest linear method has settled."""
    from optviz.plotting import plot_losses

    one = tuned.sel(bowl="turned", condition_number=condition_number)
    num_steps = int(one.steps.where(one.predicted.notnull() & np.isfinite(one.steps)).max().fillna(1000.0))
    surface = surfaces.QuadraticBowl(condition_number, ANGLES["turned"])
    first = start(condition_number, ANGLES["turned"])
    rates = one.rate.values
    traces = [
        optviz.record(o.replace(learning_rate=float(r)), surface, first, num_steps)
        for o, r in zip(optimizers, rates, strict=True)
    ]
    return plot_losses(
        traces, tolerance=TARGET, note=f"each at the best of {tuned.attrs['num_rates']} rates for {TARGET:.0e}"
    )


def main(
    optimizer: Optimizers = None,
    steps: Steps = 20_000,
    points: Points = 81,
    out: Out = RUNS,
) -> None:
    """How fast does each optimizer converge, and how does that depend on the condition number?"""

    def experiment() -> Report:
        rates, numbers = np.geomspace(1e-5, 10.0, points), np.geomspace(2.0, 1e3, max(2, points // 8))
        chosen = parse_optimizers(optimizer) if optimizer else None
        return run_convergence_analysis(chosen, numbers, rates, num_steps=steps)

    present(experiment, out)


if __name__ == "__main__":
    script(main)
