"""What goes on inside runs: loss, gradient, step, distance and the optimizer's state through time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from optviz import metrics
from optviz.plotting import style
from optviz.plotting.comparison import Curve, draw_curves, loss_curves
from surfaces.names import unknown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Quantity = str | Callable[[Any], Any]


def plot_diagnostics(
    traces: Any,
    axes: Sequence[Axes] | None = None,
    state: Quantity | Sequence[Quantity] | None = None,
    *,
    note: str | None = None,
) -> np.ndarray:
    """Draw loss, gradient norm, step size and distance to the nearest minimum against steps, in a column.

    Axes are logarithmic where the values call for it. The distance is left out where no minimum is known.

    Args:
      traces: one run or several.
      axes: where to draw, as many as there are curves; a new figure if None.
      state: a quantity of the optimizer's state, drawn last: the name of one of its fields, such as `"mu"` or
        `"nu"`, or a function of the state. Of what is not one number, the L2 norm over all entries is drawn.
        Rivals without such a field are left out. Several quantities are drawn one below the other.
      note: said in the heading instead of the learning rates.

    Returns:
      The Axes, in the order from top to bottom.

    Raises:
      ValueError: for a `state` that no run has, or the wrong number of `axes`.
      AttributeError: for a run that did not record what is to be drawn.
    """
    traces = style.as_traces(traces)
    panels = diagnostic_curves(traces, state)
    drawn = _new_axes(len(panels)) if axes is None else np.ravel(np.asarray(axes, object))
    if len(drawn) != len(panels):
        raise ValueError(f"There are {len(panels)} curves to draw ({', '.join(panels)}), got {len(drawn)} Axes.")
    steps = []
    for ax, (label, curves) in zip(drawn, panels.items(), strict=True):
        draw_curves(ax, traces, curves)
        ax.set_ylabel(label)
        steps.append(ax.get_xlim())
    for ax in drawn:
        ax.set_xlim(np.min(steps), np.max(steps))
    drawn[-1].set_xlabel("steps")
    style.legend(drawn[0], widen=axes is None)
    names = dict.fromkeys(trace.surface.name.replace("_", " ") for trace in traces)
    style.heading(drawn[0], ", ".join(names), style.what_was_equal(traces, note))
    return drawn


def diagnostic_curves(
    traces: Sequence[Any], state: Quantity | Sequence[Quantity] | None = None
) -> dict[str, list[Curve | None]]:
    """By label, for every run the numbers of steps and the values of a diagnostic; None where it has none."""
    losses, label, _ = loss_curves(traces)
    curves: dict[str, list[Any]] = {label: list(losses)}
    for name, column in (("gradient norm", "gradient_norm"), ("step size", "step_size")):
        curves[name] = [(trace.path_index[:-1], getattr(trace.steps, column)) for trace in traces]
    if all(trace.surface.minima for trace in traces):
        curves["distance to\nminimum"] = [(trace.path_index, metrics.distances(trace)) for trace in traces]
    for quantity in _quantities(state):
        curves[_state_label(quantity)] = [state_curve(trace, quantity) for trace in traces]
        if not any(curve is not None for curve in curves[_state_label(quantity)]):
            raise ValueError(_missing(traces, quantity))
    # Key by key: JAX would sort them.
    fetched = jax.device_get(list(curves.values()))
    return dict(zip(curves, jax.tree.map(lambda x: np.asarray(x, float), fetched), strict=True))


def state_curve(trace: Any, state: Quantity) -> tuple[Array, Float[Array, " T"]] | None:
    """The numbers of steps (T,) and a quantity of the state before each; None without such a field."""
    states = trace.steps.opt_state
    if callable(state):
        return trace.path_index[:-1], jax.vmap(lambda s: _size(state(s)))(states)
    found = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(states) if state in _names(path)]
    return (trace.path_index[:-1], jax.vmap(_size)(found)) if found else None


def _quantities(state: Quantity | Sequence[Quantity] | None) -> Sequence[Quantity]:
    if state is None:
        return ()
    return (state,) if isinstance(state, str) or callable(state) else state


def _size(value: Any) -> Float[Array, ""]:
    """A number as it is, the L2 norm of anything larger."""
    leaves = jax.tree.leaves(value)
    if len(leaves) == 1 and jnp.ndim(leaves[0]) == 0:
        return jnp.asarray(leaves[0], float)
    return optax.tree.norm([jnp.asarray(leaf, jnp.result_type(leaf, float)) for leaf in leaves])


def _names(path: Sequence[Any]) -> list[str]:
    """The names of fields and keys on the way to a leaf of the state."""
    names = [getattr(step, "name", getattr(step, "key", None)) for step in path]
    return [name for name in names if isinstance(name, str)]


def _state_label(state: Quantity) -> str:
    name = state if isinstance(state, str) else getattr(state, "__name__", "state")
    return "state" if name == "<lambda>" else f"state: {name}"


def _missing(traces: Sequence[Any], state: Any) -> str:
    states = [trace.steps.opt_state for trace in traces]
    known = {name for path, _ in jax.tree_util.tree_leaves_with_path(states) for name in _names(path)}
    return unknown_name("field of the optimizer's state", str(state), known)


def _new_axes(count: int) -> np.ndarray:
    import matplotlib.pyplot as plt

    size = (5.6, 1.35 * count + 0.8)
    return plt.subplots(count, 1, figsize=size, sharex=True, squeeze=False, layout="constrained")[1].ravel()
