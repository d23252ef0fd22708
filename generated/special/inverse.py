"""Draws from a law given by its cdf and quantile function: a monotone table of log r against the normal score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import scipy.special as sc
import torch

from generated.special.arguments import Array, require
from generated.special.variates import by_blocks, standard_normal

REACH = 8.5
"""Normal scores beyond ±REACH, of probability 2e-17, count as ±REACH."""
FIRST_CELLS = 256
MOST_CELLS = 1 << 15
MARGIN = 2.0
"""The stated error is this many times the largest one at the test points. They see more than 2/3 of the largest error of all
where the quantile function has a kink, wherever in a cell that lies (measured), and nearly all of it where it is smooth."""

_NODES = np.array([0.0, 0.25, 0.75, 1.0])
_TESTS = np.concatenate([[0.0, 1 / 64, 1 / 32], np.linspace(1 / 16, 15 / 16, 15), [31 / 32, 63 / 64, 1.0]])
_POWERS = np.linalg.inv(_NODES[1:, None] ** np.array([1, 2, 3]))


class QuantileLaw(Protocol):
    """A law of r > 0, vectorised over float64 arrays and accurate in both tails."""

    def quantile(self, lower: Array) -> Array:
        """The r below which the law has mass `lower`."""

    def upper_quantile(self, upper: Array) -> Array:
        """The r above which the law has mass `upper`."""

    def lower(self, q: float, r: Array) -> Array:
        """P(r ≤ given) for q = 0."""

    def upper(self, q: float, r: Array) -> Array:
        """P(r ≥ given) for q = 0."""


@dataclass(frozen=True, eq=False)
class InverseCdf:
    """A sampler of a law of r > 0: r = exp(cubic pieces of z), z standard normal, never decreasing in z.

    Its cdf differs from the law's by at most `error` anywhere (measured when the table was built, with a factor of 2). The
    scores z have 53 bits on both sides of zero, so both tails are drawn down to probabilities of 1e-16.
    """

    knots: Array
    """Ends of the cells in z, increasing, one more than there are cells."""
    coefficients: Array
    """(4, cells): log r = c0 + c1·t + c2·t² + c3·t³, where t runs from 0 to 1 along the cell."""
    smallest: float
    largest: float
    error: float
    _tables: dict[torch.device, tuple[torch.Tensor, ...]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        cells = len(self.knots) - 1
        require(cells >= 1 and bool(np.all(np.diff(self.knots) > 0.0)), "the knots of a table must increase")
        require(self.coefficients.shape == (4, cells), "a table needs four coefficients for each cell")
        require(bool(np.all(_rises(self.coefficients))), "the pieces of a table must not decrease")
        require(0.0 < self.smallest <= self.largest < math.inf, "a table needs positive finite ends")

    def draw(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> torch.Tensor:
        """Independent draws of r on the generator's device, without host round trips; drawn in float64, then rounded."""
        return by_blocks(
            lambda count: self.at(standard_normal((count,), generator, torch.float64)),
            shape,
            generator,
            dtype,
        )

    def at(self, score: torch.Tensor) -> torch.Tensor:
        """The r of each float64 normal score, on its device; never decreasing in it, up to rounding."""
        inner, left, per_width, *coefficients = self._table(score.device)
        cell = torch.bucketize(score, inner, right=True)
        t = score.sub(left[cell]).mul_(per_width[cell]).clamp_(0.0, 1.0)
        log_r = coefficients[3][cell]
        for lower in (coefficients[2], coefficients[1], coefficients[0]):
            log_r.mul_(t).add_(lower[cell])
        return log_r.exp_().clamp_(self.smallest, self.largest)

    def _table(self, device: torch.device) -> tuple[torch.Tensor, ...]:
        """The table's tensors on a device: copied there once."""
        if device not in self._tables:
            arrays = (self.knots[1:-1], self.knots[:-1], 1.0 / np.diff(self.knots), *self.coefficients)
            self._tables[device] = tuple(torch.tensor(a, dtype=torch.float64, device=device) for a in arrays)
        return self._tables[device]


