"""The line before votes: accuracy, ranges, units, and a warning where the network guesses."""

from __future__ import annotations

from dataclasses import replace

import torch

from runtime.data import load_dataset
from runtime.noise import Noise
from runtime.sanity import sanity

NOISE = Noise("gaussian", dim=64, sigma=0.5)


def test_the_line_says_what_was_measured() -> None:
    digits = load_dataset("digits")
    known = {
        tuple(image.flatten().tolist()): int(label)
        for image, label in zip(digits.x_test[:], digits.y_test, strict=True)
    }
    asked = []

    def perfect(x: torch.Tensor) -> torch.Tensor:
        asked.append(len(x))
        labels = [known[tuple(image.flatten().tolist())] for image in x]
        return torch.nn.functional.one_hot(torch.tensor(labels), 10).float()

    line = sanity(perfect, digits, NOISE)
    assert line == (
        "clean accuracy 100.0% on 256 held-out inputs, inputs in [0, 1], "
        "sigma 0.5 in units of [0, 1] = 127.5 in units of [0, 255]"
    )
    assert sum(asked) == 256
    few = replace(digits, x_test=digits.x_test[:5], y_test=digits.y_test[:5])
    assert "100.0% on 5 held-out" in sanity(perfect, few, NOISE)


def test_a_network_that_guesses_is_pointed_out() -> None:
    digits = load_dataset("digits")
    line = sanity(
        lambda x: torch.nn.functional.one_hot(torch.zeros(len(x), dtype=torch.int64), 10).float(),
        digits,
        NOISE,
    )
    assert "WARNING: close to guessing: check --normalise" in line
