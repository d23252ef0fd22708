"""Certified robustness by randomized smoothing: votes, counts, confidence bounds, certificates.

Names are loaded when they are first used, so that the command line starts without waiting for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.certificate import Certificate
    from runtime.noise import Noise
    from runtime.records import certificate_records, certificates_table
    from runtime.results import ABSTAIN, InputResult, RunResult
    from runtime.smooth import SmoothedClassifier

__all__ = [
    "ABSTAIN",
    "Certificate",
    "InputResult",
    "Noise",
    "RunResult",
    "SmoothedClassifier",
    "certificate_records",
    "certificates_table",
]

_HOMES = {
    "Certificate": "certificate",
    "Noise": "noise",
    "SmoothedClassifier": "smooth",
    "certificate_records": "records",
    "certificates_table": "records",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"runtime.{_HOMES.get(name, 'results')}"), name)
