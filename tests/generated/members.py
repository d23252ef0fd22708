"""Members of the families on which properties are checked, and their radii in high precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import mpmath as mp
import numpy as np

from generated import registry

DIGITS = 60


@dataclass(frozen=True)
class Member:
    """A family with its dimension, adversary and parameters."""

    family: str
    adversary: str
    dim: int
    params: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        named = "".join(f"-{k}={v:g}" for k, v in self.params.items())
        return f"{self.family}{named}-l{self.adversary}-d{self.dim}"

    @property
    def module(self) -> ModuleType:
        """The generated module."""
        return registry.load(self.family)

    @property
    def method(self) -> str:
        """What the module says about this radius."""
        return str(self.module.method(adversary=self.adversary, dim=self.dim, **self.params))

    def radius(self, rho: Any, scale: float = 1.0) -> Any:
        """The generated radius for an array or a tensor."""
        return self.module.radius(rho, adversary=self.adversary, dim=self.dim, scale=scale, **self.params)

    def at(self, rho: float, scale: float = 1.0) -> float:
        """The generated radius at one double."""
        return float(self.radius(np.array([rho]), scale)[0])

    def estimated(self, rho: float) -> float:
        """The generated l2 estimate at one double, at scale 1: no table is needed, nothing is proved."""
        return float(self.module.estimate_l2(np.array([rho]), dim=self.dim, **self.params)[0])


def _members() -> list[Member]:
    listed = []
    for dim in (1, 2, 10, 3072, 150528):
        for family in ("gaussian", "laplace", "uniform"):
            listed += [Member(family, a, dim) for a in registry.load(family).ADVERSARIES]
    exponents = ({"k": 1.0}, {"k": 2.0}, {"k": 10.0}, {"k": 0.5})
    for dim in (2, 10, 3072):
        for params in exponents:
            listed += [Member("exp_linf", a, dim, params) for a in registry.load("exp_linf").ADVERSARIES]
        listed.append(Member("exp_linf", "1", dim, {"k": 2.0, "j": dim / 2.0 - 0.5}))
    listed += [Member("exp_linf", a, 150528, {"k": 1.0}) for a in registry.load("exp_linf").ADVERSARIES]
    return listed


MEMBERS = _members()


def _tail(rho: float) -> Any:
    """1 - ρ, exact."""
    return 1 - mp.mpf(rho)


def _gaussian(rho: float, dim: int) -> Any:
    return mp.sqrt(2) * mp.erfinv(2 * mp.mpf(rho) - 1)


def _laplace(rho: float, dim: int) -> Any:
    return -mp.log(2 * _tail(rho))


def _exp_linf_l1(rho: float, dim: int) -> Any:
    if 2 * dim * _tail(rho) >= 1:
        return 2 * dim * (mp.mpf(rho) - mp.mpf(1) / 2)
    return dim - 1 - mp.log(2 * dim * _tail(rho))


CLOSED: dict[tuple[str, str], Callable[[float, int], Any]] = {
    ("gaussian", "2"): _gaussian,
    ("laplace", "1"): _laplace,
    ("uniform", "1"): lambda rho, dim: 2 * mp.mpf(rho) - 1,
    ("uniform", "inf"): lambda rho, dim: 2 * (1 - mp.power(mp.mpf(3) / 2 - mp.mpf(rho), mp.mpf(1) / dim)),
    ("exp_linf", "1"): _exp_linf_l1,
    ("exp_linf", "inf"): _laplace,
}
"""Radii at unit scale for ρ in (1/2, 1), exact; for exp_linf differential, with k = 1 and j = 0."""
