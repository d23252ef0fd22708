"""Result files of tab-separated columns `idx label predict radius correct time`, read and written.

The columns are those of Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized
Smoothing" (ICML 2019), whose logs are read as they are. A file name may tell noise, σ and norm:
`uniform-0.5.l1.tsv`, `cifar10_sigma_0.25.tsv`; without a norm it is l2, the norm of that paper.
"""

from __future__ import annotations

import re
from pathlib import Path

from runtime.report.rounding import exact_below
from runtime.report.run import NORM_NAMES, CertifiedRun, Row

COLUMNS = ("idx", "label", "predict", "radius", "correct", "time")

_NAME = re.compile(r"(?P<run>(?P<noise>.+?)[-_](?:sigma[-_=]?)?(?P<sigma>\d+(?:\.\d+)?))$")
_NORM = re.compile(r"(?P<run>.+)\.(?P<norm>l1|l2|linf)$")
_CLOCK = re.compile(
    r"(?:(?P<days>\d+) days?, )?(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d(?:\.\d+)?)$"
)


def seconds_of(text: str) -> float:
    """Seconds of a time column: a number of seconds, or `h:mm:ss.ffffff`, with days before it or without.

    Raises:
        ValueError: neither of the two.
    """
    clock = _CLOCK.match(text)
    if clock:
        days = int(clock["days"] or 0)
        return (
            (days * 24 + int(clock["hours"])) * 3600.0
            + int(clock["minutes"]) * 60.0
            + float(clock["seconds"])
        )
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise ValueError(f"time must be seconds or h:mm:ss, got {text!r}")
    return value


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be an integer, got {text!r}") from None


def _row(values: dict[str, str]) -> Row:
    try:
        radius = float(values["radius"])
    except ValueError:
        raise ValueError(f"radius must be a number, got {values['radius']!r}") from None
    if values["correct"] not in ("0", "1"):
        raise ValueError(f"correct must be 0 or 1, got {values['correct']!r}")
    return Row(
        index=_integer("idx", values["idx"]),
        label=_integer("label", values["label"]),
        prediction=_integer("predict", values["predict"]),
        radius=radius,
        correct=values["correct"] == "1",
        seconds=seconds_of(values["time"]),
    )


def read_rows(path: Path) -> tuple[Row, ...]:
    """The rows of a result file; columns beyond the six are ignored.

    Raises:
        ValueError: the file is empty or damaged; the message names file and line.
        OSError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(
            f"{path}:1: a tab-separated text file is needed, this one is not UTF-8 text"
        ) from None
    header = lines[0].split("\t") if lines else []
    if missing := [column for column in COLUMNS if column not in header]:
        raise ValueError(
            f"{path}:1: the first line must name the tab-separated columns {' '.join(COLUMNS)}; "
            f"{' '.join(missing)} missing"
        )
    rows: list[Row] = []
    seen: set[int] = set()
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != len(header):
            raise ValueError(
                f"{path}:{number}: {len(header)} tab-separated values are needed, got {len(cells)}"
            )
        try:
            row = _row(dict(zip(header, cells, strict=True)))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        if row.index in seen:
            raise ValueError(f"{path}:{number}: idx {row.index} comes twice; give each input one line")
        seen.add(row.index)
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}:2: at least one row is needed after the header, got none")
    return tuple(rows)


def read_run(path: Path) -> CertifiedRun:
    """A result file as a run; noise, σ and norm come from its name as far as that tells them.

    Raises:
        ValueError: the file is empty or damaged; the message names file and line.
        OSError: the file cannot be read.
    """
    stem = path.name.removesuffix(".tsv")
    norm = _NORM.match(stem)
    run = norm["run"] if norm else stem
    named = _NAME.match(run)
    return CertifiedRun(
        name=run,
        noise=named["noise"] if named else run,
        adversary={v: k for k, v in NORM_NAMES.items()}[norm["norm"]] if norm else "2",
        sigma=float(named["sigma"]) if named else None,
        rows=read_rows(path),
        source=str(path),
        log=True,
    )


def tsv_text(run: CertifiedRun) -> str:
    """The run as a result file. Radii keep every digit that matters, and none is rounded up."""
    lines = ["\t".join(COLUMNS)]
    for row in run.rows:
        radius = exact_below(row.radius)
        cells = (row.index, row.label, row.prediction, radius, int(row.correct), f"{row.seconds:.3f}")
        lines.append("\t".join(str(cell) for cell in cells))
    return "\n".join(lines) + "\n"
