"""Proved radii at a chain of confidences 1/2 = 1 - p_0 < 1 - p_1 < …, and what bounds the radius between them.

A composition at shift r proves R(1 - p) ≥ r at one p. From there on, growing from a smaller p' to p takes a shift of at least
∫ dq/Phi(q) from p' to p, and from p to 1/2 at least r more, so R(1 - p') ≥ r + ∫ dq/Phi(q): between compositions the radius follows the
bound of Phi. Compositions are added where that loses most.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx
from scipy.special import ndtri

from derive.composition.coordinate import Coordinate
from derive.composition.radius import SPAN, first_guess, proved_fail
from derive.composition.score import GrowthBound, Line

PRECISION = 128
FINENESS = 4e-3
COMPOSITIONS = 64
FIRST = 16
SHALLOWEST = 0.1
"""Compositions start at this normal quantile: below it the differential radius is exact enough."""


@dataclass(frozen=True)
class Nodes:
    """R(1 - fails[j]) ≥ radii[j], all exact numbers, fails falling from 1/2; lines[j] bounds Phi and was chosen for the gap after j.

    `differential` is what the bound of Phi gives alone; `proofs` are the (p, r) of the compositions used.
    """

    fails: tuple[arb, ...]
    radii: tuple[arb, ...]
    lines: tuple[Line, ...]
    differential: tuple[arb, ...]
    proofs: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not all(bool(a > b) for a, b in zip(self.fails, self.fails[1:], strict=False)):
            raise ValueError("internal check failed: the nodes' confidences must increase")
        if not all(bool(a <= b) for a, b in zip(self.radii, self.radii[1:], strict=False)):
            raise ValueError("internal check failed: the nodes' radii must not decrease")

    def lower(self, fail: arb) -> arb:
        """A lower bound of R(1 - fail) at an exact fail ≤ 1/2, from the node before."""
        falling = [-float(p) for p in self.fails]
        j = max(bisect.bisect_right(falling, -float(fail)) - 1, 0)
        if bool(self.fails[j] < fail):
            j -= 1
        return (self.radii[j] + self.lines[j].gained(fail, self.fails[j])).lower()


class _Chain:
    """Radii by compositions so far, and the shifts that the bound of Phi adds from node to node."""

    def __init__(self, law: Coordinate, dim: int, fails: Sequence[arb], fineness: float) -> None:
        self.law, self.dim, self.fineness, self.fails = law, dim, fineness, tuple(fails)
        self.falling = [-float(p) for p in fails]
        self.depths = [-float(ndtri(float(p))) for p in fails]
        bound = GrowthBound(law, dim, fineness=fineness, longest=int(SPAN / fineness))
        pairs = list(zip(self.fails, self.fails[1:], strict=False))
        self.lines = [bound.line(0.5 * (float(a) + float(b))) for a, b in pairs]
        self.lines.append(self.lines[-1])
        self.steps = [
            line.gained(b, a).lower().max(arb(0)) for line, (a, b) in zip(self.lines, pairs, strict=False)
        ]
        self.sums = np.concatenate([[0.0], np.cumsum([float(s) for s in self.steps])])
        self.proofs: dict[int, tuple[float, float]] = {}
        self.reached = [(0.0, 0.0)]  # (normal quantile, shift), rising

    def compose(self, depth: float) -> None:
        """One composition near this normal quantile, entered at the next node after it."""
        last = self.reached[-1]
        if depth <= last[0]:
            shift = float(np.interp(depth, [z for z, _ in self.reached], [r for _, r in self.reached]))
        elif len(self.reached) > 1:
            shift = last[1] * depth / last[0]
        else:
            shift = first_guess(self.law, self.dim, depth)
        found = proved_fail(self.law, self.dim, shift, fineness=self.fineness)
        p = float(found.mid())
        p = p if bool(arb(p) <= found) else math.nextafter(p, 0.0)
        if not 0.0 < p < 0.5:
            return
        bisect.insort(self.reached, (-float(ndtri(p)), shift))
        place = bisect.bisect_left(self.falling, -p)
        if place < len(self.fails) and self.proofs.get(place, (p, 0.0))[1] < shift:
            self.proofs[place] = (p, shift)

    def losses(self) -> list[tuple[float, float]]:
        """For every gap between compositions: its loss at the far end, relative, and its middle."""
        places = [0, *sorted(self.proofs)]
        shifts = [0.0, *(self.proofs[k][1] for k in places[1:])]
        found = []
        for (a, b), (r, s) in zip(
            zip(places, places[1:], strict=False), zip(shifts, shifts[1:], strict=False), strict=True
        ):
            if b - a > 1:
                followed = r + float(self.sums[b] - self.sums[a])
                found.append((1 - followed / s, 0.5 * (self.depths[a] + self.depths[b])))
        return [gap for gap in found if gap[1] > SHALLOWEST]

    def nodes(self) -> Nodes:
        radii, differential = [arb(0)], [arb(0)]
        for j, step in enumerate(self.steps):
            differential.append((differential[-1] + step).lower())
            radius = (radii[-1] + step).lower()
            if j + 1 in self.proofs:
                p, shift = self.proofs[j + 1]
                extra = self.lines[j].gained(self.fails[j + 1], arb(p)).lower().max(arb(0))
                radius = radius.max((arb(shift) + extra).lower())
            radii.append(radius)
        proofs = tuple(self.proofs[k] for k in sorted(self.proofs))
        return Nodes(self.fails, tuple(radii), tuple(self.lines), tuple(differential), proofs)


def composition_nodes(
    law: Coordinate,
    dim: int,
    fails: Sequence[arb],
    *,
    compositions: int = COMPOSITIONS,
    fineness: float = FINENESS,
) -> Nodes:
    """Proved radii at these exact probabilities, 1/2 first, falling; so many compositions."""
    if not bool(fails[0] == arb(0.5)):
        raise ValueError("internal check failed: the first node is rho = 1/2")
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        chain = _Chain(law, dim, fails, fineness)
        deepest = chain.depths[-1] - 0.01
        first = min(FIRST, compositions)
        for k in range(1, first + 1):
            chain.compose(deepest * k / first)
        for _ in range(compositions - first):
            gaps = chain.losses()
            if not gaps:
                break
            chain.compose(max(gaps)[1])
        return chain.nodes()
    finally:
        ctx.prec = previous
