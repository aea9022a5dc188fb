"""Parameter groups: parts of a tree of parameters with hyperparameters of their own, and a state that can be edited.

    optimizer = param_groups(
        [{"params": "*/bias", "learning_rate": 0.1}, {"params": "*", "b1": 0.8}],
        optviz.optimizer("adam", learning_rate=0.01),
        schedules={"learning_rate": optviz.schedules.cosine_decay_schedule(1.0, 1000)},
    )

A group that would do nothing, and a parameter that would not move, are errors. The hyperparameters stand in the state,
as with `optax.inject_hyperparams`, so they can be changed between steps by `set_hyperparameter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from optviz.optimizers.protocol import WiredOptimizer, as_optimizer
from optviz.optimizers.schedules import Schedule, as_schedule
from optviz.optimizers.spec import OptimizerSpec, as_number
from optviz.optimizers.states import path_of
from surfaces.names import unknown_name

_OWN_KEYS = ("params", "name", "maximize")


class GroupState(NamedTuple):
    """The state of one group."""

    steps: Int[Array, ""]
    base: dict[str, Any]
    """The hyperparameters by name, before a schedule multiplies them."""
    hyperparams: dict[str, Any]
    """The hyperparameters in force in the last step."""
    inner: Any


class GroupsState(NamedTuple):
    """The state of `param_groups`: that of every group by its name."""

    groups: dict[str, GroupState]

    @property
    def hyperparams(self) -> dict[str, dict[str, Any]]:
        """By group and name, the hyperparameters in force in the last step; the recorder keeps them."""
        return {name: group.hyperparams for name, group in self.groups.items()}


def param_groups(
    groups: Sequence[Mapping[str, Any]],
    optimizer: Any,
    *,
    labels: Any = None,
    schedules: Mapping[str, Callable[[Any], Any]] | None = None,
) -> ParamGroups:
    """One optimizer with hyperparameters of their own for parts of the parameters.

    Args:
      groups: for each group a dict. `params` says which leaves are its own: a pattern of their paths, or several
        (`"encoder/*"`; `*` matches anything, `/` included), and where several groups match, the first has the leaf;
        or, with `labels`, a label. `name` names the group, by default what `params` says. `maximize=True` climbs,
        with any optimizer. All other keys are hyperparameters, in place of the optimizer's.
      optimizer: what all groups share, an `OptimizerSpec` such as `optviz.optimizer("adam")`. Any other Optax
        optimizer may be given, if no group changes its hyperparameters.
      labels: a tree of labels, shaped like the parameters or the upper part of their tree, or a function that
        makes it from the parameters, as for `optax.partition`.
      schedules: by the name of a hyperparameter, a schedule that multiplies the value of every group, so that
        their ratios stay; it is called with the number of steps that the group has taken.

    Returns:
      The optimizer. Its `init` raises ValueError for a leaf without a group and a group without a leaf.

    Raises:
      ValueError: for no group, or two of one name.
      TypeError: for a group without `params`, or an unknown key.
    """
    shared = as_optimizer(optimizer)
    read = [_group(given, shared, labels is None) for given in groups]
    names = [group.name for group in read]
    if not names or len(set(names)) < len(names):
        twice = sorted({repr(n) for n in names if names.count(n) > 1})
        raise ValueError(f"Groups need names of their own, {f'got {twice[0]} twice' if twice else 'got no group'}.")
    factors = {name: as_schedule(schedule) for name, schedule in (schedules or {}).items()}
    for group in read:
        for name in factors:
            if name not in _numbers(group.optimizer):
                raise TypeError(f"Group {group.name!r}: {unknown_name('number', name, _numbers(group.optimizer))}")
    return ParamGroups(groups=tuple(read), schedules=factors, labels=labels, name=shared.name)


class Group(eqx.Module):
    """One group: its optimizer, and which leaves are its own."""

    optimizer: WiredOptimizer
    name: str = eqx.field(static=True)
    patterns: tuple[str, ...] = eqx.field(static=True)
    maximize: bool = eqx.field(static=True)


class ParamGroups(WiredOptimizer):
    """An optimizer made by `param_groups`."""

    groups: tuple[Group, ...]
    schedules: dict[str, Schedule]
    labels: Any = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def init(self, params: Any) -> GroupsState:
        """The state before the first step."""
        owners = self.owners(params)
        return GroupsState({g.name: _fresh(g, _part(params, owners, g.name)) for g in self.groups})

    def update(self, grads: Any, state: GroupsState, params: Any = None, /, **extra: Any) -> tuple[Any, GroupsState]:
        """The updates of all groups in one tree, and the new state; extra arguments reach the groups' optimizers."""
        owners, states, updates = self.owners(grads), {}, grads
        for group in self.groups:
            own = state.groups[group.name]
            in_force = {k: v * self.schedules[k](own.steps) if k in self.schedules else v for k, v in own.base.items()}
            in_force = {k: jnp.asarray(v, own.base[k].dtype) for k, v in in_force.items()}
            offered = _offered(extra, owners, group, params)
            sign = -1 if group.maximize else 1
            part = jax.tree.map(lambda g, sign=sign: sign * g, _part(grads, owners, group.name))
            steps, inner = _with(group.optimizer, in_force).update(
                part, own.inner, None if params is None else _part(params, owners, group.name), **offered
            )
            updates = _merged(steps, updates, owners, group.name)
            states[group.name] = GroupState(own.steps + 1, own.base, in_force, inner)
        return updates, GroupsState(states)

    def owners(self, params: Any) -> tuple[str, ...]:
        """The name of the group of every leaf, in the order of `jax.tree.leaves`.

        Raises:
          ValueError: for a leaf without a group, or a group without a leaf.
        """
        paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        owners = self._by_pattern(paths) if self.labels is None else self._by_label(params)
        if lost := [path for path, owner in zip(paths, owners, strict=True) if owner is None]:
            raise ValueError(f"No group has the parameters {', '.join(map(repr, lost))}: add one, e.g. for '*'.")
        if idle := [g.name for g in self.groups if g.name not in owners]:
            known = ", ".join(map(repr, paths))
            raise ValueError(
                f"The group {idle[0]!r} has no parameters, or earlier groups have them. There are {known}."
            )
        return tuple(owner for owner in owners if owner is not None)

    def reset(self, state: GroupsState, params: Any, group: str | None = None) -> GroupsState:
        """The state with counts and moments as at the start, of one group or of all; hyperparameters stay as set."""
        fresh = self.init(params).groups
        chosen = _chosen(state, group)
        renewed = {n: fresh[n]._replace(base=state.groups[n].base, hyperparams=state.groups[n].base) for n in chosen}
        return GroupsState({**state.groups, **renewed})

    def _by_pattern(self, paths: Sequence[str]) -> list[str | None]:
        def owner(path: str) -> str | None:
            return next((g.name for g in self.groups if any(fnmatchcase(path, p) for p in g.patterns)), None)

        return [owner(path) for path in paths]

    def _by_label(self, params: Any) -> list[str | None]:
        labels = self.labels(params) if callable(self.labels) else self.labels
        each = jax.tree.leaves(jax.tree.map(lambda label, part: jax.tree.map(lambda _: label, part), labels, params))
        by_label = {label: g.name for g in self.groups for label in g.patterns}
        return [by_label.get(label) for label in each]


