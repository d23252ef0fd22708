"""Level cells of laws whose radius is known in closed form: stand-ins for computed ones."""

from __future__ import annotations

from collections.abc import Callable

from flint import arb, arb_mat, arb_poly, ctx

from derive.enclosure.cells import LevelCell

EXACT = 900
"""Bits at which sums of coefficients are not rounded."""


def normal_cells(width: float = 0.7) -> list[LevelCell]:
    """exp(-|x|²/2), fail = erfc(e/√2)/2."""
    return closed_cells(lambda e: (e / arb(2).sqrt()).erfc() / 2, width, 8.4)


def exponential_cells() -> list[LevelCell]:
    """exp(-|x|) on the line, fail = exp(-e)/2."""
    return closed_cells(lambda e: (-e).exp() / 2, 1.5, 37.0)


def closed_cells(
    fail: Callable[[arb], arb], width: float, reach: float, count: int = 18, slack: float = 1e-12
) -> list[LevelCell]:
    """fail(e) interpolated and lowered by `slack`, relative to fail (in the first cell, to 1/2 - fail)."""
    before = ctx.prec
    try:
        half = arb(width / 2)
        return [_cell(fail, half * (2 * n + 1), half, count, slack) for n in range(int(reach / width) + 1)]
    finally:
        ctx.prec = before


def _cell(fail: Callable[[arb], arb], centre: arb, half: arb, count: int, slack: float) -> LevelCell:
    ctx.prec = 200
    first = bool(centre == half)
    nodes = [(arb.pi() * (2 * i + 1) / (2 * count)).cos().mid() for i in range(count)]
    values = [fail(centre + half * x) for x in nodes]
    if first:
        values = [(arb(0.5) - p) / (1 + x) * (1 + slack) for p, x in zip(values, nodes, strict=True)]
    series = arb_mat([[x**n for n in range(count)] for x in nodes]).inv() * arb_mat(count, 1, values)
    poly = arb_poly([series[n, 0].mid() for n in range(count)])
    least = (fail(centre + half) * slack).mid()
    ctx.prec = EXACT
    lowered = arb_poly([arb(0.5)]) - poly * arb_poly([1, 1]) if first else poly - arb_poly([least])
    return LevelCell(centre, half, tuple(lowered[n].mid() for n in range(lowered.degree() + 1)), ())
