"""Whether a sampler draws from its density: goodness of fit of radius and direction, and moments against sigma.

The laws come from quadrature of the density text, the direction laws from elementary geometry: uniform on the surface of
the l1, l2 or linf ball with respect to the cone measure. Thresholds are inequalities (Dvoretzky–Kiefer–Wolfowitz with
Massart's constant, Hoeffding, Bernstein), so a right sampler fails a check with probability at most LEVEL at any n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from derive.verification.check import LEVEL, Check
from derive.verification.frontier import Array
from derive.verification.oracle import Oracle, RadialLaw

ORDERS = {"l1": 1.0, "l2": 2.0, "linf": np.inf}
VALUES = 1_000_000  # numbers in one draw, about
MOST_POINTS = 200_000
SIGMA = 1e-9  # relative agreement of sigma with quadrature


def sampler_checks(
    oracle: Oracle, draw: Callable[[int, float], Array], sigma: Callable[[], float]
) -> Iterator[Check]:
    """Every check of one sampler in one dimension.

    draw(n, scale): the same n points of R^dim on each call, as float64; sigma(): the module's standard deviation at scale 1.
    """
    dim = oracle.dim
    n = max(2000, min(MOST_POINTS if oracle.geometry != "product" else VALUES, VALUES // dim))
    x = draw(n, 1.0)
    few = draw(64, 1.0), draw(64, 3.0)
    same = bool(np.allclose(few[1], 3.0 * few[0], rtol=1e-5, atol=0.0))
    yield Check("sampler", f"dim {dim}", same, "noise at scale 3 is 3 times the noise at scale 1")
    if x.shape != (n, dim) or not np.all(np.isfinite(x)):
        yield Check("sampler", f"dim {dim}", False, f"{n} points of shape {x.shape}, not all finite")
        return
    size = (
        np.abs(x).reshape(-1)
        if oracle.geometry == "product"
        else np.linalg.norm(x, ORDERS[oracle.geometry], axis=1)
    )
    yield from _radius(oracle, size)
    yield from _sigma(oracle, size, sigma)
    if oracle.geometry == "product":
        yield _independence(oracle, x)
    else:
        yield _direction(oracle, x / size[:, None], oracle.law.cdf(size))


def distance(values: Array, cdf: Callable[[Array], Array]) -> float:
    """Kolmogorov's distance of a sample from a continuous law."""
    ordered = np.sort(values)
    law = cdf(ordered)
    n = ordered.size
    return float(max(np.max(law - np.arange(n) / n), np.max(np.arange(1, n + 1) / n - law)))


def massart(n: int) -> float:
    """No sample of n points lies farther from its law, except with probability LEVEL."""
    return math.sqrt(math.log(2.0 / LEVEL) / (2.0 * n))


def hoeffding(n: int, width: float) -> float:
    """No mean of n values from an interval of this width lies farther from its expectation, except with probability LEVEL."""
    return width * math.sqrt(math.log(2.0 / LEVEL) / (2.0 * n))


def bernstein(n: int, variance: float, largest: float) -> float:
    """The same with a known variance and a largest deviation."""
    log = math.log(2.0 / LEVEL)
    return math.sqrt(2.0 * variance * log / n) + largest * log / (1.5 * n)


def _radius(oracle: Oracle, size: Array) -> Iterator[Check]:
    name = "|x_i|" if oracle.geometry == "product" else f"{oracle.geometry} norm"
    gap, limit = distance(size, oracle.law.cdf), massart(size.size)
    yield Check(
        "sampler",
        f"dim {oracle.dim}",
        gap <= limit,
        f"Kolmogorov-Smirnov of {name}: distance {gap:.2g} of {size.size} values, at most {limit:.2g}",
    )
    slope = _steepness(oracle.law)
    if slope is None:
        return
    middle, mean, variance = slope
    with np.errstate(divide="ignore"):
        value = np.arctan(-oracle.law.density(np.log(size))[1] / middle)
    gap, limit = abs(float(np.mean(value)) - mean), bernstein(size.size, variance, math.pi)
    yield Check(
        "sampler",
        f"dim {oracle.dim}",
        gap <= limit,
        f"mean of arctan(r*psi'(r)/{middle:.3g}): {mean:.5f} by quadrature, off by {gap:.2g}, at most {limit:.2g}",
    )


def _steepness(law: RadialLaw) -> tuple[float, float, float] | None:
    """(m, E, Var) of arctan(r·psi'/m), m the median of |r·psi'|; None where r·psi' is constant."""
    u, mass, score = law.nodes
    size = score * np.exp(u)
    order = np.argsort(size)
    middle = float(size[order][np.searchsorted(np.cumsum(mass[order]), 0.5 * np.sum(mass))])
    if not middle > 0.0:
        return None
    value = np.arctan(-law.density(u)[1] / middle)
    mean = float(np.sum(mass * value))
    variance = float(np.sum(mass * (value - mean) ** 2))
    return (middle, mean, variance) if variance > 1e-20 else None


