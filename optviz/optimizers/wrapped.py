"""Factories with one number per hyperparameter, for the Optax optimizers that do not offer that themselves.

Optax does the work; a function here only unpacks a pair, chooses the inner optimizer of a wrapper, makes a
key from a seed, or allows a traced number where Optax branches on it in Python.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, ScalarLike

from optviz.optimizers.schedules import WarmupConstant

Rate = Any  # as `optax.ScalarOrSchedule`, but NumPy's scalars too


class LookaheadState(NamedTuple):
    """The slow parameters, and the state of `optax.lookahead`."""

    slow: Any
    inner: Any


def gd(learning_rate: Rate) -> optax.GradientTransformation:
    """Plain gradient descent: `optax.sgd` without momentum."""
    return optax.sgd(learning_rate)


def momentum(learning_rate: Rate, momentum: ScalarLike = 0.9) -> optax.GradientTransformation:
    """The heavy ball: `optax.sgd` with momentum."""
    return optax.sgd(learning_rate, momentum)


def nesterov(learning_rate: Rate, momentum: ScalarLike = 0.9) -> optax.GradientTransformation:
    """Nesterov's momentum: `optax.sgd` with momentum and `nesterov=True`."""
    return optax.sgd(learning_rate, momentum, nesterov=True)


def noisy_sgd(
    learning_rate: Rate, eta: ScalarLike = 0.01, gamma: ScalarLike = 0.55, seed: ScalarLike = 0
) -> optax.GradientTransformation:
    """`optax.noisy_sgd` with a seed in place of a key."""
    return optax.noisy_sgd(learning_rate, eta, gamma, key_from(seed))


