"""A piece is monotone only where that is proved: no sample decides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from generated.special.interval import FLOATS
from generated.special.monotone import Pieces, RadialDensity, monotone_pieces

EDGES = np.exp(np.arange(-20.0, 20.0, 0.25))


def bumped(height: float, width: float, scale: float = 1.0) -> RadialDensity:
    """psi' = r + a narrow bump at r = 2."""

    def bump(xp: Any, r: Any) -> Any:
        return height * xp.exp(-(((r - 2.0) / width) ** 2))

    return RadialDensity(
        lambda xp, r: r * (r + bump(xp, r)),
        lambda xp, r: r * r * (1.0 - 2.0 * (r - 2.0) / width**2 * bump(xp, r)),
    )


def covering(pieces: Pieces, r: float) -> int:
    return int(np.searchsorted(pieces.high, r))


def student(nu: float) -> RadialDensity:
    return RadialDensity(
        lambda xp, r: (nu + 1.0) * r**2 / (nu + r**2),
        lambda xp, r: (nu + 1.0) * r**2 * (nu - r**2) / (nu + r**2) ** 2,
    )


@pytest.mark.parametrize("width", [1e-2, 1e-4, 1e-6])
def test_a_narrow_bump_is_found(width: float) -> None:
    pieces = monotone_pieces(bumped(10.0 * width, width), EDGES)
    trends = [int(t) for t in pieces.trend if t != 0]
    assert trends == [1, -1, 1]
    falling = pieces.trend == -1
    assert np.all(np.abs(pieces.low[falling] - 2.0) < 5.0 * width)


def test_a_smooth_rise_is_one_piece() -> None:
    pieces = monotone_pieces(bumped(1e-6, 1e-2), EDGES)
    assert pieces.trend.tolist() == [1]


def test_the_score_between_two_turns_is_under_its_step() -> None:
    density = student(3.0)
    pieces = monotone_pieces(density, EDGES)
    assert pieces.trend.tolist() == [1, 0, -1]
    r = np.linspace(pieces.low[1], pieces.high[1], 1001)
    score = density.steepness(FLOATS, r) / r
    assert np.all(score <= pieces.top[1]) and pieces.top[1] < score.max() * (1 + 1e-12)
    assert pieces.low[1] < math.sqrt(3.0) < pieces.high[1] < math.sqrt(3.0) * (1 + 1e-6)


def test_what_stays_open_is_covered_from_above() -> None:
    """A slope of which nothing can be said: every piece is a step, and the score lies under it everywhere."""
    plain = student(3.0)
    blind = RadialDensity(plain.steepness, lambda xp, r: plain.bend(xp, r) + 1e3 * (r**3 - r**3))
    pieces = monotone_pieces(blind, np.exp(np.arange(-2.0, 2.0, 0.25)))
    assert np.all(pieces.trend[(pieces.low > 0.3) & (pieces.high < 3.0)] == 0)
    r = np.random.default_rng(0).uniform(pieces.low[0], pieces.high[-1], 20_000)
    index = np.searchsorted(pieces.high, r)
    flat = pieces.trend[index] == 0
    assert np.all((plain.steepness(FLOATS, r) / r)[flat] <= pieces.top[index][flat])


def test_nothing_passes_where_the_slope_is_undefined() -> None:
    nowhere = RadialDensity(lambda xp, r: r, lambda xp, r: xp.sqrt(-1.0 - r))
    assert np.all(monotone_pieces(nowhere, np.array([1.0, 1.5, 2.0])).trend == 0)
    unknown = RadialDensity(lambda xp, r: xp.log(-r), lambda xp, r: r)
    assert np.all(np.isinf(monotone_pieces(unknown, np.array([1.0, 1.5])).top))


@pytest.mark.parametrize("kinks", [(1.0,), ()])
def test_a_drop_of_the_score_is_seen_declared_or_not(kinks: tuple[float, ...]) -> None:
    """psi' falls from 1 to 1/2 at r = 1, while psi'' is positive on both sides."""
    drop = RadialDensity(
        lambda xp, r: xp.where(r <= 1.0, r * r, 0.5 * r * r),
        lambda xp, r: xp.where(r <= 1.0, r * r, 0.5 * r * r),
        kinks,
    )
    pieces = monotone_pieces(drop, EDGES)
    across = (pieces.low < 1.0 - 1e-9) & (pieces.high > 1.0 + 1e-9)
    assert not across.any()
    assert pieces.top[covering(pieces, 1.0)] >= 1.0 or pieces.high[covering(pieces, 1.0)] == 1.0


def test_constant_scores_are_one_step() -> None:
    pieces = monotone_pieces(RadialDensity(lambda xp, r: r, lambda xp, r: 0.0 * r), EDGES)
    assert pieces.trend.tolist() == [0] and 1.0 <= pieces.top[0] < 1.0 + 1e-13
    uniform = monotone_pieces(
        RadialDensity(lambda xp, r: 0.0 * r, lambda xp, r: 0.0 * r, bound=2.0), np.array([0.1, 0.5, 1.9])
    )
    assert uniform.trend.tolist() == [0] and uniform.top[0] == 0.0


def test_pieces_check_themselves() -> None:
    with pytest.raises(ValueError, match="adjoin"):
        Pieces(np.array([1.0, 3.0]), np.array([2.0, 4.0]), np.array([1, 1]), np.full(2, np.nan))
    with pytest.raises(ValueError, match="kinks"):
        RadialDensity(lambda xp, r: r, lambda xp, r: r, (math.nan,))
    assert RadialDensity(lambda xp, r: r, lambda xp, r: r, (3.0, -1.0, 0.5), bound=2.0).kinks == (0.5,)
