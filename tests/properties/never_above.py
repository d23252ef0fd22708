"""One generated radius against the lower end of its enclosure in ball arithmetic, at one double: never above it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import sympy as sp
import torch
from flint import arb, ctx

from derive.bounds import PRECISION, checked_values, native_ball
from derive.engine import Family, derive_family
from derive.spec import known_specs
from generated.registry import load

HALF_UP, ONE_DOWN = math.nextafter(0.5, 1.0), math.nextafter(1.0, 0.0)
WIDEST = Fraction(1, 10**12)
"""Relative width of an enclosure that is judged by: less than the slack of any curve or table."""
SPECS = Path(__file__).resolve().parents[2] / "derive" / "specs"
PLACES = ("any", "half", "one", "half-edge", "one-edge", "node", "grid")
"""Kinds of rho: anywhere; near 1/2 or 1 at every order of magnitude; a power of two of rho - 1/2 or 1 - rho, or a node of the curve
or table behind the radius, and a few doubles around; three decimals."""


@dataclass(frozen=True)
class Target:
    """A density and norm with the dimensions and parameter values to draw from. `cheap`: an enclosure takes about a millisecond."""

    family: str
    adversary: str
    dims: tuple[int, ...]
    parameters: Callable[[Random, int], dict[str, float]]
    cheap: bool

    def __str__(self) -> str:
        return f"{self.family}-l{self.adversary}-{'closed' if self.cheap else 'curve'}"


def _none(random: Random, dim: int) -> dict[str, float]:
    return {}


def _one_of(name: str, *values: float) -> Callable[[Random, int], dict[str, float]]:
    return lambda random, dim: {name: random.choice(values)}


def _heavy(random: Random, dim: int) -> dict[str, float]:
    return {"a": dim + random.choice((2.0, 4.0, 16.0, 128.0))}


ALL_DIMS = (1, 2, 3, 10, 64, 784, 3072, 12288, 150528)
LOW_DIMS = (1, 2, 3, 10, 64)
TARGETS = (
    Target("gaussian", "1", ALL_DIMS, _none, True),
    Target("gaussian", "2", ALL_DIMS, _none, True),
    Target("laplace", "1", ALL_DIMS, _none, True),
    Target("laplace", "inf", (1, 2, 3, 10, 64, 257), _none, True),
    Target("uniform", "1", ALL_DIMS, _none, True),
    Target("uniform", "inf", ALL_DIMS, _none, True),
    Target("uniform_ball", "2", (1, 2, 3, 10, 64, 784), _none, True),
    Target("exp_l1", "1", ALL_DIMS, _one_of("k", 1.0), True),
    Target("exp_linf", "1", ALL_DIMS, _one_of("k", 1.0), True),
    Target("exp_linf", "inf", ALL_DIMS, _one_of("k", 1.0), True),
    Target("generalized_normal", "1", ALL_DIMS, _one_of("p", 1.0), True),
    Target("generalized_normal", "1", (64,), _one_of("p", 0.5, 1.5, 2.0, 4.0, 10.0), False),
    Target("exp_l1", "1", LOW_DIMS, _one_of("k", 0.5, 2.0, 4.0, 10.0), False),
    Target("exp_linf", "1", LOW_DIMS, _one_of("k", 0.5, 2.0, 4.0, 10.0), False),
    Target("exp_linf", "inf", LOW_DIMS, _one_of("k", 0.5, 2.0, 4.0, 10.0), False),
    Target("huber", "1", (64,), _one_of("k", 0.5, 1.0, 2.0), False),
)
SLOW = (
    Target("pow_linf", "1", LOW_DIMS, _heavy, False),
    Target("pow_linf", "inf", LOW_DIMS, _heavy, False),
    Target("cauchy", "1", (64,), _none, False),
    Target("gaussian_mixture", "1", (64,), _none, False),
    Target("hyperbolic_secant", "1", (64,), _none, False),
    Target("logistic", "1", (64,), _none, False),
    Target("pareto", "1", (64,), _one_of("a", 1.0, 3.0), False),
    Target("raised_cosine", "1", (64,), _none, False),
    Target("student_t", "1", (64,), _one_of("nu", 3.0, 5.0), False),
    Target("triangular", "1", (64,), _none, False),
    Target("exp_l1", "1", (784, 3072, 150528), _one_of("k", 0.5, 2.0, 10.0), False),
    Target("exp_linf", "1", (784, 3072, 150528), _one_of("k", 0.5, 2.0, 10.0), False),
    Target("exp_linf", "inf", (784, 3072, 150528), _one_of("k", 0.5, 2.0, 10.0), False),
)
"""Enclosures that take a second or more: for the command alone."""


@dataclass(frozen=True)
class Example:
    """A radius at one double, the enclosure's lower end for it, and whether the first is within the second."""

    target: Target
    dim: int
    parameters: dict[str, float]
    rho: float
    scale: float
    radius: float
    lower: Fraction

    @property
    def holds(self) -> bool:
        return math.isfinite(self.radius) and 0 <= Fraction(self.radius) <= self.lower

    @property
    def loss(self) -> float:
        """How far the radius is below the lower end, relative."""
        return float(1 - Fraction(self.radius) / self.lower) if self.lower else 0.0

    def __str__(self) -> str:
        shown = "".join(f", {k}={v!r}" for k, v in self.parameters.items())
        return f"{self.target} dim={self.dim}{shown} rho={self.rho!r} scale={self.scale!r}: {self.radius!r}, enclosed from {float(self.lower)!r}"


