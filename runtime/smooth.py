"""The smoothed classifier: certify and predict for any model that maps a batch to logits.

Source: Cohen, Rosenfeld and Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019;
prediction: Hung and Fithian, "Rank verification for exponential families", 2019.
"""

from __future__ import annotations

from numbers import Integral

import torch

from runtime.certificate import Certificate, radii_of
from runtime.confidence import majority_p_value, smallest_decidable_n
from runtime.fixed import warn_unless_repeatable
from runtime.grid import GridNoise, numerators
from runtime.noise import Noise, adversary_name
from runtime.procedure import FixedSample, Procedure, joined, uniform_of
from runtime.results import ABSTAIN
from runtime.rng import check_seed
from runtime.sampling import Model, Votes, check_input, count_votes, first_votes

__all__ = ["ABSTAIN", "SmoothedClassifier"]


class SmoothedClassifier:
    """The classifier x ↦ most likely class of model(x + noise).

    Args:
        model: maps a batch [b, C, H, W] of inputs in [0, 1] to logits [b, num_classes]; normalisation belongs
            inside it. A torch module is run in eval() mode on its own device.
        noise: the noise, with dim = C·H·W.
        num_classes: number of classes, at least 2.
        grid: denominator q of a grid that holds every input, k/q exactly (255 for 8-bit images): integer noise is added to
            integers, so that no trace of the input is left in the last bits of a sum, and certificates are true for all
            inputs on the grid in the arithmetic that runs. None adds floats to floats.

    Raises:
        ValueError: an argument outside these ranges.
    """

    def __init__(self, model: Model, noise: Noise, num_classes: int, grid: int | None = None) -> None:
        if not callable(model):
            raise ValueError(f"model must map a batch of inputs to logits, got {type(model).__name__}")
        if not isinstance(noise, Noise):
            raise ValueError(f"noise must be a runtime.Noise, got {type(noise).__name__}")
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(f"num_classes must be an integer of at least 2, got {num_classes!r}")
        self.model = model
        self.noise = noise
        self.num_classes = num_classes
        self.grid = None if grid is None else GridNoise(noise, grid)
        self._repeated = False

    def certify(
        self,
        x: torch.Tensor,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        batch_size: int = 1024,
        seed: int = 0,
        adversary: str | float = 1,
        first_index: int = 0,
        procedure: Procedure | None = None,
    ) -> Certificate | list[Certificate]:
        """Certifies one input or a batch of inputs.

        Guarantee, for each input: with probability at least 1 - alpha, the certificate abstains or the smoothed
        classifier returns `prediction` on the whole open ball of `radius` around the input. Votes are drawn
        once; the radii of all norms come from the same counts.

        Args:
            x: [C, H, W], or [B, C, H, W] for a batch; float32 or float64, in the units of sigma ([0, 1]).
            n0: votes that choose the class.
            n: fresh votes that bound its probability.
            alpha: failure probability of one certificate, in (0, 1).
            batch_size: votes on the device at a time.
            seed: identity of the noise, with the input's index first_index + position in the batch.
            adversary: norm of `Certificate.radius`: 1, 2 or inf.
            first_index: index of the first input.
            procedure: how votes are drawn and decided, in place of n0, n and alpha; from
                `runtime.rules.procedure_for`.

        Returns:
            A Certificate for one input, a list of them for a batch.

        Raises:
            ValueError: bad input, an input off the grid, vote numbers with which every input abstains, an
                unsupported norm, or logits of another width than num_classes.

        Warns:
            UserWarning: the model gave other logits when one batch was repeated.
        """
        rule = FixedSample(n0, n, alpha) if procedure is None else procedure
        name = adversary_name(adversary)
        self.noise.method(name)
        radii_of(self.noise, 0.75)  # a missing table is refused before any vote
        inputs = self._inputs(x, seed, first_index)
        self._check_model(inputs[0], seed, first_index, "selection")
        certificates = []
        for index, image in enumerate(inputs, start=first_index):
            selection = self._votes(image, seed, index, "selection", 0, rule.selection(), batch_size)
            estimation: list[Votes] = []
            done = 0
            while (wanted := rule.next_total(selection, estimation)) is not None:
                estimation.append(self._votes(image, seed, index, "estimation", done, wanted, batch_size))
                done = wanted
            decision = rule.decide(selection, estimation, self.noise, uniform_of(seed, index))
            votes = joined(estimation, selection)
            certificates.append(
                Certificate(
                    decision.prediction,
                    decision.radii[name],
                    decision.radii,
                    decision.p_lower,
                    votes.counts,
                    votes.n,
                    votes.failed,
                    decision.p_upper,
                )
            )
        return certificates if x.dim() == 4 else certificates[0]

    def predict(
        self,
        x: torch.Tensor,
        n: int = 1000,
        alpha: float = 0.001,
        batch_size: int = 1024,
        seed: int = 0,
        first_index: int = 0,
    ) -> int | list[int]:
        """Predicts the smoothed classifier's class, or abstains.

        Guarantee, for each input: with probability at most alpha a class other than the smoothed classifier's
        is returned. The two largest counts are compared by an exact two-sided binomial test; failed votes
        compete as a class of their own and win as an abstention.

        Args and errors as in `certify`.

        Returns:
            A class or -1 (abstain) for one input, a list of them for a batch.
        """
        least = smallest_decidable_n(alpha)
        if isinstance(n, bool) or not isinstance(n, Integral) or n < least:
            raise ValueError(
                f"with n = {n!r} and alpha = {alpha:g} every input abstains; the smallest useful n is {least}"
            )
        inputs = self._inputs(x, seed, first_index)
        self._check_model(inputs[0], seed, first_index, "prediction")
        predictions = []
        for index, image in enumerate(inputs, start=first_index):
            votes = self._votes(image, seed, index, "prediction", 0, n, batch_size)
            counts = [*votes.counts, votes.failed]
            first, second = sorted(range(len(counts)), key=lambda c: counts[c], reverse=True)[:2]
            # Votes that the grid leaves undecided may belong to the second class.
            against = counts[second] + (
                votes.failed if self.grid is not None and second < self.num_classes else 0
            )
            decided = (
                first < self.num_classes
                and counts[first] > against
                and majority_p_value(counts[first], against) <= alpha
            )
            predictions.append(first if decided else ABSTAIN)
        return predictions if x.dim() == 4 else predictions[0]

    def _inputs(self, x: torch.Tensor, seed: int, first_index: int) -> list[torch.Tensor]:
        if not isinstance(x, torch.Tensor) or x.dim() not in (3, 4):
            got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
            raise ValueError(f"x must be a tensor [C, H, W] or [B, C, H, W], got {got}")
        check_seed(seed)
        if isinstance(first_index, bool) or not isinstance(first_index, Integral) or first_index < 0:
            raise ValueError(f"first_index must be an integer of at least 0, got {first_index!r}")
        inputs = list(x) if x.dim() == 4 else [x]
        for image in inputs:
            check_input(image, self.noise.dim)
            if self.grid is not None:
                numerators(image, self.grid.denominator)
        return inputs

    def _check_model(self, x: torch.Tensor, seed: int, index: int, purpose: str) -> None:
        """Repeats one batch of the first input's votes, once in the life of this object."""
        if not self._repeated:
            warn_unless_repeatable(
                self.model,
                first_votes(self.model, x, self.noise, self.grid, seed=seed, index=index, purpose=purpose),
            )
            self._repeated = True

    def _votes(
        self, x: torch.Tensor, seed: int, index: int, purpose: str, start: int, stop: int, batch_size: int
    ) -> Votes:
        return count_votes(
            self.model,
            x,
            self.noise,
            self.num_classes,
            seed=seed,
            index=int(index),
            purpose=purpose,
            start=start,
            stop=int(stop),
            batch_size=batch_size,
            grid=self.grid,
        )
