"""Enclosures of a radius by ball arithmetic: two numbers, proved to lie on either side of the radius of the method."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import sympy as sp
from flint import arb, ctx, fmpz

from derive.derivation import HALF, Closed, Cone, Derivation, Lattice, LevelSet, NumericCone, Tabulated
from derive.enclosure.ball import evaluate, exact
from derive.enclosure.cone import BallCone, ConeEnclosure
from derive.enclosure.near_half import NEAR, near_half_ball
from derive.enclosure.panels import cone_ball
from derive.enclosure.radial import RadialDensity
from derive.enclosure.shell_witness import shell_ball
from derive.enclosure.witness import level_set_ball
from derive.engine import Family, source_name
from derive.formula import dim as dim_symbol
from derive.formula import fail, gap, rho
from derive.ordering import interval_pattern
from derive.profile import Profile
from derive.spec import SpecError

PRECISION = 192
MOST_COORDINATES = 2**53
"""Bits; enclosures come out with a relative width near 1e-16 or better."""
SMALL_BITS = 64
"""PRECISION serves for 1 - rho and rho - 1/2 down to 2**-SMALL_BITS."""
USUAL, MOST_DIGITS = 41, 60
"""Bits that are there as a rule, about 1e-12, and the most digits that may be asked for."""

LATTICE_LIMIT = 1_000_000
"""Largest dimension at which binomial sums are enclosed: their integers have as many bits."""


@dataclass(frozen=True)
class Enclosure:
    """lower ≤ R ≤ upper, decimals rounded outwards; `route` names the source of the largest lower bound."""

    lower: str
    upper: str
    route: str


def enclose(
    family: Family,
    adversary: str,
    *,
    dim: int,
    rho: sp.Rational,
    parameters: Mapping[str, sp.Rational],
    scale: sp.Rational,
    digits: int = 0,
) -> Enclosure:
    """The enclosure of the radius at an exact rho and scale, of a relative width of at most 10**-digits where digits are asked for.

    SpecError outside the domain, ArithmeticError where none can be proved, or not to so many digits.
    """
    values = checked_values(family, dim, parameters)
    family = family.at(values)
    with _precision(rho, digits) as extra:
        found: list[tuple[arb, str]] = []
        if adversary in family.native:
            native = family.native[adversary]
            found.append((native_ball(family.profile, native, values, rho, extra), native.label))
        for other, factor in family.routes[adversary]:
            ball = native_ball(family.profile, family.native[other], values, rho, extra)
            ball = ball * evaluate(factor, _balls(values))
            found.append((ball, source_name(other, factor)))
        if not found:
            raise SpecError(
                f"{family.spec.name} has no radius against l{adversary}; it has {', '.join(family.adversaries)}"
            )
        best, route = max(
            found, key=lambda pair: float(pair[0].lower()) if pair[0].is_finite() else float("inf")
        )
        for ball, _ in found:
            best = best.max(ball) if ball.is_finite() and best.is_finite() else best
        return _ends(best * exact(scale), digits, route)


def enclose_native(
    family: Family, adversary: str, values: Mapping[sp.Symbol, sp.Rational], at: sp.Rational
) -> Enclosure:
    """The enclosure of one norm's own radius at scale 1, without conversions; ArithmeticError where none can be proved."""
    return enclose_derivation(family, family.native[adversary], values, at)


def enclose_derivation(
    family: Family, derivation: Derivation, values: Mapping[sp.Symbol, sp.Rational], at: sp.Rational
) -> Enclosure:
    """The same for any of the family's derivations."""
    previous = ctx.prec
    ctx.prec = _bits(at)
    try:
        ball = native_ball(family.profile, derivation, values, at)
        return Enclosure(_decimal(ball.lower(), up=False), _decimal(ball.upper(), up=True), derivation.label)
    finally:
        ctx.prec = previous


@dataclass(frozen=True)
class Sharper:
    """The enclosure of a level-set radius, whether it is the norm's own and tight, and the norm whose table it needs."""

    enclosure: Enclosure
    tight: bool
    norm: str


