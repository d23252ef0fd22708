"""`Smooth`, with the names and the signatures of the reference code of randomized smoothing.

Source of the interface: Cohen, Rosenfeld and Kolter, "Certified adversarial robustness via randomized smoothing",
ICML 2019, and the code that came with it. Certificates are those of `runtime.SmoothedClassifier`.
"""

from __future__ import annotations

from numbers import Integral
from typing import cast

import torch

from generated import registry
from runtime.certificate import Certificate
from runtime.grid import check_denominator
from runtime.noise import Noise, adversary_name
from runtime.results import ABSTAIN
from runtime.rng import check_seed
from runtime.sampling import Model
from runtime.smooth import SmoothedClassifier


class Smooth:
    """A smoothed classifier g(x) = the most likely class of base_classifier(x + noise).

    Every call to `certify` or `predict` draws fresh noise, that of the next input index of this object, so that the
    same calls in the same order give the same results, and certificates of different inputs are independent.

    Args:
        base_classifier: maps [batch, C, H, W] to logits [batch, num_classes]; normalisation belongs inside it.
        num_classes: number of classes, at least 2.
        sigma: standard deviation of the noise per coordinate, in the units of the input ([0, 1]).
        family: family of the noise; Gaussian by default, for which the l2 radius is σ·Φ⁻¹(p_lower).
        adversary: norm of the radius: 1, 2 or inf.
        grid: denominator of the grid that holds every input (255 for 8-bit images), for noise that leaves no trace of
            the input in a sum of floats; None adds floats to floats.
        seed: identity of the noise, in [0, 2^63).
        **params: parameters of the family by name, e.g. k=2.

    Raises:
        ValueError: an argument outside these ranges; family and parameters are checked at the first input.
    """

    ABSTAIN = ABSTAIN
    """Returned as the class where nothing can be said."""

    def __init__(
        self,
        base_classifier: Model,
        num_classes: int,
        sigma: float,
        *,
        family: str = "gaussian",
        adversary: str | float = 2,
        grid: int | None = None,
        seed: int = 0,
        **params: float,
    ) -> None:
        self.base_classifier = base_classifier
        self.num_classes = num_classes
        self.sigma = sigma
        self.family = family
        self.adversary = adversary
        self.grid = grid
        self.seed = check_seed(seed)
        self.params = params
        self.last: Certificate | None = None
        """The whole certificate behind the last answer of `certify`: counts, p_lower, radii of all norms."""
        self._index = 0
        self._smoothed: SmoothedClassifier | None = None
        # What does not depend on the size of an input is refused here, not at the first one.
        adversary_name(adversary)
        registry.load(family)
        SmoothedClassifier(base_classifier, Noise("gaussian", 1, sigma=sigma), num_classes)
        if grid is not None:
            check_denominator(grid)

    def certify(
        self, x: torch.Tensor, n0: int, n: int, alpha: float, batch_size: int, *, index: int | None = None
    ) -> tuple[int, float]:
        """The class of the smoothed classifier around one input, and a radius within which it cannot change.

        Guarantee: with probability at least 1 - alpha this is an abstention, or g gives the class at every point nearer
        than the radius.

        Args:
            x: one input [C, H, W], float32 or float64.
            n0: votes that choose the class.
            n: fresh votes that bound its probability.
            alpha: failure probability, in (0, 1).
            batch_size: votes on the device at a time.
            index: identity of the input; by default the number of calls before this one.

        Returns:
            (class, radius), or (ABSTAIN, 0.0). The radius is rounded down.

        Raises:
            ValueError: bad input, or so few votes that every input would abstain.
        """
        smoothed = self._smoothed_for(self._one(x).numel())
        certificate = smoothed.certify(
            x, n0, n, alpha, batch_size, self.seed, self.adversary, first_index=self._next(index)
        )
        self.last = certificate = cast(Certificate, certificate)
        return certificate.prediction, certificate.radius

    def predict(
        self, x: torch.Tensor, n: int, alpha: float, batch_size: int, *, index: int | None = None
    ) -> int:
        """The class that g gives to one input, or ABSTAIN.

        Guarantee: a class other than that of g is returned with probability at most alpha.

        Args and errors as in `certify`.
        """
        smoothed = self._smoothed_for(self._one(x).numel())
        return cast(int, smoothed.predict(x, n, alpha, batch_size, self.seed, first_index=self._next(index)))

    def _one(self, x: torch.Tensor) -> torch.Tensor:
        if not isinstance(x, torch.Tensor) or x.dim() != 3:
            got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
            raise ValueError(f"x must be one input, a tensor [C, H, W], got {got}")
        return x

    def _next(self, index: int | None) -> int:
        """The given index, or the one after those handed out so far."""
        if index is None:
            index, self._index = self._index, self._index + 1
        elif isinstance(index, bool) or not isinstance(index, Integral) or index < 0:
            raise ValueError(f"index must be an integer of at least 0, got {index!r}")
        return int(index)

    def _smoothed_for(self, dim: int) -> SmoothedClassifier:
        """The classifier for inputs of `dim` coordinates, made once for each size."""
        if self._smoothed is None or self._smoothed.noise.dim != dim:
            noise = Noise(self.family, dim, sigma=self.sigma, **self.params)
            noise.method(self.adversary)
            self._smoothed = SmoothedClassifier(self.base_classifier, noise, self.num_classes, self.grid)
        return self._smoothed
