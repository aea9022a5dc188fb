"""Laws of JAX's transformations: compiled, batched, looped and differentiated, an update is the same function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from optviz.conformance.law import Broken, NotApplicable, law, require_finite, require_same, require_same_run
from optviz.conformance.subject import NUM_STEPS, Subject, loss, problem, step_of

Run = tuple[Any, Any]
"""An optimizer and the parameters that it starts from."""


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
    scales = jnp.asarray((1.0, -0.5, 2.0), float)

    def begin(scale: Any) -> Run:
        return subject.transformation, jax.tree.map(lambda x: (scale * x).astype(x.dtype), problem())

    return require_same_run(
        lambda: _batched(begin, scales), lambda: _one_by_one(begin, scales), "a batch of three runs"
    )


def _batched(begin: Callable[[Any], Run], rows: Any) -> Any:
    """The parameters after five steps from `begin(row)`, for all rows at once."""
    start, step = _parts(begin)
    return _after_steps(jax.jit(jax.vmap(start)), jax.jit(jax.vmap(step, (0, 0, 0, None))), rows)


def _one_by_one(begin: Callable[[Any], Run], rows: Any) -> Any:
    """The same, row by row."""
    start, step = map(jax.jit, _parts(begin))
    each = [jax.tree.map(lambda v, i=i: v[i], rows) for i in range(len(jax.tree.leaves(rows)[0]))]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(_after_steps(start, step, row) for row in each))


def _parts(begin: Callable[[Any], Run]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The beginning and a step of a run: programs of one step, which compile five times faster than one of five."""

    def start(row: Any) -> Any:
        transformation, params = begin(row)
        return params, transformation.init(params)

    def step(row: Any, params: Any, state: Any, t: Any) -> Any:
        updates, state = step_of(begin(row)[0], params, state, t)
        return optax.apply_updates(params, updates), state

    return start, step


def _after_steps(start: Callable[..., Any], step: Callable[..., Any], row: Any) -> Any:
    params, state = start(row)
    for t in range(NUM_STEPS):
        params, state = step(row, params, state, t)
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
    names = tuple(subject.floats)
    others = {name: value / 2 if value else 0.01 for name, value in subject.floats.items()}
    rows = [dict(subject.floats), *({**subject.floats, name: others[name]} for name in names)]

    def begin(numbers: Any) -> Run:
        return subject.made(**numbers), problem()

    def compared(run: Any) -> Any:
        ends = run(begin, {name: jnp.asarray([row[name] for row in rows], float) for name in names})
        return {name: jax.tree.map(lambda x, i=i: x[i], ends) for i, name in enumerate(("all", *names))}

    try:
        note = require_same_run(lambda: compared(_batched), lambda: compared(_one_by_one), "a batch over")
    except Broken:
        raise
    except Exception as error:
        name = next((name for name in names if not _can_be_traced(subject, name)), "all of them")
        raise Broken(f"a batch over {name} raises {type(error).__name__}: {_first_line(error)}") from error
    return "; ".join([f"batched over {', '.join(names)}", *filter(None, [note])])


def _can_be_traced(subject: Subject, name: str) -> bool:
    def step(value: Any) -> Any:
        transformation = subject.made(**{name: value})
        return step_of(transformation, problem(), transformation.init(problem()), 0)

    try:
        jax.eval_shape(step, subject.floats[name])
    except Exception:
        return False
    return True


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

    rate = {"learning_rate": subject.floats["learning_rate"]} if "learning_rate" in subject.floats else {}

    def end(params: Any, rate: Any) -> Any:
        transformation = subject.made(**rate) if rate else subject.transformation
        state = transformation.init(params)
        for t in range(NUM_STEPS):
            updates, state = step_of(transformation, params, state, t)
            params = optax.apply_updates(params, updates)
        return loss(params)

    try:
        by_start, by_rate = jax.jit(jax.grad(end, argnums=(0, 1)))(problem(), rate)
        require_finite(by_start, "the derivative by the start")
        require_finite(by_rate, "the derivative by learning_rate")
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"differentiating raises {type(error).__name__}: {_first_line(error)}") from error
    return "by the start and by learning_rate" if rate else "by the start"


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
