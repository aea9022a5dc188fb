r"""What is known of gradient descent, the heavy ball and Nesterov's method on a quadratic with curvatures $\mu$ to $L$.

Along an eigenvector of curvature $\lambda$, with learning rate $\alpha$ and momentum $\beta$, what `optax.sgd` does is

$$x_{t+1} = (1 + \beta - \alpha\lambda)\,x_t - \beta\,x_{t-1}, \qquad
x_{t+1} = (1 - \alpha\lambda)\,((1 + \beta)\,x_t - \beta\,x_{t-1}),$$

the first the heavy ball (Polyak, 1964), the second Nesterov's; without momentum both are gradient descent. In the long
run each step multiplies the distance to the minimum by the larger root of $r^2 - c\,r + d$, the *factor* below.
Learning rates are in units of 1 / curvature. Arguments are numbers or arrays that broadcast against each other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Tuned(NamedTuple):
    """A learning rate, a momentum, and the factor per step on a quadratic that they are chosen for."""

    learning_rate: Any
    momentum: Any
    factor: Any


def factor(learning_rate: Any, momentum: Any, curvature: Any, *, nesterov: bool = False) -> np.ndarray:
    """The factor per step on the distance along one eigenvector: the larger modulus of the two roots."""
    decay = 1 - np.multiply(learning_rate, curvature)
    c, d = (
        (decay * (1 + momentum), decay * momentum) if nesterov else (decay + momentum, momentum * np.ones_like(decay))
    )
    root = np.sqrt(np.asarray(c**2 / 4 - d, complex))
    return np.maximum(abs(c / 2 + root), abs(c / 2 - root))


def worst_factor(learning_rate: Any, momentum: Any, condition_number: Any, *, nesterov: bool = False) -> np.ndarray:
    """The factor per step on a quadratic with curvatures 1 and `condition_number`."""
    ends = [factor(learning_rate, momentum, curvature, nesterov=nesterov) for curvature in (1.0, condition_number)]
    return np.maximum(*ends)


def stability_limit(momentum: Any, largest: Any = 1.0, *, nesterov: bool = False) -> Any:
    r"""The learning rate from which on a curvature of `largest` diverges.

    For the heavy ball $2 (1 + \beta) / L$, which grows with momentum (Polyak, 1987, Introduction to Optimization,
    section 3.2.1); for Nesterov's method $2 (1 + \beta) / ((1 + 2 \beta)\,L)$, which falls. It is the root -1 that
    leaves the unit circle: $1 + c + d = 0$.
    """
    limit = 2 * (1 + np.asarray(momentum)) / largest
    return limit / (1 + 2 * np.asarray(momentum)) if nesterov else limit


def best_gradient_descent(condition_number: Any, smallest: float = 1.0) -> Tuned:
    r"""$\alpha = 2 / (L + \mu)$, factor $(\kappa - 1) / (\kappa + 1)$. Polyak (1987), section 1.4."""
    kappa = np.asarray(condition_number, float)
    return Tuned(2 / (smallest * (kappa + 1)), np.zeros_like(kappa), (kappa - 1) / (kappa + 1))


def best_heavy_ball(condition_number: Any, smallest: float = 1.0) -> Tuned:
    r"""$\alpha = 4 / (\sqrt L + \sqrt\mu)^2$, factor $\sqrt\beta = (\sqrt\kappa - 1) / (\sqrt\kappa + 1)$.

    Both ends of the spectrum are critically damped. Polyak (1964).
    """
    root = np.sqrt(np.asarray(condition_number, float))
    return Tuned(4 / (smallest * (root + 1) ** 2), ((root - 1) / (root + 1)) ** 2, (root - 1) / (root + 1))


def heavy_ball_peak(condition_number: float) -> float:
    r"""The highest loss of the heavy ball at its optimal settings, from a half at each end of the spectrum.

    At a double root $r = \pm\sqrt\beta$ a run from rest is $(1 + b t)\,r^t$, which has its first step right for
    $b = (1 - \alpha\lambda) / r - 1$. At the steep end that is nearly 2: the run grows before it shrinks, about as the
    root of the condition number, which must be above 1 (Mohammadi, Samuelson & Jovanovic, 2021, arXiv:2103.08017).
    """
    best, t = best_heavy_ball(condition_number), np.arange(100 + int(10 * condition_number**0.5))
    roots = {1.0: best.factor, float(condition_number): -best.factor}
    ends = np.array([((1 + ((1 - best.learning_rate * h) / r - 1) * t) * r**t) ** 2 / 2 for h, r in roots.items()])
    return float(ends.sum(axis=0).max())


def usual_nesterov(condition_number: Any, smallest: float = 1.0) -> Tuned:
    r"""$\alpha = 1 / L$, $\beta = (\sqrt\kappa - 1) / (\sqrt\kappa + 1)$, factor $1 - 1 / \sqrt\kappa$.

    Chosen for all strongly convex functions (Nesterov, 2004, section 2.2.1), where the root of this factor is promised;
    on a quadratic it is exact (Lessard, Recht & Packard, 2016, SIAM J. Optim. 26(1), proposition 1).
    """
    kappa = np.asarray(condition_number, float)
    root = np.sqrt(kappa)
    return Tuned(1 / (smallest * kappa), (root - 1) / (root + 1), 1 - 1 / root)


def best_nesterov(condition_number: Any, smallest: float = 1.0) -> Tuned:
    r"""$\alpha = 4 / (3 L + \mu)$, $\beta = (r - 2) / (r + 2)$, factor $1 - 2 / r$ with $r = \sqrt{3 \kappa + 1}$.

    The best on quadratics. Lessard, Recht & Packard (2016), SIAM J. Optim. 26(1), proposition 1.
    """
    kappa = np.asarray(condition_number, float)
    root = np.sqrt(3 * kappa + 1)
    return Tuned(4 / (smallest * (3 * kappa + 1)), (root - 2) / (root + 2), 1 - 2 / root)


def best_rate_factor(momentum: Any, condition_number: Any) -> np.ndarray:
    r"""The factor of the heavy ball with a given momentum at its best learning rate.

    It cannot be below $\sqrt\beta$, since the roots multiply to $\beta$. That is reached up to
    $\sqrt\kappa = (1 + \sqrt\beta) / (1 - \sqrt\beta)$, as long as some rate makes both ends of the spectrum oscillate;
    beyond, the flat end creeps and the steep end flips its sign at every step, equally fast at the best rate.
    """
    beta, kappa = np.broadcast_arrays(np.asarray(momentum, float), np.asarray(condition_number, float))
    # At the best rate c at one end is -c at the other: 1 + beta - alpha = -(1 + beta - alpha kappa).
    half = (1 + beta) * (kappa - 1) / (kappa + 1) / 2
    return np.maximum(np.sqrt(beta), half + np.sqrt(np.maximum(half**2 - beta, 0)))


def least_condition_number(momentum: Any) -> Any:
    r"""Where the heavy ball begins to be faster than gradient descent: $\sqrt\beta = (\kappa - 1) / (\kappa + 1)$."""
    root = np.sqrt(momentum)
    return (1 + root) / (1 - root)


def stationary_variance(learning_rate: Any, momentum: Any, curvature: Any) -> Any:
    r"""The variance in the long run of the heavy ball's iterate along an eigenvector, per variance of gradient noise.

    Noise $\xi$ on the gradient makes the iterate an autoregression of order 2 with variance

    $$\frac{\alpha\,(1 + \beta)}{\lambda\,(1 - \beta)\,(2 (1 + \beta) - \alpha\lambda)}$$

    (Box & Jenkins, 1970, section 3.2.4, with $\phi_1 = 1 + \beta - \alpha\lambda$ and $\phi_2 = -\beta$). At a small
    effective rate $\eta = \alpha / (1 - \beta)$ that is $\eta / (2 \lambda)$, whatever the momentum.
    """
    alpha, beta = np.asarray(learning_rate), np.asarray(momentum)
    return alpha * (1 + beta) / (curvature * (1 - beta) * (2 * (1 + beta) - alpha * curvature))


def stationary_loss(learning_rate: Any, momentum: Any, condition_number: Any) -> Any:
    """The mean loss in the long run on curvatures 1 and `condition_number`, with unit noise on the gradient."""
    ends = (1.0, condition_number)
    return sum(h / 2 * stationary_variance(learning_rate, momentum, h) for h in ends)
