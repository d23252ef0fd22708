"""What the `verify` command checks of one density: symbols again, radii and growth against independent oracles, its sampler.

Nothing recorded by the engine is believed: identities are proved again from the density text, radii are compared with
quadrature of that text, no direction tried may break them, and the sampler's draws must follow it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import sympy as sp
import torch

from derive.bounds import Enclosure, checked_values, enclose
from derive.check import Check
from derive.engine import Family, derive_family
from derive.formula import dim as dim_symbol
from derive.frontier import Array, Measured
from derive.goodness import sampler_checks
from derive.identities import identities
from derive.neyman import Growth, directions, exact_growth, radius_along, sampled_growth
from derive.oracle import NoOracle, Oracle
from derive.spec import Spec, SpecError
from derive.timelimit import limited
from generated.registry import load

NORMS = {"1": "l1", "2": "l2", "inf": "linf"}
DIMENSIONS = (2, 64, 3072)
SAMPLED = (2, 5, 64)
FAILS = (0.5 - 2.0**-30, 0.4, 0.1, 2.0**-10, 2.0**-20, 2.0**-40)
ENCLOSED = (0.1, 2.0**-10)
NEYMAN_FAILS = (0.4, 0.1, 0.01)
LEVEL_SET_FAILS = (
    0.4,
    0.1,
    2.0**-10,
)  # nearer the ends the error of a growth outweighs what is left of 1/2 - p, or of p
TOLERANCE = 1e-9
ENCLOSURE_SECONDS = 4.0  # for all enclosures of a density; its module's own evidence has more
POINTS = 60_000  # of one likelihood-ratio test; a third in high dimension
SEED = 20_200_208

Values = Mapping[str, sp.Rational]


@dataclass(frozen=True)
class Report:
    """All checks of one density. `passed` is False if any is; open ones are counted apart."""

    name: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed is not False for check in self.checks)

    @property
    def lines(self) -> list[str]:
        false = sum(check.passed is False for check in self.checks)
        unknown = sum(check.passed is None for check in self.checks)
        total = f"{len(self.checks) - false - unknown} true, {false} false, {unknown} open"
        return [f"{self.name}: {total}", *(f"  {check.line}" for check in self.checks)]

    @property
    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        checks = [
            {"kind": c.kind, "subject": c.subject, "passed": c.passed, "text": c.text} for c in self.checks
        ]
        return {"name": self.name, "passed": self.passed, "checks": checks}


@dataclass
class _Tally:
    """Comparisons of one kind: how many, the worst, and the first that is false."""

    count: int = 0
    worst: float = 0.0
    false: str = ""
    skipped: set[str] = field(default_factory=set)

    def add(self, gap: float, fault: str = "") -> None:
        self.count, self.worst = self.count + 1, max(self.worst, gap)
        self.false = self.false or fault

    def checks(self, kind: str, subject: str, text: str) -> Iterator[Check]:
        """`text` with {count} and {worst} filled in, or the fault; and what was left open."""
        if self.false:
            yield Check(kind, subject, False, self.false)
        elif self.count:
            yield Check(kind, subject, True, text.format(count=self.count, worst=f"{self.worst:.3g}"))
        if self.skipped or not self.count:
            yield Check(kind, subject, None, "; ".join(sorted(self.skipped)) or "nothing to compare")


def verify(spec: Spec, module: ModuleType | None = None) -> Report:
    """Checks a density's generated module (or another one given in its place) in some seconds.

    SpecError when the spec is refused by the engine; ValueError when there is no such module.
    """
    family = derive_family(spec)
    subject = load(spec.name) if module is None else module
    cases = list(_cases(family))
    checks = list(identities(family))
    allowance = _Allowance(ENCLOSURE_SECONDS)
    for adversary in family.adversaries:
        checks += _radius_checks(family, subject, adversary, cases, allowance)
    for adversary in family.adversaries:
        checks += _neyman_checks(family, subject, adversary, cases)
    for dim in SAMPLED:
        checks += _sampler(family, subject, dim)
    return Report(spec.name, tuple(checks))


@dataclass
class _Allowance:
    """Seconds that are left for a kind of work."""

    seconds: float


@dataclass
class _Case:
    """One dimension and parameter set, with its oracle and the radii the oracle has found."""

    dim: int
    values: Values
    oracle: Oracle
    found: dict[str, list[Measured | None] | str] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"dim": self.dim, **{name: float(v) for name, v in self.values.items()}}

    def __str__(self) -> str:
        return f"dim={self.dim}" + "".join(f" {n}={float(v):g}" for n, v in self.values.items())


def _cases(family: Family) -> Iterator[_Case]:
    """The defaults in all DIMENSIONS; each parameter moved, and all of them moved, in the middle one."""
    for dim in DIMENSIONS:
        for number, values in enumerate(_parameter_sets(family, dim)):
            if number == 0 or dim == DIMENSIONS[1]:
                yield _case(family, dim, values)


def _case(family: Family, dim: int, values: Values) -> _Case:
    spec = family.spec
    return _Case(
        dim, values, Oracle(spec.expression, spec.geometry, spec.bound, checked_values(family, dim, values))
    )


def _parameter_sets(family: Family, dim: int) -> list[Values]:
    """The defaults, then up to two other points, as far as the law allows them at this dimension."""
    parameters = family.spec.parameters
    defaults = {q.name: q.default for q in parameters}
    choices = (sp.Rational(1, 2), sp.Integer(2), sp.Integer(3), sp.Integer(dim + 16), sp.Rational(dim, 2))
    moved: list[Values] = []
    for step in range(2):
        point = dict(defaults)
        for q in parameters:
            fit = [
                v
                for v in choices
                if v != q.default and q.contains(v) and _allowed(family, dim, point | {q.name: v})
            ]
            if fit:
                point[q.name] = fit[min(step, len(fit) - 1)]
        if point not in (defaults, *moved):
            moved.append(point)
    return [v for v in (defaults, *moved) if _allowed(family, dim, v)]


def _allowed(family: Family, dim: int, values: Values) -> bool:
    try:
        checked_values(family, dim, values)
    except SpecError:
        return False
    return True


def _radii(module: ModuleType, adversary: str, case: _Case, fails: tuple[float, ...]) -> Array:
    """The radii that users get."""
    rhos = 1.0 - np.array(fails)
    return np.asarray(module.radius(rhos, adversary=adversary, **case.arguments), dtype=float)


def _native(module: ModuleType, adversary: str, case: _Case, fails: tuple[float, ...]) -> Array:
    """The module's own radius against a norm, without conversions."""
    function = getattr(module, f"radius_{NORMS[adversary]}")
    return np.asarray(function(1.0 - np.array(fails), **case.arguments), dtype=float)


