"""What is known of gradient descent and the heavy ball on a quadratic with noise on the gradient, at every step.

Along an eigenvector of curvature $h$ the pair of iterate and velocity is a linear recursion driven by the noise, so
that both are normal at every step; mean and covariance follow from the recursion itself. Mandt, Hoffman & Blei (2017),
JMLR 18, section 4, for the long run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from optviz.optimizers import wrapped

LINEAR = (wrapped.gd, wrapped.momentum)
DRAWS = 20_000


def is_linear(optimizer: Any) -> bool:
    """Whether an optimizer is gradient descent or the heavy ball."""
    return getattr(optimizer, "factory", None) in LINEAR


def quadratic(surface: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Curvatures `(n,)` and the start along the eigenvectors `(n,)`, from the minimum; None if it is no quadratic."""
    if not surface.minima or getattr(surface.start, "ndim", 0) != 1:
        return None
    at_start, at_minimum = (np.asarray(surface.hessian(point), float) for point in (surface.start, surface.minima[0]))
    if not np.allclose(at_start, at_minimum, rtol=1e-4):
        return None
    curvatures, vectors = np.linalg.eigh(at_minimum)
    return curvatures, vectors.T @ np.asarray(surface.start - surface.minima[0], float)


def mean_and_variance(
    curvature: float, start: float, noise: float, learning_rate: float, momentum: float, num_steps: int
) -> tuple[float, float]:
    """The mean and the variance of the iterate after `num_steps` steps, from `start` at rest.

    `noise` is the standard deviation of the gradient.
    """
    step = np.array([[1 - learning_rate * curvature, -learning_rate * momentum], [curvature, momentum]])
    push = np.array([-learning_rate, 1.0])
    mean, covariance = np.array([start, 0.0]), np.zeros((2, 2))
    for _ in range(num_steps):
        mean, covariance = step @ mean, step @ covariance @ step.T + noise**2 * np.outer(push, push)
    return float(mean[0]), float(covariance[0, 0])


def loss_quantiles(
    optimizer: Any, problem: tuple[np.ndarray, np.ndarray], noise: float, num_steps: int, levels: Any
) -> Float[np.ndarray, " levels"]:
    """The quantiles of the final loss over seeds: of a sum of squares of normal numbers, by many draws."""
    known = {name: float(value) for name, value in optimizer.hyperparameters.items()}
    ends = [
        mean_and_variance(h, x, noise, known["learning_rate"], known.get("momentum", 0.0), num_steps)
        for h, x in zip(*problem, strict=True)
    ]
    mean, variance = np.transpose(ends)
    drawn = mean + np.sqrt(variance) * np.random.default_rng(0).normal(size=(DRAWS, len(mean)))
    return np.quantile(0.5 * drawn**2 @ problem[0], levels)
