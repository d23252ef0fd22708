"""Freed memory stays with the process: the next batch finds its pages there."""

from __future__ import annotations

import resource
import sys
import threading

import pytest
import torch

from runtime.allocator import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is one of glibc")
def test_batches_of_a_worker_after_the_first_fault_no_pages_in() -> None:
    """20 batches of six results of 4 MiB: 120,000 pages, which glibc by itself gives back and takes anew in threads."""
    if not keep_freed_memory():
        pytest.skip("this C library has no such setting")
    faults: list[int] = []

    def batch() -> None:
        _ = [torch.ones(2**20) for _ in range(6)]

    def work() -> None:
        for _ in range(3):
            batch()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            batch()
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert faults[0] < 20_000
