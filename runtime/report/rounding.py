"""Decimal texts of radii and accuracies that err downwards only."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Context, Decimal
from fractions import Fraction

_EXACT = Context(prec=18, rounding=ROUND_FLOOR)


def exact_below(radius: float) -> str:
    """18 significant digits, rounded down: never above `radius`, and read back as the very same double.

    Args:
        radius: a number of at least 0, or inf.
    """
    if math.isinf(radius):
        return "inf"
    return format(_EXACT.create_decimal(Decimal(radius)).normalize(_EXACT), "f") if radius else "0.0"


def radius_below(radius: float, places: int = 4) -> str:
    """`radius` with `places` decimals, rounded down."""
    if math.isinf(radius):
        return "inf"
    return str(Decimal(radius).quantize(Decimal(1).scaleb(-places), rounding=ROUND_FLOOR))


def share_below(share: Fraction, places: int = 3) -> str:
    """A share of inputs with `places` decimals, rounded down from its exact value."""
    unit = 10**places
    count = math.floor(share * unit)
    return f"{count // unit}.{count % unit:0{places}d}"


def points_below(difference: Fraction) -> str:
    """A difference of shares in percentage points with a sign and one decimal, rounded down."""
    tenths = math.floor(difference * 1000)
    return f"{'-' if tenths < 0 else '+'}{abs(tenths) // 10}.{abs(tenths) % 10}"
