"""No generated radius is above the lower end of its enclosure: 10,000 doubles over densities, norms, dimensions and parameters."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from tests.properties.never_above import PLACES, TARGETS, Target, example

CLOSED_EXAMPLES, CURVE_EXAMPLES = 890, 45
CHEAP = [t for t in TARGETS if t.cheap]
CURVES = [t for t in TARGETS if not t.cheap]
EXACT = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def test_ten_thousand_examples_in_all() -> None:
    assert len(CHEAP) * CLOSED_EXAMPLES + len(CURVES) * CURVE_EXAMPLES >= 10_000


@pytest.mark.parametrize("target", CHEAP, ids=str)
@settings(EXACT, max_examples=CLOSED_EXAMPLES)
@given(seed=st.integers(0, 2**62), place=st.sampled_from(PLACES))
def test_closed_forms(target: Target, seed: int, place: str) -> None:
    found = example(target, Random(seed), place)
    assert found.holds, found


@pytest.mark.parametrize("target", CURVES, ids=str)
@settings(EXACT, max_examples=CURVE_EXAMPLES)
@given(seed=st.integers(0, 2**62), place=st.sampled_from(PLACES))
def test_curves(target: Target, seed: int, place: str) -> None:
    try:
        found = example(target, Random(seed), place)
    except ArithmeticError:
        reject()  # no verdict: another example is drawn instead
    assert found.holds, found


def test_a_radius_an_ulp_too_large_is_found() -> None:
    """The comparison is exact: a linear radius without its slack fails it at some double."""
    found = [example(CHEAP[4], Random(n), "any") for n in range(20)]
    raised = [f.__class__(**{**f.__dict__, "radius": f.radius * (1.0 + 2.0**-44)}) for f in found]
    assert all(f.holds for f in found) and not any(f.holds for f in raised)
