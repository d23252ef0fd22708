"""What a stored run, a noise or a call must not be taken for: one clear line each."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generated import registry
from runtime import Noise, SmoothedClassifier
from runtime.confidence import lower_bound
from runtime.data import load_dataset
from runtime.job import job_from
from runtime.numerals import shortest
from runtime.sampling import Votes
from runtime.store import DATABASE, LOCK, RunPlan, RunStore, load_runs
from tests.runtime.conftest import environment

NOISE = Noise("uniform", 64, sigma=0.5)
PLAN = RunPlan("uniform-0.5", "uniform", NOISE, 100, 200, 0.001, 7, 2, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with RunStore(tmp_path / "run", {"name": "run"}, [PLAN]) as store:
        store.record(PLAN.name, 0, "selection", 0, Votes((1, 99), 0), 0.1)
        store.record(PLAN.name, 0, "estimation", 0, Votes((1, 199), 0), 0.1, finished_label=1)
    return tmp_path / "run"


def test_a_changed_density_certifies_no_old_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(load_runs(folder)) == 1
    monkeypatch.setattr(registry.load("uniform"), "SPEC_HASH", "0000")
    for call in (lambda: load_runs(folder), lambda: RunStore(folder, None)):
        with pytest.raises(ValueError, match="density of uniform changed since the votes"):
            call()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM chunk WHERE purpose = 'selection'",
        "UPDATE chunk SET n = 99 WHERE purpose = 'selection'",
        "UPDATE chunk SET n = 98, counts = '[1, 97]' WHERE purpose = 'selection'",
        "UPDATE chunk SET counts = '[200' WHERE purpose = 'estimation'",
        "DELETE FROM meta WHERE key = 'densities'",
    ],
)
def test_counts_that_contradict_themselves_are_refused(damage: str, folder: Path) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    with connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(ValueError, match="damaged"):
        load_runs(folder)


def test_a_refused_folder_gets_no_lock(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(ValueError, match="another program"):
        RunStore(tmp_path, {"name": "run"}, [PLAN])
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("family", ["uniform", "laplace", "exp_linf"])
def test_the_scale_is_a_float32_number_just_below(family: str) -> None:
    noise = Noise(family, 64, sigma=0.3)
    exact = registry.load(family).scale_of_sigma(0.3, dim=64, **dict(noise.params))
    assert float(np.float32(noise.scale)) == noise.scale <= exact < noise.scale * (1.0 + 1.3e-7)


@pytest.mark.parametrize("keys", [{"dim": 10**400, "sigma": 1.0}, {"dim": 4, "sigma": 10**400}])
def test_numbers_beyond_floats_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="dim|sigma"):
        Noise("uniform", **keys)


@pytest.mark.parametrize("rho", [[0.9], None, np.float32(0.9), "0.9"])
def test_probabilities_of_another_type_are_refused(rho: Any) -> None:
    with pytest.raises(ValueError, match="float64"):
        NOISE.radius(rho)


def test_noise_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="float32 or"):
        NOISE.sample((2, 64), torch.Generator(), dtype=torch.float16)


def test_a_model_of_another_floating_type_gets_its_own() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)).double()
    smoothed = SmoothedClassifier(model, NOISE, 2)
    found = smoothed.certify(torch.zeros(1, 8, 8), n0=np.int64(64), n=np.int64(64))  # type: ignore[arg-type]
    assert not isinstance(found, list) and found.n == 64
    for keys in ({"first_index": 0.5}, {"batch_size": 64.0}, {"n": 2**60}):
        with pytest.raises(ValueError, match="integer"):
            smoothed.certify(torch.zeros(1, 8, 8), **keys)  # type: ignore[arg-type]


def test_tiny_failure_probabilities() -> None:
    assert lower_bound(2, 2, 1e-50) == pytest.approx(1e-25, rel=1e-9)
    assert lower_bound(2, 2, 1e-50) <= 1e-25
    with pytest.raises(ValueError, match="at least 1e-300"):
        lower_bound(2, 2, 1e-301)


def test_texts_tell_numbers_apart() -> None:
    assert [shortest(x) for x in (1.0, 0.5, 0.99999999)] == ["1", "0.5", "0.99999999"]


def test_integers_beyond_reason_are_refused() -> None:
    values = {"sigmas": [0.5], "noise": [{"family": "uniform"}], "certify": {"n": 10**19}}
    with pytest.raises(ValueError, match=r"certify\.n"):
        job_from(values, "test")


def test_damaged_archives_and_wild_labels_are_refused(tmp_path: Path) -> None:
    x, y = np.zeros((2, 1, 2, 2)), np.array([0, 1])
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x_train=x, y_train=y, x_test=x, y_test=y)
    data = bytearray(path.read_bytes())
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            load_dataset(str(path))
        except ValueError as error:
            assert "\n" not in str(error)
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=np.array([0, 10**6]))
    with pytest.raises(ValueError, match="label 1000000"):
        load_dataset(str(path))


def test_an_interrupt_during_the_imports_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import time\nopen('started', 'w').close()\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime", "report", "x"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment()['PYTHONPATH']}"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and errors == "interrupted\n"
