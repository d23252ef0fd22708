"""The libraries' functions against ball arithmetic: inside the error that generated code trusts them to, at drawn arguments."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import scipy.special as sc
import torch
from flint import arb, ctx

from generated.special.arguments import NUMPY, TORCH
from generated.special.errors import ROUND_DOWN, ROUNDING, TRUSTED, UNIT
from generated.special.gamma import GammaLaw, gamma_ratio

COUNT = 4000
REFERENCES: dict[str, Callable[[arb], arb]] = {
    "log": lambda x: x.log(),
    "log1p": lambda x: x.log1p(),
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.expm1(),
    "sqrt": lambda x: x.sqrt(),
}


def _drawn(low: float, high: float) -> np.ndarray:
    """Doubles of every order of magnitude between two positive ones."""
    return np.exp(np.random.default_rng(5).uniform(np.log(low), np.log(high), COUNT))


ARGUMENTS = {
    "log": np.concatenate(
        [_drawn(2.0**-1022, 1.0), 1.0 - _drawn(2.0**-53, 0.5), 1.0 + _drawn(2.0**-52, 1e5)]
    ),
    "log1p": np.concatenate([-_drawn(1e-17, 0.999), _drawn(1e-17, 1e5)]),
    "exp": np.concatenate([-_drawn(1e-17, 708.0), _drawn(1e-17, 708.0)]),
    "expm1": np.concatenate([-_drawn(1e-17, 40.0), _drawn(1e-17, 40.0)]),
    "sqrt": _drawn(1e-300, 1e300),
}
"""Where closed radii call them; exp without its denormal results, which prepare covers by an absolute term."""


def _libraries(name: str, x: np.ndarray) -> list[np.ndarray]:
    """Arrays and single entries: vector code may use other instructions."""
    tensor = torch.from_numpy(x)
    one_by_one = torch.stack([getattr(TORCH, name)(entry) for entry in tensor[::40]])
    full = [getattr(NUMPY, name)(x), getattr(TORCH, name)(tensor).numpy()]
    return [
        *full,
        np.where(np.arange(x.size) % 40 == 0, np.repeat(one_by_one.numpy(), 40)[: x.size], full[0]),
    ]


@pytest.mark.parametrize("name", list(REFERENCES))
def test_functions_keep_the_trusted_error(name: str) -> None:
    x = ARGUMENTS[name]
    allowed = arb(Fraction(UNIT).numerator) / Fraction(UNIT).denominator * TRUSTED[name]
    previous = ctx.prec
    ctx.prec = 160
    try:
        exact = [REFERENCES[name](arb(float(entry))) for entry in x]
        for values in _libraries(name, x):
            for entry, value, ball in zip(x, values, exact, strict=True):
                assert abs(arb(float(value)) - ball) <= allowed * abs(ball), (name, entry, value)
    finally:
        ctx.prec = previous


def test_the_normal_quantile_keeps_the_trusted_error() -> None:
    """Value v for u: the law's mass below v·(1 ± error) lies on either side of u, so that the quantile is between."""
    u = np.concatenate(
        [0.5 + _drawn(2.0**-53, 0.5)[:1500], 1.0 - _drawn(2.0**-53, 0.5)[:1500], _drawn(2.0**-53, 0.5)[:1500]]
    )
    u = np.unique(u[(u > 0.0) & (u < 1.0)])
    previous = ctx.prec
    ctx.prec = 160
    try:
        share = arb(TRUSTED["ndtri"]) * arb(2) ** -53
        root = arb(2).sqrt()
        for values in _libraries("ndtri", u):
            for entry, value in zip(u, values, strict=True):
                low, high = (abs(arb(float(value))) * factor / root for factor in (1 - share, 1 + share))
                tail = arb(float(min(entry, 1.0 - entry)))  # the smaller one is exact
                assert high.erfc() / 2 <= tail, (entry, value)
                assert low.erfc() / 2 >= tail, (entry, value)
    finally:
        ctx.prec = previous


def _gamma_tails(shape: arb, t: arb) -> tuple[arb, arb]:
    """(P(shape, t), Q(shape, t)), both to 60 bits or more."""
    for precision in (200, 800, 3200):
        ctx.prec = precision
        upper = t.gamma_upper(shape, regularized=1)
        lower = 1 - upper
        if min(upper.rel_accuracy_bits(), lower.rel_accuracy_bits()) >= 60:
            return lower, upper
    raise AssertionError(f"no enclosure at shape {shape}, t = {t}")


@pytest.mark.parametrize(
    ("least", "most"), [(1e-3, 1.0), (1.0, 200.0), (200.0, 1e4), (1e4, 3e5), (3e5, 2.0**25)]
)
def test_incomplete_gamma_functions_keep_the_trusted_error(least: float, most: float) -> None:
    """Both tails down to 1e-19, at shapes of every order of magnitude, as GammaLaw calls them."""
    rng = np.random.default_rng(11)
    allowed = {name: arb(TRUSTED[name]) * arb(2) ** -53 for name in ("gammainc", "gammaincc")}
    previous, seen = ctx.prec, 0
    try:
        for shape in np.exp(rng.uniform(np.log(least), np.log(most), 60)):
            law = GammaLaw((float(shape),), 1.0, 1.0)
            z = rng.uniform(-9.0, 9.0)
            # Wilson and Hilferty's quantile for large shapes; the inverse in floats is good enough a place for small ones
            third = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * np.sqrt(shape))
            t = float(shape * third**3 if shape > 200.0 else law.quantile(np.array([sc.ndtr(z)]))[0])
            if not 1e-280 < t < 1e300:
                continue
            lower, upper = _gamma_tails(arb(float(shape)), arb(t))
            for name, found, exact in (
                ("gammainc", law.lower(0.0, np.array([t])), lower),
                ("gammaincc", law.upper(0.0, np.array([t])), upper),
            ):
                if exact > 1e-19:
                    seen += 1
                    assert abs(arb(float(found[0])) - exact) <= allowed[name] * exact, (name, shape, t)
    finally:
        ctx.prec = previous
    assert seen > 60


def test_scipys_own_lower_tail_is_not_enough_at_large_shapes() -> None:
    """Why there is a series of our own: five standard deviations below a shape of 9e6 SciPy stops too early."""
    shape, t = 8954565.574356478, 8939706.493630037
    previous = ctx.prec
    try:
        lower, _ = _gamma_tails(arb(shape), arb(t))
    finally:
        ctx.prec = previous
    law = GammaLaw((shape,), 1.0, 1.0)
    assert abs(float(law.lower(0.0, np.array([t]))[0]) / float(lower.mid()) - 1.0) < 1e-12
    with pytest.raises(ValueError, match="up to the shape"):
        GammaLaw((2.0**26,), 1.0, 1.0).lower(0.0, np.array([1.0]))


def test_ratios_of_gamma_functions_keep_the_trusted_error() -> None:
    rng = np.random.default_rng(12)
    allowed = arb(TRUSTED["gamma_ratio"]) * arb(2) ** -53
    previous = ctx.prec
    ctx.prec = 400
    try:
        for y in np.exp(rng.uniform(np.log(1e-3), np.log(2.0**25), 300)):
            x = float(y + rng.uniform(-0.9, 1.0) * min(y, 3.0))
            exact = (arb(x).lgamma() - arb(float(y)).lgamma()).exp()
            assert abs(arb(gamma_ratio(x, float(y))) - exact) <= allowed * exact, (x, y)
    finally:
        ctx.prec = previous


def test_the_slack_covers_what_is_said() -> None:
    assert ROUND_DOWN <= 1.0 - (ROUNDING + 16) * UNIT