def probability(random: Random, place: str, nodes: np.ndarray) -> float:
    """A double in (1/2, 1) of a kind in PLACES."""
    shift = random.randint(-2, 2)
    if place == "grid":
        return random.randint(501, 999) / 1000.0
    if place == "any":
        rho = 0.5 + random.getrandbits(52) * 2.0**-53
    elif place == "half":
        rho = 0.5 + 2.0 ** random.uniform(-53.0, -1.0)
    elif place == "one":
        rho = 1.0 - 2.0 ** random.uniform(-53.0, -1.0)
    elif place == "half-edge":
        rho = 0.5 + 2.0 ** -random.randint(2, 52) + shift * 2.0**-53
    elif place == "one-edge":
        rho = 1.0 - 2.0 ** -random.randint(2, 52) + shift * 2.0**-53
    else:
        rho = (float(nodes[random.randrange(nodes.size)]) if nodes.size else 0.75) + shift * 2.0**-53
    return min(max(rho, HALF_UP), ONE_DOWN)


@cache
def family(name: str) -> Family:
    """A density's derivation, made once."""
    return derive_family(known_specs(SPECS)[name])


@cache
def _values(name: str, dim: int, parameters: tuple[tuple[str, float], ...]) -> dict[sp.Symbol, sp.Rational]:
    """The exact values of the dimension and the parameters, checked once."""
    return checked_values(family(name), dim, {key: sp.Rational(value) for key, value in parameters})


@cache
def _nodes(name: str, adversary: str, dim: int, parameters: tuple[tuple[str, float], ...]) -> np.ndarray:
    """The confidences at the nodes of the curve, or the panel ends of the table, behind a radius."""
    build = getattr(load(name), f"_curve_l{adversary}", None)
    if build is None:
        return np.empty(0)
    names = load(name).PARAMETERS
    curve: Any = build(dim, *(dict(parameters)[key] for key in names))
    if hasattr(curve, "p"):
        return np.asarray(1.0 - curve.p)
    return torch.special.ndtr(torch.from_numpy(curve.edges)).numpy()


def example(target: Target, random: Random, place: str) -> Example:
    """A drawn example; ArithmeticError where no enclosure is found, or none as narrow as WIDEST."""
    dim = random.choice(target.dims)
    module = load(target.family)
    parameters = dict(module.PARAMETERS) | target.parameters(random, dim)
    scale = random.choice((1.0, 1.0, random.uniform(0.1, 10.0)))
    closed = target.cheap and target.family not in ("uniform_ball",)
    nodes = (
        np.empty(0)
        if closed and target.adversary != "inf"
        else _nodes(target.family, target.adversary, dim, tuple(parameters.items()))
    )
    rho = probability(random, place, nodes)
    function = getattr(module, f"radius_l{target.adversary}")
    kind = random.choice((torch.from_numpy, np.asarray))
    radius = float(function(kind(np.array([rho])), dim=dim, scale=scale, **parameters)[0])
    lower, upper = _ends(target, _values(target.family, dim, tuple(parameters.items())), rho)
    if upper - lower > WIDEST * upper:
        raise ArithmeticError(
            f"the enclosure of {target} at dim={dim} {parameters} rho={rho!r} is too wide to judge by"
        )
    return Example(target, dim, parameters, rho, scale, radius, lower * Fraction(scale))


def _ends(target: Target, values: dict[sp.Symbol, sp.Rational], rho: float) -> tuple[Fraction, Fraction]:
    """The exact ends of the enclosure at scale 1."""
    derived = family(target.family)
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        ball = native_ball(
            derived.profile, derived.native[target.adversary], values, sp.Rational(*rho.as_integer_ratio())
        )
        return _fraction(ball.lower()), _fraction(ball.upper())
    finally:
        ctx.prec = previous


def _fraction(end: arb) -> Fraction:
    if not end.is_finite():
        raise ArithmeticError("no finite enclosure")
    mantissa, exponent = end.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
