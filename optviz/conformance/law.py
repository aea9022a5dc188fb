"""A law: something that every optimizer must obey, checked on any Optax-compatible one."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

_HERE = str(Path(__file__).parent.parent)
Severity = Literal["error", "warning"]


class Broken(Exception):
    """The law does not hold; the message says where."""


class NotApplicable(Exception):
    """The law says nothing about this optimizer; the message says why."""


@dataclasses.dataclass(frozen=True)
class Law:
    """A law with what a reader needs to know of it.

    `check(subject)` returns what is worth reporting, or None; it raises `Broken` or `NotApplicable`.
    """

    id: str
    why: str
    mend: str
    severity: Severity
    check: Callable[[Any], str | None]


def law(id: str, why: str, mend: str, severity: Severity = "error") -> Callable[[Callable[[Any], str | None]], Law]:
    """Make a law of a function of the subject."""
    return lambda check: Law(id, why, mend, severity, check)


def described(error: BaseException) -> str:
    """The type and first line of an error, and the last line of the user's own code on its way."""
    text = (str(error).strip().splitlines() or [""])[0]
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((_HERE, "<")) and "site-packages" not in f.filename]
    where = f", at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}: {text[:300].rstrip('.,')}{where}"


def require_same(found: Any, expected: Any, what: str, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Break the law at the first leaf that differs by more than the tolerance; NaN equals NaN."""
    if jax.tree.structure(found) != jax.tree.structure(expected):
        raise Broken(f"{what}: the structure is {jax.tree.structure(found)}, not {jax.tree.structure(expected)}")
    pairs = zip(jax.tree_util.tree_flatten_with_path(found)[0], jax.tree.leaves(expected), strict=True)
    for (path, a), b in pairs:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "the leaf"
        a, b = numbers(a), numbers(b)
        if a.shape != b.shape:
            raise Broken(f"{what}: {name} has shape {a.shape}, not {b.shape}")
        if not np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):
            worst = float(np.nanmax(np.abs(np.where(a == b, 0.0, a - b)))) if a.size else 0.0
            raise Broken(f"{what}: {name} differs by up to {worst:.3g}")


def require_same_run(found: Callable[[], Any], expected: Callable[[], Any], what: str) -> str | None:
    """Break the law if two ways to compute a run differ by more than rounding.

    An ill-conditioned method, such as one that takes roots of nearly singular matrices, amplifies rounding, and is not
    wrong for that: a difference in float32 that is gone in float64 is only reported.
    """

    def compare() -> None:
        # Fused multiply-adds and reordered sums: some units in the last place of float32, over five steps.
        require_same(found(), expected(), what, rtol=2e-4, atol=2e-5)

    try:
        compare()
    except Broken as broken:
        with jax.enable_x64(True):
            compare()
        return f"equal in float64, but rounding of float32 is amplified: {broken}"
    return None


def require_finite(tree: Any, what: str) -> None:
    """Break the law at the first leaf that is not finite."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if not np.isfinite(numbers(leaf)).all():
            raise Broken(
                f"{what}: {jax.tree_util.keystr(path, simple=True, separator='.') or 'the leaf'} is not finite"
            )


def is_finite(tree: Any) -> bool:
    """Whether every number of a tree is finite."""
    return all(np.isfinite(numbers(leaf)).all() for leaf in jax.tree.leaves(tree))


def numbers(x: Any) -> np.ndarray:
    """A leaf as an array that NumPy can compare: keys as integers, small floats as float32."""
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    x = np.asarray(x)
    return x.astype(np.float32) if x.dtype.kind == "V" or x.dtype.name in ("bfloat16", "float16") else x
