"""`OptimizerSpec`: an optimizer not yet built, whose numbers can still change without compiling again."""

from __future__ import annotations

import contextlib
import inspect
import math
import operator
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

# An annotation is an object, or its text where the factory's module postpones evaluation.
_INTEGER_ANNOTATIONS = (int, int | None, "int", "int | None", "Optional[int]")


class ScheduledState(NamedTuple):
    """The state of an optimizer some of whose hyperparameters follow a schedule."""

    steps: Int[Array, ""]
    inner: Any


class OptimizerSpec(WiredOptimizer):
    """A factory of Optax optimizers with its hyperparameters, itself an optimizer (`init` and `update`).

    Floats, arrays, schedules and tuples of numbers are traced leaves: changing one never compiles again, and each can
    be an axis of a sweep. Where the factory asks for an integer (a memory size), by annotation or default, integers are
    static, arrays of them traced; flags, names and other callables are static. A callable given for a number is a
    schedule: it is called with the number of steps taken, whatever the hyperparameter, not for the learning rate alone.

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
        parameters = _parameters(factory, self.name, hyperparameters)
        values = {k: _typed(f"{self.name}: {k}", v, parameters[k]) for k, v in hyperparameters.items()}
        self.hyperparameters = {k: v for k, v in values.items() if _is_traced(v)}
        self.options = tuple(sorted((k, v) for k, v in values.items() if not _is_traced(v)))

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
        new = {k: np.asarray(v, np.int32) if _keeps_tracing(old.get(k), v) else v for k, v in hyperparameters.items()}
        return OptimizerSpec(self.factory, self.name, **{**old, **new})

    def _built_for(self, params: Any, count: Any) -> optax.GradientTransformation:
        """As `build`, with scheduled values in the parameters' precision, but at least float32."""
        dtype = jnp.promote_types(jnp.result_type(*jax.tree.leaves(params) or [0.0]).type, jnp.float32)
        dtype = jnp.finfo(dtype).dtype
        values = self.in_force(count)
        values |= {k: jnp.asarray(values[k], dtype) for k in self.scheduled}
        return self.factory(**values, **dict(self.options))


def as_number(where: str, value: Any) -> Any:
    """`value` if it is one finite real number, traced or not, or a schedule, which any callable becomes."""
    if callable(value):
        return as_schedule(value)
    if not _is_number(value):
        raise TypeError(f"{where} must be a number or a schedule, got {value!r}.")
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        raise ValueError(f"{where} must be a finite number, got {value}.")
    return value


def as_integer(where: str, value: Any) -> int:
    """`value` as the Python integer that a shape or a loop needs."""
    if isinstance(value, float | np.floating):
        if not value.is_integer():
            raise ValueError(f"{where} must be a whole number, got {value}.")
        return int(value)
    with contextlib.suppress(TypeError):
        if _is_number(value):  # which True is not, though it has an index
            return operator.index(value)
    raise TypeError(f"{where} must be a whole number known before compilation, got {value!r}.")


def _parameters(factory: Callable[..., Any], name: str, given: dict[str, Any]) -> dict[str, inspect.Parameter]:
    """The factory's parameter for each name that is `given`, all of which it must know."""
    known = inspect.signature(factory).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    for key in given:
        if key not in known and not takes_any:
            raise TypeError(f"{name}: {unknown_name('hyperparameter', key, known)}")
    momentum = known.get("momentum")
    if given.get("nesterov") is True and momentum and given.get("momentum", momentum.default) is None:
        raise ValueError(f"{name}: nesterov=True does nothing without momentum: give one, e.g. momentum=0.9.")
    return {key: known.get(key, inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY)) for key in given}


def _typed(where: str, value: Any, parameter: inspect.Parameter) -> Any:
    """`value` as the factory wants it; what `_is_traced` is a leaf, the rest is static."""
    default, integer = parameter.default, parameter.annotation in _INTEGER_ANNOTATIONS
    # Masks and the like are callables too: one is a schedule where a number stands by default.
    if value is not None and (integer or type(default) in (int, float) or where.endswith("learning_rate")):
        value = as_number(where, value)
    if isinstance(value, float | np.floating):
        return as_integer(where, value) if integer else float(as_number(where, value))
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        untyped = default is None or default is parameter.empty or isinstance(default, float)
        return float(value) if untyped and not integer else int(value)
    if type(value) in (tuple, list) and _holds_floats(value, default):
        return _as_floats(where, value)
    return value


def _is_number(value: Any) -> bool:
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        real = jnp.issubdtype(value.dtype, np.integer) or jnp.issubdtype(value.dtype, np.floating)
        return real and value.ndim == 0
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_traced(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_traced, value))
    return isinstance(value, float | np.ndarray | jax.Array | Schedule)


def _holds_floats(value: Any, default: Any) -> bool:
    """Whether `value` is all numbers and no mere integers, such as axes, unless floats stand there by default."""
    numbers = jax.tree.leaves(value, is_leaf=lambda v: v is None)
    floats = any(not isinstance(v, int | np.integer) for v in numbers) or _is_traced(default)
    return floats and all(map(_is_number, numbers))


def _as_floats(where: str, value: Any) -> Any:
    """A number, or tuples or lists of numbers, as floats or arrays in tuples."""
    if isinstance(value, tuple | list):
        return tuple(_as_floats(where, v) for v in value)
    return value if isinstance(value, np.ndarray | jax.Array) else float(as_number(where, value))


def _keeps_tracing(old: Any, new: Any) -> bool:
    """Whether `new` is an integer in the place of a traced one."""
    traced = isinstance(old, np.ndarray | jax.Array) and jnp.issubdtype(old.dtype, np.integer)
    return traced and isinstance(new, int | np.integer) and not isinstance(new, bool)