def _expected(family: Family, module: ModuleType, adversary: str, case: _Case) -> list[Measured | None]:
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


def _asked(family: Family, module: ModuleType, adversary: str, case: _Case) -> list[Measured | None]:
    if family.native[adversary].method == "differential":
        return list(case.oracle.differential(adversary, FAILS))
    growth = exact_growth(case.oracle, adversary)
    starts = _native(module, adversary, case, FAILS).tolist()
    return [
        radius_along(growth, fail, start, goal=1e-11) if fail in LEVEL_SET_FAILS else None
        for fail, start in zip(FAILS, starts, strict=True)
    ]


def _radius_checks(
    family: Family, module: ModuleType, adversary: str, cases: list[_Case], allowance: _Allowance
) -> Iterator[Check]:
    """The radius that users get, its enclosure and its growth function against the oracle's."""
    radii, balls, rates = _Tally(), _Tally(), _Tally()
    for case in cases:
        try:
            got = _radii(module, adversary, case, FAILS)
        except (ValueError, ArithmeticError) as error:
            radii.skipped.add(f"{case}: the module has no radius: {error}")
            continue
        routes = [(adversary, 1.0)] if adversary in family.native else []
        routes += [(b, float(factor.subs(dim_symbol, case.dim))) for b, factor in family.routes[adversary]]
        try:
            sources = [(_expected(family, module, b, case), c) for b, c in routes]
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


def _compare(case: _Case, fail: float, radius: float, oracle: Measured, tally: _Tally) -> None:
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
    case: _Case,
    best: Mapping[float, Measured],
    tally: _Tally,
    allowance: _Allowance,
) -> None:
    """Ball arithmetic against the oracle, and the float against the ball, where both were computed."""
    for fail in ENCLOSED:
        if fail not in best:
            continue
        value, error = best[fail].value, best[fail].error
        start = time.monotonic()
        try:
            ball = limited(
                _enclosure, family, adversary, case, fail, seconds=max(allowance.seconds, 0.01), default=None
            )
        except (ArithmeticError, NotImplementedError) as problem:
            tally.skipped.add(f"no enclosure: {problem}")
            continue
        finally:
            allowance.seconds -= time.monotonic() - start
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
        radius = float(_radii(module, adversary, case, (fail,))[0])
        if not fault and sp.Rational(radius) > sp.Rational(ball.upper):
            fault = f"{where}, radius {radius!r} above it"
        tally.add(float(width), fault)


def _enclosure(family: Family, adversary: str, case: _Case, fail: float) -> Enclosure:
    rho = 1 - sp.Rational(fail)
    return enclose(family, adversary, dim=case.dim, rho=rho, parameters=case.values, scale=sp.Integer(1))


def _growth(module: ModuleType, adversary: str, case: _Case, tally: _Tally) -> None:
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


