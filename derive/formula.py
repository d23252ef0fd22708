"""Symbols and special functions in which every formula of the engine is written.

A formula is an ordinary SymPy expression over these names; `printer` turns it into code, `bounds` into balls, `explain`
into text and LaTeX. `gap` = rho - 1/2 and `fail` = 1 - rho are exact for every double rho in [1/2, 1], so formulas written in
them keep their relative precision at both ends.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

r = sp.Symbol("r", positive=True)
dim = sp.Symbol("d", positive=True, integer=True)
rho = sp.Symbol("rho", positive=True)
gap = sp.Symbol("gap", positive=True)
fail = sp.Symbol("fail", positive=True)
p = sp.Symbol("p", positive=True, integer=False)  # 1 - rho in print; distinct from any parameter called p
z = sp.Symbol("z", nonnegative=True)  # the normal quantile at 1 - fail, where a formula is written in it
threshold = sp.Symbol("s", positive=True)


class Named(sp.Function):  # type: ignore[misc]
    """A function of the engine's own, with a LaTeX form in `_body`."""

    def _body(self, printer: Any) -> str:
        return str(printer._print(sp.Function(type(self).__name__)(*self.args)))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = self._body(printer)
        return body if exp is None else rf"\left({body}\right)^{{{exp}}}"


class Log1p(Named):
    """log(1 + x)."""

    nargs = 1

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return sp.Integer(0) if x == 0 else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        del argindex
        return 1 / (1 + self.args[0])

    def _body(self, printer: Any) -> str:
        return rf"\ln\left({printer._print(sp.expand(1 + self.args[0]))}\right)"

    def _sympystr(self, printer: Any) -> str:
        return f"log({printer._print(sp.expand(1 + self.args[0]))})"


class Expm1(Named):
    """exp(x) - 1."""

    nargs = 1

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return sp.Integer(0) if x == 0 else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        del argindex
        return sp.exp(self.args[0])

    def _body(self, printer: Any) -> str:
        return rf"\left(e^{{{printer._print(self.args[0])}}} - 1\right)"

    def _sympystr(self, printer: Any) -> str:
        return f"(exp({printer._print(self.args[0])}) - 1)"


class NormalQuantile(Named):
    """Quantile of the standard normal law; not negative here, because rho ≥ 1/2."""

    nargs = 1
    is_nonnegative = True
    is_real = True

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return sp.Integer(0) if x == sp.Rational(1, 2) else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        del argindex
        return sp.sqrt(2 * sp.pi) * sp.exp(NormalQuantile(self.args[0]) ** 2 / 2)

    def _body(self, printer: Any) -> str:
        return rf"\Phi_{{N}}^{{-1}}\left({printer._print(self.args[0])}\right)"


class GammaQuantile(Named):
    """GammaQuantile(a, u): the u-quantile of Gamma(a, 1); elementary for a = 1, a normal quantile for a = 1/2."""

    nargs = 2
    is_nonnegative = True

    @classmethod
    def eval(cls, a: sp.Expr, u: sp.Expr) -> sp.Expr | None:
        if u == 0:
            return sp.Integer(0)
        if a == 1:
            return -Log1p(-u)
        if a == sp.Rational(1, 2) and u == 2 * gap:
            return NormalQuantile(rho) ** 2 / 2
        return None

    def _body(self, printer: Any) -> str:
        return rf"\Gamma^{{-1}}_{{{printer._print(self.args[0])}}}\left({printer._print(self.args[1])}\right)"


class GammaUpper(Named):
    """GammaUpper(a, x): the regularised upper incomplete gamma function Q(a, x)."""

    nargs = 2

    def _body(self, printer: Any) -> str:
        return rf"Q\left({printer._print(self.args[0])}, {printer._print(self.args[1])}\right)"

    def _sympystr(self, printer: Any) -> str:
        return f"Q({printer._print(self.args[0])}, {printer._print(self.args[1])})"


