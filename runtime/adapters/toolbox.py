"""The smoothed classifier as an estimator of the Adversarial Robustness Toolbox (ART), for its attacks and metrics.

Interface: `art.estimators.certification.randomized_smoothing`. Source of the gradient: Salman et al., "Provably robust
deep learning via adversarially trained smoothed classifiers", NeurIPS 2019. Votes and certificates are those of
`runtime.SmoothedClassifier`. Votes are counted batch by batch, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch

from runtime.certificate import Certificate
from runtime.noise import Noise, adversary_name
from runtime.rng import check_seed, named_generator
from runtime.sampling import count_votes, device_of
from runtime.smooth import SmoothedClassifier

_INSTALL = "pip install 'smoothing-radii[art]'"


def toolbox_classifier(
    model: torch.nn.Module,
    noise: Noise,
    input_shape: Sequence[int],
    nb_classes: int,
    *,
    adversary: str | float = 2,
    sample_size: int = 100,
    alpha: float = 0.001,
    grid: int | None = None,
    seed: int = 0,
    optimizer: torch.optim.Optimizer | None = None,
    clip_values: tuple[float, float] | None = (0.0, 1.0),
    device_type: str = "cpu",
) -> Any:
    """An ART estimator: a `PyTorchClassifier` and a `RandomizedSmoothingMixin` at once.

    * `certify(x, n, batch_size)` → (classes, radii), int64 and float64 [N]: -1 and 0.0 where it abstains. With
      probability at least 1 - alpha for each input, the class holds everywhere nearer than the radius.
    * `predict(x, batch_size)` → [N, nb_classes], float32: the shares of sample_size votes. Never a row of zeros.
    * `predict(x, batch_size, is_abstain=True)` → [N, nb_classes + 1], one-hot; the last column is the abstention, so that
      its argmax, nb_classes, is no class. A class other than the smoothed one has probability at most alpha.
    * `predict_classes(x, batch_size)` → int64 [N], -1 where it abstains, at the same level.
    * `loss_gradient(x, y)`: gradient of -log of the softmax averaged over sample_size noisy copies.
    * `fit(x, y, …)`: training under fresh copies of this noise in each epoch; it needs `optimizer`.

    Every call draws fresh noise; the same calls in the same order give the same results.

    Args:
        model: maps [b, *input_shape] to logits; normalisation belongs inside it, so that the noise of training, attack and
            certification is added at the same place.
        noise: the noise, with dim = prod(input_shape).
        input_shape: shape of one input.
        nb_classes: number of classes, at least 2.
        adversary: norm of the certified radii: 1, 2 or inf.
        sample_size: votes of a prediction, copies for a gradient, and votes that choose the class of a certificate.
        alpha: failure probability of one certificate or prediction.
        grid: denominator of the inputs' grid for the votes (255 for 8-bit images); None adds floats.
        seed: identity of the noise.
        optimizer: for `fit` alone.
        clip_values: range of the inputs, for attacks; noisy copies are never clipped.
        device_type: "cpu" or "gpu", as ART takes it.

    Raises:
        ImportError: ART is not installed.
        ValueError: an argument outside these ranges.
    """
    shape = tuple(int(length) for length in input_shape)
    if noise.dim != int(np.prod(shape)):
        raise ValueError(f"the noise has dim = {noise.dim}, inputs of shape {shape} have {np.prod(shape)}")
    if isinstance(sample_size, bool) or not isinstance(sample_size, int) or sample_size < 1:
        raise ValueError(f"sample_size must be an integer of at least 1, got {sample_size!r}")
    noise.method(adversary)
    return _estimator_class()(
        SmoothedClassifier(model, noise, nb_classes, grid),
        adversary_name(adversary),
        check_seed(seed),
        sample_size=sample_size,
        alpha=alpha,
        scale=noise.sigma,
        model=model,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=nb_classes,
        optimizer=optimizer,
        clip_values=clip_values,
        device_type=device_type,
    )


@cache
def _estimator_class() -> Any:
    """The estimator; a function, because its bases are there only where ART is installed."""
    try:
        from art.estimators.certification.randomized_smoothing import randomized_smoothing
        from art.estimators.classification import PyTorchClassifier
    except ImportError:
        raise ImportError(f"the Adversarial Robustness Toolbox is not installed: {_INSTALL}") from None

    class SmoothedEstimator(randomized_smoothing.RandomizedSmoothingMixin, PyTorchClassifier):
        """See `toolbox_classifier`."""

        def __init__(self, smoothed: SmoothedClassifier, adversary: str, seed: int, **settings: Any) -> None:
            super().__init__(**settings)
            self._smoothed, self._adversary, self._seed = smoothed, adversary, seed
            self._index = 0

        def certify(
            self, x: Any, n: int = 100_000, batch_size: int = 1024
        ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
            found: list[Certificate] = []
            for image in self._images(x):
                certificate = self._smoothed.certify(
                    image[None],
                    self.sample_size,
                    n,
                    self.alpha,
                    batch_size,
                    self._seed,
                    self._adversary,
                    self._next(),
                )
                found += certificate if isinstance(certificate, list) else [certificate]
            classes = np.array([item.prediction for item in found], dtype=np.int64)
            return classes, np.array([item.radius for item in found], dtype=np.float64)

        def predict(
            self, x: Any, batch_size: int = 1024, verbose: bool = False, is_abstain: bool = False, **_: Any
        ) -> npt.NDArray[np.float32]:
            classes = self.nb_classes
            if is_abstain:
                decided = self.predict_classes(x, batch_size)
                return np.eye(classes + 1, dtype=np.float32)[np.where(decided < 0, classes, decided)]
            return np.array([self._shares(image, batch_size) for image in self._images(x)], np.float32)

        def predict_classes(self, x: Any, batch_size: int = 1024) -> npt.NDArray[np.int64]:
            decided = [
                self._smoothed.predict(
                    image, self.sample_size, self.alpha, batch_size, self._seed, self._next()
                )
                for image in self._images(x)
            ]
            return np.array(decided, dtype=np.int64)

        def loss_gradient(
            self, x: Any, y: Any, training_mode: bool = False, **_: Any
        ) -> npt.NDArray[np.float32]:
            labels = np.asarray(y)
            labels = labels.argmax(axis=1) if labels.ndim == 2 else labels
            images = self._images(x)
            if labels.shape != (len(images),):
                raise ValueError(f"y must give one class for each of {len(images)} inputs, got {np.shape(y)}")
            was_training = self.model.training
            self.model.train(training_mode)
            try:
                gradients = [
                    self._gradient(image, int(label)) for image, label in zip(images, labels, strict=True)
                ]
            finally:
                self.model.train(was_training)
            return np.stack(gradients)

        def class_gradient(self, *_: Any, **__: Any) -> NoReturn:
            raise NotImplementedError(
                "gradients of single classes are not offered; use loss_gradient, of the averaged softmax"
            )

        def fit(self, x: Any, y: Any, batch_size: int = 128, nb_epochs: int = 10, **settings: Any) -> None:
            clean = torch.stack(self._images(x))
            for _ in range(nb_epochs):
                noisy = (clean + self._noise(clean)).numpy()
                PyTorchClassifier.fit(self, noisy, y, batch_size=batch_size, nb_epochs=1, **settings)

        def _images(self, x: Any) -> list[torch.Tensor]:
            images = torch.as_tensor(x).detach().cpu().to(torch.float32)
            if tuple(images.shape[1:]) != self.input_shape or len(images) == 0:
                raise ValueError(
                    f"x must be inputs [N, {', '.join(map(str, self.input_shape))}], got {tuple(images.shape)}"
                )
            return list(images)

        def _next(self) -> int:
            self._index += 1
            return self._index - 1

        def _noise(self, like: torch.Tensor) -> torch.Tensor:
            name = f"toolbox:{self._next()}"
            return self._smoothed.noise.sample(
                tuple(like.shape), named_generator(self._seed, name, torch.device("cpu"))
            )

        def _shares(self, image: torch.Tensor, batch_size: int) -> npt.NDArray[np.float64]:
            votes = count_votes(
                self._smoothed.model,
                image,
                self._smoothed.noise,
                self.nb_classes,
                seed=self._seed,
                index=self._next(),
                purpose="prediction",
                start=0,
                stop=self.sample_size,
                batch_size=batch_size,
                grid=self._smoothed.grid,
            )
            return np.array(votes.counts, dtype=np.float64) / votes.n

        def _gradient(self, image: torch.Tensor, label: int) -> npt.NDArray[np.float32]:
            copies = image.expand(self.sample_size, *image.shape)
            device = device_of(self.model, image)
            centre = image.to(device, copy=True).requires_grad_(True)
            logits = self.model(centre + self._noise(copies).to(device))
            share = torch.softmax(logits, dim=1)[:, label].mean()
            (gradient,) = torch.autograd.grad(-torch.log(share.clamp(min=1e-20)), centre)
            return np.asarray(gradient.cpu().numpy(), dtype=np.float32)

    return SmoothedEstimator
