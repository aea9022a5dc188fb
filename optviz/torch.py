"""Any `torch.optim` optimizer beside those of Optax: recorded, measured and drawn by the same functions.

    torch_adam = optviz.torch.optimizer(torch.optim.Adam, lr=0.01)
    trace = optviz.record(torch_adam, surfaces.Rosenbrock(), torch.tensor([-2.0, 2.0]), 500)

JAX evaluates the surface and its gradient, compiled; PyTorch takes the step. The loop between them runs on the host,
one step at a time, and costs a few hundred microseconds per step, about a thousand times what a compiled step on a
small surface costs. So nothing of it can be compiled, mapped or swept.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

try:
    import torch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("optviz.torch needs PyTorch: pip install 'optviz[torch]'.", name="torch") from error

from optviz.optimizers import OptimizerSpec, entry
from optviz.optimizers.protocol import WiredOptimizer
from optviz.optimizers.states import path_of
from optviz.torch_state import Saved, TorchState, appended, saved_in, state_of
from optviz.trace import OptimizerStep, check_shape, fold, kept
from surfaces.base import LossSurface
from surfaces.names import unknown_name

# The names that tables, legends and metrics know.
_OPTAX_NAMES = {"lr": ("learning_rate",), "betas": ("b1", "b2", "b3")}

Evaluation = tuple[Array, Any]
"""A loss and its gradient."""


def optimizer(factory: type, /, name: str | None = None, **arguments: Any) -> TorchOptimizer:
    """An optimizer of PyTorch for `optviz.record` and `OptimizerTrace`.

    Args:
      factory: a class of `torch.optim`, or any other subclass of `torch.optim.Optimizer`.
      name: what pictures and tables call it; `torch_adam` for `torch.optim.Adam` otherwise.
      arguments: those of the class, without the parameters: `lr=0.01, betas=(0.9, 0.99)`.

    Raises:
      TypeError: for what is no optimizer class, or an argument that it does not take.
      ValueError: for a number that the class refuses.
    """
    if not (isinstance(factory, type) and issubclass(factory, torch.optim.Optimizer)):
        hint = " Give the class and its arguments: the recorder makes the tensors that it steps."
        what = f"an object of the class {type(factory).__name__}." + hint if _is_optimizer(factory) else f"{factory!r}."
        raise TypeError(f"Expected a class of optimizers such as torch.optim.Adam, got {what}")
    name = name or f"torch_{factory.__name__.lower()}"
    known = inspect.signature(factory).parameters
    for key in arguments:
        if key not in known and not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            raise TypeError(f"{name}: {unknown_name('argument', key, set(known) - {'params'})}")
    # A matrix, which those that take nothing else accept too.
    defaults = factory([torch.zeros(1, 1, requires_grad=True)], **arguments).defaults
    fixed = ((k, tuple(v) if isinstance(v, list) else v) for k, v in arguments.items())
    return TorchOptimizer(
        factory=factory, arguments=tuple(sorted(fixed)), hyperparameters=_hyperparameters(defaults), name=name
    )


def matched(name: str, **hyperparameters: Any) -> tuple[OptimizerSpec, TorchOptimizer]:
    """The optimizer `name` of the catalogue and that of `torch.optim`, so set that both take the same steps.

    What the catalogue's entry says of the differences (`entry(name).torch`) is applied to both. The hyperparameters
    are numbers under the catalogue's names.

    Raises:
      ValueError: for an unknown name, or one without an equal in PyTorch, with the reason.
    """
    twin = entry(name).torch
    if twin is None or twin.differs:
        reason = "torch.optim has no such optimizer." if twin is None else twin.differs
        raise ValueError(f"{name} cannot be matched in PyTorch: {reason}")
    ours, theirs = twin.matched({h.name: h.default for h in entry(name).hyperparameters} | hyperparameters)
    return entry(name).spec(**ours), optimizer(getattr(torch.optim, twin.name), **theirs)


class TorchOptimizer(WiredOptimizer):
    """A class of PyTorch optimizers with its arguments, not yet given parameters. Made by `optviz.torch.optimizer`."""

    factory: type = eqx.field(static=True)
    arguments: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    hyperparameters: dict[str, Any]
    """The numbers in force, defaults included: `lr` as `learning_rate`, `betas` as `b1` and `b2`."""
    name: str = eqx.field(static=True)

    scheduled = ()

    def in_force(self, count: Any) -> dict[str, Any]:
        """The hyperparameters, which are the same at every step."""
        return self.hyperparameters

    def replace(self, **_: Any) -> TorchOptimizer:
        """Refused: it would be asked for by what maps over hyperparameters in one compiled program."""
        raise TypeError(self.on_host)

    @property
    def on_host(self) -> str:
        """Why it cannot be compiled."""
        return f"{self.name} runs on the host, step by step, and can be neither compiled nor swept: use optviz.record."

    def init(self, params: Any) -> TorchState:
        """The state before the first step, often empty."""
        return _Live(self, params).state()

    def update(self, grads: Any, state: TorchState, params: Any = None, /, **extra: Any) -> tuple[Any, TorchState]:
        """`(updates, new_state)`, without a change to `state`; for loops of one's own, on the host.

        An optimizer that evaluates the loss several times per step needs `value` and `value_fn`.
        """
        live = _Live(self, params, state)
        value = jnp.asarray(extra.get("value", jnp.nan))
        live.step((value, grads), jax.value_and_grad(extra["value_fn"]) if "value_fn" in extra else None)
        return jax.tree.map(jnp.subtract, live.copied(), params), live.state()

    def advance(self, at: Mapping[str, Any], num_steps: int) -> tuple[Any, Any, TorchState, Array]:
        """The recorder's loop on the host, in place of its compiled one.

        Args:
          at: the attributes of an `OptimizerTrace`, which stays as it is.
          num_steps: how many steps further.

        Returns:
          `(rows, params, opt_state, loss)`: all rows, the former ones included, and where the run then stands.
        """
        surface, key, params = at["surface"], at["key"], at["current_params"]
        check_shape(surface, params)
        live = _Live(self, params, at["opt_state"])
        evaluate = partial(_evaluated, surface, key, key is not None and surface.is_stochastic)
        rows = []
        for count in range(at["count"], at["count"] + num_steps):
            row = self._step(live, partial(evaluate, np.int32(count)), count, at)
            rows += [row] if count % at["every"] == 0 else []
        empty = [] if rows or at["rows"] is not None else [self._step(live, partial(evaluate, np.int32(0)), None, at)]
        rows, state = appended(at["rows"], rows or empty, live.state())
        rows = jax.tree.map(lambda column: jnp.asarray(column[:0] if empty else column), rows)
        params = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), live.copied(), params)
        return rows, params, state, _loss(surface, params)

    def _step(self, live: _Live, evaluate: Callable[..., Any], count: int | None, at: Mapping[str, Any]) -> Any:
        """Take step `count` and return what is kept of its row; without a count only say what a row is made of."""
        wanted = count is None or count % at["every"] == 0
        fields = at["fields"]
        state = live.numbers() if wanted and (fields is None or callable(fields) or "opt_state" in fields) else None
        before = live.copied()
        # Waited for, as the step overwrites the memory that is read here.
        (loss, evaluation_loss), grads = jax.block_until_ready(evaluate(live.shared()))
        if count is not None:
            live.step((loss, grads), lambda params: _without_judge(evaluate(params)))
        if not wanted:
            return None
        loss, evaluation_loss, grads = jax.tree.map(np.asarray, (loss, evaluation_loss, grads))
        with np.errstate(over="ignore", invalid="ignore"):
            updates = jax.tree.map(np.subtract, live.copied(), before)
            norms = {"gradient_norm": _norm(grads), "step_size": _norm(updates)}
        row = OptimizerStep(
            index=count,
            params=before,
            gradients=grads,
            opt_state=state,
            updates=updates,
            loss=loss,
            hyperparameters=self.hyperparameters,
            evaluation_loss=evaluation_loss,
            **norms,
        )
        return kept(row, fields, self)


class _Live:
    """A PyTorch optimizer at work on tensors of its own."""

    def __init__(self, optimizer: TorchOptimizer, params: Any, state: TorchState | None = None):
        if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(params)):
            raise TypeError(optimizer.on_host)
        leaves, self.structure = jax.tree_util.tree_flatten_with_path(params)
        self.paths = [path_of(path) for path, _ in leaves]
        self.tensors = [_as_tensor(leaf).requires_grad_() for _, leaf in leaves]
        self.optimizer: Any = optimizer.factory(self.tensors, **dict(optimizer.arguments))
        if state is not None:
            self._restore(state)

    def shared(self) -> Any:
        """The parameters as JAX arrays in the tensors' own memory: to be used up before the next step."""
        return self.structure.unflatten([jnp.from_dlpack(t.detach()) for t in self.tensors])

    def copied(self) -> Any:
        """The parameters as NumPy arrays."""
        return jax.tree.map(np.array, self.shared())

    def step(self, at: Evaluation, evaluate: Callable[[Any], Evaluation] | None) -> None:
        """One step from where the loss and gradient are `at`, with `evaluate` for any point besides."""
        before = [t.detach().clone() for t in self.tensors]

        def closure() -> torch.Tensor:
            # Most optimizers ask once, where they stand.
            moved = evaluate and not all(map(torch.equal, self.tensors, before))
            return self._given(jax.block_until_ready(evaluate(self.shared())) if moved and evaluate else at)

        self._given(at)
        self.optimizer.step(closure)

    def numbers(self) -> TorchState:
        """The optimizer's state as arrays."""
        return state_of(self.optimizer.state_dict(), self.paths)

    def state(self) -> TorchState:
        """The optimizer's state as arrays, and a copy of it that a run can go on from."""
        saved = copy.deepcopy(self.optimizer.state_dict())
        return TorchState(state_of(saved, self.paths).arrays, Saved(saved))

    def _given(self, at: Evaluation) -> torch.Tensor:
        """Set the tensors' gradients, and return the loss."""
        loss, grads = at
        # A copy: PyTorch may write into a gradient, JAX's arrays never change.
        for tensor, grad in zip(self.tensors, jax.tree.leaves(grads), strict=True):
            tensor.grad = _as_tensor(grad)
        return _as_tensor(loss)

    def _restore(self, state: TorchState) -> None:
        saved = copy.deepcopy(saved_in(state, self.paths))
        self.optimizer.load_state_dict(saved)
        # Loading casts all numbers to the parameters' type, which an uninterrupted run does not.
        for i, tensor in enumerate(self.tensors):
            if i in saved["state"]:
                self.optimizer.state[tensor].update(saved["state"][i])


