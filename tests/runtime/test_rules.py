"""Settings choose a procedure; records give it back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from runtime.adaptive import AdaptiveSample
from runtime.eprocess import EProcess
from runtime.noise import Noise
from runtime.procedure import FixedSample, Procedure, familywise_alpha
from runtime.rules import from_record, procedure_for
from runtime.sequential import GroupSequential

NOISE = Noise("gaussian", 64, sigma=0.5)
SETTINGS: list[tuple[dict[str, Any], type]] = [
    ({}, FixedSample),
    ({"two_class": True, "interval": "randomised", "adversary": math.inf}, FixedSample),
    ({"targets": [1.0, 0.5], "adversary": 2}, GroupSequential),
    ({"targets": [0.5], "n": None}, EProcess),
    ({"targets": [0.5], "n": None, "most": 10**6}, EProcess),
    ({"fraction": 0.9, "n0": 200, "n": 20_000}, AdaptiveSample),
]


@pytest.mark.parametrize(("settings", "kind"), SETTINGS, ids=str)
def test_settings_choose_a_procedure_and_its_record_gives_it_back(
    settings: dict[str, Any], kind: type
) -> None:
    procedure = procedure_for(NOISE, **settings)
    assert isinstance(procedure, kind) and isinstance(procedure, Procedure)
    assert from_record(json.loads(json.dumps(procedure.record()))) == procedure


def test_a_set_of_inputs_shares_alpha() -> None:
    for settings, _ in SETTINGS:
        record = procedure_for(NOISE, 250, familywise=True, alpha=0.01, **settings).record()
        assert record["alpha"] == familywise_alpha(0.01, 250)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targets": [0.5], "two_class": True}, "leave interval, two_class and fraction away"),
        ({"targets": [0.5], "most": 1000}, "give either n or most"),
        ({"n": None}, "give n"),
        ({"fraction": 0.9, "interval": "randomised"}, "one plain bound"),
        ({"adversary": 3}, "adversary must be 1, 2 or inf, got 3"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        procedure_for(NOISE, **settings)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "procedure must be one of fixed, group-sequential, e-process, adaptive, got None"),
        ({"procedure": ["fixed"]}, "procedure must be one of"),
        ({"procedure": "fixed", "n0": 100, "n": 1000}, "not complete"),
        ({"procedure": "fixed", "n0": 100, "n": 1000, "alpha": 0.001, "beta": 1}, "not complete"),
        ({"procedure": "fixed", "n0": 0, "n": 1000, "alpha": 0.001}, "n0 must be an integer"),
    ],
)
def test_bad_records_are_refused(record: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_record(record)
