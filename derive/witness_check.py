"""Checks the witnesses of a table again, with nothing of the engine: the standard library and python-flint alone.

A witness (p, t, e) claims R(1 - p) ≥ e. With M = P(psi(|X+v|) - psi(|X|) > t), m = P(psi(|X|) - psi(|X-v|) > t) and ‖v‖ = e, weak
Neyman–Pearson duality gives G(p, v) ≤ M + e^t·(p - m) for every t, so p ≤ h = m + e^-t·(1/2 - M) is enough. Both masses are integrals
over u = log r, enclosed by `acb.integral`; psi comes from the density's text, the tails from bounds of its logarithmic slope, which also
prove that the density does not rise. Sources: Yang et al. 2020 (level sets); F. Johansson, Numerical integration in ball arithmetic, 2018.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from flint import acb, arb, ctx, fmpq

BITS = (44, 60, 80)
"""Integrals err by about 2**-bits of the smaller of p and 1/2 - p; tried in this order until a claim is decided."""
INFINITY, NOTHING, LOWEST = arb("inf"), acb("nan"), -800
"""LOWEST: log r below which r counts as 0."""
TINY = arb(2) ** -120
NONE = acb(arb(0, arb(2) ** -1000))
"""s/r where s counts as 0."""


class Unreadable(ValueError):
    """A density, a geometry or a file that this checker does not know."""


class Span:
    """Numbers from low to high, which may be infinite; 0·oo = 0."""

    def __init__(self, low: arb, high: arb) -> None:
        self.low, self.high = low.lower(), high.upper()

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Span:
        return Span(-self.high, -self.low)

    def __mul__(self, other: Span) -> Span:
        pairs = [(x, y) for x in (self.low, self.high) for y in (other.low, other.high)]
        ends = [arb(0) if x == 0 or y == 0 else x * y for x, y in pairs]
        low, high = ends[0], ends[0]
        for end in ends[1:]:
            low, high = low.min(end), high.max(end)
        return Span(low, high)

    def __truediv__(self, other: Span) -> Span:
        ends = [arb(0) if abs(x) == INFINITY else 1 / x for x in (other.high, other.low)]
        return self * (Span(ends[0], ends[1]) if bool(other.low > 0) else Span(-INFINITY, INFINITY))

    def exp(self) -> Span:
        return Span(self.low.exp(), self.high.exp())

    def log(self) -> Span:
        return Span(self.low.log() if bool(self.low > 0) else -INFINITY, self.high.log())


class Density:
    """q as text, read at a ball u = log r or on a half line (Span): of every part the value, its logarithm, and two derivatives of that."""

    def __init__(self, text: str, constants: Mapping[str, str]) -> None:
        self.text, self.tree = text.strip(), ast.parse(text.strip(), mode="eval").body
        self.constants = {name: _rational(value) for name, value in constants.items()} | {"pi": arb.pi()}

    def log(self, u: Any) -> tuple[Any, Any, Any]:
        """log q, its slope and its curvature in u (no curvature on half lines)."""
        return self._read(self.tree, u)[1:]

    def _read(self, node: ast.expr, u: Any) -> tuple[Any, Any, Any, Any]:
        wrap = (lambda x: Span(x, x)) if isinstance(u, Span) else acb
        zero = wrap(arb(0))
        match node:
            case ast.Name(id="r"):
                return u.exp(), u, wrap(arb(1)), zero
            case ast.Name(id=name) if name in self.constants:
                fixed = self.constants[name]
                return wrap(fixed), wrap(fixed.log()), zero, zero
            case ast.Constant(value=int() | float()):
                fixed = _rational(ast.get_source_segment(self.text, node) or str(node.value))
                return wrap(fixed), wrap(fixed.log()), zero, zero
            case ast.UnaryOp(op=ast.USub(), operand=a):
                x, _, slope, bend = self._read(a, u)
                return -x, wrap(arb("nan")), slope, bend
            case ast.BinOp(left=a, op=ast.Add() | ast.Sub() as op, right=b):
                x, y = self._read(a, u), self._read(b, u)
                y = y if isinstance(op, ast.Add) else (-y[0], wrap(arb("nan")), *y[2:])
                return self._sum(x, y, a, b, u)
            case ast.BinOp(left=a, op=ast.Mult(), right=b):
                x, y = self._read(a, u), self._read(b, u)
                return x[0] * y[0], x[1] + y[1], x[2] + y[2], x[3] + y[3]
            case ast.BinOp(left=a, op=ast.Div(), right=b):
                x, y = self._read(a, u), self._read(b, u)
                return x[0] / y[0], x[1] + -y[1], x[2] + -y[2], x[3] + -y[3]
            case ast.BinOp(left=a, op=ast.Pow(), right=b) if not _varies(b):
                (_, log, slope, bend), power = self._read(a, u), self._read(b, u)[0]
                return (power * log).exp(), power * log, power * slope, power * bend
            case ast.Call(func=ast.Name(id="sqrt"), args=[a]):
                (_, log, slope, bend), half = self._read(a, u), wrap(arb(0.5))
                return (half * log).exp(), half * log, half * slope, half * bend
            case ast.Call(func=ast.Name(id="exp"), args=[a]):
                x, _, slope, bend = self._read(a, u)
                return x.exp(), x, x * slope, x * (slope * slope + bend)
        raise Unreadable(
            f"the checker reads + - * / ** exp sqrt of r and parameters, not {ast.unparse(node)!r}"
        )

    def _sum(self, one: Any, other: Any, a: ast.expr, b: ast.expr, u: Any) -> tuple[Any, Any, Any, Any]:
        """log(x + y) has a slope between those of log x and log y; the share of y is monotone where these are apart."""
        (x, log_x, dx, ddx), (y, log_y, dy, ddy) = one, other
        total = x + y
        if not isinstance(u, Span) and log_x.is_finite() and log_y.is_finite():
            share, apart = 1 / (1 + (log_x - log_y).exp()), dy - dx
            bend = ddx + share * (ddy - ddx) + share * (1 - share) * apart * apart
            return total, total.log() if bool(total.real > 0) else NOTHING, dx + share * apart, bend
        if not isinstance(u, Span):
            slope = (x * dx + y * dy) / total
            bend = (x * (dx * dx + ddx) + y * (dy * dy + ddy)) / total - slope * slope
            return total, total.log() if bool(total.real > 0) else NOTHING, slope, bend
        if not (bool(x.low >= 0) and bool(y.low >= 0)):
            return total, Span(-INFINITY, INFINITY), Span(-INFINITY, INFINITY), ddx
        shares = Span(arb(0), arb(1))
        if bool(dx.high <= dy.low) or bool(dy.high <= dx.low):
            end = acb(u.low if u.low.is_finite() else u.high)
            here = (self._read(b, end)[0] / (self._read(a, end)[0] + self._read(b, end)[0])).real
            grows = bool(dx.high <= dy.low) == u.low.is_finite()  # towards the open end
            shares = Span(here, arb(1)) if grows else Span(arb(0), here)
        ends = [dx * Span(1 - w, 1 - w) + dy * Span(w, w) for w in (shares.low, shares.high)]
        return total, total.log(), Span(ends[0].low.min(ends[1].low), ends[0].high.max(ends[1].high)), ddx


def _varies(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "r" for part in ast.walk(node))


def _rational(text: str) -> arb:
    value = Fraction(text)
    return arb(fmpq(value.numerator, value.denominator))


@contextmanager
def _precision(bits: int) -> Iterator[None]:
    before, ctx.prec = ctx.prec, bits
    try:
        yield
    finally:
        ctx.prec = before


class Law:
    """The masses of a density in one geometry and dimension, to 2**-bits of p or 1/2 - p ≥ smallest.

    `kind` names geometry/adversary: "l2/2" (caps of spheres), "l1/1", "linf/inf" (all faces alike) or "linf/1" (a shift along an axis).
    """

    def __init__(self, density: Density, kind: str, dim: int, smallest: float, bits: int = BITS[0]) -> None:
        if kind not in ("l2/2", "l1/1", "linf/inf", "linf/1") or dim < 1:
            raise Unreadable(
                f"the checker knows l2/2, l1/1, linf/inf and linf/1 in dimension ≥ 1, not {kind} in {dim}"
            )
        self.density, self.kind, self.dim, self.guess, self.bits = density, kind, dim, arb(0), bits
        self.precision = 2 * (bits - int(math.log2(smallest))) + 40
        with _precision(self.precision):
            self._prepare(smallest)

    def _prepare(self, smallest: float) -> None:
        density, dim, self.floor = self.density, self.dim, -self.density.log(acb(LOWEST))[0].real
        for span in (Span(arb(0), INFINITY), Span(-INFINITY, arb(0))):
            if not bool(density.log(span)[1].high <= 0):
                raise Unreadable(f"the checker cannot show that {density.text} never rises")
        half, self.norm = arb(dim - 1) / 2, arb(0)  # in one dimension the cosine is ±1: F = 1/2 inside
        if dim > 1:
            self.norm = ((half + 0.5).lgamma() - half.lgamma()).exp() / arb.pi().sqrt()
        low, high = arb(LOWEST), arb(-LOWEST)
        for _ in range(80):
            middle = ((low + high) / 2).mid()
            low, high = (middle, high) if bool(self._weight(middle)[1].real > 0) else (low, middle)
        self.top, fall = self._weight(low)[0].real.mid(), self.bits + 24 - math.log2(smallest)
        (self.low, left), (self.high, right) = self._tail(low, -1, fall), self._tail(low, 1, fall)
        self.outside = (left + right).union(arb(0))
        self.total = self._integral(lambda u, _: self._near(u)[0], arb(smallest)) + self.outside

    def h(self, p: float, t: arb, e: arb) -> arb:
        """m + e^-t·(1/2 - M): a lower bound of h is a lower bound of the p at which R(1 - p) ≥ e."""
        with _precision(self.precision):
            shifted, own = ((self._mass(side, t, e, p) + self.outside) / self.total for side in (1, -1))
            return own + (-t).exp() * (arb(0.5) - shifted)

    def _weight(self, u: Any) -> tuple[acb, acb]:
        """log of the density of u, and its slope."""
        log, slope, _ = self.density.log(acb(u))
        return log + self.dim * u, slope + self.dim

    def _near(self, u: acb) -> tuple[acb, acb]:
        """The density of u relative to its peak, in mean-value form, and the slope of psi."""
        middle, slope = acb(u.real.mid()), self._weight(u)[1]
        return (self._weight(middle)[0] - self.top + slope * (u - middle)).exp(), self.dim - slope

    def _tail(self, peak: arb, side: int, fall: float) -> tuple[arb, arb]:
        """Where to stop, and a bound of the mass beyond: there the logarithm falls at least at a constant rate."""
        step = arb(2) ** -20
        while not bool(self._weight(peak + side * step)[0].real < self.top - fall * arb(2).log()):
            step = step * 1.25
        for _ in range(40):
            end = (peak + side * step).mid()
            slope = self.density.log(Span(end, INFINITY) if side > 0 else Span(-INFINITY, end))[1]
            rate = -(slope.high + self.dim) if side > 0 else slope.low + self.dim
            if bool(rate > 0):
                return end, ((self._weight(end)[0].real - self.top).exp() / rate).upper()
            step = step * 1.25
        raise Unreadable(f"a tail of {self.density.text} in dimension {self.dim} cannot be bounded")

    def _integral(self, f: Any, share: arb) -> arb:
        fine, ends = arb(2) ** -self.bits, (acb(self.low), acb(self.high))
        goal = fine * share * (self.high - self.low) / 64
        return acb.integral(f, *ends, rel_tol=fine * min(share, arb(1)), abs_tol=goal, eval_limit=50_000).real

    def _mass(self, side: int, t: arb, e: arb, p: float) -> arb:
        """∫ P(‖x + v‖ > s) (side 1) or ∫ P(‖x + v‖ < s) (side -1), psi(s) = psi(r) + side·t, over the radii r of x."""

        def integrand(u: acb, analytic: bool) -> acb:
            weight, slope = self._near(u)
            chance = self._chance(u, slope, side * t, e)
            if not chance.is_finite() and not analytic:
                chance = acb(arb(0.5, 0.5))
            return weight * (chance if side > 0 else 1 - chance)

        return self._integral(integrand, arb(min(p, 0.5 - p)))

    def _chance(self, u: acb, slope: acb, shift: arb, e: arb) -> acb:
        """P(‖x + v‖ > s) given ‖x‖ = e^u; where that is constant on the real part of u, the constant; no number if undecided."""
        middle = acb(u.real.mid())
        start, q, turn = self._ratio(u, middle, slope, shift)
        near, there = e / u.exp(), e / middle.exp()
        move = u - middle
        if self.kind == "l2/2":  # the cosine of x with v exceeds -z
            first = (there - (start * start - 1) / there) / 2
            z = first - (near + (q * q - 1) / near + 2 * q * q / near * turn) / 2 * move
            full, empty, rest = z - 1, -1 - z, 1 - z * z
        else:
            first = (1 + start - there) / 2
            z = first + (q * turn + near) / 2 * move
            full, empty, rest = abs((1 - near).real) - q, q - 1 - near, z
        if bool(full.real > 0) or bool(empty.real > 0):
            return acb(1 if bool(full.real > 0) else 0)
        if not (bool(full.real < 0) and bool(empty.real < 0) and bool(rest.real > 0)):
            return NOTHING
        if (
            self.kind == "linf/1"
        ):  # from outside by the first coordinate alone; from inside no face but its far one leaves
            inside = 1 - (move * turn + start.log()).exp() ** (self.dim - 1) / (2 * self.dim)
            return ((self.dim - 1) * (1 + near - q) + 1) / (2 * self.dim) if bool(shift > 0) else inside
        if self.kind != "l2/2":
            growth = (self.dim - 1) * (first.log() + (q * turn + near) / 2 / z * move)
            return 1 - growth.exp() / 2
        value = self._distribution(first.real)
        return value + self.norm * (rest.log() * (arb(self.dim - 3) / 2)).exp() * (z - first)

    def _distribution(self, x: arb) -> arb:
        """P(a coordinate of a uniform point on the sphere ≤ x), |x| < 1: about 0, or from the end, where a series serves."""
        half = arb(self.dim - 1) / 2
        power = ((1 - x * x).log() * half).exp() * self.norm
        if self.dim * float(x) ** 2 < 200 and abs(float(x)) < 0.7:
            return 0.5 + x * power * (x * x).hypgeom_2f1(arb(1), half + 0.5, arb(1.5))
        tail = power / (2 * half) * ((1 - abs(x)) / 2).hypgeom_2f1(arb(1), 2 * half, half + 1)
        return tail if bool(x < 0) else 1 - tail

    def _ratio(self, u: acb, middle: acb, slope: acb, shift: arb) -> tuple[acb, acb, acb]:
        """s/r at the middle of u and on u, psi(s) = psi(r) + shift, and the slope of log(s/r): Krawczyk's test; real on real u."""
        move, target = u - middle, -self.density.log(middle)[0] + shift
        if bool((target + slope * move).real < self.floor):
            return NONE, NONE, acb(0)
        y, log, rate = self._newton(middle.real, target.real)
        missed, box = -log - target, acb(0)
        image = (missed - slope * move) / -rate
        for _ in range(4):
            box = acb(arb(0, (abs(image.real) * 2 + TINY).upper()), arb(0, (abs(image.imag) * 2).upper()))
            steepness = -self.density.log(y + box)[1]
            image = (missed - slope * move) / -rate + (1 - steepness / rate) * box
            if box.contains(image) and bool(steepness.real > 0):  # psi(e^y) is one to one on the box
                start, turn = y - middle - missed / steepness, slope / steepness - 1
                bend = -self.density.log((y + box).union(u))[2]
                for _ in range(
                    20
                ):  # the slope again, as the change of psi' between r and s: far closer where these are close
                    closer = -(start + turn * move) * bend / steepness
                    if not bool(closer.real.rad() < 0.9 * turn.real.rad()):
                        break
                    turn = closer
                return start.exp(), (start + turn * move).exp(), turn
        return NOTHING, NOTHING, NOTHING

    def _newton(self, middle: arb, target: arb) -> tuple[acb, acb, acb]:
        """A guess of log s, exact and real, with log q and the slope of psi there: Newton's method for log(psi - its least value)."""
        y = (middle + self.guess).mid()
        for _ in range(60):
            log, slope, _ = self.density.log(acb(y))
            height = (-log).real - self.floor
            step = (height / -slope.real * (height / (target - self.floor)).log()).mid()
            if bool(abs(step) < TINY):
                break
            y = (y - step).mid() if step.is_finite() else middle  # too far off to start from
        self.guess = (y - middle).mid()
        log, slope, _ = self.density.log(acb(y))
        return acb(y), log, -slope
