"""Conversions between norms in exact arithmetic: no factor, and no product with a factor, is above the real one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from generated import registry
from generated.special import Route, prepare
from generated.special.confidence import finish
from generated.special.errors import TRUSTED, UNIT
from generated.special.routes import _FACTOR_DOWN

LARGEST = 2**20


def test_the_slack_covers_what_a_factor_and_its_products_lose() -> None:
    """For every dimension: a power or quotient off by its trusted error, rounded products with the scale and the slack."""
    unit = Fraction(UNIT)
    assert (1 + TRUSTED["pow"] * unit) * (1 + unit) ** 2 * Fraction(_FACTOR_DOWN) < 1


@pytest.mark.parametrize("scale", [1.0, 0.3, 7.7e-5])
def test_factors_of_the_dimension_are_below_the_exact_ones(scale: float) -> None:
    """1/sqrt(d) and 1/d for every d up to 2^20, squared or multiplied back in integers."""
    top, bottom = scale.as_integer_ratio()
    for d in range(1, LARGEST + 1, 1 if scale == 1.0 else 97):
        root, whole = scale * d ** (-0.5) * _FACTOR_DOWN, scale * (1.0 / d) * _FACTOR_DOWN
        n, m = root.as_integer_ratio()
        assert n * n * d * bottom * bottom <= m * m * top * top, d
        n, m = whole.as_integer_ratio()
        assert n * d * bottom <= m * top, d


@pytest.mark.parametrize("name", registry.FAMILIES)
@pytest.mark.parametrize("dim", [2, 3, 784, 3072, 150528, 10**6 + 3])
def test_routes_convert_by_the_order_of_the_norms(name: str, dim: int) -> None:
    """‖x‖₁ ≤ √d‖x‖₂ ≤ d‖x‖∞ and ‖x‖∞ ≤ ‖x‖₂ ≤ ‖x‖₁: a factor is 1, 1/√d or 1/d, as the two norms of its source demand."""
    module = registry.load(name)
    parameters = dict(module.PARAMETERS)
    if name in ("pow_l2", "pow_linf"):
        parameters["a"] = dim + 16.0
    order = {"1": Fraction(1), "2": Fraction(1, 2), "inf": Fraction(0)}
    for adversary in module.ADVERSARIES:
        for route in module.routes(adversary=adversary, dim=dim, **parameters):
            found = route.source.partition("converted from l")[2].partition(":")[0]
            source = found if found in order else adversary
            lost = max(order[source] - order[adversary], Fraction(0))  # R_a ≥ R_b·d^-(1/b - 1/a)+
            exact = {Fraction(0): 1.0, Fraction(1, 2): dim**-0.5, Fraction(1): 1.0 / dim}
            assert route.factor == exact[lost], route


def test_a_converted_radius_is_below_the_product_in_rational_arithmetic() -> None:
    """finish(value, scale·factor) ≤ value·scale/√d, with all its roundings, for doubles that are the exact radius of the source."""
    rng = np.random.default_rng(3)
    values = np.exp(rng.uniform(-20.0, 20.0, 300))
    at = prepare(np.full(300, 0.9))
    for dim in (2, 3, 7, 3072, 150528, 2**20 - 1, 2**52 + 1):
        scale = float(np.exp(rng.uniform(-5.0, 5.0)))
        route = Route(
            "test",
            lambda rho, scale, log_fail: finish(at, values, scale, rounding=0),
            factor=dim**-0.5,
        )
        for value, radius in zip(values.tolist(), route(None, scale).tolist(), strict=True):
            assert (Fraction(radius) / Fraction(value) / Fraction(scale)) ** 2 * dim <= 1
