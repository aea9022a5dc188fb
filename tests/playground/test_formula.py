"""Formulas: the same numbers as Python's own arithmetic, and nothing but arithmetic."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import surfaces
from optviz.playground import formula
from optviz.playground.errors import BadSettings

SAME = {
    "(1-x)**2 + 100*(y-x**2)**2": surfaces.Rosenbrock(),
    "(x**2 + y - 11)**2 + (x + y**2 - 7)**2": surfaces.Himmelblau(),
    "(x + 2*y - 7)**2 + (2*x + y - 5)**2": surfaces.Booth(),
    "20 + x**2 + y**2 - 10*(cos(2*pi*x) + cos(2*pi*y))": surfaces.Rastrigin(),
}


@pytest.mark.parametrize(("text", "known"), SAME.items(), ids=list(SAME))
def test_a_formula_is_the_surface_that_it_writes_down(text, known):
    mine = formula.surface(text)
    for point in np.random.default_rng(0).uniform(-3, 3, (20, 2)).astype(np.float32):
        # The terms are the same, added in another order.
        np.testing.assert_allclose(mine(jnp.asarray(point)), known(jnp.asarray(point)), rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(mine.gradient(point), known.gradient(point), rtol=1e-4, atol=1e-3)


REFUSED = [
    ("", "formula", "empty"),
    ("   ", "formula", "empty"),
    ("x +", "column 4", "cannot be read"),
    ("(x", "column 1", "cannot be read"),
    ("x + z", "column 5", "Unknown name 'z'"),
    ("  x + z", "column 7", "Unknown name 'z'"),
    ("x^2", "column 2", "powers are written **"),
    ("(x+1)^2+y^2", "column 6", "powers are written **"),
    ("y + 2x", "column 5", "write 2*x instead of 2x"),
    ("1.5e2 sin(x)", "column 1", "write 1.5e2*sin instead of 1.5e2 sin"),
    ("2(x + y)", "column 1", "write 2*( instead of 2("),
    ("x + ln(y)", "column 5", "Unknown function 'ln'. Did you mean 'log'?"),
    ("x1 + x2", "column 1", "Unknown name 'x1'. Did you mean 'x'?"),
    ("x + x2", "column 5", "Unknown name 'x2'. Did you mean 'y'?"),
    ("x ** 21", "column 1", "from -20 to 20"),
    ("x ** -21", "column 1", "from -20 to 20"),
    ("2 ** 9999999", "column 1", "from -20 to 20"),
    ("1e13*x", "column 1", "up to 1e+12"),
    ("1e999", "column 1", "up to 1e+12"),
    ("9" * 400, "column 1", "up to 1e+12"),
    ("1j*x", "column 1", "up to 1e+12"),
    ("True", "column 1", "up to 1e+12"),
    ("'a'", "column 1", "up to 1e+12"),
    ("sin x", "column 5", "cannot be read"),
    ("sin(x, y)", "column 1", "takes 1 argument, got 2"),
    ("max(x)", "column 1", "takes 2 arguments, got 1"),
    ("sin(x=1)", "column 1", "only numbers"),
    ("sin(*x)", "column 5", "only numbers"),
    ("sinus(x)", "column 1", "Did you mean 'sin'"),
    ("x.real", "column 1", "only numbers"),
    ("x if y else 1", "column 1", "only numbers"),
    ("x < y", "column 1", "only numbers"),
    ("[x]", "column 1", "only numbers"),
    ("lambda: 1", "column 1", "only numbers"),
    ("(x := 3)", "column 2", "only numbers"),
    ("f'{x}'", "column 1", "only numbers"),
    ("x // y", "column 1", "only numbers"),
    ("x @ y", "column 1", "only numbers"),
    ("~x", "column 1", "only numbers"),
    ("x; y", "column 2", "cannot be read"),
    ("x = 1", "column 3", "cannot be read"),
    ("x\n+y", "column 2", "character"),
    ("x + ü", "column 5", "character 'ü'"),
    ("x\x00", "column 2", "character"),
    ("__import__('os').system('true')", "column 1", "only numbers"),
    ("open('x')", "column 1", "Unknown function 'open'"),
    ("eval(x)", "column 1", "Unknown function 'eval'"),
    ("x.__class__.__mro__", "column 1", "only numbers"),
    ("-" * 40 + "x", "column 31", "30 levels"),
    ("+".join("x" * 100), "column 1", "30 levels"),
    ("x" * 501, "formula", "at most 500"),
]


@pytest.mark.parametrize(("text", "where", "words"), REFUSED, ids=lambda value: value[:30])
def test_what_is_no_arithmetic_is_refused_and_the_column_named(text, where, words):
    with pytest.raises(BadSettings) as refusal:
        formula.parse(text)
    assert words in str(refusal.value)
    assert not re.search(r"[.?][.?]", str(refusal.value))
    assert refusal.value.where == where


@pytest.mark.parametrize("text", ["(" * 250 + "x" + ")" * 249, "((9**20)**20)**20", "1/0", "x**0.5", "0**-1", "e**x"])
def test_nothing_hangs_and_nothing_but_a_refusal_is_raised(text):
    try:
        value = formula.surface(text)(jnp.array([1.0, 2.0]))
    except BadSettings:
        return
    assert value.shape == ()


NUMBERS = st.one_of(st.integers(0, 9).map(str), st.floats(0.0, 9.0).map(lambda v: f"{v:.3f}"))
TREES = st.recursive(
    st.one_of(st.sampled_from(["x", "y", "pi"]), NUMBERS),
    lambda inner: st.one_of(
        st.builds("({}{}{})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("({}**{})".format, inner, st.integers(0, 3)),
        st.builds("(-{})".format, inner),
        st.builds("{}({})".format, st.sampled_from(["sin", "cos", "tanh", "abs"]), inner),
        st.builds("max({}, {})".format, inner, inner),
    ),
    max_leaves=8,
)


@hypothesis_settings(max_examples=60, deadline=None, derandomize=True)
@given(TREES, st.floats(-2, 2, width=32), st.floats(-2, 2, width=32))
def test_formulas_have_the_values_of_pythons_own_arithmetic(text, x, y):
    names = {name: getattr(math, name) for name in ("sin", "cos", "tanh")} | {"abs": abs, "max": max, "pi": math.pi}
    wanted = eval(text, {"__builtins__": {}}, {**names, "x": x, "y": y})
    with jax.enable_x64(True):
        found = formula.surface(text)(jnp.array([x, y], jnp.float64))
    # Sums and powers in double precision, whose terms may cancel.
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * (1 + abs(wanted)))


@hypothesis_settings(max_examples=500, deadline=None, derandomize=True)
@given(st.one_of(st.text(max_size=60), st.text("xy0123456789+-*/().,e ^=[]{}:;'\"_<>@%!&|~", max_size=60)))
def test_any_text_is_a_formula_or_refused(text):
    try:
        formula.parse(text)
    except BadSettings as refusal:
        assert refusal.where == "formula" or refusal.where.startswith("column ")
