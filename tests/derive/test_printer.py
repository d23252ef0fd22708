"""Printed code computes what the formula says."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
import scipy.special as sc
import sympy as sp

from derive.formula import Expm1, GammaRatio, Log1p, NormalQuantile, dim, fail, gap, rho
from derive.printer import code
from generated import special

K = sp.Symbol("k", positive=True)
FORMULAS = [
    (2 * gap, lambda x, d, k: 2 * (x - 0.5)),
    (-Log1p(-2 * gap) / 3, lambda x, d, k: -np.log(2 * (1 - x)) / 3),
    (-2 * Expm1(Log1p(-gap) / dim), lambda x, d, k: 2 * (1 - (1.5 - x) ** (1 / d))),
    (sp.sqrt(2) * NormalQuantile(rho) / dim, lambda x, d, k: math.sqrt(2) * sc.ndtri(x) / d),
    (dim ** sp.Rational(-1, 2) * gap**2, lambda x, d, k: d**-0.5 * (x - 0.5) ** 2),
    ((dim - K) / K * gap, lambda x, d, k: (d - k) / k * (x - 0.5)),
    (
        GammaRatio((dim + 2) / K, dim / K) * fail,
        lambda x, d, k: math.exp(math.lgamma((d + 2) / k) - math.lgamma(d / k)) * (1 - x),
    ),
    (sp.Min(gap, sp.Rational(1, 2) - 1 / (2 * dim)), lambda x, d, k: np.minimum(x - 0.5, 0.5 - 1 / (2 * d))),
    (gap / 3 - sp.Rational(1, 7), lambda x, d, k: (x - 0.5) / 3 - 1 / 7),
    ((-gap) ** 3 * sp.pi, lambda x, d, k: -((x - 0.5) ** 3) * math.pi),
    (2 ** (-K) * gap, lambda x, d, k: 2.0**-k * (x - 0.5)),
    ((gap + 1) ** (1 / K) * sp.Rational(2, 3) ** K, lambda x, d, k: (x + 0.5) ** (1 / k) * (2 / 3) ** k),
]


def evaluate(node: ast.AST, names: dict[str, object]) -> object:
    """A tiny interpreter for printed expressions, so that the test runs no text as code."""
    match node:
        case ast.Expression(body):
            return evaluate(body, names)
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return names[name]
        case ast.Attribute(value, attribute):
            return getattr(evaluate(value, names), attribute)
        case ast.Call(function, arguments):
            return evaluate(function, names)(*[evaluate(a, names) for a in arguments])  # type: ignore[operator]
        case ast.UnaryOp(ast.USub(), operand):
            return -evaluate(operand, names)  # type: ignore[operator]
        case ast.BinOp(left, operator, right):
            a, b = evaluate(left, names), evaluate(right, names)
            operations = {
                ast.Add: "__add__",
                ast.Sub: "__sub__",
                ast.Mult: "__mul__",
                ast.Div: "__truediv__",
                ast.Pow: "__pow__",
            }
            return getattr(np.asarray(a, dtype=float), operations[type(operator)])(b)
    raise AssertionError(ast.dump(node))


@pytest.mark.parametrize(("formula", "reference"), FORMULAS, ids=[str(n) for n in range(len(FORMULAS))])
def test_code_computes_the_formula(formula: sp.Expr, reference: object) -> None:
    x = np.array([0.6, 0.9, 0.999])
    names = {
        "rho": x,
        "gap": x - 0.5,
        "fail": 1.0 - x,
        "dim": 5,
        "k": 1.7,
        "xp": special.NUMPY,
        "math": math,
        "special": special,
    }
    value = evaluate(ast.parse(code(formula), mode="eval"), names)
    assert np.allclose(np.asarray(value, dtype=float), reference(x, 5, 1.7), rtol=1e-13)  # type: ignore[operator]
