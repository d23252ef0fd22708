"""What the last digits are trusted to: the error of every primitive that a closed radius calls, and the slack that covers it.

A radius in closed form is computed by + - * / and the functions below. IEEE 754 fixes the error of the former; of the functions
each library says little, so this table states what is assumed of NumPy, SciPy and torch alike, on CPU and CUDA. Tests hold the
libraries that are installed against ball arithmetic at drawn arguments; derive.rounding follows the errors through each formula.
"""

from __future__ import annotations

UNIT = 2.0**-53
"""Largest relative error of one operation rounded to nearest."""

TRUSTED = {
    "log": 8,
    "log1p": 8,
    "exp": 8,
    "expm1": 8,
    "sqrt": 2,
    "pow": 8,
    "ndtri": 64,
    "gamma": 64,
    "gammainc": 8192,
    "gammaincc": 8192,
    "gamma_ratio": 180,
}
"""Bounds on the relative error of a function's value at a double, in units of 2^-53: two to fifteen times the largest seen in tests. `pow`
with exponents up to 2 in size (conversion factors of the dimension); ndtri on (0, 1), next to 1/2 as well; gammainc and gammaincc where they are at least 1e-19, as gamma.py calls them, for
shapes from 1e-3 to 2^25; gamma_ratio is gamma.py's."""

ROUNDING = 240
"""Relative error, in units of 2^-53, that `finish` absorbs: more than derive.rounding finds for any closed form."""
ROUND_DOWN = 1.0 - 2.0**-45
"""ROUNDING and 16 units more, as a factor: for what is computed from parameters and the dimension alone."""
ROUND_UP = 1.0 + 2.0**-45
"""The same for upper bounds."""
