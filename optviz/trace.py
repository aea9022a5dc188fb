"""`record`: the one loop. An optimizer descends a surface, and every step becomes a row of an `OptimizerTrace`.

Letters in shapes: `T` recorded steps, `...` the parameters' own shape.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float, PRNGKeyArray

from optviz.optimizers.protocol import as_optimizer, evaluation_params
from optviz.optimizers.spec import ScheduledState
from surfaces.base import LossSurface, as_params, as_surface, describe, same_shape

SCALARS = ("loss", "gradient_norm", "step_size", "evaluation_loss")


class OptimizerStep(eqx.Module):
    """One row: what was known when step `index` was taken, and what came of it. Columns not kept are None."""

    index: Any = None
    params: Any = None
    gradients: Any = None
    opt_state: Any = None
    updates: Any = None
    new_params: Any = None
    new_opt_state: Any = None
    loss: Any = None
    """The loss at `params`, as the optimizer saw it."""
    gradient_norm: Any = None
    """L2 norm of `gradients` over all leaves."""
    step_size: Any = None
    """L2 norm of `updates` over all leaves, in parameter units."""
    hyperparameters: Any = None
    """The values in force, by name; empty for an optimizer that does not tell."""
    evaluation_params: Any = None
    """Where the loss is judged, for optimizers that keep such a point apart (schedule-free); else None."""
    evaluation_loss: Any = None
    """The loss by which the run is judged, where it is not `loss`: at `evaluation_params`, or without noise."""


# What a trace stores. The rest follows: rows are those of steps 0, k, 2k, ..., and `new_*` stands in the next row.
COLUMNS = tuple(
    name for name in OptimizerStep.__dataclass_fields__ if name not in ("index", "new_params", "new_opt_state")
)
Device = Any  # jax.Device is no type to a type checker
Fields = Sequence[str] | Callable[[OptimizerStep], Any] | None


class Steps:
    """The rows of a trace: `steps[i]` is an `OptimizerStep`, `steps.loss` a whole column with leading axis `T`."""

    def __init__(self, trace: OptimizerTrace):
        self._trace = trace

    def __len__(self) -> int:
        leaves = jax.tree.leaves(self._trace.rows)
        return leaves[0].shape[0] if leaves else -(-self._trace.count // self._trace.every)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"The trace has {len(self)} recorded steps, no step {i}.")
        i %= len(self)
        row = jax.tree.map(lambda column: column[i], self._trace.rows)
        if not isinstance(row, OptimizerStep):
            return row
        index = i * self._trace.every
        params, state = self._after(i, index)
        in_force = None if row.hyperparameters is None else {**self._constants, **row.hyperparameters}
        return dataclasses.replace(row, index=index, new_params=params, new_opt_state=state, hyperparameters=in_force)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, column: str) -> Any:
        if column.startswith("_"):
            raise AttributeError(column)
        if column == "index":
            return self._trace.every * jnp.arange(len(self))
        if column in ("new_params", "new_opt_state"):
            return self._shifted(column.removeprefix("new_"))
        value = getattr(self._trace.rows, column)
        if value is None and column in COLUMNS:
            kept = self._trace.fields is None or column in tuple(self._trace.fields)
            reason = "this run has none apart" if kept else "it was not among the fields recorded"
            raise AttributeError(f"The trace has no column {column!r}: {reason}.")
        if column == "hyperparameters" and value is not None:
            return {**self._stacked_constants(), **value}
        return value

    @property
    def _constants(self) -> dict[str, Any]:
        """The hyperparameters that follow no schedule, stored once in the optimizer."""
        optimizer = self._trace.optimizer
        scheduled = getattr(optimizer, "scheduled", ())
        return {k: v for k, v in getattr(optimizer, "hyperparameters", {}).items() if k not in scheduled}

    def _stacked_constants(self) -> dict[str, Array]:
        return {k: jnp.broadcast_to(v, (len(self), *jnp.shape(v))) for k, v in self._constants.items()}

    def _after(self, i: int, index: int) -> tuple[Any, Any]:
        """The parameters and state after row `i`: the next row's, stored once; None where that was not recorded."""
        trace = self._trace
        if index == trace.count - 1:
            return trace.current_params, trace.opt_state
        if trace.every > 1:
            return None, None
        rows = trace.rows
        return tuple(jax.tree.map(lambda x: x[i + 1], column) for column in (rows.params, rows.opt_state))

    def _shifted(self, column: str) -> Any:
        if self._trace.every > 1:
            raise AttributeError(f"new_{column} is known for every=1 only, this trace has every={self._trace.every}.")
        last = self._trace.current_params if column == "params" else self._trace.opt_state
        return jax.tree.map(lambda x, end: _stack_end(x[1:], end), getattr(self, column), last)


