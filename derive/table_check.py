"""Checks a table file again from its witnesses: reads the text, evaluates the table by its own few lines, and asks cell_check or witness_check.

Nothing of the engine is used: docs/tables.md describes the format. Tables of l2-radial noise whose polynomials meet are proved whole. Of others
a claim R(1 - p) ≥ e is checked at the file's witnesses, where the table must not exceed e, and at a point of each of its cells, with e the
table's own value and a level between those of the witnesses, or in a table of steps that of the witness before.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flint import arb

from derive.cell_check import Piece, Triple, check_pieces, slope_fault
from derive.strip_check import Strip, Undecided
from derive.witness_check import BITS, Density, Law, Unreadable

SAMPLE = 24
"""Claims for each table that is not proved as a whole."""


@dataclass(frozen=True)
class Verdict:
    """What one table file is worth: claims checked of how many, the least (h - p)/min(p, 1/2 - p), and every false claim."""

    file: str
    checked: int
    total: int
    margin: float
    faults: tuple[str, ...]
    seconds: float


def check_table(path: Path, most: int | None = None, otherwise: int = 0) -> Verdict:
    """Checks a file. All of a table of l2-radial noise is proved again, every polynomial at every double; of others, or where `most` is given,
    claims at points: at the witnesses, that the table is not above them, and at one point of each cell, spread evenly.

    Args:
        most: how many points, 0 for all; None for `otherwise`, and only where the table is not proved whole.

    Unreadable for a file that is not such a table.
    """
    start = time.process_time()
    table, law = _load(path)
    if most is None and table.whole:
        try:
            return _whole(path.name, table, law, start)
        except Undecided:
            pass  # not smooth enough: points it is
    points = [(p, t, e) for p, t, e in table.witnesses] + [(p, *table.near(p)) for p in table.middles()]
    most = otherwise if most is None else most
    chosen = list(range(len(points)))
    if 0 < most < len(points):
        chosen = [(2 * n + 1) * len(points) // (2 * most) for n in range(most)]
    claims, faults, margin = _Claims(law), [], math.inf
    for n in chosen:
        faults += _above(table, points[n]) if n < len(table.witnesses) else []
        more, fault = claims.margin(points[n])
        margin, faults = min(margin, more), faults + fault
    return Verdict(path.name, len(chosen), len(points), margin, tuple(faults), time.process_time() - start)


def _whole(name: str, table: _Table, law: tuple[Density, str, int, float], start: float) -> Verdict:
    """Every polynomial, the slope at rho = 1/2 and every witness."""
    density, _, dim, smallest = law
    strip, pieces = Strip(density, dim, smallest), table.pieces()
    witnesses = [w for w in table.witnesses if w[2] > 0 or w[0] > 0.5]
    found = check_pieces(strip, pieces, witnesses, table.level)
    slope, claims = slope_fault(strip, table.slope), _Claims(law)
    faults, margin = found.faults + ([slope] if slope else []), found.margin
    for witness in witnesses:
        faults += _above(table, witness)
    for witness in found.open:
        more, fault = claims.margin(witness)
        margin, faults = min(margin, more), faults + fault
    count = len(pieces) + 1 + len(table.witnesses)
    return Verdict(name, count, count, margin, tuple(faults), time.process_time() - start)


def _above(table: _Table, witness: Triple) -> list[str]:
    p, _, e = witness
    value = table.value(p)
    return [f"the table says R(1 - {p!r}) = {value!r}, its witness {e!r}"] if value > e else []


class _Claims:
    """Claims at single points, with as many bits as each needs."""

    def __init__(self, law: tuple[Density, str, int, float]) -> None:
        self.law = law
        self.laws: dict[int, Law] = {}

    def margin(self, claim: Triple) -> tuple[float, list[str]]:
        """(h - p)/min(p, 1/2 - p), at least, and what is false."""
        p, t, e = claim
        for bits in BITS:
            if bits not in self.laws:
                self.laws[bits] = Law(*self.law, bits)
            h = self.laws[bits].h(p, arb(t), arb(e))
            if not bool((h - p).contains(0)) or h - p == 0:
                break
        margin = float(((h - p) / min(p, 0.5 - p)).lower()) if h.is_finite() else -math.inf
        return margin, [] if bool(h >= p) else [
            f"R(1 - {p!r}) ≥ {e!r} is not proved at the level {t!r}: h = {h.str(20)}"
        ]


def has_witnesses(path: Path) -> bool:
    """False only for a readable table without witnesses, as those of composition are."""
    try:
        return json.loads(path.read_bytes())["witnesses"] != []
    except (OSError, ValueError, KeyError, TypeError):
        return True


def readable(path: Path) -> None:
    """Unreadable unless the file is a table with witnesses."""
    _load(path)


@dataclass(frozen=True)
class _Table:
    """The polynomials of a file, as docs/tables.md has them: R below gap < 2**first, gap·P(u) up to 1/4, then P(u) in 1 - rho."""

    slope: float
    first: int
    parts: int
    gap: Sequence[Sequence[float]]
    fail: Sequence[Sequence[float]]
    witnesses: Sequence[tuple[float, float, float]]
    power: int
    """Levels at small distances go as this power of them: 2 for l2-radial noise, else 1."""
    steps: bool
    """Whether the level stays that of the witness before."""

    def value(self, p: float) -> float:
        """The float at 1 - rho = p."""
        gap = 0.5 - p
        x, rows, first = (gap, self.gap, self.first) if gap <= 0.25 else (max(p, 2.0**-53), self.fail, -53)
        if x < 2.0**self.first and rows is self.gap:
            return gap * self.slope
        cell = min(int((math.frexp(x)[1] - 1 - first + 2 * math.frexp(x)[0] - 1) * self.parts), len(rows) - 1)
        exponent, place = divmod(cell, self.parts)
        half = math.ldexp(0.5 / self.parts, first + exponent)
        u = (x - math.ldexp(1.0, first + exponent) - (2 * place + 1) * half) / half
        total = 0.0
        for c in reversed(rows[cell]):
            total = total * u + c
        return total if rows is self.fail else gap * total

    @property
    def whole(self) -> bool:
        """Whether all of it can be proved at once."""
        return self.power == 2 and not self.steps

    def pieces(self) -> list[Piece]:
        """Every polynomial with its cell."""
        found = []
        for near, first, rows in ((True, self.first, self.gap), (False, -53, self.fail)):
            for n, row in enumerate(rows):
                exponent, place = divmod(n, self.parts)
                half = math.ldexp(0.5 / self.parts, first + exponent)
                found.append(
                    Piece(near, tuple(row), math.ldexp(1.0, first + exponent) + (2 * place + 1) * half, half)
                )
        return found

    def middles(self) -> list[float]:
        """A point p of each cell."""
        places = [
            math.ldexp(1 + (n + 0.5) / self.parts, k) for k in range(-53, -2) for n in range(self.parts)
        ]
        return [x for x in places if x <= 0.25] + [0.5 - x for x in places if x >= 2.0**self.first]

    def near(self, p: float) -> tuple[float, float]:
        """A level for the table's own radius at p, from the witnesses on either side, and that radius."""
        e = self.value(p)
        if self.steps:
            return min(((q, t) for q, t, _ in self.witnesses if q >= p), default=(p, 0.0))[1], e
        return self.level(e) * e**self.power, e

    def level(self, e: float) -> float:
        """About the best level at a distance, over e² or e."""
        known = [w for w in self.witnesses if w[2] > 0]
        order = sorted(known, key=lambda w: abs(math.log(w[2] / e)))[: 8 if self.power == 2 else 6]
        place: Callable[[float], float] = float if self.power == 2 else math.log
        at = min(max(e, min(w[2] for w in known)), max(w[2] for w in known)) if self.power == 1 else e
        level = 0.0
        for _, t, here in order:  # t/e² is smooth in e, or t/e in log e: Lagrange's formula
            weight = t / here**self.power
            for _, _, other in order:
                weight *= (place(at) - place(other)) / (place(here) - place(other)) if other != here else 1.0
            level += weight
        return level


