"""A run to compare with NumPy transcriptions of an optimizer's equations: a matrix and a vector, noise and curvature.

The loss is the sum of log cosh over A x, with x all parameters in one vector; its residuals, where a least-squares
method asks for them, are tanh(A x). The gradient of step t is that of the loss plus `NOISE[t]`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

STEPS = 50
SIZE = 8
_rng = np.random.default_rng(0)
A = _rng.normal(size=(12, SIZE))
START = _rng.normal(size=SIZE)
NOISE = 0.3 * _rng.normal(size=(STEPS, SIZE))


def loss_gradient(x):
    return A.T @ np.tanh(A @ x)


def hessian(x):
    return A.T @ np.diag(1 / np.cosh(A @ x) ** 2) @ A


def leaves(x):
    """The vector as the tree of parameters, (3, 2) and (2,), whose leaves stand in it in the order of their names."""
    return {"matrix": x[:6].reshape(3, 2), "vector": x[6:]}


def flat(tree):
    return np.concatenate([np.ravel(tree["matrix"]), np.ravel(tree["vector"])])


def obj_fn(params):
    return jnp.sum(jnp.log(jnp.cosh(A @ ravel_pytree(params)[0])))


def residuals_fn(params):
    return jnp.tanh(A @ ravel_pytree(params)[0])


def path_of(optimizer, noise=NOISE, start=START, extra=("grad_fn", "obj_fn", "residuals_fn")):
    """The points of the run, `(steps + 1, size)`, by the optimizer under test."""

    @jax.jit
    def step(params, state, noise):
        def grad_fn(p, _=None):
            return jax.tree.map(jnp.add, jax.grad(obj_fn)(p), noise)

        offered = {"grad_fn": grad_fn, "obj_fn": obj_fn, "residuals_fn": residuals_fn}
        update = optax.with_extra_args_support(optimizer).update
        updates, state = update(grad_fn(params), state, params, **{name: offered[name] for name in extra})
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, leaves(start))
    state, points = optimizer.init(params), [start]
    for each in noise:
        params, state = step(params, state, leaves(each))
        points.append(flat(params))
    return np.stack(points)


def transcribed(step, noise=NOISE, start=START):
    """The points of the run by equations: `step(t, x, g, state)`, t from 1, gives the next x and changes the dict."""
    x, state, points = start, {}, [start]
    for t, each in enumerate(noise, 1):
        x = step(t, x, loss_gradient(x) + each, state)
        points.append(x)
    return np.stack(points)


def assert_same_path(path, expected):
    """Equal in double precision over all steps: rounding grows by a few digits along a run that contracts."""
    assert np.isfinite(expected).all() and np.abs(np.diff(expected, axis=0)).max() > 1e-3
    np.testing.assert_allclose(path, expected, rtol=1e-9, atol=1e-10)
