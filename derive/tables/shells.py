"""A table of an exact radius by steps: polynomials proved below a chain of proved radii, for noise in the l1, l2 or linf norm.

A level t and a distance e are found in floats, and h(t, e) is enclosed once: R(1 - p) ≥ e for all p ≤ h(t, e), whatever t is. From there to the
next node the level stays as it is, and h falls no faster than its rate, which is bounded from above (`derive/enclosure/flux.py`).
Where a node is not found the radius grows by ∫ dq/Phi at least, Phi the growth of the same noise for small shifts.
"""

from __future__ import annotations

import itertools
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
from derive.enclosure.balls import BallSet
from derive.enclosure.flux import CAP, Flux, cone_weight
from derive.enclosure.radial import RadialDensity
from derive.enclosure.score_tail import ScoreTail
from derive.enclosure.shell_witness import shell_set
from derive.enclosure.witness import Witness
from derive.spec import Spec
from derive.tables.file import Triple, density_table
from derive.tables.fit import Fitted
from derive.tables.stepped import fit_below, node_fails, table_cells
from generated.special.lookup import NODES

ASSURANCE = "every node and every polynomial proved in ball arithmetic: the float value, its rounding included, is at most the radius for every double rho"

BITS = 16
"""Integrals are enclosed to about 2**-(62 + BITS), which is enough at every p: J - 1/2 is never small beside 1."""
CAP_PRECISION = 128
FIRST = -7
"""Below this exponent of rho - 1/2 one slope serves: there the differential radius is as good."""
SPACING = 0.025
"""Nodes are about that far apart in the normal quantile."""
EARLY = 1 / 10
"""And no further than this share of the quantile itself."""
DEEP, DEEP_SPACING = 6.0, 2.0
"""Below 1 - rho = 1e-9 nodes are further apart by this factor."""
AHEAD = 0.4
"""A node's level is the best one at this share of its step,"""
STAGGER = 0.8
"""and no further than this share of what the last step went past its own: else the new one would begin below the old one's end."""
PARTS = 12
"""Of a step, in the distance: the rate is bounded on each."""
SHARES = (1.0, 0.25, 0.06)
"""Of the spacing, tried in this order."""
MARGINS = (0.05, 0.25, 1.0)
_AIM, _CLOSE = 2.0**-11, 2.0**-10
"""Nodes aim at a p more than the cell's start by the first, and are taken when they miss by no more than the second, relative."""
_TRIES = 6
_DAMPING = 0.7


@dataclass(frozen=True)
class NodeTable:
    """The table's numbers, its witnesses (p, t, e), and the largest gain over the bound of Phi alone, relative."""

    fitted: Fitted
    witnesses: tuple[Triple, ...]
    gain: float


def node_table(density: RadialDensity, kind: str, dim: int, *, spacing: float = SPACING) -> NodeTable:
    """Every polynomial proved, with its rounding, to lie below R at every double; ArithmeticError where one is not.

    density: of the radius; psi must not decrease (the caller has proved it).
    kind: CAP for l2-radial noise against l2, else as for `shell_ball`.
    spacing: about the distance of nodes, in the normal quantile of rho.
    """
    before, ctx.prec = ctx.prec, CAP_PRECISION if kind == CAP else 150 + BITS
    try:
        near, far = table_cells(FIRST)
        nodes, witnesses = _Chain(density, kind, dim, spacing).follow(node_fails([*near, *far]))
        fitted = fit_below(nodes, near, far, FIRST)
        gain = max(float(a / b) for a, b in zip(nodes.radii[1:], nodes.differential[1:], strict=True)) - 1
        return NodeTable(fitted, witnesses, gain)
    finally:
        ctx.prec = before


@dataclass(frozen=True)
class _Step:
    """From a node (p, t, e) on R follows the line, down to the probability `end`."""

    node: Triple
    line: Line
    end: arb


