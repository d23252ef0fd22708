"""The law of the radius r ~ r**(m-1)·exp(-psi(r)): normaliser, moments, quantile, by one change of variable.

With t = rate·r**power, the Pearson identity r·d/dr log(r**m e^{-psi}) = shape·power - power·t makes t ~ Gamma(shape, 1).
A flat profile on r ≤ b makes (r/b)**m uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.formula import GammaQuantile, GammaRatio, GammaUpper, r
from derive.profile import Profile
from derive.spec import Spec, SpecError


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

    def __str__(self) -> str:
        return f"t = {self.t(r)} follows Gamma({self.shape}, 1)"


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

    def __str__(self) -> str:
        return f"{(r / self.bound) ** self.exponent} is uniform on (0, 1)"


RadialLaw = GammaRadialLaw | FlatRadialLaw


def radial_law(spec: Spec, profile: Profile, exponent: sp.Expr) -> RadialLaw:
    """The law of r for m = `exponent`; SpecError when the density is not integrable or its law is not one of these."""
    if profile.flat:
        if profile.bound is None:
            raise SpecError(
                f"the density {spec.density!r} is not integrable: constant without a support; add --support 'r<=1'"
            )
        return FlatRadialLaw(exponent, profile.bound)
    if profile.bound is not None:
        raise SpecError(
            f"a support is available for constant densities only: {spec.density!r} has a slope as well as a jump at its edge"
        )
    alpha, growing = exponent, []
    for coefficient, q in profile.terms:
        if sp.expand(q + 1) == 0:
            alpha = sp.expand(alpha - coefficient)
        else:
            growing.append((coefficient, sp.expand(q + 1)))
    if not growing:
        raise SpecError(
            f"the density {spec.density!r} is not integrable: a power of r alone diverges at 0 or at infinity"
        )
    if len(growing) > 1:
        raise SpecError(
            f"the radial law of {spec.density!r} is not Gamma in a power of r (its exponent has {len(growing)} powers); "
            "the engine derives r**(-j)*exp(-c*r**k) and constants on a support today"
        )
    coefficient, power = growing[0]
    if power.is_nonpositive or power.is_negative:
        raise SpecError(f"the density {spec.density!r} is not integrable: it does not decay at infinity")
    rate = sp.cancel(coefficient / power)
    if rate.is_nonpositive or rate.is_negative:
        raise SpecError(f"the density {spec.density!r} is not integrable: it grows at infinity")
    if not (rate.is_positive and power.is_positive):
        raise SpecError(
            f"could not prove that {spec.density!r} decays at infinity: the rate {rate} and the power {power} must be positive; "
            "declare the parameters' domains with --param"
        )
    shape = tidy(alpha / power)
    if shape.is_nonpositive:
        raise SpecError(
            f"the density {spec.density!r} is not integrable at 0: the Gamma shape {shape} must be positive"
        )
    law = GammaRadialLaw(shape, rate, power)
    pearson = sp.simplify(exponent - r * profile.score - power * (shape - law.t(r)))
    if pearson != 0:
        raise SpecError(f"internal check failed: the Pearson identity leaves {pearson}")
    return law