class OptimizerTrace(eqx.Module):
    """A run: the optimizer, the surface, the recorded rows, and what is needed to go on.

    `OptimizerTrace(optimizer, surface, initial_params)` has no rows yet; `.step()` and `.run_optimization(num_steps)`
    return a new, longer trace and leave this one as it is. On a CPU a run in parts equals the run in one, bit for bit,
    if `every` is 1 and no part is a single step; else LLVM forms a fused multiply-add here and not there, and the last
    bit can differ. `XLA_FLAGS=--xla_cpu_max_isa=AVX`, which has none, makes all parts exact (of the catalogue, all
    but madgrad with its cube roots).
    The arguments are those of `record`.
    """

    optimizer: Any
    surface: LossSurface
    initial_params: Any
    key: PRNGKeyArray | None
    count: int
    """Steps taken so far."""
    rows: Any
    current_params: Any
    every: int = eqx.field(static=True)
    fields: Any = eqx.field(static=True)
    opt_state: Any
    """The optimizer's state after the last step."""
    final_loss: Float[Array, ""]
    """The loss at `final_params`; of a stochastic surface its expectation."""

    def __init__(
        self,
        optimizer: Any,
        surface: Callable[..., Any],
        initial_params: Any,
        *,
        key: PRNGKeyArray | int | np.integer | None = None,
        every: int = 1,
        fields: Fields = None,
        device: Device | None = None,
    ):
        start = _start(optimizer, surface, initial_params, key=key, every=every, fields=fields, device=device)
        for name, value in vars(_advanced(start, 0)).items():
            setattr(self, name, value)

    @property
    def name(self) -> str:
        """The optimizer's name."""
        return self.optimizer.name

    @property
    def steps(self) -> Steps:
        """The recorded rows."""
        return Steps(self)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def final_params(self) -> Any:
        """Where the run is judged: `current_params`, or the average that a schedule-free optimizer keeps."""
        return evaluation_params(self.opt_state, self.current_params)

    @property
    def path(self) -> Any:
        """The points at which the run is judged, the end included: `(T + 1, ...)`."""
        separate = self.rows.evaluation_params is not None
        points = self.steps.evaluation_params if separate else self.steps.params
        return jax.tree.map(_stack_end, points, self.final_params)

    @property
    def losses(self) -> Float[Array, " points"]:
        """The losses along `path`, the end included: `(T + 1,)`."""
        separate = self.rows.evaluation_loss is not None
        return _stack_end(self.steps.evaluation_loss if separate else self.steps.loss, self.final_loss)

    @property
    def path_index(self) -> Any:
        """The number of steps taken at each point of `path`: `(T + 1,)`."""
        return _stack_end(self.steps.index, self.count)

    def step(self) -> OptimizerTrace:
        """One step further."""
        return self.run_optimization(1)

    def run_optimization(self, num_steps: int) -> OptimizerTrace:
        """The trace with `num_steps` more steps."""
        return _advanced(vars(self), num_steps)

    def get_trajectory_data(self) -> dict[str, Any]:
        """The run as arrays on the host.

        `params` and `losses` along the path, the end included (T + 1 entries); `gradients` and `step_sizes` of the T
        steps; `optimizer_states` before every step and after the last (T + 1).
        """
        data = {
            "params": self.path,
            "losses": self.losses,
            "gradients": self.steps.gradients,
            "step_sizes": self.steps.step_size,
            "optimizer_states": jax.tree.map(_stack_end, self.steps.opt_state, self.opt_state),
        }
        return jax.device_get(data)

    def __repr__(self) -> str:
        return (
            f"OptimizerTrace({self.name} on {self.surface.name}, {self.count} steps, "
            f"{len(self)} recorded, final loss {float(self.final_loss):.4g})"
        )

    def _repr_html_(self) -> str:
        losses = np.asarray(self.losses) if getattr(self.rows, "loss", None) is not None else np.array([])
        facts = {
            "optimizer": self.name,
            "surface": self.surface.name,
            "steps": f"{self.count} ({len(self)} recorded)",
            **({"first loss": f"{losses[0]:.4g}", "best loss": f"{np.fmin.reduce(losses):.4g}"} if losses.size else {}),
            "final loss": f"{self.final_loss:.4g}",
            "final parameters": np.array2string(np.asarray(self.final_params), precision=4, threshold=8)
            if isinstance(self.final_params, jax.Array)
            else describe(self.final_params),
        }
        rows = "".join(f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
        return f"<table>{rows}</table>"


def record(
    optimizer: Any,
    surface: Callable[..., Any],
    initial_params: Any,
    num_steps: int,
    *,
    key: PRNGKeyArray | int | np.integer | None = None,
    every: int = 1,
    fields: Fields = None,
    device: Device | None = None,
) -> OptimizerTrace:
    """Descend `surface` with `optimizer` for `num_steps` steps by one compiled `lax.scan`, and keep the rows.

    Args:
      optimizer: an `OptimizerSpec`, or any Optax `GradientTransformation`, unmodified. Extra arguments (`value`,
        `grad`, `value_fn`, `obj_fn`, `grad_fn`, `key`, and `residuals_fn` if the surface has `residuals`) reach those
        optimizers that take them.
      surface: a `LossSurface`, or any callable `params -> scalar` (with an optional argument `key` if stochastic).
      initial_params: array, PyTree, or list of numbers. Its dtype is the run's.
      num_steps: how many steps; another number is another compiled program, other numbers in the optimizer or the
        surface are not.
      key: a PRNG key or a seed for stochastic surfaces. Step `t` draws from `fold_in(key, t)` alone, so rivals see
        the same draws and a resumed run repeats. None: the surface's expectation.
      every: keep the rows of steps 0, k, 2k, ... only.
      fields: the columns to keep: None for all, names from `OptimizerStep` (`SCALARS` is a ready choice), or a
        module-level function of the row. What is not kept costs nothing.
      device: where to run; JAX's default device otherwise.

    Returns:
      The trace. Divergence is a result: NaN and infinity are recorded, never raised.

    Raises:
      TypeError, ValueError: for an optimizer, a surface, a starting point or a count that cannot be meant.
    """
    start = _start(optimizer, surface, initial_params, key=key, every=every, fields=fields, device=device)
    return _advanced(start, num_steps)


def _start(
    optimizer: Any, surface: Any, initial_params: Any, *, key: Any, every: int, fields: Fields, device: Device | None
) -> dict[str, Any]:
    """The attributes of a trace before its first step."""
    params = as_params(initial_params)
    params = params if device is None else jax.device_put(params, device)
    return {
        "optimizer": as_optimizer(optimizer),
        "surface": as_surface(surface),
        "initial_params": params,
        "key": jax.random.key(key) if isinstance(key, int | np.integer) else key,
        "count": 0,
        "rows": None,
        "current_params": params,
        "every": _checked_count("every", every, 1),
        "fields": _checked_fields(fields),
        "opt_state": None,
        "final_loss": None,
    }


def _advanced(at: Mapping[str, Any], num_steps: int) -> OptimizerTrace:
    """The trace with attributes `at`, `num_steps` further.

    On attributes, not on the trace: making a Module or reaching its methods costs as much as hundreds of steps.
    """
    num_steps = _checked_count("num_steps", num_steps, 0)
    # An optimizer that no compiler can trace brings a loop of its own.
    advance = getattr(at["optimizer"], "advance", _advance)
    rows, params, opt_state, loss = advance(at, num_steps)
    trace = object.__new__(OptimizerTrace)
    vars(trace).update(
        at,
        rows=rows,
        count=int(at["count"]) + num_steps,
        current_params=params,
        opt_state=opt_state,
        final_loss=loss,
    )
    return trace


def _advance(at: Mapping[str, Any], num_steps: int) -> tuple[Any, Any, Any, Array]:
    """`(rows, params, opt_state, loss)` after `num_steps` more, all rows so far among them."""
    count = int(at["count"])
    rows, params, opt_state, loss = _run(
        at["optimizer"],
        at["surface"],
        at["current_params"],
        at["opt_state"],
        count,
        at["key"],
        num_steps=num_steps,
        every=at["every"],
        skip=-count % at["every"],
        fields=at["fields"],
        apart=_on_cpu(at["current_params"]),
    )
    return _appended(at["rows"], rows), params, opt_state, loss


@partial(jax.jit, static_argnames=("num_steps", "every", "skip", "fields", "apart"))
def _run(
    optimizer: Any,
    surface: LossSurface,
    params: Any,
    opt_state: Any,
    count: Any,
    key: PRNGKeyArray | None,
    *,
    num_steps: int,
    every: int,
    skip: int,
    fields: Fields,
    apart: bool,
) -> tuple[Any, Any, Any, Array]:
    """The compiled loop: `(rows, params, opt_state, loss)` after `num_steps`, the first `skip` of them unrecorded."""
    check_shape(surface, params)
    opt_state = optimizer.init(params) if opt_state is None else opt_state
    step = partial(take_step, optimizer, surface, key)
    carry = stable(lambda carry: step(carry)[0], (jnp.asarray(count, jnp.int32), params, opt_state))

    def one_step(carry: Any) -> tuple[Any, Any]:
        carry, row = step(carry)
        return carry, kept(row, fields, optimizer)

    one_step = compiled_apart(one_step) if apart else one_step

    def advance(carry: Any, _: None = None) -> tuple[Any, None]:
        return one_step(carry)[0], None

    def row_and(gap: int) -> Callable[[Any], tuple[Any, Any]]:
        """A row, then `gap` steps without."""

        def body(carry: Any) -> tuple[Any, Any]:
            carry, row = one_step(carry)
            return jax.lax.scan(advance, carry, length=gap)[0], row

        return body if gap else one_step

    skip = min(skip, num_steps)
    num_rows, rest = divmod(num_steps - skip, every)
    if skip:
        carry, _ = _loop(advance, carry, skip)
    carry, rows = _loop(row_and(every - 1), carry, num_rows)
    if rest:
        carry, last = _loop(row_and(rest - 1), carry, 1)
        rows = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rows, last)
    _, params, opt_state = carry
    return rows, params, opt_state, surface(evaluation_params(opt_state, params))


