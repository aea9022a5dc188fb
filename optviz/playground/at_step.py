"""What is known at one step of a path: gradient, update, momentum, state, and the quadratic model of the surface."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optviz.optimizers.states import path_of
from optviz.playground import compute
from optviz.playground.settings import Settings
from optviz.playground.world import World
from optviz.trace import compiled_apart, stable, take_step
from surfaces.base import LossSurface

_MOMENTA = ("mu", "trace", "momentum", "m", "velocity", "mu_prod", "exp_avg")
"""What optimizers call their average of gradients, the usual names first."""


def at_step(settings: Settings, run: compute.Run, step: int, world: World | None = None) -> dict[str, Any]:
    """What is known at `step`, from 0 to `num_steps`, as JSON data.

    Returns:
      `x`, `y`: where the step starts. `loss` and `slope` (2): of the surface that is drawn, without noise and penalty;
      `hessian` (2, 2) and its `eigenvalues` (2), ascending, of the same; `newton` (2): the step to the stationary point
      of the quadratic model, None where there is no single one. `gradient` (2): as the optimizer saw it; `update` (2):
      the step that it takes; `momentum` (2): its average of gradients, None if it keeps none. `state`: names and texts;
      `hyperparameters` in force by name.

    Raises:
      BadSettings: for an optimizer that the surface does not suit.
    """
    known, state = compute.run_program(_at, settings, run, (np.int32(step),), world)
    x, y = known.pop("params").tolist()
    hessian = known["hessian"].astype(float)
    leaves = {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state)}
    return {
        "step": step,
        "x": x,
        "y": y,
        **known,
        "momentum": _momentum(leaves),
        "eigenvalues": np.linalg.eigvalsh(hessian) if np.isfinite(hessian).all() else None,
        "newton": newton_step(hessian, known["slope"].astype(float)),
        "state": [[name, _text(leaf)] for name, leaf in leaves.items()],
    }


def newton_step(hessian: np.ndarray, slope: np.ndarray) -> np.ndarray | None:
    """The step (2,) to the stationary point of the quadratic model; None where float32 cannot tell that it is one."""
    if not (np.isfinite(hessian).all() and np.isfinite(slope).all()) or np.linalg.cond(hessian) > 1e6:
        return None
    return -np.linalg.solve(hessian, slope)


def _at(
    optimizer: Any, surface: LossSurface, plain: LossSurface, start: Any, seed: Any, step: Any
) -> tuple[dict[str, Any], Any]:
    """The compiled run up to `step`, which it then takes to see what it is."""
    one_step = partial(take_step, optimizer, surface, jax.random.key(seed) if surface.is_stochastic else None)
    carry = stable(lambda carry: one_step(carry)[0], (jnp.int32(0), start, optimizer.init(start)))
    advance = compiled_apart(lambda carry: one_step(carry)[0])
    carry = jax.lax.fori_loop(0, step, lambda _, carry: advance(carry), carry)
    row = one_step(carry)[1]
    known = {
        "params": row.params,
        "loss": plain(row.params),
        "slope": jax.grad(plain)(row.params),
        "hessian": jax.hessian(plain)(row.params),
        "gradient": row.gradients,
        "update": row.updates,
        "hyperparameters": row.hyperparameters,
    }
    keys = partial(
        jax.tree.map, lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    )
    return known, keys(row.opt_state)


def _momentum(leaves: dict[str, Any]) -> Any:
    vectors = {name.rsplit("/", 1)[-1]: leaf for name, leaf in leaves.items() if np.shape(leaf) == (2,)}
    return next((vectors[name] for name in _MOMENTA if name in vectors), None)


def _text(leaf: Any) -> str:
    array = np.asarray(leaf)
    return np.array2string(array, precision=4, threshold=12, separator=", ", suppress_small=False)
