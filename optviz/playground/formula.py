"""A surface from a typed formula, `(1-x)**2 + 100*(y-x**2)**2`: arithmetic in x and y, never evaluated as Python.

The text is parsed by `ast`, every node is looked up in a short list of what is allowed, and the surface walks the tree
with JAX's functions. Length, depth and exponents are limited.
"""

from __future__ import annotations

import ast
import functools
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from optviz.playground.errors import BadSettings, Sentence, unknown
from optviz.playground.world import FORMULA
from surfaces.base import Domain, LossSurface, box
from surfaces.names import SOME_NEAR

DOMAIN = (-3.0, 3.0, -3.0, 3.0)
START = (-2.0, 2.0)
MAX_LENGTH = 500
MAX_DEPTH = 30
MAX_EXPONENT = 20.0
MAX_NUMBER = 1e12

FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "abs": (1, jnp.abs),
    "arctan": (1, jnp.arctan),
    "cos": (1, jnp.cos),
    "cosh": (1, jnp.cosh),
    "exp": (1, jnp.exp),
    "log": (1, jnp.log),
    "max": (2, jnp.maximum),
    "min": (2, jnp.minimum),
    "sin": (1, jnp.sin),
    "sinh": (1, jnp.sinh),
    "sqrt": (1, jnp.sqrt),
    "tan": (1, jnp.tan),
    "tanh": (1, jnp.tanh),
}
CONSTANTS = {"pi": math.pi, "e": math.e}
_NAMES = ("x", "y", *CONSTANTS)
_ELSEWHERE = {"x1": "x", "x2": "y", "ln": "log"}
"""What other books call them."""
# A whole number, which may end in an exponent, and with no sign between a name or a parenthesis.
_PRODUCT = re.compile(rf"(?<![\w.])(?>(\d+\.?\d*(?:[eE][+-]?\d+)?)\s*)((?:{'|'.join((*_NAMES, *FUNCTIONS))})\b|\()")
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


