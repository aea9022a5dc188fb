"""Measurements of momentum: on bowls beside their theory, in a ravine that bends, with noise on the gradient.

All curvatures are from 1 to L, the condition number. Letters in shapes: `B` momenta, `R` learning rates, `K` condition
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import optviz
import surfaces
from experiments.parts import momentum_theory as theory
from optviz.sweeps import METRICS, End, StreamedMetric
from optviz.trace import OptimizerStep

TARGET = 1e-8  # where a run on a bowl, whose first loss is 1, is done
USUAL = (0.5, 0.9, 0.99)
EFFECTIVE_RATE = 0.005  # in the ravine, where gradient descent is stable up to 0.01
_HEAVY_BALL = "momentum"
_METHODS = (_HEAVY_BALL, "nesterov")


def method(name: str) -> Any:
    """The heavy ball or Nesterov's momentum, with the hyperparameters `learning_rate` and `momentum`."""
    return optviz.optimizer("momentum" if name == _HEAVY_BALL else "sgd", momentum=0.9, **_options(name))


def _options(name: str) -> dict[str, Any]:
    return {} if name == _HEAVY_BALL else {"nesterov": True}


def bowl(condition_number: float) -> tuple[Any, np.ndarray]:
    """A bowl along the axes, and a start with half of the loss, 1, in each direction."""
    return surfaces.QuadraticBowl(condition_number, angle=0.0), np.array([1.0, condition_number**-0.5])


def steps_over_rate_and_momentum(name: str, condition_number: float, points: int, num_steps: int) -> Any:
    """`steps` to `TARGET` over `points` rates and as many momenta, `(R, B)`, and where the run diverged."""
    surface, start = bowl(condition_number)
    axes = {
        "learning_rate": np.geomspace(0.01, 5.0, points) / condition_number,
        "momentum": np.linspace(0.0, 0.98, points),
    }
    metrics = {"steps": steps_to_settle(TARGET), "diverged": METRICS["diverged"]}
    return optviz.sweep(method(name), surface, start, num_steps, axes=axes, metrics=metrics)


def stability_limits(condition_number: float, points: int, num_steps: int) -> Any:
    """The least rate that diverges, times L: `measured` to 0.01 and `predicted`, for each variant, `(variant, B)`."""
    import xarray

    surface, start = bowl(condition_number)
    scaled = np.arange(1.0, 4.2, 0.01)
    axes = {"momentum": np.linspace(0.0, 0.95, points), "learning_rate": scaled / condition_number}
    found = [
        optviz.sweep(method(name), surface, start, num_steps, axes=axes, metrics=["diverged"]) for name in _METHODS
    ]
    measured = [scaled[np.argmax(swept.diverged.values, axis=1)] for swept in found]
    predicted = [theory.stability_limit(axes["momentum"], nesterov=name != _HEAVY_BALL) for name in _METHODS]
    return xarray.Dataset(
        {"measured": (("variant", "momentum"), measured), "predicted": (("variant", "momentum"), predicted)},
        {"variant": list(_METHODS), "momentum": axes["momentum"]},
        {"condition_number": condition_number, "num_steps": num_steps},
    )


def steps_over_condition_number(condition_numbers: np.ndarray, points: int) -> Any:
    """`steps` to `TARGET` against the condition number, `(variant, K)`, and the `factor` per step that theory says.

    Gradient descent and the heavy ball at their optimal settings, and the heavy ball with each of the `USUAL` momenta
    at the best of `points` learning rates. `peak` is the highest loss on the way.
    """
    import xarray

    optimal = [theory.best_gradient_descent(condition_numbers), theory.best_heavy_ball(condition_numbers)]
    budget = 3000 + int(np.log(TARGET) / np.log(optimal[0].factor.max()))
    scaled = 4 * np.arange(1, points + 1) / (points + 1)  # no momentum is stable at 4 / L
    rates = [t.learning_rate[:, None] for t in optimal] + [scaled / condition_numbers[:, None]] * len(USUAL)
    momenta = [t.momentum[:, None] for t in optimal] + [np.full((1, 1), m) for m in USUAL]
    found = [_runs(condition_numbers, r, m, budget) for r, m in zip(rates, momenta, strict=True)]
    best = [np.argmin(one["steps"], axis=1)[:, None] for one in found]
    rows = {
        name: [np.take_along_axis(one[name], i, axis=1)[:, 0] for one, i in zip(found, best, strict=True)]
        for name in ("steps", "peak")
    }
    rows["factor"] = [t.factor for t in optimal] + [theory.best_rate_factor(m, condition_numbers) for m in USUAL]
    names = ["gradient descent", "optimal momentum", *(f"momentum {m:g}" for m in USUAL)]
    return xarray.Dataset(
        {name: (("variant", "condition_number"), values) for name, values in rows.items()},
        {"variant": names, "condition_number": condition_numbers},
        {"num_steps": budget, "num_rates": points},
    )