def _neyman_checks(family: Family, module: ModuleType, adversary: str, cases: list[_Case]) -> Iterator[Check]:
    """No direction breaks the radius: exactly along one where growth is known, elsewhere by sampling."""
    derivation = family.native.get(adversary)
    if (
        derivation is None or derivation.method == "differential"
    ):  # level sets were compared with the same growth above
        yield from _along(module, adversary, cases, derivation is not None and derivation.tight)
    yield from _directions(family, module, adversary)


def _along(module: ModuleType, adversary: str, cases: list[_Case], tight: bool) -> Iterator[Check]:
    """The growth of an extreme direction at the radius, or where a radius is claimed tight the radius there."""
    tally = _Tally()
    seen: list[object] = []
    for case in [c for c in cases if c.dim != DIMENSIONS[-1]]:
        try:
            growth = exact_growth(case.oracle, adversary)
            if not any(growth.same(other) for other in seen):
                seen.append(growth)
                for fail in NEYMAN_FAILS[0 if tight else 1 :]:
                    radius = float(_radii(module, adversary, case, (fail,))[0])
                    (_tight if tight else _sound)(growth, fail, radius, str(case), tally)
        except (ValueError, ArithmeticError, NotImplementedError) as error:
            if tight:  # elsewhere this check is one more beside the others
                tally.skipped.add(f"claimed tight: {error}")
    text = (
        "{count} radii are the exact ones along one direction, as claimed: worst relative difference {worst}"
        if tight
        else "{count} radii: exact growth along one direction at most {worst}, 1/2 allowed"
    )
    if tally.count or tally.skipped:
        yield from tally.checks("Neyman-Pearson", NORMS[adversary], text)


def _tight(growth: Growth, fail: float, radius: float, where: str, tally: _Tally) -> None:
    bound = radius_along(growth, fail, radius, goal=1e-11)
    gap, slack = 1.0 - radius / bound.value, bound.error / bound.value
    fault = "TOO LARGE" if gap < -slack else "not tight as claimed" if gap > TOLERANCE + slack else ""
    text = f"{where} 1-rho={fail:g}: radius {radius!r}, Neyman-Pearson {bound.value!r} ± {bound.error:.1g}: "
    tally.add(abs(gap), text + fault if fault else "")


def _sound(growth: Growth, fail: float, radius: float, where: str, tally: _Tally) -> None:
    found = growth(fail, radius)
    text = f"{where} 1-rho={fail:g}: radius {radius!r}, growth there {found.value!r}, more than 1/2"
    tally.add(found.value, "" if found.value - found.error <= 0.5 else text)


def _directions(family: Family, module: ModuleType, adversary: str) -> Iterator[Check]:
    """Likelihood-ratio tests on samples of the module, shifted by its radius in several directions."""
    tally, fail = _Tally(), 0.1
    for dim in DIMENSIONS[:2]:
        sets = _parameter_sets(family, dim)
        if not sets:
            continue
        case = _case(family, dim, sets[0])
        try:
            radius = float(_radii(module, adversary, case, (fail,))[0])
            x = _draw(module, case, POINTS // (1 if dim < 16 else 3), 1.0)
            for name, v in directions(dim, adversary):
                growth, margin = sampled_growth(case.oracle, x, (1.0 - 1e-9) * radius * v, fail)
                where = f"{case} along {name}: growth at least {growth:.4f} - {margin:.4f} at the radius {radius!r}"
                tally.add(growth, "" if growth <= 0.5 + margin else f"{where}: more than 1/2")
        except (ValueError, ArithmeticError, NotImplementedError) as problem:
            tally.skipped.add(f"{case}: {problem}")
    yield from tally.checks(
        "Neyman-Pearson",
        NORMS[adversary],
        f"{{count}} likelihood-ratio sets on samples at rho = {1 - fail:g}: largest growth {{worst}}, 1/2 allowed",
    )


def _draw(module: ModuleType, case: _Case, n: int, scale: float) -> Array:
    generator = torch.Generator().manual_seed(SEED)
    noise = module.sample(
        (n, case.dim), scale=scale, generator=generator, dtype=torch.float64, **case.arguments
    )
    return np.asarray(noise.numpy(), dtype=float)


def _sampler(family: Family, module: ModuleType, dim: int) -> Iterator[Check]:
    for values in itertools.islice(_parameter_sets(family, dim), 1 if dim != SAMPLED[-1] else 2):
        case = _case(family, dim, values)
        name = str(case)

        def draw(n: int, scale: float, case: _Case = case) -> Array:
            return _draw(module, case, n, scale)

        def sigma(case: _Case = case) -> float:
            return float(module.sigma_of_scale(1.0, **case.arguments))

        try:
            for check in sampler_checks(case.oracle, draw, sigma):
                yield Check(check.kind, name if values else check.subject, check.passed, check.text)
        except (ValueError, ArithmeticError, NotImplementedError) as problem:
            yield Check("sampler", name, None, f"no test: {problem}")
