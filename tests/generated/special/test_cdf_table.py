"""Thresholds of noise on a grid, from proved tables of the cdf, against closed forms in 200 digits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from generated import registry
from generated.special import grid_thresholds
from generated.special.cdf import BITS, WORD, CdfTable, GridThresholds, thresholds
from generated.special.lookup import SHIPPED_CDF, VARIABLE, MissingTable, find_cdf_table, read_cdf_table

ONE = 1 << WORD
Tail = Callable[[mp.mpf], mp.mpf]


def _student(x: mp.mpf, nu: int = 5) -> mp.mpf:
    return mp.betainc(mp.mpf(nu) / 2, mp.mpf(1) / 2, 0, nu / (nu + x * x), regularized=True) / 2


def _huber(x: mp.mpf, k: int = 1) -> mp.mpf:
    inner, outer = mp.sqrt(mp.pi / 2) * mp.erf(k / mp.sqrt(2)), mp.exp(-(mp.mpf(k) ** 2) / 2) / k
    if x <= k:
        return mp.mpf(1) / 2 - mp.sqrt(mp.pi / 2) * mp.erf(x / mp.sqrt(2)) / (2 * (inner + outer))
    return outer * mp.exp(-k * (x - k)) / (2 * (inner + outer))


def _normal(x: mp.mpf) -> mp.mpf:
    return mp.erfc(x / mp.sqrt(2)) / 2


# P(X > x) for 0 ≤ x inside the support, at the default parameters
TAILS: dict[str, Tail] = {
    "gaussian": _normal,
    "laplace": lambda x: mp.exp(-x) / 2,
    "uniform": lambda x: (1 - x) / 2,
    "logistic": lambda x: 1 / (1 + mp.exp(x)),
    "hyperbolic_secant": lambda x: 2 / mp.pi * mp.atan(mp.exp(-mp.pi * x / 2)),
    "generalized_normal": lambda x: mp.erfc(x) / 2,
    "student_t": _student,
    "cauchy": lambda x: mp.mpf(1) / 2 - mp.atan(x) / mp.pi,
    "pareto": lambda x: (1 + x) ** -3 / 2,
    "gaussian_mixture": lambda x: (_normal(x) + _normal(x / 3)) / 2,
    "huber": _huber,
    "triangular": lambda x: (1 - x) ** 2 / 2,
    "raised_cosine": lambda x: (1 - x - mp.sin(mp.pi * x) / mp.pi) / 2,
}
BOUNDED = {"uniform", "triangular", "raised_cosine"}
SETTINGS = [
    (1.0, 255),
    (0.25, 255),
    (float(np.float32(0.12)), 255),
    (0.7390850520133972, 1000),
    (37.5, 3),
    (2.0**-20, 1),
]


def _grid(name: str, scale: float, denominator: int, most: int = 2**17) -> GridThresholds:
    module = registry.load(name)
    return grid_thresholds(name, module.SPEC_HASH, dict(module.PARAMETERS), scale, denominator, most)


def test_a_closed_form_for_every_shipped_density() -> None:
    products = {name for name in registry.FAMILIES if registry.load(name).GEOMETRY == "product"}
    assert products == set(TAILS)
    assert {path.name.split("_cdf")[0] for path in SHIPPED_CDF.glob("*.json")} == products


@pytest.mark.parametrize("name", sorted(TAILS))
def test_thresholds_enclose_the_cdf(name: str) -> None:
    rng = np.random.default_rng(sum(name.encode()))
    with mp.workdps(200):
        for scale, denominator in [
            *SETTINGS,
            (float(np.exp(rng.uniform(-9, 4))), int(rng.integers(1, 70000))),
        ]:
            grid = _grid(name, scale, denominator, 4001)
            count = grid.integers
            assert grid.first == -(count // 2) and count % 2 == 1 and len(grid.high) == count + 1
            picked = {0, 1, count // 2, count // 2 + 1, count - 1, count} | set(
                map(int, rng.integers(0, count + 1, 12))
            )
            for i in sorted(k for k in picked if 0 <= k <= count):
                place = Fraction(2 * (grid.first + i) - 1, 2 * denominator) / Fraction(scale)
                x = mp.mpf(abs(place).numerator) / abs(place).denominator
                tail = mp.mpf(0) if name in BOUNDED and x >= 1 else TAILS[name](x)
                exact = ONE * (tail if place < 0 else 1 - tail)
                low, high = int(grid.low[i]), int(grid.high[i])
                assert low <= exact <= high, (name, scale, denominator, i)
                assert high - low <= 2, (name, scale, denominator, i)


@pytest.mark.parametrize("name", sorted(TAILS))
def test_thresholds_are_symmetric_and_ascend(name: str) -> None:
    for scale, denominator in SETTINGS:
        grid = _grid(name, scale, denominator)
        assert np.array_equal(grid.low + grid.high[::-1], np.full(len(grid.low), ONE))
        assert np.all(np.diff(grid.low) >= 0) and np.all(np.diff(grid.high) >= 0)
        assert np.all(grid.low <= grid.high) and grid.low[0] >= 0 and grid.high[-1] <= ONE
        counts = grid.counts()
        assert Fraction(int(counts.sum()), ONE) + grid.leftover == 1
        assert grid.leftover >= 0 and grid.integers <= 2**17
        inner = np.abs(np.arange(grid.integers) + grid.first) <= 3
        if scale == 1.0:  # most of what the boundaries leave undecided is one word each
            assert np.all(counts[inner] > 2**40)


def test_little_is_left_over_where_few_integers_reach_far() -> None:
    for name in (
        "gaussian",
        "laplace",
        "logistic",
        "hyperbolic_secant",
        "gaussian_mixture",
        "huber",
        *BOUNDED,
    ):
        grid = _grid(name, 1.0, 255)
        assert grid.leftover <= Fraction(1, 2**40) + Fraction(2 * len(grid.low), ONE), name
        assert grid.integers < 2**15
    heavy = _grid("cauchy", 1.0, 255)
    assert heavy.integers == 2**17 - 1
    assert 0.0024 < heavy.leftover < 0.0025  # 2/pi over 2**16/255


def test_bounded_noise_has_no_integer_beyond_its_support() -> None:
    grid = _grid("uniform", 0.5, 255)
    assert grid.first == -127 and grid.integers == 255  # 127.5 is a boundary
    assert grid.leftover <= Fraction(2 * 256, ONE) and grid.high[-1] == ONE
    assert int(grid.counts().max() - grid.counts().min()) <= 4


def test_words_are_decided_at_most_once() -> None:
    grid = _grid("gaussian", 0.25, 255)
    words = np.random.default_rng(1).integers(0, ONE, 100_000)
    index = np.searchsorted(grid.high, words, side="right") - 1
    inside = (index >= 0) & (index < grid.integers)
    assert np.all(inside)
    assert np.all(words < grid.low[index + 1])  # undecided words are one in 2**49 here
    drawn = index + grid.first
    assert abs(drawn.std() - 63.75) < 1.0 and abs(drawn.mean()) < 1.0


def test_fast_enough_to_be_made_when_a_run_starts() -> None:
    table = find_cdf_table("gaussian", registry.load("gaussian").SPEC_HASH, {})
    start = time.process_time()
    grid = thresholds(table, 1.0, 255)
    assert time.process_time() - start < 0.5
    assert 3000 < grid.integers < 4000


def _perturbed(table: CdfTable, cell: int, coefficient: int) -> CdfTable:
    cells = list(table.cells)
    values = list(cells[cell].coefficients)
    values[coefficient] += 1 << (BITS - WORD + 1)
    cells[cell] = replace(cells[cell], coefficients=tuple(values))
    return replace(table, cells=tuple(cells))


def test_the_comparison_with_the_closed_form_sees_a_wrong_coefficient() -> None:
    table = read_cdf_table(SHIPPED_CDF / "gaussian_cdf.json")
    places = [Fraction(2 * j + 1, 510) for j in range(1500)]

    def misses(found: CdfTable) -> int:
        grid = thresholds(found, 1.0, 255)
        half = grid.integers // 2 + 1
        with mp.workdps(60):
            exact = [ONE * (1 - _normal(mp.mpf(x.numerator) / x.denominator)) for x in places]
        return sum(
            not int(grid.low[half + j]) <= value <= int(grid.high[half + j]) for j, value in enumerate(exact)
        )

    assert misses(table) == 0
    assert misses(_perturbed(table, 2, 0)) > 50
    assert misses(_perturbed(table, 2, 3)) > 10


def test_files_that_are_not_what_they_say_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = (SHIPPED_CDF / "generalized_normal_cdf_p=2.json").read_text()
    module = registry.load("generalized_normal")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(
        MissingTable, match="python -m derive compile generalized_normal --cdf --param p=1.5$"
    ):
        find_cdf_table(module.NAME, module.SPEC_HASH, {"p": 1.5})
    path = tmp_path / "generalized_normal_cdf_p=1.5.json"
    path.write_text(good)
    with pytest.raises(ValueError, match="it says parameters = .*make it again with"):
        find_cdf_table(module.NAME, module.SPEC_HASH, {"p": 1.5})
    for broken in (good.replace("7", "6", 1), good[:-20], good.replace('"format": 1', '"format": 2'), ""):
        path.write_text(broken)
        with pytest.raises(ValueError, match="broken.*make it again with"):
            find_cdf_table(module.NAME, module.SPEC_HASH, {"p": 1.5})
    with pytest.raises(ValueError, match="another density: it says spec"):
        find_cdf_table(module.NAME, "0" * 16, {"p": 2.0})


@pytest.mark.parametrize("denominator", [0, -1, 2.5, True, 2**32 + 1, "255"])
def test_denominators_are_positive_integers(denominator: object) -> None:
    module = registry.load("gaussian")
    with pytest.raises(ValueError, match="denominator must be an integer from 1"):
        grid_thresholds("gaussian", module.SPEC_HASH, {}, 1.0, denominator)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_are_positive(scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        _grid("gaussian", scale, 255)