def _hyperparameters(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers among the arguments of an optimizer; a tuple's one by one."""
    found: dict[str, Any] = {}
    for name, value in defaults.items():
        values = value if isinstance(value, tuple) else (value,)
        several = tuple(f"{name}_{i}" for i in range(len(values))) if isinstance(value, tuple) else (name,)
        found |= dict(zip(_OPTAX_NAMES.get(name, several)[: len(values)], values, strict=True))
    return {k: float(v) for k, v in found.items() if _is_number(v)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | torch.Tensor) and not isinstance(value, bool)


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, torch.optim.Optimizer)


def _as_tensor(leaf: Any) -> torch.Tensor:
    """A tensor with the numbers of an array, in memory of its own."""
    return torch.from_dlpack(jnp.asarray(leaf)).clone()


def _norm(tree: Any) -> np.ndarray:
    """The L2 norm over all leaves."""
    return np.asarray(np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(tree))))


def _without_judge(evaluated: tuple[tuple[Array, Any], Any]) -> Evaluation:
    (loss, _), grads = evaluated
    return loss, grads


@partial(jax.jit, static_argnums=2)
def _evaluated(
    surface: LossSurface, key: PRNGKeyArray | None, noisy: bool, count: Any, params: Any
) -> tuple[tuple[Array, Any], Any]:
    """`((loss, expected loss if that is another), gradient)` with the draws of step `count`."""
    # Noise depends on (key, step) alone, as in the compiled loop: rivals see the same draws.
    step_key = fold(key, count)
    loss, grads = jax.value_and_grad(lambda p: surface(p, step_key))(params)
    return (loss, surface(params) if noisy else None), grads


@jax.jit
def _loss(surface: LossSurface, params: Any) -> Array:
    return surface(params)