def set_hyperparameter(state: GroupsState, name: str, value: Any, group: str | None = None) -> GroupsState:
    """The state with another value of a hyperparameter, in one group or in all; `state` itself stays as it is.

    A schedule goes on to multiply it.

    Raises:
      TypeError: for a state that is not that of `param_groups`, or a value that is no number.
      ValueError: for an unknown group, or a name that is no number of the group.
    """
    if not isinstance(state, GroupsState):
        raise TypeError(f"set_hyperparameter needs the state of param_groups, got {type(state).__name__}.")
    if callable(value):
        raise TypeError(f"{name} must be a number, got {value!r}; param_groups takes schedules.")
    if not isinstance(group, str | None):
        raise TypeError(f"group must be the name of a group, one of {', '.join(state.groups)}, got {group!r}.")
    value, changed = as_number(name, value), {}
    for label in _chosen(state, group):
        own = state.groups[label]
        if name not in own.base:
            raise ValueError(f"Group {label!r}: {unknown_name('number', name, own.base)}")
        changed[label] = own._replace(base={**own.base, name: jnp.asarray(value, own.base[name].dtype)})
    return GroupsState({**state.groups, **changed})


def _group(given: Mapping[str, Any], shared: WiredOptimizer, by_pattern: bool) -> Group:
    """A group as it was described."""
    if "params" not in given:
        raise TypeError(
            f"A group needs 'params', the pattern of its parameters' paths or a label, got {dict(given)!r}."
        )
    patterns = given["params"]
    patterns = tuple(patterns) if isinstance(patterns, list | tuple) else (patterns,)
    if not patterns or not all(isinstance(p, str) for p in patterns):
        kind = "patterns such as 'encoder/*'" if by_pattern else "labels"
        raise TypeError(f"'params' of a group are {kind}, one or several, got {given['params']!r}.")
    name = given.get("name", ", ".join(patterns))
    maximize = given.get("maximize", False)
    if not isinstance(maximize, bool):
        raise TypeError(f"Group {name!r}: maximize must be True or False, got {maximize!r}.")
    return Group(_overridden(name, shared, given), name, patterns, maximize)


