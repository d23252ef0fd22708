"""Procedures by name: from what a run records of its procedure back to the procedure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.procedure import FixedSample, Procedure

PROCEDURES: Mapping[str, type] = {"fixed": FixedSample}


def from_record(record: Mapping[str, Any]) -> Procedure:
    """The procedure whose `record()` this is.

    Raises:
        ValueError: no such procedure, or parameters that it does not take.
    """
    values = dict(record)
    name = values.pop("procedure", None)
    if name not in PROCEDURES:
        raise ValueError(
            f"procedure must be one of {', '.join(PROCEDURES)}, got {name!r}; use the version that wrote it"
        )
    try:
        made: Procedure = PROCEDURES[name](**values)
    except TypeError as error:
        raise ValueError(f"procedure {name!r} does not take these parameters: {error}") from None
    return made
