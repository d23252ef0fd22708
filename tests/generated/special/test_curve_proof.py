"""The argument why a curve never exceeds its radius, step by step: its slack, its lines, its bound on the curvature, its lattice."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

from generated.special import GammaLaw, GreedySet, RadiusCurve, binomial_curve, curve_from_nodes, prepare
from generated.special.curve import CLOSE, MOST, NEAREST_FAIL, SLACKS
from generated.special.errors import UNIT
from generated.special.routes import CURVE, FARTHEST

LAWS = [
    GreedySet(0.5, GammaLaw((1.0,), 1.0, 0.5), ((0.5, -0.5),)),
    GreedySet(0.5, GammaLaw((1.0,), 1.0, 3.0), ((3.0, 2.0),)),
    GreedySet(0.5, GammaLaw((3072.0,), 1.0, 2.0), ((2.0, 1.0),)),
    GreedySet(0.5, GammaLaw((7.0, -1.5), 1.0, 2.0), ((1.5, -1.0), (2.0, 1.0))),
    GreedySet(0.01, GammaLaw((150528.0,), 1.0, 0.5), ((0.5, -0.5),)),
]


@pytest.mark.parametrize("error", [2.0**-48, 2.0**-40, 1e-11, 9e-10])
def test_the_slack_leaves_more_than_the_evaluation_loses(error: float) -> None:
    """In rational arithmetic: the line of a node is raised and its slope lowered by more than its errors and the operations' 32 units."""
    e, unit, slacks = Fraction(error), Fraction(UNIT), Fraction(SLACKS)
    needed = (1 + e) / (1 - e)  # of Phi computed, so that its line lies above Phi
    given = (1 + slacks * e) * (1 - unit) ** 2
    assert given * (1 - 32 * unit) >= needed
    assert (1 - slacks * e) * (1 + unit) ** 2 * (1 + 32 * unit) <= 1 - e
    assert (1 + slacks * e) * (1 - unit) ** 2 >= 1 + e


def test_pieces_of_a_curve_lie_below_the_integrals() -> None:
    """int_0^s dx/(t ∓ c·x) = ∓log(1 ∓ c·s/t)/c, from below by the safe arguments of the logarithms."""
    x = np.array([1e-15, 1e-12, 3e-9, 1e-8, 1e-3, 0.5, MOST, 0.9, 1.0 - 1e-9])
    for slope, top in ((1.0, 1.0), (0.37, 2.2)):
        step = x * top / slope
        p = np.array([0.5, 0.25])
        for entry in step:
            if entry > 0.25:
                continue
            falling = curve_from_nodes(p, np.array([top, top]), np.array([slope, slope]), linear=True)
            assert falling.radius[1] <= -math.log1p(-slope * 0.25 / top) / slope
            rising = curve_from_nodes(p, np.array([9.0 * top, top]), np.array([0.0, slope]))
            assert rising.radius[1] <= math.log1p(slope * 0.25 / top) / slope


def _places() -> np.ndarray:
    """6,000 nodes, close to each other next to 1/2."""
    return np.concatenate([[0.5], 1.0 / (1.0 + np.exp(40.0 * np.linspace(0.0, 1.0, 6000)[1:] ** 2.5))])


def _logistic(errors: float, seed: int, lower: float = 0.0) -> RadiusCurve:
    """Phi(p) = p·(1 - p): R(1 - p) = log((1 - p)/p). Nodes with random errors of the stated size, every one at its limit."""
    rng = np.random.default_rng(seed)
    p = _places()
    signs = rng.choice([-1.0, 1.0], size=(3, p.size)) * errors * (1.0 - 1e-3)
    phi, slope = p * (1.0 - p) * (1.0 + signs[0]) * (1.0 - lower), (1.0 - 2.0 * p) * (1.0 + signs[1])
    given = p * (1.0 + signs[2])
    given[0] = 0.5
    return curve_from_nodes(given, phi, slope, error=max(errors, 2.0**-48), bend=np.full(p.size - 1, 2.0))


FAIL = np.exp(-np.random.default_rng(4).uniform(math.log(2.0), 36.0, 400))