def dpsgd(
    learning_rate: Rate,
    l2_norm_clip: ScalarLike = 1.0,
    noise_multiplier: ScalarLike = 0.1,
    seed: ScalarLike = 0,
    momentum: ScalarLike | None = None,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """`optax.contrib.dpsgd` on one gradient instead of per-example gradients with a leading batch axis.

    The gradient is treated as a batch of one example: it is clipped and noised as a whole. The path is that
    of the algorithm; nothing is promised about the privacy of examples averaged beforehand.
    """
    private = optax.contrib.differentially_private_aggregate(l2_norm_clip, noise_multiplier, key_from(seed))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        batch_of_one = jax.tree.map(lambda g: g[None], updates)
        return private.update(batch_of_one, state, params)

    single = optax.GradientTransformation(private.init, update)
    return optax.chain(single, optax.sgd(learning_rate, momentum, nesterov))


def dog(
    learning_rate: Rate = 1.0,
    init_step: ScalarLike = 1e-6,
    eps: ScalarLike = 1e-8,
    weight_decay: ScalarLike | None = None,
) -> optax.GradientTransformation:
    """`optax.contrib.dog` with the paper's first distance, `init_step * (1 + norm(params))`."""
    return optax.contrib.dog(learning_rate, ("heuristic", init_step), eps, weight_decay)


def dadapt_adamw(
    learning_rate: Rate = 1.0,
    b1: ScalarLike = 0.9,
    b2: ScalarLike = 0.999,
    eps: ScalarLike = 1e-8,
    estim_lr0: ScalarLike = 1e-6,
    weight_decay: ScalarLike = 0.0,
) -> optax.GradientTransformation:
    """`optax.contrib.dadapt_adamw` with `betas` as two numbers."""
    return optax.contrib.dadapt_adamw(learning_rate, (b1, b2), eps, estim_lr0, weight_decay)


def prodigy(
    learning_rate: Rate = 1.0,
    b1: ScalarLike = 0.9,
    b2: ScalarLike = 0.999,
    beta3: ScalarLike | None = None,
    eps: ScalarLike = 1e-8,
    estim_lr0: ScalarLike = 1e-6,
    estim_lr_coef: ScalarLike = 1.0,
    weight_decay: ScalarLike = 0.0,
    safeguard_warmup: bool = False,
) -> optax.GradientTransformation:
    """`optax.contrib.prodigy` with `betas` as two numbers."""
    return optax.contrib.prodigy(
        learning_rate, (b1, b2), beta3, eps, estim_lr0, estim_lr_coef, weight_decay, safeguard_warmup
    )


def lookahead(
    learning_rate: Rate,
    sync_period: int = 5,
    slow_step_size: ScalarLike = 0.5,
    momentum: ScalarLike | None = 0.9,
) -> optax.GradientTransformation:
    """`optax.lookahead` over SGD on ordinary parameters, the fast ones; the slow ones are in the state."""
    pair: Any = optax.lookahead(optax.sgd(learning_rate, momentum), sync_period, slow_step_size)

    def init(params: Any) -> Any:
        return LookaheadState(params, pair.init(optax.LookaheadParams.init_synced(params)))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        both = optax.LookaheadParams(fast=params, slow=state.slow)
        steps, inner = pair.update(updates, state.inner, both)
        return steps.fast, LookaheadState(optax.apply_updates(state.slow, steps.slow), inner)

    return optax.GradientTransformation(init, update)


def sam(
    learning_rate: Rate,
    rho: Rate = 0.05,
    sync_period: int = 2,
    momentum: ScalarLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """`optax.contrib.sam` over SGD, both gradients within one update, which takes `grad_fn(params, i)`.

    Each of the `sync_period - 1` adversarial steps climbs a distance `rho` along the gradient. Where that is
    zero it stays, while `optax.contrib.normalize` would divide by zero.
    """
    climb = optax.chain(optax.normalize_by_update_norm(eps=1e-12), optax.sgd(rho))
    return optax.contrib.sam(optax.sgd(learning_rate, momentum), climb, sync_period, opaque_mode=True)


def mechanize(
    learning_rate: Rate = 1.0,
    weight_decay: ScalarLike = 0.01,
    eps: ScalarLike = 1e-8,
    s_init: ScalarLike = 1e-6,
    num_betas: int = 6,
) -> optax.GradientTransformationExtraArgs:
    """`optax.contrib.mechanize` over SGD, whose learning rate it multiplies by the factor that it learns."""
    return optax.contrib.mechanize(optax.sgd(learning_rate), weight_decay, eps, s_init, num_betas)


def schedule_free_sgd(
    learning_rate: Rate = 1.0,
    warmup_steps: ScalarLike | None = None,
    b1: ScalarLike = 0.9,
    weight_decay: ScalarLike | None = None,
    weight_lr_power: ScalarLike = 2.0,
) -> optax.GradientTransformationExtraArgs:
    """`optax.contrib.schedule_free_sgd` with a warm-up whose length may be traced."""
    rate = _warmed_up(learning_rate, warmup_steps)
    return optax.contrib.schedule_free_sgd(rate, None, b1, weight_decay, weight_lr_power)


def schedule_free_adamw(
    learning_rate: Rate = 0.0025,
    warmup_steps: ScalarLike | None = None,
    b1: ScalarLike = 0.9,
    b2: ScalarLike = 0.999,
    eps: ScalarLike = 1e-8,
    weight_decay: ScalarLike = 0.0,
    weight_lr_power: ScalarLike = 2.0,
) -> optax.GradientTransformationExtraArgs:
    """`optax.contrib.schedule_free_adamw` with a warm-up whose length may be traced."""
    rate = _warmed_up(learning_rate, warmup_steps)
    return optax.contrib.schedule_free_adamw(rate, None, b1, b2, eps, weight_decay, weight_lr_power)


def key_from(seed: ScalarLike) -> Array:
    """A key from a seed, which under a schedule arrives as a float."""
    return jax.random.key(jnp.asarray(seed).astype(jnp.uint32))


def _warmed_up(learning_rate: Rate, warmup_steps: Any) -> Any:
    """The learning rate as it is, or Optax's linear warm-up to it with traced numbers."""
    return learning_rate if warmup_steps is None else WarmupConstant(0.0, learning_rate, warmup_steps)
