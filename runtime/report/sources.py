"""Run folders and result files, brought to one form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.fixed import Invariance
from runtime.numerals import shortest
from runtime.report.imported import is_imported, read_imported
from runtime.report.run import CertifiedRun, from_result
from runtime.report.tsv import read_run
from runtime.store import load_runs


@dataclass(frozen=True)
class Sources:
    """What the given paths hold.

    Attributes:
        runs: one record a run and norm, in the order given; at least one.
        remarks: what a reader must know of them: unfinished runs, and what a result file leaves open.
    """

    runs: tuple[CertifiedRun, ...]
    remarks: tuple[str, ...]


def _folder(path: Path) -> tuple[list[CertifiedRun], list[str]]:
    runs: list[CertifiedRun] = []
    remarks: list[str] = []
    waiting: list[str] = []
    for result in load_runs(path):
        runs += from_result(result, str(path))
        if not result.inputs:
            waiting.append(result.name)
        elif not result.complete:
            remarks.append(f"{result.name}: incomplete, {len(result.inputs)} inputs are finished so far.")
        if failed := sum(item.failed for item in result.inputs):
            remarks.append(
                f"{result.name}: {failed} votes failed (NaN or infinite logits); none counted for a class."
            )
        if result.invariance:
            found = Invariance.from_record(result.invariance)
            remarks += [f"{result.name}: {complaint}." for complaint in found.complaints]
    if waiting:
        remarks.append(f"No input is finished yet in {', '.join(waiting)}: left out.")
    return runs, remarks


def _distinct(runs: Sequence[CertifiedRun]) -> tuple[CertifiedRun, ...]:
    """Runs of one name from different places take the place's name before their own."""
    names = Counter((run.name, run.adversary) for run in runs)
    distinct = [
        run
        if names[run.name, run.adversary] == 1
        else replace(run, name=f"{_place(run)}:{run.name}", noise=f"{_place(run)}:{run.noise}")
        for run in runs
    ]
    for (name, _), count in Counter((run.name, run.adversary) for run in distinct).items():
        if count > 1:
            raise ValueError(f"run {name!r} is given {count} times; give each run folder or result file once")
    return tuple(distinct)


def _place(run: CertifiedRun) -> str:
    path = Path(run.source).resolve()
    return path.name if path.is_dir() else path.parent.name


def _open_questions(runs: Sequence[CertifiedRun]) -> list[str]:
    """What result files do not state, and runs that are enveloped although they cover different inputs."""
    remarks = []
    if foreign := [f"{run.name} ({run.total} inputs)" for run in runs if run.alpha is None]:
        remarks.append(
            "Result files state neither α, nor the number of votes, nor whether they are complete, and their "
            f"radii are as their writer rounded them: {', '.join(foreign)}."
        )
    if stated := [run.name for run in runs if run.log and run.alpha is not None]:
        remarks.append(
            f"Of the result files of {', '.join(stated)} α is as it was stated at import, and radii are as their writer "
            "rounded them; lower bounds allow for three printed digits."
        )
    for run in runs:
        if run.targets:
            remarks.append(
                f"{run.name}: the {run.norm} radii {', '.join(map(shortest, run.targets))} were decided one by one, and no "
                "larger radius than the last was looked for: between and beyond them, and in its average, it is a lower bound."
            )
    inputs: dict[tuple[str, str], set[frozenset[int]]] = {}
    for run in runs:
        inputs.setdefault((run.adversary, run.noise), set()).add(frozenset(row.index for row in run.rows))
    if mixed := list(dict.fromkeys(noise for (_, noise), sets in inputs.items() if len(sets) > 1)):
        remarks.append(
            f"The runs of {', '.join(mixed)} cover different inputs: their envelope compares unlike shares."
        )
    return remarks


def read_sources(paths: Sequence[Path]) -> Sources:
    """Everything that run folders and result files hold.

    Args:
        paths: run folders and tab-separated result files, at least one.

    Raises:
        ValueError: nothing there, a damaged store or file, a run given twice, or no finished input at all.
        OSError: a file cannot be read.
    """
    if not paths:
        raise ValueError("a report needs at least one run folder or result file, got none")
    runs: list[CertifiedRun] = []
    remarks: list[str] = []
    for path in map(Path, paths):
        if path.is_dir() and is_imported(path):
            runs += read_imported(path)
        elif path.is_dir():
            found, said = _folder(path)
            runs += found
            remarks += said
        elif path.is_file():
            runs.append(read_run(path))
        else:
            raise ValueError(f"{path}: a run folder or a result file is needed, nothing is there")
    if not runs:
        raise ValueError(
            f"{', '.join(map(str, paths))}: no input is finished yet; resume the run, then report"
        )
    distinct = _distinct(runs)
    return Sources(distinct, (*remarks, *_open_questions(distinct)))
