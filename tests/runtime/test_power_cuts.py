"""A power cut costs at most the transaction in flight: whatever the disk kept of it, the job ends with the same counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.power_cuts import cut_jobs


@pytest.mark.parametrize("targets", [False, True])
def test_power_cuts_end_with_the_counts_of_an_undisturbed_job(targets: bool, tmp_path: Path) -> None:
    found = cut_jobs(tmp_path, 12, seed=2, inputs=2, targets=targets)
    assert found.cuts == 12 and found.torn >= 3
    assert found.kept and found.equal


def test_a_disk_that_loses_what_it_flushed_is_noticed(tmp_path: Path) -> None:
    assert not cut_jobs(tmp_path, 16, seed=2, inputs=2, memory=3).kept
