"""A machine that certifies needs no symbolic stack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.sources import ROOT, environment

# torch has lazy imports of SymPy of its own, so what is refused is every import that our files ask for:
# the frame that called the import statement decides.
BLOCKED = """
import builtins, sys

original = builtins.__import__
barred = {"sympy", "mpmath", "flint", "derive"}

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    asking = (globals or {}).get("__name__", "")
    ours = asking.partition(".")[0] in ("runtime", "generated", "__main__")
    if ours and name.partition(".")[0] in barred:
        raise ImportError(f"{asking} asked for {name}")
    return original(name, globals, locals, fromlist, level)

builtins.__import__ = guarded

class Absent:
    # derive, mpmath and python-flint do not exist at all here; nobody may reach them, torch included.
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("derive", "flint"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
"""

CERTIFY = """
import torch
import runtime, runtime.cli, runtime.report

model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
model[1].weight.data.zero_()
model[1].bias.data.copy_(torch.tensor([0.0, 1.0, 0.0]))
for family in ("exp_linf", "gaussian", "laplace", "uniform"):
    noise = runtime.Noise(family, dim=4, sigma=0.5)
    smoothed = runtime.SmoothedClassifier(model, noise, num_classes=3)
    certificate = smoothed.certify(torch.rand(1, 2, 2), n0=64, n=256, alpha=0.001, batch_size=64, seed=0)
    assert certificate.prediction == 1 and certificate.radius > 0, certificate
print("certified")
"""


def _run(code: str, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment(ROOT),
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_runtime_certifies_without_the_engine(tmp_path: Path) -> None:
    done = _run(BLOCKED + CERTIFY, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "certified"


@pytest.mark.parametrize("name", ["sympy", "mpmath", "flint", "derive"])
def test_the_block_does_block(name: str, tmp_path: Path) -> None:
    done = _run(BLOCKED + f"import {name}.anything", tmp_path)
    assert done.returncode == 1
    assert f"__main__ asked for {name}" in done.stderr
