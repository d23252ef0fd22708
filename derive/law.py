"""The law of the radius r ~ r**(m-1)·exp(-psi(r)): normaliser, moments, quantile, by one change of variable.

With t = rate·r**power, the Pearson identities r·d/dr log(r**m e^{-psi}) = power·(a - t), power·(a - (a+b)·t/(1+t)) and
power·(a - (b-1)·t/(1-t)) make t ~ Gamma(a, 1), beta prime(a, b) and Beta(a, b). The powers and rates tried are those of the density's
own sub-expressions. A flat profile on r ≤ b makes (r/b)**m uniform. Any other density that is integrable has a law by quadrature.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from derive.formula import BetaLower, BetaQuantile, GammaQuantile, GammaRatio, GammaUpper, r, written_out
from derive.profile import Profile
from derive.spec import Spec, SpecError
from derive.symbolic import attempt

SECONDS = 3.0

Condition = tuple[sp.Expr, sp.Expr | None]
"""An expression that must be positive, and one beside which it must be only where that one is not 0."""

_t = sp.Symbol("t", positive=True)


def tidy(expression: sp.Expr) -> sp.Expr:
    """Over one denominator, factored: the form in which a formula reads and evaluates best."""
    return sp.factor(sp.together(expression))


@dataclass(frozen=True)
class GammaRadialLaw:
    """rate · r**power ~ Gamma(shape, 1)."""

    shape: sp.Expr
    rate: sp.Expr
    power: sp.Expr

    def t(self, at: sp.Expr) -> sp.Expr:
        return self.rate * at**self.power

    def moment(self, q: sp.Expr) -> sp.Expr:
        """E[r**q], for shape + q/power > 0."""
        return self.rate ** (-q / self.power) * GammaRatio(tidy(self.shape + q / self.power), self.shape)

    def upper_share(self, q: sp.Expr, at: sp.Expr) -> sp.Expr:
        """E[r**q; r ≥ at] / E[r**q]."""
        return GammaUpper(tidy(self.shape + q / self.power), self.t(at))

    def quantile(self, u: sp.Expr) -> sp.Expr:
        return sp.powdenest(
            sp.expand_power_base((GammaQuantile(self.shape, u) / self.rate) ** (1 / self.power)), force=True
        )

    @property
    def conditions(self) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive."""
        return (self.shape, self.rate, self.power)

    def finite_moment(self, q: sp.Expr) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive for E[r**q] to be finite."""
        return (tidy(self.shape + q / self.power),)

    def __str__(self) -> str:
        return f"t = {self.t(r)} follows Gamma({self.shape}, 1)"


@dataclass(frozen=True)
class BetaPrimeRadialLaw:
    """rate · r**power ~ beta prime(a, b)."""

    a: sp.Expr
    b: sp.Expr
    rate: sp.Expr
    power: sp.Expr

    def t(self, at: sp.Expr) -> sp.Expr:
        return self.rate * at**self.power

    def moment(self, q: sp.Expr) -> sp.Expr:
        """E[r**q], for -a < q/power < b."""
        up = GammaRatio(tidy(self.a + q / self.power), self.a)
        return self.rate ** (-q / self.power) * up * GammaRatio(tidy(self.b - q / self.power), self.b)

    def upper_share(self, q: sp.Expr, at: sp.Expr) -> sp.Expr:
        """E[r**q; r ≥ at] / E[r**q]."""
        return BetaLower(tidy(self.b - q / self.power), tidy(self.a + q / self.power), 1 / (1 + self.t(at)))

    def quantile(self, u: sp.Expr) -> sp.Expr:
        x = BetaQuantile(self.a, self.b, u)
        return (x / (1 - x) / self.rate) ** (1 / self.power)

    @property
    def conditions(self) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive."""
        return (self.a, self.b)

    def finite_moment(self, q: sp.Expr) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive for E[r**q] to be finite."""
        return (tidy(self.a + q / self.power), tidy(self.b - q / self.power))

    def weighted(self, q: sp.Expr) -> tuple[sp.Expr, BetaPrimeRadialLaw]:
        """E[r**q/(1 + t)] and the law weighted by r**q/(1 + t)."""
        shift = q / self.power
        law = BetaPrimeRadialLaw(tidy(self.a + shift), tidy(self.b + 1 - shift), self.rate, self.power)
        ratio = (
            GammaRatio(law.a, self.a)
            * GammaRatio(law.b, self.b)
            * GammaRatio(tidy(self.a + self.b), tidy(law.a + law.b))
        )
        return self.rate ** (-shift) * ratio, law

    def __str__(self) -> str:
        return f"t = {self.t(r)} follows beta prime({self.a}, {self.b})"


@dataclass(frozen=True)
class BetaRadialLaw:
    """rate · r**power ~ Beta(a, b)."""

    a: sp.Expr
    b: sp.Expr
    rate: sp.Expr
    power: sp.Expr

    def t(self, at: sp.Expr) -> sp.Expr:
        return self.rate * at**self.power

    def moment(self, q: sp.Expr) -> sp.Expr:
        """E[r**q], for a + q/power > 0."""
        up = GammaRatio(tidy(self.a + q / self.power), self.a)
        return (
            self.rate ** (-q / self.power)
            * up
            * GammaRatio(tidy(self.a + self.b), tidy(self.a + self.b + q / self.power))
        )

    def upper_share(self, q: sp.Expr, at: sp.Expr) -> sp.Expr:
        """E[r**q; r ≥ at] / E[r**q]."""
        return BetaLower(self.b, tidy(self.a + q / self.power), 1 - self.t(at))

    def quantile(self, u: sp.Expr) -> sp.Expr:
        return (BetaQuantile(self.a, self.b, u) / self.rate) ** (1 / self.power)

    @property
    def conditions(self) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive."""
        return (self.a, self.b)

    def finite_moment(self, q: sp.Expr) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive for E[r**q] to be finite."""
        return (tidy(self.a + q / self.power),)

    def weighted(self, q: sp.Expr) -> tuple[sp.Expr, BetaRadialLaw]:
        """E[r**q/(1 - t)] and the law weighted by r**q/(1 - t)."""
        shift = q / self.power
        law = BetaRadialLaw(tidy(self.a + shift), tidy(self.b - 1), self.rate, self.power)
        ratio = (
            GammaRatio(law.a, self.a)
            * GammaRatio(law.b, self.b)
            * GammaRatio(tidy(self.a + self.b), tidy(law.a + law.b))
        )
        return self.rate ** (-shift) * ratio, law

    def __str__(self) -> str:
        return f"t = {self.t(r)} follows Beta({self.a}, {self.b})"


@dataclass(frozen=True)
class FlatRadialLaw:
    """(r/bound)**exponent is uniform on (0, 1)."""

    exponent: sp.Expr
    bound: sp.Expr

    def moment(self, q: sp.Expr) -> sp.Expr:
        return self.bound**q * self.exponent / (self.exponent + q)

    @property
    def edge_density(self) -> sp.Expr:
        """The density of r at the boundary, where the measure jumps."""
        return self.exponent / self.bound

    @property
    def conditions(self) -> tuple[sp.Expr, ...]:
        return (self.exponent, self.bound)

    def finite_moment(self, q: sp.Expr) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive for E[r**q] to be finite."""
        return (self.exponent + q,)

    def __str__(self) -> str:
        return f"{(r / self.bound) ** self.exponent} is uniform on (0, 1)"


