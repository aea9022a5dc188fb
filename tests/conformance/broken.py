"""For every law an optimizer that breaks it: gradient descent with one fault."""

import itertools
import random

import jax
import jax.numpy as jnp
import numpy as np
import optax

RATE = 0.1


def _sgd(update, init=lambda params: optax.EmptyState(), extra=False):
    """Gradient descent whose update has a fault."""
    kind = optax.GradientTransformationExtraArgs if extra else optax.GradientTransformation
    return kind(init, update)


def _each(function, init=lambda params: optax.EmptyState()):
    """Gradient descent with a faulty formula for each leaf."""
    return _sgd(lambda grads, state, params=None: (jax.tree.map(function, grads), state), init)


def _down(g):
    return -RATE * g


def loses_a_leaf():
    return _sgd(lambda grads, state, params=None: ({"matrix": -RATE * grads["matrix"]}, state))


def counts_its_inits():
    counter = itertools.count()
    return _each(_down, lambda params: jnp.asarray(next(counter)))


def draws_global_numbers():
    return _each(lambda g: -RATE * g * (1 + random.random()))


def writes_into_gradients():
    def update(grads, state, params=None):
        for g in jax.tree.leaves(grads):
            if isinstance(g, np.ndarray):
                g *= 0.5
        return jax.tree.map(_down, grads), state

    return _sgd(update)


def counts_in_python():
    return _sgd(lambda g, n, p=None: (jax.tree.map(_down, g), n + 1), lambda params: 0)


def remembers_all_gradients():
    return _sgd(lambda g, past, p=None: (jax.tree.map(_down, g), [*past, g]), lambda params: [])


def refuses_other_arguments():
    def update(grads, state, params=None, **extra):
        if extra:
            raise RuntimeError("no")
        return jax.tree.map(_down, grads), state

    return _sgd(update, extra=True)


def needs_a_loss_it_does_not_name():
    def update(grads, state, params=None, *, value=None, **extra):
        return jax.tree.map(lambda g: -RATE * g * jnp.minimum(1.0, 1 / (1 / value)), grads), state

    return _sgd(update, extra=True)


def needs_params_it_does_not_name():
    return _sgd(lambda g, s, p=None: (jax.tree.map(lambda g, i: _down(g), g, dict(p)), s))


def looks_whether_it_is_compiled():
    return _each(lambda g: g * (RATE if isinstance(g, jax.core.Tracer) else -RATE))


def calls_back():
    return _each(
        lambda g: jax.pure_callback(lambda x: np.asarray(_down(x), x.dtype), jax.ShapeDtypeStruct(g.shape, g.dtype), g)
    )


def branches_on_its_rate(learning_rate=RATE):
    return optax.sgd(learning_rate if learning_rate < 1 else 1.0)


def changes_its_types():
    return _sgd(
        lambda g, s, p=None: (jax.tree.map(_down, g), s.astype(jnp.float32) + 1),
        lambda params: jnp.zeros((), jnp.int32),
    )


def has_an_unsafe_root():
    return _sgd(lambda g, s, p: (jax.tree.map(lambda g, p: _down(g) + 0 * jnp.sqrt(jnp.sum(0 * p)), g, p), s))


def casts_to(dtype):
    return lambda: _each(lambda g: _down(g).astype(dtype))


def overflows_in_half():
    return _each(lambda g: -RATE * g / jnp.asarray(1e-9, g.dtype) * jnp.asarray(1e-9, g.dtype))


def drops_imaginary_parts():
    return _each(lambda g: (-RATE * jnp.real(g)).astype(g.dtype))


def casts_to_its_first_leaf():
    def update(grads, state, params=None):
        dtype = jax.tree.leaves(grads)[0].dtype
        return jax.tree.map(lambda g: (-RATE * g).astype(dtype), grads), state

    return _sgd(update)


def stores_the_loss_as_it_comes():
    def update(grads, state, params=None, *, value, **extra):
        return jax.tree.map(lambda g: -RATE * g * (state > 0), grads), value

    return _sgd(update, lambda params: jnp.ones(()), extra=True)


def wants_a_python_number(learning_rate=RATE):
    if not isinstance(learning_rate, float):
        raise TypeError("learning_rate must be a float")
    return optax.sgd(learning_rate)


def multiplies_by_its_rate(learning_rate=RATE):
    return _each(lambda g: -learning_rate * g)


def counts_its_calls():
    counter = itertools.count()
    return _sgd(lambda g, s, p=None: (jax.tree.map(lambda g: -RATE * g * (1 + next(counter)), g), s))


def looks_for_names():
    def update(grads, state, params=None):
        return {**jax.tree.map(_down, grads), "vector": -RATE * grads["vector"] - 0 * grads["matrix"].sum()}, state

    return _sgd(update, lambda params: jnp.zeros_like(params["vector"]))


