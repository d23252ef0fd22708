"""What the certificates of the runs guarantee, and how their votes were counted, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.fixed import Invariance
from runtime.grid import SAMPLED
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
    found = []
    for run in runs:
        text = statement(run)
        if run.alpha is not None and run.family_alpha is None:
            text += (
                f", and with probability at least {1.0 - delta:g} "
                f"at most {most_false(run.total, run.alpha, delta)} of them are"
            )
        if run.procedure is not None:
            text += f" (procedure: {run.procedure})"
        found.append((run.name, text))
    return _gathered(found)


def noise_statement(run: CertifiedRun) -> str | None:
    """How noise was added to the inputs of a run, and what that leaves open; None where the source does not say."""
    if run.grid is None:
        return None
    if not isinstance(run.grid, int):
        return "noise added to floats: what a network reads from the last bits of the sums escapes the certificate"
    drawn = (
        "sampled in float64, then rounded to it" if run.grid_noise == SAMPLED else "of enclosed probabilities"
    )
    return f"noise in integers on the grid k/{run.grid} of the inputs, {drawn}; sums converted once"


def network_statement(run: CertifiedRun) -> str | None:
    """The precision of the network of a run, and what was measured of it on noisy inputs; None where nothing was."""
    network = "network" if run.precision is None else f"network in {run.precision}"
    return f"{network}: {Invariance.from_record(run.invariance).summary}" if run.invariance else None


def conditions(runs: Sequence[CertifiedRun]) -> tuple[str, ...]:
    """One sentence on noise and one on networks for all runs that it holds of, with their names."""
    said = [(run.name, text(run)) for text in (noise_statement, network_statement) for run in runs]
    return _gathered([(name, text) for name, text in said if text is not None])


def _gathered(said: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    named: dict[str, list[str]] = {}
    for name, text in said:
        names = named.setdefault(text, [])
        if name not in names:
            names.append(name)
    return tuple(f"{_list(names)}: {text}." for text, names in named.items())


def _list(names: Sequence[str]) -> str:
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{', '.join(names[: _FEW - 1])} and {len(names) - _FEW + 1} more"