class FormulaSurface(LossSurface):
    """The surface of a formula in x and y. Another formula is another compiled program."""

    text: str = eqx.field(static=True)

    def __call__(self, params: Float[Array, "2"], key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        x, y = params
        constants = {name: jnp.asarray(value, params.dtype) for name, value in CONSTANTS.items()}
        return _value(parse(self.text), {"x": x, "y": y, **constants})

    @property
    def name(self) -> str:
        return FORMULA

    @property
    def domain(self) -> Domain:
        return box(DOMAIN[0], DOMAIN[1])

    @property
    def start(self) -> Float[Array, "2"]:
        return jnp.array(START)


def surface(text: str) -> FormulaSurface:
    """The surface of a formula.

    Raises:
      BadSettings: for a formula that is not one, with the column at fault as `where`.
    """
    return FormulaSurface(ast.unparse(parse(text)))


@functools.lru_cache(maxsize=256)
def parse(text: str) -> ast.expr:
    """The tree of a formula, all of whose nodes are allowed.

    Raises:
      BadSettings: with the column at fault, counted from 1, in the sentence and as `where`.
    """
    if len(text) > MAX_LENGTH:
        told = {"most": MAX_LENGTH, "count": len(text)}
        raise BadSettings("A formula has at most {most} characters, got {count}.", "formula", **told)
    if not text.strip():
        raise BadSettings("The formula is empty; write for example (1-x)**2 + 100*(y-x**2)**2.", "formula")
    if strange := [i for i, letter in enumerate(text) if not " " <= letter <= "~"]:
        what = Sentence("the character {character!r} is not used in formulas.", character=text[strange[0]])
        raise _bad(what, strange[0])
    _require_signs(text)
    indent = len(text) - len(text.lstrip())
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # The offset counts from 1; none or 0 stands for the end.
        column = (getattr(error, "offset", None) or len(text.strip()) + 1) - 1
        raise _bad(Sentence("the formula cannot be read from here on."), indent + column) from error
    _check(tree, indent, 1)
    return tree


def _require_signs(text: str) -> None:
    """Refuse what stands for a power or a product on paper, but not in Python."""
    if "^" in text:
        raise _bad(Sentence("powers are written **, not ^."), text.index("^"))
    if found := _PRODUCT.search(text):
        told = {"right": "*".join(found.groups()), "wrong": found.group()}
        raise _bad(Sentence("write {right} instead of {wrong}.", **told), found.start())


def _check(node: ast.expr, indent: int, depth: int) -> None:
    """Refuse what is not on the list, the column of the node being `indent` more than it says."""
    column = indent + node.col_offset
    if depth > MAX_DEPTH:
        raise _bad(Sentence("parentheses and signs go deeper than {most} levels.", most=MAX_DEPTH), column)
    parts = _parts(node, column)
    for part in parts:
        _check(part, indent, depth + 1)


def _parts(node: ast.expr, column: int) -> list[ast.expr]:
    """The parts of a node that are to be checked in their turn."""
    match node:
        case ast.Constant(value=value):
            if _literal(value) is None:
                raise _bad(Sentence("only numbers up to {most:g} may stand here.", most=MAX_NUMBER), column)
            return []
        case ast.Name(id=name):
            if name not in _NAMES:
                raise _bad(_unknown(Sentence("name"), name, [*_NAMES, *FUNCTIONS]), column)
            return []
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            return [operand]
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return [left] if _is_exponent(right, column) else [left, right]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return [left, right]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _arguments(name, args, column)
    raise _bad(Sentence("only numbers, x, y, + - * / **, parentheses and functions are allowed."), column)


def _arguments(name: str, args: list[ast.expr], column: int) -> list[ast.expr]:
    if name not in FUNCTIONS:
        raise _bad(_unknown(Sentence("function"), name, FUNCTIONS), column)
    count = FUNCTIONS[name][0]
    if len(args) != count:
        raise _bad(_wrong_number(name, count, len(args)), column)
    return args


def _unknown(kind: Sentence, name: str, known: Iterable[str]) -> Sentence:
    if name in _ELSEWHERE:
        return Sentence(SOME_NEAR, kind=kind, name=name, near=repr(_ELSEWHERE[name]))
    return unknown(kind, name, known)


def _wrong_number(name: str, count: int, got: int) -> Sentence:
    if count == 1:
        return Sentence("{name} takes 1 argument, got {got}.", name=name, got=got)
    return Sentence("{name} takes {count} arguments, got {got}.", name=name, count=count, got=got)


def _is_exponent(node: ast.expr, column: int) -> bool:
    """Whether the exponent is a number; then it must be within bounds."""
    number = _number(node)
    if number is not None and not abs(number) <= MAX_EXPONENT:
        told = {"low": -MAX_EXPONENT, "high": MAX_EXPONENT, "number": number}
        raise _bad(Sentence("exponents lie from {low:g} to {high:g}, got {number:g}.", **told), column)
    return number is not None


def _literal(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and value <= MAX_NUMBER else None


def _number(node: ast.expr) -> float | None:
    """The value of a number, with a sign or as a fraction; None for anything else."""
    match node:
        case ast.Constant(value=value):
            return _literal(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return None if (number := _number(operand)) is None else -number
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            over, under = _number(left), _number(right)
            return None if over is None or not under else over / under
    return None


def _value(node: ast.expr, names: dict[str, Array]) -> Array:
    """The value of a tree that `_check` has passed. Numbers are arrays: Python's own would overflow with an error."""
    match node:
        case ast.Constant(value=value):
            return jnp.asarray(_literal(value), names["x"].dtype)
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=op, operand=operand):
            value = _value(operand, names)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=ast.Pow(), right=right) if (exponent := _number(right)) is not None:
            return _value(left, names) ** (int(exponent) if exponent.is_integer() else exponent)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name][1](*(_value(arg, names) for arg in args))
    raise AssertionError(f"unreachable: {ast.dump(node)} has been checked")


def _bad(what: Sentence, column: int) -> BadSettings:
    return BadSettings("Column {column}: {what}", f"column {column + 1}", column=column + 1, what=what)
