"""Votes of the sequential test on vote rates inverted from published logs, against the fixed sample and Wald's floor.

Run: python -m tests.benchmarks.sequential_samples [--logs FOLDER] [--quick]

FOLDER holds the logs published with Cohen, Rosenfeld and Kolter (ICML 2019), cifar10_sigma_0.50.tsv and
imagenet_sigma_0.50.tsv. Each radius gives p_lower, and that the count behind it at n = 100,000 and alpha = 0.001;
abstentions are taken as 0.42. Means and powers are exact, by the distribution of the count at every look. Without
logs, and with --quick, a made-up spread of rates stands for them.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binom

from runtime.confidence import lower_bound
from runtime.design import course
from runtime.noise import Noise
from runtime.plan import rates_of
from runtime.report.tsv import read_rows
from runtime.results import ABSTAIN
from runtime.sequential import GroupSequential

N, ALPHA = 100_000, 0.001
SETTINGS: tuple[tuple[str, int, float], ...] = (
    ("cifar10_sigma_0.50", 3072, 0.5),
    ("cifar10_sigma_0.50", 3072, 1.0),
    ("imagenet_sigma_0.50", 150_528, 1.0),
    ("imagenet_sigma_0.50", 150_528, 1.5),
)


@dataclass(frozen=True)
class Figures:
    """One line of the table.

    Attributes:
        mean: estimation votes an input, averaged over all inputs.
        saving: n over that.
        over_wald: mean votes over mean floor, over inputs above p0 whose floor is at most n/5.
        accuracy, fixed_accuracy: expected certified accuracy at the target, sequential and with n votes.
        seconds: to build the boundaries.
    """

    mean: float
    saving: float
    over_wald: float
    accuracy: float
    fixed_accuracy: float
    seconds: float


def floor(rho: float, p0: float, alpha: float) -> float:
    """Wald's lower bound of the mean number of votes of any test of level alpha and power one: ln(1/α)/KL(ρ, p0)."""
    rest = (1.0 - rho) * math.log((1.0 - rho) / (1.0 - p0)) if rho < 1.0 else 0.0
    return math.log(1.0 / alpha) / (rho * math.log(rho / p0) + rest)


def figures(rates: Sequence[float], correct: Sequence[bool], noise: Noise, target: float) -> Figures:
    """The sequential test of one target over inputs of these rates."""
    begin = time.process_time()
    rule = GroupSequential.for_noise(noise, [target], 2, n=N, alpha=ALPHA)
    seconds = time.process_time() - begin
    test, p0 = rule.tests()[0], rule.p0s[0]
    critical = next(c for c in range(math.ceil(p0 * N), N + 1) if lower_bound(c, N, ALPHA) >= p0)
    courses = {rho: course(test, rho) for rho in set(rates)}
    powers, means = (np.array([courses[rho][part] for rho in rates]) for part in (0, 1))
    fixed = binom.sf(critical - 1, N, np.array(rates))
    hits = np.array(correct, dtype=np.float64)
    floors = np.array([floor(rho, p0, ALPHA) if rho > p0 else math.inf for rho in rates])
    applies = floors <= N / 5
    return Figures(
        mean=float(means.mean()),
        saving=N / float(means.mean()),
        over_wald=float(means[applies].sum() / floors[applies].sum()),
        accuracy=float((hits * powers).mean()),
        fixed_accuracy=float((hits * fixed).mean()),
        seconds=seconds,
    )


def published(folder: Path, name: str, noise: Noise) -> tuple[list[float], list[bool]]:
    """Vote rates behind a log, and which of its predictions are right."""
    rows = read_rows(folder / f"{name}.tsv")
    radii = [None if row.prediction == ABSTAIN else row.radius for row in rows]
    return rates_of(noise, radii, 2, N, ALPHA), [row.correct for row in rows]


def made_up(count: int) -> tuple[list[float], list[bool]]:
    """A spread of rates like that of a real classifier: a fifth abstains, the rest crowds towards 1."""
    spread = 1.0 - 0.5 * (np.arange(count) / count) ** 3
    return [*spread.tolist(), *([0.42] * (count // 4))], [True] * (count + count // 4)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=Path)
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    print(
        "| log | target | mean votes | n / mean | over Wald's floor | certified accuracy | with n votes | design, s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, dim, target in SETTINGS[:1] if chosen.quick else SETTINGS:
        noise = Noise("gaussian", dim, sigma=0.5)
        logs = chosen.logs if chosen.logs and not chosen.quick else None
        rates, correct = (
            made_up(20 if chosen.quick else 400) if logs is None else published(logs, name, noise)
        )
        found = figures(rates, correct, noise, target)
        print(
            f"| {name if logs else 'made up'} | {target:g} | {found.mean:.0f} | {found.saving:.1f} | {found.over_wald:.2f} "
            f"| {found.accuracy:.4f} | {found.fixed_accuracy:.4f} | {found.seconds:.2f} |"
        )


if __name__ == "__main__":
    main()
