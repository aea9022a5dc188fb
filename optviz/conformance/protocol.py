"""Laws of the protocol: pure functions of arrays that keep the shape of what they are given."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import numpy as np

from optviz.conformance.law import Broken, NotApplicable, described, law, require_same
from optviz.conformance.subject import Subject, extras, problem


@law(
    "protocol.runs",
    "An optimizer that cannot take a matrix and a vector can be used nowhere.",
    "Make init(params) return a state, and update(grads, state, params) a pair (updates, state).",
)
def runs(subject: Subject) -> str | None:
    """Three steps on a matrix and a vector."""
    params = problem()
    updates, _ = subject.step(params, subject.transformation.init(params))
    if jax.tree.structure(updates) != jax.tree.structure(params):
        raise Broken(f"updates have the structure {jax.tree.structure(updates)}, params {jax.tree.structure(params)}")
    for u, p in zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True):
        if u.shape != p.shape:
            raise Broken(f"an update has shape {u.shape}, its parameter {p.shape}")
    moved, _ = subject.run(params)
    if all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(params), strict=True)):
        raise Broken("five steps with gradients that are not zero moved nothing")
    return None


@law(
    "protocol.init_is_pure",
    "A second init must not see anything of the first, or a second run starts elsewhere.",
    "Keep nothing outside the returned state.",
)
def init_is_pure(subject: Subject) -> str | None:
    """The state before a run equals the state after another one."""
    params = problem()
    first = subject.transformation.init(params)
    subject.run(params, jit=False)
    require_same(subject.transformation.init(params), first, "init after another run")
    return None


@law(
    "protocol.update_is_pure",
    "Compiled programs, resumed runs and batches rely on the same output for the same input.",
    "Keep everything that changes in the state: no attribute, no closure, no global random numbers.",
)
def update_is_pure(subject: Subject) -> str | None:
    """The same update twice."""
    params = problem()
    state = subject.transformation.init(params)
    _, state = subject.step(params, state)
    first = subject.step(params, state, 1)
    require_same(subject.step(params, state, 1), first, "the same update twice")
    return None


@law(
    "protocol.inputs_are_kept",
    "A caller's gradients and parameters are the caller's.",
    "Compute new arrays; do not write into those given: NumPy arrays can be written to.",
)
def inputs_are_kept(subject: Subject) -> str | None:
    """NumPy arrays, which an update could write into, stay as they are."""
    params = jax.tree.map(np.array, problem())
    grads = jax.tree.map(np.array, extras(problem(), 0)["grad"])
    before = jax.tree.map(np.copy, (grads, params))
    subject.step(params, subject.transformation.init(params), 0, grads)
    require_same((grads, params), before, "gradients and parameters after an update")
    return None


@law(
    "protocol.state_is_arrays",
    "jit, vmap, scan and checkpoints hold arrays; anything else is a constant or an error there.",
    "Make every leaf of the state an array, such as jnp.zeros((), jnp.int32) for a count.",
)
def state_is_arrays(subject: Subject) -> str | None:
    """Every leaf of the state, before and after a step."""
    params = problem()
    state = subject.transformation.init(params)
    for when, tree in (("init", state), ("update", subject.step(params, state)[1])):
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
                name = jax.tree_util.keystr(path, simple=True, separator=".")
                raise Broken(f"{name} after {when} is no array but {type(leaf).__name__}: {leaf!r}")
    return None


@law(
    "protocol.state_keeps_its_structure",
    "A loop carries the state: another structure or shape at the next step cannot be compiled.",
    "Make init return what update returns: the same containers, the same shapes.",
)
def state_keeps_its_structure(subject: Subject) -> str | None:
    """Structure and shapes of the state over three steps."""
    params = problem()
    state = subject.transformation.init(params)
    for t in range(3):
        _, new = subject.step(params, state, t)
        if jax.tree.structure(new) != jax.tree.structure(state):
            raise Broken(f"step {t + 1} turns {jax.tree.structure(state)} into {jax.tree.structure(new)}")
        for (path, a), b in zip(jax.tree_util.tree_flatten_with_path(state)[0], jax.tree.leaves(new), strict=True):
            if jnp.shape(a) != jnp.shape(b):
                name = jax.tree_util.keystr(path, simple=True, separator=".")
                raise Broken(f"step {t + 1} turns the shape of {name} from {jnp.shape(a)} into {jnp.shape(b)}")
        state = new
    return None


@law(
    "protocol.unknown_arguments",
    "In a chain every part is handed the arguments of all others.",
    "Take **extra_args and ignore what is not yours, or refuse it by its name.",
    "warning",
)
def unknown_arguments(subject: Subject) -> str | None:
    """An extra argument that nobody knows is ignored, or refused with its name."""
    params = problem()
    state = subject.transformation.init(params)
    grads = extras(params, 0)["grad"]
    kinds = [p.kind for p in inspect.signature(subject.transformation.update).parameters.values()]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        raise NotApplicable("it is a plain transformation, which takes no extra arguments")
    offered = {name: extras(params, 0)[name] for name in subject.accepted}
    expected = subject.transformation.update(grads, state, params, **offered)
    try:
        found = subject.transformation.update(grads, state, params, **offered, an_argument_of_another=1.0)
    except Exception as error:
        if "an_argument_of_another" in str(error):
            return "refused by name"
        raise Broken(f"an unknown argument raises {type(error).__name__} without its name: {error}") from error
    require_same(found, expected, "an update with an unknown argument")
    return "ignored"


@law(
    "protocol.needed_arguments_are_named",
    "Who forgets an argument should read its name, not a traceback from inside.",
    "Raise TypeError or ValueError with the name of the argument that is missing.",
    "warning",
)
def needed_arguments_are_named(subject: Subject) -> str | None:
    """Without its extra arguments an update works, or says which one is missing."""
    params = problem()
    state = subject.transformation.init(params)
    grads = extras(params, 0)["grad"]
    names = subject.needed
    if not names:
        raise NotApplicable("it needs no extra arguments")
    try:
        subject.transformation.update(grads, state, params)
    except Exception as error:
        if any(name in str(error) for name in names):
            return f"asks for {', '.join(name for name in names if name in str(error))}"
        raise Broken(f"without {', '.join(names)} it raises {type(error).__name__}: {error}") from error
    return f"does something else without {', '.join(names)}"


@law(
    "protocol.needs_params_or_not",
    "optax.chain and many loops call update(grads, state) without parameters.",
    "Work without params, or raise an error that says so (optax.NO_PARAMS_MSG).",
    "warning",
)
def needs_params_or_not(subject: Subject) -> str | None:
    """Without parameters an update works, or says that it needs them."""
    params = problem()
    state = subject.transformation.init(params)
    offered = {name: extras(params, 0)[name] for name in subject.accepted}
    try:
        subject.transformation.update(extras(params, 0)["grad"], state, None, **offered)
    except Exception as error:
        if "param" in str(error).lower():
            return "needs params, and says so"
        raise Broken(f"without params it raises an error that does not name them: {described(error)}") from error
    return "works without params"


LAWS = (
    runs,
    init_is_pure,
    update_is_pure,
    inputs_are_kept,
    state_is_arrays,
    state_keeps_its_structure,
    unknown_arguments,
    needed_arguments_are_named,
    needs_params_or_not,
)
