"""Laws of the edges: gradients and leaves that occur in practice and not in tutorials."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optviz.conformance.law import Broken, Law, is_finite, law, require_finite
from optviz.conformance.subject import Subject, extras, problem

_SAFE = "Keep quotients safe where both sides are zero: an eps beside the root, jnp.where before the division."


@law(
    "edges.zero_first_gradient",
    "A layer that starts at zero has no gradient at the first step, and must not be lost for it.",
    _SAFE,
)
def zero_first_gradient(subject: Subject) -> str | None:
    """After a first gradient of zero everything is finite, and the next gradients move the parameters."""
    params = problem()
    zero = jax.tree.map(jnp.zeros_like, params)
    end = _stepped(subject, params, [zero, None, None, None])
    require_finite(end, "parameters after a first gradient of zero")
    if _equal(end, params):
        raise Broken("three steps after a first gradient of zero moved nothing")
    return None


@law(
    "edges.zero_gradients",
    "Frozen and unused parts of a model have gradients of zero for ever.",
    _SAFE,
)
def zero_gradients(subject: Subject) -> str | None:
    """Ten gradients of zero leave everything finite."""
    params = problem()
    zero = jax.tree.map(jnp.zeros_like, params)
    require_finite(_stepped(subject, params, [zero] * 10), "parameters after ten gradients of zero")
    return None


@law(
    "edges.zero_parameters",
    "Biases and output layers start at zero; a step relative to their norm would never leave it.",
    "Bound a factor that is the norm of the parameters from below.",
)
def zero_parameters(subject: Subject) -> str | None:
    """From parameters of zero five steps are finite and move."""
    params = jax.tree.map(jnp.zeros_like, problem())
    end = _stepped(subject, params, [None] * 5)
    require_finite(end, "parameters from a start at zero")
    if _equal(end, params):
        raise Broken("from parameters of zero nothing moves")
    return None


def _leaf(name: str, leaf: Any, why: str, mend: str, moves: bool = True) -> Law:
    @law(f"edges.{name}", why, mend)
    def check(subject: Subject) -> str | None:
        params = {**problem(), "odd": leaf()}
        try:
            end = _stepped(subject, params, [None] * 3)
        except Exception as error:
            raise Broken(
                f"a tree with such a leaf raises {type(error).__name__}: {str(error).strip().splitlines()[0]}"
            ) from error
        require_finite(end, "parameters")
        if jax.tree.structure(end) != jax.tree.structure(params):
            raise Broken(f"the updates have the structure {jax.tree.structure(end)}")
        if moves and _equal(end["odd"], params["odd"]):
            raise Broken("three steps do not move this leaf")
        return None

    return check


def _stepped(subject: Subject, params: Any, gradients: list[Any]) -> Any:
    """The parameters after steps with these gradients, None for those of the loss."""
    state = subject.transformation.init(params)
    step = jax.jit(subject.step, static_argnames=())
    for t, grads in enumerate(gradients):
        grads = extras(params, t)["grad"] if grads is None else grads
        updates, state = step(params, state, t, grads)
        params = optax.apply_updates(params, updates)
    return params


def _equal(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def _not_finite(name: str, value: float, why: str) -> Law:
    @law(
        f"edges.{name}",
        why,
        "Let it through to the parameters (the caller sees it) or skip the step; do not crash.",
        "warning",
    )
    def check(subject: Subject) -> str | None:
        """One entry of one gradient is not finite: what then, is reported."""
        params = problem()
        bad = extras(params, 0)["grad"]
        bad["vector"] = bad["vector"].at[0].set(value)
        state = subject.transformation.init(params)
        updates, state = subject.step(params, state, 0, bad)
        after: Any = optax.apply_updates(params, updates)
        others = is_finite({"matrix": after["matrix"], "vector": after["vector"][1:]})
        reach = "nowhere" if is_finite(after) else "its own entry only" if others else "other entries too"
        later = after if is_finite(after) else params
        for t in range(1, 4):
            updates, state = subject.step(later, state, t, extras(problem(), t)["grad"])
            later = optax.apply_updates(later, updates)
        recovers = "recovers" if is_finite(later) else "never recovers"
        return f"reaches {reach}; with finite gradients and parameters again it {recovers}"

    return check


LAWS: tuple[Law, ...] = (
    zero_first_gradient,
    zero_gradients,
    zero_parameters,
    _leaf(
        "scalar_leaf",
        lambda: jnp.asarray(0.7),
        "Temperatures and scales are scalars.",
        "Treat leaves of no dimension as vectors; index axes only where ndim allows it.",
    ),
    _leaf(
        "empty_vector",
        lambda: jnp.zeros((0,)),
        "An empty leaf is what an unused option leaves in a tree.",
        "Guard maxima and means over a leaf: they fail or are NaN over nothing.",
        False,
    ),
    _leaf(
        "empty_matrix",
        lambda: jnp.zeros((0, 3)),
        "A layer with no inputs is what an unused option leaves in a tree.",
        "Guard norms, factorizations and means over a leaf without entries.",
        False,
    ),
    _leaf(
        "none_leaf",
        lambda: None,
        "Equinox and masks write None where a module has no parameter.",
        "Map over trees with jax.tree.map and leave None alone, which has no leaves.",
        False,
    ),
    _leaf(
        "huge_leaf",
        lambda: jnp.full((1_000_003,), 0.7),
        "An embedding has millions of entries: sums over it overflow small integers, and products of axes do too.",
        "Work elementwise; no matrices whose sides are the size of a leaf.",
    ),
    _not_finite(
        "nan_gradient", float("nan"), "One bad batch should not be a riddle: what happens to it must be known."
    ),
    _not_finite(
        "infinite_gradient", float("inf"), "An overflow should not be a riddle: what happens to it must be known."
    ),
)