class _Chain:
    """Nodes from rho = 1/2 on, each at the level that is best a little further on, and what can be said up to the next one."""

    def __init__(self, density: RadialDensity, kind: str, dim: int, spacing: float) -> None:
        if dim < 2 and kind != CAP:
            raise ArithmeticError("tables by nodes against l1 and linf are made from dimension 2 on")
        self.sets = BallSet(density, dim) if kind == CAP else shell_set(density, kind, dim, BITS)
        self.tail = ScoreTail(self.sets.base, cone_weight(kind, dim))
        self.flux = Flux(self.tail, kind, dim)
        self.spacing = spacing
        self.guess = _Guess(self.sets.trace())
        self.behind = 0.5 * _depth(0.5 - 2.0**FIRST)
        """How far past its level's best place the last step went, in the normal quantile: the next one may not start further before its own."""

    def follow(self, fails: Sequence[arb]) -> tuple[Nodes, tuple[Triple, ...]]:
        """Radii at these probabilities, 1/2 first."""
        radii, differential, lines, witnesses = [arb(0)], [arb(0)], [], []
        step: _Step | None = None
        for j, (start, end) in enumerate(itertools.pairwise(fails)):
            if j and (step is None or bool(end < step.end)):
                step = self._step(fails, j, radii[j])
                if step is not None:
                    witnesses.append(step.node)
                    p, _, distance = step.node
                    radii[j] = (arb(distance) + step.line.gained(start, arb(p)).lower().max(arb(0))).lower()
            growth = self._growth(float(start), float(end))
            lines.append(growth if step is None else step.line)
            radii.append((radii[j] + lines[j].gained(end, start).lower().max(arb(0))).lower())
            differential.append((differential[j] + growth.gained(end, start).lower().max(arb(0))).lower())
        nodes = Nodes(
            tuple(fails), tuple(radii), (*lines, lines[-1]), tuple(differential), tuple((p, e) for p, _, e in witnesses)
        )  # fmt: skip
        return nodes, tuple(witnesses)

    def _growth(self, start: float, end: float) -> Line:
        """A line above the growth of the differential method, which holds from any radius on."""
        slope = self.tail.threshold(0.5 * (start + end))
        return Line(arb(slope), arb(self.tail.offset(slope)))

    def _step(self, fails: Sequence[arb], j: int, radius: arb) -> _Step | None:
        """A node just before fails[j] and how far it leads, less far where that fails; None where it proves no more than the radius known there."""
        depth = _depth(float(fails[j]))
        spacing = min(self.spacing * (DEEP_SPACING if depth > DEEP else 1.0), depth * EARLY)
        tried = 0
        for share in SHARES:
            last = j + 1
            while last + 1 < len(fails) and _depth(float(fails[last + 1])) - depth <= spacing * share:
                last += 1
            kept = self.guess.shift, self.guess.drift
            step = self._led(fails[j], fails[last]) if last != tried else None
            if step is not None:
                p, _, distance = step.node
                reached = arb(distance) + step.line.gained(fails[j], arb(p)).lower().max(arb(0))
                if bool(reached > radius):
                    self.behind = (
                        _depth(float(fails[last])) - depth - self._ahead(depth, _depth(float(fails[last])))
                    )
                    return step
            self.guess.shift, self.guess.drift = kept
            tried = last
        return None

    def _ahead(self, start: float, end: float) -> float:
        return min(AHEAD * (end - start), STAGGER * self.behind)

    def _led(self, start: arb, end: arb) -> _Step | None:
        """A node just before `start` whose line leads to `end`."""
        node = self._node(float(start), float(end))
        if node is None:
            return None
        p, level, distance = node
        near, far = _depth(float(start)), _depth(float(end))
        for margin in MARGINS:
            reach = self.guess.distance(far + margin * (far - near))
            if reach > distance:
                line, least = self._line(arb(p), level, distance, reach)
                if bool(least <= end):
                    return _Step(node, line, end)
        return None

    def _node(self, start: float, end: float) -> Triple | None:
        """(p, t, e) with R(1 - p) ≥ e proved and p a little above the start; None where that is not reached."""
        small = min(start, 0.5 - start)
        goal, far = _depth(start + _AIM * small), _depth(end)
        guess = self.guess
        level = guess.level(goal + self._ahead(goal, far))
        found: Triple | None = None
        response, before = goal, (math.nan, math.nan)
        for _ in range(_TRIES):
            distance = guess.distance(goal)
            try:
                h, moved = self.sets.proof(Witness(arb(level), arb(distance)), start)
            except ArithmeticError:
                return None
            p = _float_below(h)
            if not 0.0 < p < 0.5:
                return None
            if start <= p <= start + _CLOSE * small:
                found = p, level, distance
                break
            here = guess.shift, _depth(p)
            if here[0] != before[0] and not math.isnan(
                before[0]
            ):  # at a level that is far off, depth follows distance less
                response = min(max((here[1] - before[1]) / (here[0] - before[0]), goal / 4), 2 * goal)
            guess.shift, before = here[0] + (goal - here[1]) / response, here
        # at the best level for this distance M is 1/2
        best = level + (float(moved.mid()) - 0.5) / guess.density(goal)
        guess.drift += _DAMPING * (best - guess.level(goal))
        return found

    def _line(self, p: arb, level: float, distance: float, reach: float) -> tuple[Line, arb]:
        """(line, end): R(1 - q) ≥ distance + ∫ dq'/line from q to p, for q ≥ end, where the distance `reach` is come to.

        At the fixed level h falls at the rate kappa·(-dJ/de), at most `rates[i]` between grid[i] and grid[i + 1]. The path with P' = -(c·P + b) from
        P = p on stays below h if the rate is at most c·P + b all along it; c ≥ 0, and P falls, so the end of each part is enough.
        """
        rise = self.flux.rise(level)
        kappa = float(np.nextafter(float((-arb(level)).exp().upper()), np.inf))
        grid = np.linspace(distance, reach, PARTS + 1)
        rates = np.array([self.flux.rate(rise, a, b) for a, b in itertools.pairwise(grid.tolist())])
        rates = np.nextafter(rates * kappa, np.inf)
        falls = float(p) - np.cumsum(rates * np.diff(grid))
        slope = max(float((rates[0] - rates[-1]) / (falls[0] - falls[-1])), 0.0)
        c, b = arb(slope), arb(float(np.max(rates - slope * falls)))
        for _ in range(_TRIES if slope > 0 else 0):
            ratio = b / c
            ends = [(p + ratio) * (-c * (arb(e) - arb(distance))).exp() - ratio for e in grid[1:].tolist()]
            lack = max(
                (arb(r) - (c * q + b) for r, q in zip(rates.tolist(), ends, strict=True)),
                key=lambda x: float(x.upper()),
            )
            if bool(lack <= 0):
                return Line(c, b), ends[-1].upper()
            b = (b + lack.upper() * (1 + 2.0**-20) + abs(b) * 2.0**-60).upper()
        most = arb(float(rates.max()))
        return Line(arb(0), most), (p - most * (arb(reach) - arb(distance))).upper()


