"""Jobs over archives and folders with networks of other tools, from the command line to the report and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from runtime.engine import prepare
from runtime.job import job_from
from tests.runtime.conftest import Command
from tests.runtime.data.archives import binary, cifar_batches, images, tarred
from tests.runtime.models.layouts import cohen, weights

VOTES = [
    "--inputs",
    "2",
    "--n0",
    "64",
    "--n",
    "64",
    "--alpha",
    "0.1",
    "--family",
    "gaussian",
    "--sigma",
    "0.25",
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """cifar.tar.gz with a test batch alone, and net.pth.tar without normalisation."""
    x, y = cifar_batches()["test_batch"]
    tarred({"cifar-10-batches-bin/test_batch.bin": binary(x, y)}, tmp_path / "cifar.tar.gz")
    torch.save(cohen(weights("cifar_resnet20"), "cifar_resnet20"), tmp_path / "net.pth.tar")
    return tmp_path


def test_a_public_checkpoint_on_a_public_archive(files: Path, called: Command) -> None:
    flags = ["certify", "--dataset", "cifar10:cifar.tar.gz", "--checkpoint", "net.pth.tar", *VOTES]
    done = called(*flags, "--normalise", "cifar10", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "on 4 held-out inputs, inputs in [0, 1], sigma 0.25 in units of [0, 1] = 63.75" in done.stdout
    report = json.loads(called("report", "run", "--json").stdout)
    assert report["runs"][0]["inputs"] == 2
    again = called("resume", "run")
    assert again.returncode == 0 and "clean accuracy" not in again.stdout
    other = called(*flags, "--normalise", "imagenet", "--out", "run")
    assert other.returncode == 2 and "normalise" in other.stderr
    network = files / "net.pth.tar"
    torch.save(cohen(weights("cifar_resnet20", seed=1), "cifar_resnet20"), network)
    changed = called("resume", "run")
    assert changed.returncode == 2 and len(changed.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--checkpoint", "net.pth.tar"], "pass --normalise cifar10"),
        (["--checkpoint", "net.pth.tar", "--model", "a:b"], "not both"),
        (["--model", "no_such_module_here:make", "--normalise", "none"], "cannot be imported"),
        ([], "no training part; pass --checkpoint or --model"),
        (["--checkpoint", "net.pth.tar", "--normalise", "cifar10", "--crop", "16"], "for image files"),
    ],
)
def test_what_is_missing_is_one_line_and_leaves_nothing(
    flags: list[str], words: str, files: Path, called: Command
) -> None:
    before = sorted(files.iterdir())
    done = called("certify", "--dataset", "cifar10:cifar.tar.gz", *VOTES, *flags)
    assert done.returncode == 2 and words in done.stderr
    assert len(done.stderr.splitlines()) == 1 and sorted(files.iterdir()) == before


def test_folders_of_images_keep_their_grid(tmp_path: Path, called: Command) -> None:
    image = pytest.importorskip("PIL.Image")
    for label in ("a", "b"):
        (tmp_path / "set" / "val" / label).mkdir(parents=True)
        array = images(1, ord(label), (12, 10, 3))[0]
        image.fromarray(array).save(tmp_path / "set" / "val" / label / "0.png")
    (tmp_path / "own_network_of_a_folder.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))\n"
    )
    values = {
        "dataset": f"folder:{tmp_path / 'set'}",
        "crop": 8,
        "sigmas": [0.25],
        "noise": [{"family": "gaussian"}],
        "training": {"model": "own_network_of_a_folder:make", "normalise": "none"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        prepared = prepare(job_from(values, "test"))
    assert prepared.dataset.shape == (3, 8, 8) and prepared.grid.denominator == 255
    assert np.array_equal(np.array(prepared.indices), [0, 1])


def test_a_small_public_architecture_can_be_trained(tmp_path: Path, called: Command) -> None:
    x = images(8, 1, (3, 8, 8))
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(8) % 2, x_test=x[:2], y_test=np.array([0, 1]))
    done = called(
        "certify", "--dataset", "d.npz", "--architecture", "cifar_resnet20", "--epochs", "1", *VOTES
    )
    assert done.returncode == 0, done.stderr
