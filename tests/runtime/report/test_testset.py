from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binom

from runtime.report.envelope import Envelope
from runtime.report.testset import envelope_shares, most_false, run_shares
from tests.runtime.report.conftest import certified_run

ALPHAS = (0.001, 0.01, 0.2)


def _more_than(false: int, inputs: int, alpha: Fraction) -> Fraction:
    """P(Bin(inputs, alpha) > false), exactly."""
    return Fraction(1) - sum(
        comb(inputs, k) * alpha**k * (1 - alpha) ** (inputs - k) for k in range(false + 1)
    )


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("inputs", [1, 7, 40])
@pytest.mark.parametrize("delta", [0.001, 0.05])
def test_the_number_of_false_certificates_is_the_exact_quantile(
    inputs: int, alpha: float, delta: float
) -> None:
    false = most_false(inputs, alpha, delta)
    assert _more_than(false, inputs, Fraction(alpha)) <= Fraction(delta)
    least = Fraction(delta) * (1 - Fraction(1, 10**9))  # a tie is decided to the safe side
    assert false == 0 or _more_than(false - 1, inputs, Fraction(alpha)) > least


def test_500_certificates_at_the_usual_level() -> None:
    assert most_false(500, 0.001, 0.001) == 4
    assert most_false(500, 0.001 / 500, 0.001) == 0  # familywise: none is false


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("truth", [0.0, 0.3, 0.5, 0.9])
def test_the_population_bound_fails_with_probability_at_most_delta(alpha: float, truth: float) -> None:
    """All counts of 30 inputs enumerated, with certificates as often false as they may be."""
    m, delta = 30, 0.05
    rate = truth + (1 - truth) * alpha
    above = 0.0
    for count in range(m + 1):
        run = replace(certified_run([1.0] * count, abstained=m - count), alpha=alpha)
        bound = run_shares(run, 1.0, delta).population
        assert bound is not None
        if bound > truth:
            above += float(binom.pmf(count, m, rate))
    assert above <= delta
    assert truth in (0.0, 0.9) or above > 0.0  # no trivial bound; 30 inputs are too few to go wrong above .9


@pytest.mark.parametrize("robust", [0, 10, 25])
def test_the_bound_of_these_inputs_fails_with_probability_at_most_delta(robust: int) -> None:
    m, delta, alpha = 30, 0.05, 0.1
    above = 0.0
    for false in range(m - robust + 1):
        run = replace(certified_run([1.0] * (robust + false), abstained=m - robust - false), alpha=alpha)
        bound = run_shares(run, 1.0, delta).inputs
        assert bound is not None
        above += float(binom.pmf(false, m - robust, alpha)) * (bound * m > robust)
    assert above <= delta


def test_bounds_fall_with_the_radius_and_stay_below_what_is_counted() -> None:
    run = replace(certified_run(list(np.linspace(0.1, 2.0, 50)), wrong=5, abstained=5), alpha=0.001)
    found = [run_shares(run, radius, 0.001) for radius in (0.0, 0.5, 1.0, 2.5)]
    inputs = [shares.inputs for shares in found if shares.inputs is not None]
    population = [shares.population for shares in found if shares.population is not None]
    assert inputs == sorted(inputs, reverse=True) and population == sorted(population, reverse=True)
    assert inputs[0] == Fraction(50 - most_false(60, 0.001, 0.001), 60)
    assert inputs[-1] == population[-1] == 0


def test_an_envelope_divides_delta_among_its_runs() -> None:
    runs = [
        replace(certified_run([1.0] * 20, name=f"noise-{sigma}", sigma=sigma), alpha=0.01)
        for sigma in (0.25, 0.5)
    ]
    one, two = Envelope("noise", (runs[0],)), Envelope("noise", tuple(runs))
    assert envelope_shares(one, 1.0, 0.05) == run_shares(runs[0], 1.0, 0.05)
    shares = envelope_shares(two, 1.0, 0.05)
    assert shares.population is not None and shares.population < run_shares(runs[0], 1.0, 0.05).population  # type: ignore[operator]
    assert shares.population == pytest.approx(float(run_shares(runs[0], 1.0, 0.025).population or 0))


def test_nothing_is_bounded_where_alpha_is_not_known() -> None:
    run = certified_run([1.0])
    assert run_shares(run, 0.5, 0.01).inputs is None
    assert envelope_shares(Envelope("noise", (run,)), 0.5, 0.01).population is None


def test_radii_printed_with_three_digits_are_not_taken_at_their_word() -> None:
    """Every radius whose print is at least 0.5 after rounding up: none below 0.5 may count."""
    exact = np.linspace(0.49, 0.51, 400)
    printed = [float(f"{radius:.3}") for radius in exact]
    run = replace(certified_run(printed), alpha=1e-9, log=True)
    assert run.certified(0.5) > Fraction(int((exact >= 0.5).sum()), 400)
    bound = run_shares(run, 0.5, 0.001).inputs
    assert bound is not None and 0 < bound <= Fraction(int((exact >= 0.5).sum()), 400)
