from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch

from runtime import Noise, SmoothedClassifier
from runtime.adapters import toolbox, toolbox_classifier

SHAPE = (1, 4, 4)
NOISE = Noise("gaussian", 16, sigma=0.25)


class Brightness(torch.nn.Module):
    """Class 1 for bright inputs, class 0 for dark ones; class 2 never."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(8.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = self.gain * (x.flatten(1).mean(1) - 0.5)
        return torch.stack([-side, side, torch.full_like(side, -50.0)], dim=1)


def estimator(**settings: Any) -> Any:
    pytest.importorskip("art", reason="the Adversarial Robustness Toolbox is not installed")
    return toolbox_classifier(Brightness(), NOISE, SHAPE, 3, **settings)


def inputs() -> np.ndarray[Any, np.dtype[np.float32]]:
    levels = np.array([0.1, 0.9, 0.5], dtype=np.float32)
    return np.ones((3, *SHAPE), dtype=np.float32) * levels[:, None, None, None]


def test_it_is_an_estimator_of_both_kinds() -> None:
    made = estimator()
    from art.estimators.certification.randomized_smoothing.randomized_smoothing import (
        RandomizedSmoothingMixin,
    )
    from art.estimators.classification import PyTorchClassifier

    assert isinstance(made, RandomizedSmoothingMixin) and isinstance(made, PyTorchClassifier)
    assert (made.nb_classes, made.input_shape) == (3, SHAPE)


def test_certificates_are_those_of_the_smoothed_classifier() -> None:
    classes, radii = estimator(seed=5).certify(inputs(), n=1000)
    smoothed = SmoothedClassifier(Brightness(), NOISE, 3)
    expected = smoothed.certify(torch.from_numpy(inputs()), n0=100, n=1000, alpha=0.001, seed=5, adversary=2)
    assert isinstance(expected, list)
    assert classes.tolist() == [item.prediction for item in expected] == [0, 1, -1]
    assert radii.tolist() == [item.radius for item in expected]
    assert radii[2] == 0.0


def test_an_abstention_is_never_taken_for_a_class() -> None:
    made = estimator()
    assert made.predict_classes(inputs()).tolist() == [0, 1, -1]
    rows = made.predict(inputs(), is_abstain=True)
    assert rows.shape == (3, 4) and rows.argmax(axis=1).tolist() == [0, 1, 3]
    shares = made.predict(inputs())
    assert shares.shape == (3, 3) and shares.sum(axis=1) == pytest.approx([1.0] * 3)
    assert shares[2].max() < 0.7 and shares.argmax(axis=1)[:2].tolist() == [0, 1]


def test_the_gradient_is_that_of_the_averaged_softmax() -> None:
    made = estimator(sample_size=400)
    gradient = made.loss_gradient(inputs(), np.array([0, 1, 1]))
    assert gradient.shape == inputs().shape and gradient.dtype == np.float32
    # Brighter pixels raise the loss of class 0 and lower that of class 1, every pixel alike.
    assert (gradient[0] > 0).all() and (gradient[1] < 0).all() and (gradient[2] < 0).all()
    noise = NOISE.sample((400_000, *SHAPE), torch.Generator().manual_seed(1))
    side = 16.0 * noise.flatten(1).mean(1).double()
    share = torch.sigmoid(side)
    expected = -float((share * (1 - share)).mean() / share.mean()) * 16.0 / 16
    assert gradient[2].flatten() == pytest.approx(np.full(16, expected), rel=0.15)
    one_hot = np.eye(3, dtype=np.float32)[[0, 1, 1]]
    assert np.sign(made.loss_gradient(inputs(), one_hot)).tolist() == np.sign(gradient).tolist()
    assert made.model.training is Brightness().training


def test_an_attack_of_the_toolbox_runs_on_it() -> None:
    made = estimator(sample_size=50)
    from art.attacks.evasion import FastGradientMethod

    adversarial = FastGradientMethod(made, eps=0.45).generate(inputs()[:2], np.array([0, 1]))
    assert made.predict_classes(adversarial).tolist() == [1, 0]


def test_training_sees_noise_and_needs_an_optimizer() -> None:
    pytest.importorskip("art", reason="the Adversarial Robustness Toolbox is not installed")
    model = Brightness()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    made = toolbox_classifier(model, NOISE, SHAPE, 3, optimizer=optimizer)
    before = model.gain.item()
    made.fit(inputs()[:2], np.array([0, 1]), nb_epochs=2, batch_size=2)
    assert model.gain.item() != before
    with pytest.raises(ValueError, match="optimizer"):
        estimator().fit(inputs()[:2], np.array([0, 1]), nb_epochs=1)


def test_bad_inputs_are_refused() -> None:
    made = estimator()
    with pytest.raises(ValueError, match="x must be inputs"):
        made.predict(inputs()[0])
    with pytest.raises(ValueError, match="one class for each of 3 inputs"):
        made.loss_gradient(inputs(), np.array([0]))
    with pytest.raises(NotImplementedError, match="use loss_gradient"):
        made.class_gradient(inputs())


def test_bad_arguments_and_a_missing_toolbox_are_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="inputs of shape"):
        toolbox_classifier(Brightness(), NOISE, (1, 5, 5), 3)
    with pytest.raises(ValueError, match="sample_size"):
        toolbox_classifier(Brightness(), NOISE, SHAPE, 3, sample_size=0)
    toolbox._estimator_class.cache_clear()
    monkeypatch.setitem(sys.modules, "art", None)
    monkeypatch.setitem(sys.modules, "art.estimators.classification", None)
    with pytest.raises(ImportError, match=r"pip install 'smoothing-radii\[art\]'"):
        toolbox_classifier(Brightness(), NOISE, SHAPE, 3)
