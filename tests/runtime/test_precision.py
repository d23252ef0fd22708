"""Precision: the network in 16 bits votes as such, the one given stays what it was, and the choice is recorded."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch

from runtime.precision import in_precision
from tests.runtime.conftest import Command

CPU = torch.device("cpu")
SMALL = ("--family", "uniform", "--sigma", "0.5", "--inputs", "3", "--n", "256", "--epochs", "1", "--quiet")


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_network_in_sixteen_bits(precision: str, dtype: torch.dtype, model: torch.nn.Module) -> None:
    before = copy.deepcopy(model.state_dict())
    x = torch.rand((5, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    half = in_precision(model, precision, CPU)
    with torch.inference_mode():
        logits = half(x)
        wanted = copy.deepcopy(model).to(dtype)(x.to(dtype)).float()
        assert torch.equal(logits, wanted) and logits.dtype == torch.float32
        assert not torch.equal(logits, model(x))
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    assert {parameter.dtype for parameter in half.parameters()} == {dtype} and not half.training


def test_single_precision_is_the_network_itself(model: torch.nn.Module) -> None:
    assert in_precision(model, "fp32", CPU) is model


def test_what_cannot_be_is_refused(model: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="CUDA devices only, got cpu; take fp32"):
        in_precision(model, "tf32", CPU)
    with pytest.raises(ValueError, match="without parameters"):
        in_precision(torch.nn.Flatten(), "bf16", CPU)


def test_a_job_records_its_precision(called: Command, tmp_path: Path) -> None:
    done = called("certify", *SMALL, "--device", "cpu", "--precision", "bf16", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["certify"]["precision"] == "bf16"
    assert "network in bf16: the same logits" in (tmp_path / "run" / "report" / "index.html").read_text()
    again = called("certify", *SMALL, "--device", "cpu", "--out", "run")
    assert again.returncode == 2 and "precision" in again.stderr
    assert called("reproduce", "run", "0").returncode == 0
    for precision, message in (("tf32", "CUDA devices only"), ("fp8", "one of fp32, tf32, bf16, fp16")):
        refused = called("certify", *SMALL, "--device", "cpu", "--precision", precision, "--out", "other")
        assert refused.returncode == 2 and message in refused.stderr and len(refused.stderr.splitlines()) == 1


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("rounded", [False, True])
def test_tensor_float_is_on_only_where_asked_for(rounded: bool) -> None:
    class Noting(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            return super().forward(x)

    seen: list[tuple[bool, bool]] = []
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    device = torch.device("cuda")
    voting = in_precision(Noting(4, 2), "tf32" if rounded else "fp32", device)
    voting(torch.rand(3, 4, device=device))
    assert seen == [(rounded, rounded)]
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before
