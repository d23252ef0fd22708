"""Votes drawn from known probabilities, for tests of procedures."""

from __future__ import annotations

import numpy as np

from runtime.procedure import Procedure
from runtime.sampling import Votes


def drawn(n: int, probabilities: list[float], generator: np.random.Generator) -> Votes:
    """n votes over classes of these probabilities; what is missing to 1 fails."""
    counts = generator.multinomial(n, [*probabilities, max(0.0, 1.0 - sum(probabilities))]).tolist()
    return Votes(tuple(counts[:-1]), counts[-1])


def sampled(
    procedure: Procedure, probabilities: list[float], generator: np.random.Generator
) -> tuple[Votes, list[Votes]]:
    """Selection and estimation votes, drawn until the procedure is satisfied."""
    selection = drawn(procedure.selection(), probabilities, generator)
    estimation: list[Votes] = []
    while (wanted := procedure.next_total(selection, estimation)) is not None:
        have = sum(part.n for part in estimation)
        estimation.append(drawn(wanted - have, probabilities, generator))
    return selection, estimation
