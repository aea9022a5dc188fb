"""EmoNavi, EmoFact and EmoLynx: AdamW, Adafactor and Lion moved by an "emotional scalar" of the loss.

As published in PyTorch by muooon, github.com/muooon/EmoNavi (Apache-2.0): version "4.0" (commit 4f9a5bd, tag Released),
"4.1" (d7b861d) and "5.0.2" (fe45eb9). One step, with L the loss before it and g the gradient:

    short <- 0.3 L + 0.7 short,  long <- 0.01 L + 0.99 long   (both L at the first step)
    d = short - long                                          (positive: the loss is getting worse)
    s <- tanh(5 |s| d)             version 4.0
         tanh(5 d / (1 + |s|))     version 4.1, once for every leaf, each from the s of the leaf before
         tanh(5 d)                 version 5.0.2
    trust = 1 - s^2 (or 1),  phi = 1 - |s|,  ratio = |s| with `use_shadow` if that is above 0.1, else 0
    if ratio > 0:  p <- (1 - ratio) p + ratio shadow,  shadow <- shadow + 0.1 trust (p - shadow)
                   (the first time only shadow <- p)
    p <- (1 - rate weight_decay) p - rate phi u,  u as each optimizer has it
    norm <- 0.9 norm + 0.1 |g|;  if norm > max_norm:  rate <- max(rate 0.95^(norm / max_norm), floor)
                   with floor = min_lr, in version 5.0.2 min_lr phi

What that does and does not do. In version 4.0 s starts at 0 and is a factor of its own successor, so it stays 0: trust
and phi stay 1, no shadow is ever made, the feedback is inert unless a state with a scalar other than 0 and unequal
averages is put in. `max_norm` does not clip gradients: while the mean norm is above it the learning rate falls, for
good, down to `min_lr`, to which a smaller rate is raised; 0 turns that off. `should_stop` says that s was quiet, which
under 4.0 it always is. s depends on the scale of the loss; a loss that is not finite makes the parameters NaN.

Deviations: the averages start at exactly L; one s stands for the equal ones of all leaves; a rate that follows a
schedule, which the original does not know, keeps the share to which the control has brought it down.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, ScalarLike

from optviz.optimizers.emotion import Rate, Settings, emotional


def emonavi(
    learning_rate: Rate = 1e-3,
    b1: ScalarLike = 0.9,
    b2: ScalarLike = 0.999,
    eps: ScalarLike = 1e-8,
    weight_decay: ScalarLike = 0.01,
    use_shadow: bool = False,
    use_trust: bool = True,
    max_norm: ScalarLike = 1.0,
    min_lr: ScalarLike = 1e-6,
    version: str = "4.0",
) -> optax.GradientTransformationExtraArgs:
    """AdamW without bias correction, moved by the emotional scalar (see the module).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) trust g^2;  u = m / (sqrt(v) + eps)

    `update` takes `value`, the loss. `moments` are the pairs (m, v) of the leaves. The first steps are up to
    (1 - b1) / sqrt(1 - b2) = 3.2 rates long.

    Raises:
      ValueError: for an unknown version; by `update` without `value` or `params`.
    """

    def rule(moments: Any, g: Array, trust: Array) -> tuple[Array, Any]:
        m, v = moments
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * trust * g * g
        return m / (jnp.sqrt(v) + eps), (m, v)

    settings = Settings(learning_rate, weight_decay, use_shadow, use_trust, max_norm, min_lr, version)
    return emotional(_two_like, rule, settings)


def emofact(
    learning_rate: Rate = 1e-3,
    b1: ScalarLike = 0.9,
    b2: ScalarLike = 0.999,
    eps: ScalarLike = 1e-8,
    weight_decay: ScalarLike = 0.01,
    use_shadow: bool = False,
    use_trust: bool = True,
    max_norm: ScalarLike = 1.0,
    min_lr: ScalarLike = 1e-6,
    version: str = "4.0",
) -> optax.GradientTransformationExtraArgs:
    """A geometric mean of row and column root mean squares, moved by the emotional scalar (see the module).

    A leaf of two or more dimensions, with R and C the means of g^2 over all axes but the first, and over the first:
      r <- b1 r + (1 - b1) trust sqrt(R + eps);  c <- b1 c + (1 - b1) trust sqrt(C + eps);  u = g / (sqrt(r c) + eps)
    A vector or scalar: m <- b1 m + (1 - b1) trust g;  v <- b2 v + (1 - b2) g^2;  u = m / (sqrt(v) + eps)
      from version 4.1: v <- b1 v + (1 - b2) trust g^2;  u = g / (sqrt(v) + eps)

    `update` takes `value`, the loss. `moments` are (r, c), (m, v) or (v,). This is not the Adafactor of Shazeer &
    Stern: there is no relative step and no clipping of updates, and matrices have no momentum.

    Raises:
      ValueError: for an unknown version; by `update` without `value` or `params`.
    """

    def factored(moments: Any, g: Array, trust: Array) -> tuple[Array, Any]:
        r, c = moments
        rows = jnp.mean(g * g, axis=tuple(range(1, g.ndim)), keepdims=True)
        columns = jnp.mean(g * g, axis=0, keepdims=True)
        r = b1 * r + (1 - b1) * trust * jnp.sqrt(rows + eps)
        c = b1 * c + (1 - b1) * trust * jnp.sqrt(columns + eps)
        return g / (jnp.sqrt(r * c) + eps), (r, c)

    def with_momentum(moments: Any, g: Array, trust: Array) -> tuple[Array, Any]:
        m, v = moments
        m = b1 * m + (1 - b1) * trust * g
        v = b2 * v + (1 - b2) * g * g
        return m / (jnp.sqrt(v) + eps), (m, v)

    def without(moments: Any, g: Array, trust: Array) -> tuple[Array, Any]:
        v = b1 * moments[0] + (1 - b2) * trust * g * g
        return g / (jnp.sqrt(v) + eps), (v,)

    def init(p: Array) -> Any:
        if p.ndim >= 2:
            return jnp.zeros((p.shape[0],) + (1,) * (p.ndim - 1), p.dtype), jnp.zeros((1, *p.shape[1:]), p.dtype)
        return _two_like(p) if version == "4.0" else (jnp.zeros_like(p),)

    def rule(moments: Any, g: Array, trust: Array) -> tuple[Array, Any]:
        if not g.size:  # the mean of nothing is no number
            return g, moments
        plain = with_momentum if version == "4.0" else without
        return (factored if g.ndim >= 2 else plain)(moments, g, trust)

    settings = Settings(learning_rate, weight_decay, use_shadow, use_trust, max_norm, min_lr, version)
    return emotional(init, rule, settings)


def emolynx(
    learning_rate: Rate = 1e-3,
    b1: ScalarLike = 0.9,
    b2: ScalarLike = 0.99,
    eps: ScalarLike = 1e-8,
    weight_decay: ScalarLike = 0.01,
    use_shadow: bool = False,
    use_trust: bool = True,
    max_norm: ScalarLike = 1.0,
    min_lr: ScalarLike = 1e-6,
    version: str = "4.0",
    decoupled_weight_decay: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Lion, moved by the emotional scalar (see the module).

    u = sign((1 - b1) g + b1 trust m);  m <- b2 m + (1 - b2) g

    `update` takes `value`, the loss. `moments` are the averages m. With `decoupled_weight_decay` the decay of a step
    is weight_decay times the rate over the first rate, which must not be 0. `eps` is accepted and, as in the original,
    never used.

    Raises:
      ValueError: for an unknown version; by `update` without `value` or `params`.
    """
    del eps

    def rule(m: Any, g: Array, trust: Array) -> tuple[Array, Any]:
        return jnp.sign((1 - b1) * g + b1 * trust * m), b2 * m + (1 - b2) * g

    settings = Settings(
        learning_rate, weight_decay, use_shadow, use_trust, max_norm, min_lr, version, decoupled_weight_decay
    )
    return emotional(jnp.zeros_like, rule, settings)


def _two_like(p: Array) -> tuple[Array, Array]:
    return jnp.zeros_like(p), jnp.zeros_like(p)
