"""What the last digits are trusted to: the unit of rounding, and the slack that follows from it."""

UNIT = 2.0**-53
"""Largest relative error of one operation rounded to nearest."""
ROUND_DOWN = 1.0 - 2.0**-45
"""Absorbs the rounding of a closed form: at most 40 operations of 4 ulp each, conditioned by less than 1."""
ROUND_UP = 1.0 + 2.0**-45
"""The same for upper bounds."""