@dataclass(frozen=True)
class QuadratureLaw:
    """A law without a closed form: density ∝ r**(exponent-1)·exp(-psi(r)), normalised and summed by quadrature in log r.

    `start` and `end` are the limits of r·psi'(r) at 0 and at infinity (None with a bound), on which integrability rests.
    """

    exponent: sp.Expr
    start: sp.Expr
    end: sp.Expr | None

    @property
    def conditions(self) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive."""
        return self.finite_moment(sp.Integer(0))

    def finite_moment(self, q: sp.Expr) -> tuple[sp.Expr, ...]:
        """Expressions that must be positive for E[r**q] to be finite."""
        ends = [] if self.start == -sp.oo else [self.exponent + q - self.start]
        ends += [] if self.end in (None, sp.oo) else [self.end - self.exponent - q]
        return tuple(sp.factor(end) for end in ends)

    def __str__(self) -> str:
        return "no closed law: normaliser, distribution function and moments by quadrature in log r"


ClosedLaw = GammaRadialLaw | BetaPrimeRadialLaw | BetaRadialLaw
RadialLaw = ClosedLaw | FlatRadialLaw | QuadratureLaw


def radial_law(spec: Spec, profile: Profile, exponent: sp.Expr) -> RadialLaw:
    """The law of r for m = `exponent`; SpecError when the density is not, or not provably, integrable."""
    if profile.flat:
        if profile.bound is None:
            raise SpecError(
                f"the density {spec.density!r} is not integrable: constant without a support; add --support 'r<=1'"
            )
        return FlatRadialLaw(exponent, profile.bound)
    _require_ends(spec, profile, exponent)
    closed = _recognised(profile, exponent)
    return closed if closed is not None else QuadratureLaw(exponent, profile.start, profile.end)


def _recognised(profile: Profile, exponent: sp.Expr) -> ClosedLaw | None:
    found = attempt(_pearson, profile, exponent, seconds=SECONDS)
    return found if isinstance(found, ClosedLaw) else None


def _require_ends(spec: Spec, profile: Profile, exponent: sp.Expr) -> None:
    """Integrable at 0 and at the end, from the limits of r·psi': below m at 0, above m at infinity."""
    name = f"the density {spec.density!r}"
    if profile.start is None:
        raise SpecError(
            f"could not prove that {name} is integrable at 0: the limit of r·psi'(r) there was not found"
        )
    gap = sp.factor(exponent - profile.start) if profile.start != -sp.oo else sp.oo
    if profile.start == sp.oo or gap.is_nonpositive:
        raise SpecError(f"{name} is not integrable at 0: there it grows like r**(-{profile.start})")
    if profile.bound is not None:
        if profile.edge is None:
            raise SpecError(f"could not find the limit of {name} at the end of its support {spec.support}")
        if profile.edge.is_infinite or profile.edge == sp.oo:
            raise SpecError(
                f"{name} is infinite at the end of its support: any shift there costs infinitely much, and nothing can be certified"
            )
        return
    if profile.end is None:
        raise SpecError(
            f"could not prove that {name} is integrable at infinity: the limit of r·psi'(r) was not found; declare the parameters' "
            "domains with --param, or give a --support"
        )
    tail = sp.factor(profile.end - exponent) if profile.end not in (sp.oo, -sp.oo) else profile.end
    if tail == -sp.oo or tail.is_nonpositive:
        what = (
            "grows" if tail == -sp.oo or profile.end.is_negative else f"falls only like r**-({profile.end})"
        )
        raise SpecError(
            f"{name} is not integrable: at infinity it {what}; give a --support 'r<=NUMBER' or a faster decay"
        )


