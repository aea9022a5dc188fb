"""The Optax protocol from the caller's side: any optimizer as it is, each handed the extra arguments that it takes."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import optax
import optax.contrib

# What a caller may offer, widest first. Optax's line searches refuse arguments that they do not know, so an
# optimizer that accepts any keyword is tried with fewer until one set fits.
_OFFERS = (None, ("value", "grad", "value_fn"), ("value",), ())


@runtime_checkable
class Optimizer(Protocol):
    """What a recorder needs: the two pure functions of `optax.GradientTransformation`."""

    def init(self, params: Any) -> Any:
        """The state before the first step."""
        ...

    def update(self, grads: Any, state: Any, params: Any = None, /, **extra: Any) -> tuple[Any, Any]:
        """`(updates, new_state)`; the updates are added to the parameters."""
        ...


class WiredOptimizer(eqx.Module):
    """An optimizer as a PyTree that takes any extra argument and hands on only those that are wanted."""

    name: eqx.AbstractVar[str]

    @abc.abstractmethod
    def init(self, params: Any) -> Any:
        """The state before the first step."""

    @abc.abstractmethod
    def update(self, grads: Any, state: Any, params: Any = None, /, **extra: Any) -> tuple[Any, Any]:
        """`(updates, new_state)`."""


class GivenOptimizer(WiredOptimizer):
    """A ready-made Optax optimizer under the name that pictures and tables show.

    Its functions are static: another transformation object, even with equal numbers, is another compiled program.
    `OptimizerSpec` has traced numbers instead.
    """

    transformation: Any = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(self, transformation: Any, name: str | None = None):
        self.transformation = transformation
        self.name = name or getattr(transformation, "name", None) or _name_of(transformation)

    def init(self, params: Any) -> Any:
        """The transformation's own state."""
        return self.transformation.init(params)

    def update(self, grads: Any, state: Any, params: Any = None, /, **extra: Any) -> tuple[Any, Any]:
        """The transformation's own update, with those of the extra arguments that it takes."""
        return update_with(self.transformation, grads, state, params, extra)


class GivenModule(GivenOptimizer):
    """An optimizer that is a PyTree itself: its arrays are traced."""

    transformation: Any = eqx.field()

    def __init__(self, transformation: Any, name: str | None = None):
        super().__init__(transformation, name)


def as_optimizer(optimizer: Any) -> WiredOptimizer:
    """`optimizer` itself if it is wired already, else wrapped so that extra arguments reach it as it wants them."""
    if isinstance(optimizer, WiredOptimizer):
        return optimizer
    if isinstance(optimizer, Optimizer):
        wrapper = GivenModule if isinstance(optimizer, eqx.Module) else GivenOptimizer
        return wrapper(optimizer)
    hint = " Call the factory first, e.g. optax.adam(0.01)." if callable(optimizer) else ""
    raise TypeError(
        "An optimizer has `init` and `update`, as optax.GradientTransformation or optviz.optimizer('adam') do; "
        f"got {type(optimizer).__name__}: {optimizer!r}.{hint}"
    )


def update_with(optimizer: Any, grads: Any, state: Any, params: Any, offered: Mapping[str, Any]) -> tuple[Any, Any]:
    """`optimizer.update`, handed those of the `offered` extra arguments that it takes.

    An argument named in the signature is given; with `**extra` everything is given, or, if that is refused,
    the widest set that fits. A plain `GradientTransformation` is given none.
    """
    names = accepted_arguments(optimizer, grads, state, params, offered)
    return optimizer.update(grads, state, params, **{name: offered[name] for name in names})


def accepted_arguments(
    optimizer: Any, grads: Any, state: Any, params: Any, offered: Mapping[str, Any]
) -> tuple[str, ...]:
    """The names in `offered` that `optimizer.update` takes, found by its signature and by abstract evaluation."""
    parameters = inspect.signature(optimizer.update).parameters.values()
    named = tuple(p.name for p in parameters if p.name in offered)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        return named
    refusal: Exception | None = None
    for offer in _OFFERS:
        names = tuple(n for n in offered if offer is None or n in offer or n in named)
        try:
            extra = {name: offered[name] for name in names}
            jax.eval_shape(lambda g, s, p: optimizer.update(g, s, p, **extra), grads, state, params)  # noqa: B023
            return names
        except Exception as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def evaluation_params(state: Any, params: Any) -> Any:
    """Where the loss is to be judged: the running average of a schedule-free optimizer, else `params`.

    Parameters that `optax.masked` or `optax.partition` hide from the optimizer stay as they are.
    """
    for part in jax.tree.leaves(state, is_leaf=_is_schedule_free):
        if _is_schedule_free(part):
            params = _averaged(part, params)
    return params


def _averaged(state: Any, params: Any) -> Any:
    def average(z: Any, y: Any) -> Any:
        return y if _is_masked(z) else optax.contrib.schedule_free_eval_params(state._replace(z=z), y)

    return jax.tree.map(average, state.z, params, is_leaf=_is_masked)


def _is_masked(z: Any) -> bool:
    return isinstance(z, optax.MaskedNode)


def _is_schedule_free(state: Any) -> bool:
    return isinstance(state, optax.contrib.ScheduleFreeState)


def _name_of(transformation: Any) -> str:
    """The factory that made the transformation, read off the qualified name of its `update`."""
    name = getattr(transformation.update, "__qualname__", "").split(".")[0]
    return name or type(transformation).__name__
