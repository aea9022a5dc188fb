"""SOAP against its equations, and Adam where its basis is fixed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optviz.optimizers.soap import soap
from tests.optimizers.transcription import NOISE, assert_same_path, flat, leaves, path_of, transcribed

RATE, B1, B2, EPS, DECAY = 0.05, 0.9, 0.97, 1e-6, 0.01


def eigenvectors(matrix):
    return np.linalg.eigh(matrix)[1][:, ::-1]


def iterated(matrix, basis):
    """One power iteration. Eigenvectors are known up to their signs, which cancel in the update."""
    return np.linalg.qr(matrix @ basis)[0]


def equations(frequency, turn_vectors):
    def step(t, x, g, s):
        for name, leaf in leaves(g).items():
            sides = [leaf @ leaf.T, leaf.T @ leaf] if leaf.ndim == 2 else [np.outer(leaf, leaf)]
            if t == 1:
                moments = [(1 - B2) * side for side in sides]
                s[name] = {"m": 0 * leaf, "v": 0 * leaf, "P": moments, "Q": [eigenvectors(p) for p in moments]}
                if leaf.ndim == 1 and not turn_vectors:
                    s[name]["Q"] = [np.eye(leaf.size)]
        return (
            x if t == 1 else x - RATE * (flat({n: leaf_step(t - 1, g, s[n]) for n, g in leaves(g).items()}) + DECAY * x)
        )

    def leaf_step(n, g, s):
        q, is_matrix = s["Q"], g.ndim == 2

        def into(a):
            return q[0].T @ a @ q[1] if is_matrix else q[0].T @ a

        s["m"] = B1 * s["m"] + (1 - B1) * g
        s["v"] = B2 * s["v"] + (1 - B2) * into(g) ** 2
        direction = into(s["m"]) / (1 - B1**n) / (np.sqrt(s["v"] / (1 - B2**n)) + EPS)
        direction = q[0] @ direction @ q[1].T if is_matrix else q[0] @ direction
        sides = [g @ g.T, g.T @ g] if is_matrix else [np.outer(g, g)]
        s["P"] = [B2 * p + (1 - B2) * side for p, side in zip(s["P"], sides, strict=True)]
        if n % frequency == 0 and (is_matrix or turn_vectors):
            s["Q"] = [iterated(p, basis) for p, basis in zip(s["P"], q, strict=True)]
        return direction

    return step


@pytest.mark.parametrize("turn_vectors", [False, True])
@pytest.mark.parametrize("frequency", [1, 7])
def test_it_is_its_equations(x64, frequency, turn_vectors):
    optimizer = soap(RATE, B1, B2, EPS, DECAY, frequency, precondition_1d=turn_vectors)
    assert_same_path(path_of(optimizer), transcribed(equations(frequency, turn_vectors)))


def test_in_its_own_coordinates_it_is_adam_from_the_second_gradient_on(x64):
    path = path_of(soap(RATE, B1, B2, EPS, max_precond_dim=1))
    np.testing.assert_array_equal(path[0], path[1])
    adam = path_of(optax.adam(RATE, B1, B2, EPS), noise=NOISE[1:])
    assert_same_path(path[1:], adam)


def test_the_bases_stay_orthogonal_and_come_to_diagonalise_the_moments(x64):
    optimizer = soap(0.1, b2=0.9, precondition_frequency=1)
    target = jnp.diag(jnp.array([3.0, 1.0, 0.2]))
    params, state = jnp.ones((3, 3)), optimizer.init(jnp.ones((3, 3)))
    update = jax.jit(optimizer.update)
    for i in range(60):
        # Gradients whose second moments have the eigenvalues 9, 1 and 0.04 along turned axes.
        turn = jnp.linalg.qr(jnp.arange(9.0).reshape(3, 3) + jnp.eye(3))[0]
        signs = jnp.where(jax.random.bernoulli(jax.random.key(i), 0.5, (3,)), 1.0, -1.0)
        _, state = update(turn @ target @ jnp.diag(signs), state, params)
    (moments, _), (basis, _) = state[0].moments, state[0].bases
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-12)
    inside = basis.T @ moments @ basis
    np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-6)


def test_it_asks_for_the_parameters():
    optimizer, params = soap(0.1), jnp.ones(2)
    with pytest.raises(ValueError, match="soap needs the parameters"):
        optimizer.update(params, optimizer.init(params))
