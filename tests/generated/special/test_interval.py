"""Intervals contain what they enclose: against many digits, for every operation and function of a density."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated.special.interval import FLOATS, INTERVALS, Interval

EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": mp.exp, "log": mp.log, "sqrt": mp.sqrt, "expm1": mp.expm1, "log1p": mp.log1p, "tanh": mp.tanh, "sinh": mp.sinh,
    "cosh": mp.cosh, "atan": mp.atan, "erf": mp.erf, "erfc": mp.erfc, "sin": mp.sin, "cos": mp.cos, "tan": mp.tan,
    "gamma": mp.gamma, "abs": abs,
}  # fmt: skip
DOMAIN = {
    "log": (1e-300, 1e300),
    "sqrt": (0.0, 1e300),
    "log1p": (-0.999, 1e300),
    "gamma": (1e-3, 170.0),
    "erfc": (-5.0, 26.0),
}

finite = st.floats(-600.0, 600.0).filter(lambda x: x == 0.0 or abs(x) > 1e-250)
positive = st.floats(1e-3, 1e3)


@st.composite
def cell(draw: st.DrawFn, numbers: st.SearchStrategy[float] = finite) -> tuple[float, float, float]:
    """(low, high, a number between)."""
    low, middle, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    if draw(st.booleans()):  # narrow cells find errors of the last place
        low, high = middle, float(np.nextafter(middle, math.inf))
    return low, high, middle


def holds(box: Interval, value: Any) -> bool:
    low, high = float(np.asarray(box.low)), float(np.asarray(box.high))
    return (low == -math.inf or mp.mpf(low) <= value) and (high == math.inf or value <= mp.mpf(high))


def interval(low: float, high: float) -> Interval:
    return Interval(np.array(low), np.array(high))


@pytest.mark.parametrize("name", sorted(EXACT))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_functions_contain_their_values(name: str, data: st.DataObject) -> None:
    numbers = st.floats(*DOMAIN[name]) if name in DOMAIN else finite
    low, high, x = data.draw(cell(numbers))
    box = getattr(INTERVALS, name)(interval(low, high))
    with mp.workdps(60):
        assert holds(box, EXACT[name](mp.mpf(x)))
        assert holds(box, EXACT[name](mp.mpf(low)))


@settings(max_examples=300, deadline=None)
@given(cell(), cell())
def test_operations_contain_their_values(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    x, y = interval(*a[:2]), interval(*b[:2])
    with mp.workdps(60):
        p, q = mp.mpf(a[2]), mp.mpf(b[2])
        assert holds(x + y, p + q)
        assert holds(x - y, p - q)
        assert holds(x * y, p * q)
        assert holds(2.5 - x, 2.5 - p)
        if q != 0:
            assert holds(x / y, p / q)
            assert holds(3.0 / y, 3 / q)
        assert holds(INTERVALS.minimum(x, y), min(p, q))
        assert holds(INTERVALS.maximum(x, y), max(p, q))
        assert holds(INTERVALS.where(x <= y, x, y), min(p, q))
        assert holds(INTERVALS.where(x > y, x * 2.0, y + 1.0), 2 * p if p > q else q + 1)


@settings(max_examples=200, deadline=None)
@given(cell(positive), st.sampled_from([-3.0, -2.5, -1.0, -0.5, 0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 7.0]))
def test_powers_contain_their_values(a: tuple[float, ...], power: float) -> None:
    with mp.workdps(60):
        assert holds(interval(*a[:2]) ** power, mp.mpf(a[2]) ** mp.mpf(power))
        assert holds(1.7 ** interval(a[0] / 50, a[1] / 50), mp.mpf(1.7) ** (mp.mpf(a[0] / 50)))
        if power == math.floor(power) and power > 0.0:
            assert holds(interval(-a[1], -a[0]) ** power, mp.mpf(-a[2]) ** int(power))
            assert holds(interval(-a[0], a[1]) ** power, mp.mpf(a[2]) ** int(power))
            assert holds(interval(-a[0], a[1]) ** power, mp.mpf(-a[0]) ** int(power))


@settings(max_examples=100, deadline=None)
@given(cell(st.floats(0.01, 0.99)))
def test_whole_expressions_contain_their_values(a: tuple[float, ...]) -> None:
    def score(xp: Any, r: Any) -> Any:
        return (
            r * xp.tanh(2.0 * r) / (1.0 + r**1.5) + xp.where(r <= 0.5, r, 0.5) - xp.exp(-1.0 / (1.0 - r * r))
        )

    r = mp.mpf(a[2])
    with mp.workdps(60):
        exact = r * mp.tanh(2 * r) / (1 + r ** mp.mpf(1.5)) + min(r, mp.mpf(0.5)) - mp.exp(-1 / (1 - r * r))
        assert holds(score(INTERVALS, interval(*a[:2])), exact)
    assert abs(float(score(FLOATS, np.array(a[2]))) - float(exact)) < 1e-14


def test_zero_stays_exact() -> None:
    r = interval(1.0, 2.0)
    for box in (0.0 * r, r * 0.0, 0.0 / r, (r - r) * 0.0):
        assert float(box.low) == 0.0 and float(box.high) == 0.0
    edge = 1.0 / (1.0 - interval(1.0 - 1e-12, 1.0))
    assert float(edge.low) > 9e11 and float(edge.high) == math.inf


def test_what_is_undefined_decides_nothing() -> None:
    bad = INTERVALS.sqrt(interval(-2.0, -1.0))
    for box in (
        bad,
        bad + 1.0,
        INTERVALS.exp(bad),
        bad * 0.0,
        1.0 / bad,
        INTERVALS.sin(bad),
        abs(bad),
        bad**2.0,
    ):
        assert math.isnan(float(box.low)) and math.isnan(float(box.high))
        truth = box > 0.0
        assert not truth.surely and truth.possibly
    assert math.isnan(float((interval(1.0, 2.0) / interval(0.0, 0.0)).low))
    pole = INTERVALS.tan(interval(1.5, 1.6))
    assert float(pole.low) == -math.inf and float(pole.high) == math.inf


def test_arrays_on_the_left_keep_the_interval() -> None:
    box = np.array([2.0, 3.0]) * Interval(np.array([1.0, 1.0]), np.array([2.0, 2.0]))
    assert isinstance(box, Interval) and box.low.shape == (2,)
    assert isinstance(np.float64(2.0) / box, Interval)