def _runs(condition_numbers: np.ndarray, rates: np.ndarray, momenta: np.ndarray, budget: int) -> dict[str, np.ndarray]:
    """Steps to `TARGET` and the highest loss, `(K, R)` each, of every condition number at rates and momenta."""
    numbers, rates, momenta = np.broadcast_arrays(condition_numbers[:, None], rates, momenta)
    runs = {
        "surface.condition_number": numbers.ravel(),
        "start.x2": numbers.ravel() ** -0.5,
        "learning_rate": rates.ravel(),
        "momentum": momenta.ravel(),
    }
    metrics = {"steps": steps_to_settle(TARGET), "peak": StreamedMetric("highest loss", "loss", _total, 0.0, _add_peak)}
    swept = optviz.sweep(method(_HEAVY_BALL), *bowl(1.0), budget, axes={"run": runs}, metrics=metrics)
    return {name: swept[name].values.reshape(rates.shape) for name in metrics}


def speed_ups(speed: Any) -> tuple[Any, Any]:
    """Steps of gradient descent over steps, measured, and what the factors per step say for runs without end."""
    logs = np.log(speed.factor)
    descent = speed.sel(variant="gradient descent", drop=True)
    return descent.steps / speed.steps, logs / np.log(descent.factor)


def crossing(gain: Any) -> float:
    """The condition number at which a speed-up that begins below 1 rises above it, between two by their logarithms."""
    above = np.flatnonzero(gain.values > 1)
    if not above.size or above[0] == 0:
        return float("nan")
    pair = slice(above[0] - 1, above[0] + 1)
    logs = np.log(gain.values[pair]), np.log(gain.condition_number.values[pair])
    return float(np.exp(np.interp(0.0, *logs)))


def _steps(condition_numbers: np.ndarray, rates: np.ndarray, momenta: np.ndarray, budget: int) -> np.ndarray:
    """Steps to `TARGET` for every condition number `(K,)` and its rates and momenta, `(K, R)`."""
    numbers = np.broadcast_to(condition_numbers[:, None], rates.shape)
    runs = {
        "surface.condition_number": numbers.ravel(),
        "start.x2": numbers.ravel() ** -0.5,
        "learning_rate": rates.ravel(),
        "momentum": momenta.ravel(),
    }
    metrics = {"steps": steps_to_settle(TARGET)}
    swept = optviz.sweep(method(_HEAVY_BALL), *bowl(1.0), budget, axes={"run": runs}, metrics=metrics)
    return swept.steps.values.reshape(rates.shape)


def in_a_ravine(points: int, num_steps: int) -> Any:
    """In a ravine that bends: the fewest `steps` into it, and how far the run goes, over momentum, `(B,)`.

    `steps` until the loss stays below 1e-4 at the best of `points` rates (`best_rate`), `path_length` until the end at
    the effective rate `EFFECTIVE_RATE`.
    """
    import xarray

    surface = surfaces.BentRavine()
    momenta, rates = 1 - np.geomspace(1.0, 0.005, points), np.geomspace(1e-4, 0.03, points)
    axes = {"momentum": momenta, "learning_rate": rates}
    metrics = {"steps": steps_to_settle(1e-4)}
    steps = optviz.sweep(method(_HEAVY_BALL), surface, surface.start, num_steps, axes=axes, metrics=metrics).steps
    same = {"run": {"momentum": momenta, "learning_rate": EFFECTIVE_RATE * (1 - momenta)}}
    metrics = ["path_length"]
    length = optviz.sweep(method(_HEAVY_BALL), surface, surface.start, num_steps, axes=same, metrics=metrics)
    return xarray.Dataset(
        {
            "steps": steps.min("learning_rate"),
            "best_rate": ("momentum", rates[steps.argmin("learning_rate").values]),
            "path_length": ("momentum", length.path_length.values),
        },
        attrs={"surface": surface.name, "num_steps": num_steps, "num_rates": points, "effective_rate": EFFECTIVE_RATE},
    )


