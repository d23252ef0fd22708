"""Proved radii at a chain of confidences 1/2 = 1 - p_0 < 1 - p_1 < …, and what bounds the radius between them.

From R(1 - p) ≥ r on, growing from a smaller p' to p takes a shift of at least ∫ dq/Phi(q) from p' to p, and from p to 1/2 at least r
more, so R(1 - p') ≥ r + ∫ dq/Phi(q): between nodes the radius follows the bound of Phi.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from flint import arb

from derive.composition.score import Line


@dataclass(frozen=True)
class Nodes:
    """R(1 - fails[j]) ≥ radii[j], all exact numbers, fails falling from 1/2; lines[j] bounds Phi and was chosen for the gap after j.

    `differential` is what the bound of Phi gives alone; `proofs` are the (p, r) of the nodes.
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
