"""Checkpoints: exact round trip; missing, truncated, foreign or hostile files are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from runtime.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from runtime.models import build_model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "networks" / "net.pt"
    network = build_model("mlp", (1, 8, 8), 10, seed=1)
    save_checkpoint(
        path, network, architecture="mlp", shape=(1, 8, 8), num_classes=10, training={"epochs": 3}
    )
    return path


def test_round_trip(saved: Path) -> None:
    again = load_checkpoint(saved)
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(again.model(x), build_model("mlp", (1, 8, 8), 10, seed=1)(x))
    assert not again.model.training
    assert (again.architecture, again.shape, again.num_classes) == ("mlp", (1, 8, 8), 10)
    assert again.training == {"epochs": 3} and len(again.sha256) == 64
    assert os.listdir(saved.parent) == ["net.pt"]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        load_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(keep: float, saved: Path) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ValueError, match="truncated"):
        load_checkpoint(saved)


class Hostile:
    """An object whose unpickling would make a folder."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.marker,)


def test_a_file_with_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save({"format": FORMAT, "state": Hostile(str(marker))}, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match="plain weights"):
        load_checkpoint(tmp_path / "bad.pt")
    assert not marker.exists()


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.zeros(3)}}, tmp_path / "foreign.pt")
    with pytest.raises(ValueError, match="not written by this program"):
        load_checkpoint(tmp_path / "foreign.pt")


@pytest.mark.parametrize(
    "change", [{"architecture": "vit"}, {"num_classes": 11}, {"shape": [3, 8, 8]}, {"state": {}}]
)
def test_contents_that_do_not_fit_are_refused(change: dict[str, Any], saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    torch.save({**content, **change}, saved)
    with pytest.raises(ValueError, match="does not fit") as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(
            saved, build_model("mlp", (1, 8, 8), 10), architecture="mlp", shape=(1, 8, 8), num_classes=10
        )
    assert saved.read_bytes() == before and os.listdir(saved.parent) == ["net.pt"]
