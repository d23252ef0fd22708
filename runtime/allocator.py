"""Memory that the C library keeps between batches.

By default glibc gives large results back to the system when they are freed, and the next batch pays for every page anew: half of a
small network's time. Counting therefore raises two of its thresholds; the process then holds what its largest batch needed, as before
at its peak.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM, _MMAP = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>."""
_KEPT = 2**30
_LARGEST = 2**25
"""Largest result that comes from the heap, in bytes: the most that every version of glibc takes."""


@cache
def keep_freed_memory() -> bool:
    """Lets freed memory stay with the process, once; False where the C library has no such setting."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP, _LARGEST)) and bool(mallopt(_TRIM, _KEPT))
