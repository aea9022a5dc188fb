"""What is under test: an optimizer, the numbers it was made with, and a problem to run it on."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optviz.conformance.law import described, numbers
from optviz.optimizers import OptimizerSpec, as_optimizer
from optviz.optimizers.protocol import accepted_arguments, update_with
from optviz.optimizers.schedules import Schedule

NUM_STEPS = 5


@dataclasses.dataclass(frozen=True)
class Subject:
    """An optimizer under test.

    `factory` and `numbers` are None and empty for a ready-made transformation, whose hyperparameters nobody knows.
    """

    name: str
    transformation: Any
    factory: Callable[..., Any] | None
    numbers: Mapping[str, Any]
    """The traced hyperparameters by name, as Python numbers."""
    options: Mapping[str, Any]
    reference: Any = None
    budget: int = 1000

    def made(self, **numbers: Any) -> Any:
        """The transformation with other hyperparameters."""
        assert self.factory is not None
        return self.factory(**{**self.numbers, **dict(self.options), **numbers})

    @property
    def floats(self) -> dict[str, float]:
        """The hyperparameters that are floats, which may be batched and scheduled."""
        return {k: v for k, v in self.numbers.items() if isinstance(v, float)}

    @functools.cached_property
    def accepted(self) -> tuple[str, ...]:
        """The extra arguments that its update takes."""
        params = problem()
        grads = jax.tree.map(jnp.ones_like, params)
        return accepted_arguments(
            self.transformation, grads, self.transformation.init(params), params, extras(params, 0)
        )

    @functools.cached_property
    def needed(self) -> tuple[str, ...]:
        """Those of the accepted arguments without which its second update fails or is another."""
        params = problem()
        _, state = self.step(params, self.transformation.init(params))
        offered = {name: extras(params, 1)[name] for name in self.accepted}
        grads = extras(params, 1)["grad"]
        whole = self.transformation.update(grads, state, params, **offered)

        def matters(name: str) -> bool:
            rest = {k: v for k, v in offered.items() if k != name}
            try:
                without = self.transformation.update(grads, state, params, **rest)
            except Exception:
                return True
            return not same_leaves(without, whole)

        return tuple(name for name in self.accepted if matters(name))

    def step(
        self, params: Any, state: Any, t: Any = 0, grads: Any = None, transformation: Any = None
    ) -> tuple[Any, Any]:
        """`(updates, state)` on the problem's loss, or for gradients of one's own."""
        return step_of(self.transformation if transformation is None else transformation, params, state, t, grads)

    def run(
        self, params: Any, num_steps: int = NUM_STEPS, transformation: Any = None, jit: bool = True
    ) -> tuple[Any, Any]:
        """`(params, state)` after some steps from the start."""
        chosen = self.transformation if transformation is None else transformation
        compiled = self.compiled if transformation is None else jax.jit(functools.partial(_applied, chosen))
        one = compiled if jit else functools.partial(_applied, chosen)
        state = chosen.init(params)
        for t in range(num_steps):
            params, state = one(params, state, t)
        return params, state

    @functools.cached_property
    def compiled(self) -> Callable[..., tuple[Any, Any]]:
        """`(params, state)` after a step, compiled once for all laws."""
        return jax.jit(functools.partial(_applied, self.transformation))


def subject_of(optimizer: Any, hyperparameters: Mapping[str, Any], **more: Any) -> Subject:
    """What is meant by an optimizer, a spec, or a factory with hyperparameters.

    Raises:
      TypeError: for something that is none of them, or for hyperparameters of a ready-made transformation.
    """
    if callable(optimizer) and not hasattr(optimizer, "update"):
        optimizer = OptimizerSpec(optimizer, **{**_floats_of(optimizer), **hyperparameters})
    elif hyperparameters and isinstance(optimizer, OptimizerSpec):
        optimizer = optimizer.replace(**hyperparameters)
    elif hyperparameters:
        raise TypeError(f"A ready-made optimizer takes no hyperparameters, got {', '.join(hyperparameters)}.")
    if reason := getattr(optimizer, "on_host", ""):
        raise TypeError(f"The laws are about compiled programs. {reason}")
    if not isinstance(optimizer, OptimizerSpec):
        wired = as_optimizer(optimizer)
        return Subject(wired.name, getattr(wired, "transformation", wired), None, {}, {}, **more)
    numbers = {k: _plain(v) for k, v in optimizer.hyperparameters.items()}
    options = dict(optimizer.options)
    return Subject(
        optimizer.name, _made(optimizer, {**numbers, **options}), optimizer.factory, numbers, options, **more
    )


def _made(spec: OptimizerSpec, arguments: Mapping[str, Any]) -> Any:
    """What the factory makes, or an error that says whose it is."""
    try:
        made = spec.factory(**arguments)
    except (Exception, SystemExit) as error:
        told = f"{spec.name}({', '.join(arguments)}) cannot be made: {described(error)}"
        by_name = ". Hyperparameters are given by name: learning_rate=0.1, or --learning_rate 0.1"
        hint = by_name if isinstance(error, TypeError) and "missing" in str(error) else ""
        raise ValueError(f"{told}{hint}.") from error
    if not hasattr(made, "init") or not hasattr(made, "update"):
        raise TypeError(f"{spec.name} must return an optimizer, which has `init` and `update`, and returns {made!r}.")
    return made


def _floats_of(factory: Callable[..., Any]) -> dict[str, float]:
    """The default values that are floats: hyperparameters as much as those that are given."""
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError:  # a built-in has none to show
        return {}
    return {name: p.default for name, p in parameters.items() if isinstance(p.default, float)}


def same_leaves(a: Any, b: Any) -> bool:
    """Whether two trees of one structure have equal leaves."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(numbers(x), numbers(y), equal_nan=True) for x, y in pairs)


