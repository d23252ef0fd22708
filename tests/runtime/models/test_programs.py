"""Networks that are programs: each form gives the network's logits; missing, damaged or unfit ones are refused."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from runtime.given import given_network
from runtime.models import build_model
from runtime.noise import Noise
from runtime.programs import is_factory, load_program
from runtime.sampling import count_votes
from tests.runtime.models.onnx_file import linear_onnx

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)
ONNX = importlib.util.find_spec("onnxruntime") is not None


@pytest.fixture
def network() -> nn.Module:
    return build_model("cnn", SHAPE, 10, seed=3).eval()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the user's on the import path."""
    text = (
        "import torch\nfrom runtime.models import build_model\n"
        "def make():\n    return build_model('cnn', (1, 8, 8), 10, seed=3)\n"
        "def plain():\n    network = make().eval()\n    return lambda x: network(x)\n"
        "ready = make()\nnumber = 3\n"
        "def needs(x):\n    return x\n"
        "def wrong():\n    return 7\n"
    )
    (tmp_path / "users_own_network.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "users_own_network", raising=False)
    return tmp_path


def exported(network: nn.Module, path: Path, batch: int | None = None) -> Path:
    dim = {0: torch.export.Dim("b")} if batch is None else None
    example = torch.rand(batch or 4, *SHAPE)
    program = torch.export.export(network, (example,), dynamic_shapes=None if dim is None else (dim,))
    torch.export.save(program, path)
    return path


def agrees(model: nn.Module, network: nn.Module) -> None:
    x = torch.rand(5, *SHAPE)
    with torch.no_grad():
        assert torch.allclose(model(x), network(x), rtol=1e-5, atol=1e-5)
    noise = Noise("gaussian", dim=64, sigma=0.5)
    arguments: dict[str, Any] = {"seed": 1, "index": 0, "purpose": "selection", "start": 0, "stop": 64}
    votes = [count_votes(each, x[0], noise, 10, **arguments) for each in (model, network)]
    assert votes[0] == votes[1]


@pytest.mark.parametrize("name", ["make", "plain", "ready"])
def test_a_factory_a_callable_and_a_module(name: str, own: Path, network: nn.Module) -> None:
    model, digest = load_program(f"users_own_network:{name}", CPU)
    agrees(model, network)
    assert not model.training and len(digest) == 64
    assert load_program(f"users_own_network:{name}", CPU)[1] == digest


def test_the_digest_of_a_factory_tells_weights_apart(own: Path) -> None:
    first = load_program("users_own_network:ready", CPU)[1]
    module = sys.modules["users_own_network"]
    with torch.no_grad():
        module.ready[0].weight[0, 0, 0, 0] += 1.0
    assert load_program("users_own_network:ready", CPU)[1] != first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("users_own_network:absent", "has no absent"),
        ("no_such_module_here:make", "cannot be imported"),
        ("users_own_network:number", "must be a function"),
        ("users_own_network:needs", "failed when called without arguments"),
        ("users_own_network:wrong", "returned a int"),
        ("nowhere.pt", "cannot be read"),
        ("users_own_network.py", "unknown form"),
    ],
)
def test_what_cannot_be_a_network_is_refused(
    text: str, message: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own)
    with pytest.raises(ValueError, match=message) as caught:
        load_program(text, CPU)
    assert "\n" not in str(caught.value)


def test_paths_and_factories_are_told_apart() -> None:
    assert is_factory("package.models:make") and is_factory("models:Net")
    assert not any(is_factory(text) for text in ("net.pt", "a/b.onnx", "C:/net.pt2", "models:", ":make"))


def test_torchscript(tmp_path: Path, network: nn.Module) -> None:
    scripted: Any = torch.jit.trace(network, torch.rand(2, *SHAPE))  # type: ignore[no-untyped-call]
    scripted.save(str(tmp_path / "net.pt"))
    model, _ = load_program(str(tmp_path / "net.pt"), CPU)
    agrees(model, network)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "net.pt").read_bytes()[:2000])
    for name in ("weights.pt", "cut.pt"):
        with pytest.raises(ValueError, match="cannot be loaded as TorchScript.*--checkpoint"):
            load_program(str(tmp_path / name), CPU)


