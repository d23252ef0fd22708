"""Coordinates of log-concave densities for the tests, by name and parameters."""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from derive.composition.coordinate import Coordinate, coordinate
from derive.profile import Profile, profile_of
from derive.spec import Spec, find_spec


def profile(name: str, **parameters: str) -> Profile:
    """The profile of a built-in density at exact parameters, defaults for the others."""
    spec = find_spec(name)
    values = {q.name: q.default for q in spec.parameters} | {n: sp.Rational(v) for n, v in parameters.items()}
    return profile_of(spec.member(values))


@lru_cache(maxsize=64)
def law(name: str, **parameters: str) -> Coordinate:
    return coordinate(profile(name, **parameters))


def of_density(density: str, support: str = "") -> Coordinate:
    return coordinate(profile_of(Spec("drawn", density, "product", support, (), "", {})))
