"""The table "certified accuracy at radius 0.5, 1, …", noises side by side, as data, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.numerals import shortest
from runtime.report.envelope import Envelope, default_radii, envelopes
from runtime.report.rounding import share_below
from runtime.report.run import NORM_NAMES, CertifiedRun
from runtime.report.testset import DELTA, check_delta, envelope_shares
from runtime.results import ADVERSARIES


@dataclass(frozen=True)
class Cell:
    """Certified accuracy of one noise at one radius: the best over its runs, and the σ of that run.

    Attributes:
        accuracy: three decimals, rounded down.
        sigma: σ of the best run as text, "" where it is unknown or nothing is certified.
        leading: whether no noise of the row has more.
        inputs, population: its lower bounds at confidence 1 - delta (`runtime.report.testset`), three decimals,
            rounded down; "" where α is not known.
    """

    accuracy: str
    sigma: str
    leading: bool
    inputs: str
    population: str


@dataclass(frozen=True)
class Table:
    """One norm's table.

    Attributes:
        adversary: the norm, "1", "2" or "inf"; `norm` its name.
        envelopes: the columns, one a noise.
        radii: of the rows, in input units.
        rows: radius as text, and one cell a noise.
        delta: failure probability of the lower bounds.
    """

    adversary: str
    envelopes: tuple[Envelope, ...]
    radii: tuple[float, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    delta: float

    @property
    def norm(self) -> str:
        """Name of the norm: "l1", "l2" or "linf"."""
        return NORM_NAMES[self.adversary]

    @property
    def bounded(self) -> bool:
        """Whether any cell has lower bounds."""
        return any(cell.inputs for _, cells in self.rows for cell in cells)


def _cells(columns: Sequence[Envelope], radius: float, delta: float) -> tuple[Cell, ...]:
    best = [envelope.best(radius) for envelope in columns]
    bounds = [envelope_shares(envelope, radius, delta) for envelope in columns]
    top = max(share for share, _ in best)
    return tuple(
        Cell(
            accuracy=share_below(share),
            sigma=shortest(run.sigma) if share > 0 and run.sigma is not None else "",
            leading=share > 0 and share == top,
            inputs="" if shares.inputs is None else share_below(shares.inputs),
            population="" if shares.population is None else share_below(shares.population),
        )
        for (share, run), shares in zip(best, bounds, strict=True)
    )


def tables(
    runs: Sequence[CertifiedRun], radii: Sequence[float] | None, delta: float = DELTA
) -> tuple[Table, ...]:
    """One table for each norm that any run is certified against.

    Args:
        runs: runs of any noises and norms.
        radii: radii of the rows in input units; None takes round ones that suit each norm.
        delta: failure probability of the lower bounds, in (0, 1).
    """
    check_delta(delta)
    made = []
    for adversary in ADVERSARIES:
        if columns := envelopes(runs, adversary):
            chosen = tuple(default_radii(runs, adversary) if radii is None else radii)
            rows = tuple((shortest(radius), _cells(columns, radius, delta)) for radius in chosen)
            made.append(Table(adversary, columns, chosen, rows, delta))
    return tuple(made)


def csv_text(made: Sequence[Table]) -> str:
    """All tables as one CSV: norm, radius, then for each noise accuracy, best σ, and the two lower bounds.

    Empty where a noise is not certified against the norm, where nothing is certified, or α is not known.
    """
    noises = list(dict.fromkeys(envelope.noise for table in made for envelope in table.envelopes))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = ("", " sigma", " inputs at least", " population at least")
    writer.writerow(["norm", "radius", *(noise + column for noise in noises for column in columns)])
    for table in made:
        names = [envelope.noise for envelope in table.envelopes]
        for radius, cells in table.rows:
            by_noise = dict(zip(names, cells, strict=True))
            values: list[str] = [table.norm, radius]
            for noise in noises:
                cell = by_noise.get(noise)
                values += [cell.accuracy, cell.sigma, cell.inputs, cell.population] if cell else [""] * 4
            writer.writerow(values)
    return buffer.getvalue()
