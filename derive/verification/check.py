"""One thing that was checked, and how it came out."""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 1e-10
"""Probability with which a statistical check may fail a right module (a bound, for each check)."""


@dataclass(frozen=True)
class Check:
    """`kind`: identity, oracle, Neyman-Pearson, bracket or sampler; `subject`: a norm or a law; `text`: what was found, with numbers.

    `passed` None: not decided here, and the text says why; it counts neither as true nor as false.
    """

    kind: str
    subject: str
    passed: bool | None
    text: str

    @property
    def line(self) -> str:
        word = {True: "true", False: "FALSE", None: "open"}[self.passed]
        return f"{word:5} {self.kind:15} {self.subject:9} {self.text}"
