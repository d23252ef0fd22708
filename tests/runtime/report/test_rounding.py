from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from runtime.report.rounding import exact_below, radius_below, share_below

RADII = st.floats(min_value=0.0, max_value=1e6, allow_nan=False)


@given(RADII)
@example(0.1)
@example(1.0005)
@example(1023.9999999999999)
@example(5e-324)
def test_exact_text_is_never_above_and_reads_back_as_the_same_double(radius: float) -> None:
    text = exact_below(radius)
    assert Decimal(text) <= Decimal(radius)
    assert float(text) == radius


@given(RADII, st.integers(min_value=0, max_value=8))
def test_rounded_radius_is_below_by_less_than_a_unit(radius: float, places: int) -> None:
    gap = Decimal(radius) - Decimal(radius_below(radius, places))
    assert 0 <= gap < Decimal(1).scaleb(-places)


def test_radius_that_the_usual_format_rounds_up() -> None:
    assert f"{1.8057:.3}" == "1.81"
    assert radius_below(1.8057, 2) == "1.80"
    assert radius_below(float("inf")) == exact_below(float("inf")) == "inf"


@given(st.integers(min_value=1, max_value=10_000), st.data())
def test_share_is_rounded_down_from_its_exact_value(total: int, data: st.DataObject) -> None:
    share = Fraction(data.draw(st.integers(min_value=0, max_value=total)), total)
    assert 0 <= share - Fraction(share_below(share)) < Fraction(1, 1000)


def test_share_with_an_exact_decimal_keeps_it() -> None:
    assert share_below(Fraction(29, 100)) == "0.290"
    assert share_below(Fraction(1)) == "1.000"
