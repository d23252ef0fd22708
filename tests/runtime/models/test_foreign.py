"""Checkpoints in public layouts give the network that their weights describe; what does not say enough is refused."""

from __future__ import annotations

import datetime
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from runtime.checkpoint import save_checkpoint
from runtime.foreign import load_foreign
from runtime.models import Normalise, build_model
from runtime.models.normalise import KNOWN
from tests.runtime.models.layouts import cohen, macer, prefixed, weights, yang
from tests.runtime.models.reference import residual, wide

SHAPE = (3, 32, 32)
REFERENCES = {"wide_resnet40_2": wide}


def saved(content: Any, folder: Path) -> Path:
    path = folder / "checkpoint.pth.tar"
    torch.save(content, path)
    return path


def normalised(x: torch.Tensor, known: str) -> torch.Tensor:
    means, deviations = (torch.tensor(values).view(1, 3, 1, 1) for values in KNOWN[known])
    return (x - means) / deviations


@pytest.mark.parametrize(
    ("architecture", "arch"),
    [("cifar_resnet110", "cifar_resnet110"), ("cifar_resnet20", "cifar_resnet20"), ("wide_resnet40_2", None)],
)
@pytest.mark.parametrize("layout", ["1.", "1.module.", "bare", "net", "norm"])
def test_every_layout_gives_the_network_of_its_weights(
    architecture: str, arch: str | None, layout: str, tmp_path: Path
) -> None:
    state = weights(architecture)
    contents = {
        "1.": lambda: cohen(state, arch or "none"),
        "1.module.": lambda: cohen(state, arch or "none", parallel=True),
        "bare": lambda: prefixed(state, "module."),
        "net": lambda: macer(state),
        "norm": lambda: yang(state),
    }
    asked = {"net": "none", "norm": None}.get(layout, "cifar10")
    found = load_foreign(saved(contents[layout](), tmp_path), SHAPE, None, asked)
    assert (found.architecture, found.num_classes, found.shape) == (architecture, 10, SHAPE)
    assert not found.model.training and len(found.sha256) == 64
    x = torch.rand((2, *SHAPE), generator=torch.Generator().manual_seed(1))
    reference = REFERENCES.get(architecture, residual)
    expected = reference(state, x if asked == "none" else normalised(x, "cifar10"))
    with torch.no_grad():
        assert torch.allclose(found.model(x), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_the_large_network_in_the_layout_of_parallel_training(tmp_path: Path) -> None:
    state = weights("imagenet_resnet50", classes=1000)
    assert (
        sum(value.numel() for key, value in state.items() if key.endswith(("weight", "bias"))) == 25_557_032
    )
    assert state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1) and state["fc.weight"].shape == (
        1000,
        2048,
    )
    path = saved(cohen(state, "resnet50", parallel=True), tmp_path)
    found = load_foreign(path, (3, 64, 64), None, "imagenet")
    assert (found.architecture, found.num_classes, found.training) == (
        "imagenet_resnet50",
        1000,
        {"epoch": 90},
    )
    x = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(2))
    expected = residual(state, normalised(x, "imagenet"))
    with torch.no_grad():
        assert torch.allclose(found.model(x), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_published_sizes_and_names() -> None:
    state = weights("cifar_resnet110")
    assert sum(value.numel() for key, value in state.items() if key.endswith(("weight", "bias"))) == 1_730_714
    assert (
        state["layer3.17.conv2.weight"].shape == (64, 64, 3, 3)
        and "layer2.0.downsample.1.running_var" in state
    )
    state = weights("wide_resnet40_2")
    assert sum(value.numel() for key, value in state.items() if key.endswith(("weight", "bias"))) == 2_243_546
    assert state["block3.layer.0.convShortcut.weight"].shape == (128, 64, 1, 1)
    assert "block1.layer.5.bn2.running_mean" in state and "block1.layer.6.bn2.running_mean" not in state


def test_a_normalisation_within_the_file_is_used_and_must_agree(tmp_path: Path) -> None:
    state = weights("cifar_resnet20")
    means, sds = (torch.tensor(values) for values in KNOWN["cifar10"])
    held = {**prefixed(state, "1."), "0.means": means, "0.sds": sds}
    path = saved({"epoch": 1, "arch": "cifar_resnet20", "state_dict": held}, tmp_path)
    x = torch.rand(1, *SHAPE)
    with torch.no_grad():
        own = load_foreign(path, SHAPE).model(x)
        assert torch.equal(own, load_foreign(path, SHAPE, None, "cifar10").model(x))
        assert torch.allclose(own, residual(state, normalised(x, "cifar10")), rtol=1e-3, atol=1e-3)
    for asked in ("none", "imagenet", "0.5/0.5"):
        with pytest.raises(ValueError, match="contradicts"):
            load_foreign(path, SHAPE, None, asked)


def test_files_before_batch_counters_are_read(tmp_path: Path) -> None:
    state = {k: v for k, v in weights("cifar_resnet20").items() if not k.endswith("num_batches_tracked")}
    assert load_foreign(saved(macer(state), tmp_path), SHAPE, None, "none").architecture == "cifar_resnet20"


def test_a_file_that_does_not_say_how_it_normalises_needs_the_flag(tmp_path: Path) -> None:
    path = saved(cohen(weights("cifar_resnet20"), "cifar_resnet20"), tmp_path)
    with pytest.raises(ValueError, match=r"--normalise cifar10, imagenet, mnist, none, or MEANS"):
        load_foreign(path, SHAPE)
    with pytest.raises(ValueError, match=r"is not known; pass --normalise"):
        load_foreign(path, SHAPE, None, "cifar")
    with pytest.raises(ValueError, match="2 channels"):
        load_foreign(path, SHAPE, None, "0.5,0.5/0.2,0.2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {**c, "arch": "cifar_resnet110"}, "cifar_resnet110 is named in the file"),
        (
            lambda c: {**c, "state_dict": {k: v for k, v in c["state_dict"].items() if "fc" not in k}},
            "those of none",
        ),
        (lambda c: {**c, "state_dict": {**c["state_dict"], "1.extra": torch.zeros(1)}}, "those of none"),
        (lambda c: {"weights": torch.zeros(2)}, "those of none|no state dict"),
        (lambda c: {"epoch": 3}, "not written by this program and holds no state dict"),
        (lambda c: [1, 2], "no state dict"),
        (
            lambda c: {**c, "state_dict": {**c["state_dict"], "0.scale": torch.zeros(1)}},
            "unknown weights: scale",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    path = saved(change(cohen(weights("cifar_resnet20"), "cifar_resnet20")), tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        load_foreign(path, SHAPE, None, "cifar10")
    assert "\n" not in str(caught.value)


def test_another_architecture_than_asked_for_is_refused(tmp_path: Path) -> None:
    path = saved(macer(weights("cifar_resnet20")), tmp_path)
    assert load_foreign(path, SHAPE, "cifar_resnet20", "none").architecture == "cifar_resnet20"
    with pytest.raises(ValueError, match="holds a cifar_resnet20, but wide_resnet40_2 is asked for"):
        load_foreign(path, SHAPE, "wide_resnet40_2", "none")


class Hostile:
    """An object whose unpickling would make a folder."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.marker,)


def test_a_file_that_would_run_code_is_refused_with_the_safe_way(tmp_path: Path) -> None:
    content = cohen(weights("cifar_resnet20"), "cifar_resnet20")
    for extra in (Hostile(str(tmp_path / "ran")), datetime.timedelta(1)):
        path = saved({**content, "args": extra}, tmp_path)
        with pytest.raises(ValueError, match=r"asks to run [\w.]+; nothing was run.*torch\.save") as caught:
            load_foreign(path, SHAPE, None, "cifar10")
        assert "\n" not in str(caught.value) and not (tmp_path / "ran").exists()


def test_a_plain_pickle_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(pickle.dumps(Hostile(str(tmp_path / "ran")), protocol=4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            ValueError, match=r"an instruction \(149\) that these have not; nothing was run"
        ) as caught:
            load_foreign(path, SHAPE, None, "none")
    assert "\n" not in str(caught.value) and not (tmp_path / "ran").exists()


def test_networks_of_this_program_are_read_as_they_are(tmp_path: Path) -> None:
    network = build_model("mlp", (1, 8, 8), 10, seed=1)
    save_checkpoint(tmp_path / "own.pt", network, architecture="mlp", shape=(1, 8, 8), num_classes=10)
    assert load_foreign(tmp_path / "own.pt", (1, 8, 8)).architecture == "mlp"
    with pytest.raises(ValueError, match="leave --normalise out"):
        load_foreign(tmp_path / "own.pt", (1, 8, 8), None, "cifar10")


def test_normalisation_is_checked() -> None:
    x = torch.rand(2, 3, 4, 4)
    assert torch.allclose(Normalise((0.5,), (0.25,))(x), (x - 0.5) / 0.25)
    assert list(Normalise((0.5,), (0.25,)).state_dict()) == []
    for means, deviations in (((), ()), ((0.5,), (0.0,)), ((0.5, 0.5), (1.0,)), ((float("nan"),), (1.0,))):
        with pytest.raises(ValueError, match="as many finite means"):
            Normalise(means, deviations)
