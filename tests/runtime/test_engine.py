"""The engine: finished parts are reused, and workers change no count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from runtime.engine import PreparedJob, certify_job, network_path, prepare, train_job
from runtime.job import job_from
from runtime.rng import Stretch
from runtime.sampling import Launched, VoteSampler
from runtime.smooth import SmoothedClassifier
from runtime.store import RunStore, load_runs


@pytest.fixture(scope="module")
def prepared() -> PreparedJob:
    values = {
        "sigmas": [0.5],
        "device": "cpu",
        "noise": [{"family": "uniform"}],
        "training": {"architecture": "mlp", "epochs": 1},
        "certify": {"n": 300, "chunk": 128, "inputs": 4},
    }
    return prepare(job_from(values, "test"))


def run(prepared: PreparedJob, folder: Path) -> tuple[list[str], list[str]]:
    said: list[str] = []
    advanced: list[str] = []
    with RunStore(folder, prepared.config, prepared.plans) as store:
        certify_job(prepared, store, said.append, advanced.append)
    return said, advanced


def test_finished_parts_are_reused(prepared: PreparedJob, tmp_path: Path) -> None:
    with RunStore(tmp_path / "a", prepared.config, prepared.plans) as store:
        train_job(prepared, store, lambda _: None)
    said, advanced = run(prepared, tmp_path / "a")
    assert not any("trained" in line for line in said) and advanced == ["uniform-0.5"] * 4
    assert sum("clean accuracy" in line for line in said) == 1
    assert run(prepared, tmp_path / "a") == ([], [])


@pytest.mark.parametrize("cores", [1, 3])
def test_a_stored_run_is_what_the_smoothed_classifier_says(
    cores: int, prepared: PreparedJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.checkpoint import load_checkpoint

    monkeypatch.setattr("runtime.engine.cores", lambda: cores)
    run(prepared, tmp_path / "a")
    (stored,) = load_runs(tmp_path / "a")
    plan = prepared.plans[0]
    model = load_checkpoint(network_path(tmp_path / "a", plan)).model
    smoothed = SmoothedClassifier(model, plan.noise, 10, grid=prepared.grid.denominator)
    certificates = smoothed.certify(prepared.dataset.x_test[:4], n=300, seed=stored.seed)
    assert isinstance(certificates, list)
    for result, certificate in zip(stored.inputs, certificates, strict=True):
        assert (result.prediction, result.p_lower) == (certificate.prediction, certificate.p_lower)
        assert result.counts == certificate.counts and result.radii == certificate.radii
        assert result.label == int(prepared.dataset.y_test[result.index])


def test_a_fault_in_a_worker_reaches_the_caller_and_keeps_what_was_recorded(
    prepared: PreparedJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(
        sampler: VoteSampler, stretches: Sequence[Stretch], centres: Sequence[torch.Tensor]
    ) -> Launched:
        if any(stretch.index == 2 for stretch in stretches):
            raise ValueError("broken input")
        return launch(sampler, stretches, centres)

    launch = VoteSampler.launch
    monkeypatch.setattr(VoteSampler, "launch", failing)
    with pytest.raises(ValueError, match="broken input"):
        run(prepared, tmp_path / "a")
    finished = [result.index for result in load_runs(tmp_path / "a")[0].inputs]
    assert 2 not in finished
    with RunStore(tmp_path / "a", None) as store:
        kept = [store.chunks("uniform-0.5", index) for index in (0, 1, 3)]
        assert all(chunks["selection"] for chunks in kept) and not store.chunks("uniform-0.5", 2)["selection"]
    monkeypatch.setattr(VoteSampler, "launch", launch)
    run(prepared, tmp_path / "a")
    run(prepared, tmp_path / "b")
    resumed, whole = (load_runs(tmp_path / name)[0] for name in "ab")
    assert [r.counts for r in resumed.inputs] == [r.counts for r in whole.inputs]
