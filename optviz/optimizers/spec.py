"""`OptimizerSpec`: an optimizer not yet built, whose numbers can still change without compiling again."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from optviz.optimizers.protocol import WiredOptimizer, update_with
from optviz.optimizers.schedules import Schedule, as_schedule
from surfaces.names import unknown_name


class ScheduledState(NamedTuple):
    """The state of an optimizer some of whose hyperparameters follow a schedule."""

    steps: Int[Array, ""]
    inner: Any


class OptimizerSpec(WiredOptimizer):
    """A factory of Optax optimizers with its hyperparameters, itself an optimizer (`init` and `update`).

    Floats, arrays and schedules are traced leaves: changing one never compiles again, and each can be an axis of a
    sweep. Python integers (a memory size), flags, names and other callables are static; an integer is traced where
    the factory's default is a float, or if given as a NumPy integer. A callable given for a number is a schedule: it
    is called with the number of steps taken, whatever the hyperparameter, not for the learning rate alone.

    `OptimizerSpec(optax.adam, learning_rate=0.01, b1=0.8)`; `optviz.optimizer("adam", b1=0.8)` fills in the
    catalogue's defaults.
    """

    factory: Callable[..., optax.GradientTransformation] = eqx.field(static=True)
    hyperparameters: dict[str, Any]
    options: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(self, factory: Callable[..., Any], /, name: str | None = None, **hyperparameters: Any):
        self.factory = factory
        self.name = name or getattr(factory, "__name__", type(factory).__name__)
        defaults = _defaults(factory, self.name, hyperparameters)
        leaves = {k: _as_leaf(k, v, defaults.get(k)) for k, v in hyperparameters.items()}
        self.hyperparameters = {k: leaf for k, leaf in leaves.items() if leaf is not None}
        self.options = tuple(sorted((k, v) for k, v in hyperparameters.items() if leaves[k] is None))

    def build(self, count: Any = 0) -> optax.GradientTransformation:
        """The Optax optimizer with the hyperparameters in force at step `count`."""
        return self.factory(**self.in_force(count), **dict(self.options))

    def in_force(self, count: Any) -> dict[str, Any]:
        """The value of every hyperparameter at step `count`: schedules evaluated, numbers as they are."""
        return {k: v(count) if isinstance(v, Schedule) else v for k, v in self.hyperparameters.items()}

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The names of the hyperparameters that follow a schedule."""
        return tuple(k for k, v in self.hyperparameters.items() if isinstance(v, Schedule))

    def init(self, params: Any) -> Any:
        """The optimizer's own state, with a step count beside it if a hyperparameter follows a schedule."""
        count = jnp.zeros((), jnp.int32)
        inner = self._built_for(params, count).init(params)
        return ScheduledState(count, inner) if self.scheduled else inner

    def update(self, grads: Any, state: Any, params: Any = None, /, **extra: Any) -> tuple[Any, Any]:
        """The optimizer's own update, handed those of the extra arguments that it takes."""
        if not self.scheduled:
            return update_with(self.build(), grads, state, params, extra)
        updates, inner = update_with(self._built_for(grads, state.steps), grads, state.inner, params, extra)
        return updates, ScheduledState(state.steps + 1, inner)

    def replace(self, **hyperparameters: Any) -> OptimizerSpec:
        """The same optimizer with other hyperparameters."""
        old = {**self.hyperparameters, **dict(self.options)}
        new = {k: np.int32(v) if _is_traced_integer(old.get(k), v) else v for k, v in hyperparameters.items()}
        return OptimizerSpec(self.factory, self.name, **{**old, **new})

    def _built_for(self, params: Any, count: Any) -> optax.GradientTransformation:
        """As `build`, with scheduled values in the parameters' precision, but at least float32."""
        dtype = jnp.promote_types(jnp.result_type(*jax.tree.leaves(params) or [0.0]).type, jnp.float32)
        dtype = jnp.finfo(dtype).dtype
        values = self.in_force(count)
        values |= {k: jnp.asarray(values[k], dtype) for k in self.scheduled}
        return self.factory(**values, **dict(self.options))


def _defaults(factory: Callable[..., Any], name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The factory's default by parameter (None where there is none), once all `given` names are known to it."""
    parameters = inspect.signature(factory).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for key in given:
            if key not in parameters:
                raise TypeError(f"{name}: {unknown_name('hyperparameter', key, parameters)}")
    return {k: None if p.default is p.empty else p.default for k, p in parameters.items()}


def _as_leaf(name: str, value: Any, default: Any) -> Any:
    """`value` as a traced leaf, or None if it is static."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}.")
        return float(value)
    if isinstance(value, int):
        return float(value) if default is None or isinstance(default, float) else None
    if isinstance(value, np.integer | np.ndarray | jax.Array | Schedule):
        return value
    # Masks and the like are callables too: one is a schedule where a number stands by default.
    stands_for_number = isinstance(default, float | int) and not isinstance(default, bool)
    if callable(value) and (stands_for_number or name.endswith("learning_rate")):
        return as_schedule(value)
    return None


def _is_traced_integer(old: Any, new: Any) -> bool:
    return isinstance(old, np.integer) and isinstance(new, int) and not isinstance(new, bool)
