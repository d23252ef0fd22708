"""Radii for `derive.check`, from a density's text alone: the standard library and mpmath, nothing of the program that wrote the certificate.

* Noise of a norm, psi = -log q rising: growth(p) = min over t of q_v(V) + e^t (p - q(V)), V = {q_v > e^t q}, is at least what any set of probability p has
  after the shift by v (weak duality, sound for any t). With q unimodal one shift of each length is the worst (docs/arguments.md).
* Independent coordinates against l1, differential, cdf F of a coordinate: psi convex: R = c, F(c) = p_lower; psi concave and rising:
  R = ∫ q(r)/(q(0) - q(r)) dr over r ≥ c, P(|x| ≤ c) = 2(1 - p_lower).

Integrals are Gauss–Legendre sums in log r at 40 digits, taken with more and more panels until they settle, and the shape of psi is tested at points: tested, not enclosed.
"""
# fmt: off

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from mpmath import mp, mpf

DIGITS, ORDER, DEPTH, HALF, TINY = 40, 18, 70, mpf("0.5"), mpf(10) ** -30
OPERATORS: dict[type, Any] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: lambda x, y: power(x, y)}
Real = Callable[[mpf], mpf]
Share = Callable[[mpf, mpf, mpf], mpf]

class Refused(ValueError):
    """The file is not a certificate, or one that cannot be checked."""

