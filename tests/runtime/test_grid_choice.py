"""A job's grid: found, asked for or turned off; part of the run's identity, and said to the user."""

from __future__ import annotations

import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from runtime.data.images import Chosen, LazyImages
from runtime.engine import examine_network, prepare
from runtime.grid import SAMPLED, grid_of
from runtime.grid_choice import check_setting, choose_grid
from runtime.job import job_from
from runtime.noise import Noise
from runtime.sampling import Launched, Votes
from runtime.store import RunStore, load_runs
from tests.runtime.conftest import Command

SMALL = ("--inputs", "2", "--n", "256", "--epochs", "1", "--quiet", "--sigma", "0.5")
NOISES = {"a": Noise("exp_linf", 64, sigma=0.5)}
COARSE = {3: torch.full((1, 8, 8), 3 / 16), 5: torch.full((1, 8, 8), 1.0)}


def test_the_grid_is_found_asked_for_or_off() -> None:
    found = choose_grid("auto", COARSE, NOISES)
    assert found.denominator == found.setting == 256 and found.remarks == ()
    assert found.sources == {"a": found.noises["a"].source}
    assert choose_grid(16, COARSE, NOISES).setting == 16
    off = choose_grid("none", COARSE, NOISES)
    assert off.setting == "none" and not off.noises and "last bits" in off.remarks[0]
    anywhere = choose_grid("auto", {0: torch.rand(1, 8, 8)}, NOISES)
    assert anywhere.setting == "none" and "no grid" in anywhere.remarks[0]


def test_an_input_off_the_grid_is_named() -> None:
    with pytest.raises(ValueError, match=r"input 3: .*off the grid k/255"):
        choose_grid(255, COARSE, NOISES)
    for value in (0, 65536, 1.5, True, "255", "fine", None):
        with pytest.raises(ValueError, match="or auto, or none"):
            check_setting(value)
    with pytest.raises(
        ValueError, match=r"certify\.grid: grid must be an integer denominator in \[1, 65535\]"
    ):
        job_from({"sigmas": [1.0], "noise": [{"family": "uniform"}], "certify": {"grid": 0}}, "test")


@pytest.mark.parametrize(("setting", "levels"), [("auto", 255), ("auto", 4095), (255, 255)])
def test_inputs_are_looked_at_one_by_one(setting: int | str, levels: int) -> None:
    """Also where several denominators are tried; 40 images at once would be 40 times the memory."""
    made: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def image(index: int) -> torch.Tensor:
        nonlocal most
        one = torch.randint(0, levels + 1, (1, 8, 8), generator=torch.Generator().manual_seed(index)) / levels
        made.append(weakref.ref(one))
        most = max(most, sum(ref() is not None for ref in made))
        return one

    found = choose_grid(setting, Chosen(LazyImages(50, image), range(3, 43)), NOISES)
    assert found.denominator == levels and len(made) > 40
    assert most <= 3


def test_chosen_images_are_those_of_their_indices() -> None:
    chosen = Chosen(torch.arange(10.0), [7, 2])
    assert list(chosen) == [7, 2] and len(chosen) == 2 and 3 not in chosen
    assert [float(one) for one in chosen.values()] == [7.0, 2.0]
    with pytest.raises(KeyError):
        chosen[3]


def archive(path: Path, levels: int | None) -> str:
    rng = np.random.default_rng(0)
    size = (40, 1, 8, 8)
    images = rng.random(size) if levels is None else rng.integers(0, levels + 1, size) / levels
    x, y = images.astype(np.float32), np.arange(40) % 2
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    return str(path)


def settled(folder: Path) -> dict[str, object]:
    config = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return {"grid": config["certify"]["grid"], "noise": config["grid_noise"]}


