"""sigma at scale 1 against ball arithmetic: closed forms at drawn parameters, laws by quadrature by their own proved bound."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
import sympy as sp
from flint import ctx

from derive.bounds import checked_values, exact
from derive.enclosure.ball import evaluate
from derive.engine import Family, derive_family
from derive.formula import dim as dim_symbol
from derive.spec import SpecError, known_specs
from generated.registry import load
from generated.special.interval import FLOATS
from generated.special.monotone import RadialDensity
from generated.special.radial import RadialLaw
from generated.special.spread import moment_error

SPECS = known_specs()
DIMENSIONS = (2, 64, 3072, 150528)
CLOSED = 1e-12
"""What closed forms keep where the variance exists with room: no parameter within 1e-3 of where it becomes infinite."""
QUADRATURE = 1e-10


def _drawn(family: Family, dim: int, random: Random) -> dict[str, sp.Rational] | None:
    """Parameters as doubles, at which the variance is finite with room; None where none was found."""
    for _ in range(60):
        values = {}
        for q in family.spec.parameters:
            places = [
                random.uniform(0.3, 12.0),
                dim * random.uniform(0.1, 0.95),
                dim + random.uniform(2.1, 300.0),
            ]
            value = places[0] if family.spec.geometry == "product" else random.choice(places)
            values[q.name] = sp.Rational(*value.as_integer_ratio())
        try:
            given = checked_values(family, dim, values)
        except SpecError:
            continue
        if all(float(c.subs(given)) > 1e-3 for c in family.finite):
            return values
    return None


@pytest.mark.parametrize("name", sorted(SPECS))
def test_sigma_is_within_what_is_stated(name: str) -> None:
    family, module, random, seen = derive_family(SPECS[name]), load(name), Random(name), 0
    if any(c.is_nonpositive for c in family.finite):
        with pytest.raises(ValueError, match="infinite variance"):
            module.sigma_of_scale(1.0, dim=3)
        return
    for dim in DIMENSIONS[:1] if family.spec.geometry == "product" else DIMENSIONS:
        for _ in range(3 if family.spec.parameters else 1):
            values = _drawn(family, dim, random)
            if values is None:
                continue
            floats = {key: float(value) for key, value in values.items()}
            sigma = module.sigma_of_scale(1.0, dim=dim, **floats)
            if family.variance is None:
                law = module._law(float(family.views[0].exponent.subs(dim_symbol, dim)), *floats.values())
                assert moment_error(law, 2.0) < QUADRATURE, (dim, floats)
                factor = float(family.views[0].second_moment.subs(dim_symbol, dim))
                assert sigma == pytest.approx(math.sqrt(factor * law.moment(2.0)), rel=1e-15)
            else:
                before, ctx.prec = ctx.prec, 300
                try:
                    given = checked_values(family, dim, values)
                    variance = evaluate(family.variance, {s: exact(v) for s, v in given.items()})
                    assert abs(exact(sp.Rational(sigma)) / variance.sqrt() - 1) < CLOSED, (dim, floats)
                finally:
                    ctx.prec = before
            seen += 1
    assert seen >= 1


def _power(k: float) -> RadialDensity:
    return RadialDensity(lambda xp, r: k * r**k, lambda xp, r: k * (k - 1.0) * r**k)


@pytest.mark.parametrize(("k", "dim"), [(1.0, 1.0), (0.5, 3.0), (2.0, 3072.0), (6.0, 784.0)])
def test_a_moment_lies_within_its_bound(k: float, dim: float) -> None:
    """E r² of exp(-r**k) is a ratio of gamma functions."""
    law = RadialLaw(_power(k), dim)
    before, ctx.prec = ctx.prec, 300
    try:
        upper, lower = (exact(sp.Rational(dim + q)) / exact(sp.Rational(k)) for q in (2.0, 0.0))
        true = (upper.lgamma() - lower.lgamma()).exp()
        bound = moment_error(law, 2.0)
        assert bound < 1e-10
        assert abs(exact(sp.Rational(law.moment(2.0))) / true - 1) < bound
    finally:
        ctx.prec = before


def test_a_moment_by_a_bounded_law_lies_within_its_bound() -> None:
    """bound - r of (1 - r)**3 follows Beta(4, m): E r² = m·(m + 1)/((m + 4)·(m + 5)) for r itself Beta(m, 4)."""
    law = RadialLaw(
        RadialDensity(
            lambda xp, r: 3.0 * r / (1.0 - r), lambda xp, r: 3.0 * r * r / (1.0 - r) ** 2, bound=1.0
        ),
        5.0,
    )
    assert abs(law.moment(2.0) / (5.0 * 6.0 / (9.0 * 10.0)) - 1.0) < moment_error(law, 2.0) < 1e-10


def test_where_nothing_is_proved_nothing_is_stated() -> None:
    heavy = RadialDensity(
        lambda xp, r: 4.0 * r * r / (1.0 + r * r),
        lambda xp, r: 4.0 * r * r * (1.0 - r * r) / (1.0 + r * r) ** 2,
    )
    law = RadialLaw(heavy, 1.0)
    assert math.isfinite(law.moment(1.0))
    assert moment_error(law, 3.5) == math.inf
    assert np.isfinite(heavy.steepness(FLOATS, np.ones(1))).all()