def compiled(node: ast.expr, names: dict[str, mpf]) -> Real:
    """A density's text as a function of r: + - * / ** exp sqrt sech cos min of names and constants."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            constant = mpf(repr(number))
            return lambda r: constant
        case ast.Name(id=name) if name == "r" or name in names:
            return (lambda r: r) if name == "r" else (lambda r: names[name])
        case ast.UnaryOp(op=ast.USub(), operand=a):
            f = compiled(a, names)
            return lambda r: -f(r)
        case ast.BinOp(left=a, op=op, right=b) if type(op) in OPERATORS:
            f, g, apply = compiled(a, names), compiled(b, names), OPERATORS[type(op)]
            return lambda r: apply(f(r), g(r))
        case ast.Call(func=ast.Name(id="min"), args=[a, b], keywords=[]):
            f, g = compiled(a, names), compiled(b, names)
            return lambda r: min(f(r), g(r))
        case ast.Call(func=ast.Name(id="exp" | "sqrt" | "sech" | "cos" as name), args=[a], keywords=[]):
            f, apply = compiled(a, names), getattr(mp, name)
            return lambda r: mpf(0) if name in ("exp", "sech") and abs(f(r)) > 10**9 else apply(f(r))
    raise Refused(f"cannot check a density with {ast.unparse(node)[:60]!r} in it")

def power(x: mpf, y: mpf) -> mpf:
    if abs(y) > 10**7 or (x < 0 and y != int(y)):
        raise Refused("cannot check a density with such a power")
    return x**y

def crossing(f: Real, a: mpf, b: mpf, width: mpf, small: mpf) -> mpf:
    """Where f, of different signs at a and b, changes its sign or is small: false position, and halving where that is slow."""
    fa, fb, tries = f(a), f(b), 0
    while abs(b - a) > width and abs(fb) > small and tries < 60:
        tries += 1
        c = (a + b) / 2 if tries % 5 == 0 else b - fb * (b - a) / (fb - fa)
        fc = f(c)
        a, fa = (a, fa / 2) if (fc > 0) == (fb > 0) else (b, fb)
        b, fb = c, fc
    return b

def legendre(order: int) -> list[tuple[mpf, mpf]]:
    """Nodes and weights of the Gauss–Legendre rule on [-1, 1]."""
    found = []
    for i in range(order):
        y = mp.cos(mp.pi * (i + mpf("0.75")) / (order + HALF))
        for _ in range(8):
            slope = order * (mp.legendre(order - 1, y) - y * mp.legendre(order, y)) / (1 - y * y)
            y -= mp.legendre(order, y) / slope
        found.append((y, 2 / ((1 - y * y) * slope**2)))
    return found

class Law:
    """q on panels in u = log r, for the norm of m coordinates: the mass of r is r^m q du."""

    def __init__(self, noise: dict[str, Any], m: int) -> None:
        tree = ast.parse(noise["density"], mode="eval").body
        fixed = {k: mpf(float.fromhex(v)) for k, v in noise["parameters"].items()} | {"pi": +mp.pi, "d": mpf(noise["dim"])}
        if noise["support"] not in ("", "r<=1"):
            raise Refused(f"cannot check the support {noise['support']!r}")
        self.q, self.m, self.bounded, self.nodes = compiled(tree, fixed), m, noise["support"] == "r<=1", legendre(ORDER)
        self.psi: Real = lambda u: -mp.log(max(self.q(mp.exp(u)), mpf(10) ** -(10**9)))
        self.log: Real = lambda u: m * u - self.psi(u)
        self.low, self.high, step = mpf(-200), mpf(0 if self.bounded else 200), mpf(1)
        top = max((self.low + i for i in range(int(self.high - self.low) + 1)), key=self.log)
        for _ in range(60):
            step, top = step * mpf("0.8"), max((top - step, top, min(top + step, self.high)), key=self.log)
        self.ends, self.scale = [], self.log(top)
        for far in (self.low, self.high):
            a, b = (far, far) if self.log(far) > self.scale - DEPTH else (top, far)
            for _ in range(60):
                a, b = ((a + b) / 2, b) if self.log((a + b) / 2) > self.scale - DEPTH else (a, (a + b) / 2)
            self.ends.append(a)
        with mp.workdps(200):  # differences of psi near 0 cancel
            grid = [mp.exp(u) for u in self.split(96).edges[: 96 + (not self.bounded)]]
            psi = [-mp.log(self.q(r)) for r in grid]
            rise = [(y - x) / (b - a) for a, b, x, y in zip(grid, grid[1:], psi, psi[1:], strict=False)]
            if min(rise) < 0 or any(self.psi(self.low + i) > self.psi(self.low + i + 1) for i in range(int(self.high - self.low))):
                raise Refused("cannot check a density that rises")
        self.slope, self.flat, self.bottom, self.peak = rise[0], max(rise) == 0, self.psi(self.low), self.psi(self.high)
        self.convex, self.concave = (all(s * b >= s * a - abs(a) * mpf(10) ** -20 for a, b in zip(rise, rise[1:], strict=False)) for s in (1, -1))

    def split(self, panels: int) -> Law:
        """Itself, cut into so many panels."""
        self.edges = [self.ends[0] + (self.ends[1] - self.ends[0]) * i / panels for i in range(panels + 1)]
        self.mass = [self.integral(a, b) for a, b in zip(self.edges, self.edges[1:], strict=False)] if panels != 96 else []
        return self

    def integral(self, low: mpf, high: mpf, factor: Real = lambda u: mpf(1), rough: bool = False) -> mpf:
        """∫ factor(u) r^m q du; rough at its ends, as square roots are: then in y, u = (3y - y³)/2."""
        half, middle, total = (high - low) / 2, (high + low) / 2, mpf(0)
        for y, weight in self.nodes:
            u, weight = (middle + half * (3 * y - y**3) / 2, weight * (1 - y * y) * 3 / 2) if rough else (middle + half * y, weight)
            total += weight * mp.exp(self.log(u) - self.scale) * factor(u)
        return half * total

    def radius(self, fail: mpf) -> mpf:
        """The differential radius of one coordinate at p_lower = 1 - fail, odd about fail = 1/2."""
        if fail >= HALF:
            return mpf(0) if fail == HALF else -self.radius(1 - fail)
        wanted, i = (1 - 2 * fail if self.convex else 2 * fail) * sum(self.mass), 0
        while wanted > self.mass[i] and i + 1 < len(self.mass):
            wanted, i = wanted - self.mass[i], i + 1
        c = crossing(lambda u: self.integral(self.edges[i], u) - wanted, self.edges[i], self.edges[i + 1], TINY, wanted * TINY)
        if self.convex:
            return mpf(mp.exp(c))
        with mp.workdps(DIGITS + 20):
            ends, peak = [c, *self.edges[i + 1 :]], self.q(mpf(0))
            return mp.exp(self.scale) * sum(self.integral(a, b, lambda u: 1 / (peak - self.q(mp.exp(u)))) for a, b in zip(ends, ends[1:], strict=False))

    def level(self, u: mpf, t: mpf) -> mpf | None:
        """log of the largest s with psi(s) ≤ psi(r) + t at u = log r; None where there is none."""
        here, before = self.psi(u), self.psi(u - TINY)
        wanted = here + t
        if t > 0 and self.peak <= wanted:
            return self.high
        if t < 0 and self.bottom > wanted:
            return None
        step = t * TINY / (here - before) if here > before else mpf(t)
        near, far = u + step * mpf("0.98"), min(u + step * mpf("1.02"), self.high)
        if t * (self.psi(near) - wanted) > 0:
            near = u
        while t * (self.psi(far) - wanted) < 0:
            near, far = far, min(far + 2 * (far - u), self.high)
        return crossing(lambda x: self.psi(x) - wanted, near, far, abs(step) * TINY, abs(t) * mpf(10) ** -24 + mpf(10) ** -33)

    def share(self, t: mpf, e: mpf, inside: Share) -> mpf:
        """P(psi(Y + v) ≤ psi(Y) + t) for |v| = e: the mean share of a sphere that lies inside the ball around -v up to that level."""
        def ball(u: mpf) -> mpf:
            level = self.level(u, t)
            return mpf(0) if level is None else mp.exp(level)
        def gap(side: int, u: mpf) -> mpf:
            return ball(u) - (mp.exp(u) + e if side else abs(mp.exp(u) - e))
        total, gaps = mpf(0), [(gap(0, u), gap(1, u)) for u in self.edges]
        for a, b, left, right in zip(self.edges, self.edges[1:], gaps, gaps[1:], strict=False):
            sides = [side for side in (0, 1) if (left[side] > 0) != (right[side] > 0)]
            cuts = sorted(crossing(partial(gap, side), a, b, TINY, e * TINY) for side in sides)
            for low, high in zip([a, *cuts], [*cuts, b], strict=True):  # where spheres begin to be cut, and cease
                total += self.integral(low, high, lambda u: inside(mp.exp(u), ball(u), e), bool(cuts))
        return total / sum(self.mass)

def cap(dim: int) -> Share:
    """Share of the sphere ‖x‖₂ = r with ‖x + v‖₂ < s, ‖v‖₂ = e: I_x(a, a), a = (dim - 1)/2, by series of positive terms."""
    a = mpf(dim - 1) / 2
    middle, end = (mp.loggamma(a + HALF) - mp.loggamma(a) - mp.log(mp.pi) / 2, mp.loggamma(2 * a) - 2 * mp.loggamma(a) - mp.log(a))
    def series(z: mpf, n: mpf, k: mpf) -> mpf:  # ₂F₁(1, n; k; z)
        total = term = mpf(1)
        while term > total * mpf(10) ** -DIGITS:
            term, n, k = term * z * n / k, n + 1, k + 1
            total += term
        return total
    def inside(r: mpf, s: mpf, e: mpf) -> mpf:
        x = (s - abs(r - e)) * (s + abs(r - e)) / (4 * r * e)
        y, z = min(x, 1 - x), (1 - 2 * x) ** 2
        if y <= 0 or a * z > 120:
            tail = mpf(0)
        elif z > HALF / 2:
            tail = mp.exp(end + a * mp.log(y * (1 - y))) * series(y, 2 * a, a + 1)
        else:
            tail = HALF - mp.exp(middle + a * mp.log(1 - z)) * mp.sqrt(z) * series(z, a + HALF, mpf("1.5"))
        return tail if x < HALF else 1 - tail
    return inside

def corner(dim: int) -> Share:
    """The same for ‖x‖∞ and v along (1, …, 1), and for ‖x‖₁ and v along an axis."""
    def inside(r: mpf, s: mpf, e: mpf) -> mpf:
        return mpf(s > abs(r - e)) if s > r + e or s <= abs(r - e) else HALF * ((r + s - e) / (2 * r)) ** (dim - 1)
    return inside

def face(dim: int) -> Share:
    """The same for ‖x‖∞ and v along an axis: two faces across it, the others along it."""
    def inside(r: mpf, s: mpf, e: mpf) -> mpf:
        across = ((r + e < s) + (abs(r - e) < s)) * min(mpf(1), s / r) ** (dim - 1)
        along = max(mpf(0), min(r, s - e) - max(-r, -s - e)) / (2 * r) if r < s else mpf(0)
        return across / (2 * mpf(dim)) + along * (dim - 1) / dim
    return inside

def signs(d: int, fail: mpf) -> mpf:
    """∫ dp/Phi from fail to 1/2 for a score that is the sum of d signs: Phi is a chain of lines, from the largest sum down."""
    mass, p, phi, total = HALF**d, mpf(0), mpf(0), mpf(0)
    for k in range(d + 1):
        low, high, end = p, min(p + mass, HALF), phi + (min(p + mass, HALF) - p) * (d - 2 * k)
        if high > fail:
            start = phi + (max(low, fail) - low) * (d - 2 * k)
            total += mp.log(end / start) / (d - 2 * k) if 2 * k < d else (high - max(low, fail)) / end
        p, phi, mass = high, end, mass * (d - k) / (k + 1)
        if p >= HALF:
            break
    return total

def growth(noise: dict[str, Any], kind: Callable[[int], Share], e: mpf, p: mpf) -> tuple[mpf, mpf]:
    """Bounds of the largest q(U - v) with q(U) = p, from both sides: by the likelihood-ratio set of that probability."""
    law, inside, above, last = Law(noise, noise["dim"]), kind(noise["dim"]), mpf(10) ** -20, mpf(9)
    @cache
    def excess(t: mpf, panels: int) -> mpf:
        return mp.log(max(law.share(-t, e, inside), mpf(10) ** -99) / p)
    def located(t: mpf, step: mpf, panels: int) -> mpf:
        law.split(panels)
        step *= mp.sign(excess(t, panels)) or 1
        while excess(t + step, panels) * step > 0:
            step *= 2
        return crossing(lambda x: excess(x, panels), t, t + step, mpf(10) ** -12, mpf(10) ** -9)
    def bound(t: mpf) -> mpf:  # convex in e^t
        return 1 - law.share(t, e, inside) + mp.exp(t) * (p - law.share(-t, e, inside))
    linear = law.flat or law.convex and law.concave and kind is not cap
    jumps = [above] * (linear or kind is face) + [law.slope * e + above] * linear  # levels at which the ratio jumps
    law.split(12)
    t = min(jumps, key=bound) if jumps else above
    if not linear or kind is face:
        rough = located(mpf(0), mpf(1), 3)
        law.split(12)
        t = min([*jumps, rough if abs(excess(rough, 12)) < mpf(10) ** -7 else located(rough, abs(rough) / 64, 12)], key=bound)
    for panels in (5, 7, 9, 14, 20, 40, 80):
        law.split(panels)
        found = bound(t)
        if abs(found - last) < mpf(10) ** -17:
            near = mpf(10) ** -15 if t in jumps else abs(t) / 10**6 + mpf(10) ** -12
            ends = [bound(t - near), bound(t + near)] if found > HALF else [found]
            return found, 2 * found - max(ends) if min(ends) >= found - mpf(10) ** -17 else mpf(0)
        last = found
    raise Refused("cannot check: the integrals of this density do not settle")
