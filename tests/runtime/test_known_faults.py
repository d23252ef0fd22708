"""Faults found in published certification code, each by a test that this code must pass."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from math import comb
from pathlib import Path

import pytest
from scipy.stats import beta

from runtime.confidence import lower_bound
from runtime.report.rounding import radius_below
from runtime.report.run import CertifiedRun, Row
from runtime.report.tsv import read_run, tsv_text


def run_of(radii: list[float]) -> CertifiedRun:
    """A finished run, every input correct."""
    rows = tuple(Row(i, 1, 1, radius, True, 1.0) for i, radius in enumerate(radii))
    return CertifiedRun("gaussian-0.5", "gaussian", "2", 0.5, rows, source="made here")


def test_defect_printed_radii_are_never_rounded_up(tmp_path: Path) -> None:
    """Three significant digits lie above the radius in about half of all cases, by up to .005; no text of ours ever does."""
    rng = random.Random(0)
    radii = [rng.uniform(0.01, 4.0) for _ in range(2000)]
    usual = [f"{radius:.3}" for radius in radii]
    above = [Decimal(text) - Decimal(radius) for text, radius in zip(usual, radii, strict=True)]
    assert 800 <= sum(gap > 0 for gap in above) <= 1200 and max(above) > Decimal("0.0045")

    path = tmp_path / "gaussian-0.5.l2.tsv"
    path.write_text(tsv_text(run_of(radii)), encoding="utf-8")
    texts = [line.split("\t")[3] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(texts) == len(radii)
    for text, radius in zip(texts, radii, strict=True):
        assert Decimal(text) <= Decimal(radius) and float(text) == radius
        assert all(Decimal(radius_below(radius, places)) <= Decimal(radius) for places in (2, 3, 4))


def test_defect_certified_accuracy_is_not_counted_from_rounded_radii(tmp_path: Path) -> None:
    """`radius >= r` after rounding up certifies inputs whose radius is below r: here all of them, where none is right."""
    radii = [1.8057, 1.8063, 1.8099]
    assert all(float(f"{radius:.3}") >= 1.81 > radius for radius in radii)
    path = tmp_path / "gaussian-0.5.l2.tsv"
    path.write_text(tsv_text(run_of(radii)), encoding="utf-8")
    assert read_run(path).certified(1.81) == run_of(radii).certified(1.81) == 0
    assert read_run(path).certified(1.8057) == 1 and read_run(path).certified(1.8063) == Fraction(2, 3)


def tail(successes: int, n: int, p: Fraction) -> Fraction:
    """P(Bin(n, p) ≥ successes), exact."""
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(successes, n + 1)), start=Fraction(0))


@pytest.mark.parametrize("n", [12, 40, 60])
def test_defect_library_quantile_is_not_taken_for_the_confidence_bound(n: int) -> None:
    """SciPy's Clopper–Pearson bound exceeds the exact one for many counts; ours for none, and by hardly a digit less."""
    alpha, exceeding = Fraction(0.001), 0
    for successes in range(1, n + 1):
        library = Fraction(float(beta.ppf(float(alpha), successes, n - successes + 1)))
        exceeding += tail(successes, n, library) > alpha
        ours = Fraction(lower_bound(successes, n, float(alpha)))
        assert tail(successes, n, ours) <= alpha
        assert abs(ours / library - 1) <= Fraction(1, 10**9)
    assert exceeding > 0
