"""Nodes of a table: confidences 1/2 = 1 - p_0 < 1 - p_1 < … with proved radii, and slopes for what lies between.

A composition at shift r proves R(1 - p) ≥ r at one p. From there on, growing from a smaller p' to p takes a shift of at least
∫ dq/Phi(q) from p' to p, and from p to 1/2 at least r more, so R(1 - p') ≥ r + ∫ dq/Phi(q): between compositions the radius follows the
bound of Phi. Compositions are added where that loses most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx
from scipy.special import ndtr, ndtri

from derive.composition.coordinate import Coordinate
from derive.composition.radius import SPAN, first_guess, proved_fail
from derive.composition.score import GrowthBound, Line

PRECISION = 128
COUNT = 2048
DEEPEST = 8.3
"""Largest normal quantile with a node: 1 - p = 1 - 5e-17."""
FINENESS = 4e-3
COMPOSITIONS = 48
SHALLOWEST = 0.1


@dataclass(frozen=True)
class Nodes:
    """R(1 - p_j) ≥ radius_j, and R(1 - p) ≥ radius_j + (p_j - p)·slope_j for p ≤ p_j; exact doubles, p falling.

    `differential` is what the bound of Phi gives alone, from 1/2 on; `proofs` are the (p, r) of the compositions.
    """

    fails: tuple[float, ...]
    radii: tuple[float, ...]
    slopes: tuple[float, ...]
    differential: tuple[float, ...]
    proofs: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not all(a > b for a, b in zip(self.fails, self.fails[1:], strict=False)):
            raise ValueError("internal check failed: the nodes' confidences must increase")
        if not all(a <= b for a, b in zip(self.radii, self.radii[1:], strict=False)):
            raise ValueError("internal check failed: the nodes' radii must not decrease")


class _Builder:
    def __init__(self, law: Coordinate, dim: int, count: int, fineness: float) -> None:
        self.law, self.dim, self.fineness = law, dim, fineness
        self.depths = np.linspace(0.0, DEEPEST, count + 1)
        self.fails = [0.5, *(float(x) for x in ndtr(-self.depths[1:]))]
        bound = GrowthBound(law, dim, fineness=fineness, longest=int(SPAN / fineness))
        self.lines: list[Line] = []
        self.steps: list[arb] = []
        for start, end in zip(self.fails, self.fails[1:], strict=False):
            line = bound.line(0.5 * (start + end))
            self.lines.append(line)
            self.steps.append(line.gained(arb(end), arb(start)).lower().max(arb(0)))
        self.sums = np.concatenate([[0.0], np.cumsum([float(s) for s in self.steps])])
        self.proofs: dict[int, tuple[float, float]] = {}
        self.depth_at: dict[float, float] = {0.0: 0.0}  # shift → depth reached, floats

    def compose(self, depth: float) -> None:
        """One composition near this normal quantile."""
        known = sorted((z, r) for r, z in self.depth_at.items())
        near = [(z, r) for z, r in known if z > 0]
        shift = first_guess(self.law, self.dim, depth)
        if near:
            shift = float(np.interp(depth, [z for z, _ in known], [r for _, r in known]))
            if depth > near[-1][0]:
                shift = near[-1][1] * depth / near[-1][0]
        found = proved_fail(self.law, self.dim, shift, fineness=self.fineness)
        p = math.nextafter(float(found.mid()), 0.0) if bool(found > 0) else 0.0
        if not (0 < p < 0.5 and bool(arb(p) <= found)):
            return
        z = -float(ndtri(p))
        self.depth_at[shift] = z
        place = int(np.searchsorted(-np.array(self.fails), -p))  # the first node with fails ≤ p
        if place < len(self.fails):
            held = self.proofs.get(place)
            if held is None or held[1] < shift:
                self.proofs[place] = (p, shift)

    def losses(self) -> list[tuple[float, float]]:
        """For every gap between compositions: its loss at the far end, relative, and its middle."""
        places = [0, *sorted(self.proofs)]
        shift = {0: 0.0} | {k: r for k, (_, r) in self.proofs.items()}
        found = []
        for a, b in zip(places, places[1:], strict=False):
            followed = shift[a] + float(self.sums[b] - self.sums[a])
            if b - a > 1:
                found.append((1 - followed / shift[b], 0.5 * float(self.depths[a] + self.depths[b])))
        return found

    def nodes(self) -> Nodes:
        radii, differential = [arb(0)], [arb(0)]
        for j, step in enumerate(self.steps):
            differential.append((differential[-1] + step).lower())
            radius = (radii[-1] + step).lower()
            proof = self.proofs.get(j + 1)
            if proof is not None:
                p, shift = proof
                extra = self.lines[j].gained(arb(self.fails[j + 1]), arb(p)).lower().max(arb(0))
                radius = radius.max((arb(shift) + extra).lower())
            radii.append(radius)
        slopes = []
        for j, p in enumerate(self.fails):
            line = self.lines[min(j, len(self.lines) - 1)]
            slopes.append(_down((1 / line.at(arb(p))).lower().max(arb(0))) if bool(line.at(arb(p)) > 0) else 0.0)
        return Nodes(
            tuple(self.fails), tuple(_down(x) for x in radii), tuple(slopes),
            tuple(_down(x) for x in differential), tuple(self.proofs[k] for k in sorted(self.proofs)),
        )  # fmt: skip


def _down(x: arb) -> float:
    """The largest double not above an exact number, or nearly."""
    value = float(x.mid())
    return value if bool(arb(value) <= x) else math.nextafter(value, -math.inf)


def composition_nodes(
    law: Coordinate,
    dim: int,
    *,
    count: int = COUNT,
    compositions: int = COMPOSITIONS,
    fineness: float = FINENESS,
) -> Nodes:
    """Proved nodes for one law and dimension, with this many compositions."""
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        builder = _Builder(law, dim, count, fineness)
        first = min(compositions, 16)
        for depth in np.linspace(DEEPEST - 0.02, 0.5, first)[::-1]:
            builder.compose(float(depth))
        for _ in range(compositions - first):
            gaps = [gap for gap in builder.losses() if gap[1] > SHALLOWEST]
            if not gaps:
                break
            builder.compose(max(gaps)[1])
        return builder.nodes()
    finally:
        ctx.prec = previous
