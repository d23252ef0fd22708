"""Differences of differential radii, the second rounded up by the stated accuracy: none above the exact difference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp

from derive.bounds import enclose_native
from derive.derivation import Closed, Cone, Lattice, NumericCone, Tabulated
from derive.engine import Family, derive_family
from derive.formula import dim as dim_symbol
from derive.spec import find_spec, known_specs
from generated import registry
from generated.special import CLOSED, CURVE

RHO = [0.5 + 2.0**-30, 0.5 + 2.0**-10, 0.55, 0.8, 0.97, 1.0 - 2.0**-12, 1.0 - 2.0**-20]
CASES = [
    (name, adversary)
    for name, spec in known_specs().items()
    for adversary, native in derive_family(spec).native.items()
    if native.method == "differential"
    and isinstance(native.evaluation, Closed | Cone | Lattice | NumericCone | Tabulated)
]


@pytest.mark.parametrize(("name", "adversary"), CASES)
def test_no_difference_exceeds_the_exact_one(name: str, adversary: str) -> None:
    family: Family = derive_family(find_spec(name))
    native = family.native[adversary]
    dim = 3 if isinstance(native.evaluation, NumericCone) else 64
    values = {dim_symbol: sp.Integer(dim)} | {q.symbol: q.default for q in family.spec.parameters}
    floats = {q.name: float(q.default) for q in family.spec.parameters}
    if name == "pow_linf":
        values |= {q.symbol: sp.Integer(dim + 16) for q in family.spec.parameters}
        floats = dict.fromkeys(floats, dim + 16.0)
    points = (
        RHO[2::3] if isinstance(native.evaluation, NumericCone) else RHO
    )  # each enclosure takes a second there
    radii = getattr(registry.load(name), f"radius_l{adversary}")(np.array(points), dim=dim, **floats).tolist()
    closed = isinstance(native.evaluation, Closed) and not native.special
    stated = sp.Rational(CLOSED if closed else CURVE)
    balls = [enclose_native(family, adversary, values, sp.Rational(rho)) for rho in points]
    ends = [(sp.Rational(ball.lower), sp.Rational(ball.upper)) for ball in balls]
    for (y, near), (x, far) in itertools.combinations(enumerate(ends), 2):
        difference = sp.Rational(radii[x]) - sp.Rational(radii[y]) * (1 + stated)
        assert difference <= far[1] - near[0], f"{name} l{adversary} from {points[y]!r} to {points[x]!r}"
    if not isinstance(
        native.evaluation, NumericCone
    ):  # these rest on bounds of the score, and on their own integral
        for (_, upper), radius in zip(ends, radii, strict=True):
            assert sp.Rational(radius) * (1 + stated) >= upper
