"""A job's keys choose the procedure; what does not go together is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.adaptive import AdaptiveSample
from runtime.eprocess import EProcess
from runtime.job import job_from
from runtime.noise import Noise
from runtime.procedure import FixedSample
from runtime.rule_choice import RuleSection
from runtime.rules import from_record
from runtime.sequential import GroupSequential
from runtime.store import load_runs
from tests.runtime.conftest import Command

NOISE = Noise("gaussian", 64, sigma=0.5)
TARGETS = {"target_radii": (0.5, 0.25), "target_adversary": 2}


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({}, FixedSample),
        ({"interval": "randomised", "two_class": True}, FixedSample),
        (TARGETS, GroupSequential),
        ({**TARGETS, "no_maximum": True}, EProcess),
        ({**TARGETS, "no_maximum": True, "most": 5000}, EProcess),
        ({"adaptive": True, "pilot": 200}, AdaptiveSample),
    ],
)
@pytest.mark.parametrize("familywise", [False, True])
def test_keys_choose_the_procedure_and_its_record_gives_it_back(
    familywise: bool, keys: dict[str, Any], kind: type
) -> None:
    section = RuleSection(familywise=familywise, **keys)
    rule = section.rule(NOISE, 50)
    assert type(rule) is kind
    alpha, family = section.bound_alphas(50)
    assert rule.record()["alpha"] == alpha
    assert (alpha, family) == (0.001, None) if not familywise else alpha * 50 <= 0.001 == family
    assert from_record(json.loads(json.dumps(rule.record()))) == rule
    assert rule.selection() == (200 if kind is AdaptiveSample else 100)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"interval": "wald"}, "clopper-pearson, randomised"),
        ({"target_radii": [0.5]}, "need target_adversary"),
        ({"target_adversary": 2}, "needs target_radii"),
        ({**TARGETS, "target_adversary": 3}, "1, 2 or inf"),
        ({"target_radii": [-1.0], "target_adversary": 2}, "target_radii"),
        ({"no_maximum": True}, "needs target_radii"),
        ({"most": 5}, "no_maximum"),
        ({**TARGETS, "adaptive": True}, "choose one"),
        ({**TARGETS, "two_class": True}, "fixed n"),
        ({"adaptive": True, "interval": "randomised"}, "fixed n"),
        ({"adaptive": "yes"}, "adaptive"),
        ({"pilot": 0}, "pilot"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        job_from({"sigmas": [0.5], "noise": [{"family": "gaussian"}], "certify": keys}, "test")
    assert "\n" not in str(caught.value)


SMALL = "--family gaussian --sigma 0.5 --inputs 6 --n 2000 --epochs 1 --architecture mlp --device cpu --quiet".split()


def test_target_radii_on_the_command_line(tmp_path: Path, called: Command) -> None:
    targets = "--target-radius 0.1 --target-radius 0.3 --target-adversary 2 --familywise".split()
    done = called("certify", *SMALL, *targets, "--out", "run")
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "run.json").read_text())["certify"]
    assert config["target_radii"] == [0.1, 0.3] and config["target_adversary"] == "2" and config["familywise"]
    (run,) = load_runs(tmp_path / "run")
    assert run.complete and run.procedure["procedure"] == "group-sequential" and run.family_alpha == 0.001
    assert run.alpha * 6 <= 0.001
    p0s = run.procedure["p0s"]
    for result in run.inputs:
        assert result.p_lower in (0.0, *p0s) and result.n <= 2000
        assert result.prediction == -1 or result.radii["2"] >= 0.1
    assert len({result.n for result in run.inputs}) > 1, "inputs stop at different looks"
    assert called("resume", "run", "--quiet").returncode == 0
    assert load_runs(tmp_path / "run") == (run,)
    assert called("reproduce", "run", "2").returncode == 0
    refused = called("certify", *SMALL, *targets, "--target-radius", "0.4", "--out", "run")
    assert refused.returncode == 2 and "certify.target_radii" in refused.stderr
    unreachable = called("certify", *SMALL, "--target-radius", "9", "--target-adversary", "2", "--out", "new")
    assert unreachable.returncode == 2 and len(unreachable.stderr.splitlines()) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "flags", ["--adaptive --pilot 300", "--two-class", "--interval randomised", "--no-maximum --most 3000"]
)
def test_every_procedure_runs_and_is_read_back(flags: str, tmp_path: Path, called: Command) -> None:
    target = "--target-radius 0.2 --target-adversary 2".split() if "maximum" in flags else []
    done = called("certify", *SMALL, *flags.split(), *target, "--out", "run")
    assert done.returncode == 0, done.stderr
    (run,) = load_runs(tmp_path / "run")
    assert run.complete and len(run.inputs) == 6
    summary = json.loads(called("report", "run", "--radii", "0.1", "--json").stdout)["runs"]
    assert summary and all(entry["complete"] for entry in summary)