def _on_cpu(params: Any) -> bool:
    leaves = [x for x in jax.tree.leaves(params) if not isinstance(x, jax.core.Tracer)]
    return leaves[0].device.platform == "cpu" if leaves else jax.default_backend() == "cpu"


class Descent(NamedTuple):
    """A run that is over: where it is judged, its optimizer's state, its loss, the total of its rows, the rows kept."""

    params: Any
    opt_state: Any
    loss: Array
    total: Any
    rows: Any


def descend(
    optimizer: Any,
    surface: LossSurface,
    params: Any,
    num_steps: int,
    key: PRNGKeyArray | None,
    total: Any,
    add: Callable[[Any, OptimizerStep], Any],
    keep: Callable[[OptimizerStep], Any] = lambda row: None,
) -> Descent:
    """The loop of `record` inside a program of its own: each row is folded into `total`, and `keep(row)` is stacked."""
    check_shape(surface, params)
    step = partial(take_step, optimizer, surface, key)

    def one_step(carry: Any, _: None) -> tuple[Any, Any]:
        at, total = carry
        at, row = step(at)
        return (at, add(total, row)), keep(row)

    start = stable(lambda at: step(at)[0], (jnp.int32(0), params, optimizer.init(params)))
    ((_, params, state), total), rows = jax.lax.scan(one_step, (start, total), length=num_steps)
    end = evaluation_params(state, params)
    return Descent(end, state, surface(end), total, rows)


