"""Formulas to Python source: scalars with math, arrays over rho with the functions of their library (`xp`)."""

from __future__ import annotations

import sympy as sp
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pycode import PythonCodePrinter

from derive.formula import fail, gap, r, rho, z
from derive.tail import LogFail, RhoQuantile

_AT = (LogFail, RhoQuantile)
ARRAYS = frozenset({gap, fail, rho, z, r})
_ELEMENTARY = {
    "tanh",
    "cosh",
    "sinh",
    "sin",
    "cos",
    "tan",
    "atan",
    "erf",
    "erfc",
    "asinh",
    "acosh",
    "atanh",
    "acos",
    "asin",
}


class CodePrinter(PythonCodePrinter):  # type: ignore[misc]
    """Prints d as `dim` and the engine's own functions as calls into generated.special."""

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False, "allow_unknown_functions": False})

    def _print_Symbol(self, symbol: sp.Symbol) -> str:
        return "dim" if symbol.name == "d" else str(symbol.name)

    def _print_Integer(self, number: sp.Integer) -> str:
        return f"{int(number)}.0"

    def _print_Rational(self, number: sp.Rational) -> str:
        value = float(number)
        return repr(value) if sp.Rational(value) == number else f"{int(number.p)}.0 / {int(number.q)}.0"

    def _print_Pi(self, _: sp.Expr) -> str:
        return "math.pi"

    def _print_Pow(self, power: sp.Pow, rational: bool = False) -> str:
        del rational
        base, exponent = self.parenthesize(power.base, PRECEDENCE["Pow"] + 1), power.exp
        if exponent == -1:
            return f"1.0 / {base}"
        if exponent.is_Integer:
            return f"{base} ** {int(exponent)}"
        if exponent == sp.Rational(1, 2):
            return f"{self._library((power.base,))}.sqrt({self._print(power.base)})"
        if isinstance(power.base, sp.exp) and exponent == -1:
            return str(self._print(sp.exp(-power.base.args[0], evaluate=False)))
        return f"{base} ** {self.parenthesize(exponent, PRECEDENCE['Pow'] + 1)}"

    def parenthesize(self, item: sp.Expr, level: int, strict: bool = False) -> str:
        if item.is_Rational:  # floats here: only a fraction or a sign needs brackets
            text = self._print(item)
            return f"({text})" if "/" in text or text.startswith("-") else text
        return str(super().parenthesize(item, level, strict))

    def _library(self, arguments: tuple[sp.Expr, ...]) -> str:
        return "xp" if any(a.free_symbols & ARRAYS for a in arguments) else "math"

    def _print_exp(self, e: sp.Expr) -> str:
        return f"{self._library(e.args)}.exp({self._print(e.args[0])})"

    def _print_log(self, e: sp.Expr) -> str:
        return f"{self._library(e.args)}.log({self._print(e.args[0])})"

    def _print_Log1p(self, e: sp.Expr) -> str:
        return f"{self._library(e.args)}.log1p({self._print(e.args[0])})"

    def _print_Expm1(self, e: sp.Expr) -> str:
        return f"{self._library(e.args)}.expm1({self._print(e.args[0])})"

    def _print_Function(self, e: sp.Expr) -> str:
        name = type(e).__name__
        if name not in _ELEMENTARY:
            raise NotImplementedError(
                f"the derivatives of this density need {name}, for which there is no code; write it with other functions"
            )
        return f"{self._library(e.args)}.{name}({', '.join(self._print(a) for a in e.args)})"

    def _named(self, e: sp.Expr) -> str:
        return str(self._print_Function(e))

    _print_tanh = _print_cosh = _print_sinh = _print_sin = _print_cos = _print_tan = _print_atan = (
        _print_erf
    ) = _print_erfc = _named

    def _print_gamma(self, e: sp.Expr) -> str:
        return f"{self._library(e.args)}.gamma({self._print(e.args[0])})"

    def _print_Piecewise(self, e: sp.Expr) -> str:
        *first, (last, _) = e.args
        text = str(self._print(last))
        for value, condition in reversed(first):
            text = f"xp.where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Relational(self, e: sp.Expr) -> str:
        return f"({self._print(e.lhs)} {e.rel_op} {self._print(e.rhs)})"

    def _print_Share(self, e: sp.Expr) -> str:
        index, *parts = e.args
        return f"special.share(xp, {int(index)}, ({', '.join(self._print(x) for x in parts)},))"

    def _print_BetaQuantile(self, e: sp.Expr) -> str:
        return f"special.beta_quantile({', '.join(self._print(a) for a in e.args)})"

    def _print_GammaQuantile(self, e: sp.Expr) -> str:
        return f"special.gamma_quantile({', '.join(self._print(a) for a in e.args)})"

    def _print_NormalQuantile(self, e: sp.Expr) -> str:
        return f"xp.ndtri({self._print(e.args[0])})"

    def _print_RhoQuantile(self, e: sp.Expr) -> str:
        del e
        return "at.normal_quantile()"

    def _print_LogFail(self, e: sp.Expr) -> str:
        return f"at.log_fail({self._print(e.args[0])})"

    def _print_GammaRatio(self, e: sp.Expr) -> str:
        x, y = e.args
        return f"special.gamma_ratio({self._print(x)}, {self._print(y)}, {self._print(sp.factor(sp.together(x - y)))})"

    def _print_Min(self, e: sp.Expr) -> str:
        array, *rest = sorted(e.args, key=lambda a: not (a.free_symbols & ARRAYS or a.has(*_AT)))
        return f"xp.minimum({self._print(array)}, {', '.join(self._print(a) for a in rest)})"


def code(expression: sp.Expr) -> str:
    """Python source for an expression; NotImplementedError for a function it has no code for."""
    return str(CodePrinter().doprint(expression))
