"""Convergence on a bowl measured: at the settings that theory calls optimal, and at tuned rates.

Letters in shapes: `K` condition numbers, `R` learning rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

import optviz
import surfaces
from experiments.parts import momentum_theory as theory
from experiments.parts.momentum_measurements import steps_to_settle
from optviz import metrics
from optviz.optimizers import wrapped
from optviz.sweeps import METRICS

TARGET = 1e-12  # of the first loss, which is 1
ANGLES = {"turned": np.pi / 6, "along axes": 0.0}
OPTIMAL = {
    "gradient descent": (theory.best_gradient_descent, False),
    "heavy ball": (theory.best_heavy_ball, False),
    "Nesterov, as he chose": (theory.usual_nesterov, True),
    "Nesterov, best on a bowl": (theory.best_nesterov, True),
}


def rivals() -> list[Any]:
    """What is tuned by default: three linear methods, and four that divide by past gradients."""
    names = ("gd", "momentum", "adagrad", "rmsprop", "adam", "amsgrad")
    nesterov = optviz.OptimizerSpec(optax.sgd, "nesterov", learning_rate=0.01, momentum=0.9, nesterov=True)
    chosen = [optviz.optimizer(name) for name in names]
    return [*chosen[:2], nesterov, *chosen[2:]]


def at_optimal_settings(condition_numbers: np.ndarray, num_steps: int) -> Any:
    """What `shape_of_run` finds at the settings of `OPTIMAL`, and the `predicted` factor, `(optimizer, K)`."""
    import xarray

    found = []
    for settings, nesterov in OPTIMAL.values():
        tuned = settings(condition_numbers)
        spec = optviz.OptimizerSpec(optax.sgd, learning_rate=0.1, momentum=0.9, nesterov=nesterov)
        values = {"learning_rate": tuned.learning_rate, "momentum": tuned.momentum}
        one = shapes_of_runs(spec, values, condition_numbers, ANGLES["turned"], num_steps)
        found.append({**one, "predicted": tuned.factor})
    return xarray.Dataset(
        {name: (("optimizer", "condition_number"), [one[name] for one in found]) for name in found[0]},
        {"optimizer": list(OPTIMAL), "condition_number": condition_numbers},
        {"num_steps": num_steps},
    )


def at_tuned_rates(optimizers: Sequence[Any], condition_numbers: np.ndarray, rates: np.ndarray, num_steps: int) -> Any:
    """At the best of the `rates`: `steps` to `TARGET`, and what `shape_of_run` finds; `(bowl, optimizer, K)`."""
    import xarray

    found = [[_tuned(o, condition_numbers, rates, angle, num_steps) for o in optimizers] for angle in ANGLES.values()]
    dims = ("bowl", "optimizer", "condition_number")
    return xarray.Dataset(
        {name: (dims, [[one[name] for one in row] for row in found]) for name in found[0][0]},
        {"bowl": list(ANGLES), "optimizer": [o.name for o in optimizers], "condition_number": condition_numbers},
        {"num_steps": num_steps, "num_rates": len(rates), "target": TARGET},
    )


def _tuned(optimizer: Any, condition_numbers: np.ndarray, rates: np.ndarray, angle: float, num_steps: int) -> Any:
    surface = surfaces.QuadraticBowl(angle=angle)
    starts = np.stack([start(number, angle) for number in condition_numbers])
    together = {"surface.condition_number": condition_numbers, "start.x1": starts[:, 0], "start.x2": starts[:, 1]}
    axes = {"bowl": together, "learning_rate": rates}
    judged = {"steps": steps_to_settle(TARGET), "loss": METRICS["final_loss"]}
    swept = optviz.sweep(optimizer, surface, starts[0], num_steps, axes=axes, metrics=judged)
    # Where no rate settles in time, the lowest loss decides.
    best = [np.lexsort((loss, steps))[0] for loss, steps in zip(swept.loss.values, swept.steps.values, strict=True)]
    values = {"learning_rate": rates[best]}
    steps = swept.steps.values.min(axis=1)
    shapes = shapes_of_runs(optimizer, values, condition_numbers, angle, num_steps)
    return {
        "steps": steps,
        "rate": rates[best],
        **shapes,
        "predicted": predicted_factor(optimizer, condition_numbers, rates),
    }


def start(condition_number: Any, angle: float) -> Array:
    """A point on the turned bowl with half of the loss, 1, in each direction."""
    turn = jnp.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return turn @ jnp.stack([jnp.ones_like(condition_number), condition_number**-0.5])


def shapes_of_runs(
    optimizer: Any, values: Mapping[str, Any], condition_numbers: np.ndarray, angle: float, num_steps: int
) -> dict[str, np.ndarray]:
    """`shape_of_run` for every condition number `(K,)`, with hyperparameters `(K,)` each."""

    @jax.jit
    @jax.vmap
    def run(condition_number: Any, at: Mapping[str, Any]) -> dict[str, Array]:
        surface = surfaces.QuadraticBowl(condition_number, angle)
        first, kept = start(condition_number, angle), ("loss", "params")
        return shape_of_run(optviz.record(optimizer.replace(**at), surface, first, num_steps, fields=kept))

    return jax.device_get(run(jnp.asarray(condition_numbers), {k: jnp.asarray(v) for k, v in values.items()}))


def shape_of_run(trace: Any) -> dict[str, Array]:
    """The `factor` per step on the distance, and the shares of steps that raise the loss (`rises`) and of turns.

    The factor is the root of that on the loss. Shares are of the steps until the loss is in denormal numbers.
    """
    losses, moves = trace.losses, jnp.diff(trace.path, axis=0)
    alive = jnp.cumprod(losses[1:] > jnp.finfo(losses.dtype).tiny)
    steps = jnp.maximum(alive.sum(), 1)
    turns = jnp.sum(moves[1:] * moves[:-1], axis=1) < 0
    return {
        "factor": jnp.sqrt(metrics.convergence_rate(trace)),
        "rises": jnp.sum(alive * (losses[1:] > losses[:-1])) / steps,
        "turns": jnp.sum(alive[1:] * turns) / steps,
    }


def predicted_factor(optimizer: Any, condition_numbers: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """The factor per step, `(K,)`, at the best of the `rates` in theory; NaN for a method that is not linear."""
    if optimizer.factory not in (wrapped.gd, wrapped.momentum, optax.sgd):
        return np.full_like(condition_numbers, np.nan)
    momentum = optimizer.hyperparameters.get("momentum", 0.0)
    nesterov = dict(optimizer.options).get("nesterov", False)
    factors = theory.worst_factor(rates[:, None], momentum, condition_numbers, nesterov=nesterov)
    return factors.min(axis=0)
