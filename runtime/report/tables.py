"""The table "certified accuracy at radius 0.5, 1, …", noises side by side, as data, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.numerals import shortest
from runtime.report.envelope import Envelope, default_radii, envelopes
from runtime.report.rounding import radius_below, share_below
from runtime.report.run import NORM_NAMES, CertifiedRun
from runtime.results import ADVERSARIES


@dataclass(frozen=True)
class Cell:
    """Certified accuracy of one noise at one radius: the best over its runs, and the σ of that run.

    Attributes:
        accuracy: three decimals, rounded down.
        sigma: σ of the best run as text, "" where it is unknown or nothing is certified.
        leading: whether no noise of the row has more.
    """

    accuracy: str
    sigma: str
    leading: bool


@dataclass(frozen=True)
class Table:
    """One norm's table.

    Attributes:
        adversary: the norm, "1", "2" or "inf"; `norm` its name.
        envelopes: the columns, one a noise.
        rows: radius as text, and one cell a noise.
    """

    adversary: str
    envelopes: tuple[Envelope, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]

    @property
    def norm(self) -> str:
        """Name of the norm: "l1", "l2" or "linf"."""
        return NORM_NAMES[self.adversary]


def _cells(columns: Sequence[Envelope], radius: float) -> tuple[Cell, ...]:
    best = [envelope.best(radius) for envelope in columns]
    top = max(share for share, _ in best)
    return tuple(
        Cell(
            accuracy=share_below(share),
            sigma=shortest(run.sigma) if share > 0 and run.sigma is not None else "",
            leading=share > 0 and share == top,
        )
        for share, run in best
    )


def tables(runs: Sequence[CertifiedRun], radii: Sequence[float] | None) -> tuple[Table, ...]:
    """One table for each norm that any run is certified against.

    Args:
        runs: runs of any noises and norms.
        radii: radii of the rows in input units; None takes round ones that suit each norm.
    """
    made = []
    for adversary in ADVERSARIES:
        if columns := envelopes(runs, adversary):
            chosen = default_radii(runs, adversary) if radii is None else radii
            rows = tuple((shortest(radius), _cells(columns, radius)) for radius in chosen)
            made.append(Table(adversary, columns, rows))
    return tuple(made)


def csv_text(made: Sequence[Table]) -> str:
    """All tables as one CSV: norm, radius, then accuracy and best σ a noise (empty where not certified)."""
    noises = list(dict.fromkeys(envelope.noise for table in made for envelope in table.envelopes))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["norm", "radius", *(name for noise in noises for name in (noise, f"{noise} sigma"))])
    for table in made:
        names = [envelope.noise for envelope in table.envelopes]
        for radius, cells in table.rows:
            by_noise = dict(zip(names, cells, strict=True))
            values: list[str] = [table.norm, radius]
            for noise in noises:
                cell = by_noise.get(noise)
                values += [cell.accuracy, cell.sigma] if cell else ["", ""]
            writer.writerow(values)
    return buffer.getvalue()


def markdown_text(made: Sequence[Table], remarks: Sequence[str]) -> str:
    """All tables as one Markdown page; the best noise of a row is set in bold."""
    lines = ["# Certified accuracy", ""]
    lines += [
        "Share of inputs classified correctly with a certified radius of at least r; upper envelope over σ."
    ]
    lines += ["In brackets the σ that attains it. All numbers are rounded down.", ""]
    for table in made:
        head = [f"{table.norm} radius", *(envelope.noise for envelope in table.envelopes)]
        lines += [f"## Against {table.norm}", "", _line(head), _line(["---:"] * len(head))]
        lines += [_line([radius, *map(_markdown_cell, cells)]) for radius, cells in table.rows]
        lines += [
            "",
            _line(["run", "inputs", "abstained", "average certified radius"]),
            "|---|---:|---:|---:|",
        ]
        for envelope in table.envelopes:
            for run in envelope.runs:
                average = radius_below(run.average_certified_radius)
                lines.append(_line([run.name, str(run.total), str(run.abstained), average]))
        lines.append("")
    if remarks:
        lines += ["## Remarks", "", *(f"* {remark}" for remark in remarks), ""]
    return "\n".join(lines)


def _markdown_cell(cell: Cell) -> str:
    accuracy = f"**{cell.accuracy}**" if cell.leading else cell.accuracy
    return f"{accuracy} ({cell.sigma})" if cell.sigma else accuracy


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