def _load(path: Path) -> tuple[_Table, tuple[Density, str, int, float]]:
    """The table and the arguments of its law."""
    try:
        text = path.read_text(encoding="ascii")
        data = json.loads(text)
        covered = text[: text.rindex('"hash"')].encode("ascii")
        if hashlib.sha256(covered).hexdigest() != data["hash"]:
            raise Unreadable(f"{path}: its hash does not match; the file was changed or cut short")
        if not data["witnesses"]:
            raise Unreadable(
                f"{path}: no witnesses in it; check it by compiling it again (method: {data['method']})"
            )
        if data["format"] != 1 or data["support"]:
            raise Unreadable(
                f"{path}: the checker reads format 1 without a support, not {data['format']!r}, {data['support']!r}"
            )
        cells, dim = data["cells"], int(data["dim"])
        rows = (
            [[float.fromhex(c) for c in row] for row in part]
            for part in (cells["gap"], cells["fail"], data["witnesses"])
        )
        gap, fail, witnesses = rows
        table = _Table(
            float.fromhex(cells["slope"]),
            int(cells["first"]),
            int(cells["parts"]),
            gap,
            fail,
            [(p, t, e) for p, t, e in witnesses],
            2 if data["geometry"] == "l2" else 1,
            data.get("kind") == "nodes",
        )
        density = Density(data["density"], data["parameters"] | {"d": str(dim)})
    except (OSError, KeyError, TypeError, ValueError, SyntaxError) as error:
        raise (
            error if isinstance(error, Unreadable) else Unreadable(f"{path}: not a table file: {error}")
        ) from None
    smallest = min(min(p, 0.5 - p) for p, _, e in table.witnesses if e > 0)
    return table, (density, f"{data['geometry']}/{data['adversary']}", dim, min(smallest, 2.0**-55))