def _overridden(name: str, shared: WiredOptimizer, given: Mapping[str, Any]) -> WiredOptimizer:
    """The optimizer of a group, with the group's own hyperparameters."""
    own = {k: v for k, v in given.items() if k not in _OWN_KEYS}
    if not own:
        return shared
    if not isinstance(shared, OptimizerSpec):
        raise TypeError(
            f"Group {name!r} sets {', '.join(own)}, which {shared.name} cannot change: it is built already. "
            "Give optviz.optimizer(...) or OptimizerSpec(factory, ...)."
        )
    try:
        return shared.replace(**own)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Group {name!r}: {error}") from None


def _numbers(optimizer: WiredOptimizer) -> dict[str, Any]:
    """The hyperparameters that are single numbers and follow no schedule of their own."""
    values = getattr(optimizer, "hyperparameters", {})
    return {k: v for k, v in values.items() if not isinstance(v, Schedule) and jnp.ndim(v) == 0}


def _fresh(group: Group, params: Any) -> GroupState:
    """The state of a group before its first step, with numbers in the parameters' precision, but at least float32."""
    dtype = jnp.promote_types(jnp.result_type(*jax.tree.leaves(params)), jnp.float32)
    dtype = jnp.finfo(dtype).dtype
    whole = {k: jnp.issubdtype(jnp.result_type(v), jnp.integer) for k, v in _numbers(group.optimizer).items()}
    base = {k: jnp.asarray(v, None if whole[k] else dtype) for k, v in _numbers(group.optimizer).items()}
    return GroupState(jnp.zeros((), jnp.int32), base, base, group.optimizer.init(params))


def _with(optimizer: Any, numbers: Mapping[str, Any]) -> Any:
    return optimizer.replace(**numbers) if numbers else optimizer


def _offered(extra: Mapping[str, Any], owners: Sequence[str], group: Group, params: Any) -> dict[str, Any]:
    """The extra arguments as one group sees them: functions of its own parameters, the others where they are."""
    sign = -1 if group.maximize else 1

    def whole(part: Any) -> Any:
        return _merged(part, params, owners, group.name)

    def value(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda part, *args, **kwargs: sign * function(whole(part), *args, **kwargs)

    def gradient(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda part, *args: _signed(sign, _part(function(whole(part), *args), owners, group.name))

    seen = {
        "value": lambda v: sign * v,
        "grad": lambda g: _signed(sign, _part(g, owners, group.name)),
        "value_fn": value,
        "obj_fn": value,
        "grad_fn": gradient,
    }
    return {k: seen[k](v) if k in seen else v for k, v in extra.items()}


def _signed(sign: int, tree: Any) -> Any:
    return jax.tree.map(lambda x: sign * x, tree)


def _part(tree: Any, owners: Sequence[str], name: str) -> Any:
    """The tree with the leaves of one group only, as `optax.masked` leaves it."""
    leaves, structure = jax.tree.flatten(tree)
    mine = [x if owner == name else optax.MaskedNode() for x, owner in zip(leaves, owners, strict=True)]
    return structure.unflatten(mine)


def _merged(part: Any, tree: Any, owners: Sequence[str], name: str) -> Any:
    """The tree with the leaves of one group from `part`."""
    leaves, structure = jax.tree.flatten(tree)
    mine = iter(jax.tree.leaves(part))
    return structure.unflatten([next(mine) if o == name else x for x, o in zip(leaves, owners, strict=True)])


def _chosen(state: GroupsState, group: str | None) -> list[str]:
    if group is not None and group not in state.groups:
        raise ValueError(unknown_name("group", group, state.groups))
    return list(state.groups) if group is None else [group]
