"""Runs as files for other programs: result files of tabs, one table of all as CSV or Parquet.

Radii and lower bounds are never rounded up: as text they have 18 digits, rounded down, and are read back as the very same
double; Parquet holds the doubles themselves.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.atomic import write_atomically
from runtime.noise import adversary_name
from runtime.report.rounding import exact_below
from runtime.report.run import NORM_NAMES, from_result
from runtime.report.tsv import tsv_text
from runtime.results import RunResult
from runtime.store import load_runs

FORMATS: tuple[str, ...] = ("tsv", "csv", "parquet")
_RADII = {adversary: f"radius_{norm}" for adversary, norm in NORM_NAMES.items()}
_EXACT = ("p_lower", *_RADII.values())
COLUMNS: tuple[str, ...] = (
    *("run", "noise", "family", "sigma", "idx", "label", "predict", "correct", "p_lower", "p_upper"),
    *_RADII.values(),
    *("n", "failed", "counts", "time"),
)
"""Columns of the CSV and Parquet tables; a radius is empty for a norm that the noise has no radius against."""


def _selected(runs: Sequence[RunResult], run: str | None, path: Path) -> list[RunResult]:
    known = ", ".join(result.name for result in runs)
    chosen = [result for result in runs if run in (None, result.name)]
    if not chosen:
        raise ValueError(f"{path} has no run {run!r}; its runs: {known}")
    if not any(result.inputs for result in chosen):
        raise ValueError(f"{path}: no input is finished yet; resume the run, then export")
    return chosen


def rows_of(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """One record an input of each run, by the names in COLUMNS; counts as a JSON text, radii as floats or None."""
    return [
        {
            "run": run.name,
            "noise": run.group,
            "family": run.family,
            "sigma": run.sigma,
            "idx": result.index,
            "label": result.label,
            "predict": result.prediction,
            "correct": int(result.correct),
            "p_lower": result.p_lower,
            "p_upper": result.p_upper,
            **{column: result.radii.get(adversary) for adversary, column in _RADII.items()},
            "n": result.n,
            "failed": result.failed,
            "counts": json.dumps(result.counts),
            "time": result.seconds,
        }
        for run in runs
        for result in run.inputs
    ]


def _tsv(runs: Sequence[RunResult], adversary: str | float | None, path: Path) -> bytes:
    records = [record for run in runs for record in from_result(run, str(path))]
    if adversary is not None:
        name = adversary_name(adversary)
        records = [record for record in records if record.adversary == name]
    if len(records) != 1:
        known = ", ".join(f"--run {record.name} --adversary {record.adversary}" for record in records)
        raise ValueError(
            f"a TSV file holds one run against one norm; choose it: {known or 'no run has that norm'}"
        )
    return tsv_text(records[0]).encode()


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        exact = {key: exact_below(row[key]) for key in _EXACT if row[key] is not None}
        writer.writerow({**row, **exact})
    return buffer.getvalue().encode()


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError(
            "Parquet files need pyarrow; install it: pip install 'smoothing-radii[parquet]', or export as csv"
        ) from None
    whole = ("idx", "label", "predict", "correct", "n", "failed")
    texts = ("run", "noise", "family", "counts")
    kinds = {**dict.fromkeys(whole, pyarrow.int64()), **dict.fromkeys(texts, pyarrow.string())}
    schema = pyarrow.schema([(column, kinds.get(column, pyarrow.float64())) for column in COLUMNS])
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), stream)
    return stream.getvalue()


def export(
    folder: Path, out: Path, kind: str, run: str | None = None, adversary: str | float | None = None
) -> int:
    """Writes the finished inputs of a run folder to one file, whole or not at all.

    Args:
        folder: run folder.
        out: file to write; it must not exist.
        kind: "tsv" (columns idx label predict radius correct time, one run against one norm), "csv" or "parquet".
        run: name of the run; None for all, or for the only one.
        adversary: norm of a TSV file; None where the run has one only.

    Returns:
        Number of rows.

    Raises:
        ValueError: no finished input, no such run, a choice that is missing, an existing file, pyarrow missing.
        OSError: the file cannot be written.
    """
    if kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {kind!r}")
    if out.exists():
        raise ValueError(f"{out} exists already; choose another file with --out")
    chosen = _selected(load_runs(folder), run, folder)
    rows = rows_of(chosen)
    if kind == "tsv":
        content = _tsv(chosen, adversary, folder)
        count = content.count(b"\n") - 1
    else:
        if adversary is not None:
            raise ValueError(
                f"--adversary chooses the norm of a TSV file; {kind} holds the radii of all norms"
            )
        content, count = (_csv(rows) if kind == "csv" else _parquet(rows)), len(rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content)
    return count
