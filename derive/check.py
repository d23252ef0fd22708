"""Checks certificate files with mathematics of its own: the standard library and mpmath, nothing of the program that wrote them.

From the counts: the selected class, the Clopper–Pearson bound (P(Bin(n, p_lower) ≥ k) ≤ alpha), abstention. From the bound and the text
of a density q = e^-psi of independent coordinates, cdf F, the differential radius against l1 at the boundaries c of the greedy sets:

    psi convex:            R = c₀, F(c₀) = p_lower
    psi concave, rising:   R = ∫ q(c)/(q(0) - q(c)) dc over c ≥ c₀, P(r ≤ c₀) = 2(1 - p_lower)

Norm inequalities carry it to other norms; a Gaussian is spherical; cubes overlap in closed form. Integrals are Gauss–Legendre sums in
log r at 30 digits, taken twice, and the shape of psi is tested at the ends of their panels: tested, not enclosed. The rest is refused.
"""
# fmt: off

from __future__ import annotations

import ast
import hashlib
import json
import operator
from typing import Any

from mpmath import mp, mpf

ORDER, DEPTH, LARGEST, HALF = 18, 70, 1 << 20, mpf("0.5")
OPERATORS: dict[type, Any] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: pow}

class Refused(ValueError):
    """The file is not a certificate, or one that cannot be checked."""

class Wrong(Exception):
    """A claim of the file is false."""

