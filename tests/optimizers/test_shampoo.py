"""Shampoo against its equations, its first step by hand and full-matrix Adagrad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from optviz.optimizers.shampoo import shampoo
from tests.optimizers.transcription import assert_same_path, flat, leaves, path_of, transcribed


def inverse_root(matrix):
    return np.linalg.inv(scipy.linalg.sqrtm(matrix))


def equations(rate=0.3, eps=1e-3):
    def step(t, x, g, s):
        if t == 1:
            s.update(L=eps * np.eye(3), R=eps * np.eye(2), H=eps * np.eye(2))
        grads = leaves(g)
        matrix, vector = grads["matrix"], grads["vector"]
        s["L"] = s["L"] + matrix @ matrix.T
        s["R"] = s["R"] + matrix.T @ matrix
        s["H"] = s["H"] + np.outer(vector, vector)
        left, right = (inverse_root(scipy.linalg.sqrtm(s[side])) for side in "LR")
        u = {"matrix": left @ matrix @ right, "vector": inverse_root(s["H"]) @ vector}
        return x - rate * flat(u)

    return step


def test_it_is_its_equations(x64):
    assert_same_path(path_of(shampoo(0.3, eps=1e-3)), transcribed(equations()))


def first_step(gradient, eps):
    optimizer = shampoo(1.0, eps)
    return -optimizer.update(gradient, optimizer.init(gradient))[0]


def test_the_first_step_keeps_singular_vectors_and_nearly_levels_singular_values(dtype):
    # With g = U diag(3, 2) V^T: L^{-1/4} g R^{-1/4} = U diag(s / sqrt(s^2 + eps)) V^T, s the singular values.
    u, v = np.array([[0.6, -0.8], [0.8, 0.6]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    sizes, eps = np.array([3.0, 2.0]), 5.0
    step = first_step(jnp.asarray(u @ np.diag(sizes) @ v.T, dtype), eps)
    expected = u @ np.diag(sizes / np.sqrt(sizes**2 + eps)) @ v.T
    np.testing.assert_allclose(step, expected, rtol=1e-5 if dtype == "float32" else 1e-12)


def test_a_number_is_a_vector_of_one_and_a_tensor_has_a_factor_per_axis(x64):
    np.testing.assert_allclose(first_step(jnp.array(3.0), 7.0), 3.0 / np.sqrt(9.0 + 7.0))
    # All of a rank-one tensor of size s lies in one direction of each axis: three factors (s^2 + eps)^{-1/6}.
    tensor = jnp.zeros((2, 3, 4)).at[1, 2, 0].set(3.0)
    np.testing.assert_allclose(first_step(tensor, 7.0), tensor / np.sqrt(16.0), rtol=1e-12)


def with_a_diagonal(t, x, g, s):
    """The equations at rate 0.3, with the three rows of the matrix scaled one by one."""
    if t == 1:
        s.update(L=np.full(3, 1e-3), R=1e-3 * np.eye(2), H=1e-3 * np.eye(2))
    matrix, vector = leaves(g)["matrix"], leaves(g)["vector"]
    s["L"] = s["L"] + np.sum(matrix**2, axis=1)
    s["R"] = s["R"] + matrix.T @ matrix
    s["H"] = s["H"] + np.outer(vector, vector)
    u = s["L"][:, None] ** -0.25 * matrix @ inverse_root(scipy.linalg.sqrtm(s["R"]))
    return x - 0.3 * flat({"matrix": u, "vector": inverse_root(s["H"]) @ vector})


def test_of_an_axis_that_is_too_long_only_the_diagonal_is_kept(x64):
    assert_same_path(path_of(shampoo(0.3, eps=1e-3, max_precond_dim=2)), transcribed(with_a_diagonal))


def test_complex_parameters_are_refused_by_name():
    with pytest.raises(TypeError, match="real parameters, and weight is complex64"):
        shampoo(0.1).init({"weight": jnp.zeros(2, jnp.complex64)})


@pytest.mark.parametrize("shape", [(4, 2), (2, 2), (3,)])
def test_it_is_differentiable_even_where_eigenvalues_meet(x64, shape):
    # Moments of four rows and one gradient of two columns have the eigenvalue eps twice.
    g = jnp.asarray(np.random.default_rng(0).normal(size=shape))

    def second_step(scale):
        optimizer = shampoo(1.0, 0.1)
        _, state = optimizer.update(scale * g, optimizer.init(g))
        return jnp.sum(optimizer.update(jnp.cos(g), state)[0] ** 2)

    h = 1e-5
    numeric = (second_step(1 + h) - second_step(1 - h)) / (2 * h)
    # Central differences: error of order h^2, rounding over h.
    np.testing.assert_allclose(jax.grad(second_step)(1.0), numeric, rtol=1e-7)


@pytest.mark.parametrize("side", ["rows", "columns"])
def test_it_turns_with_the_rows_and_with_the_columns(x64, side):
    g = jnp.array([[1.0, 2.0], [-0.5, 3.0]])
    turn = jnp.array([[0.6, -0.8], [0.8, 0.6]])
    turned = turn @ g if side == "rows" else g @ turn
    step, other = first_step(g, 1e-3), first_step(turned, 1e-3)
    np.testing.assert_allclose(other, turn @ step if side == "rows" else step @ turn, rtol=1e-10)
