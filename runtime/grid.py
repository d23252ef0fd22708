"""Noise on the grid of the inputs: integers are added to integers, and the sum becomes a float once.

A sum of floats keeps traces of the input in its last bits, and a classifier that reads them has votes that no
theory covers. Here an input x = m/q (m integers, q the denominator) gets integer noise j, and the model sees one float for each
coordinate: (m + j)/q, a function of the integer m + j alone. Rounding is then part of the base classifier,
z ↦ model(round(z·q)/q), and every radius of the continuous noise carries over to all inputs on the grid.

For coordinates that are independent, j is drawn from enclosed probabilities (`runtime.inversion`) by counter-based
words (`runtime.philox`). Noise of another kind, or without a table of its cumulative distribution, is sampled in float64 and rounded to the
grid: what the sampler's own rounding does to its law is tested, not enclosed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from numbers import Integral

import numpy as np
import torch

from generated import registry, special
from runtime.inversion import OUTSIDE, Inversion, Thresholds
from runtime.noise import Noise
from runtime.philox import cells, more
from runtime.rng import Stretch, gathered, sampled_blocks

MOST = 65535
"""Largest denominator."""
SAMPLED = "sampled, then rounded to the grid"
_FINEST_LIKELY = 255
_COMMON, _FINE = (255, 256), (1023, 4095, 65535)
_SMALL_TAIL = 2.0**-40
_FEWEST = 2**17
"""Integers that thresholds are made for, where so many are needed."""
_AT_ONCE = {"cpu": 2**18}  # coordinates that fit a core's cache
_AT_ONCE_ELSEWHERE = 2**24


def check_denominator(grid: object) -> int:
    """The denominator itself, when it is an integer in [1, 65535]; ValueError otherwise."""
    if isinstance(grid, bool) or not isinstance(grid, Integral) or not 1 <= int(grid) <= MOST:
        raise ValueError(f"grid must be an integer denominator in [1, {MOST}], e.g. 255, got {grid!r}")
    return int(grid)


def numerators(x: torch.Tensor, denominator: int) -> torch.Tensor:
    """The integers m with x = m/denominator, each entry of x being the float closest to its m/denominator.

    Args:
        x: float32 or float64, any shape, entries in [-2, 2].
        denominator: q, in [1, 65535].

    Returns:
        int32, of the shape and on the device of x.

    Raises:
        ValueError: an entry is not on the grid; the message shows one.
    """
    m = torch.round(x.double() * denominator)
    off = ~((_quotient(m, denominator, x.dtype) == x) & (m.abs() <= 2 * denominator))
    if bool(off.any()):
        value = float(x[off][0])
        raise ValueError(
            f"an input has {int(off.sum())} of {x.numel()} entries off the grid k/{denominator} in [-2, 2], "
            f"e.g. {value!r} where {round(value * denominator) if math.isfinite(value) else 0}/{denominator} is closest; "
            f"give the grid that the inputs lie on, round them (torch.round(x * {denominator}) / {denominator}), or turn the grid off"
        )
    return m.to(torch.int32)


def _quotient(integers: torch.Tensor, denominator: int, dtype: torch.dtype) -> torch.Tensor:
    """integers/denominator, rounded once: both are exact in `dtype`, and the divisor is a tensor, so that no kernel
    multiplies by a rounded reciprocal instead."""
    return integers.to(dtype) / torch.tensor([denominator], dtype=dtype, device=integers.device)


def _on_grid(images: Iterable[torch.Tensor], denominator: int) -> bool:
    try:
        for image in images:
            numerators(image, denominator)
    except ValueError:
        return False
    return True


def grid_of(images: Collection[torch.Tensor]) -> int | None:
    """A denominator up to 65535 of a grid that holds every entry of the inputs, exactly; None if there is none.

    Of a coarse grid (digits: k/16) a multiple that reaches 255 is taken, so that noise is not rounded coarsely.

    Args:
        images: float32 or float64 tensors; one denominator serves all. They are gone through once for each denominator
            tried, one at a time, so that they may be made when asked for.
    """
    if not images:
        return None
    likely = _likely(next(iter(images)))
    return next((denominator for denominator in likely if _on_grid(images, denominator)), None)


def _likely(image: torch.Tensor) -> Iterator[int]:
    """Denominators worth trying, the common ones first."""
    yield from _COMMON
    fractions = _common_denominator(image)
    if fractions is not None and fractions * -(-_FINEST_LIKELY // fractions) <= MOST:
        yield fractions * -(-_FINEST_LIKELY // fractions)
    yield from _FINE


def _common_denominator(image: torch.Tensor) -> int | None:
    """Of the simple fractions that the entries are closest to; None where it passes MOST."""
    least = 1
    for value in torch.unique(image.float()).tolist():
        if not math.isfinite(value):
            return None
        least = math.lcm(least, _denominator_of(value))
        if least > MOST:
            return None
    return least


def _denominator_of(value: float) -> int:
    """Denominator of a simple fraction that the float32 `value` is closest to; above MOST where there is none."""
    exact = Fraction(value)
    for limit in (64, 1024, MOST):
        near = exact.limit_denominator(limit)
        if float(np.float32(near.numerator) / np.float32(near.denominator)) == value:
            return near.denominator
    return MOST + 1


def _thresholds(noise: Noise, denominator: int) -> tuple[Thresholds | None, str | None]:
    """Enclosed probabilities of the noise's integers, or None and, where a table can be made, how."""
    module = registry.load(noise.family)
    if module.GEOMETRY != "product":
        return None, None
    most = max(_FEWEST, 16 * denominator)  # finer grids need more integers to reach as far
    try:
        made = special.grid_thresholds(
            noise.family, module.SPEC_HASH, dict(noise.params), noise.scale, denominator, most
        )
    except special.MissingTable as error:
        return None, str(error)
    low, high = (torch.from_numpy(np.array(ends, dtype=np.int64)) for ends in (made.low, made.high))
    return Thresholds(made.first, low, high), None


