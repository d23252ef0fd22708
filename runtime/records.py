"""Certificates as NumPy record arrays and pandas tables, one row an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import pandas

NORMS = (("1", "radius_l1"), ("2", "radius_l2"), ("inf", "radius_linf"))
FIELDS = np.dtype(
    [
        ("idx", np.int64),
        ("label", np.int64),
        ("predict", np.int64),
        ("correct", np.bool_),
        *((name, np.float64) for _, name in NORMS),
        ("p_lower", np.float64),
        ("p_upper", np.float64),
        ("n", np.int64),
        ("failed", np.int64),
        ("seconds", np.float64),
    ]
)
"""Columns of a record; `certificate_records` says what they hold."""


class Certified(Protocol):
    """What a certificate and the result of one input have in common."""

    @property
    def prediction(self) -> int: ...
    @property
    def radii(self) -> Mapping[str, float]: ...
    @property
    def p_lower(self) -> float: ...
    @property
    def p_upper(self) -> float | None: ...
    @property
    def counts(self) -> tuple[int, ...]: ...
    @property
    def n(self) -> int: ...
    @property
    def failed(self) -> int: ...


def certificate_records(
    certificates: Sequence[Certified], labels: Sequence[int] | None = None
) -> np.recarray[Any, np.dtype[Any]]:
    """Certificates as a NumPy record array; every number is the certificate's own, none is rounded.

    Args:
        certificates: `runtime.Certificate`s or `runtime.InputResult`s, any number.
        labels: true classes, one for each; by default those that the certificates carry.

    Returns:
        One record each: idx (its own index, or its position), label (-1 where not known), predict (-1 where it
        abstains), correct, radius_l1, radius_l2, radius_linf (NaN for a norm without a radius, 0 where it abstains),
        p_lower, p_upper (NaN where none was taken), n, failed (estimation votes), seconds (NaN where not known).

    Raises:
        ValueError: another number of labels than of certificates.
    """
    if labels is not None and len(labels) != len(certificates):
        raise ValueError(
            f"one label for each of {len(certificates)} certificates is needed, got {len(labels)}"
        )
    made = np.recarray(len(certificates), dtype=FIELDS)
    for position, item in enumerate(certificates):
        label = int(getattr(item, "label", -1) if labels is None else labels[position])
        made[position] = (
            getattr(item, "index", position),
            label,
            item.prediction,
            label >= 0 and item.prediction == label,
            *(item.radii.get(norm, np.nan) for norm, _ in NORMS),
            item.p_lower,
            np.nan if item.p_upper is None else item.p_upper,
            item.n,
            item.failed,
            getattr(item, "seconds", np.nan),
        )
    return made


def certificates_table(
    certificates: Sequence[Certified], labels: Sequence[int] | None = None
) -> pandas.DataFrame:
    """Certificates as a pandas table: the columns of `certificate_records`, and counts (a tuple a row).

    Raises:
        ValueError: as there.
        ImportError: pandas is not installed.
    """
    frame = _pandas().DataFrame.from_records(certificate_records(certificates, labels))
    frame["counts"] = [tuple(item.counts) for item in certificates]
    return frame


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ImportError("pandas is not installed: pip install 'smoothing-radii[pandas]'") from None
    return pandas
