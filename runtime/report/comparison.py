"""Runs held against result files: the same radii, the difference in points of certified accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from runtime.numerals import shortest
from runtime.report.envelope import Envelope
from runtime.report.rounding import points_below, share_below
from runtime.report.tables import Table


@dataclass(frozen=True)
class Comparison:
    """All runs of a norm against one noise of result files.

    Attributes:
        norm: name of the norm.
        reference: name of the noise in the result files; `noises` those of the runs.
        rows: radius, accuracy of the reference, and the difference of each noise to it in points, rounded down.
        same_inputs: for each noise whether its runs and the reference cover the same inputs with the same labels.
    """

    norm: str
    reference: str
    noises: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    same_inputs: tuple[bool, ...]


def comparisons(table: Table) -> tuple[Comparison, ...]:
    """One comparison for each noise of `table` that comes from result files, where others come from runs."""
    references = [envelope for envelope in table.envelopes if all(run.log for run in envelope.runs)]
    own = [envelope for envelope in table.envelopes if not any(run.log for run in envelope.runs)]
    if not own:
        return ()
    return tuple(
        Comparison(
            norm=table.norm,
            reference=reference.noise,
            noises=tuple(envelope.noise for envelope in own),
            rows=tuple(_row(reference, own, radius) for radius in table.radii),
            same_inputs=tuple(_inputs(envelope) == _inputs(reference) for envelope in own),
        )
        for reference in references
    )


def _row(reference: Envelope, own: list[Envelope], radius: float) -> tuple[str, str, tuple[str, ...]]:
    base: Fraction = reference.best(radius)[0]
    differences = tuple(points_below(envelope.best(radius)[0] - base) for envelope in own)
    return shortest(radius), share_below(base), differences


def _inputs(envelope: Envelope) -> set[tuple[int, int]]:
    return {(row.index, row.label) for run in envelope.runs for row in run.rows}
