"""The radial profile of a density: psi = -log(density), its derivative (the score) and the hypotheses both must meet."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.formula import r
from derive.spec import Spec, SpecError


@dataclass(frozen=True)
class Profile:
    """psi(r) on 0 < r (≤ bound), with psi'(r) = Σ coefficient · r**exponent.

    `terms` have distinct exponents free of r, in the order of the exponents' text; empty for a flat density.
    """

    psi: sp.Expr
    terms: tuple[tuple[sp.Expr, sp.Expr], ...]
    bound: sp.Expr | None

    def __post_init__(self) -> None:
        rest = sp.simplify(sp.diff(self.psi, r) - sum((c * r**q for c, q in self.terms), sp.Integer(0)))
        if rest != 0:
            raise SpecError(f"internal check failed: psi' differs from its terms by {rest}")

    @property
    def score(self) -> sp.Expr:
        return sum((c * r**q for c, q in self.terms), sp.Integer(0))

    @property
    def flat(self) -> bool:
        return not self.terms

    @property
    def shape(self) -> str:
        """Proved shape of the score on r > 0: "flat", "constant", "rising", "falling" or "unknown"."""
        if self.flat:
            return "flat"
        slopes = [sp.expand(c * q) for c, q in self.terms]
        if all(s == 0 for s in slopes):
            return "constant"
        if all(s.is_nonnegative for s in slopes):
            return "rising"
        if all(s.is_nonpositive for s in slopes):
            return "falling"
        return "unknown"


def profile_of(spec: Spec) -> Profile:
    """The profile of a spec; SpecError when it is negative, imaginary or has no score the engine can order."""
    density = sp.powsimp(spec.expression)
    constant, body = density.as_independent(r, as_Add=False)
    positive = constant.subs({q.symbol: q.default for q in spec.parameters}).is_positive
    if not positive:
        raise SpecError(f"the density must be positive, but {spec.density!r} has the factor {constant}")
    psi = -sp.expand(sp.expand_log(sp.log(body), force=True))
    if not psi.is_real:
        raise SpecError(
            f"the density must be a positive function of r, but the sign of {spec.density!r} could not be proved"
        )
    derivative = sp.expand(sp.powsimp(sp.expand(sp.diff(psi, r))))
    terms: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(derivative):
        if term == 0:
            continue
        coefficient, power = sp.powsimp(term).as_independent(r, as_Add=False)
        base, exponent = power.as_base_exp()
        if power != 1 and (base != r or exponent.has(r)):
            raise SpecError(
                f"the score psi' of {spec.density!r} is {derivative}, not a sum of powers of r, which is what the engine can "
                "order and integrate today; write the density as r**(-j)*exp(-c*r**k) or as a constant on a support"
            )
        exponent = sp.expand(exponent) if power != 1 else sp.Integer(0)
        terms[exponent] = sp.expand(terms.get(exponent, sp.Integer(0)) + coefficient)
    ordered = sorted(((c, q) for q, c in terms.items() if c != 0), key=lambda item: str(item[1]))
    return Profile(psi, tuple(ordered), spec.bound)
