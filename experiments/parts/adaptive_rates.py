"""What `adaptive_lr_behavior` measures: rates of coordinates, and paths on a bowl that is turned and rescaled.

Letters in shapes: `N` runs, `T` steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

import optviz
import surfaces
from experiments.parts.momentum_theory import stability_limit

RADIUS = 3.0
# Directions along the bowl's own axes: none on an axis, and as many on either side of the diagonal.
DIRECTIONS = np.pi / 16 * np.arange(1, 32, 2)
RING = RADIUS * np.stack([np.cos(DIRECTIONS), np.sin(DIRECTIONS)], axis=-1)
DIAGONAL = (RADIUS, RADIUS)
SCALES = 2.0 ** np.arange(-40, 41, 2)  # powers of two: in floating point nothing but a constant tells them apart
CHANGES = ("loss", "one curvature", "one unit")
SMALLEST = 1e-14  # of the first loss: what is smaller is rounding


def effective_rates(trace: Any) -> Float[Array, "T n"]:
    """What each coordinate's gradient is multiplied by at each step: |update| over |gradient|.

    For an optimizer that keeps an average of gradients (`mu`, here corrected for its beginning at zero, or `trace`)
    it is the average that is multiplied. NaN or infinity where that is zero. The trace needs the columns `gradients`,
    `updates` and `opt_state` of every step.
    """
    steps, b1 = trace.steps, trace.optimizer.hyperparameters.get("b1", 0.0)
    mean, velocity = (optax.tree.get(steps.new_opt_state, name) for name in ("mu", "trace"))
    if mean is not None:
        mean = mean / (1 - b1 ** (1.0 + steps.index[:, None]))
    multiplied = next(x for x in (mean, velocity, steps.gradients) if x is not None)
    return jnp.abs(steps.updates / multiplied)


def denominator_floor(optimizer: Any) -> float:
    """The size of a gradient below which a constant rules the denominator; 0 for an optimizer without one.

    The constant stands beside the root (Adam), or under it (in Optax RMSProp's, and AdaGrad's with its first sum).
    """
    known, options = optimizer.hyperparameters, dict(optimizer.options)
    under_root = "initial_accumulator_value" in known or options.get("eps_in_sqrt", False)
    constant = float(known.get("eps", 0.0)) + float(known.get("initial_accumulator_value", 0.0))
    return float(np.sqrt(constant)) if under_root else constant


def forgets(optimizer: Any) -> bool:
    """Whether it divides by a running average of squares (`nu` in its state), which shrinks with the gradients."""
    return bool(optax.tree.get_all_with_path(optimizer.init(jnp.zeros(2)), "nu"))


def edge_of_stability(optimizer: Any) -> float:
    """The largest product of a constant rate and a curvature that is stable, (2 + 2 b1) / (1 - b1).

    Cohen et al. (2022), arXiv:2207.14484, section 2, for momentum that is an average of gradients; b1 = 0 without any.
    """
    b1 = float(optimizer.hyperparameters.get("b1", 0.0))
    return float(stability_limit(b1)) / (1 - b1)


def turned_losses(optimizers: Sequence[Any], condition_number: float, rates: Any, angles: Any, num_steps: int) -> Any:
    """log10 of the final loss over the first, `(optimizer, learning_rate, angle)`, mean over starts that turn along.

    `rate` is the best for the angle 0.
    """
    import xarray

    bowl = surfaces.Rotated(surfaces.QuadraticBowl(condition_number, 0.0))
    angle, direction = (grid.ravel() for grid in np.meshgrid(angles, DIRECTIONS, indexing="ij"))
    starts = RADIUS * np.stack([np.cos(angle + direction), np.sin(angle + direction)], axis=-1)
    first = (RING**2 @ [0.5, 0.5 * condition_number])[np.arange(len(angle)) % len(RING)]
    axes = {"learning_rate": rates, "run": {"surface.angle": angle, "start": starts}}
    swept = [optviz.sweep(o, bowl, starts[0], num_steps, axes=axes, metrics=["final_loss"]) for o in optimizers]
    share = np.stack([s.final_loss.values for s in swept]) / first
    decades = np.log10(np.clip(np.nan_to_num(share, nan=np.inf), SMALLEST, 1 / SMALLEST))
    decades = decades.reshape(len(optimizers), len(rates), len(angles), len(RING)).mean(axis=-1)
    return xarray.Dataset(
        {
            "decades": (("optimizer", "learning_rate", "angle"), decades),
            "rate": ("optimizer", rates[decades[:, :, 0].argmin(axis=1)]),
        },
        {"optimizer": [o.name for o in optimizers], "learning_rate": rates, "angle": np.degrees(angles)},
        {"condition_number": condition_number, "num_steps": num_steps, "num_starts": len(RING)},
    )


def rate_ratios(optimizers: Sequence[Any], condition_number: float, degrees: Any, num_steps: int) -> Any:
    """The effective rate of x over that of y, `(optimizer, angle)`, on the bowl turned by angles in degrees.

    The geometric mean over starts all around, and over steps at which both are finite and not zero. `predicted`
    holds for what divides by the root mean square of gradients from all directions.
    """
    import xarray

    starts = [((1.0, condition_number), (1, 1), np.radians(angle), start) for angle in degrees for start in RING]
    ratios = [_mean_ratio(_descended(o, starts, num_steps)[1], len(RING)) for o in optimizers]
    cos, sin = np.cos(np.radians(degrees)) ** 2, np.sin(np.radians(degrees)) ** 2
    predicted = np.sqrt((sin + condition_number**2 * cos) / (cos + condition_number**2 * sin))
    return xarray.Dataset(
        {"ratio": (("optimizer", "angle"), np.stack(ratios)), "predicted": ("angle", predicted)},
        {"optimizer": [o.name for o in optimizers], "angle": degrees},
        {"condition_number": condition_number, "num_steps": num_steps, "num_starts": len(RING)},
    )


def rescaled_paths(optimizers: Sequence[Any], condition_number: float, num_steps: int) -> Any:
    """How far a path is from the one at scale 1, `(optimizer, change, scale)`, as a share of the way to go.

    The largest distance through time in the units of scale 1; infinite if the path diverges. `floor` is the scale of
    the loss below which the constant in the denominator is larger than the smaller of the first gradients.
    """
    import xarray

    runs = [_changed(change, scale, condition_number) for change in CHANGES for scale in [1.0, *SCALES]]
    moved = []
    for optimizer in optimizers:
        paths = _descended(optimizer, runs, num_steps)[0].reshape(len(CHANGES), 1 + len(SCALES), -1, 2)
        away = np.linalg.norm(paths[:, 1:] - paths[:, :1], axis=-1).max(axis=-1) / np.linalg.norm(DIAGONAL)
        moved.append(np.nan_to_num(away, nan=np.inf))
    return xarray.Dataset(
        {
            "moved": (("optimizer", "change", "scale"), np.stack(moved)),
            "floor": ("optimizer", [denominator_floor(o) / RADIUS for o in optimizers]),
        },
        {"optimizer": [o.name for o in optimizers], "change": list(CHANGES), "scale": SCALES},
        {"num_steps": num_steps},
    )


def rates_through_time(optimizers: Sequence[Any], condition_number: float, num_steps: int) -> Any:
    """The effective rates `(optimizer, step, curvature)` on the bowl along the axes, and the edge of stability.

    In double precision: in single precision a run comes to stand before its rates have grown.
    """
    import xarray

    curvatures = np.array([1.0, condition_number])
    with jax.enable_x64(True):
        found = [_descended(o, [(curvatures, (1, 1), 0.0, DIAGONAL)], num_steps)[1][0] for o in optimizers]
    return xarray.Dataset(
        {
            "effective_rate": (("optimizer", "step", "curvature"), np.stack(found)),
            "limit": (("optimizer", "curvature"), [edge_of_stability(o) / curvatures for o in optimizers]),
        },
        {"optimizer": [o.name for o in optimizers], "step": np.arange(num_steps), "curvature": curvatures},
    )


def _changed(change: str, scale: float, condition_number: float) -> tuple[Any, Any, float, Any]:
    """Curvatures, units, angle and start of a run with `change` multiplied by `scale`."""
    steep = condition_number * (1.0 if change == "one unit" else scale)
    flat = scale if change == "loss" else 1.0
    return (flat, steep), (1.0, scale if change == "one unit" else 1.0), 0.0, DIAGONAL


def _descended(optimizer: Any, runs: Sequence[tuple[Any, Any, float, Any]], num_steps: int) -> tuple[Any, Any]:
    """Paths `(N, T + 1, 2)` along the axes of the bowl, and effective rates `(N, T, 2)` of the coordinates.

    A run has curvatures, the units in which the optimizer sees the coordinates, an angle, and a start.
    """
    columns = (jnp.asarray(column, float) for column in zip(*runs, strict=True))
    paths, rates = _descend(optimizer, *columns, num_steps=num_steps)
    return np.asarray(paths, float), np.asarray(rates, float)


@partial(jax.jit, static_argnames="num_steps")
def _descend(
    optimizer: Any, curvatures: Array, units: Array, angles: Array, starts: Array, *, num_steps: int
) -> tuple[Array, Array]:
    def one(curvatures: Array, units: Array, angle: Array, start: Array) -> tuple[Array, Array]:
        bowl = surfaces.Quadratic(curvatures / units**2)
        turned, back = surfaces.Rotated(bowl, angle), surfaces.Rotated(bowl, -angle)
        fields = ("params", "gradients", "updates", "opt_state")
        trace = optviz.record(optimizer, turned, turned.place(units * start), num_steps, fields=fields)
        return jax.vmap(back.place)(trace.path) / units, effective_rates(trace)

    return jax.vmap(one)(curvatures, units, angles, starts)


def _mean_ratio(rates: np.ndarray, num_starts: int) -> np.ndarray:
    """The geometric mean of the first coordinate's rate over the second's: `(N, T, 2)` to `(N / num_starts,)`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = (np.log(rates[..., 0]) - np.log(rates[..., 1])).reshape(len(rates) // num_starts, -1)
    known = np.isfinite(ratios)
    return np.exp(np.where(known, ratios, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