def enclose_exact(
    family: Family,
    adversary: str,
    *,
    dim: int,
    rho: sp.Rational,
    parameters: Mapping[str, sp.Rational],
    scale: sp.Rational,
    digits: int = 0,
) -> Sharper | None:
    """The enclosure of the largest level-set radius, own or converted, where one is sharper than what needs no table; None where there is none.

    ArithmeticError where it cannot be enclosed, or not to so many digits.
    """
    values = checked_values(family, dim, parameters)
    family = family.at(values)
    candidates = [found for found in family.sharper(adversary) if isinstance(found[1].evaluation, LevelSet)]
    if not candidates:
        return None
    with _precision(rho, digits) as extra:
        found: list[tuple[arb, str, Derivation]] = []
        for name, derivation, factor in candidates:
            ball = native_ball(family.profile, derivation, values, rho, extra)
            found.append((ball * evaluate(factor, _balls(values)) * exact(scale), name, derivation))
        ball, name, derivation = max(found, key=lambda one: float(one[0].lower()))
        enclosure = _ends(ball, digits, name)
        return Sharper(
            enclosure, derivation.tight and derivation.adversary == adversary, derivation.adversary
        )


@contextmanager
def _precision(rho: sp.Rational, digits: int) -> Iterator[int]:
    """The working precision for an enclosure to so many digits; hands on by how many bits that is closer than usual."""
    if not 0 <= digits <= MOST_DIGITS:
        raise SpecError(f"an enclosure has up to {MOST_DIGITS} digits, not {digits}")
    previous = ctx.prec
    extra = max(0, math.ceil(digits * math.log2(10)) - USUAL)
    ctx.prec = _bits(rho) + 2 * extra
    try:
        yield extra
    finally:
        ctx.prec = previous


def _ends(ball: arb, digits: int, route: str) -> Enclosure:
    """Both ends as decimals; ArithmeticError where the ball is wider than 10**-digits, if digits are asked for."""
    if digits and not bool(ball.rad() * 2 <= abs(ball.mid()) * arb(10) ** -digits):
        width = ball.rad() * 2 / abs(ball.mid())
        raise ArithmeticError(
            f"the enclosure has a relative width of {width.str(2, radius=False)}, not of 1e-{digits}; ask for fewer digits"
        )
    shown = max(30, digits + 10)
    return Enclosure(_decimal(ball.lower(), False, shown), _decimal(ball.upper(), True, shown), route)


def _bits(rho: sp.Rational) -> int:
    """PRECISION, and where 1 - rho or rho - 1/2 is too small for it as many bits more, so that rho is told apart from 1 and 1/2."""
    small = min(abs(1 - rho), abs(rho - HALF))
    below = int(small.q).bit_length() - int(small.p).bit_length() if small > 0 else 0
    return PRECISION + max(0, below - SMALL_BITS)


def checked_values(
    family: Family, dim: int, parameters: Mapping[str, sp.Rational]
) -> dict[sp.Symbol, sp.Rational]:
    """Exact values of d and every parameter (defaults filled in); SpecError outside the law's domain."""
    if not 1 <= dim < MOST_COORDINATES:
        limit = f"at least 1{'' if dim < 1 else ' and below 2**53'}"
        raise SpecError(f"the dimension must be {limit}, not {dim}")
    known = {q.name: q for q in family.spec.parameters}
    for name in parameters:
        if name not in known:
            raise SpecError(
                f"{family.spec.name} has no parameter {name!r}; it has {', '.join(known) or 'none'}"
            )
    values: dict[sp.Symbol, sp.Rational] = {dim_symbol: sp.Integer(dim)}
    for name, q in known.items():
        value = parameters.get(name, q.default)
        if not q.contains(value):
            raise SpecError(f"{name} must satisfy {q.domain}, not {value}")
        values[q.symbol] = value
    for condition, guard in family.conditions:
        if (guard is None or guard.subs(values) != 0) and not bool(condition.subs(values) > 0):
            shown = ", ".join(f"{s} = {v}" for s, v in values.items())
            raise SpecError(
                f"{family.spec.name} needs {condition} > 0{f' where {guard} is not 0' if guard is not None else ''}, not {shown}"
            )
    return values


def native_ball(
    profile: Profile,
    derivation: Derivation,
    values: Mapping[sp.Symbol, sp.Rational],
    at: sp.Rational,
    extra: int = 0,
) -> arb:
    """R at scale 1 against the derivation's own norm, enclosed, by `extra` bits closer than usual; 0 for rho ≤ 1/2.

    ArithmeticError where it cannot be, at rho < 1 also where nothing finite came out; at rho = 1 the ball may be infinite.
    """
    if at <= HALF:
        return arb(0)
    ball = _native_ball(profile, derivation, values, at, extra)
    if at < 1 and not ball.is_finite():  # infinity is a radius at rho = 1 alone
        raise ArithmeticError(f"the radius could not be enclosed at {ctx.prec} bits: 1 - rho is too small")
    return ball