class _Guess:
    """Levels and distances near the best, by the normal quantile of rho; nothing proved."""

    def __init__(self, rows: Sequence[tuple[float, float, float, float]]) -> None:
        if len(rows) < 4:
            raise ArithmeticError("the level-set radius was not found")
        table = np.array(sorted(rows))
        z, distances, levels, densities = table[np.append(True, np.diff(table[:, 0]) > 0)].T
        self._ends = z[0], z[-1]
        self._log, self._level = PchipInterpolator(z, np.log(distances / z)), PchipInterpolator(z, levels / z)
        self._density = PchipInterpolator(z, densities * z)
        self.shift = 0.0
        """By how much z had to be moved, relative, at the last node."""
        self.drift = 0.0
        """By how much levels had to be moved."""

    def distance(self, z: float) -> float:
        z = z * (1 + self.shift)
        return math.exp(float(self._log(self._inside(z)))) * z

    def level(self, z: float) -> float:
        return max(float(self._level(self._inside(z))) * z + self.drift, 0.0)

    def density(self, z: float) -> float:
        """Of the privacy loss of the shifted law at the level: how fast M falls there."""
        return max(float(self._density(self._inside(z))), 1e-3) / z

    def _inside(self, z: float) -> float:
        return min(max(z, self._ends[0]), self._ends[1])


def _depth(p: float) -> float:
    """The normal quantile of rho."""
    return -float(ndtri(p))


def _float_below(value: arb) -> float:
    """A double not above a ball."""
    low = value.lower()
    p = float(low)
    return p if bool(arb(p) <= low) else math.nextafter(p, -math.inf)


def node_file(
    spec: Spec,
    derivation: Derivation,
    density: RadialDensity,
    dim: int,
    parameters: Mapping[str, float],
    *,
    spacing: float = SPACING,
) -> tuple[str, str, NodeTable]:
    """(file name, text, what is in it) of the table of an exact radius; ArithmeticError where none is proved."""
    evaluation = derivation.evaluation
    if not isinstance(evaluation, LevelSet):
        raise TypeError("internal check failed: only a level-set radius has a table by nodes")
    table = node_table(density, evaluation.kind, dim, spacing=spacing)
    file, text = density_table(
        spec, derivation.adversary, dim, parameters, table.fitted, table.witnesses,
        method=derivation.label, kind=NODES, assurance=ASSURANCE,
    )  # fmt: skip
    return file, text, table
