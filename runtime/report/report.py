"""The report of runs, finished or not: a summary as data, or a folder with page, pictures and tables."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.atomic import write_atomically
from runtime.report.envelope import default_radii
from runtime.report.figure import curve_png
from runtime.report.page import html_text
from runtime.report.run import CertifiedRun
from runtime.report.sources import read_sources
from runtime.report.tables import csv_text, markdown_text, tables
from runtime.report.tsv import tsv_text

_USUAL_RADII = (0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class ReportPaths:
    """Where a report lies.

    Attributes:
        folder: the report's folder.
        html: the page, self-contained.
        markdown, csv: the tables.
        figures: one PNG a norm.
        tsv: one result file a run and norm, columns `idx label predict radius correct time`.
    """

    folder: Path
    html: Path
    markdown: Path
    csv: Path
    figures: tuple[Path, ...]
    tsv: tuple[Path, ...]


def _checked(radii: Sequence[float] | None) -> tuple[float, ...] | None:
    if radii is None:
        return None
    chosen = tuple(float(radius) for radius in radii)
    if not chosen or not all(math.isfinite(radius) and radius >= 0.0 for radius in chosen):
        raise ValueError(
            f"radii must be finite numbers of at least 0, at least one of them, got {list(radii)}"
        )
    return tuple(dict.fromkeys(chosen))


def _summary(run: CertifiedRun, radii: Sequence[float]) -> dict[str, Any]:
    return {
        "name": run.name,
        "noise": run.noise,
        "sigma": run.sigma,
        "adversary": run.adversary,
        "certified_accuracy": {repr(radius): float(run.certified(radius)) for radius in radii},
        "average_certified_radius": run.average_certified_radius,
        "abstained": run.abstained,
        "clean_accuracy": run.clean_accuracy,
        "inputs": run.total,
        "complete": run.complete,
        "n0": run.n0,
        "n": run.n,
        "alpha": run.alpha,
        "failed": run.failed,
        "method": run.method,
        "source": run.source,
    }


def summarise(paths: Sequence[Path], radii: Sequence[float] | None = None) -> dict[str, Any]:
    """What runs certify, as data for JSON.

    Args:
        paths: run folders and result files.
        radii: radii in input units; None takes 0.5, 1, 1.5, 2 and round ones that suit each norm.

    Returns:
        {"runs": [...]}, one entry a run and norm: name, noise, sigma, adversary, certified_accuracy by radius
        (keys "0.5", "1.0", …), average_certified_radius, abstained, clean_accuracy, inputs (finished ones),
        complete, n0, n, alpha, failed, method, source. None stands for what a source does not state.

    Raises:
        ValueError: bad radii, nothing there, a damaged store or file, or no finished input.
        OSError: a file cannot be read.
    """
    chosen = _checked(radii)
    runs = read_sources(paths).runs
    entries = []
    for run in runs:
        own = chosen or tuple(sorted({*_USUAL_RADII, *default_radii(runs, run.adversary)}))
        entries.append(_summary(run, own))
    return {"runs": entries}


def build_report(
    paths: Sequence[Path], radii: Sequence[float] | None = None, out: Path | None = None
) -> ReportPaths:
    """Writes the report: page, one picture a norm, tables, and result files for other analysis scripts.

    Everything is made before the first file is written, and each file is either whole or absent. Radii and
    certified accuracies are rounded down; certified accuracies are counted with radii at full precision.

    Args:
        paths: run folders and result files.
        radii: radii of the tables in input units; None takes round ones that suit each norm.
        out: folder to write; None takes `report` in the run folder where `paths` is one run folder, else in
            the current folder.

    Returns:
        Where everything lies.

    Raises:
        ValueError: bad radii, nothing there, a damaged store or file, or no finished input.
        OSError: a file cannot be read or written.
    """
    sources = read_sources(paths)
    made = tables(sources.runs, _checked(radii))
    pictures = {table.adversary: curve_png(table.envelopes, table.adversary) for table in made}
    page = html_text(sources, made, pictures)
    texts = {f"{_file_name(run.name)}.{run.norm}.tsv": tsv_text(run) for run in sources.runs}

    folder = Path(out) if out is not None else _default_folder(paths)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: the report needs a folder, this is a file; choose another with --out")
    (folder / "tsv").mkdir(parents=True, exist_ok=True)
    report = ReportPaths(
        folder=folder,
        html=folder / "index.html",
        markdown=folder / "certified_accuracy.md",
        csv=folder / "certified_accuracy.csv",
        figures=tuple(folder / f"certified_accuracy_{table.norm}.png" for table in made),
        tsv=tuple(folder / "tsv" / name for name in texts),
    )
    for path, png in zip(report.figures, pictures.values(), strict=True):
        write_atomically(path, png)
    for path, text in zip(report.tsv, texts.values(), strict=True):
        write_atomically(path, text.encode())
    write_atomically(report.csv, csv_text(made).encode())
    write_atomically(report.markdown, markdown_text(made, sources.remarks).encode())
    write_atomically(report.html, page.encode())
    return report


def _default_folder(paths: Sequence[Path]) -> Path:
    only = Path(paths[0])
    return only / "report" if len(paths) == 1 and only.is_dir() else Path("report")


def _file_name(name: str) -> str:
    """A run's name as a file name: anything but letters, digits and . _ + - becomes _."""
    return re.sub(r"[^\w.+-]", "_", name)
