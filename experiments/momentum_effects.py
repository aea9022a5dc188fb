"""When does momentum help, when does it hurt?

The heavy ball, m ← β m + g, x ← x - α m (Polyak, 1964), is measured beside gradient descent:

* over rate and momentum on a bowl of condition number κ: where it is stable, and how many steps it takes. Theory: it
  diverges from α = 2 (1 + β) / L on, Nesterov's variant from 2 (1 + β) / ((1 + 2 β) L) on; it is fastest where both
  directions are critically damped.
* over the condition number: the speed-up is about the root of κ at the optimal settings. A given momentum is of use
  only from κ = (1 + √β) / (1 - √β) on, since no rate makes the heavy ball contract by less than √β per step.
* in a ravine that bends, where it overshoots.
* with noise on the gradient. At the same effective rate α / (1 - β) theory says that momentum costs nothing; at the
  same learning rate, and at the settings that make it fast, it does.

The formulas and their sources are in `experiments/momentum_theory.py`, the measurements in
`experiments/momentum_measurements.py`. All runs are in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
import typer
from jaxtyping import ArrayLike

from experiments.parts import momentum_theory as theory
from experiments.parts.momentum_measurements import (
    USUAL,
    crossing,
    in_a_ravine,
    loss_with_noise,
    speed_ups,
    stability_limits,
    steps_over_condition_number,
    steps_over_rate_and_momentum,
)
from experiments.report import RUNS, Out, Points, Report, Seeds, Steps, present, script

QUESTION = "When does momentum help, when does it hurt?"


class Finding(NamedTuple):
    """A row of the table. `predicted` is NaN where theory says nothing."""

    quantity: str
    at: str
    measured: float
    predicted: float = math.nan


def run_momentum_effects(
    condition_number: float = 100.0,
    condition_numbers: ArrayLike | None = None,
    *,
    points: int = 60,
    num_steps: int = 3000,
    num_seeds: int = 20,
) -> Report:
    """Measure the heavy ball beside gradient descent, and both beside theory.

    Args:
      condition_number: of the bowl of the map and of the noise, above 1.
      condition_numbers: those of the speed-up, `(K,)`, above 1 and ascending; by default a third of `points`, from 2 to
        10,000.
      points: how many rates and momenta the map has, and how many rates each momentum is tried with.
      num_steps: the number of steps of each run, except for the speed-up, where each has enough.
      num_seeds: the number of runs with noise at each setting.

    Raises:
      ValueError: for a condition number of 1 or less.
    """
    numbers = np.geomspace(2.0, 1e4, max(3, points // 3)) if condition_numbers is None else condition_numbers
    numbers = np.atleast_1d(np.asarray(numbers, float))
    for number in (condition_number, *numbers):
        if not number > 1:
            raise ValueError(f"condition_number must be above 1 for curvatures that differ, got {number:g}.")
    with jax.enable_x64(True):
        data = {
            "map": steps_over_rate_and_momentum("momentum", condition_number, points, num_steps),
            "map_nesterov": steps_over_rate_and_momentum("nesterov", condition_number, points, num_steps),
            "limits": stability_limits(condition_number, points, num_steps),
            "speed_up": steps_over_condition_number(numbers, points),
            "ravine": in_a_ravine(points, num_steps),
            "noise": loss_with_noise(condition_number, max(2, points // 5), num_steps, num_seeds),
        }
        pictures = _pictures(data, condition_number)
    found = [*_on_bowls(data), *_over_condition_numbers(data["speed_up"]), *_where_it_hurts(data)]
    table = [finding._asdict() for finding in found]
    return Report("momentum_effects", QUESTION, _answer(found, data), table, data, pictures)


def _on_bowls(data: Mapping[str, Any]) -> list[Finding]:
    limits, number = data["limits"], data["limits"].attrs["condition_number"]
    rows = []
    for name, best, swept in (
        ("momentum", theory.best_heavy_ball(number), data["map"]),
        ("nesterov", theory.best_nesterov(number), data["map_nesterov"]),
    ):
        for i in (0, -1):
            one = limits.sel(variant=name).isel(momentum=i)
            at = f"momentum {float(one.momentum):.3g}"
            rows.append(Finding(f"diverges from rate × L, {name}", at, float(one.measured), float(one.predicted)))
        cell = swept.isel(swept.steps.argmin(...))
        settled, where = bool(np.isfinite(cell.steps)), f"κ = {number:g}"
        found = (float(cell.momentum), float(cell.learning_rate) * number) if settled else (math.nan, math.nan)
        rows.append(Finding(f"best momentum, {name}", where, found[0], float(best.momentum)))
        rows.append(Finding(f"best rate × L, {name}", where, found[1], float(best.learning_rate) * number))
    return rows


def _over_condition_numbers(speed: Any) -> list[Finding]:
    measured, predicted = (gains.isel(condition_number=-1) for gains in speed_ups(speed))
    where = f"κ = {float(speed.condition_number[-1]):.4g}"
    rows = [
        Finding(f"speed-up, {name}", where, float(measured.sel(variant=name)), float(predicted.sel(variant=name)))
        for name in speed.variant.values[1:]
    ]
    peak, number = speed.peak.sel(variant="optimal momentum"), float(speed.condition_number[-1])
    rows.append(
        Finding("highest loss on the way", f"{where}, optimal", float(peak[-1]), theory.heavy_ball_peak(number))
    )
    for momentum in USUAL:
        found = crossing(speed_ups(speed)[0].sel(variant=f"momentum {momentum:g}"))
        least = float(theory.least_condition_number(momentum))
        rows.append(Finding("least κ at which it helps", f"momentum {momentum:g}", found, least))
    return rows


def _where_it_hurts(data: Mapping[str, Any]) -> list[Finding]:
    ravine, noise = data["ravine"], data["noise"]
    rows = []
    for i in (int(np.argmin(ravine.steps.values)), -1):
        gain = float(ravine.steps[0] / ravine.steps[i])
        rows.append(Finding("speed-up in a ravine", f"momentum {float(ravine.momentum[i]):.3g}", gain))
    at = f"momentum {float(ravine.momentum[-1]):.3g}"
    rows.append(Finding("way in a ravine / way without momentum", at, _more(ravine.path_length)))
    for one in (noise.sel(setting=name) for name in noise.setting.values):
        at = f"momentum {float(noise.momentum[-1]):.3g}, {one.setting.item()}"
        rows.append(Finding("loss with noise / without momentum", at, _more(one.measured), _more(one.predicted)))
    ends = _more(noise.optimal_measured), _more(noise.optimal_predicted)
    rows.append(Finding("loss with noise / without momentum", "optimal settings of both", *ends))
    return rows


def _more(values: Any) -> float:
    """The last value over the first."""
    return float(values[-1] / values[0])


def _answer(found: list[Finding], data: Mapping[str, Any]) -> str:
    """A sentence for each of the measurements."""
    return "\n".join([_told_stability(data["limits"]), *_told_speed(found, data["speed_up"]), *_told_price(found)])


def _told_stability(limits: Any) -> str:
    off = 100 * float(abs(limits.measured / limits.predicted - 1).max())
    ends = limits.isel(momentum=[0, -1])
    (plain, ball), (_, nesterov) = (ends.measured.sel(variant=name).values for name in limits.variant.values)
    return (
        f"At momentum {float(limits.momentum[-1]):.3g} the heavy ball diverges from a rate of {ball:.3g} / L on, "
        f"Nesterov's variant from {nesterov:.3g} / L, without momentum both from {plain:.3g} / L; theory is met within "
        f"{off:.1g} %."
    )


def _told_speed(found: list[Finding], speed: Any) -> list[str]:
    gain, numbers = speed_ups(speed)[0].sel(variant="optimal momentum"), speed.condition_number.values
    power = np.polyfit(np.log(numbers), np.log(gain.values), 1)[0] if len(numbers) > 1 else math.nan
    optimal = next(f for f in found if f.quantity == "speed-up, optimal momentum")
    climb = next(f for f in found if f.quantity == "highest loss on the way")
    helps = [f for f in found if f.quantity.startswith("least") and not math.isnan(f.measured)]
    least = ", ".join(f"{f.at} from κ = {f.measured:.3g} on (theory {f.predicted:.3g})" for f in helps)
    return [
        f"Condition number: at {optimal.at} the optimal settings are {optimal.measured:.3g} times as fast as gradient "
        f"descent's (theory {optimal.predicted:.3g} for runs without end); the speed-up grows as κ to the power "
        f"{power:.2f} (theory 0.5).",
        f"There the run first climbs to {climb.measured:.3g} times the loss that it starts from (theory "
        f"{climb.predicted:.3g}), and has to come down again.",
        f"Below some κ it hurts, at its best rate too: it helps with {least or 'none of the momenta tried'}.",
    ]


def _told_price(found: list[Finding]) -> list[str]:
    best, most, way = (f for f in found if "ravine" in f.quantity)
    same, raised, fast = (f for f in found if "noise" in f.quantity)
    ravine = (
        f"In a ravine that bends, {best.at} is {best.measured:.3g} times as fast as none and {most.at} "
        f"{most.measured:.3g} times, each at its best rate; at the same effective rate the latter goes "
        f"{way.measured:.2g} times as far."
    )
    return [
        "In a ravine that bends no run settled in time." if math.isnan(best.measured) else ravine,
        f"With noise on the gradient the loss at rest is {same.measured:.2g} times that without momentum at the same "
        f"effective rate (theory {same.predicted:.2g}), {raised.measured:.3g} times at the same learning rate "
        f"({raised.predicted:.3g}), and {fast.measured:.3g} times at the settings that are optimal without noise "
        f"({fast.predicted:.3g}).",
    ]


def _pictures(data: Mapping[str, Any], condition_number: float) -> dict[str, Any]:
    from experiments.parts import momentum_pictures as pictures

    return {
        "map": pictures.draw_map(data["map"], condition_number),
        "map_nesterov": pictures.draw_map(data["map_nesterov"], condition_number, nesterov=True),
        "speed_up": pictures.draw_speed_up(data["speed_up"]),
        "ravine": pictures.draw_ravine(data["ravine"]),
        "paths": pictures.draw_paths(data["ravine"]),
        "noise": pictures.draw_noise(data["noise"]),
    }


def main(
    condition_number: Annotated[float, typer.Option(help="Of the bowl of the map and of the noise, above 1.")] = 100.0,
    steps: Steps = 3000,
    points: Points = 60,
    seeds: Seeds = 20,
    out: Out = RUNS,
) -> None:
    """When does momentum help, when does it hurt?"""
    present(lambda: run_momentum_effects(condition_number, points=points, num_steps=steps, num_seeds=seeds), out)


if __name__ == "__main__":
    script(main)
