"""Runs with a penalty on the parameters: in the loss, or as decay of the parameters themselves."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from optviz.optimizers.entry import learning_rate_of
from optviz.optimizers.protocol import WiredOptimizer
from optviz.playground.settings import Regularisation
from surfaces.base import LossSurface


class Penalised(LossSurface):
    """A surface plus a penalty: f(p) + l1 |p|_1 + l2 |p|^2 / 2.

    The optimizers see it by automatic differentiation: at a coordinate that is 0 the derivative of |p| is 0, on either
    side its sign, so that with an L1 penalty a coordinate dances about 0 within a step instead of resting there.
    """

    surface: LossSurface
    l1: Any = 0.0
    l2: Any = 0.0

    def __call__(self, params: Any, key: Any = None) -> Any:
        penalty = self.l1 * jnp.sum(jnp.abs(params)) + 0.5 * self.l2 * jnp.sum(params**2)
        return self.surface(params, key) + penalty

    @property
    def name(self) -> str:
        return f"penalised_{self.surface.name}"

    @property
    def domain(self) -> Any:
        return self.surface.domain

    @property
    def start(self) -> Any:
        return self.surface.start


class Decayed(WiredOptimizer):
    """Any optimizer, each of whose updates also takes `strength` times the learning rate off the parameters.

    Decoupled weight decay, Loshchilov & Hutter (2019), arXiv:1711.05101. An optimizer that finds its own rate is
    decayed as with a rate of 1.
    """

    optimizer: Any
    strength: Any
    name: str = eqx.field(static=True)

    def __init__(self, optimizer: Any, strength: Any):
        self.optimizer, self.strength, self.name = optimizer, strength, optimizer.name

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Those of the optimizer itself."""
        return self.optimizer.hyperparameters

    def init(self, params: Any) -> Any:
        """The optimizer's own state, and the number of steps, on which the rate may depend."""
        return jnp.zeros((), jnp.int32), self.optimizer.init(params)

    def update(self, grads: Any, state: Any, params: Any = None, /, **extra: Any) -> tuple[Any, Any]:
        """The optimizer's own update less the decay."""
        count, inner = state
        updates, inner = self.optimizer.update(grads, inner, params, **extra)
        rate = learning_rate_of(self.optimizer.in_force(count))
        decay = self.strength * (1.0 if rate is None else rate)
        return jax.tree.map(lambda u, p: u - decay * p, updates, params), (count + 1, inner)

    def in_force(self, count: Any) -> dict[str, Any]:
        """The hyperparameters of the optimizer itself."""
        return self.optimizer.in_force(count)


def regularised(optimizer: Any, surface: LossSurface, how: Regularisation) -> tuple[Any, LossSurface]:
    """The optimizer and the surface with the penalty of `how`."""
    if how.kind == "decoupled":
        return Decayed(optimizer, how.strength), surface
    l1 = {"l1": 1.0, "elastic": how.ratio}.get(how.kind, 0.0) * how.strength
    l2 = {"l2": 1.0, "elastic": 1 - how.ratio}.get(how.kind, 0.0) * how.strength
    return optimizer, Penalised(surface, l1, l2)