def ravine_traces(momenta: Sequence[float], rates: Sequence[float], num_steps: int) -> list[Any]:
    """Paths through the ravine, one for each momentum and its rate."""
    surface, ball = surfaces.BentRavine(), method(_HEAVY_BALL)
    return [
        optviz.record(ball.replace(momentum=m, learning_rate=r), surface, surface.start, num_steps)
        for m, r in zip(momenta, rates, strict=True)
    ]


def loss_with_noise(condition_number: float, points: int, num_steps: int, num_seeds: int) -> Any:
    """The mean loss at rest with unit noise on each entry of the gradient: `measured`, its `error`, and `predicted`.

    Over momentum, `(setting, B)`, at the same effective rate 1 / L and at the same learning rate 1 / L; and at the
    settings that are optimal without noise, `(variant,)`, named `optimal_...`. Means over the second half of the steps
    and over the seeds, with their standard error.
    """
    import xarray

    momenta = np.linspace(0.0, 0.95, points)
    optimal = theory.best_gradient_descent(condition_number), theory.best_heavy_ball(condition_number)
    rates = np.concatenate([1 - momenta, np.ones_like(momenta), [t.learning_rate * condition_number for t in optimal]])
    runs = {
        "learning_rate": rates / condition_number,
        "momentum": np.concatenate([momenta, momenta, [float(t.momentum) for t in optimal]]),
    }
    surface = surfaces.Noisy(bowl(condition_number)[0], gradient_scale=1.0)
    axes = {"run": runs, "seed": num_seeds}
    metrics = {"loss": mean_loss_from(num_steps // 2)}
    loss = optviz.sweep(method(_HEAVY_BALL), surface, np.zeros(2), num_steps, axes=axes, metrics=metrics).loss
    found = {
        "measured": loss.mean("seed").values,
        "error": loss.std("seed", ddof=min(1, num_seeds - 1)).values / np.sqrt(num_seeds),
        "predicted": theory.stationary_loss(runs["learning_rate"], runs["momentum"], condition_number),
    }
    grid = {name: (("setting", "momentum"), values[:-2].reshape(2, -1)) for name, values in found.items()}
    ends = {f"optimal_{name}": ("variant", values[-2:]) for name, values in found.items()}
    return xarray.Dataset(
        {**grid, **ends},
        {
            "setting": ["same effective rate", "same learning rate"],
            "momentum": momenta,
            "variant": ["gradient descent", "optimal momentum"],
        },
        {"condition_number": condition_number, "num_steps": num_steps, "num_seeds": num_seeds},
    )


def mean_loss_from(first: int) -> StreamedMetric:
    """The loss without noise, averaged over the steps from `first` on."""

    def add(total: Array, row: OptimizerStep, loss: Array, surface: Any) -> Array:
        return jnp.where(row.index >= first, total + loss, total)

    def finish(total: Array, end: End) -> Array:
        return total / (end.num_steps - first)

    return StreamedMetric(f"mean loss from step {first} on", "loss", finish, 0.0, add)


def steps_to_settle(target: float) -> StreamedMetric:
    """The number of steps after which the loss stays below `target`; infinity if it ends above.

    An oscillating run passes below long before, by luck, and the best of many rates is the luckiest.
    """

    def add(total: Array, row: OptimizerStep, loss: Array, surface: Any) -> Array:
        return jnp.where(loss <= target, total, row.index + 1)

    def finish(total: Array, end: End) -> Array:
        return jnp.where(end.loss <= target, total.astype(end.loss.dtype), jnp.inf)

    return StreamedMetric(f"steps until the loss stays below {target:g}", "steps", finish, 0, add)


def _add_peak(total: Array, row: OptimizerStep, loss: Array, surface: Any) -> Array:
    return jnp.maximum(total, loss)


def _total(total: Array, end: End) -> Array:
    return total
