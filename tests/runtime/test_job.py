"""Job files: every key checked, every fault named in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.data import load_dataset
from runtime.engine import prepare
from runtime.job import indices_of, job_from, plans_of, read_job_file

GOOD: dict[str, Any] = {
    "sigmas": [0.25, 0.5],
    "noise": [{"family": "uniform"}, {"family": "exp_linf", "params": {"k": 2.0}}],
    "certify": {"n": 500, "inputs": 7, "first": 3, "step": 10},
}


def test_the_built_in_job_is_valid_and_compares_noises_at_the_same_sigmas() -> None:
    job = job_from(read_job_file("digits"), "digits")
    prepared = prepare(job)
    assert [entry.family for entry in job.noise] == ["uniform", "exp_linf", "laplace", "gaussian"]
    assert len(prepared.plans) == 4 * len(job.sigmas)
    for plan in prepared.plans:
        assert set(plan.noise.adversaries) == {"1", "2", "inf"}
        assert plan.noise.sigma in job.sigmas


def test_a_job_unfolds_into_named_runs_with_seeds_of_their_own() -> None:
    digits = load_dataset("digits")
    job = job_from(GOOD, "test")
    plans = plans_of(job, digits)
    names = ["uniform-0.25", "uniform-0.5", "exp_linf-k2-0.25", "exp_linf-k2-0.5"]
    assert [plan.name for plan in plans] == names
    assert [plan.group for plan in plans] == ["uniform", "uniform", "exp_linf-k2", "exp_linf-k2"]
    assert len({plan.seed for plan in plans}) == 4
    assert plans[2].noise.params == {"k": 2.0, "j": 0.0}
    assert indices_of(job, digits) == [3, 13, 23, 33, 43, 53, 63]
    other = plans_of(job_from({**GOOD, "seed": 1}, "test"), digits)
    assert {plan.seed for plan in other}.isdisjoint(plan.seed for plan in plans)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "unknown key extra"),
        ({"certify": {"votes": 1}}, "unknown key certify.votes"),
        ({"sigmas": []}, "sigmas"),
        ({"sigmas": [0.5, 0.5]}, "distinct"),
        ({"sigmas": [-1.0]}, "sigmas.0.*-1.0"),
        ({"sigmas": [float("nan")]}, "sigmas.0"),
        ({"noise": [{"family": "uniform"}, {"family": "uniform"}]}, "distinct"),
        ({"noise": [{"family": "uniform", "name": "../x"}]}, "noise.0.name"),
        ({"noise": [{}]}, "noise.0.family is required"),
        ({"name": "a/b"}, "name"),
        ({"seed": -1}, "seed"),
        ({"device": "tpu"}, "device"),
        ({"training": {"architecture": "vit"}}, "cnn, mlp"),
        ({"training": {"epochs": 0}}, "training.epochs"),
        ({"certify": {"n": 9}}, "smallest useful n is 10"),
        ({"certify": {"n": 10.5}}, "certify.n"),
        ({"certify": {"alpha": 1.0}}, "certify.alpha"),
        ({"certify": {"inputs": 0}}, "certify.inputs"),
        ({"certify": {"chunk": 100}}, "multiple of 64"),
        ({"certify": {"first": 500}}, "500 held-out inputs"),
        ({"noise": [{"family": "nonsense"}]}, "uniform"),
        ({"noise": [{"family": "exp_linf", "params": {"k": -1.0}}]}, "k"),
        ({"noise": [{"family": "uniform", "params": {"q": 1.0}}]}, "no parameter 'q'"),
        ({"dataset": "mnist"}, "unknown dataset"),
        ({"training": {"checkpoint": "none.pt"}}, "none.pt does not exist"),
    ],
)
def test_faulty_jobs_are_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        prepare(job_from({**GOOD, **change}, "test"))
    assert "\n" not in str(caught.value)


def test_several_faults_are_named_together() -> None:
    with pytest.raises(ValueError, match="unknown key extra.*certify.n0|certify.n0.*unknown key extra"):
        job_from({**GOOD, "extra": 1, "certify": {"n0": 0}}, "test")


def test_job_files_are_found_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('sigmas = [0.5]\n[[noise]]\nfamily = "laplace"\n')
    assert job_from(read_job_file(str(path)), "mine").noise[0].label == "laplace"
    path.write_text("sigmas = [")
    with pytest.raises(ValueError, match="cannot be read"):
        read_job_file(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="cannot be read"):
        read_job_file(str(path))
    with pytest.raises(ValueError, match="digits"):
        read_job_file(str(tmp_path / "none.toml"))