class GammaRatio(Named):
    """Γ(x)/Γ(y), kept whole so that code can evaluate it without cancellation; rational when SymPy can reduce it."""

    nargs = 2
    is_positive = True

    @classmethod
    def eval(cls, x: sp.Expr, y: sp.Expr) -> sp.Expr | None:
        if sp.expand(x - y) == 0:
            return sp.Integer(1)
        whole = sp.gammasimp(sp.gamma(x) / sp.gamma(y))
        return None if whole.has(sp.gamma) else sp.factor(whole)

    def _body(self, printer: Any) -> str:
        x, y = (printer._print(a) for a in self.args)
        return rf"\frac{{\Gamma\left({x}\right)}}{{\Gamma\left({y}\right)}}"

    def _sympystr(self, printer: Any) -> str:
        x, y = (printer._print(a) for a in self.args)
        return f"gamma({x})/gamma({y})"


class BetaQuantile(Named):
    """BetaQuantile(a, b, u): the u-quantile of Beta(a, b)."""

    nargs = 3
    is_nonnegative = True

    def _body(self, printer: Any) -> str:
        a, b, u = (printer._print(x) for x in self.args)
        return rf"\mathrm{{B}}^{{-1}}_{{{a}, {b}}}\left({u}\right)"

    def _sympystr(self, printer: Any) -> str:
        a, b, u = (printer._print(x) for x in self.args)
        return f"Beta({a}, {b}).ppf({u})"


class BetaLower(Named):
    """BetaLower(a, b, x): the regularised incomplete beta function I_x(a, b), the cdf of Beta(a, b)."""

    nargs = 3
    is_nonnegative = True

    def _body(self, printer: Any) -> str:
        a, b, x = (printer._print(y) for y in self.args)
        return rf"I_{{{x}}}\left({a}, {b}\right)"

    def _sympystr(self, printer: Any) -> str:
        a, b, x = (printer._print(y) for y in self.args)
        return f"I({x}; {a}, {b})"


class Mixture(Named):
    """Mixture(x, y, …) = -log(exp(-x) + exp(-y) + …): psi of a sum of positive densities, kept whole so that nothing overflows."""

    is_real = True

    @property
    def written_out(self) -> sp.Expr:
        return -sp.log(sum((sp.exp(-x) for x in self.args), sp.Integer(0)))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Share(sp.Integer(argindex - 1), *self.args)


class Share(Named):
    """Share(i, x, y, …): the weight exp(-x_i)/(exp(-x) + exp(-y) + …) of a mixture's i-th part."""

    is_positive = True

    @property
    def written_out(self) -> sp.Expr:
        index, *parts = self.args
        return sp.exp(-parts[int(index)]) / sum((sp.exp(-x) for x in parts), sp.Integer(0))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        index, *parts = self.args
        if argindex == 1:
            raise ValueError("internal check failed: the index of a share is no variable")
        other = Share(sp.Integer(argindex - 2), *parts)
        return self * (other - (1 if int(index) == argindex - 2 else 0))


def written_out(expression: sp.Expr) -> sp.Expr:
    """The expression with mixtures and shares as exponentials, for symbolic work and for people."""
    return expression.replace(lambda e: isinstance(e, Mixture | Share), lambda e: e.written_out)


def in_rho(expression: sp.Expr) -> sp.Expr:
    """The expression with gap and fail written out in rho, for people."""
    if not expression.has(gap, fail):
        return expression
    written = expression.subs({gap: rho - sp.Rational(1, 2), fail: 1 - rho})
    return written.replace(sp.log, lambda inside: sp.log(_fraction(inside)))


def _fraction(inside: sp.Expr) -> sp.Expr:
    """Over one denominator, with as few minus signs as may be."""
    top, bottom = sp.fraction(sp.factor(inside))
    if top.could_extract_minus_sign():
        top, bottom = -top, -bottom
    return top / bottom
