"""Laws of number types: an update has the type of its parameter, and training in it moves."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optviz.conformance.law import Broken, Law, NotApplicable, law, numbers, require_finite
from optviz.conformance.subject import NUM_STEPS, Subject, extras, loss, problem

_MEND = (
    "Cast the update at the end, u.astype(p.dtype). State may stay in float32, and averages of squares should: in "
    "bfloat16 they stop short."
)


def _in(dtype: str, why: str) -> Law:
    @law(f"types.{dtype}", why, _MEND)
    def check(subject: Subject) -> str | None:
        with jax.enable_x64(dtype in ("float64", "complex128") or jnp.result_type(float) == jnp.float64):
            return _trains(subject, dtype)

    return check


def _trains(subject: Subject, dtype: str) -> str | None:
    """Five steps in a type keep the type and stay finite, and not every update is zero."""
    params = problem(dtype)
    updates = jax.eval_shape(lambda p: subject.step(p, subject.transformation.init(p))[0], params)
    for path, u in jax.tree_util.tree_flatten_with_path(updates)[0]:
        if u.dtype != dtype:
            raise Broken(f"the update of the {dtype} leaf {jax.tree_util.keystr(path, simple=True)} is {u.dtype}")
    sizes = []
    step = jax.jit(subject.step)
    state = subject.transformation.init(params)
    for t in range(NUM_STEPS):
        updates, state = step(params, state, t)
        params = optax.apply_updates(params, updates)
        sizes.append(max(float(np.max(np.abs(numbers(u)))) for u in jax.tree.leaves(updates)))
    require_finite(params, f"{dtype} parameters after {NUM_STEPS} steps")
    # Parameters may stay for want of digits; the update itself may not be lost.
    if not any(sizes):
        raise Broken(f"in {dtype} every update is zero")
    return None


@law(
    "types.complex64",
    "Complex weights are used in signal processing; a silent loss of the imaginary part is a wrong result.",
    "Use |g|^2 = (g * g.conj()).real for squares (optax.tree.norm does), or raise TypeError for complex leaves.",
    "warning",
)
def complex_numbers(subject: Subject) -> str | None:
    """Complex leaves are trained as their real and imaginary parts are, or refused."""
    start = jax.tree.map(lambda x: x + 1j * (x + 0.2), problem())
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Casting")
            updates = jax.eval_shape(lambda p: subject.step(p, subject.transformation.init(p))[0], start)
            end, _ = subject.run(start)
    except jax.errors.ConcretizationTypeError:
        raise
    except (TypeError, ValueError) as error:
        return f"refused: {str(error).strip().splitlines()[0]}"
    except jax.errors.JaxRuntimeError as error:
        if "UNIMPLEMENTED" not in str(error):
            raise
        return f"refused by the compiler: {str(error).strip().splitlines()[0]}"
    require_finite(end, "complex parameters")
    if any(u.dtype != jnp.complex64 for u in jax.tree.leaves(updates)):
        raise Broken(f"updates of complex leaves are {', '.join({str(u.dtype) for u in jax.tree.leaves(updates)})}")
    moved: list[Any] = [np.asarray(b - a) for a, b in zip(jax.tree.leaves(start), jax.tree.leaves(end), strict=True)]
    if any((m.imag == 0).all() for m in moved):
        raise Broken("the imaginary parts of the parameters never move")
    if not float(loss(end)) < float(loss(start)):
        raise Broken(f"five steps raise the loss of complex parameters from {loss(start):.4g} to {loss(end):.4g}")
    return "supported"


@law(
    "types.mixed_tree",
    "Large models keep norms in float32 and matrices in bfloat16.",
    _MEND,
)
def mixed_tree(subject: Subject) -> str | None:
    """A tree of a float32 and a bfloat16 leaf: each update has the type of its leaf."""
    params = problem()
    params = {**params, "matrix": params["matrix"].astype(jnp.bfloat16)}
    updates = jax.eval_shape(lambda p: subject.step(p, subject.transformation.init(p))[0], params)
    for name in params:
        if updates[name].dtype != params[name].dtype:
            raise Broken(f"beside other types the {params[name].dtype} leaf gets an update in {updates[name].dtype}")
    require_finite(subject.run(params)[0], "mixed parameters")
    return None


@law(
    "types.loss_of_another_type",
    "A loss summed in float32 meets bfloat16 parameters, and must not change the types of the state.",
    "Cast value to the type of your own state before you store it.",
)
def loss_of_another_type(subject: Subject) -> str | None:
    """The state keeps its types if the loss comes in float16."""
    if "value" not in subject.needed:
        raise NotApplicable("it does not take the loss")
    params = problem()
    state = subject.transformation.init(params)
    offered = {name: extras(params, 0)[name] for name in subject.accepted}
    offered["value"] = offered["value"].astype(jnp.float16)
    _, new = subject.transformation.update(extras(params, 0)["grad"], state, params, **offered)
    for (path, a), b in zip(jax.tree_util.tree_flatten_with_path(state)[0], jax.tree.leaves(new), strict=True):
        if jnp.result_type(a) != jnp.result_type(b):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise Broken(f"a float16 loss turns {name} from {jnp.result_type(a)} into {jnp.result_type(b)}")
    return None


LAWS: tuple[Any, ...] = (
    _in("float32", "The default type of JAX."),
    _in("float64", "Experiments on convergence need it."),
    _in("bfloat16", "The usual type of weights on accelerators."),
    _in("float16", "The type of mixed precision on older accelerators."),
    complex_numbers,
    mixed_tree,
    loss_of_another_type,
)
