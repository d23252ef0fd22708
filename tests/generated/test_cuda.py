"""The generated code on a GPU: the radii of the CPU to within the rounding allowance, gradients, samples, certificates."""

from __future__ import annotations

import pytest
import torch

import runtime
from generated.registry import FAMILIES, load

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a CUDA device, and this machine has none"
    ),
]


@pytest.mark.parametrize("name", FAMILIES)
def test_radius_and_gradient_live_where_rho_lives(name: str) -> None:
    module = load(name)
    rho = torch.linspace(0.0, 1.0 - 1e-12, 20001, dtype=torch.float64)
    for adversary in module.ADVERSARIES:
        on_cpu = module.radius(rho, adversary=adversary, dim=3072)
        there = rho.cuda().requires_grad_()
        on_gpu = module.radius(there, adversary=adversary, dim=3072)
        assert on_gpu.device.type == "cuda" and on_gpu.dtype == torch.float64
        assert torch.allclose(on_gpu.cpu(), on_cpu, rtol=2e-14, atol=0.0)
        on_gpu.sum().backward()
        assert there.grad is not None and bool((there.grad >= 0).all())


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_stay_on_the_device_and_follow_sigma(name: str) -> None:
    module = load(name)
    generator = torch.Generator("cuda").manual_seed(1)
    scale = module.scale_of_sigma(0.5, dim=192)
    z = module.sample((20000, 3, 8, 8), dim=192, scale=scale, generator=generator)
    assert z.device.type == "cuda"
    assert abs(float(z.double().std()) - 0.5) < 0.01


def test_certification_runs_and_repeats_on_the_device() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).cuda()
    smoothed = runtime.SmoothedClassifier(model, runtime.Noise("laplace", dim=64, sigma=0.5), num_classes=10)
    x = torch.rand(1, 8, 8)
    first = smoothed.certify(x, n=2000, seed=3)
    assert first == smoothed.certify(x, n=2000, seed=3)
