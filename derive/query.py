"""One radius on request: the float of the generated code beside its enclosure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from derive.bounds import Enclosure, checked_values, decimal_end, enclose, enclose_exact, float_below
from derive.bracket import ceiling, gap
from derive.composition.coordinate import coordinate
from derive.composition.radius import METHOD, composition_bounds
from derive.enclosure.ball import exact
from derive.engine import Family, derive_family
from derive.expression import ExpressionError, parse_expression
from derive.spec import Spec, SpecError
from generated.registry import load
from generated.special import MissingTable
from generated.special.lookup import compile_command

STATED = 1 + sp.Rational(1, 10**9)
"""Stated error of radii by quadrature, relative."""


def number(name: str, text: str) -> sp.Rational:
    """The rational that a decimal or fraction denotes, exactly; SpecError otherwise."""
    try:
        value = parse_expression(text, {})
    except ExpressionError as error:
        raise SpecError(f"{name} must be a number: {error}") from None
    if not value.is_Rational:
        raise SpecError(f"{name} must be a number, not {text!r}")
    return value


def parameters_of(params: Sequence[str]) -> dict[str, sp.Rational]:
    """Exact values by name from texts NAME=VALUE; SpecError for anything else, or a name given twice."""
    parameters: dict[str, sp.Rational] = {}
    for text in params:
        name, found, entry = text.partition("=")
        if not found or name.strip() in parameters:
            raise SpecError(f"a parameter must read NAME=VALUE, once each, not {text!r}")
        parameters[name.strip()] = number(name.strip(), entry)
    return parameters


def query(
    spec: Spec,
    adversary: str,
    dim: int,
    rho: str,
    params: Sequence[str],
    scale: str | None,
    sigma: str | None,
    digits: int = 0,
) -> dict[str, Any]:
    """The radius asked for, from both sides.

    Returns:
        radius (the generated function at the largest double ≤ rho; "inf" where it is infinite); lower and upper, an enclosure of the
        method's radius; np_upper, a Neyman–Pearson bound of what any method can certify from rho (None where none was computed), the
        np_direction of its shift, np_upper_assurance (how it is known) and gap = np_upper/lower - 1, rounded up; method, tight, assurance; exact, the enclosure and method of the exact
        level-set radius where that is sharper than what needs no table (else None), with the command that makes its table; compile, the command that makes the table which
        the generated function needs and has not (radius is then the largest double below the enclosure), None elsewhere.

    Raises:
        SpecError: for anything outside its domain.
    """
    if scale is not None and sigma is not None:
        raise SpecError("give --scale or --sigma, not both")
    family = derive_family(spec)
    at = number("rho", rho)
    if not 0 <= at <= 1:
        raise SpecError(f"rho must lie in [0, 1], not {rho}")
    parameters = parameters_of(params)
    here = family.at(checked_values(family, dim, parameters))
    if adversary not in family.adversaries:
        raise SpecError(
            f"{spec.name} has no radius against l{adversary}; it has {', '.join(family.adversaries)}"
        )
    module = load(spec.name)
    floats = {name: float(value) for name, value in parameters.items()}
    if scale is not None or sigma is None:
        unit = number("scale", scale or "1")
    else:
        unit = sp.Rational(module.scale_of_sigma(float(number("sigma", sigma)), dim=dim, **floats))
    if unit <= 0:
        raise SpecError(
            f"the {'scale' if sigma is None else 'sigma'} must be greater than 0, not {scale or sigma}"
        )
    below = np.array([float_below(at)])
    assurance, command = "enclosed by ball arithmetic", None
    try:
        value = float(
            module.radius(below, adversary=adversary, dim=dim, scale=float_below(unit), **floats)[0]
        )
    except MissingTable as missing:
        value, command = math.nan, str(missing).partition("make it with: ")[2]  # empty where none can be made
    try:
        ball = enclose(family, adversary, dim=dim, rho=at, parameters=parameters, scale=unit, digits=digits)
    except (ArithmeticError, NotImplementedError):
        if command is not None or digits:
            raise
        above = np.array([min(1.0, math.nextafter(float(below[0]), 2.0))])
        wider = math.nextafter(float(unit), math.inf)
        top = float(module.radius(above, adversary=adversary, dim=dim, scale=wider, **floats)[0])
        ball = _stated(value, top, here.method(adversary))
        assurance = "not enclosed: the generated code at the doubles below and above rho, with a stated relative error of 1e-9"
    if command is not None:
        value = max(0.0, float_below(sp.Rational(ball.lower)))
    try:
        beside = enclose_exact(
            family, adversary, dim=dim, rho=at, parameters=parameters, scale=unit, digits=digits
        )
    except (ArithmeticError, NotImplementedError):
        if digits:
            raise
        beside = None
    sharper = beside.enclosure if beside else None
    sources = {route.source for route in module.routes(adversary=adversary, dim=dim, **floats)}
    tabled = sharper is not None and sharper.route in sources
    exceeds = (
        sharper is not None and ball.lower != "inf" and sp.Rational(sharper.lower) > sp.Rational(ball.lower)
    )
    if sharper is not None and tabled and exceeds:
        ball = sharper  # the generated code reads its table
    members, free = _fixed(here, {q.name: parameters.get(q.name, q.default) for q in here.spec.parameters})
    if not free and METHOD in sources:
        ball = _composed(members, ball, value, dim, at, unit)
        if digits and ball.route == METHOD:
            raise ArithmeticError(
                "the radius by composition, whose table the generated code reads, is bounded but not enclosed to so many digits; ask without --digits"
            )
    tight = adversary in members.native and members.native[adversary].tight
    tight = tight or (tabled and exceeds and beside is not None and beside.tight)
    native = here.native.get(adversary)
    own = adversary in members.native and native is not None and ball.route == native.label
    method = (
        members.native[adversary].label if own else ball.route
    )  # a member may be tight where the family is not
    lower = sp.Rational(ball.lower) if ball.lower != "inf" else None
    above_all = ceiling(members, adversary, dim=dim, rho=at, scale=unit, lower=lower, parameters=free)
    known = above_all is not None and lower is not None
    if not exceeds or tabled:
        sharper = None
    upper = ball.upper
    if above_all is not None and (upper == "inf" or sp.Rational(above_all.upper) < sp.Rational(upper)):
        upper = above_all.upper  # no radius exceeds it
    return {
        "name": spec.name, "adversary": adversary, "dim": dim, "rho": rho, "scale": float(unit),
        "parameters": {q.name: float(parameters.get(q.name, q.default)) for q in spec.parameters},
        "radius": value if math.isfinite(value) else "inf", "lower": ball.lower, "upper": upper,
        "np_upper": above_all.upper if above_all else None, "np_direction": above_all.direction if above_all else None,
        "np_upper_assurance": above_all.assurance if above_all else None,
        "gap": gap(above_all.upper, ball.lower) if above_all is not None and known else None,
        "method": method, "tight": tight, "assurance": assurance,
        "exact": {
            "lower": sharper.lower, "upper": sharper.upper, "method": sharper.route,
            "compile": compile_command(spec.name, beside.norm, dim, {q.name: float(parameters.get(q.name, q.default)) for q in spec.parameters}),
        } if sharper and beside else None,
        "compile": command or None,
    }  # fmt: skip


def _fixed(family: Family, values: Mapping[str, sp.Rational]) -> tuple[Family, Mapping[str, sp.Rational]]:
    """The density derived at fixed values, where more may be proved, and no values; both as they are where the values are too large for that."""
    try:
        return derive_family(family.spec.member(values)), {}
    except SpecError:
        return family, values


def _composed(
    member: Family, ball: Enclosure, value: float, dim: int, rho: sp.Rational, unit: sp.Rational
) -> Enclosure:
    """Bounds of the composed radius, whose table the generated code looked up, where they exceed the enclosure of the other radii."""
    if not sp.Rational(1, 2) < rho < 1:
        return ball
    law = coordinate(member.profile)
    try:
        lower, upper = (sp.Rational(x) * unit for x in composition_bounds(law, dim, exact(1 - rho)))
    except ArithmeticError:
        return ball
    lower = max(lower, sp.Rational(value))  # the table's value is proved as well
    if lower <= sp.Rational(ball.lower):
        return ball
    return Enclosure(decimal_end(lower, up=False), decimal_end(upper, up=True), METHOD)


def _stated(value: float, top: float, route: str) -> Enclosure:
    """The bracket of a radius known by quadrature alone: from the float, which lies below it, to the next one above and its stated error."""
    upper = decimal_end(sp.Rational(top) * STATED, up=True) if math.isfinite(top) else "inf"
    return Enclosure(decimal_end(sp.Rational(value), up=False), upper, route)
