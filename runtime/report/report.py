"""The report of runs, finished or not: a summary as data, or a folder with page, pictures and tables."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from runtime.atomic import write_atomically
from runtime.report.effort import effort
from runtime.report.envelope import default_radii
from runtime.report.figure import curve_picture, votes_picture
from runtime.report.markdown import latex_text, markdown_text
from runtime.report.page import html_text
from runtime.report.run import CertifiedRun
from runtime.report.sources import read_sources
from runtime.report.statements import conditions, statement, statements
from runtime.report.tables import csv_text, tables
from runtime.report.testset import DELTA, check_delta, run_shares
from runtime.report.tsv import tsv_text

_USUAL_RADII = (0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class ReportPaths:
    """Where a report lies.

    Attributes:
        folder: the report's folder.
        html: the page, self-contained.
        markdown, latex, csv: the tables.
        figures: one PNG a norm, and one of votes where these are known; `vectors` the same as SVG.
        tsv: one result file a run and norm, columns `idx label predict radius correct time`.
    """

    folder: Path
    html: Path
    markdown: Path
    latex: Path
    csv: Path
    figures: tuple[Path, ...]
    vectors: tuple[Path, ...]
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


def _number(share: Fraction | None) -> float | None:
    """A share as a float, rounded down; None for none."""
    if share is None:
        return None
    value = float(share)
    return value if Fraction(value) <= share else math.nextafter(value, 0.0)


def _summary(run: CertifiedRun, radii: Sequence[float], delta: float) -> dict[str, Any]:
    took = effort(run)
    bounds = {repr(radius): run_shares(run, radius, delta) for radius in radii}
    return {
        "name": run.name,
        "noise": run.noise,
        "sigma": run.sigma,
        "adversary": run.adversary,
        "certified_accuracy": {repr(radius): float(run.certified(radius)) for radius in radii},
        "certified_accuracy_of_inputs": {key: _number(shares.inputs) for key, shares in bounds.items()},
        "certified_accuracy_of_population": {
            key: _number(shares.population) for key, shares in bounds.items()
        },
        "delta": delta,
        "average_certified_radius": run.average_certified_radius,
        "abstained": run.abstained,
        "clean_accuracy": run.clean_accuracy,
        "inputs": run.total,
        "complete": run.complete,
        "n0": run.n0,
        "n": run.n,
        "alpha": run.alpha,
        "family_alpha": run.family_alpha,
        "guarantee": statement(run),
        "procedure": run.procedure,
        "votes_per_input": {"mean": took.votes_mean, "median": took.votes_median, "most": took.votes_most},
        "seconds_per_input": took.seconds_mean,
        "p_a": {repr(level): value for level, value in took.p_a.items()},
        "failed": run.failed,
        "grid": run.grid,
        "grid_noise": run.grid_noise,
        "network": dict(run.invariance) or None,
        "precision": run.precision,
        "method": run.method,
        "source": run.source,
    }


def summarise(
    paths: Sequence[Path], radii: Sequence[float] | None = None, delta: float = DELTA
) -> dict[str, Any]:
    """What runs certify, as data for JSON.

    Args:
        paths: run folders and result files.
        radii: radii in input units; None takes 0.5, 1, 1.5, 2 and round ones that suit each norm.
        delta: failure probability of the lower bounds, in (0, 1).

    Returns:
        {"runs": [...]}, one entry a run and norm: name, noise, sigma, adversary, certified_accuracy by radius
        (keys "0.5", "1.0", …), its lower bounds certified_accuracy_of_inputs and certified_accuracy_of_population at
        confidence 1 - delta (`runtime.report.testset`), average_certified_radius, abstained, clean_accuracy,
        inputs (finished ones), complete, n0, n, alpha, family_alpha, guarantee, procedure, votes_per_input,
        seconds_per_input, p_a (quantiles by level), failed, grid (denominator or "none") and grid_noise as in
        `runtime.results.RunResult`, network (what was measured of it: inputs, repeatable, differing by batch size), method,
        source. None stands for what a source does not state.

    Raises:
        ValueError: bad radii or delta, nothing there, a damaged store or file, or no finished input.
        OSError: a file cannot be read.
    """
    chosen = _checked(radii)
    check_delta(delta)
    runs = read_sources(paths).runs
    entries = []
    for run in runs:
        own = chosen or tuple(sorted({*_USUAL_RADII, *default_radii(runs, run.adversary)}))
        entries.append(_summary(run, own, delta))
    return {"runs": entries}


def build_report(
    paths: Sequence[Path],
    radii: Sequence[float] | None = None,
    out: Path | None = None,
    delta: float = DELTA,
) -> ReportPaths:
    """Writes the report: page, one picture a norm and one of the votes, tables, and result files for other analysis scripts.

    Everything is made before the first file is written, and each file is either whole or absent. Radii and
    certified accuracies are rounded down; certified accuracies are counted with radii at full precision.

    Args:
        paths: run folders and result files.
        radii: radii of the tables in input units; None takes round ones that suit each norm.
        out: folder to write; None takes `report` in the run folder where `paths` is one run folder, else in
            the current folder.
        delta: failure probability of the lower bounds, in (0, 1).

    Returns:
        Where everything lies.

    Raises:
        ValueError: bad radii or delta, nothing there, a damaged store or file, or no finished input.
        OSError: a file cannot be read or written.
    """
    check_delta(delta)
    sources = read_sources(paths)
    made = tables(sources.runs, _checked(radii), delta)
    guarantees, counted = statements(sources.runs, delta), conditions(sources.runs)
    curves = {table.adversary: curve_picture(table.envelopes, table.adversary, delta) for table in made}
    pictures = {f"certified_accuracy_{table.norm}": curves[table.adversary] for table in made}
    votes = votes_picture(made[0].envelopes)
    if votes is not None:
        pictures["votes"] = votes
    page = html_text(sources, made, curves, votes, guarantees, counted)
    texts = {f"{_file_name(run.name)}.{run.norm}.tsv": tsv_text(run) for run in sources.runs}

    folder = Path(out) if out is not None else _default_folder(paths)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: the report needs a folder, this is a file; choose another with --out")
    (folder / "tsv").mkdir(parents=True, exist_ok=True)
    report = ReportPaths(
        folder=folder,
        html=folder / "index.html",
        markdown=folder / "certified_accuracy.md",
        latex=folder / "certified_accuracy.tex",
        csv=folder / "certified_accuracy.csv",
        figures=tuple(folder / f"{name}.png" for name in pictures),
        vectors=tuple(folder / f"{name}.svg" for name in pictures),
        tsv=tuple(folder / "tsv" / name for name in texts),
    )
    for png, svg, picture in zip(report.figures, report.vectors, pictures.values(), strict=True):
        write_atomically(png, picture.png)
        write_atomically(svg, picture.svg)
    for path, text in zip(report.tsv, texts.values(), strict=True):
        write_atomically(path, text.encode())
    write_atomically(report.csv, csv_text(made).encode())
    write_atomically(report.markdown, markdown_text(made, sources.remarks, guarantees, counted).encode())
    write_atomically(report.latex, latex_text(made).encode())
    write_atomically(report.html, page.encode())
    return report


def _default_folder(paths: Sequence[Path]) -> Path:
    only = Path(paths[0])
    return only / "report" if len(paths) == 1 and only.is_dir() else Path("report")


def _file_name(name: str) -> str:
    """A run's name as a file name: anything but letters, digits and . _ + - becomes _."""
    return re.sub(r"[^\w.+-]", "_", name)