def compiled_apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled as a function of its own, not fused with what stands around each call.

    So a step is rounded alike in programs of any length. It is faster too: a program of few kernels stays on one
    thread. The mark is meant for XLA's CPU compiler.
    """
    compiled = jax.jit(function)
    return lambda *args: set_xla_metadata(compiled(*args), inlineable="false")


def _loop(body: Callable[[Any], tuple[Any, Any]], carry: Any, length: int) -> tuple[Any, Any]:
    """`lax.scan` without inputs. A loop of one stays a loop, which the compiler would unroll and round differently."""
    if length != 1:
        return jax.lax.scan(lambda carry, _: body(carry), carry, length=length)

    def once(carry: Any, first: Any) -> tuple[Any, Any]:
        # Nothing comes of the second round, not even a NaN in a derivative.
        new, row = body(jax.tree.map(lambda x: jnp.where(first, x, jax.lax.stop_gradient(x)), carry))
        return jax.tree.map(partial(jnp.where, first), new, carry), row

    carry, rows = jax.lax.scan(once, carry, jnp.array([True, False]))
    return carry, jax.tree.map(lambda x: x[:1], rows)


def take_step(
    optimizer: Any, surface: LossSurface, key: PRNGKeyArray | None, carry: tuple[Array, Any, Any]
) -> tuple[tuple[Array, Any, Any], OptimizerStep]:
    """One step: the carry after it, and its whole row; what nobody keeps is never computed."""
    count, params, opt_state = carry
    # Noise depends on (key, step) alone: rivals see the same draws, resumed runs repeat.
    step_key = fold(key, count)

    def value_fn(params: Any, **_: Any) -> Array:
        return surface(params, step_key)

    loss, grads = jax.value_and_grad(value_fn)(params)
    extra = {
        "value": loss,
        "grad": grads,
        "value_fn": value_fn,
        "obj_fn": value_fn,
        "grad_fn": lambda params, _=None: jax.grad(value_fn)(params),
        "key": fold(_optimizers_key(key), count),
    }
    residuals = getattr(surface, "residuals", None)
    if residuals is not None:
        extra["residuals_fn"] = lambda params: residuals(params, step_key)
    updates, new_state = optimizer.update(grads, opt_state, params, **extra)
    judged = evaluation_params(opt_state, params)
    noisy = key is not None and surface.is_stochastic
    row = OptimizerStep(
        index=count,
        params=params,
        gradients=grads,
        opt_state=opt_state,
        updates=updates,
        loss=loss,
        gradient_norm=optax.tree.norm(grads),
        step_size=optax.tree.norm(updates),
        hyperparameters=_in_force(optimizer, new_state, count),
        evaluation_params=None if judged is params else judged,
        # A stochastic surface is judged by its expectation: the best of many noisy losses is luck.
        evaluation_loss=surface(judged) if noisy or judged is not params else None,
    )
    return (count + 1, optax.apply_updates(params, updates), new_state), row


def stable(advance: Callable[[Any], Any], carry: Any) -> Any:
    """`carry` in the types that it has after a step, so that an optimizer whose state drifts in type can be scanned."""
    after = jax.eval_shape(advance, carry)
    if jax.tree.structure(after) != jax.tree.structure(carry):
        return carry  # lax.scan says what changed, leaf by leaf

    def promoted(x: Array, like: jax.ShapeDtypeStruct) -> Array:
        return x if x.dtype == like.dtype else x.astype(jnp.promote_types(x.dtype, like.dtype))

    return jax.tree.map(promoted, jax.tree.map(jnp.asarray, carry), after)


def _in_force(optimizer: Any, new_state: Any, count: Any) -> dict[str, Any]:
    """The hyperparameters of step `count`, as the optimizer tells, and above that its state.

    The state of `optax.inject_hyperparams` tells them, and that of an optimizer that moves its own learning rate.
    """
    told = optimizer.in_force(count) if hasattr(optimizer, "in_force") else {}
    state = new_state.inner if isinstance(new_state, ScheduledState) else new_state
    return {**told, **getattr(state, "hyperparams", {})}


def kept(row: OptimizerStep, fields: Fields, optimizer: Any) -> Any:
    """What of `row` is written down: hyperparameters that never change stay with the optimizer."""
    if callable(fields):
        return fields(row)
    # A run is judged by one curve: what judges comes along with what the optimizer saw.
    judges = {"loss": "evaluation_loss", "params": "evaluation_params"}
    names = COLUMNS if fields is None else {*fields, *(judges[name] for name in fields if name in judges)}
    columns = {name: getattr(row, name) for name in names}
    if "hyperparameters" in columns:
        constant = getattr(optimizer, "hyperparameters", {})
        columns["hyperparameters"] = {k: v for k, v in row.hyperparameters.items() if v is not constant.get(k)}
    return OptimizerStep(**columns)


def _optimizers_key(key: PRNGKeyArray | None) -> PRNGKeyArray:
    """A stream of draws of its own for the optimizer, apart from the surface's."""
    return jax.random.key(0) if key is None else jax.random.fold_in(key, 2**32 - 1)


