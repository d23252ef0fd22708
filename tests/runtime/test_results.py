"""Result records refuse to contradict themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtime.results import ABSTAIN, InputResult, RunResult

GOOD = InputResult(
    index=3,
    label=1,
    prediction=1,
    p_lower=0.9,
    radii={"1": 0.8, "2": 0.8, "inf": 0.1},
    counts=(2, 97),
    n=100,
    failed=1,
    seconds=0.5,
)
RUN = RunResult(
    name="uniform-0.5",
    group="uniform",
    family="uniform",
    params={},
    sigma=0.5,
    scale=0.866,
    dim=64,
    n0=10,
    n=100,
    alpha=0.001,
    seed=0,
    num_classes=2,
    clean_accuracy=None,
    inputs=(GOOD,),
    complete=True,
)


def test_a_consistent_record_stands_and_is_frozen() -> None:
    assert GOOD.correct and not replace(GOOD, label=0).correct
    with pytest.raises(TypeError):
        GOOD.radii["1"] = 9.0  # type: ignore[index]
    abstained = replace(GOOD, prediction=ABSTAIN, p_lower=0.4, radii={"1": 0.0})
    assert not abstained.correct


@pytest.mark.parametrize(
    "change",
    [
        {"index": -1},
        {"label": 2},
        {"prediction": 2},
        {"prediction": ABSTAIN},
        {"p_lower": 0.5},
        {"p_lower": 1.5},
        {"p_lower": float("nan")},
        {"radii": {"1": -0.1}},
        {"radii": {"1": float("nan")}},
        {"radii": {"3": 0.1}},
        {"counts": (2, 98)},
        {"counts": (-1, 100)},
        {"counts": (99,)},
        {"failed": -1},
        {"n": 99},
        {"seconds": -1.0},
        {"prediction": ABSTAIN, "p_lower": 0.4},
    ],
)
def test_contradictory_inputs_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="input"):
        replace(GOOD, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"sigma": 0.0},
        {"scale": float("inf")},
        {"dim": 0},
        {"alpha": 1.0},
        {"num_classes": 3},
        {"clean_accuracy": 1.1},
        {"n": 99},
        {"inputs": (GOOD, GOOD)},
    ],
)
def test_contradictory_runs_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="run 'uniform-0.5'"):
        replace(RUN, **change)
