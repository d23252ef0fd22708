"""The libraries' functions against ball arithmetic: inside the error that generated code trusts them to, at drawn arguments."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from flint import arb, ctx

from generated.special.arguments import NUMPY, TORCH
from generated.special.errors import ROUND_DOWN, ROUNDING, TRUSTED, UNIT

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


def test_the_slack_covers_what_is_said() -> None:
    assert ROUND_DOWN <= 1.0 - (ROUNDING + 16) * UNIT