def value(node: ast.expr, names: dict[str, mpf]) -> mpf:
    """A density's text at numbers: + - * / ** exp sqrt sech of names and constants."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return mpf(repr(number))
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=a):
            return -value(a, names)
        case ast.BinOp(left=a, op=op, right=b) if type(op) in OPERATORS:
            x, y = value(a, names), value(b, names)
            if isinstance(op, ast.Pow) and (abs(y) > 10**7 or (x < 0 and y != int(y))):
                raise Refused("cannot check a density with such a power")
            return OPERATORS[type(op)](x, y)
        case ast.Call(func=ast.Name(id="exp" | "sqrt" | "sech" as name), args=[a], keywords=[]):
            x = value(a, names)
            if name == "exp" and x > 10**9 or name == "sqrt" and x < 0:
                raise Refused("cannot check such a density")
            return mpf(0) if name != "sqrt" and abs(x) > 10**9 else mpf(getattr(mp, name)(x))
    raise Refused(f"cannot check a density with {ast.unparse(node)[:60]!r} in it")

class Law:
    """q on panels in u = log r, with its integrals."""

    def __init__(self, noise: dict[str, Any], panels: int) -> None:
        tree = ast.parse(noise["density"], mode="eval").body
        fixed = {k: mpf(float.fromhex(v)) for k, v in noise["parameters"].items()} | {"pi": +mp.pi, "d": mpf(noise["dim"])}
        self.q, self.bounded = (lambda r: value(tree, fixed | {"r": r})), noise["support"] == "r<=1"
        if noise["support"] not in ("", "r<=1"):
            raise Refused(f"cannot check the support {noise['support']!r}")
        self.log = lambda u: u + mp.log(max(self.q(mp.exp(u)), mpf(10) ** -(10**9)))
        low, high, step = mpf(-200), mpf(0 if self.bounded else 200), mpf(1)
        top = max((low + i for i in range(int(high - low) + 1)), key=self.log)
        for _ in range(60):
            step, top = step * mpf("0.8"), max((top - step, top, min(top + step, high)), key=self.log)
        ends = []
        for far in (low, high):
            a, b = (far, far) if self.log(far) > self.log(top) - DEPTH else (top, far)
            for _ in range(60):
                a, b = ((a + b) / 2, b) if self.log((a + b) / 2) > self.log(top) - DEPTH else (a, (a + b) / 2)
            ends.append(a)
        self.edges = [ends[0] + (ends[1] - ends[0]) * i / panels for i in range(panels + 1)]
        with mp.workdps(200):  # differences of psi near 0 cancel
            psi = [(mp.exp(u), -mp.log(self.q(mp.exp(u)))) for u in self.edges[: panels + (not self.bounded)]]
            rise = [(y - x) / (b - a) for (a, x), (b, y) in zip(psi, psi[1:], strict=False)]
        self.flat, self.convex = max(rise) == 0, all(b >= a * (1 - mpf(10) ** -20) for a, b in zip(rise, rise[1:], strict=False))
        if min(rise) < 0 or not (self.convex or all(b <= a * (1 + mpf(10) ** -20) for a, b in zip(rise, rise[1:], strict=False))):
            raise Refused("cannot check a density that rises, or whose -log is neither convex nor concave")
        self.nodes = legendre(ORDER)
        self.mass = [self.integral(a, b) for a, b in zip(self.edges, self.edges[1:], strict=False)]

    def integral(self, low: mpf, high: mpf, power: int = 0) -> mpf:
        """∫ q dr between two logarithms of r; with power 1, ∫ q/(q(0) - q) dr."""
        half, middle, total, peak = (high - low) / 2, (high + low) / 2, mpf(0), self.q(mpf(0)) if power else mpf(0)
        for x, weight in self.nodes:
            r = mp.exp(middle + half * x)
            q = self.q(r)
            total += weight * r * q / ((peak - q) if power else 1)
        return half * total

    def radius(self, fail: mpf) -> mpf:
        """The differential radius at p_lower = 1 - fail, of scale 1."""
        wanted, i = (1 - 2 * fail if self.convex else 2 * fail) * sum(self.mass), 0
        while wanted > self.mass[i] and i + 1 < len(self.mass):
            wanted, i = wanted - self.mass[i], i + 1
        a, low, high = self.edges[i], self.edges[i], self.edges[i + 1]
        for _ in range(80):
            c = (low + high) / 2
            low, high = (c, high) if self.integral(a, c) < wanted else (low, c)
        rest = 0 if self.convex else self.integral(low, self.edges[i + 1], 1) + sum(self.integral(b, c, 1) for b, c in zip(self.edges[i + 1 :], self.edges[i + 2 :], strict=False))
        return mpf(mp.exp(low) if self.convex else rest)

def legendre(order: int) -> list[tuple[mpf, mpf]]:
    """Nodes and weights of the Gauss–Legendre rule on [-1, 1]."""
    found = []
    for i in range(order):
        x = mp.cos(mp.pi * (i + mpf("0.75")) / (order + HALF))
        for _ in range(8):
            slope = order * (mp.legendre(order - 1, x) - x * mp.legendre(order, x)) / (1 - x * x)
            x -= mp.legendre(order, x) / slope
        found.append((x, 2 / ((1 - x * x) * slope**2)))
    return found

def known_radius(noise: dict[str, Any], adversary: str, fail: mpf) -> mpf:
    """The largest radius of scale 1 known here at p_lower = 1 - fail."""
    if noise["geometry"] != "product":
        raise Refused("cannot check noise whose coordinates are not independent")
    d, laws = mpf(noise["dim"]), [Law(noise, panels) for panels in (96, 144)]
    if laws[0].bounded and laws[0].flat and adversary != "1":
        side = 2 * (1 - (HALF + fail) ** (1 / d))  # cubes shifted by v share Π(1 - |v_i|/2), least for equal |v_i| ≤ 1
        return side * (mp.sqrt(d) if adversary == "2" else 1)
    (coarse, fine), q = (law.radius(fail) for law in laws), laws[0].q
    if not abs(coarse - fine) <= mpf(10) ** -14 * fine:
        raise Refused("cannot check: the integrals of this density do not settle")
    power = {"1": mpf(0), "2": HALF, "inf": mpf(1)}[adversary]
    if not laws[0].bounded:
        logs = [mp.log(q(mpf(r)) / q(mpf(1))) / (r * r - 1) for r in (2, 3, 5)]
        if max(logs) - min(logs) < mpf(10) ** -20:
            power = max(mpf(0), power - HALF)  # Gaussian: every direction is like an axis
    return min(coarse, fine) / d**power

def tail(k: int, n: int, p: mpf) -> mpf:
    """P(Bin(n, p) ≥ k) for p < k/n, summed from its largest term."""
    total = term = mp.binomial(n, k) * p**k * (1 - p) ** (n - k)
    while k < n and term > total * mpf(10) ** -25:
        term, k = term * p / (1 - p) * (n - k) / (k + 1), k + 1
        total += term
    return total

def votes(record: dict[str, Any]) -> tuple[list[int], int]:
    """Counts by class, and n."""
    numbers, n = [*record["counts"], record["failed"]], record["n"]
    if not all(type(x) is int and 0 <= x < 2**53 for x in (*numbers, n)) or len(numbers) < 3 or sum(numbers) != n:
        raise Wrong("counts and failed votes must be whole numbers that add up to n")
    return numbers[:-1], n

def check(c: Any) -> str:
    """One line on what was recomputed from a certificate; Wrong for a false claim, Refused where it cannot be checked."""
    if not isinstance(c, dict) or c.get("format") != "smoothing-radii certificate" or c.get("version") != 1:
        raise Refused("not a certificate file of version 1")
    body = json.dumps({k: v for k, v in c.items() if k != "digest"}, sort_keys=True, separators=(",", ":"))
    if hashlib.sha256(body.encode()).hexdigest() != c["digest"]:
        raise Wrong("the contents are not those of the digest: the file was changed")
    (selection, n0), (counts, n), procedure, adversary, best = votes(c["selection"]), votes(c["estimation"]), c["procedure"], c["adversary"], 0
    if procedure["procedure"] != "fixed" or procedure["interval"] != "clopper-pearson" or c["p_upper"] is not None:
        raise Refused("cannot check anything but a fixed number of votes with one Clopper–Pearson bound")
    if (n0, n, len(counts)) != (procedure["n0"], procedure["n"], len(selection)):
        raise Wrong("the votes are not as many as the procedure asks for")
    p, radius, scale, alpha = (mpf(float.fromhex(x)) for x in (c["p_lower"], c["radius"], c["noise"]["scale"], c["alpha"]))
    numbers = 0 < alpha < HALF / 2 and 0 <= p < 1 and 0 <= radius < mp.inf and 0 < scale < mp.inf and adversary in ("1", "2", "inf")
    if not numbers or alpha != procedure["alpha"] or type(c["noise"]["dim"]) is not int or not 0 < c["noise"]["dim"] < 2**53:
        raise Refused("cannot check: alpha < 1/4, p_lower < 1, scale > 0, dim ≥ 1, a finite radius and a norm 1, 2 or inf are required")
    if mpf(c["radius_decimal"]) > radius or mpf(c["p_lower_decimal"]) > p:
        raise Wrong("a decimal is above the number that it stands for")
    chosen = max(range(len(selection)), key=lambda label: selection[label])
    if c["prediction"] != (chosen if p > HALF else -1) or (p <= HALF and radius > 0):
        raise Wrong(f"prediction {c['prediction']} or its radius does not follow from the selection votes and p_lower")
    if p > HALF:
        if not (p < mpf(counts[chosen]) / n and tail(counts[chosen], n, p) <= alpha < tail(counts[chosen], n, p + (1 - p) / 10**6)):
            raise Wrong(f"p_lower {mp.nstr(p, 17)} is not the bound from {counts[chosen]} of {n} votes at alpha {mp.nstr(alpha, 6)}")
        best = scale * known_radius(c["noise"], adversary, 1 - p)
    if radius > best and any(word in c["route"] for word in ("level set", "composition")) and not c["noise"]["support"]:
        raise Refused(f"cannot check the route {c['route']!r} beyond {mp.nstr(best, 12)}; the file claims {mp.nstr(radius, 12)}")
    if radius > best:
        raise Wrong(f"radius {mp.nstr(radius, 17)} is above {mp.nstr(best, 17)}")
    return f"class {c['prediction']}, l{adversary} radius {mp.nstr(radius, 12)}, at most {mp.nstr(best, 12)}; p_lower {mp.nstr(p, 12)}"

def verdict(path: str) -> tuple[int, str]:
    """0, 1 (a claim is false) or 2 (no certificate, or one that cannot be checked), and why."""
    try:
        with open(path, "rb") as stream, mp.workdps(30):
            data = stream.read(LARGEST + 1)
            return 0, "true: " + check(json.loads(data.decode() if len(data) <= LARGEST else ""))
    except Wrong as error:
        return 1, f"false: {error}"
    except Refused as error:
        return 2, str(error)
    except (OSError, LookupError, TypeError, ValueError, ArithmeticError, SyntaxError, AttributeError, RecursionError, MemoryError) as error:
        return 2, f"cannot be read as a certificate: {type(error).__name__} {' '.join(str(error).split())[:120]}"

def check_files(paths: tuple[str, ...], say: Any) -> int:
    """Says the verdict of each file; the exit status of all: 1 where any claim is false."""
    found = [verdict(path) for path in paths]
    for path, (_, line) in zip(paths, found, strict=True):
        say(f"{path}: {line}")
    return 1 if any(status == 1 for status, _ in found) else max(status for status, _ in found)