def _pearson(profile: Profile, exponent: sp.Expr) -> ClosedLaw | None:
    """The first Pearson identity that holds, proved by simplification."""
    drift = sp.expand(exponent - written_out(profile.steepness))
    for rate, power, sign in _changes_of_variable(profile):
        inside = sp.expand(
            sp.powsimp(sp.powdenest(drift.subs(r, (_t / rate) ** (1 / power)), force=True) / power)
        )
        kinds = [sp.Integer(1)] if sign == 0 else [1 + sign * _t]
        for factor in kinds:
            line = sp.simplify(inside * factor)
            if not line.is_polynomial(_t) or sp.degree(line, _t) != 1 or line.has(r):
                continue
            a, slope = (sp.factor(sp.Poly(line, _t).coeff_monomial(_t**n)) for n in (0, 1))
            if sign == 0 and slope == -1 and profile.bound is None:
                return GammaRadialLaw(tidy(a), rate, power)
            if sign == 1 and profile.bound is None:
                return BetaPrimeRadialLaw(tidy(a), tidy(-slope), rate, power)
            if sign == -1 and profile.bound is not None and sp.simplify(rate * profile.bound**power) == 1:
                return BetaRadialLaw(tidy(a), tidy(1 - slope - a), rate, power)
    return None


def _changes_of_variable(profile: Profile) -> Iterator[tuple[sp.Expr, sp.Expr, int]]:
    """(rate, power, sign) of t = rate·r**power: sign 0 for exp(-t), ±1 for powers of 1 ± t, from the sub-expressions of psi."""
    psi = sp.expand(written_out(profile.psi))
    for term in sp.Add.make_args(psi):
        found = _monomial(term)
        if found is not None and found[1].is_positive and found[0].is_positive:
            yield found[0], found[1], 0
    for node in sorted(psi.atoms(sp.log), key=str):
        for inner in (node.args[0], *sp.Mul.make_args(sp.factor(node.args[0]))):
            base = inner.as_base_exp()[0]
            if not base.is_Add or len(base.args) != 2:
                continue
            constant, rest = base.as_independent(r, as_Add=True)
            found = _monomial(rest / constant) if constant != 0 else None
            if found is not None and found[1].is_positive and not found[0].is_zero:
                sign = 1 if found[0].is_positive else -1 if found[0].is_negative else 0
                if sign:
                    yield sign * found[0], found[1], sign


def _monomial(term: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
    """(coefficient, power) of coefficient·r**power, or None."""
    coefficient, power = term.as_independent(r, as_Add=False)
    base, exponent = power.as_base_exp()
    return (coefficient, exponent) if base == r and not exponent.has(r) else None