def _exceeds(curve: RadiusCurve) -> bool:
    fail = 1.0 - (1.0 - FAIL)
    values = curve(prepare(1.0 - fail))
    with mp.workdps(40):
        exact = [mp.log((1 - mp.mpf(f)) / mp.mpf(f)) if f > 0.0 else mp.inf for f in fail.tolist()]
        return any(mp.mpf(v) > e for v, e in zip(values.tolist(), exact, strict=True))


@pytest.mark.parametrize("errors", [2.0**-49, 2.0**-40, 1e-10])
@pytest.mark.parametrize("seed", range(4))
def test_nodes_that_are_off_by_what_they_state_do_no_harm(errors: float, seed: int) -> None:
    assert not _exceeds(_logistic(errors, seed))


def test_nodes_that_are_off_by_more_are_noticed() -> None:
    assert _exceeds(_logistic(2.0**-40, 0, lower=1e-8))


def test_the_bound_on_the_curvature_brings_a_curve_close() -> None:
    """At the nodes of Phi(p) = p·(1 - p): two tangents alone lose far more."""
    p = _places()
    exact = np.log1p((1.0 - 2.0 * p) / p) * (1.0 + 2.0**-45)  # rounded up
    with_it, without = (
        curve_from_nodes(p, p * (1.0 - p), 1.0 - 2.0 * p, error=2.0**-48, bend=bend).radius
        for bend in (np.full(p.size - 1, 2.0), None)
    )
    assert np.all(with_it <= exact) and np.all(without <= exact)
    assert np.max(1.0 - with_it[1:] / exact[1:]) < 1e-8 < 4e-8 < np.max(1.0 - without[1:] / exact[1:])


@pytest.mark.parametrize("count", [12, 60, 6000])
def test_differences_of_radii_are_bounds_themselves(count: int) -> None:
    """However far apart the nodes: R(p) - (1 + 2^-29)·R(q) on the curve is at most the exact difference for Phi(p) = p·(1 - p)."""
    p = np.concatenate([[0.5], 1.0 / (1.0 + np.exp(np.linspace(0.0, 30.0, count)[1:]))])
    curve = curve_from_nodes(p, p * (1.0 - p), 1.0 - 2.0 * p, error=2.0**-48)
    rng = np.random.default_rng(5)
    near = rng.uniform(0.0, 13.8, 300)
    far = near + np.exp(rng.uniform(-12.0, 2.0, 300))
    fails = [1.0 - (1.0 - 1.0 / (1.0 + np.exp(z))) for z in (near, far)]
    radii = [curve(prepare(1.0 - f)) for f in fails]
    exact = [np.log1p((1.0 - 2.0 * f) / f) for f in fails]
    assert np.all(radii[1] - radii[0] * (1.0 + CURVE) <= exact[1] - exact[0] + 4e-16 * exact[1])
    assert CURVE >= 2.0 * CLOSE and FARTHEST >= 2.0 * NEAREST_FAIL


@pytest.mark.parametrize("shape", [0.3, 1.0, 7.5, 300.0, 20000.0])
def test_the_sensitivity_to_the_shape_is_bounded(shape: float) -> None:
    """|d log F/d log shape| of both tails, by differences in 60 digits."""
    law = GammaLaw((shape,), 1.0, 1.0)
    with mp.workdps(60):
        step = mp.mpf(10) ** -20 * shape
        for z in (-7.0, -3.0, -0.5, 0.5, 3.0, 7.0):
            t = shape * math.exp(z / math.sqrt(shape) * (1.0 if shape > 5.0 else 0.5))
            for upper, ends in ((True, (t, mp.inf)), (False, (0, t))):
                tails = [mp.gammainc(shape + h, *ends, regularized=True) for h in (step, -step)]
                exact = abs(mp.log(tails[0] / tails[1])) / (2 * step) * shape
                assert exact <= float(law.sensitivity(0.0, np.array([t]), upper=upper)[0])


