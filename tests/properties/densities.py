"""The four noise densities written out by hand: the oracle's only source of knowledge about them.

Nothing here comes from the product. A density is its logarithm (normalised by an elementary integral that is
derived in the comment beside it), a sampler, a box that holds all but a stated mass, and the places where it
jumps or bends, so that quadrature cells can end there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Density:
    """An even density on R^dim at unit scale.

    ``log`` takes points of shape (n, dim) and returns n natural logarithms (-inf outside the support);
    ``sample`` takes a number n and a NumPy generator and returns points of shape (n, dim);
    ``box`` takes a mass and returns T with P(max_i |x_i| > T) at most that mass;
    ``breaks`` are coordinates where the density is not smooth; ``graded`` asks for cells that shrink there.
    """

    name: str
    dim: int
    log: Callable[[Array], Array]
    sample: Callable[[int, np.random.Generator], Array]
    box: Callable[[float], float]
    breaks: tuple[float, ...]
    graded: bool


def gaussian(dim: int) -> Density:
    """Independent standard normal coordinates."""

    def log(x: Array) -> Array:
        return np.asarray(-0.5 * np.sum(x * x, axis=-1) - 0.5 * dim * math.log(2.0 * math.pi))

    def box(mass: float) -> float:  # P(|x_i| > T) <= exp(-T²/2), union over the coordinates
        return math.sqrt(2.0 * math.log(dim / mass))

    return Density("gaussian", dim, log, lambda n, g: g.standard_normal((n, dim)), box, (), False)


def laplace(dim: int) -> Density:
    """Independent coordinates with density exp(-|x|)/2."""

    def log(x: Array) -> Array:
        return np.asarray(-np.sum(np.abs(x), axis=-1) - dim * math.log(2.0))

    def sample(n: int, g: np.random.Generator) -> Array:
        return np.asarray(g.standard_exponential((n, dim)) * g.choice((-1.0, 1.0), size=(n, dim)))

    def box(mass: float) -> float:  # P(|x_i| > T) = exp(-T)
        return math.log(dim / mass)

    return Density("laplace", dim, log, sample, box, (0.0,), True)


def uniform(dim: int) -> Density:
    """Independent coordinates, uniform on [-1, 1]."""

    def log(x: Array) -> Array:
        inside = np.max(np.abs(x), axis=-1) <= 1.0
        return np.where(inside, -dim * math.log(2.0), -np.inf)

    def sample(n: int, g: np.random.Generator) -> Array:
        return g.uniform(-1.0, 1.0, (n, dim))

    return Density("uniform", dim, log, sample, lambda _: 1.0, (-1.0, 1.0), False)


def exp_linf(dim: int, k: float = 1.0, j: float = 0.0) -> Density:
    """Density proportional to m^-j·exp(-m^k), where m = max_i |x_i|, k > 0 and j < dim.

    The cube of radius r has volume (2r)^dim, so m has density proportional to r^(dim-1-j)·exp(-r^k): with
    s = r^k, ∫ = Γ((dim-j)/k)/k and s follows the Gamma law of that shape. Given m, the point is uniform on
    the faces of the cube.
    """
    shape = (dim - j) / k
    log_norm = math.log(dim) + dim * math.log(2.0) + math.lgamma(shape) - math.log(k)

    def log(x: Array) -> Array:
        m = np.max(np.abs(x), axis=-1)
        with np.errstate(divide="ignore"):
            singular = j * np.log(m) if j != 0.0 else 0.0
        return np.asarray(-(m**k) - singular - log_norm)

    def sample(n: int, g: np.random.Generator) -> Array:
        m = g.standard_gamma(shape, n) ** (1.0 / k)
        face = g.uniform(-1.0, 1.0, (n, dim))
        face[np.arange(n), g.integers(dim, size=n)] = g.choice((-1.0, 1.0), size=n)
        return m[:, None] * face

    def box(mass: float) -> float:
        return math.pow(float(special.gammainccinv(shape, mass)), 1.0 / k)

    return Density("exp_linf", dim, log, sample, box, (0.0,), True)


DENSITIES: Mapping[str, Callable[..., Density]] = {
    "exp_linf": exp_linf,
    "gaussian": gaussian,
    "laplace": laplace,
    "uniform": uniform,
}
