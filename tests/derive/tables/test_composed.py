"""Tables of composed radii: below the upper bound at every double tried, never much below the differential radius."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb, ctx

from derive.composition.radius import lower_radius, upper_radius
from derive.tables.composed import Composed, compose_table
from derive.tables.file import table_text
from generated.registry import load
from generated.special.lookup import LARGEST
from tests.derive.composition.cases import law

DIM = 64


@pytest.fixture(scope="module")
def table() -> Composed:
    return compose_table(law("laplace"), DIM, compositions=24, fineness=8e-3)


def test_the_table_is_sound_and_close(table: Composed) -> None:
    for rho in (0.5 + 2.0**-30, 0.53, 0.7499999, 0.75, 0.9, 0.99, 1 - 1e-7, 1 - 2.0**-53):
        found = float(table.fitted.table.at(np.array([rho - 0.5]), np.array([1 - rho]))[0])
        fail = arb(1) - arb(rho)
        if rho > 0.52:
            assert found <= upper_radius(law("laplace"), DIM, fail, fineness=8e-3)
            assert found >= lower_radius(law("laplace"), DIM, fail, fineness=8e-3) * (1 - 2e-2)


def test_it_beats_the_differential_radius(table: Composed) -> None:
    module = load("laplace")
    rho = np.concatenate([np.linspace(0.51, 0.999, 400), 1 - np.geomspace(1e-3, 1e-15, 200)])
    found = table.fitted.table.at(rho - 0.5, 1 - rho)
    differential = module.radius_linf(rho, dim=DIM)
    assert np.all(found >= differential * (1 - 1e-4))
    assert np.all(found[rho > 0.9] > differential[rho > 0.9] * 1.01)
    assert table.gain > 0.05


def test_it_does_not_fall(table: Composed) -> None:
    rho = np.sort(np.concatenate([np.linspace(0.5001, 1, 20001), 1 - np.geomspace(0.4, 1e-16, 20001)]))
    found = table.fitted.table.at(rho - 0.5, 1 - rho)
    assert np.all(np.diff(found) >= -1e-10 * found[1:])


def test_gaussian_tables_stay_below_the_exact_radius() -> None:
    """At doubles drawn near both ends and near the ends of cells."""
    one = compose_table(law("gaussian"), 9, compositions=6, fineness=8e-3).fitted.table
    draw = np.random.default_rng(4)
    exponents = draw.uniform(-52, -2, 3000)
    rho = np.concatenate([0.5 + 2.0 ** draw.uniform(-50, -1.01, 3000), 1 - 2.0**exponents])
    edges = 1 - 2.0 ** np.floor(exponents) * (1 + np.floor(draw.uniform(0, 16, 3000)) / 16)
    rho = np.concatenate([rho, edges, np.nextafter(edges, 0), np.nextafter(edges, 1)])
    rho = rho[(rho > 0.5) & (rho < 1)]
    found = one.at(rho - 0.5, 1 - rho)
    before, ctx.prec = ctx.prec, 160
    try:
        root = arb(2).sqrt()
        for at, radius in zip(rho, found, strict=True):
            # R ≤ exact says P(Z > 3·radius) ≥ 1 - rho
            assert bool((3 * arb(float(radius)) / root).erfc() / 2 >= arb(1) - arb(float(at)))
    finally:
        ctx.prec = before


def test_the_file_is_small(table: Composed) -> None:
    text = table_text({}, table.fitted, [(p, 0.0, r) for p, r in table.proofs])
    assert len(text) < LARGEST
    assert all(0 < p < 0.5 and 0 < r < math.inf for p, r in table.proofs)
