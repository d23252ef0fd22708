"""False position on many brackets at once."""

from __future__ import annotations

import numpy as np

from generated.special.brackets import false_position


def test_roots_of_many_functions_at_once() -> None:
    target = np.array([0.5, 2.0, 3.0, 7.9, 1e-3])
    low, high = np.zeros(5), np.full(5, 2.0)
    x, miss = false_position(lambda x: target - x**3, low, high, target - low, target - high**3, 1e-15)
    assert np.allclose(x, np.cbrt(target), rtol=1e-13, atol=0.0) and np.all(np.abs(miss) < 1e-14)


def test_what_was_not_reached_is_told() -> None:
    """A jump over 0 has no root: the value closest to 0 comes back."""
    low, high = np.zeros(1), np.ones(1)
    x, miss = false_position(lambda x: np.where(x < 0.3, 2.0, -1.0), low, high, low + 2.0, low - 1.0, 1e-15)
    assert miss[0] == -1.0 and x[0] >= 0.3


def test_an_end_may_be_the_root() -> None:
    x, miss = false_position(lambda x: -x, np.zeros(1), np.ones(1), np.zeros(1), -np.ones(1), 0.0)
    assert x[0] == 0.0 and miss[0] == 0.0
