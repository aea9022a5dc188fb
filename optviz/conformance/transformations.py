"""Laws of JAX's transformations: compiled, batched, looped and differentiated, an update is the same function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from optviz.conformance.law import Broken, NotApplicable, law, require_finite, require_same, require_same_run
from optviz.conformance.subject import NUM_STEPS, Subject, loss, problem, step_of


@law(
    "transformations.jit",
    "Everybody compiles the update.",
    "Branch with jnp.where or lax.cond, not with if; use jnp, not np, on arrays.",
)
def jit(subject: Subject) -> str | None:
    """Five steps compiled equal five steps op by op."""

    def parameters(jit: bool) -> Any:
        return subject.run(problem(), jit=jit)[0]

    what = f"parameters after {NUM_STEPS} compiled steps"
    return require_same_run(lambda: parameters(True), lambda: parameters(False), what)


@law(
    "transformations.vmap",
    "Ensembles and sweeps run many models at once.",
    "Write the update for one model; reduce over leaves, never over an assumed batch axis.",
)
def vmap(subject: Subject) -> str | None:
    """Three starts in a batch equal three runs."""
    scales = (1.0, -0.5, 2.0)

    def from_start(scale: Any) -> Any:
        return _run(subject.transformation, jax.tree.map(lambda x: (scale * x).astype(x.dtype), problem()))

    return require_same_run(
        lambda: _batched(from_start, scales), lambda: _one_by_one(from_start, scales), "a batch of three runs"
    )


def _batched(run: Any, values: Sequence[float]) -> Any:
    return jax.jit(jax.vmap(run))(jnp.asarray(values, float))


def _one_by_one(run: Any, values: Sequence[float]) -> Any:
    one = jax.jit(run)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(one(v) for v in jnp.asarray(values, float)))


def _run(transformation: Any, params: Any) -> Any:
    """The parameters after five steps, as an unrolled program."""
    state = transformation.init(params)
    for t in range(NUM_STEPS):
        updates, state = step_of(transformation, params, state, t)
        params = optax.apply_updates(params, updates)
    return params


@law(
    "transformations.vmap_hyperparameters",
    "A sweep over a hyperparameter is one compiled program only if it can be an array.",
    "Do not branch on a hyperparameter in Python, and do not turn it into a float.",
)
def vmap_hyperparameters(subject: Subject) -> str | None:
    """A batch over each float hyperparameter equals a loop over it."""
    if not subject.floats:
        raise NotApplicable("it was given ready-made, or has no float hyperparameter")
    notes = [_batch_over(subject, name, value) for name, value in subject.floats.items()]
    return "; ".join([f"batched over {', '.join(subject.floats)}", *filter(None, notes)])


def _batch_over(subject: Subject, name: str, value: float) -> str | None:
    values = (value, 0.5 * value if value else 0.01)

    def at(value: Any) -> Any:
        return _run(subject.made(**{name: value}), problem())

    def batch() -> Any:
        try:
            return _batched(at, values)
        except Exception as error:
            raise Broken(f"a batch over {name} raises {type(error).__name__}: {_first_line(error)}") from error

    return require_same_run(batch, lambda: _one_by_one(at, values), f"a batch over {name}")


@law(
    "transformations.scan",
    "lax.scan carries the state, in shape, dtype and weak type.",
    "Give every leaf in init the dtype that update returns: jnp.asarray(x, dtype), no Python number.",
)
def scan(subject: Subject) -> str | None:
    """The state after a step has the types of the state before."""
    params = problem()
    before = jax.eval_shape(subject.transformation.init, params)
    after = jax.eval_shape(lambda p, s: step_of(subject.transformation, p, s, 0)[1], params, before)
    pairs = zip(jax.tree_util.tree_flatten_with_path(before)[0], jax.tree.leaves(after), strict=True)
    for (path, a), b in pairs:
        if (a.dtype, a.weak_type) != (b.dtype, b.weak_type):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise Broken(f"a step turns {name} from {_typed(a)} into {_typed(b)}")
    return None


def _typed(x: Any) -> str:
    return f"{x.dtype}{' (weak)' if x.weak_type else ''}"


@law(
    "transformations.no_retrace",
    "A step that is compiled again at every call is a thousand times slower.",
    "Keep static values and weak types the same from step to step.",
)
def no_retrace(subject: Subject) -> str | None:
    """The second and third compiled step use the program of the first."""
    count = []

    @jax.jit
    def step(params: Any, state: Any, t: Any) -> Any:
        count.append(t)
        updates, state = step_of(subject.transformation, params, state, t)
        return optax.apply_updates(params, updates), state

    params = problem()
    state = subject.transformation.init(params)
    for t in range(3):
        params, state = step(params, state, jnp.asarray(t))
    if len(count) > 1:
        raise Broken(f"three steps were traced {len(count)} times")
    return None


@law(
    "transformations.differentiable",
    "Meta-learning and tuned rates differentiate through the update.",
    "Make the input of a root or a quotient safe with jnp.where before it, not its result after it.",
)
def differentiable(subject: Subject) -> str | None:
    """The loss after some steps has a finite derivative by the start, and by the learning rate."""

    def end(params: Any) -> Any:
        return loss(_run(subject.transformation, params))

    try:
        require_finite(jax.jit(jax.grad(end))(problem()), "the derivative by the start")
        if "learning_rate" not in subject.floats:
            return "by the start"
        by_rate = jax.grad(lambda rate: loss(_run(subject.made(learning_rate=rate), problem())))
        require_finite(jax.jit(by_rate)(subject.floats["learning_rate"]), "the derivative by learning_rate")
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"differentiating raises {type(error).__name__}: {_first_line(error)}") from error
    return "by the start and by learning_rate"


@law(
    "transformations.cond",
    "Skipped steps (accumulation, finite checks) put the update under lax.cond.",
    "Let the new state have exactly the types of the old one.",
)
def cond(subject: Subject) -> str | None:
    """An update under `lax.cond`, taken and skipped."""
    params = problem()
    state = subject.transformation.init(params)

    def taken(params: Any, state: Any) -> Any:
        updates, state = step_of(subject.transformation, params, state, 0)
        return jax.tree.map(lambda u, p: u.astype(p.dtype), updates, params), state

    def skipped(params: Any, state: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, params), state

    choose = jax.jit(lambda take: jax.lax.cond(take, taken, skipped, params, state))
    note = require_same_run(lambda: choose(True), lambda: jax.jit(taken)(params, state), "a step under lax.cond")
    require_same(choose(False)[1], state, "the state of a skipped step")
    return note


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]


LAWS = (jit, vmap, vmap_hyperparameters, scan, no_retrace, differentiable, cond)
