"""Networks are built from a name, with weights that a seed decides."""

from __future__ import annotations

import pytest
import torch

from runtime.models import ARCHITECTURES, build_model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 9), (1, 1, 1)])
def test_logits_have_one_column_a_class(architecture: str, shape: tuple[int, int, int]) -> None:
    assert build_model(architecture, shape, 4)(torch.zeros(5, *shape)).shape == (5, 4)


def test_the_seed_alone_decides_the_weights() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (build_model("cnn", (1, 8, 8), 10, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="cnn, mlp"):
        build_model("resnet", (1, 8, 8), 10)
    with pytest.raises(ValueError, match="2 classes"):
        build_model("cnn", (1, 8, 8), 1)
    with pytest.raises(ValueError, match="shape"):
        build_model("cnn", (0, 8, 8), 10)
