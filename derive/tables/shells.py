"""A table of the exact radius of noise in the l1 or linf norm: polynomials proved below a chain of proved radii.

At the start of the table's cells a level t and a distance e are found in floats, and h(t, e) is enclosed once: R(1 - p) ≥ e for all
p ≤ h(t, e), whatever t is. From there to the next one the radius grows by ∫ dq/Phi at least, Phi the growth of the same noise for small shifts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtri

from derive.composition.nodes import Nodes
from derive.composition.score import Line
from derive.derivation import Derivation, LevelSet
from derive.enclosure.radial import RadialDensity
from derive.enclosure.score_tail import ScoreTail
from derive.enclosure.shell_witness import ShellSet, shell_set
from derive.enclosure.witness import Witness
from derive.spec import Spec
from derive.tables.file import Triple, density_table
from derive.tables.fit import Fitted
from derive.tables.stepped import fit_below, node_fails, table_cells
from generated.special.lookup import NODES

ASSURANCE = "every node and every polynomial proved in ball arithmetic: the float value, its rounding included, is at most the radius for every double rho"

BITS = 16
"""Integrals are enclosed to about 2**-(62 + BITS), which is enough at every p: J - 1/2 is never small beside 1."""
FIRST = -7
"""Below this exponent of rho - 1/2 one slope serves: there the differential radius is as good."""
SOLVED = 28
"""Searches in floats; what lies between them is interpolated."""
SPACING = 0.012
"""Cells closer than this to the last node, in the normal quantile, get none."""
_SAFE, _CLOSE = 2.0**-20, 2.0**-17
"""Nodes aim at a z less than the cell's by the first, and are taken when they miss it by no more than the second, relative."""
_TRIES = 4


@dataclass(frozen=True)
class ShellTable:
    """The table's numbers, its witnesses (p, t, e), and the largest gain over the bound of Phi alone, relative."""

    fitted: Fitted
    witnesses: tuple[Triple, ...]
    gain: float


def shell_table(density: RadialDensity, kind: str, dim: int, *, spacing: float = SPACING) -> ShellTable:
    """Every polynomial proved, with its rounding, to lie below R at every double; ArithmeticError where one is not.

    density, kind: as for `shell_ball`; psi must not decrease (the caller has proved it).
    """
    before, ctx.prec = ctx.prec, 150 + BITS
    try:
        near, far = table_cells(FIRST)
        nodes, witnesses = _nodes(density, kind, dim, node_fails([*near, *far]), spacing)
        fitted = fit_below(nodes, near, far, FIRST)
        gain = max(float(a / b) for a, b in zip(nodes.radii[1:], nodes.differential[1:], strict=True)) - 1
        return ShellTable(fitted, witnesses, gain)
    finally:
        ctx.prec = before


def _nodes(
    density: RadialDensity, kind: str, dim: int, fails: Sequence[arb], spacing: float
) -> tuple[Nodes, tuple[Triple, ...]]:
    shells = shell_set(density, kind, dim, BITS)
    tail = ScoreTail(shells.base, arb(1) / 2 if kind == "shell" else arb(1) / (2 * dim))
    lines = []
    for start, end in zip(fails, fails[1:], strict=False):
        slope = tail.threshold(0.5 * (float(start) + float(end)))
        lines.append(Line(arb(slope), arb(tail.offset(slope))))
    guess = _Guess(shells)
    radii, differential, witnesses, last = [arb(0)], [arb(0)], [], 0.0
    for j, (start, end) in enumerate(zip(fails, fails[1:], strict=False)):
        step = lines[j].gained(end, start).lower().max(arb(0))
        differential.append((differential[-1] + step).lower())
        radius = (radii[-1] + step).lower()
        depth = -float(ndtri(float(end)))
        if depth - last >= spacing:
            found = _proved(shells, guess, float(end))
            if found is not None:
                last = depth
                p, _, distance = found
                reached = (arb(distance) + lines[j].gained(end, arb(p)).lower().max(arb(0))).lower()
                if p <= float(start) and bool(reached > radius):
                    witnesses.append(found)
                    radius = reached
        radii.append(radius)
    nodes = Nodes(
        tuple(fails),
        tuple(radii),
        (*lines, lines[-1]),
        tuple(differential),
        tuple((p, e) for p, _, e in witnesses),
    )
    return nodes, tuple(witnesses)


class _Guess:
    """Levels and distances near the best, by the normal quantile of rho; nothing proved."""

    def __init__(self, shells: ShellSet) -> None:
        first, last = float(-ndtri(0.5 - 2.0**FIRST)), float(-ndtri(2.0**-53))
        angles = math.pi * (np.arange(SOLVED) + 0.5) / SOLVED
        rows = []
        for z in first + (last - first) * 0.5 * (1 - np.cos(angles)):
            p = float(0.5 * math.erfc(z / math.sqrt(2)))
            gap = float(0.5 * math.erf(z / math.sqrt(2)))
            try:
                t, e = shells.floats.solve(p, gap)
            except (ArithmeticError, ValueError):
                continue
            if math.isfinite(t) and 0 < e < math.inf:
                rows.append((float(z), math.log(e / z), t / z))
        if len(rows) < 4:
            raise ArithmeticError("the level-set radius was not found")
        z, logs, levels = np.array(rows).T
        self._ends = z[0], z[-1]
        self._log, self._level = PchipInterpolator(z, logs), PchipInterpolator(z, levels)
        self.shift = 0.0
        """By how much z had to be moved, relative, at the last node."""

    def at(self, z: float) -> tuple[float, float]:
        inside = min(max(z, self._ends[0]), self._ends[1])
        return max(float(self._level(inside)) * z, 0.0), math.exp(float(self._log(inside))) * z


def _proved(shells: ShellSet, guess: _Guess, target: float) -> Triple | None:
    """(p, t, e) with R(1 - p) ≥ e proved and p a little above the target; None where that is not reached."""
    goal = -float(ndtri(target))
    z = goal * (1 + guess.shift - _SAFE)
    found: Triple | None = None
    for _ in range(_TRIES):
        level, distance = guess.at(z)
        try:
            p = _float_below(shells.dual(Witness(arb(level), arb(distance))))
        except ArithmeticError:
            return found
        if not 0.0 < p < 0.5:
            return found
        reached = -float(ndtri(p))
        if p >= target and (found is None or distance > found[2]):
            found = p, level, distance
        if p >= target and goal - reached <= _CLOSE * goal:
            break
        z += (goal - reached) - _SAFE * goal
        guess.shift = z / goal - 1 + _SAFE
    return found


def _float_below(value: arb) -> float:
    """A double not above a ball."""
    low = value.lower()
    p = float(low)
    return p if bool(arb(p) <= low) else math.nextafter(p, -math.inf)


def shell_file(
    spec: Spec,
    derivation: Derivation,
    density: RadialDensity,
    dim: int,
    parameters: Mapping[str, float],
    *,
    spacing: float = SPACING,
) -> tuple[str, str, ShellTable]:
    """(file name, text, what is in it) of the table of an exact radius; ArithmeticError where none is proved."""
    evaluation = derivation.evaluation
    if not isinstance(evaluation, LevelSet):
        raise TypeError("internal check failed: only a level-set radius has such a table")
    table = shell_table(density, evaluation.kind, dim, spacing=spacing)
    file, text = density_table(
        spec, derivation.adversary, dim, parameters, table.fitted, table.witnesses,
        method=derivation.label, kind=NODES, assurance=ASSURANCE,
    )  # fmt: skip
    return file, text, table
