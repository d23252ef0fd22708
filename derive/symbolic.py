"""One symbolic step: its answer, or None for "unknown" when SymPy fails at it or takes too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from derive.timelimit import limited

T = TypeVar("T")


def attempt(function: Callable[..., T | None], *args: Any, seconds: float) -> T | None:
    """function(*args); None after `seconds`, or where SymPy gives up with an exception of whatever type.

    SymPy's algorithms are partial and leave by many doors (NotImplementedError, PolynomialError, RecursionError, TypeError in mid-series, …).
    None never counts as an answer.
    """
    try:
        return limited(function, *args, seconds=seconds, default=None)
    except Exception:
        return None
