"""A model as a fixed function: settings while it votes, repetition, batch sizes, memory."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch

from runtime.fixed import fixed_function, invariance, repeatable
from runtime.noise import Noise
from runtime.sampling import count_votes
from runtime.smooth import SmoothedClassifier

CPU = torch.device("cpu")
NOISE = Noise("gaussian", 64, sigma=0.5)


class Drawing(torch.nn.Module):
    """Adds noise of its own to its logits, in eval() mode as well."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(dim=1)
        return torch.stack((mean, -mean), dim=1) + 0.1 * torch.randn(len(x), 2)


class Mixing(torch.nn.Module):
    """Compares each input with the mean of its batch: a class that depends on the company."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(dim=1)
        return torch.stack((mean, mean.mean().expand_as(mean)), dim=1)


class Recording(torch.nn.Module):
    """Notes the settings under which it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[bool, bool, bool, bool, torch.dtype]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        product = flat @ flat.T  # in bfloat16 under autocast
        self.seen.append(
            (
                self.training,
                torch.is_inference_mode_enabled(),
                torch.are_deterministic_algorithms_enabled(),
                torch.backends.cudnn.benchmark,
                product.dtype,
            )
        )
        return flat[:, :2]


def test_settings_hold_while_the_model_votes_and_are_restored(image: torch.Tensor) -> None:
    model = Recording()
    benchmark = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            count_votes(model, image, NOISE, 2, seed=0, index=0, purpose="estimation", start=0, stop=100)
            assert (image[0] @ image[0]).dtype == torch.bfloat16
        assert set(model.seen) == {(False, True, True, False, torch.float32)}
        assert model.training and torch.backends.cudnn.benchmark
        assert not torch.are_deterministic_algorithms_enabled() and not torch.is_inference_mode_enabled()
    finally:
        torch.backends.cudnn.benchmark = benchmark


def test_settings_are_restored_by_the_last_of_several_threads() -> None:
    inside, leave = threading.Barrier(3), threading.Event()

    def work() -> None:
        with fixed_function(torch.sin, CPU):
            inside.wait()
            leave.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    with fixed_function(torch.sin, CPU):
        pass
    assert torch.are_deterministic_algorithms_enabled()
    leave.set()
    for thread in threads:
        thread.join()
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_model_that_draws_is_noticed(image: torch.Tensor, model: torch.nn.Module) -> None:
    assert repeatable(model, image[None]) and not repeatable(Drawing(), image[None])
    smoothed = SmoothedClassifier(Drawing(), NOISE, 2)
    with pytest.warns(UserWarning, match="other logits when the same batch is repeated"):
        smoothed.certify(image, n=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SmoothedClassifier(model, NOISE, 10).certify(image, n=100)


def test_broken_logits_that_repeat_are_repeatable(image: torch.Tensor) -> None:
    assert repeatable(lambda x: x.flatten(1) * torch.nan, image[None])


def test_batch_sizes_are_compared(model: torch.nn.Module) -> None:
    inputs = torch.randn((200, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    good = invariance(model, inputs, 10)
    assert good.inputs == 200 and good.repeatable and set(good.differing) == {1, 16, 64}
    mixed = invariance(Mixing(), inputs, 2)
    assert mixed.differing[1] > 10 and mixed.repeatable
    assert any("batches of 1" in text for text in mixed.complaints)
    drawn = invariance(Drawing(), inputs, 2)
    assert not drawn.repeatable and "fixed" in drawn.complaints[0]
    assert mixed.record["differing"]["1"] == mixed.differing[1]  # type: ignore[index]
    with pytest.raises(ValueError, match="at least one input"):
        invariance(model, inputs[:0], 10)


class Hungry(torch.nn.Module):
    """Runs out of memory above some batch size."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.refused = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("out of memory")
        flat = x.flatten(1)
        return torch.stack((flat.mean(dim=1), flat[:, 0]), dim=1)


def test_smaller_batches_have_the_same_votes(image: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime import sampling

    monkeypatch.setattr(sampling.VoteSampler, "fixed_shape", False)  # as on an accelerator
    identity = {"seed": 3, "index": 1, "purpose": "estimation", "start": 0, "stop": 1500}
    reference = count_votes(Hungry(10**6), image, NOISE, 2, **identity)  # type: ignore[arg-type]
    hungry = Hungry(200)
    assert count_votes(hungry, image, NOISE, 2, **identity) == reference  # type: ignore[arg-type]
    assert hungry.refused == 3 and min(reference.counts) > 100


def test_too_little_memory_for_one_block_is_an_error(image: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="too little memory for 256 votes"):
        count_votes(Hungry(10), image, NOISE, 2, seed=0, index=0, purpose="estimation", start=0, stop=100)


def test_measurements_take_what_fits(image: torch.Tensor) -> None:
    inputs = torch.randn((64, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    assert invariance(Hungry(20), inputs, 2).inputs == 16
    with pytest.raises(ValueError, match="too little memory for the network with one input"):
        invariance(Hungry(0), inputs, 2)
    with pytest.raises(ValueError, match="too little memory for 256 votes"):
        SmoothedClassifier(Hungry(20), NOISE, 2).certify(image, n=100)


def test_other_errors_of_a_model_are_its_own(image: torch.Tensor) -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such layer")

    with pytest.raises(RuntimeError, match="no such layer"):
        count_votes(broken, image, NOISE, 2, seed=0, index=0, purpose="estimation", start=0, stop=100)


def test_a_model_that_changes_its_class_count_is_refused(image: torch.Tensor) -> None:
    calls = []

    def growing(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x.flatten(1)[:, : 2 if len(calls) < 3 else 3]

    with pytest.raises(ValueError, match=r"logits of shape \(256, 2\), got \(256, 3\)"):
        count_votes(growing, image, NOISE, 2, seed=0, index=0, purpose="estimation", start=0, stop=1000)