def inverse_cdf(law: QuantileLaw, *, tolerance: float = 1e-9) -> InverseCdf:
    """A sampler whose cdf is within `tolerance` of the law's everywhere (Kolmogorov distance).

    Cells of the normal score are halved until the cubic through four quantiles, put back into the cdf, misses no test point
    by more than a quarter of the tolerance. ValueError when that is not reached: a law whose quantiles leave the range of
    floats, or whose quantile function and cdf do not agree to that accuracy.
    """
    require(0.0 < tolerance < 1.0, f"a tolerance is a number between 0 and 1, not {tolerance!r}")
    ends = np.linspace(-REACH, REACH, FIRST_CELLS + 1)
    inside = np.flatnonzero(np.isfinite(_log_quantile(law, ends)))
    require(len(inside) >= 2, "the law has no quantiles in the range of floats")
    ends = ends[inside[0] : inside[-1] + 1]
    lost = max(sc.ndtr(ends[0]), sc.ndtr(-ends[-1]))
    require(
        lost <= tolerance / 4.0,
        f"quantiles leave the range of floats with a probability of {lost:.3g}, above the tolerance {tolerance:g}",
    )
    left, right = _refined(law, ends, tolerance)
    values = _log_quantile(law, _points(left, right, _NODES))
    values = np.maximum.accumulate(values.ravel()).reshape(values.shape)
    coefficients = _cubics(values)
    error = MARGIN * float(np.max(_misses(law, left, right, coefficients))) + float(lost)
    require(error <= tolerance, f"the table misses its law by {error:.3g}, above the tolerance {tolerance:g}")
    return InverseCdf(
        np.append(left, right[-1]),
        coefficients,
        float(np.exp(values[0, 0])),
        float(np.exp(values[-1, -1])),
        error,
    )


def _refined(law: QuantileLaw, ends: Array, tolerance: float) -> tuple[Array, Array]:
    """Cells, sorted, each of which meets the tolerance on its own."""
    left, right = ends[:-1], ends[1:]
    done: list[Array] = []
    cells = 0
    while len(left):
        values = _log_quantile(law, _points(left, right, _NODES))
        require(
            bool(np.all(np.isfinite(values))),
            "the law's quantile function is not finite inside its own range",
        )
        coefficients = _cubics(np.maximum.accumulate(values, axis=1))
        miss = np.max(_misses(law, left, right, coefficients), axis=1)
        good = miss <= tolerance / (2.0 * MARGIN)
        done.append(np.stack([left[good], right[good]]))
        left, right = left[~good], right[~good]
        middle = 0.5 * (left + right)
        cells += int(np.sum(good))
        require(
            cells + 2 * len(left) <= MOST_CELLS and bool(np.all((left < middle) & (middle < right))),
            f"no table of {MOST_CELLS} cells comes within {tolerance:g} of this law: it still misses by "
            f"{np.max(miss):.3g}, or its quantile function and its cdf disagree by that much",
        )
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
    both = np.concatenate(done, axis=1)
    both = both[:, np.argsort(both[0])]
    return both[0], both[1]


def _points(left: Array, right: Array, t: Array) -> Array:
    """(cells, len(t)): points along each cell; its ends exactly."""
    return left[:, None] * (1.0 - t) + right[:, None] * t


def _log_quantile(law: QuantileLaw, score: Array) -> Array:
    low = score <= 0.0
    r = np.empty_like(score)
    with np.errstate(all="ignore"):
        r[low] = law.quantile(sc.ndtr(score[low]))
        r[~low] = law.upper_quantile(sc.ndtr(-score[~low]))
        return np.log(r)


def _cubics(values: Array) -> Array:
    """(4, cells): the cubics through four values each; the chord where a cubic would decrease somewhere."""
    rise = values[:, 1:] - values[:, :1]
    cubic = np.stack([values[:, 0], *(rise @ _POWERS.T).T])
    chord = np.zeros_like(cubic)
    chord[0], chord[1] = values[:, 0], rise[:, -1]
    return np.where(_rises(cubic), cubic, chord)


def _rises(c: Array) -> Array:
    """Whether c1 + 2·c2·t + 3·c3·t² ≥ 0 on [0, 1], cell by cell: at both ends and at the turning point between them."""
    with np.errstate(all="ignore"):
        turn = np.clip(np.nan_to_num(-c[2] / (3.0 * c[3])), 0.0, 1.0)
    slopes = [c[1] + t * (2.0 * c[2] + t * 3.0 * c[3]) for t in (0.0, turn, 1.0)]
    return np.all(np.stack(slopes) >= 0.0, axis=0)


def _misses(law: QuantileLaw, left: Array, right: Array, c: Array) -> Array:
    """(cells, test points): |cdf(r(z)) - normal cdf(z)|, from the smaller tail."""
    score = _points(left, right, _TESTS)
    c0, c1, c2, c3 = c[:, :, None]
    r = np.exp(c0 + _TESTS * (c1 + _TESTS * (c2 + _TESTS * c3)))
    low = score <= 0.0
    miss = np.empty_like(score)
    with np.errstate(all="ignore"):
        miss[low] = np.abs(law.lower(0.0, r[low]) - sc.ndtr(score[low]))
        miss[~low] = np.abs(law.upper(0.0, r[~low]) - sc.ndtr(-score[~low]))
    return np.where(np.isnan(miss), np.inf, miss)
