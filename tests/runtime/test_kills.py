"""SIGKILL at random moments costs no count."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runtime.store import DATABASE
from tests.benchmarks.kills import killed_jobs, recorded


@pytest.mark.parametrize("targets", [False, True])
def test_twenty_random_kills_end_with_the_counts_of_an_undisturbed_job(targets: bool, tmp_path: Path) -> None:
    found = killed_jobs(tmp_path, 10, seed=1, inputs=3, targets=targets)
    assert found.kills == 10 and found.jobs >= 1 and found.equal
    assert found.in_midst >= 3, "the kills came before or after the votes"
    connection = sqlite3.connect(tmp_path / "run-0" / DATABASE)  # the comparison sees a single vote
    with connection:
        connection.execute("UPDATE chunk SET failed = failed + 1 WHERE input = 1 AND purpose = 'selection'")
    connection.close()
    assert recorded(tmp_path / "run-0") != recorded(tmp_path / "whole")