def _native_ball(
    profile: Profile,
    derivation: Derivation,
    values: Mapping[sp.Symbol, sp.Rational],
    at: sp.Rational,
    extra: int,
) -> arb:
    closed = next((c for v, c in derivation.special if all(values[s] == x for s, x in v.items())), None)
    evaluation = closed or derivation.evaluation
    match evaluation:
        case Closed(radius) | Tabulated(radius):
            return evaluate(
                radius, _balls(values) | {rho: exact(at), gap: exact(at - HALF), fail: exact(1 - at)}
            )
        case Cone():
            density = radial_density(profile, derivation.reduction.view.exponent, values)
            return _cone_radius(_numbers(evaluation, values), density, at, ctx.prec, extra)
        case Lattice(slope):
            return _lattice(int(values[dim_symbol]), exact(sp.Rational(slope.subs(values))), exact(1 - at))
        case NumericCone(weight, exponent):
            density = radial_density(profile, exponent, values)
            return _numeric_cone(density, sp.Rational(weight.subs(values)), at, ctx.prec, extra)
        case LevelSet(kind) if kind != "cap" or values[dim_symbol] == 1:
            require_unimodal(profile, values)
            kind = "shell" if kind == "cap" else kind  # on a line all norms are one
            return _shells(radial_density(profile, dim_symbol, values), kind, at, ctx.prec, extra)
        case LevelSet():
            return _level_set(radial_density(profile, dim_symbol, values), at, ctx.prec, extra)
    raise ArithmeticError(f"no enclosure is known for a radius of the kind {type(evaluation).__name__}")


def radial_density(
    profile: Profile, exponent: sp.Expr, values: Mapping[sp.Symbol, sp.Rational]
) -> RadialDensity:
    """The law of r at exact parameter values."""
    bound = None if profile.bound is None else profile.bound.subs(values)
    kinks = tuple(k.subs(values) for k in profile.kinks)
    inside = tuple(k for k in kinks if k > 0 and (bound is None or k < bound))
    return RadialDensity(profile.psi.subs(values), sp.Rational(exponent.subs(values)), inside, bound)


@lru_cache(maxsize=4096)
def _numeric_cone(
    density: RadialDensity, weight: sp.Rational, at: sp.Rational, precision: int, extra: int
) -> arb:
    del precision  # part of the key only
    try:
        return cone_ball(density, weight, exact(1 - at), extra=extra)
    except ValueError as error:  # the series of python-flint divide by balls that contain 0
        raise ArithmeticError(f"no enclosure of the growth function was found: {error}") from None


@lru_cache(maxsize=4096)
def _level_set(density: RadialDensity, at: sp.Rational, precision: int, extra: int) -> arb:
    del precision  # part of the key only
    try:
        dim, gap = int(density.exponent), exact(at - HALF)
        if not extra and bool(gap < arb(2) ** -NEAR):
            return near_half_ball(density, dim, gap)
        return level_set_ball(density, dim, exact(1 - at), extra)
    except ValueError as error:
        raise ArithmeticError(f"no enclosure of the level sets was found: {error}") from None


@lru_cache(maxsize=4096)
def _shells(density: RadialDensity, kind: str, at: sp.Rational, precision: int, extra: int) -> arb:
    del precision  # part of the key only
    try:
        return shell_ball(density, kind, int(density.exponent), exact(1 - at), extra)
    except ValueError as error:
        raise ArithmeticError(f"no enclosure of the level sets was found: {error}") from None


def require_unimodal(profile: Profile, values: Mapping[sp.Symbol, sp.Rational]) -> None:
    """ArithmeticError unless psi' ≥ 0 is proved at these parameters."""
    if profile.unimodal:
        return
    pattern = interval_pattern(profile.score, profile.bound, profile.kinks, dict(values))
    if pattern is None or pattern.strip("+0"):
        shown = ", ".join(f"{s} = {v}" for s, v in values.items())
        raise ArithmeticError(f"the exact level-set radius needs a unimodal density, not proved at {shown}")


