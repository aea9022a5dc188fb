"""Optax's schedules as PyTrees: the same names, arguments and values, with every number traced.

A schedule maps the number of steps taken so far to a value. Optax's own are closures that check their numbers with
Python branches, so they cannot be traced; these are the same formulas, held equal to Optax's by a test. Any
hyperparameter of an `OptimizerSpec` may be one, and any other callable `count -> value` is accepted in its place.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Real = float | Array | np.number


class Schedule(eqx.Module):
    """A value that depends on the number of steps taken."""

    @abc.abstractmethod
    def __call__(self, count: Real) -> Float[Array, ""]:
        """The value in force at step `count` (the first step has count 0)."""


class FunctionSchedule(Schedule):
    """Any callable `count -> value`; the function is static."""

    function: Callable[[Any], Any] = eqx.field(static=True)

    def __call__(self, count: Real) -> Float[Array, ""]:
        return jnp.asarray(self.function(count))


class Constant(Schedule):
    """The same value for ever."""

    value: Real

    def __call__(self, count: Real) -> Float[Array, ""]:
        return jnp.asarray(self.value)


class Polynomial(Schedule):
    """From `init_value` to `end_value` along a power of the remaining fraction of `transition_steps`."""

    init_value: Real
    end_value: Real
    power: Real
    transition_steps: Real
    transition_begin: Real = 0

    def __call__(self, count: Real) -> Float[Array, ""]:
        left = 1 - _fraction(count - self.transition_begin, self.transition_steps)
        return self.end_value + (self.init_value - self.end_value) * left**self.power


class Linear(Schedule):
    """A straight line from `init_value` to `end_value` over `transition_steps`."""

    init_value: Real
    end_value: Real
    transition_steps: Real
    transition_begin: Real = 0

    def __call__(self, count: Real) -> Float[Array, ""]:
        done = _fraction(count - self.transition_begin, self.transition_steps)
        return self.init_value + (self.end_value - self.init_value) * done


class Exponential(Schedule):
    """`init_value * decay_rate ** (steps / transition_steps)`, in stairs or smooth, bounded by `end_value`."""

    init_value: Real
    transition_steps: Real
    decay_rate: Real
    transition_begin: Real = 0
    staircase: bool = eqx.field(static=True, default=False)
    end_value: Real | None = None

    def __call__(self, count: Real) -> Float[Array, ""]:
        steps = jnp.maximum(count - self.transition_begin, 0)
        exponent = steps / self.transition_steps
        exponent = jnp.floor(exponent) if self.staircase else exponent
        value = self.init_value * jnp.power(self.decay_rate, exponent)
        if self.end_value is None:
            return value
        bounded_below = jnp.asarray(self.decay_rate) < 1
        return jnp.where(bounded_below, jnp.maximum(value, self.end_value), jnp.minimum(value, self.end_value))


class CosineDecay(Schedule):
    """Half a cosine from `init_value` to `alpha * init_value`. Loshchilov & Hutter (2017), arXiv:1608.03983."""

    init_value: Real
    decay_steps: Real
    alpha: Real = 0.0
    exponent: Real = 1.0

    def __call__(self, count: Real) -> Float[Array, ""]:
        wave = 0.5 * (1 + jnp.cos(jnp.pi * _fraction(count, self.decay_steps)))
        return self.init_value * ((1 - self.alpha) * wave**self.exponent + self.alpha)


class WarmupConstant(Schedule):
    """A straight line up to `peak_value`, then constant."""

    init_value: Real
    peak_value: Real
    warmup_steps: Real

    def __call__(self, count: Real) -> Float[Array, ""]:
        return Linear(self.init_value, self.peak_value, self.warmup_steps)(count)


class WarmupCosineDecay(Schedule):
    """A straight line up to `peak_value`, then half a cosine to `end_value`; `decay_steps` counts the warm-up too."""

    init_value: Real
    peak_value: Real
    warmup_steps: Real
    decay_steps: Real
    end_value: Real = 0.0
    exponent: Real = 1.0

    def __call__(self, count: Real) -> Float[Array, ""]:
        peak = jnp.asarray(self.peak_value)
        alpha = jnp.where(peak == 0, 0.0, self.end_value / jnp.where(peak == 0, 1.0, peak))
        decay = CosineDecay(self.peak_value, self.decay_steps - self.warmup_steps, alpha, self.exponent)
        warmup = Linear(self.init_value, self.peak_value, self.warmup_steps)
        return jnp.where(count < self.warmup_steps, warmup(count), decay(count - self.warmup_steps))


class WarmupExponentialDecay(Schedule):
    """A straight line up to `peak_value`, then exponential decay."""

    init_value: Real
    peak_value: Real
    warmup_steps: Real
    transition_steps: Real
    decay_rate: Real
    transition_begin: Real = 0
    staircase: bool = eqx.field(static=True, default=False)
    end_value: Real | None = None

    def __call__(self, count: Real) -> Float[Array, ""]:
        decay = Exponential(
            self.peak_value,
            self.transition_steps,
            self.decay_rate,
            self.transition_begin,
            self.staircase,
            self.end_value,
        )
        warmup = Linear(self.init_value, self.peak_value, self.warmup_steps)
        return jnp.where(count < self.warmup_steps, warmup(count), decay(count - self.warmup_steps))


class PiecewiseConstant(Schedule):
    """`init_value`, multiplied by a scale once each boundary is passed: `{boundary: scale}`."""

    init_value: Real
    boundaries: tuple[Real, ...]
    scales: tuple[Real, ...]

    def __init__(self, init_value: Real, boundaries_and_scales: Mapping[int, float] | None = None):
        self.init_value = init_value
        self.boundaries, self.scales = _sorted_pairs(boundaries_and_scales)

    def __call__(self, count: Real) -> Float[Array, ""]:
        value = jnp.asarray(self.init_value)
        for boundary, scale in zip(self.boundaries, self.scales, strict=True):
            value = jnp.where(count >= boundary, value * scale, value)
        return value


class PiecewiseInterpolate(Schedule):
    """Through the values that `PiecewiseConstant` has at the boundaries, by lines or by half cosines."""

    interpolate_type: str = eqx.field(static=True)
    init_value: Real
    boundaries: tuple[Real, ...]
    scales: tuple[Real, ...]

    def __init__(
        self,
        interpolate_type: str,
        init_value: Real,
        boundaries_and_scales: Mapping[int, float] | None = None,
    ):
        if interpolate_type not in ("linear", "cosine"):
            raise ValueError(f"interpolate_type is 'linear' or 'cosine', got {interpolate_type!r}.")
        self.interpolate_type = interpolate_type
        self.init_value = init_value
        self.boundaries, self.scales = _sorted_pairs(boundaries_and_scales)

    def __call__(self, count: Real) -> Float[Array, ""]:
        return _interpolate(self.interpolate_type, self.init_value, self.boundaries, self.scales, count)


class LinearOnecycle(Schedule):
    """Up to `peak_value`, down again, then down further, by lines. Smith & Topin (2018), arXiv:1708.07120."""

    transition_steps: Real
    peak_value: Real
    pct_start: Real = 0.3
    pct_final: Real = 0.85
    div_factor: Real = 25.0
    final_div_factor: Real = 1e4

    def __call__(self, count: Real) -> Float[Array, ""]:
        steps = self.transition_steps
        boundaries = (jnp.floor(self.pct_start * steps), jnp.floor(self.pct_final * steps), steps)
        scales = (self.div_factor, 1 / self.div_factor, 1 / self.final_div_factor)
        return _interpolate("linear", self.peak_value / self.div_factor, boundaries, scales, count)


class CosineOnecycle(Schedule):
    """Up to `peak_value`, then far down, by half cosines. Smith & Topin (2018), arXiv:1708.07120."""

    transition_steps: Real
    peak_value: Real
    pct_start: Real = 0.3
    div_factor: Real = 25.0
    final_div_factor: Real = 1e4

    def __call__(self, count: Real) -> Float[Array, ""]:
        boundaries = (jnp.floor(self.pct_start * self.transition_steps), self.transition_steps)
        scales = (self.div_factor, 1 / (self.div_factor * self.final_div_factor))
        return _interpolate("cosine", self.peak_value / self.div_factor, boundaries, scales, count)


class Joined(Schedule):
    """One schedule after the other, each counting from its own boundary."""

    schedules: tuple[Schedule, ...]
    boundaries: tuple[Real, ...]

    def __init__(self, schedules: Sequence[Any], boundaries: Sequence[Real]):
        if len(boundaries) != len(schedules) - 1:
            raise ValueError(f"{len(schedules)} schedules need {len(schedules) - 1} boundaries, got {len(boundaries)}.")
        self.schedules = tuple(map(as_schedule, schedules))
        self.boundaries = tuple(boundaries)

    def __call__(self, count: Real) -> Float[Array, ""]:
        value = self.schedules[0](count)
        for boundary, schedule in zip(self.boundaries, self.schedules[1:], strict=True):
            value = jnp.where(count < boundary, value, schedule(count - boundary))
        return value


def sgdr(cosine_kwargs: Sequence[Mapping[str, Any]]) -> Joined:
    """Warm restarts: one `WarmupCosineDecay` after the other. Loshchilov & Hutter (2017), arXiv:1608.03983."""
    cycles = [WarmupCosineDecay(**kwargs) for kwargs in cosine_kwargs]
    ends = [sum(cycle.decay_steps for cycle in cycles[: i + 1]) for i in range(len(cycles) - 1)]
    return Joined(cycles, ends)


def as_schedule(value: Any) -> Any:
    """A plain callable as a `Schedule`; anything else as it is."""
    return FunctionSchedule(value) if callable(value) and not isinstance(value, Schedule) else value


constant_schedule = Constant
linear_schedule = Linear
polynomial_schedule = Polynomial
exponential_decay = Exponential
cosine_decay_schedule = CosineDecay
warmup_constant_schedule = WarmupConstant
warmup_cosine_decay_schedule = WarmupCosineDecay
warmup_exponential_decay_schedule = WarmupExponentialDecay
piecewise_constant_schedule = PiecewiseConstant
piecewise_interpolate_schedule = PiecewiseInterpolate
linear_onecycle_schedule = LinearOnecycle
cosine_onecycle_schedule = CosineOnecycle
join_schedules = Joined
sgdr_schedule = sgdr


def _fraction(count: Any, steps: Any) -> Array:
    """How much of `steps` is done, within [0, 1]; without steps nothing ever is, as in Optax."""
    steps = jnp.asarray(steps)
    return jnp.where(steps > 0, jnp.clip(count / jnp.where(steps > 0, steps, 1), 0.0, 1.0), 0.0)


def _interpolate(kind: str, start: Any, boundaries: Any, scales: Any, count: Any) -> Array:
    """From `start` through `start * scales[0]` at `boundaries[0]`, and so on, by lines or by half cosines."""
    value, begin = jnp.asarray(start), 0
    for boundary, scale in zip(boundaries, scales, strict=True):
        done = _fraction(count - begin, boundary - begin)
        done = done if kind == "linear" else 0.5 * (1 - jnp.cos(jnp.pi * done))
        value = jnp.where(count >= begin, start + (start * scale - start) * done, value)
        start, begin = start * scale, boundary
    return value


def _sorted_pairs(pairs: Mapping[int, float] | None) -> tuple[tuple[int, ...], tuple[float, ...]]:
    ordered = sorted((pairs or {}).items())
    return tuple(b for b, _ in ordered), tuple(s for _, s in ordered)
