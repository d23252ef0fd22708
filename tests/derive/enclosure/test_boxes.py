"""Series of caps on boxes of radii and of the path: they hold the series at every point, computed from closed forms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sympy as sp
from flint import arb, arb_series, ctx

from derive.enclosure.boxes import Cosine, PathBox
from derive.enclosure.cosine import cosine_distribution
from derive.enclosure.radial import RadialDensity
from derive.enclosure.series import Terms
from derive.enclosure.smooth import SMOOTH, SmoothLaw
from derive.enclosure.taylor import coefficients, constant_term
from derive.formula import r

DIM, COUNT = 33, 8
CENTRE, HALF, TERMS = arb(3), arb("0.25"), (arb(1), arb("0.5"), arb("0.125"))
DENSITIES = {"exp": (r, lambda x, t: x + t), "log": (40 * sp.log(1 + r), lambda x, t: (1 + x) * (t / 40).exp() - 1)}  # fmt: skip


@pytest.fixture(autouse=True)
def precise() -> Iterator[None]:
    before, ctx.prec = ctx.prec, 128
    yield
    ctx.prec = before


def contains(outer: arb, inner: arb) -> bool:
    """Whether the midpoint of `inner`, which is tiny, lies in `outer`."""
    return bool(abs(inner.mid() - outer.mid()) <= outer.rad() + inner.rad())


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("name", DENSITIES)
def test_the_cosine_holds_its_closed_form(name: str, side: int) -> None:
    """z = (r² + e² - s²)/(2er) where s has a formula, as a series about points of the box and for radii of the panel."""
    psi, solved = DENSITIES[name]
    shares = SmoothLaw(RadialDensity(psi, sp.Integer(DIM)), DIM, arb("1e-3")).shares
    place, low, high = arb("-0.4", "0.2"), arb("3.1"), arb("3.2")
    box = PathBox.of(CENTRE, HALF, TERMS, place, COUNT)
    panel = shares.radii(low, high)
    for _ in range(2):  # again with the levels that were found
        cosine = shares.cosine(panel, box, side)
        assert cosine.series is not None
        for x in (arb("-0.6"), arb("-0.47"), arb("-0.2")):
            for u in (low, arb("3.17"), high):
                with Terms(COUNT):
                    e = arb_series([CENTRE + HALF * x, HALF])
                    w = arb_series([x, 1])
                    t = TERMS[0] + TERMS[1] * w + TERMS[2] * w * w
                    radius = arb_series([u.exp()])
                    s = solved(radius, side * t)
                    exact = coefficients((radius * radius + e * e - s * s) / (2 * e * radius), COUNT)
                found = [cosine.value, *coefficients(cosine.series, COUNT)[1:]]
                assert all(contains(a, b) for a, b in zip(found, exact, strict=True))


def test_a_level_far_away_is_found_again() -> None:
    """What the last path left behind is where a search starts, not what it finds."""
    shares = SmoothLaw(RadialDensity(r, sp.Integer(DIM)), DIM, arb("1e-3")).shares
    panel = shares.radii(arb("3.1"), arb("3.11"))
    for level in ("0.01", "9", "0.02"):
        box = PathBox.of(CENTRE, HALF, (arb(level),), arb(0, "0.1"), COUNT)
        value, r0 = shares.cosine(panel, box, 1).value, panel.radius
        s = r0 + arb(level)
        assert value.overlaps((r0 * r0 + CENTRE * CENTRE - s * s) / (2 * CENTRE * r0))
        assert float(value.rad()) < 0.1


@pytest.mark.parametrize("dim", [11, 12, 20, 31])
def test_derivatives_at_the_edge_are_bounded(dim: int) -> None:
    """All coefficients of F(z + w) that are bounded where z passes 1, up to number (d - 1)/2."""
    shares = SmoothLaw(RadialDensity(r, sp.Integer(DIM)), DIM, arb("1e-3")).shares
    shares.power = arb(dim - 3) / 2
    count = (dim - 3) // 2 + 2
    start = arb("0.95", "0.1")
    with Terms(count):
        z = arb_series([start, 1])
        found = coefficients(shares._edge(z, arb(0, "0.5")), count)
    for place in ("0.85", "0.9", "0.99", "0.99999", "1.000001"):
        at = arb(place)
        with Terms(count):
            w = arb_series([at, 1])
            if bool(at < 1):
                slope = coefficients(((1 - w * w).log() * shares.power + shares.log_norm).exp(), count)
            else:
                slope = [arb(0)] * count
        for k in range(1, count):
            assert contains(found[k], slope[k - 1] / k), (dim, place, k)
    with Terms(count + 1), pytest.raises(ArithmeticError, match="empty or whole"):
        shares._edge(arb_series([start, 1]), arb(0, "0.5"))


def test_shares_are_those_of_the_cosine() -> None:
    shares = SmoothLaw(RadialDensity(r, sp.Integer(DIM)), DIM, arb("1e-3")).shares
    with Terms(3):
        cosine = Cosine(arb_series([arb("0.2", "0.01"), 1]), arb("0.2", "0.01"))
    share = constant_term(shares.share(cosine, 3))
    assert contains(share, cosine_distribution(DIM, arb("0.2")) - 0.5)


def test_the_least_dimension_has_derivatives_enough() -> None:
    law = SmoothLaw(RadialDensity(r, sp.Integer(SMOOTH)), SMOOTH, arb("1e-3"))
    assert law.nodes + 1 <= (SMOOTH - 1) / 2  # the first cell asks for one order more


def test_the_steepness_over_a_wide_range_stays_positive_and_holds_every_value() -> None:
    """One ball of e^(2u) over such a range would reach below 0."""
    shares = SmoothLaw(RadialDensity(68 * sp.log(1 + r**2), sp.Integer(DIM)), DIM, arb("1e-3")).shares
    low, high = arb(-0.9), arb(0.1)
    with Terms(1):
        whole = constant_term(shares.law.steepness.series(arb_series([low.union(high)])))
    steepness, bend = shares._steepness(low, high)
    assert bool(steepness > 0) and not bool(whole > 0)
    for k in range(11):
        u = low + (high - low) * k / 10
        square = (2 * u).exp()
        assert contains(steepness, 136 * square / (1 + square))
        assert contains(bend, 272 * square / (1 + square) ** 2)
