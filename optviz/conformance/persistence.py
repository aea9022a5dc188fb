"""Laws of persistence: a run that is saved, moved or repeated is the same run."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from optviz.conformance.law import Broken, NotApplicable, law, require_same
from optviz.conformance.subject import Subject, problem, step_of


@law(
    "persistence.save_and_load",
    "A run that was saved and loaded must go on as if nothing had happened, bit for bit.",
    "Keep everything in the state, as arrays.",
)
def save_and_load(subject: Subject) -> str | None:
    """Three steps, the state through a file, three more: equal to six."""
    params = problem()
    state = subject.transformation.init(params)
    for t in range(3):
        params, state = subject.compiled(params, state, t)
    loaded_params, loaded = _through_a_file((params, state))
    for t in range(3, 6):
        params, state = subject.compiled(params, state, t)
        loaded_params, loaded = subject.compiled(loaded_params, loaded, t)
    require_same((loaded_params, loaded), (params, state), "the run that was saved and loaded")
    return None


def _through_a_file(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    file = io.BytesIO()
    keys = [jnp.issubdtype(jnp.asarray(x).dtype, jax.dtypes.prng_key) for x in leaves]
    np.savez(file, *(np.asarray(jax.random.key_data(x) if k else x) for x, k in zip(leaves, keys, strict=True)))
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        arrays = [loaded[f"arr_{i}"] for i in range(len(leaves))]
    restored = [jax.random.wrap_key_data(a) if k else jnp.asarray(a) for a, k in zip(arrays, keys, strict=True)]
    return structure.unflatten(restored)


@law(
    "persistence.deterministic",
    "An experiment that cannot be repeated cannot be believed.",
    "Draw random numbers from a key in the state, made from a seed.",
)
def deterministic(subject: Subject) -> str | None:
    """Two runs from one start are equal, bit for bit."""
    again = dataclasses.replace(subject)  # compiled anew: what is drawn while tracing differs
    require_same(subject.run(problem()), again.run(problem()), "a second run")
    return None


@law(
    "persistence.sharding",
    "A state that is gathered to one device does not fit there.",
    "Make state by jnp.zeros_like(params) and compute it elementwise; no device_put, no host arrays.",
)
def sharding(subject: Subject) -> str | None:
    """Copies of a sharded parameter in the state are sharded as it is, after init and after a step."""
    if len(jax.devices()) == 1:
        raise NotApplicable("there is one device; XLA_FLAGS=--xla_force_host_platform_device_count=2 makes two")
    devices = np.array(jax.devices()[:2])
    mesh = jax.sharding.Mesh(devices, ("shard",))
    split = NamedSharding(mesh, PartitionSpec("shard"))
    params = jax.tree.map(lambda x: jax.device_put(x[:2], split), problem())
    state = jax.jit(subject.transformation.init)(params)
    _, after = jax.jit(lambda p, s: step_of(subject.transformation, p, s, 0))(params, state)
    shapes = {x.shape for x in jax.tree.leaves(params)}
    for path, leaf in jax.tree_util.tree_flatten_with_path(after)[0]:
        if leaf.shape in shapes and not leaf.sharding.is_equivalent_to(split, leaf.ndim):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise Broken(f"{name} is sharded as {leaf.sharding.spec}, its parameter as {split.spec}")
    return None


LAWS = (save_and_load, deterministic, sharding)