def test_an_exported_program(tmp_path: Path, network: nn.Module, caplog: pytest.LogCaptureFixture) -> None:
    path = exported(network, tmp_path / "net.pt2")
    model, _ = load_program(str(path), CPU)
    agrees(model.eval(), network)
    caplog.clear()
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"cannot be loaded by torch\.export"):
        load_program(str(path), CPU)
    assert not any(record.name.startswith("torch") for record in caplog.records)


class Hostile:
    """An object whose unpickling would make a folder."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.marker,)


def test_pickles_within_an_exported_program_run_nothing(tmp_path: Path, network: nn.Module) -> None:
    path = exported(network, tmp_path / "net.pt2")
    buffer = io.BytesIO()
    torch.save({"x": Hostile(str(tmp_path / "ran"))}, buffer)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    replaced = [name for name, data in held.items() if data[:2] == b"PK"]
    assert replaced
    with zipfile.ZipFile(tmp_path / "bad.pt2", "w") as archive:
        for name, data in held.items():
            archive.writestr(name, buffer.getvalue() if name in replaced else data)
    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    with pytest.raises(ValueError, match=r"a pickle that is not plain data; nothing of it was run"):
        load_program(str(tmp_path / "bad.pt2"), CPU)
    assert not (tmp_path / "ran").exists()
    assert os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD") == before


@pytest.mark.skipif(not ONNX, reason="onnxruntime is not installed")
def test_onnx(tmp_path: Path) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    weight, bias = (value.detach().numpy() for value in linear[1].parameters())
    path = tmp_path / "net.onnx"
    path.write_bytes(linear_onnx(weight, bias, SHAPE))
    model, _ = load_program(str(path), CPU)
    agrees(model, linear)
    path.write_bytes(linear_onnx(weight, bias, SHAPE, batch=1))
    with pytest.raises(ValueError, match=r"failed on a batch of 2 .*for any b"):
        given(program=str(path), normalise="none")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be loaded as ONNX"):
        load_program(str(path), CPU)


def test_a_missing_onnx_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match=r"pip install 'smoothing-radii\[onnx\]'"):
        load_program(str(tmp_path / "net.onnx"), CPU)


def given(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "checkpoint": None,
        "program": None,
        "architecture": "cnn",
        "normalise": None,
        "shape": SHAPE,
        "num_classes": 10,
        "device": CPU,
    }
    return given_network(**{**values, **changes})


def test_a_program_must_say_its_normalisation_and_fit_the_data(
    own: Path, network: nn.Module, tmp_path: Path
) -> None:
    found = given(program="users_own_network:make", normalise="0.5/0.25")
    x = torch.rand(3, *SHAPE)
    with torch.no_grad():
        assert torch.allclose(found.model(x), network((x - 0.5) / 0.25), atol=1e-5)
    with pytest.raises(ValueError, match="pass --normalise none where"):
        given(program="users_own_network:make")
    with pytest.raises(ValueError, match=r"must return logits \(2, 7\).*got \(2, 10\)"):
        given(program="users_own_network:make", normalise="none", num_classes=7)
    with pytest.raises(ValueError, match="failed on a batch"):
        given(program="users_own_network:make", normalise="none", shape=(3, 8, 8))
    with pytest.raises(ValueError, match="3 channels"):
        given(program="users_own_network:make", normalise="cifar10")
    fixed = exported(network, tmp_path / "fixed.pt2", batch=4)
    with pytest.raises(ValueError, match=r"failed on a batch of 2 .*for any b"):
        given(program=str(fixed), normalise="none")


def test_flags_that_contradict_each_other_are_refused() -> None:
    assert given() is None and given(normalise="none") is None
    with pytest.raises(ValueError, match="not both"):
        given(checkpoint="a.pt", program="b.pt")
    with pytest.raises(ValueError, match="belongs to --checkpoint or --model"):
        given(normalise="cifar10")
