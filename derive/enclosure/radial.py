"""A radial density at exact parameter values: what the enclosures work on."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.formula import r


@dataclass(frozen=True)
class RadialDensity:
    """The law of r with density ∝ r**(exponent-1)·exp(-psi(r)) on 0 < r (< bound), every number exact.

    psi is a SymPy expression in r alone, possibly Piecewise; psi is continuous inside, and analytic between the `kinks`.
    """

    psi: sp.Expr
    exponent: sp.Rational
    kinks: tuple[sp.Expr, ...] = ()
    bound: sp.Expr | None = None

    def __post_init__(self) -> None:
        if self.psi.free_symbols - {r}:
            raise ValueError(f"internal check failed: psi may depend on r alone, not {self.psi}")

    @property
    def score(self) -> sp.Expr:
        return sp.diff(self.psi, r)
