"""The lemmas of docs/arguments.md in rational arithmetic, on laws with finitely many values, and roundings decided exactly."""

from __future__ import annotations

import itertools
from fractions import Fraction
from random import Random

import numpy as np
import pytest

from generated.special.errors import TRUSTED, UNIT
from generated.special.routes import _HALF_DOWN, _complement, _toward

Law = list[Fraction]


def _law(random: Random, size: int) -> Law:
    parts = [Fraction(random.randint(1, 9)) for _ in range(size)]
    return [part / sum(parts) for part in parts]


def _growth(q: Law, shifted: Law, p: Fraction) -> Fraction:
    """G(p): the most that a test of measure p under q, randomised on one atom, has under the other law."""
    best = Fraction(0)
    order = sorted(range(len(q)), key=lambda i: shifted[i] / q[i], reverse=True)
    for i in order:
        share = min(Fraction(1), p / q[i])
        best, p = best + share * shifted[i], p - share * q[i]
    return best


@pytest.mark.parametrize("seed", range(20))
def test_every_threshold_bounds_the_greedy_sum(seed: int) -> None:
    """E[S; U] ≤ c·q(U) + E(S - c)₊ for every set and every c; with equality for {S ≥ c} and its slope c."""
    random = Random(seed)
    q = _law(random, 7)
    scores = [Fraction(random.randint(-6, 6)) for _ in q]
    subsets = [s for n in range(8) for s in itertools.combinations(range(7), n)]
    for c in [*scores, Fraction(1, 3), Fraction(-5, 2)]:
        excess = sum((w * max(s - c, Fraction(0)) for w, s in zip(q, scores, strict=True)), Fraction(0))
        for subset in subsets:
            mass, total = (sum((q[i] * x[i] for i in subset), Fraction(0)) for x in ([1] * 7, scores))
            assert total <= c * mass + excess
        top = [i for i in range(7) if scores[i] >= c]
        mass, total = (sum((q[i] * x[i] for i in top), Fraction(0)) for x in ([1] * 7, scores))
        assert total == c * mass + excess


@pytest.mark.parametrize("seed", range(20))
def test_growth_is_concave(seed: int) -> None:
    """G(a) + G(b) ≤ 2·G((a + b)/2): what makes (1 + p_a - p_b)/2 a confidence for any route."""
    random = Random(seed)
    q, shifted = _law(random, 6), _law(random, 6)
    for _ in range(60):
        a, b = Fraction(random.randint(0, 40), 40), Fraction(random.randint(0, 40), 40)
        assert _growth(q, shifted, a) + _growth(q, shifted, b) <= 2 * _growth(q, shifted, (a + b) / 2)


@pytest.mark.parametrize("seed", range(10))
def test_two_masses_at_the_rate_of_a_symmetric_concave_growth(seed: int) -> None:
    """(R(p_a) + H(1 - p_b))/2 for Phi(p) = p·(1 - p), in its own closed form: the masses at that distance sum to 1, exactly."""
    random = Random(seed)
    a, b = Fraction(random.randint(51, 98), 100), None
    b = (1 - a) * Fraction(random.randint(1, 99), 100)
    # a mass that follows dp/ds = p(1 - p) multiplies its odds by e^s; the squares avoid roots: e^(2s) with s = (R(a) + H(1 - b))/2
    factor = a / (1 - a) * (1 - b) / b
    failure, other = (1 - a) / a, b / (1 - b)
    # odds f·e^s and g·e^s with f·g·e^(2s) = 1: then the masses sum to 1
    assert failure * other * factor == 1


def test_parts_of_a_runner_up_are_rounded_to_the_safe_side() -> None:
    """1 - p to either side, half sums and logarithms down, all decided in rational arithmetic."""
    rng = np.random.default_rng(6)
    p = np.concatenate(
        [rng.uniform(0.0, 1.0, 500), np.exp(-rng.uniform(0.0, 60.0, 500)), [0.5, 1.0, 2.0**-1074]]
    )
    for up in (True, False):
        for given, value in zip(p.tolist(), _complement(np, p, up=up).tolist(), strict=True):
            exact = 1 - Fraction(given)
            assert Fraction(value) >= exact if up else Fraction(value) <= exact
    a, b = rng.uniform(0.5, 1.0, 500), rng.uniform(0.0, 1.0, 500)
    middle = 0.5 * (a + b)
    lowered = _toward(np, middle, 0.0, middle > 0.0)
    halves = _HALF_DOWN * (a + b)
    for x, y, m, h in zip(a.tolist(), b.tolist(), lowered.tolist(), halves.tolist(), strict=True):
        assert Fraction(m) <= (Fraction(x) + Fraction(y)) / 2
        assert Fraction(h) <= (Fraction(x) + Fraction(y)) / 2
    unit = Fraction(UNIT)
    assert (1 + TRUSTED["log"] * unit) * (1 + unit) * (1 - Fraction(2) ** -49) < 1
    assert Fraction(_HALF_DOWN) * (1 + unit) ** 2 < Fraction(1, 2)


@pytest.mark.parametrize("seed", range(12))
def test_the_largest_bounds_used_up_in_turn_leave_least(seed: int) -> None:
    """Of all shifts on a grid with one l1 norm inside the box, and lines that continue a piece lie below the share."""
    random = Random(seed)
    width, steps = Fraction(random.randint(9, 24), 8), 8
    bounds = sorted((Fraction(random.randint(4, 8), 8) for _ in range(3)), reverse=True)

    def share(v: tuple[Fraction, ...]) -> Fraction:
        product = Fraction(1)
        for x in v:
            product *= 1 - x / width
        return product

    def greedy(length: Fraction) -> tuple[Fraction, ...]:
        v = []
        for bound in bounds:
            v.append(min(bound, length))
            length -= v[-1]
        return tuple(v)

    grid = [[Fraction(i, steps) for i in range(int(bound * steps) + 1)] for bound in bounds]
    for v in itertools.product(*grid):
        assert share(greedy(sum(v, Fraction(0)))) <= share(v)
    whole = sum(bounds, Fraction(0))
    starts = [sum(bounds[:c], Fraction(0)) for c in range(3)]
    for c, start in enumerate(starts):
        left = share(tuple(bounds[:c]))
        for n in range(33):
            length = whole * n / 32
            assert left * (1 - (length - start) / width) <= share(greedy(length)), c
