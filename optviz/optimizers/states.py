"""The state of any optimizer as named arrays, and back: for files, for comparisons, for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surfaces.names import unknown_name


def state_dict(state: Any) -> dict[str, np.ndarray]:
    """The state of any optimizer as arrays by the path of the leaf, e.g. `"0/mu/w"`, for any file format.

    A PRNG key is stored as its data. ValueError if two leaves have one path.
    """
    leaves = [(path_of(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)]
    stored = {path: np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for path, leaf in leaves}
    if len(stored) < len(leaves):
        paths = [path for path, _ in leaves]
        raise ValueError(f"Two leaves of the state have the path {next(p for p in paths if paths.count(p) > 1)!r}.")
    return stored


def load_state_dict(state: Any, stored: Mapping[str, Any]) -> Any:
    """A state like `state`, such as `optimizer.init(params)`, with the numbers of `state_dict`, bit for bit.

    Raises:
      ValueError: for a path that is missing or unknown, and another shape or type of number.
    """
    wanted = state_dict(state)
    for path in wanted:
        if path not in stored:
            raise ValueError(f"The stored state lacks {path!r}: it is not of this optimizer and these parameters.")
    for path, value in stored.items():
        if path not in wanted:
            raise ValueError(unknown_name("path in the stored state", path, wanted))
        old, new = wanted[path], np.asarray(value)
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(f"{path!r} needs {old.dtype}{list(old.shape)}, got {new.dtype}{list(new.shape)}.")

    def loaded(path: Any, leaf: Any) -> Any:
        value = jnp.asarray(stored[path_of(path)])
        return jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf)) if _is_key(leaf) else value

    return jax.tree_util.tree_map_with_path(loaded, state)


def path_of(path: Any) -> str:
    """The names and numbers on the way to a leaf, with slashes between: `"encoder/0/w"`; empty for a bare array."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
