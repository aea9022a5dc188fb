"""What moves the Emo optimizers: their state, the emotional scalar, the shadow and the control of the rate.

The equations stand in `optviz.optimizers.emo`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from optviz.optimizers.tensors import require_real

VERSIONS = ("4.0", "4.1", "5.0.2")
HISTORY = 32

Rate = ScalarLike | Callable[[Any], Any]
Rule = Callable[[Any, Array, Array], tuple[Array, Any]]
"""`(moments, g, trust) -> (u, new moments)` of one leaf."""


class EmoState(NamedTuple):
    """The state of an Emo optimizer. With `count` above 0 the averages are used as they stand: a warm start."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    learning_rate: Float[Array, ""]
    """That of the next step, unless a schedule moves it."""
    short: Float[Array, ""]
    """Average of the loss over about three steps."""
    long: Float[Array, ""]
    """Average of the loss over about a hundred steps."""
    scalar: Float[Array, ""]
    """The emotional scalar s, from -1 to 1; in version 4.1 that of the last leaf."""
    average_norm: Float[Array, ""]
    """Running mean of the gradient's L2 norm, from 0 and without correction; 0 unless `max_norm` is positive."""
    history: Float[Array, "32"]
    """The last scalars, the newest last: one per leaf and step, in version 5.0.2 one per step."""
    should_stop: Bool[Array, ""]
    """Set for good once 32 scalars were quiet: mean size below 0.05, variance below 0.005. Nothing stops."""
    trust: Float[Array, ""]
    """1 - s^2, or 1 without `use_trust`; in version 4.1 that of the last leaf."""
    history_length: Int[Array, ""]
    given_rate: Float[Array, ""]
    """The learning rate that the last step was given, before any control."""
    used_rate: Float[Array, ""]
    """The learning rate of the last step."""
    initial_rate: Float[Array, ""]
    moments: Any
    """Per leaf, in its dtype; see the optimizers."""
    shadow: Any
    """A slow copy of the parameters; None without `use_shadow`."""
    has_shadow: Any
    """Per leaf, whether the copy was made yet; None without `use_shadow`."""

    @property
    def hyperparams(self) -> dict[str, Array]:
        """The learning rate that was really used, named as in the state of `optax.inject_hyperparams`."""
        return {"learning_rate": self.used_rate}


class Settings(NamedTuple):
    """What the three optimizers have in common."""

    learning_rate: Rate
    weight_decay: ScalarLike
    use_shadow: bool
    use_trust: bool
    max_norm: ScalarLike
    min_lr: ScalarLike
    version: str
    decoupled: bool = False


class Mood(NamedTuple):
    """What the loss says to one leaf."""

    scalar: Array
    trust: Array
    phi: Array
    ratio: Array


def emotional(
    init_leaf: Callable[[Array], Any], rule: Rule, settings: Settings
) -> optax.GradientTransformationExtraArgs:
    """The optimizer with the direction u that `rule` gives."""
    if settings.version not in VERSIONS:
        raise ValueError(f"version must be one of {', '.join(VERSIONS)}, got {settings.version!r}.")

    def init(params: Any) -> EmoState:
        params = require_real(params)
        return _initial(settings, params)._replace(moments=jax.tree.map(init_leaf, params))

    def update(updates: Any, state: Any, params: Any = None, *, value: Any = None, **_: Any) -> tuple[Any, Any]:
        if params is None or value is None:
            missing = "params" if params is None else "value"
            raise ValueError(f"The Emo optimizers need {missing}: update(grads, state, params, value=loss).")
        state = _with_rate(settings, _with_averages(state, jnp.asarray(value, float)))
        updates, params = jax.tree.map(jnp.asarray, (updates, params))
        leaves, structure = jax.tree.flatten(params)
        moods = _moods(settings, state, max(len(leaves), 1))
        pulls, state = _pulled(state, leaves, moods)
        weight_decay = settings.weight_decay / (state.initial_rate if settings.decoupled else 1.0)
        steps, kept = [], []
        for p, pull, g, moments, mood in zip(
            leaves, pulls, structure.flatten_up_to(updates), structure.flatten_up_to(state.moments), moods, strict=False
        ):
            u, new = rule(moments, g, mood.trust)
            # As one difference: new minus old parameters would lose the digits of a small step.
            step = pull - state.used_rate * (weight_decay * (p + pull) + mood.phi * u)
            steps.append(step.astype(p.dtype))
            kept.append(jax.tree.map(lambda new, old: new.astype(old.dtype), new, moments))
        state = _remembered(settings, state._replace(moments=structure.unflatten(kept)), moods)
        return structure.unflatten(steps), _controlled(settings, state, updates, moods[-1])

    update.__qualname__ = rule.__qualname__  # from which a recorder reads the optimizer's name
    return optax.GradientTransformationExtraArgs(init, update)


def _given(settings: Settings, count: Any) -> Array:
    rate = settings.learning_rate
    return jnp.asarray(rate(count) if callable(rate) else rate, float)


