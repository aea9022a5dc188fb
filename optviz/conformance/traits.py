"""Traits: what an optimizer is like, reported and not judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optviz.conformance.subject import Subject, extras, problem
from optviz.optimizers.protocol import update_with

NUM_STEPS = 20
_CLOSE = 1e-2


def traits(subject: Subject) -> dict[str, Any]:
    """Every trait by name; one that cannot be measured says why."""
    return {name: _measured(measure, subject) for name, measure in TRAITS.items()}


def _measured(measure: Callable[[Subject], Any], subject: Subject) -> Any:
    try:
        return measure(subject)
    except (Exception, SystemExit) as error:
        return f"not measured: {type(error).__name__}"


def _path(subject: Subject, function: Callable[[Any], Any], start: Any, num_steps: int = NUM_STEPS) -> np.ndarray:
    """Where a run on a function ends up, step by step, `(T + 1, n)` for a vector."""
    transformation = subject.transformation

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        value, grads = jax.value_and_grad(function)(params)
        offered = {
            "value": value, "grad": grads, "value_fn": lambda p, **_: function(p), "obj_fn": lambda p, **_: function(p),
            "grad_fn": lambda p, *_: jax.grad(function)(p), "key": jax.random.key(0),
        }  # fmt: skip
        updates, state = update_with(transformation, grads, state, params, offered)
        return optax.apply_updates(params, updates), state

    params, state = start, transformation.init(start)
    points = [params]
    for _ in range(num_steps):
        params, state = step(params, state)
        points.append(params)
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *points)


_START = jnp.asarray([1.0, -2.0, 0.5])
_CURVATURES = jnp.asarray([1.0, 4.0, 0.25])


def _bowl(params: Any) -> Any:
    return jnp.sum(_CURVATURES * params**2) / 2


def _agree(found: np.ndarray, expected: np.ndarray) -> bool:
    scale = np.abs(expected - expected[0]).max()
    return bool(np.abs(found - expected).max() <= _CLOSE * scale)


def loss_scale(subject: Subject) -> bool:
    """Whether a loss in other units leads along the same path."""
    plain = _path(subject, _bowl, _START)
    return _agree(_path(subject, lambda p: 16.0 * _bowl(p), _START), plain)


def translation(subject: Subject) -> bool:
    """Whether a shifted problem leads along the shifted path."""
    plain = _path(subject, _bowl, _START)
    return _agree(_path(subject, lambda p: _bowl(p - 3.0), _START + 3.0) - 3.0, plain)


def rotation(subject: Subject) -> bool:
    """Whether a turned problem leads along the turned path."""
    turn = jnp.asarray(np.linalg.qr(np.sin(1.0 + np.arange(9.0)).reshape(3, 3))[0], jnp.float32)
    plain = _path(subject, _bowl, _START)
    return _agree(_path(subject, lambda p: _bowl(turn.T @ p), turn @ _START) @ np.asarray(turn), plain)


def coordinate_scale(subject: Subject) -> bool:
    """Whether coordinates in other units lead along the same path in those units."""
    units = jnp.asarray([1.0, 8.0, 0.25])
    plain = _path(subject, _bowl, _START)
    return _agree(_path(subject, lambda p: _bowl(units * p), _START / units) * np.asarray(units), plain)


def leaf_splitting(subject: Subject) -> bool:
    """Whether a vector in one leaf or in two makes no difference."""
    plain = _path(subject, _bowl, _START)
    split = _path(subject, lambda p: _bowl(jnp.concatenate([p["a"], p["b"]])), {"a": _START[:1], "b": _START[1:]})
    return _agree(np.concatenate([split["a"], split["b"]], axis=1), plain)


def bounded_step(subject: Subject) -> str:
    """How much longer the first step is for a gradient a thousand times as large."""
    near, far = (_path(subject, lambda p, k=k: k * jnp.sum(p), _START, 1) for k in (1.0, 1000.0))
    ratio = np.linalg.norm(far[1] - far[0]) / np.linalg.norm(near[1] - near[0])
    return "bounded" if ratio < 1.1 else f"{ratio:.3g} times as long for 1000 times the gradient"


def state_floats(subject: Subject) -> float:
    """Numbers in the state for each parameter, on a matrix of 64 x 64."""
    params = {"matrix": jnp.ones((64, 64))}
    state = jax.eval_shape(subject.transformation.init, params)
    return round(sum(x.size for x in jax.tree.leaves(state)) / 64**2, 3)


def evaluations(subject: Subject) -> str:
    """Evaluations of the loss and of its gradient that a step asks for beyond the first."""
    asked = {"value": 0, "gradient": 0}
    params = problem()
    offered = extras(params, 0)

    def counted(name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            asked[name] += 1
            return function(*args, **kwargs)

        return call

    offered |= {name: counted("value", offered[name]) for name in ("value_fn", "obj_fn")}
    offered |= {"grad_fn": counted("gradient", offered["grad_fn"])}
    state = subject.transformation.init(params)
    with jax.disable_jit():
        names = subject.accepted
        subject.transformation.update(offered["grad"], state, params, **{n: offered[n] for n in names})
    return ", ".join(f"{n} of the {what}" for what, n in asked.items() if n) or "none"


def cost(subject: Subject) -> float:
    """Time of a compiled step on a matrix of 64 x 64, in steps of SGD."""
    params = {"matrix": jnp.asarray(np.sin(np.arange(4096.0)).reshape(64, 64), jnp.float32)}
    mine, sgd = (_seconds(t, params) for t in (subject.transformation, optax.sgd(0.1)))
    return round(mine / sgd, 2)


def _seconds(transformation: Any, params: Any, num_steps: int = 50) -> float:
    def one(carry: Any, t: Any) -> Any:
        params, state = carry
        offered = extras(params, t)
        updates, state = update_with(transformation, offered["grad"], state, params, offered)
        return (optax.apply_updates(params, updates), state), None

    run = jax.jit(lambda p, s: jax.lax.scan(one, (p, s), jnp.arange(num_steps))[0][0])
    state = transformation.init(params)
    jax.block_until_ready(run(params, state))
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        jax.block_until_ready(run(params, state))
        times.append(time.perf_counter() - begin)
    return min(times) / num_steps


TRAITS: Mapping[str, Callable[[Subject], Any]] = {
    "same path if the loss is rescaled": loss_scale,
    "same path if the problem is shifted": translation,
    "same path if the problem is turned": rotation,
    "same path if coordinates are rescaled": coordinate_scale,
    "same path if a leaf is split": leaf_splitting,
    "step on large gradients": bounded_step,
    "numbers in the state per parameter": state_floats,
    "further evaluations per step": evaluations,
    "time of a step, in steps of SGD": cost,
}