@lru_cache(maxsize=4096)
def _cone_radius(cone: BallCone, density: RadialDensity, at: sp.Rational, precision: int, extra: int) -> arb:
    """By gamma functions, or where these are too wide (or more is asked than they give) by panels."""
    found = ConeEnclosure(cone).radius(exact(1 - at))
    if bool(found.rad() < abs(found.mid()) * arb(2) ** -(USUAL + extra)):
        return found
    try:
        return _narrower(found, _numeric_cone(density, cone.weight, at, precision, extra))
    except (ArithmeticError, NotImplementedError):
        return found


def _narrower(one: arb, other: arb) -> arb:
    return one if one.is_finite() and bool(one.rad() <= other.rad()) else other


def _numbers(cone: Cone, values: Mapping[sp.Symbol, sp.Rational]) -> BallCone:
    law = cone.law
    terms = tuple((sp.Rational(c.subs(values)), sp.Rational(q.subs(values))) for c, q in cone.terms)
    shape, rate, power = (sp.Rational(x.subs(values)) for x in (law.shape, law.rate, law.power))
    return BallCone(
        sp.Rational(cone.weight.subs(values)), shape, rate, power, tuple(t for t in terms if t[0] != 0)
    )


def _lattice(dim: int, slope: arb, p: arb) -> arb:
    """Exact knots of the score slope·(2 i - dim), then a sum of logarithms."""
    if dim > LATTICE_LIMIT:
        raise SpecError(f"this radius is enclosed up to dimension {LATTICE_LIMIT}, not {dim}")
    start = (
        dim // 2 + 1
    )  # the smallest positive score; between its knot and 1/2 Phi is flat (even d) or they agree
    choose = fmpz(comb(dim, start))
    power = arb(2) ** -dim
    total = sum_tail(dim, start)
    knot, phi = arb(total) * power, slope * arb(start * choose) * power
    radius = (arb(1) / 2 - knot.max(p)).max(arb(0)) / phi
    m = start
    while m <= dim and not bool(p > knot):
        total -= choose
        following = choose * (dim - m) // (m + 1)
        next_knot, step = arb(total) * power, slope * (2 * m - dim)
        reached = next_knot.max(p) if m < dim else p
        radius += -(-step * (knot - reached) / phi).log1p() / step
        m, choose, knot = m + 1, following, next_knot
        phi = slope * arb(m * choose) * power
    return radius


def sum_tail(dim: int, start: int) -> fmpz:
    """Σ_{i ≥ start} C(dim, i) for start = dim // 2 + 1, by symmetry."""
    whole = fmpz(1) << dim
    return whole // 2 if dim % 2 else (whole - fmpz(comb(dim, dim // 2))) // 2


def _balls(values: Mapping[sp.Symbol, sp.Rational]) -> dict[sp.Symbol, arb]:
    return {s: exact(v) for s, v in values.items()}


def _decimal(point: arb, up: bool, digits: int = 30) -> str:
    if not point.is_finite():
        return "inf"
    mantissa, exponent = point.mid().man_exp()
    return decimal_end(sp.Rational(int(mantissa)) * sp.Integer(2) ** int(exponent), up, digits)


def float_below(value: sp.Rational) -> float:
    """The largest double not above a rational."""
    nearest = float(value)
    return nearest if sp.Rational(nearest) <= value else math.nextafter(nearest, -math.inf)


def decimal_end(value: sp.Rational, up: bool, digits: int = 30) -> str:
    """A rational as a decimal of so many digits, rounded up or down."""
    if value == 0:
        return "0"
    magnitude = int(sp.floor(sp.log(abs(value), 10).evalf(30)))
    unit = sp.Integer(10) ** (magnitude - digits + 1)
    steps = value / unit
    steps = sp.ceiling(steps) if up else sp.floor(steps)
    text = str(abs(int(steps)))
    sign = "-" if steps < 0 else ""
    shift = magnitude - digits + 1 + len(text) - 1
    return f"{sign}{text[0]}.{text[1:]}e{shift}" if not -5 < shift < 17 else sign + _plain(text, shift)


def _plain(text: str, shift: int) -> str:
    if shift < 0:
        return "0." + "0" * (-shift - 1) + text
    return text[: shift + 1] + ("." + text[shift + 1 :] if len(text) > shift + 1 else "")
