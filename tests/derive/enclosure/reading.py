"""What proved level cells certify."""

from __future__ import annotations

from flint import arb

from derive.enclosure.cells import LevelCell
from derive.enclosure.interpolation import value


def radius(cells: list[LevelCell], p: arb) -> arb:
    """The largest distance that the cells certify for p, nearly, from below."""
    cell = next(c for c in cells if bool(value(c.fail, arb(1)) <= p))
    low, high = arb(-1), arb(1)
    for _ in range(120):
        middle = ((low + high) / 2).mid()
        if bool(value(cell.fail, middle) >= p):
            low = middle
        else:
            high = middle
    return cell.centre + cell.half * low
