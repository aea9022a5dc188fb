"""`LossSurface`: a scalar function of its parameters that is also data."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Params = PyTree[Float[Array, "..."]]
Domain = tuple[Params, Params]
_CALLABLE_TREES: Any = (eqx.Module, jax.tree_util.Partial)


def coefficient(default: Any, meaning: str) -> Any:
    """A field for a number of a surface's formula: its value if none is given, and what a slider says that it means."""
    return eqx.field(default=default, metadata={"meaning": meaning})


class LossSurface(eqx.Module):
    """A loss to descend: `surface(params, key=None) -> scalar`, immutable, a PyTree.

    A subclass writes its formula in `__call__` and says where it lives: `domain`, `start`, `minima`, and the class
    attributes `formula` (LaTeX) and `source`. Coefficients are fields, plain or with their meaning, as `coefficient`
    makes them; a field that changes a shape is declared static.
    A deterministic surface ignores `key`; a stochastic one draws from it, and without it returns its expectation.
    Derivatives are automatic and jitted; changing a coefficient does not compile again. A sum of squares may have a
    method `residuals(params, key=None)`, a vector r with f = |r|²/2, which least-squares optimizers are offered.
    """

    formula: ClassVar[str] = ""
    source: ClassVar[str] = ""
    minima_are_isolated: ClassVar[bool] = True
    """False where the global minima form a curve or more; `minima` then lists representatives."""

    @abc.abstractmethod
    def __call__(self, params: Any, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """The loss at `params`."""

    @property
    def name(self) -> str:
        """The surface's name in the catalogue, on the command line and in pictures."""
        return self.catalogue_name()

    @classmethod
    def catalogue_name(cls) -> str:
        """The class name in snake case: `QuadraticBowl` is quadratic_bowl, `McCormick` is mccormick."""
        return re.sub(r"(?<=[a-z0-9])(?<!\bMc)(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """What the coefficients mean, by name; those of plain fields are left out."""
        return {f.name: f.metadata["meaning"] for f in dataclasses.fields(cls) if "meaning" in f.metadata}

    @property
    @abc.abstractmethod
    def domain(self) -> Domain:
        """`(lower, upper)`, each shaped like the parameters: where the surface is finite and worth looking at."""

    @property
    @abc.abstractmethod
    def start(self) -> Any:
        """The customary starting point."""

    @property
    def minima(self) -> tuple[Any, ...]:
        """All known global minima within the domain, each shaped like the parameters; empty if none is known."""
        return ()

    @property
    def minimum_value(self) -> Float[Array, ""] | None:
        """The loss at the global minima, or None if none is known."""
        return self(self.minima[0]) if self.minima else None

    @property
    def is_stochastic(self) -> bool:
        """Whether a key changes the loss or its gradient."""
        program = jax.make_jaxpr(lambda key: jax.value_and_grad(self)(self.start, key))(jax.random.key(0)).jaxpr
        return any(used is program.invars[0] for equation in program.eqns for used in equation.invars)

    @property
    def coefficients(self) -> dict[str, Any]:
        """The numbers of the formula by name: traced, so that changing one never compiles again."""
        fields = (f for f in dataclasses.fields(self) if not f.metadata.get("static", False))
        values = {f.name: getattr(self, f.name) for f in fields}
        return {name: value for name, value in values.items() if _is_number(value)}

    def gradient(self, params: Any, key: PRNGKeyArray | None = None) -> Any:
        """The gradient, shaped like `params`."""
        return _gradient(self, as_params(params), key)

    def value_and_gradient(self, params: Any, key: PRNGKeyArray | None = None) -> tuple[Float[Array, ""], Any]:
        """The loss and its gradient from one evaluation."""
        return _value_and_gradient(self, as_params(params), key)

    def hessian(self, params: Any, key: PRNGKeyArray | None = None) -> Any:
        """The matrix of second derivatives: (n, n) for a vector; for a PyTree the nested tree of `jax.hessian`."""
        return _hessian(self, as_params(params), key)

    def hvp(self, params: Any, vector: Any, key: PRNGKeyArray | None = None) -> Any:
        """The Hessian times `vector`, both shaped like `params`, without forming the matrix."""
        return _hvp(self, as_params(params), as_params(vector), key)

    def plot_contours(
        self,
        x_range: tuple[float, float] | None = None,
        y_range: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **style: Any,
    ) -> Axes:
        """Draw the level sets of a two-parameter surface; see `surfaces.contours.plot_contours`."""
        from surfaces.contours import plot_contours

        return plot_contours(self, x_range, y_range, ax=ax, **style)


class FunctionSurface(LossSurface):
    """A plain function `params -> scalar` as a surface, without domain or known minima.

    The function is static: another function object, a fresh lambda included, is another compiled program.
    """

    function: Callable[..., Any] = eqx.field(static=True)
    takes_key: bool = eqx.field(static=True, default=False)

    def __call__(self, params: Any, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return self.function(params, key=key) if self.takes_key else self.function(params)

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def is_stochastic(self) -> bool:
        return self.takes_key

    @property
    def domain(self) -> Domain:
        raise AttributeError(f"{self.name} is a plain function and has no domain; give x_range and y_range.")

    @property
    def start(self) -> Any:
        raise AttributeError(f"{self.name} is a plain function and has no starting point; give initial_params.")


class ModuleSurface(FunctionSurface):
    """A callable PyTree `params -> scalar` as a surface: its arrays are traced, like a surface's own coefficients."""

    function: Callable[..., Any] = eqx.field()


def as_surface(function: Callable[..., Any]) -> LossSurface:
    """`function` itself if it is a surface, else the plain callable `params -> scalar` wrapped as one."""
    if isinstance(function, LossSurface):
        return function
    if not callable(function):
        raise TypeError(
            f"A surface is a LossSurface or a function params -> scalar, got {type(function).__name__}: {function!r}"
        )
    wrapper = ModuleSurface if isinstance(function, _CALLABLE_TREES) else FunctionSurface
    return wrapper(function, takes_key=_takes_key(function))


def as_params(params: Any) -> Any:
    """`params` with floating-point leaves; a flat list or tuple of numbers becomes one vector."""
    if isinstance(params, jax.Array) and jnp.issubdtype(params.dtype, jnp.inexact):
        return params
    if isinstance(params, list | tuple) and params and all(np.ndim(p) == 0 and _is_number(p) for p in params):
        params = jnp.asarray(params)
    return jax.tree.map(_inexact, params)


def box(lower: float, upper: float, dimension: int = 2) -> Domain:
    """The cube from `lower` to `upper` in every coordinate."""
    return jnp.full(dimension, float(lower)), jnp.full(dimension, float(upper))


def same_shape(params: Any, example: Any) -> bool:
    """Whether two parameter trees agree in structure and in the shape of every leaf."""
    if jax.tree.structure(params) != jax.tree.structure(example):
        return False
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(example), strict=True)
    return all(jnp.shape(a) == jnp.shape(b) for a, b in pairs)


def describe(params: Any) -> str:
    """The shape of a parameter tree in words, for error messages."""
    if isinstance(params, Mapping) or not hasattr(params, "shape"):
        return str(jax.tree.map(jnp.shape, params))
    return f"a vector of {params.shape[0]} numbers" if params.ndim == 1 else f"an array of shape {params.shape}"


def _inexact(leaf: Any) -> Array:
    # A tensor of PyTorch that is to be trained shows its numbers only when detached.
    array = jnp.asarray(leaf.detach() if hasattr(leaf, "detach") else leaf)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(jnp.result_type(float))


def _is_number(value: Any) -> bool:
    if isinstance(value, np.ndarray | np.number | jax.Array):
        return jnp.issubdtype(value.dtype, jnp.number)  # a PRNG key is an array, but none of numbers
    return isinstance(value, float | int) and not isinstance(value, bool)


def _takes_key(function: Callable[..., Any]) -> bool:
    import inspect

    try:
        return "key" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


@jax.jit
def _gradient(surface: LossSurface, params: Any, key: PRNGKeyArray | None) -> Any:
    return jax.grad(surface)(params, key)


@jax.jit
def _value_and_gradient(surface: LossSurface, params: Any, key: PRNGKeyArray | None) -> tuple[Array, Any]:
    return jax.value_and_grad(surface)(params, key)


@jax.jit
def _hessian(surface: LossSurface, params: Any, key: PRNGKeyArray | None) -> Any:
    return jax.hessian(surface)(params, key)


@jax.jit
def _hvp(surface: LossSurface, params: Any, vector: Any, key: PRNGKeyArray | None) -> Any:
    return jax.jvp(lambda p: jax.grad(surface)(p, key), (params,), (vector,))[1]
