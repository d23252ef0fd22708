"""Rates at which overlaps fall: above the true ones, and not far above."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx
from scipy import integrate, special

from derive.bounds import checked_values, radial_density
from derive.enclosure.balls import BallSet
from derive.enclosure.flux import Flux, cone_weight
from derive.enclosure.score_tail import ScoreTail
from derive.enclosure.shell_witness import shell_set
from derive.enclosure.witness import LevelSet, Witness
from derive.engine import derive_family
from derive.formula import dim as dim_symbol
from derive.spec import find_spec


@pytest.mark.parametrize(
    ("name", "parameters", "dim", "kind"),
    [
        ("exp_l2", {"k": "1"}, 3, "cap"), ("exp_l2", {"k": "2"}, 2, "cap"), ("pow_l2", {"k": "2", "a": "20"}, 30, "cap"),
        ("exp_linf", {"k": "1/2"}, 10, "shell"), ("exp_linf", {"k": "2"}, 10, "face"),
    ],
)  # fmt: skip
def test_rates_lie_above_differences_of_the_enclosed_dual(
    name: str, parameters: dict[str, str], dim: int, kind: str
) -> None:
    family = derive_family(find_spec(name))
    values = checked_values(family, dim, {k: sp.Rational(v) for k, v in parameters.items()})
    density = radial_density(family.profile, dim_symbol, values)
    before, ctx.prec = ctx.prec, 166
    try:
        shells = shell_set(density, kind, dim, 16) if kind != "cap" else None
        base = LevelSet(density, dim, 16) if shells is None else shells.base
        flux = Flux(ScoreTail(base, cone_weight(kind, dim)), kind, dim)
        for p in (0.4, 1e-4):
            if shells is None:
                saddle = base.floats.saddle(p, 0.5 - p)
                level, distance = saddle.level, saddle.distance
            else:
                level, distance = shells.floats.solve(p, 0.5 - p)
            near, far = distance * (1 - 1e-4), distance * (1 + 1e-4)
            duals = []
            for e in (near, far):
                witness = Witness(arb(level), arb(e))
                if shells is None:
                    moved, own = base.masses(witness)
                    duals.append(own + (-arb(level)).exp() * (0.5 - moved))
                else:
                    duals.append(shells.dual(witness))
            true = (duals[0] - duals[1]) * arb(level).exp() / (arb(far) - arb(near))
            rate = flux.rate(flux.rise(level), near, far)
            assert bool(true.lower() <= rate)
            assert rate <= 1.06 * float(true.mid())
            assert rate <= flux.rate(flux.rise(level), near, far * 1.02)  # wider ranges allow more
    finally:
        ctx.prec = before


@pytest.mark.parametrize("dim", [2, 3, 10, 3072])
def test_the_weight_of_caps_is_the_mean_of_the_positive_part_of_the_cosine(dim: int) -> None:
    half = 0.5 * (dim - 1)
    log_norm = special.gammaln(half + 0.5) - special.gammaln(half) - 0.5 * math.log(math.pi)
    if dim == 2:  # the density is infinite at 1
        found = integrate.quad(lambda x: math.cos(x) / math.pi, 0, math.pi / 2)[0]
    else:
        reach = min(1.0, 12 / math.sqrt(dim))
        found = integrate.quad(lambda a: a * math.exp(log_norm + (half - 1) * math.log1p(-a * a)), 0, reach)[
            0
        ]
    assert float(cone_weight("cap", dim).mid()) == pytest.approx(found, rel=1e-8)


def test_duals_for_tables_agree_with_the_fine_enclosure() -> None:
    family = derive_family(find_spec("exp_l2"))
    values = checked_values(family, 3, {"k": sp.Integer(1)})
    density = radial_density(family.profile, dim_symbol, values)
    before, ctx.prec = ctx.prec, 128
    try:
        sets = BallSet(density, 3)
        z, distance, level, falls = map(np.array, zip(*sets.trace(), strict=True))
        assert z[0] < 0.03 and z[-1] > 8.2 and np.all(np.diff(z) > 0) and np.all(falls > 0)
        k = int(np.searchsorted(z, 2.5))
        witness = Witness(arb(float(level[k])), arb(float(distance[k])))
        p = float(special.ndtr(-z[k]))
        coarse, moved = sets.proof(witness, p)
        fine_moved, own = LevelSet(density, 3, 16).masses(witness)
        fine = own + (-witness.level).exp() * (0.5 - fine_moved)
        assert bool(coarse.overlaps(fine)) and float(coarse.rad()) < 1e-5 * p
        assert bool(moved.overlaps(fine_moved)) and abs(float(moved.mid()) - 0.5) < 0.02
    finally:
        ctx.prec = before
