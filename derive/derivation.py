"""What a stage hands on: a radius for one norm, how it is evaluated, and every step that led there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from derive.formula import dim, fail, gap, rho
from derive.geometry import Reduction
from derive.law import GammaRadialLaw

HALF = sp.Rational(1, 2)


@dataclass(frozen=True)
class Step:
    """One step of a derivation: a title, a sentence, and formulas as (left side, right side)."""

    title: str
    text: str
    formulas: tuple[tuple[str, sp.Expr], ...] = ()


@dataclass(frozen=True)
class Closed:
    """R at scale 1 as a formula in gap, fail, rho, d and the parameters."""

    radius: sp.Expr

    def __post_init__(self) -> None:
        start = self.radius.subs({gap: 0, fail: HALF, rho: HALF})
        if start != 0 and sp.simplify(start.subs(dim, 4)) != 0:  # min(1, d) and the like need a number
            raise ValueError(f"internal check failed: the radius at rho = 1/2 is {start}, not 0")


@dataclass(frozen=True)
class Tabulated:
    """The same for a formula whose functions no GPU has: its values are interpolated, always from below."""

    radius: sp.Expr


@dataclass(frozen=True)
class Overlap(Tabulated):
    """The same for noise uniform on a ball of radius `bound`: a curve of what its shifted copy leaves of it."""

    bound: sp.Expr


@dataclass(frozen=True)
class Cone:
    """R as the curve of the greedy sets {A = 1, psi' ≥ c}: P(A = 1) = weight, r by `law`, psi' = Σ terms."""

    weight: sp.Expr
    law: GammaRadialLaw
    terms: tuple[tuple[sp.Expr, sp.Expr], ...]


@dataclass(frozen=True)
class NumericCone:
    """R as the curve of the greedy sets {A = 1, |psi'| ≥ c} of any density: P(A = 1) = weight, r ∝ r**(exponent-1)·exp(-psi)."""

    weight: sp.Expr
    exponent: sp.Expr


@dataclass(frozen=True)
class Cosine:
    """R as the curve of the score psi'(r)·A, A the cosine of a uniform direction."""


@dataclass(frozen=True)
class Lattice:
    """R as the piecewise linear curve of the score slope·(2 Bin(d, 1/2) - d)."""

    slope: sp.Expr


@dataclass(frozen=True)
class LevelSet:
    """The exact Neyman–Pearson radius of a unimodal radial density, tabulated.

    `kind`: how a sphere of the norm moves under the worst shift; "cap" for l2 against l2, "shell" for l1 against l1 and linf against
    linf, "face" for linf against l1.
    """

    kind: str = "cap"


@dataclass(frozen=True)
class Composition:
    """The radius of log-concave product noise against linf by composition of one coordinate's privacy loss, tabulated."""


Evaluation = Composition | Closed | Tabulated | Cone | NumericCone | Cosine | Lattice | LevelSet


@dataclass(frozen=True)
class Derivation:
    """A sound radius function of one density against one norm, at scale 1."""

    adversary: str
    method: str  # "differential" or "level set"
    tight: bool
    evaluation: Evaluation
    reduction: Reduction
    steps: tuple[Step, ...]
    conditions: tuple[
        tuple[sp.Expr, sp.Expr | None], ...
    ] = ()  # (must be positive, only where this is not 0)
    special: tuple[tuple[Mapping[sp.Symbol, sp.Rational], Closed], ...] = field(default=())
    form: str = "integral"  # "closed form", "quantile", "integral" or "table": how far the symbols carry
    formula: sp.Expr | None = None  # R(rho) without an integral, where there is one
    boundary: sp.Symbol | None = (
        None  # the variable in which `formula` is written instead of rho, fixed by `mass` = 1 - rho
    )
    mass: sp.Expr | None = None

    @property
    def label(self) -> str:
        return f"{self.method}, tight" if self.tight else self.method
