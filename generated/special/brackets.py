"""Many roots at once, each in a bracket of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ROUNDS = 24
"""Most rounds; a bracket on which the function is smooth needs about six."""


def false_position(
    function: Callable[[np.ndarray], np.ndarray],
    a: np.ndarray,
    b: np.ndarray,
    fa: np.ndarray,
    fb: np.ndarray,
    tolerance: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray]:
    """(x, function(x)) closest to 0 that was met, entry by entry, where fa = f(a) ≥ 0 ≥ fb = f(b).

    The Illinois rule: an end that stays a second time has its value halved. Stops when all |f| are within `tolerance`; what
    remains is returned and is the caller's to judge.
    """
    with np.errstate(all="ignore"):
        x, miss = np.where(fa <= -fb, a, b), np.where(fa <= -fb, fa, fb)
        side = np.zeros_like(fa)
        for _ in range(ROUNDS):
            guess = np.where(fa - fb > 0.0, a + (b - a) * (fa / (fa - fb)), 0.5 * (a + b))
            f = function(guess)
            above = f >= 0.0
            fb = np.where(above, np.where(side > 0.0, 0.5 * fb, fb), f)
            fa = np.where(above, f, np.where(side < 0.0, 0.5 * fa, fa))
            a, b, side = np.where(above, guess, a), np.where(above, b, guess), np.where(above, 1.0, -1.0)
            better = np.abs(f) < np.abs(miss)
            x, miss = np.where(better, guess, x), np.where(better, f, miss)
            if not np.any(np.abs(miss) > tolerance):
                break
    return x, miss