def _initial(settings: Settings, params: Any) -> EmoState:
    """The state before the first step, still without moments."""
    zero, count, rate = jnp.zeros((), float), jnp.zeros((), jnp.int32), _given(settings, 0)
    shadowed = settings.use_shadow
    return EmoState(
        count=count,
        learning_rate=rate,
        short=zero,
        long=zero,
        scalar=zero,
        average_norm=zero,
        history=jnp.zeros(HISTORY, float),
        should_stop=jnp.asarray(False),
        trust=jnp.ones((), float),
        history_length=count,
        given_rate=rate,
        used_rate=rate,
        initial_rate=rate,
        moments=None,
        shadow=jax.tree.map(jnp.zeros_like, params) if shadowed else None,
        has_shadow=jnp.zeros(len(jax.tree.leaves(params)), bool) if shadowed else None,
    )


def _with_averages(state: EmoState, value: Array) -> EmoState:
    first = state.count == 0
    short = jnp.where(first, value, 0.3 * value + 0.7 * state.short)
    long = jnp.where(first, value, 0.01 * value + 0.99 * state.long)
    return state._replace(short=short, long=long)


def _with_rate(settings: Settings, state: EmoState) -> EmoState:
    """The rate of this step; where it is given another one than before, with the share that the control has left."""
    given, old = _given(settings, state.count), state.given_rate
    lowered = state.learning_rate < old
    share = state.learning_rate / jnp.where(lowered, old, 1.0)
    moved = jnp.where(lowered, jnp.maximum(given * share, settings.min_lr), given)
    return state._replace(given_rate=given, used_rate=jnp.where(given == old, state.learning_rate, moved))


def _moods(settings: Settings, state: EmoState, num_leaves: int) -> list[Mood]:
    """What the loss says to each leaf: the same, but for version 4.1."""
    d, s = state.short - state.long, state.scalar
    if settings.version != "4.1":
        return [_mood(settings, _tanh(5.0 * jnp.abs(s) * d if settings.version == "4.0" else 5.0 * d))] * num_leaves
    moods = []
    for _ in range(num_leaves):
        s = _tanh(5.0 * d / (1 + jnp.abs(s)))
        moods.append(_mood(settings, s))
    return moods


def _tanh(x: Array) -> Array:
    """The hyperbolic tangent: XLA's own is wrong by seven last places where it nears 1, and much hangs on 1 - |s|."""
    e = jnp.exp(-2 * jnp.abs(x))
    return jnp.where(jnp.abs(x) > 1, jnp.sign(x) * (1 - 2 * e / (1 + e)), jnp.tanh(x))


def _mood(settings: Settings, s: Array) -> Mood:
    size = jnp.abs(s)
    trust = 1 - s * s if settings.use_trust else jnp.ones_like(s)
    return Mood(s, trust, 1 - size, jnp.where(size > 0.1, size, 0.0))


def _pulled(state: EmoState, leaves: Sequence[Array], moods: Sequence[Mood]) -> tuple[Sequence[Any], EmoState]:
    """How far each leaf is drawn to its shadow before the step, and the state with the shadows after that."""
    if state.shadow is None:
        return [0.0] * len(leaves), state
    old, structure = jax.tree.flatten(state.shadow)
    pulls, shadows = [], []
    for p, shadow, has, (_, trust, _, ratio) in zip(leaves, old, state.has_shadow, moods, strict=False):
        pull = jnp.where(has & (ratio > 0), ratio * (shadow - p), 0.0)
        drawn = jnp.where(has, shadow + 0.1 * trust * (p + pull - shadow), p)
        pulls.append(pull)
        shadows.append(jnp.where(ratio > 0, drawn, shadow).astype(p.dtype))
    made = state.has_shadow | jnp.stack([mood.ratio > 0 for mood in moods])
    return pulls, state._replace(shadow=structure.unflatten(shadows), has_shadow=made)


def _remembered(settings: Settings, state: EmoState, moods: Sequence[Mood]) -> EmoState:
    """The state one step older, with the scalars of this step and the stop signal."""
    scalars = [mood.scalar for mood in moods]
    new = jnp.stack(scalars[:1] if settings.version == "5.0.2" else scalars)
    history = jnp.concatenate([state.history, new])[-HISTORY:]
    length = jnp.minimum(state.history_length + len(new), HISTORY)
    quiet = (jnp.mean(jnp.abs(history)) < 0.05) & (jnp.var(history) < 0.005)
    return state._replace(
        count=optax.safe_increment(state.count),
        scalar=scalars[-1],
        trust=moods[-1].trust,
        history=history,
        history_length=length,
        should_stop=state.should_stop | ((length == HISTORY) & quiet),
    )


def _controlled(settings: Settings, state: EmoState, grads: Any, mood: Mood) -> EmoState:
    """The state with the rate of the next step, after the control of the gradient's norm."""
    rate, on = state.used_rate, jnp.greater(settings.max_norm, 0)
    norm = optax.tree.norm(optax.tree.cast(grads, rate.dtype))
    average = jnp.where(on, 0.9 * state.average_norm + 0.1 * norm, 0.0)
    floor = settings.min_lr * mood.phi if settings.version == "5.0.2" else settings.min_lr
    lowered = jnp.maximum(rate * 0.95 ** (average / jnp.where(on, settings.max_norm, 1.0)), floor)
    rate = jnp.where(on & (average > settings.max_norm), lowered, rate)
    return state._replace(average_norm=average, learning_rate=rate)
