"""Numbers as texts that tell every two of them apart."""

from __future__ import annotations


def shortest(value: float) -> str:
    """The shortest decimal text that is read back as the very same float, whole numbers without ".0"."""
    return repr(float(value)).removesuffix(".0")