def _sigma(oracle: Oracle, size: Array, sigma: Callable[[], float]) -> Iterator[Check]:
    """E x_i² by quadrature against the module's sigma, and by the sample (beyond its 0.999-quantile by quadrature)."""
    dim = oracle.dim
    second = oracle.law.moment(2.0)
    factor = {
        "product": 1.0,
        "l1": 2.0 / (dim * (dim + 1.0)),
        "l2": 1.0 / dim,
        "linf": (dim + 2.0) / (3.0 * dim),
    }
    try:
        stated = sigma() ** 2
    except ValueError:
        stated = math.inf
    if math.isinf(second) or math.isinf(stated):
        both = math.isinf(second) and math.isinf(stated)
        text = "infinite variance, by the tail and by the module" if both else (
            f"variance {factor[oracle.geometry] * second:.6g} by quadrature, {stated:.6g} by the module"
        )  # fmt: skip
        yield Check("sampler", f"dim {dim}", both, text)
        return
    exact = factor[oracle.geometry] * second
    off = abs(stated / exact - 1.0)
    yield Check(
        "sampler",
        f"dim {dim}",
        off <= SIGMA + 10.0 * oracle.law.noise,
        f"sigma**2 = {exact:.6g}: {off:.1g} from quadrature",
    )
    u, mass, _ = oracle.law.nodes
    edges = oracle.law.node_edges
    held = np.array([np.sum(mass[u < e]) for e in edges])
    cut = float(np.exp(edges[min(int(np.searchsorted(held, 0.999)), edges.size - 1)]))
    inner = np.where(np.exp(u) < cut, np.exp(2.0 * u), 0.0)
    mean = float(np.sum(mass * inner))
    variance = float(np.sum(mass * (inner - mean) ** 2))
    drawn = float(np.mean(np.where(size < cut, size * size, 0.0)))
    off, limit = abs(drawn - mean) / second, bernstein(size.size, variance, cut * cut) / second
    yield Check(
        "sampler",
        f"dim {dim}",
        off <= limit,
        f"E x_i**2 of the sample: {off:.2g} from sigma**2 (relative), at most {limit:.2g}",
    )


def _independence(oracle: Oracle, x: Array) -> Check:
    """Signs are fair and independent of sizes; neighbours are independent."""
    n, dim = x.shape
    level = oracle.law.cdf(np.abs(x[:, 0])) - 0.5
    sign = np.sign(x[:, 0])
    products = [float(np.mean(np.sign(x))) * math.sqrt(dim), float(np.mean(sign * level)) * 2.0]
    if dim > 1:
        products += [
            float(np.mean(sign * np.sign(x[:, -1]))),
            4.0 * float(np.mean(level * (oracle.law.cdf(np.abs(x[:, -1])) - 0.5))),
        ]
    worst, limit = max(abs(p) for p in products), hoeffding(n, 2.0)
    return Check(
        "sampler",
        f"dim {dim}",
        worst <= limit,
        f"signs and pairs of coordinates: correlations up to {worst:.2g}, at most {limit:.2g}",
    )


def _direction(oracle: Oracle, y: Array, level: Array) -> Check:
    """A coordinate of the direction y = x/‖x‖: its law, its sign, and no dependence on the norm."""
    n, dim = y.shape
    first = np.abs(y[:, 0])
    tests: list[tuple[str, float, float]] = []
    if oracle.geometry == "linf":
        face = np.argmax(np.abs(y), axis=1)
        top = y[np.arange(n), face]
        rest = np.delete(y.reshape(-1), np.arange(n) * dim + face)
        if dim > 1:
            tests.append(
                ("uniform off the face", distance(rest, lambda z: 0.5 * (z + 1.0)), massart(rest.size))
            )
        tests.append(("sign of the face", abs(float(np.mean(top))), hoeffding(n, 2.0)))
        share = np.bincount(face, minlength=dim) / n
        limit = bernstein(n, (1.0 - 1.0 / dim) / dim, 1.0) * 1.2  # for every face at once
        tests.append(("choice of the face", float(np.max(np.abs(share - 1.0 / dim))), limit))
        flat = np.where(first >= 1.0 - 1e-12, 0.5, 0.0)
    elif dim == 1:
        tests.append(("size of the direction", float(np.max(np.abs(first - 1.0))), 1e-6))
        flat = np.zeros(n)
    else:
        a, b = (1.0, dim - 1.0) if oracle.geometry == "l1" else (0.5, 0.5 * (dim - 1))
        cdf = (
            (lambda z: stats.beta.cdf(z, a, b))
            if oracle.geometry == "l1"
            else (lambda z: stats.beta.cdf(z * z, a, b))
        )
        pooled = np.abs(y[:, :: max(1, dim - 1)])
        tests.append(("law of a coordinate", max(distance(c, cdf) for c in pooled.T), massart(n)))
        flat = cdf(first) - 0.5
    tests.append(("sign of a coordinate", abs(float(np.mean(np.sign(y[:, 0])))), hoeffding(n, 2.0)))
    tests.append(("sign of the last", abs(float(np.mean(np.sign(y[:, -1])))), hoeffding(n, 2.0)))
    tests.append(
        (
            "dependence on the norm",
            4.0 * abs(float(np.mean((level - 0.5) * (flat - np.mean(flat))))),
            hoeffding(n, 2.0),
        )
    )
    name, value, limit = max(tests, key=lambda t: t[1] / t[2])
    return Check(
        "sampler",
        f"dim {dim}",
        value <= limit,
        f"direction on the {oracle.geometry} sphere, {len(tests)} tests: closest is {name}, {value:.2g}, at most {limit:.2g}",
    )