class GridNoise:
    """Integer noise for inputs k/q: what noise·q, rounded to the nearest integer, follows.

    Args:
        noise: the continuous noise, whose radii stay valid.
        denominator: q, in [1, 65535].
        thresholds: of the integers, where not those of the noise itself (for tests).

    Attributes:
        source: what the integers are drawn from: the digest of enclosed thresholds, or `SAMPLED`. Part of a run's identity.
        thresholds: enclosed probabilities of the integers; None where they are sampled.
        missing: how to make the table for which the noise is sampled, where there could be one; else None.

    Raises:
        ValueError: the denominator is out of range.
    """

    def __init__(self, noise: Noise, denominator: int, thresholds: Thresholds | None = None) -> None:
        self.noise = noise
        self.denominator = check_denominator(denominator)
        self.missing: str | None = None
        self.thresholds = thresholds
        if thresholds is None:
            self.thresholds, self.missing = _thresholds(noise, self.denominator)
        self.source = SAMPLED if self.thresholds is None else self.thresholds.digest
        self._limit = 2**24 - 1
        self._saturate = False
        if self.thresholds is not None and self.thresholds.tail > _SMALL_TAIL:
            # An integer beyond the thresholds and an |m| up to 2q: their sum is at least this.
            reach = min(-self.thresholds.first, self.thresholds.last) + 1 - 2 * self.denominator
            if reach >= 4 * self.denominator:
                self._saturate, self._limit = True, reach
        self._inversions: dict[torch.device, Inversion] = {}

    @property
    def enclosed(self) -> bool:
        """Whether the integers are drawn from enclosed probabilities."""
        return self.thresholds is not None

    def integers(
        self, stretches: Sequence[Stretch], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The integer noise of votes, of which each depends on its own identity alone.

        Args:
            stretches: which votes, one stretch after the other; where the noise is not `enclosed`, each from a multiple of 64 on.
            device: where the integers are made.

        Returns:
            int32 [votes, dim], and bool [votes]: False for a vote that must be counted as failed.
        """
        if self.thresholds is None:
            parts = [self._sampled(stretch, device) for stretch in stretches]
        else:
            if device not in self._inversions:
                self._inversions[device] = Inversion(self.thresholds, self._saturate, device)
            inversion, dim = self._inversions[device], self.noise.dim
            most = max(1, _AT_ONCE.get(device.type, _AT_ONCE_ELSEWHERE) // dim)
            parts = [
                inversion(cells(group, dim, device), partial(more, group, dim))
                for group in gathered(stretches, most)
            ]
        return torch.cat([part for part, _ in parts]), torch.cat([decided for _, decided in parts])

    def _sampled(self, stretch: Stretch, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        noise = sampled_blocks(self.noise.sample, stretch, (self.noise.dim,), torch.float64, device)
        decided = ~noise.isnan().any(dim=1)
        scaled = torch.round(noise.mul_(self.denominator)).nan_to_num_(0.0, OUTSIDE, -OUTSIDE)
        return scaled.clamp_(-OUTSIDE, OUTSIDE).to(torch.int32), decided

    def noisy(self, m: torch.Tensor, integers: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """(m + j)/q for every vote of one input: a function of the integer m + j alone.

        Args:
            m: int32 [*event], from `numerators`.
            integers: int32 [n, dim], from `integers`.
            dtype: as in `floats`.

        Returns:
            Tensor [n, *event].
        """
        return self.floats(integers + m.reshape(1, -1), dtype).view(len(integers), *m.shape)

    def floats(self, totals: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """s/q for sums s = m + j.

        Args:
            totals: int32, changed in place: sums beyond a limit (2^24, less for heavy tails) are clipped to it.
            dtype: torch.float32 or torch.float64, in which the quotient is rounded once.
        """
        return _quotient(totals.clamp_(-self._limit, self._limit), self.denominator, dtype)
