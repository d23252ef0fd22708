"""Arithmetic on one CPU thread.

Sums that are split over threads round otherwise for every number of threads, and on small networks threads
spend more time waiting for each other than they save, on a busy machine far more. Jobs therefore run
each network on one thread: weights and counts do not depend on the number of cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits torch to one CPU thread inside the block, and restores the number afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
