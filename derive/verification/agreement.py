"""Radii, enclosures and growth functions of a generated module against the oracles."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import sympy as sp

from derive.bounds import Enclosure, enclose
from derive.engine import Family
from derive.formula import dim as dim_symbol
from derive.timelimit import limited
from derive.verification.cases import NORMS, Case, Tally, native_radii, plain_radii
from derive.verification.check import Check
from derive.verification.frontier import Measured
from derive.verification.neyman import exact_growth, radius_along
from derive.verification.oracle import NoOracle

FAILS = (0.5 - 2.0**-30, 0.4, 0.1, 2.0**-10, 2.0**-20, 2.0**-40)
LEVEL_SET_FAILS = (0.4, 0.1, 2.0**-10)
"""Nearer the ends the error of a growth outweighs what is left of 1/2 - p, or of p."""
ENCLOSED = (0.1, 2.0**-10)
TOLERANCE = 1e-9
ENCLOSURE_SECONDS = 4.0
"""For all enclosures of a density; its module's own evidence has more."""


@dataclass
class Allowance:
    """Seconds that are left for a kind of work."""

    seconds: float


def _expected(family: Family, module: ModuleType, adversary: str, case: Case) -> list[Measured | None]:
    """The radius that the engine says it has against its own norm, by the oracle; NoOracle where there is none.

    None at the points where the oracle is not sharp enough to say anything.
    """
    if adversary not in case.found:
        try:
            case.found[adversary] = _asked(family, module, adversary, case)
        except (ValueError, ArithmeticError, NotImplementedError) as error:
            case.found[adversary] = str(error)
    found = case.found[adversary]
    if isinstance(found, str):
        raise NoOracle(found)
    return found


def _asked(family: Family, module: ModuleType, adversary: str, case: Case) -> list[Measured | None]:
    if family.native[adversary].method == "differential":
        return list(case.oracle.differential(adversary, FAILS))
    growth = exact_growth(case.oracle, adversary)
    starts = native_radii(module, adversary, case, FAILS).tolist()
    return [
        radius_along(growth, fail, start, goal=1e-11) if fail in LEVEL_SET_FAILS else None
        for fail, start in zip(FAILS, starts, strict=True)
    ]


def radius_checks(
    family: Family, module: ModuleType, adversary: str, cases: list[Case], allowance: Allowance
) -> Iterator[Check]:
    """The radius that users get without a table beside it, its enclosure and its growth function against the oracle's."""
    radii, balls, rates = Tally(), Tally(), Tally()
    for case in cases:
        try:
            got = plain_radii(module, family, adversary, case, FAILS)
        except (ValueError, ArithmeticError) as error:
            radii.skipped.add(f"{case}: the module has no radius: {error}")
            continue
        known = case.known(family)
        routes = [(adversary, 1.0)] if adversary in known.native else []
        routes += [(b, float(factor.subs(dim_symbol, case.dim))) for b, factor in known.routes[adversary]]
        try:
            sources = [(_expected(known, module, b, case), c) for b, c in routes]
        except NoOracle as error:
            radii.skipped.add(str(error))
            continue
        best: dict[float, Measured] = {}
        for number, fail in enumerate(FAILS):
            options = [(found[number], c) for found, c in sources]
            values = [Measured(m.value * c, m.error * c) for m, c in options if m is not None]
            if len(values) == len(options):
                best[fail] = max(values, key=lambda m: m.value)
        for fail, radius in zip(FAILS, got.tolist(), strict=True):
            if fail in best:
                _compare(case, fail, radius, best[fail], radii)
        if not balls.count and not balls.skipped:
            _enclosures(family, module, adversary, case, best, balls, allowance)
        if adversary in family.native and family.native[adversary].method == "differential":
            _growth(module, adversary, case, rates)
    subject = NORMS[adversary]
    yield from radii.checks(
        "oracle", subject, "{count} radii: none above the quadrature's, worst relative difference {worst}"
    )
    if radii.count:
        yield from balls.checks(
            "oracle", subject, "{count} enclosures hold the quadrature's radius, relative width up to {worst}"
        )
    if rates.count:
        yield from rates.checks(
            "oracle",
            subject,
            "{count} values of Phi: none below the quadrature's, worst relative excess {worst}",
        )


def _compare(case: Case, fail: float, radius: float, oracle: Measured, tally: Tally) -> None:
    value, error = oracle.value, oracle.error
    sound = radius <= value + error
    close = radius >= value * (1.0 - TOLERANCE) - error
    where = f"{case} 1-rho={fail:.3g}: radius {radius!r}, oracle {value!r} ± {error:.1g}"
    fault = "" if sound and close else f"{where}: {'too small' if sound else 'TOO LARGE'}"
    tally.add(abs(radius / value - 1.0) if value else 0.0, fault)


def _enclosures(
    family: Family,
    module: ModuleType,
    adversary: str,
    case: Case,
    best: Mapping[float, Measured],
    tally: Tally,
    allowance: Allowance,
) -> None:
    """Ball arithmetic against the oracle, and the float against the ball, where both were computed."""
    for fail in ENCLOSED:
        if fail not in best:
            continue
        value, error = best[fail].value, best[fail].error
        start = time.process_time()
        try:
            ball = limited(
                _enclosure, family, adversary, case, fail, seconds=max(allowance.seconds, 0.01), default=None
            )
        except (ArithmeticError, NotImplementedError) as problem:
            tally.skipped.add(f"no enclosure: {problem}")
            continue
        finally:
            allowance.seconds -= time.process_time() - start
        if ball is None:
            tally.skipped.add(f"no enclosure within {ENCLOSURE_SECONDS:g} s for the density")
            continue
        low, high = float(sp.Rational(ball.lower)), float(sp.Rational(ball.upper))
        width = 1 - sp.Rational(ball.lower) / sp.Rational(ball.upper)
        where = f"{case} 1-rho={fail:.3g}: enclosure [{ball.lower}, {ball.upper}]"
        fault = (
            ""
            if low <= value + error and high >= value - error
            else f"{where}, oracle {value!r} ± {error:.1g}"
        )
        radius = float(plain_radii(module, family, adversary, case, (fail,))[0])
        if not fault and sp.Rational(radius) > sp.Rational(ball.upper):
            fault = f"{where}, radius {radius!r} above it"
        tally.add(float(width), fault)


def _enclosure(family: Family, adversary: str, case: Case, fail: float) -> Enclosure:
    rho = 1 - sp.Rational(fail)
    return enclose(family, adversary, dim=case.dim, rho=rho, parameters=case.values, scale=sp.Integer(1))


def _growth(module: ModuleType, adversary: str, case: Case, tally: Tally) -> None:
    function = getattr(module, f"growth_{NORMS[adversary]}", None)
    if function is None:
        return
    try:
        oracle = case.oracle.growth(adversary, FAILS)
    except (NoOracle, ArithmeticError, NotImplementedError):
        return
    got = np.asarray(function(np.array(FAILS), **case.arguments), dtype=float)
    for fail, rate, exact in zip(FAILS, got.tolist(), oracle, strict=True):
        sound = rate >= exact.value - exact.error
        where = (
            f"{case} p={fail:.3g}: Phi {rate!r}, quadrature {exact.value!r} ± {exact.error:.1g}: TOO SMALL"
        )
        tally.add(rate / exact.value - 1.0 if exact.value else 0.0, "" if sound else where)