def _plain(value: Any) -> Any:
    """A hyperparameter as its user writes it."""
    return value if isinstance(value, Schedule) or np.ndim(value) else np.asarray(value).item()


def problem(dtype: Any = float) -> dict[str, Any]:
    """The start: a matrix and a vector, in JAX's default precision."""
    matrix = np.sin(1.0 + np.arange(12.0)).reshape(4, 3)
    return {"matrix": jnp.asarray(matrix, dtype), "vector": jnp.asarray([0.5, -1.5, 1.0], dtype)}


def loss(params: Any, t: Any = 0) -> jax.Array:
    """A convex quadratic of any tree, a little different at every step; its minimum is at 0.3."""
    total = jnp.zeros(())
    for i, leaf in enumerate(jax.tree.leaves(params)):
        scale = 1.0 + i + 0.25 * jnp.cos(jnp.asarray(t, float))
        away = jnp.abs(leaf - 0.3) ** 2
        total = total + jnp.sum(scale * away).astype(total.dtype) / 2
    return total


def extras(params: Any, t: Any) -> dict[str, Any]:
    """The extra arguments that a training loop may offer at step `t`."""

    def value_fn(params: Any, *_: Any, **__: Any) -> jax.Array:
        return loss(params, t)

    def grad_fn(params: Any, *_: Any) -> Any:
        # For complex numbers JAX's gradient is the conjugate of the direction of steepest ascent.
        return jax.tree.map(jnp.conj, jax.grad(value_fn)(params))

    return {
        "value": loss(params, t),
        "grad": grad_fn(params),
        "value_fn": value_fn,
        "obj_fn": value_fn,
        "grad_fn": grad_fn,
        "key": jax.random.fold_in(jax.random.key(0), t),
    }


def step_of(transformation: Any, params: Any, state: Any, t: Any, grads: Any = None) -> tuple[Any, Any]:
    """`(updates, state)` of a transformation, handed those of the extra arguments that it takes."""
    offered = extras(params, t)
    grads = offered["grad"] if grads is None else grads
    return update_with(transformation, grads, state, params, {**offered, "grad": grads})


def _applied(transformation: Any, params: Any, state: Any, t: Any) -> tuple[Any, Any]:
    updates, state = step_of(transformation, params, state, t)
    return optax.apply_updates(params, updates), state
