"""Table files of every kind checked again from what they list, on all processors: witnesses, or compositions."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from derive.table_check import SAMPLE, Verdict, check_table, readable
from derive.verification.composed import SAMPLE as COMPOSITIONS
from derive.verification.composed import check_composed, composed_kind


def check_files(paths: Sequence[Path], sample: int | None, all_points: bool) -> list[Verdict]:
    """A verdict for each file, in their order; ValueError for one that is not a table with witnesses or compositions.

    Args:
        sample: claims at points, or compositions, for each table, 0 for all; None: tables of l2-radial noise whole.
        all_points: whether, where sample is None, the others have all of theirs checked, or as many as SAMPLE says.
    """
    for path in paths:
        if not composed_kind(path):
            readable(path)  # a broken file is refused before any time is spent
    workers = min(len(paths), os.cpu_count() or 1)
    if workers < 2:
        return [_checked(path, sample, all_points) for path in paths]
    order = sorted(range(len(paths)), key=lambda n: -paths[n].stat().st_size)  # those that take longest first
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(
            pool.map(partial(_checked, sample=sample, all_points=all_points), [paths[n] for n in order])
        )
    return [verdict for _, verdict in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]


def _checked(path: Path, sample: int | None, all_points: bool) -> Verdict:
    if composed_kind(path):
        return check_composed(path, (0 if all_points else COMPOSITIONS) if sample is None else sample)
    return check_table(path, sample, 0 if all_points else SAMPLE)
