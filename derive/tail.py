"""A radius in functions that keep their digits however small 1 - rho is: its logarithm and the normal quantile."""

from __future__ import annotations

import sympy as sp

from derive.formula import Log1p, Named, NormalQuantile, fail, gap, rho


class LogFail(Named):
    """LogFail(c) = log(c·(1 - rho)), which code evaluates from the logarithm where 1 - rho is no double any more."""

    nargs = 1

    @property
    def written_out(self) -> sp.Expr:
        return sp.log(self.args[0] * fail)


class RhoQuantile(Named):
    """The normal quantile of rho, which code evaluates from log(1 - rho) where 1 - rho is no double any more."""

    nargs = 0

    @property
    def written_out(self) -> sp.Expr:
        return NormalQuantile(rho)


def accurate(radius: sp.Expr) -> sp.Expr:
    """The same radius; log(c·fail), log(1 - 2·gap) and the quantile of rho by the functions above."""
    radius = radius.replace(lambda e: isinstance(e, sp.log) and isinstance(e.args[0], sp.Min), _inside)
    radius = radius.replace(lambda e: isinstance(e, sp.log) and e.has(fail), _logarithm)
    radius = radius.replace(lambda e: isinstance(e, Log1p) and e.args[0] == -2 * gap, lambda _: LogFail(2))
    return radius.replace(
        lambda e: isinstance(e, NormalQuantile) and e.args[0] == rho, lambda _: RhoQuantile()
    )


def _inside(logarithm: sp.Expr) -> sp.Expr:
    """log(min(x, y)) = min(log x, log y)."""
    return sp.Min(*(sp.log(part) for part in logarithm.args[0].args))


def _logarithm(logarithm: sp.Expr) -> sp.Expr:
    factor = logarithm.args[0] / fail
    return logarithm if factor.has(fail, gap, rho) else LogFail(factor)
