"""The other side of every radius: an upper bound by exact Neyman–Pearson tests along shifts that are known to hurt.

Whatever the method, no radius can exceed ‖v‖ when some set V has q(V) ≤ 1 - rho and q(V - v) ≥ 1/2. Directions tried: k coordinates alike, k from
1 (a coordinate axis) to d (the diagonal), as far as the geometry lets their tests be computed. Every bound is proved in ball
arithmetic and rounded up; it is an upper bound of what rho alone can certify, and how far the radius returned lies below it is the gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from flint import arb, ctx

from derive.bounds import PRECISION, checked_values, decimal_end, native_ball, radial_density
from derive.derivation import HALF, Derivation
from derive.enclosure.ball import exact
from derive.enclosure.crosses import diagonal_bound
from derive.enclosure.likelihood import CoordinateShift, proved_shift
from derive.enclosure.line import LineLaw
from derive.enclosure.radial import RadialDensity
from derive.engine import Family
from derive.formula import dim as dim_symbol
from derive.spec import SpecError

ENCLOSED = "enclosed by ball arithmetic"
SMALLEST = sp.Rational(1, 10**12)
"""Least 1 - rho for which sets of several coordinates are searched for."""
NEAREST = sp.Rational(1, 10**6)
"""Nearer to rho = 1/2 the bound at this distance is given: radii grow with rho."""
ONE = sp.Integer(1)
CLOSE = 1e-9
"""A relative gap that counts as none."""
_INVERSE = {"1": sp.Integer(1), "2": sp.Rational(1, 2), "inf": sp.Integer(0)}
_TRIED = {"1": (1, 2, 3, 4, 6, 8, 12, 16, 32, 64), "2": (1, 2, 4, 16, 64), "inf": ()}
"""Numbers of shifted coordinates besides all of them; against linf the more the worse."""


@dataclass(frozen=True)
class Ceiling:
    """R ≤ upper (a decimal, rounded up), by a shift along `direction`; `assurance` says how it is known."""

    upper: str
    direction: str
    assurance: str = ENCLOSED


def ceiling(
    member: Family,
    adversary: str,
    *,
    dim: int,
    rho: sp.Rational,
    scale: sp.Rational = ONE,
    lower: sp.Rational | None = None,
    parameters: Mapping[str, sp.Rational] | None = None,
) -> Ceiling | None:
    """The smallest Neyman–Pearson bound found for the radius at an exact rho and scale.

    Args:
        member: a density, best without free parameters (`Spec.member`): its unimodality is then proved for the values in use.
        adversary: "1", "2" or "inf".
        dim: at least 1.
        rho: exact, 0 ≤ rho ≤ 1.
        scale: exact, > 0.
        lower: a lower bound of the radius, if known: a search that has come down to it ends.
        parameters: exact values of all that are free.

    Returns:
        The bound; None where no direction could be computed (rho = 1, or within SMALLEST of it, among others).

    Raises:
        SpecError: parameters or dimension outside the domain.
    """
    if {q.name for q in member.spec.parameters} - set(parameters or {}):
        raise SpecError(f"a bracket needs a value for every parameter of {member.spec.name}")
    values = checked_values(member, dim, parameters or {})
    if rho <= HALF:
        return Ceiling("0", "any direction")
    if rho >= 1:
        return None
    least = float(lower / scale) if lower is not None and lower > 0 else 0.0
    before, ctx.prec = ctx.prec, PRECISION
    try:
        best: tuple[arb, str] | None = None
        for bound, direction in _bounds(member, adversary, values, dim, rho, least):
            if bound.is_finite() and (best is None or bool(bound < best[0])):
                best = bound, direction
            if best is not None and float(best[0]) <= least * (1.0 + CLOSE):
                break
        if best is None:
            return None
        upper = (best[0] * exact(scale)).upper()
        mantissa, exponent = upper.man_exp()
        return Ceiling(
            decimal_end(sp.Rational(int(mantissa)) * sp.Integer(2) ** int(exponent), up=True), best[1]
        )
    finally:
        ctx.prec = before


def gap(upper: str, lower: str) -> float | None:
    """upper/lower - 1, rounded up; None where the lower end is 0."""
    below = sp.Rational(lower)
    if below <= 0:
        return None
    excess = sp.Rational(upper) / below - 1
    value = float(excess)
    return value if sp.Rational(value) >= excess else math.nextafter(value, math.inf)


def _bounds(
    member: Family,
    adversary: str,
    values: Mapping[sp.Symbol, sp.Rational],
    dim: int,
    rho: sp.Rational,
    least: float,
) -> Iterator[tuple[arb, str]]:
    """Upper bounds at scale 1 with their directions, the cheapest first."""
    for derivation in _tight(member):
        norm = derivation.adversary
        counts = _exact_directions(member, derivation, dim)
        try:
            radius = native_ball(member.profile, derivation, values, rho).upper()
        except (ArithmeticError, NotImplementedError, ValueError):
            continue
        best = min(counts, key=lambda k: float(_norm(k, adversary)) / float(_norm(k, norm)))
        share = _norm(best, adversary) / _norm(best, norm)
        name = "any direction" if len(counts) > 1 and norm == adversary else direction_name(best, dim)
        yield (radius * share).upper(), name
    if any(view.geometry == "product" for view in member.views):
        yield from _coordinates(member, adversary, values, dim, rho, least)
    elif any(view.geometry == "l1" for view in member.views) and adversary != "1" and dim > 1:
        yield from _diagonal(member, adversary, values, dim, rho)


def _tight(member: Family) -> list[Derivation]:
    """The exact radii known for this density, each along the shift that attains it."""
    return [d for d in (*member.native.values(), *member.exact.values()) if d.tight]


def direction_name(count: int, dim: int) -> str:
    """A shift of this many coordinates alike, in words."""
    if count == 1:
        return "one coordinate"
    return "all coordinates alike" if count == dim else f"{count} coordinates alike"


def _norm(count: int, norm: str) -> arb:
    """The norm of a vector of `count` ones."""
    inverse = _INVERSE[norm]
    return arb(1) if inverse == 0 else arb(count) if inverse == 1 else arb(count).sqrt()


def _exact_directions(member: Family, derivation: Derivation, dim: int) -> tuple[int, ...]:
    """The numbers of coordinates along which a tight radius is the exact one."""
    if derivation.adversary == "2" and any(view.geometry == "l2" for view in member.views):
        return (1, dim)  # rotations make all directions alike
    return (1,) if derivation.adversary == "1" else (dim,)


def _coordinates(
    member: Family,
    adversary: str,
    values: Mapping[sp.Symbol, sp.Rational],
    dim: int,
    rho: sp.Rational,
    least: float,
) -> Iterator[tuple[arb, str]]:
    """Product noise: several coordinates shifted alike, the best number of them."""
    fail = 1 - max(rho, HALF + NEAREST)
    if not member.unimodal or fail < SMALLEST:
        return
    exact_ones = [_exact_directions(member, d, dim) for d in _tight(member)]
    known = {count for counts in exact_ones for count in counts}
    try:
        law = _line(
            radial_density(member.profile, sp.Integer(1), values),
            member.profile.shape in ("rising", "constant"),
        )
    except (ArithmeticError, NotImplementedError):
        return
    found: list[tuple[float, int, float]] = []
    for count in sorted({k for k in _TRIED[adversary] if k < dim} | {dim}):
        if count in known:
            continue
        size = float(_norm(count, adversary))
        try:
            s = CoordinateShift(law, count).radius(
                float(fail), (found[-1][0] if found else max(least, 1e-9)) / size
            )
        except ArithmeticError:
            continue
        found.append((s * size, count, s))
        if len(found) > 2 and adversary == "1" and found[-1][0] > found[-2][0] > found[-3][0]:
            break  # past the worst number
    for _, count, s in sorted(found):
        try:
            proved = proved_shift(law, count, exact(fail), s)
        except ArithmeticError:
            continue
        yield (arb(proved) * _norm(count, adversary)).upper(), direction_name(count, dim)
        return


def _diagonal(
    member: Family, adversary: str, values: Mapping[sp.Symbol, sp.Rational], dim: int, rho: sp.Rational
) -> Iterator[tuple[arb, str]]:
    """l1-radial noise: all coordinates shifted alike."""
    fail = 1 - max(rho, HALF + NEAREST)
    if not member.unimodal or fail < SMALLEST:
        return
    try:
        law = _line(radial_density(member.profile, dim_symbol, values), False)
        shift = diagonal_bound(law, dim, exact(fail))
    except (ArithmeticError, NotImplementedError):
        return
    yield (arb(shift) * _norm(dim, adversary)).upper(), direction_name(dim, dim)


@lru_cache(maxsize=16)
def _line(density: RadialDensity, convex: bool) -> LineLaw:
    try:
        return LineLaw(density, convex)
    except ValueError as error:  # python-flint's series divide by balls that contain 0
        raise ArithmeticError(f"the density could not be integrated: {error}") from None