def test_jobs_use_the_grid_by_default_and_say_when_they_do_not(called: Command, tmp_path: Path) -> None:
    bytes_, reals = archive(tmp_path / "bytes.npz", 255), archive(tmp_path / "reals.npz", None)
    common = ("certify", "--family", "exp_linf", *SMALL)
    done = called(*common, "--dataset", bytes_, "--out", "on")
    assert done.returncode == 0 and "warning" not in done.stderr
    assert settled(tmp_path / "on")["grid"] == 255
    again = called("resume", "on", "--quiet")
    assert again.returncode == 0 and "warning" not in again.stderr

    other = called(*common, "--dataset", bytes_, "--no-grid", "--out", "on")
    assert other.returncode == 2 and "certify.grid" in other.stderr, "the grid is part of the run's identity"
    off = called(*common, "--dataset", bytes_, "--no-grid", "--out", "off")
    assert off.returncode == 0 and "warning: the grid is off" in off.stderr
    assert settled(tmp_path / "off") == {"grid": "none", "noise": {}}
    found = called(*common, "--dataset", reals, "--out", "reals")
    assert found.returncode == 0 and "warning: the inputs lie on no grid" in found.stderr

    for flags, message in (
        (("--grid", "16"), "input 0: an input has"),
        (("--grid", "0"), "denominator in"),
        (("--grid", "255", "--no-grid"), "exclude each other"),
    ):
        refused = called(*common, "--dataset", bytes_, *flags, "--out", "refused")
        assert refused.returncode == 2 and message in refused.stderr and len(refused.stderr.splitlines()) == 1
        assert not (tmp_path / "refused").exists()


def test_the_network_is_measured_once_and_recorded(called: Command, tmp_path: Path) -> None:
    first = called("certify", "--family", "exp_linf", *SMALL[:-3], "--sigma", "0.5", "--out", "run")
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("network of exp_linf-0.5: the same logits when a batch is repeated") == 1
    with RunStore(tmp_path / "run", None) as store:
        record = store.invariance("exp_linf-0.5")
        assert store.invariance("other") is None
    assert record is not None and record["repeatable"] is True and record["inputs"] == 64
    assert set(record["differing"]) == {"1", "16", "64"}
    (run,) = load_runs(tmp_path / "run")
    assert dict(run.invariance) == record and run.grid == 256 and run.grid_noise == SAMPLED
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "noise in integers on the grid k/256 of the inputs, sampled in float64, then rounded to it" in page
    assert (
        "network in fp32: the same logits when a batch is repeated; 0 of 64 noisy inputs change class" in page
    )


def test_a_job_warns_of_a_network_that_is_no_fixed_function(tmp_path: Path) -> None:
    prepared = prepare(job_from({"sigmas": [0.5], "noise": [{"family": "exp_linf"}]}, "test"))
    said: list[str] = []
    warned: list[str] = []

    class Drawing(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.rand(len(x), 10)

    with RunStore(tmp_path / "run", prepared.config, prepared.plans) as store:
        plan = prepared.plans[0]
        examine_network(prepared, store, plan, Drawing(), said.append, warned.append)
        record = store.invariance(plan.name)
    assert record is not None and record["repeatable"] is False
    assert len(said) == 1 and len(warned) == 2 and "other logits" in warned[0] and "change class" in warned[1]


def test_failed_votes_are_reported(called: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Launched, "votes", _one_failed)
    done = called("certify", "--family", "exp_linf", *SMALL, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "warning: run exp_linf-0.5: 2 of 512 votes failed" in done.stderr


def _one_failed(launched: Launched) -> list[Votes]:
    return [Votes((sum(row) - 1, *(0 for _ in row[2:])), 1) for row in launched._counts.tolist()]


def test_the_built_in_job_lies_on_a_grid() -> None:
    prepared = prepare(job_from({"sigmas": [0.5], "noise": [{"family": "exp_linf"}]}, "test"))
    assert prepared.config["certify"]["grid"] == 256 and prepared.remarks == ()
    assert grid_of([prepared.dataset.x_test[0]]) == 256