def fold(key: PRNGKeyArray | None, count: Any) -> PRNGKeyArray | None:
    """The key of step `count`."""
    return None if key is None else jax.random.fold_in(key, count)


def _appended(rows: Any, new: Any) -> Any:
    """Rows after rows, on the host: a device would compile another program for every length."""
    if rows is None:
        return new

    def joined(a: Any, b: Any) -> Any:
        # Keys have no form on the host, and nothing has while it is traced.
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) or isinstance(b, jax.core.Tracer):
            return jnp.concatenate([a, b])
        return np.concatenate([jax.device_get(a), jax.device_get(b)])

    return jax.tree.map(joined, rows, new)


def _stack_end(column: Any, end: Any) -> Array:
    return jnp.concatenate([column, jnp.asarray(end, column.dtype)[None]])


def check_shape(surface: LossSurface, params: Any) -> None:
    """Refuse parameters that the surface cannot take; asked while tracing, so a warm run does not pay for it."""
    try:
        example = jax.eval_shape(lambda: surface.start)
    except AttributeError:  # a plain function has no customary start to compare with
        return
    if not same_shape(params, example):
        raise ValueError(f"{surface.name} takes {describe(example)}, got {describe(params)}.")


def _checked_count(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}.")
    return int(value)


def _checked_fields(fields: Fields) -> Fields:
    if fields is None or callable(fields):
        return fields
    unknown = [name for name in fields if name not in COLUMNS]
    if isinstance(fields, str) or unknown:
        raise ValueError(f"fields are names among {', '.join(COLUMNS)}, or a function of the row; got {fields!r}.")
    return tuple(fields)
