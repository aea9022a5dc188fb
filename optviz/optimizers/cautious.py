"""Cautious optimizers: only those coordinates of an update are kept that go downhill by the present gradient.

Liang et al. (2024), Cautious Optimizers: Improving Training with One Line of Code, arXiv:2411.16085.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ScalarLike

LEAST_SHARE = 1e-3
"""The share of coordinates kept counts as at least this, so that the factor is at most 1000."""


def cautious(optimizer: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Any optimizer whose updates are masked, Algorithm 1 of the paper; for every leaf, with its update u:

    k = 1 where u g < 0, else 0;  u <- u k / max(mean(k), 0.001)

    The state is the optimizer's own. Where all signs agree nothing is changed. The bound of the mean is that of the
    authors' code (github.com/kyleliang919/C-Optim); the paper adds a small number instead. Decoupled weight decay of
    `optimizer` is masked along with the rest; `cautious_adamw` decays unmasked.
    """
    inner = optax.with_extra_args_support(optimizer)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        steps, state = inner.update(updates, state, params, **extra)
        return jax.tree.map(_masked, steps, updates), state

    return optax.GradientTransformationExtraArgs(inner.init, update)


def cautious_adamw(
    learning_rate: Any,
    b1: ScalarLike = 0.9,
    b2: ScalarLike = 0.999,
    eps: ScalarLike = 1e-8,
    weight_decay: Any = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """C-AdamW, Algorithm 2 of the paper: `cautious` on Adam's direction, then decoupled weight decay.

    x <- x - rate (Adam's direction, masked + weight_decay x)

    The decay is that of the parameters before the step; the authors' code decays those after it.
    """
    downhill = optax.chain(optax.scale_by_adam(b1, b2, eps), optax.scale(-1.0))
    decay = optax.add_decayed_weights(-1.0 * weight_decay)
    return optax.chain(cautious(downhill), decay, optax.scale_by_learning_rate(learning_rate, flip_sign=False))


def _masked(u: Array, g: Array | np.ndarray) -> Array:
    kept = (u * g < 0).astype(u.dtype)
    return u * kept / jnp.maximum(jnp.mean(kept), LEAST_SHARE).astype(u.dtype)
