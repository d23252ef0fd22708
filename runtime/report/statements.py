"""What the certificates of the runs guarantee, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.procedure import guarantee
from runtime.report.run import CertifiedRun
from runtime.report.testset import most_false

_FEW = 6


def statement(run: CertifiedRun) -> str:
    """The guarantee of one run: per input, or familywise; what is missing where the source states no α."""
    if run.alpha is None:
        return "the source states no α: nothing is known of the guarantee"
    familywise = run.family_alpha is not None
    alpha = run.alpha if run.family_alpha is None else run.family_alpha
    return f"{'familywise' if familywise else 'per input'}: {guarantee(alpha, run.total, familywise)}"


def statements(runs: Sequence[CertifiedRun], delta: float) -> tuple[str, ...]:
    """One sentence for all runs that it holds of, with their names.

    Args:
        runs: one record a run and norm; norms of one run share its votes and its sentence.
        delta: failure probability for the number of false certificates.
    """
    named: dict[str, list[str]] = {}
    for run in runs:
        text = statement(run)
        if run.alpha is not None and run.family_alpha is None:
            text += (
                f", and with probability at least {1.0 - delta:g} "
                f"at most {most_false(run.total, run.alpha, delta)} of them are"
            )
        if run.procedure is not None:
            text += f" (procedure: {run.procedure})"
        names = named.setdefault(text, [])
        if run.name not in names:
            names.append(run.name)
    return tuple(f"{_list(names)}: {text}." for text, names in named.items())


def _list(names: Sequence[str]) -> str:
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{', '.join(names[: _FEW - 1])} and {len(names) - _FEW + 1} more"
