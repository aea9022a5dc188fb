"""Laws of wrapping: inside Optax's own wrappers an optimizer does what it does alone."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import optax

from optviz.conformance.law import Broken, NotApplicable, law, require_same, require_same_run
from optviz.conformance.subject import Subject, extras, problem


def _same_as_alone(subject: Subject, wrapped: Any, what: str) -> str | None:
    return require_same_run(
        lambda: subject.run(problem(), transformation=wrapped)[0], lambda: subject.run(problem())[0], what
    )


def _require_no_loss(subject: Subject) -> None:
    """A part of the parameters has no loss of its own."""
    if subject.needed:
        raise NotApplicable(f"it needs {', '.join(subject.needed)} of all parameters, and is given a part")


def _require_numbers(subject: Subject) -> None:
    if subject.factory is None or not subject.floats:
        raise NotApplicable("it was given ready-made, or has no float hyperparameter")


@law(
    "wrapping.inject_hyperparams",
    "Training loops change and log the rate through optax.inject_hyperparams.",
    "Let the factory take its numbers as arrays: no `if` on them, no float().",
)
def inject_hyperparams(subject: Subject) -> str | None:
    """Injected hyperparameters give the same run; those that can be injected are reported."""
    _require_numbers(subject)
    assert subject.factory is not None
    # Optax takes a callable, by default too, for a schedule, and makes an array of an integer that may be a shape.
    defaults = {
        k: p.default for k, p in inspect.signature(subject.factory).parameters.items() if p.default is not p.empty
    }
    fixed = [k for k, default in defaults.items() if callable(default) or isinstance(default, int)]
    static = [k for k in (*subject.options, *subject.numbers, *fixed) if k not in subject.floats]
    factory = optax.inject_hyperparams(subject.factory, static_args=static)
    wrapped = factory(**subject.numbers, **dict(subject.options))
    note = _same_as_alone(subject, wrapped, "injected hyperparameters")
    state: Any = wrapped.init(problem())
    told = f", with static_args={static}" if static else ""
    return "; ".join(filter(None, [f"injectable: {', '.join(state.hyperparams)}{told}", note]))


@law(
    "wrapping.schedule",
    "A rate that follows a schedule must do at a constant schedule what the constant does.",
    "Take a callable for learning_rate, and call it with the number of steps taken (optax.scale_by_learning_rate).",
)
def schedule(subject: Subject) -> str | None:
    """A constant schedule of the learning rate equals the constant."""
    _require_numbers(subject)
    if "learning_rate" not in subject.floats:
        raise NotApplicable("it has no learning_rate")
    rate = subject.floats["learning_rate"]
    try:
        return _same_as_alone(
            subject, subject.made(learning_rate=lambda count: jnp.asarray(rate, float)), "a constant schedule"
        )
    except TypeError as error:
        raise Broken(f"a schedule as learning_rate raises {str(error).splitlines()[0]}") from error


@law(
    "wrapping.multi_steps",
    "Gradient accumulation wraps the optimizer in optax.MultiSteps.",
    "Do not count calls of update outside the state; keep the types of the state fixed.",
)
def multi_steps(subject: Subject) -> str | None:
    """Two equal gradients accumulated are one step."""
    wrapped = optax.MultiSteps(optax.with_extra_args_support(subject.transformation), 2).gradient_transformation()

    def accumulated() -> Any:
        params = problem()
        _, state = subject.step(params, wrapped.init(params), 0, transformation=wrapped)
        return subject.step(params, state, 0, transformation=wrapped)[0]

    return require_same_run(accumulated, lambda: _first_updates(subject, problem()), "two accumulated gradients")


def _first_updates(subject: Subject, params: Any) -> Any:
    return subject.step(params, subject.transformation.init(params))[0]


@law(
    "wrapping.masked",
    "optax.masked trains a part of a model; the rest is hidden as MaskedNode.",
    "Map over trees with jax.tree.map, and take an empty tree.",
)
def masked(subject: Subject) -> str | None:
    """With everything unmasked nothing changes; a masked leaf passes its gradient on."""
    _require_no_loss(subject)
    note = _same_as_alone(subject, optax.masked(subject.transformation, True), "a mask of all")
    params, grads = problem(), extras(problem(), 0)["grad"]
    part = optax.masked(subject.transformation, {"matrix": True, "vector": False})
    updates, _ = subject.step(params, part.init(params), 0, grads, part)
    require_same(updates["vector"], grads["vector"], "the update of a masked leaf")
    return note


@law(
    "wrapping.partition",
    "Parameter groups come from optax.partition, which hands each optimizer a part of the tree.",
    "Do not look for leaves by name or position; norms are over the leaves that are given.",
)
def partition(subject: Subject) -> str | None:
    """In one group of two the optimizer does what it does alone on that part."""
    _require_no_loss(subject)
    groups: dict[Any, Any] = {"train": subject.transformation, "freeze": optax.set_to_zero()}
    wrapped = optax.partition(groups, {"matrix": "train", "vector": "freeze"})

    def in_a_group() -> Any:
        params = problem()
        return subject.step(params, wrapped.init(params), transformation=wrapped)[0]

    def alone() -> Any:
        return _first_updates(subject, {"matrix": problem()["matrix"]})["matrix"]

    frozen = in_a_group()["vector"]
    require_same(frozen, jnp.zeros_like(frozen), "the update of a frozen leaf")
    return require_same_run(lambda: in_a_group()["matrix"], alone, "the update of a group")


@law(
    "wrapping.chain",
    "Clipping and decay are chained before and after an optimizer.",
    "Pass **extra_args on; keep the state a tree of arrays.",
)
def chain(subject: Subject) -> str | None:
    """Between identities nothing changes."""
    wrapped = optax.chain(optax.identity(), subject.transformation, optax.identity())
    return _same_as_alone(subject, wrapped, "a chain of identities around it")


@law(
    "wrapping.apply_if_finite",
    "Mixed precision skips steps with gradients that are not finite.",
    "Let the new state have exactly the types of the old one, as under lax.cond.",
)
def apply_if_finite(subject: Subject) -> str | None:
    """With finite gradients nothing changes; a NaN leaves parameters and optimizer as they are."""
    wrapped = optax.apply_if_finite(subject.transformation, 3)
    note = _same_as_alone(subject, wrapped, "apply_if_finite with finite gradients")
    params = problem()
    nan = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), params)
    updates, _ = subject.step(params, wrapped.init(params), 0, nan, wrapped)
    require_same(updates, jax.tree.map(jnp.zeros_like, params), "the update of a skipped step")
    return note


@law(
    "wrapping.tree_map_params",
    "Sharding and checkpoints find the parameters' copies in a state by optax.tree.map_params.",
    "Make init a function of params alone, by jax.tree.map over them: no look at names or sizes of the whole tree.",
    "warning",
)
def tree_map_params(subject: Subject) -> str | None:
    """The identity over the parameters' copies in the state changes nothing."""
    state = subject.transformation.init(problem())
    seen: list[Any] = []

    def note(x: Any) -> Any:
        seen.append(x)
        return x

    try:
        mapped = optax.tree.map_params(subject.transformation, note, state)
    except Exception as error:
        raise Broken(f"optax.tree.map_params raises {type(error).__name__}: {str(error).splitlines()[0]}") from error
    require_same(mapped, state, "the state after an identity over its parameters' copies")
    copies = len(seen) / len(jax.tree.leaves(problem()))
    return f"{copies:g} cop{'y' if copies == 1 else 'ies'} of the parameters"


LAWS: tuple[Any, ...] = (
    inject_hyperparams,
    schedule,
    multi_steps,
    masked,
    partition,
    chain,
    apply_if_finite,
    tree_map_params,
)