@pytest.mark.parametrize("greedy", LAWS, ids=lambda g: f"{g.pattern}{g.law.numerator}")
def test_the_curvature_is_bounded_from_below(greedy: GreedySet) -> None:
    """-Phi'' = |dc/dp| between neighbouring nodes, by the exact masses of a smaller step: never below the bound, and close to it."""
    with np.errstate(all="ignore"):
        y, _, c, bounds = greedy._greedy(np.geomspace(0.4, 1e-12, 400))
    order = np.argsort(-y)
    bounds = {side: r[order] for side, r in bounds.items()}
    c = c[order]
    bend, terms, law = greedy._bend(bounds), greedy.terms, greedy.law
    with mp.workdps(30):

        def density_over_rise(r: float) -> mp.mpf:
            t = mp.mpf(law.rate) * mp.mpf(r) ** law.power
            density = mp.exp(law.shape * mp.log(t) - t - mp.loggamma(law.shape))
            return density / abs(sum(mp.mpf(a) * q / law.power * mp.mpf(r) ** q for a, q in terms))

        for i in range(0, bend.size, 29):
            for share in (0.0, 0.37, 1.0):
                exact = 1 / sum(
                    density_over_rise(float(r[i] ** (1.0 - share) * r[i + 1] ** share))
                    for r in bounds.values()
                )
                assert bend[i] <= exact * (1 + mp.mpf(2) ** -12)
                assert bend[i] >= 0.2 * exact


@pytest.mark.parametrize("dim", [1, 2, 7, 64, 101, 400])
def test_lattice_nodes_keep_the_stated_error(dim: int) -> None:
    """Against the binomial law in integers: every knot's line lies above Phi at all exact knots."""
    curve = binomial_curve(dim, 1.0)
    whole = 2**dim
    knots: list[tuple[Fraction, Fraction]] = [(Fraction(0), Fraction(0))]
    mass, tail, share = 1, 0, 0
    for m in range(dim, (dim - 1) // 2, -1):
        tail, share = tail + mass, share + mass * (2 * m - dim)
        knots.append((Fraction(tail, whole), Fraction(share, whole)))
        mass = mass * m // (dim - m + 1)
    for p, phi, slope in zip(curve.p.tolist(), curve.phi.tolist(), curve.slope.tolist(), strict=True):
        line = [(q, Fraction(phi) - Fraction(slope) * (Fraction(p) - q)) for q, _ in knots]
        assert all(
            value >= exact for (q, value), (_, exact) in zip(line, knots, strict=True) if q <= Fraction(p)
        )


@pytest.mark.parametrize("dim", [64, 200])
def test_a_lattice_curve_is_sound_beyond_its_last_knot(dim: int) -> None:
    """From log(1 - rho), far below the smallest double of 1 - rho: R is a sum of logarithms over the exact knots."""
    logs = np.array([-30.0, -41.0, -42.0, -50.0, -200.0])
    values = binomial_curve(dim, 1.0)(prepare(None, logs))
    with mp.workdps(120):
        whole = mp.mpf(2) ** dim
        tails, shares, mass, tail, share = [mp.mpf(0)], [mp.mpf(0)], 1, 0, 0
        for m in range(dim, (dim - 1) // 2, -1):
            tail, share = tail + mass, share + mass * (2 * m - dim)
            tails.append(tail / whole)
            shares.append(share / whole)
            mass = mass * m // (dim - m + 1)
        for log_fail, value in zip(logs.tolist(), values.tolist(), strict=True):
            fail, exact, top = mp.exp(log_fail), mp.mpf(0), mp.mpf(1) / 2
            for i in range(len(tails) - 1, -1, -1):
                low = max(tails[i], fail)
                if low >= top:
                    continue
                a = tails[min(i + 1, len(tails) - 1)]
                b, phi_a, phi_b = tails[i], shares[min(i + 1, len(tails) - 1)], shares[i]
                if a == b:  # above the last knot Phi is flat
                    exact += (top - low) / phi_b
                else:
                    slope = (phi_a - phi_b) / (a - b)
                    at = phi_b + slope * (top - b), phi_b + slope * (low - b)
                    exact += mp.log(at[0] / at[1]) / slope if slope else (top - low) / phi_b
                top = low
            assert mp.mpf(value) <= exact
            assert value >= 0.0
