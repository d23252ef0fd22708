"""One smooth expression of psi = -log(density) as a function of u = log r: values and Taylor series in ball arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from flint import arb, arb_series

from derive.enclosure.ball import Program, exact
from derive.formula import Mixture, Share, r, written_out


@dataclass(frozen=True)
class Branch:
    """One smooth expression of psi."""

    psi: sp.Expr
    exponent: sp.Rational

    @cached_property
    def score(self) -> sp.Expr:
        """psi', written out for symbolic work."""
        return sp.diff(written_out(self.psi), r)

    @cached_property
    def _programs(self) -> tuple[Program, Program]:
        return Program(self.psi, r), Program(sp.diff(self.psi, r), r)

    def log_weight(self, u: arb) -> arb:
        return exact(self.exponent) * u - self._programs[0](u.exp())

    def weight_slope(self, u: arb) -> arb:
        """L'(u) = m - r·psi'(r)."""
        radius = u.exp()
        return exact(self.exponent) - radius * self._programs[1](radius)

    def score_at(self, u: arb) -> arb:
        return self._programs[1](u.exp())

    def expand(self, u: arb) -> tuple[arb_series, arb_series]:
        """Taylor series of L and psi' in u about a point or, as enclosures of every such series, about all points of a ball.

        ctx.cap terms; ArithmeticError where the ball is too wide for a series.
        """
        radius = _exponential(u)
        try:
            psi, score = (_series(program(radius)) for program in self._programs)
        except ValueError as error:  # flint's word for a quotient by a ball around 0
            raise ArithmeticError(str(error)) from error
        return arb_series([exact(self.exponent) * u, exact(self.exponent)]) - psi, score


def for_balls(psi: sp.Expr) -> sp.Expr:
    """The same expression, with logarithms of sums of positive exponentials as mixtures: these stay narrow on balls."""

    def gather(node: sp.Expr) -> sp.Expr:
        parts = []
        for term in node.args[0].args:
            power = sum((f.args[0] for f in sp.Mul.make_args(term) if isinstance(f, sp.exp)), sp.Integer(0))
            rest = term * sp.exp(-power)
            if not rest.is_positive:
                return node
            parts.append(-power - sp.log(rest))
        return -Mixture(*parts)

    def wanted(node: sp.Basic) -> bool:
        return isinstance(node, sp.log) and isinstance(node.args[0], sp.Add) and node.args[0].has(sp.exp)

    psi = _half_angles(sp.expand_log(psi))
    psi = psi.replace(sp.cosh, lambda x: sp.cosh(x).rewrite(sp.exp)).replace(
        sp.sinh, lambda x: sp.sinh(x).rewrite(sp.exp)
    )
    psi = psi.replace(sp.tanh, lambda x: 1 - 2 * Share(sp.Integer(0), x, -x))
    return psi.replace(wanted, gather)


def _half_angles(psi: sp.Expr) -> sp.Expr:
    """1 + cos x = 2·cos²(x/2) and 1 - cos x = 2·sin²(x/2): near a double zero, balls of the left sides are too wide."""

    def halve(node: sp.Add) -> sp.Expr:
        wave = next((term for term in node.args if term.has(sp.cos)), sp.Integer(0))
        size, cosine = wave.as_independent(r, as_Add=False)
        if not isinstance(cosine, sp.cos) or node - wave not in (size, -size):
            return node
        half = cosine.args[0] / 2
        return 2 * size * sp.cos(half) ** 2 if node - wave == size else -2 * size * sp.sin(half) ** 2

    return psi.replace(lambda node: isinstance(node, sp.Add) and node.has(sp.cos), halve)


def _series(value: arb | arb_series) -> arb_series:
    return value if isinstance(value, arb_series) else arb_series([value])


def _exponential(u: arb) -> arb_series:
    return arb_series([u, 1]).exp()