def hides_that_it_needs_the_loss():
    def update(grads, state, params=None, *, value):
        return jax.tree.map(lambda g: -RATE * g * jnp.minimum(value, 1.0), grads), state

    return _sgd(update)


def divides_by_its_first_gradient():
    def update(grads, first, params=None):
        norm = optax.tree.norm(grads)
        first = jnp.where(first < 0, norm, first)
        return jax.tree.map(lambda g: -RATE * g / first, grads), first

    return _sgd(update, lambda params: -jnp.ones(()))


def normalizes():
    return _each(lambda g: -RATE * g / jnp.linalg.norm(g.ravel()))


def steps_relative_to_its_parameters():
    return _sgd(lambda g, s, p: (jax.tree.map(lambda g, p: -RATE * g * jnp.abs(p), g, p), s))


def indexes_its_first_axis():
    return _each(lambda g: -RATE * g + 0 * g[:1])


def takes_a_maximum():
    return _each(lambda g: -RATE * g / jnp.maximum(1.0, jnp.max(g)))


def maps_over_none():
    return _sgd(lambda g, s, p=None: (jax.tree.map(_down, g, is_leaf=lambda x: x is None), s))


def counts_in_sixteen_bits():
    return _each(lambda g: -RATE * g * (jnp.asarray(np.int16(g.size)) > 0))


def stops_at_what_is_not_finite():
    def update(grads, state, params=None):
        if not isinstance(jax.tree.leaves(grads)[0], jax.core.Tracer):
            for g in jax.tree.leaves(grads):
                if not np.isfinite(np.asarray(g, np.float32)).all():
                    raise FloatingPointError("gradient is not finite")
        return jax.tree.map(_down, grads), state

    return _sgd(update)


def keeps_its_name_in_the_state():
    return _each(_down, lambda params: {"name": "sgd"})


def gathers_its_state():
    def init(params):
        here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        return jax.tree.map(lambda p: jax.lax.with_sharding_constraint(jnp.zeros_like(p), here), params)

    return _sgd(lambda g, s, p=None: (jax.tree.map(_down, g), s), init)


def ascends():
    return _each(lambda g: RATE * g)


BROKEN = {
    "protocol.runs": loses_a_leaf,
    "protocol.init_is_pure": counts_its_inits,
    "protocol.update_is_pure": draws_global_numbers,
    "protocol.inputs_are_kept": writes_into_gradients,
    "protocol.state_is_arrays": counts_in_python,
    "protocol.state_keeps_its_structure": remembers_all_gradients,
    "protocol.unknown_arguments": refuses_other_arguments,
    "protocol.needed_arguments_are_named": needs_a_loss_it_does_not_name,
    "protocol.needs_params_or_not": needs_params_it_does_not_name,
    "transformations.jit": looks_whether_it_is_compiled,
    "transformations.vmap": calls_back,
    "transformations.vmap_hyperparameters": branches_on_its_rate,
    "transformations.scan": changes_its_types,
    "transformations.no_retrace": changes_its_types,
    "transformations.differentiable": has_an_unsafe_root,
    "transformations.cond": changes_its_types,
    "types.float32": casts_to("bfloat16"),
    "types.float64": casts_to("float32"),
    "types.bfloat16": casts_to("float32"),
    "types.float16": overflows_in_half,
    "types.complex64": drops_imaginary_parts,
    "types.mixed_tree": casts_to_its_first_leaf,
    "types.loss_of_another_type": stores_the_loss_as_it_comes,
    "wrapping.inject_hyperparams": wants_a_python_number,
    "wrapping.schedule": multiplies_by_its_rate,
    "wrapping.multi_steps": counts_its_calls,
    "wrapping.masked": looks_for_names,
    "wrapping.partition": looks_for_names,
    "wrapping.chain": hides_that_it_needs_the_loss,
    "wrapping.apply_if_finite": changes_its_types,
    "wrapping.tree_map_params": looks_for_names,
    "edges.zero_first_gradient": divides_by_its_first_gradient,
    "edges.zero_gradients": normalizes,
    "edges.zero_parameters": steps_relative_to_its_parameters,
    "edges.scalar_leaf": indexes_its_first_axis,
    "edges.empty_vector": takes_a_maximum,
    "edges.empty_matrix": takes_a_maximum,
    "edges.none_leaf": maps_over_none,
    "edges.huge_leaf": counts_in_sixteen_bits,
    "edges.nan_gradient": stops_at_what_is_not_finite,
    "edges.infinite_gradient": stops_at_what_is_not_finite,
    "persistence.save_and_load": keeps_its_name_in_the_state,
    "persistence.deterministic": draws_global_numbers,
    "persistence.sharding": gathers_its_state,
    "descent.convex": ascends,
    "golden.reference": lambda: optax.sgd(RATE, momentum=0.9),
}
"""By the id of a law, a factory of an optimizer that breaks it; those with a rate are checked with one."""
