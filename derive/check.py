"""Checks certificate files with mathematics of its own: the standard library and mpmath, nothing of the program that wrote them.

From the counts: the selected class and its bound p_lower, recomputed for every procedure (`bound`, `boundaries`, `evidence`). From the bound and the density's
text: the radius (`known_radius`, over `derive/check_law.py`), carried from norm to norm by their inequalities. It accepts nothing that it did not recompute:
what it cannot recompute is refused. Sums and integrals have 40 digits; they are computed, not enclosed.
"""
# fmt: off

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from mpmath import mp, mpf

from derive.check_law import DIGITS, HALF, TINY, Law, Refused, cap, corner, face, growth, signs

LARGEST, BITS = 1 << 20, 120

class Wrong(Exception):
    """A claim of the file is false."""

def require(holds: bool, claim: str) -> None:
    if not holds:
        raise Wrong(claim)

def known_radius(noise: dict[str, Any], adversary: str, fail: mpf, other: mpf, claim: mpf) -> mpf:
    """The largest radius of scale 1 known here at p_lower = 1 - fail, p_upper = other; for noise of a norm the claim, or 0 where it is not proved."""
    d, order = mpf(noise["dim"]), {"1": mpf(1), "2": HALF, "inf": mpf(0)}
    if noise["geometry"] != "product" and d > 1:
        ways = {"l1": [("1", corner)], "l2": [("2", cap)], "linf": [("1", face), ("inf", corner)]}[noise["geometry"]]
        for norm, kind in sorted(ways, key=lambda way: way[0] != adversary):
            e = claim * d ** max(mpf(0), order[norm] - order[adversary])
            one = growth(noise, kind, e, fail)
            two = one if other == fail else growth(noise, kind, e, other)
            if one[0] + two[0] <= 1:
                return claim
            if one[1] + two[1] <= 1:
                raise Refused("cannot check: no set was found that settles whether the radius is too large")
        return mpf(0)
    law = Law(noise, 1)
    if law.flat and law.bounded and adversary != "1":
        side = 2 * (1 - (1 - (1 - fail - other) / 2) ** (1 / d))  # cubes shifted by v share Π(1 - |v_i|/2), least for equal |v_i| ≤ 1
        return side * (mp.sqrt(d) if adversary == "2" else 1)
    if not (law.convex or law.concave and not law.bounded):  # the end of a support is a jump
        raise Refused("cannot check a density whose -log is neither convex nor concave")
    found: list[mpf] = []
    for panels in (64, 90, 130):
        found.append((law.split(panels).radius(fail) + law.radius(other)) / 2)
        if len(found) > 1 and abs(found[-1] - found[-2]) <= mpf(10) ** -15 * found[-1]:
            break
    else:
        raise Refused("cannot check: the integrals of this density do not settle")
    power = 1 - order[adversary]
    if not law.bounded:
        logs = [mp.log(law.q(mpf(r)) / law.q(mpf(1))) / (r * r - 1) for r in (2, 3, 5)]
        if max(logs) - min(logs) < TINY:
            power = max(mpf(0), power - HALF)  # Gaussian: every direction is like an axis
        if law.convex and law.concave and adversary == "inf" and max(fail, other) < HALF:
            return max(min(found[-2:]) / d, (signs(int(d), fail) + signs(int(d), other)) / (2 * law.slope))
    return min(found[-2:]) / d**power

def tail(k: int, n: int, p: mpf) -> mpf:
    """P(Bin(n, p) ≥ k) for p < k/n, summed from its largest term."""
    total = term = mp.binomial(n, k) * p**k * (1 - p) ** (n - k)
    while k < n and term > total * TINY:
        term, k = term * p / (1 - p) * (n - k) / (k + 1), k + 1
        total += term
    return total if k <= n else mpf(0)

def shown(k: int, n: int, p: mpf, share: mpf, u: mpf) -> bool:
    """Whether k of n votes show a probability above p at the level `share`; u = 0 is Clopper and Pearson's bound."""
    return p < mpf(k) / n and (1 - u) * tail(k, n, p) + (u * tail(k + 1, n, p) if k < n else 0) <= share

def evidence(k: int, n: int, p: mpf) -> mpf:
    """The mean of the likelihood ratio to p over (p, 1): at most 1/alpha at all times, but with probability alpha, if p is not exceeded."""
    return (1 - tail(k + 1, n + 1, p)) / ((1 - p) * (n + 1) * mp.binomial(n, k) * p**k * (1 - p) ** (n - k)) if k > n * p else mpf(0)

def boundaries(totals: list[int], looks: int, p: mpf, alpha: mpf, early: mpf) -> list[int]:
    """Most failures that say yes at each of the first looks: P(yes by look j) ≤ its share of alpha at p; masses in units of 2^-BITS, rounded up."""
    size, state, first, spent, most, before = BITS // 4 + 4, [1 << BITS], 0, 0, [], 0
    for look, n in enumerate(totals[:looks]):
        term, steps, low = p ** (n - before), [], 0
        for k in range(n - before + 1):
            if term * 2**BITS >= 1:
                steps.append(int(term * 2**BITS) + 1)
            elif steps:
                break
            else:
                low += 1
            term *= (1 - p) / p * (n - before - k) / (k + 1)
        packed = [int.from_bytes(b"".join(x.to_bytes(size, "little") for x in masses), "little") for masses in (state, steps)]
        raw = (packed[0] * packed[1]).to_bytes(size * (len(state) + len(steps)), "little")
        state = [(int.from_bytes(raw[i : i + size], "little") >> BITS) + 1 for i in range(0, size * (len(state) + len(steps) - 1), size)]
        first, before, taken = first + low, n, 0
        level = int((alpha if look == len(totals) - 1 else alpha * early * (look + 1) / (len(totals) - 1)) * 2**BITS)
        while taken < len(state) and spent + state[taken] <= level:
            spent, taken = spent + state[taken], taken + 1
        most.append(first + taken - 1)
        state, first = state[taken:], first + taken
    return most

def votes(record: dict[str, Any]) -> tuple[list[int], int]:
    """Counts by class, and n."""
    numbers, n = [*record["counts"], record["failed"]], record["n"]
    require(all(type(x) is int and 0 <= x < 2**40 for x in (*numbers, n)) and len(numbers) > 2 and sum(numbers) == n,
            "counts and failed votes must be whole numbers that add up to n")
    return numbers[:-1], n

def bound(c: dict[str, Any], chosen: int, p: mpf, alpha: mpf) -> None:
    """Wrong unless p_lower, and p_upper where there is one, follow from the votes by the procedure."""
    rule, (selection, _), (counts, n), k = c["procedure"], votes(c["selection"]), votes(c["estimation"]), c["estimation"]["counts"][chosen]
    kind, says = rule["procedure"], f"p_lower {mp.nstr(p, 17)} is not the bound from {k} of {n} votes at alpha {mp.nstr(alpha, 6)}"
    if kind in ("group-sequential", "e-process"):
        looks, p0s = [[0, 0], *c["looks"]], [mpf(p0) for p0 in rule["p0s"]]
        require(all(0 <= b[1] - a[1] <= b[0] - a[0] > 0 for a, b in zip(looks, looks[1:], strict=False)) and looks[-1] == [n, k] and p in p0s and c["p_upper"] is None, says)
        for p0 in p0s[: p0s.index(p) + 1]:
            if kind == "e-process":
                yes = any(evidence(s, m, p0) >= 1 / alpha for m, s in looks[1:])
            else:  # totals grow by the same ratio from 64 to n
                number, ratio = rule["looks"], (rule["n"] / 64) ** (1 / max(1, rule["looks"] - 1))
                early = sorted({64 * math.ceil(ratio**step) for step in range(number - 1)} if rule["n"] > 64 else set())
                totals = [*(total for total in early if total < rule["n"]), rule["n"]]
                require([m for m, _ in looks[1:]] == totals[: len(looks) - 1] and 0 <= rule["early"] < 1, "the looks are not those of the procedure")
                yes = any(m - s <= most for (m, s), most in zip(looks[1:], boundaries(totals, len(looks) - 1, p0, alpha, mpf(rule["early"])), strict=False))
            require(yes, f"the votes do not show a probability of {mp.nstr(p0, 17)} at alpha {mp.nstr(alpha, 6)}")
        return
    if kind not in ("fixed", "adaptive"):
        raise Refused(f"cannot check the procedure {kind!r}")
    require(n == (rule["n"] if kind == "fixed" else rule["samples"][selection[chosen]]), "the votes are not as many as the procedure asks for")
    two, u, share = c["p_upper"] is not None, mpf(0), alpha
    if rule.get("interval") == "randomised" and k < n:
        text = f"randomised-bound-1\x1f{c['run']['seed']}\x1f{c['input']['index']}"
        u = mpf(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
    if rule.get("two_class"):
        if not two:
            raise Refused("cannot check that the selection votes chose one bound")
        share, others = alpha / 2, max(x for label, x in enumerate(counts) if label != chosen) + c["estimation"]["failed"]
        require(shown(n - others, n, 1 - mpf(float.fromhex(c["p_upper"])), share, mpf(0)), "p_upper is not the bound of the other classes")
    require(two == bool(rule.get("two_class")) and shown(k, n, p, share, u) and not shown(k, n, p + (1 - p) / 10**6, share, u), says)

def check(c: Any) -> str:
    """One line on what was recomputed from a certificate; Wrong for a false claim, Refused where it cannot be checked."""
    if not isinstance(c, dict) or c.get("format") != "smoothing-radii certificate" or c.get("version") != 2:
        raise Refused("not a certificate file of version 2")
    body = json.dumps({k: v for k, v in c.items() if k != "digest"}, sort_keys=True, separators=(",", ":"))
    require(hashlib.sha256(body.encode()).hexdigest() == c["digest"], "the contents are not those of the digest: the file was changed")
    (selection, n0), (counts, _), rule, adversary = votes(c["selection"]), votes(c["estimation"]), c["procedure"], c["adversary"]
    require(n0 == rule["pilot" if rule["procedure"] == "adaptive" else "n0"] and len(counts) == len(selection), "the votes are not as many as the procedure asks for")
    p, radius, scale, alpha = (mpf(float.fromhex(x)) for x in (c["p_lower"], c["radius"], c["noise"]["scale"], c["alpha"]))
    upper, family, dim = mpf(1) if c["p_upper"] is None else mpf(float.fromhex(c["p_upper"])), c["familywise"], c["noise"]["dim"]
    numbers = 0 < alpha < HALF / 2 and 0 <= p < 1 and 0 < upper <= 1 and 0 <= radius < mp.inf and 0 < scale < mp.inf and adversary in ("1", "2", "inf")
    if not numbers or alpha != rule["alpha"] or type(dim) is not int or not 0 < dim < 2**40:
        raise Refused("cannot check: alpha < 1/4, p_lower < 1, scale > 0, dim ≥ 1, a finite radius and a norm 1, 2 or inf are required")
    require(family is None or type(family["inputs"]) is int and 0 < alpha * family["inputs"] <= float.fromhex(family["alpha"]), "alpha is more than one input's share of that of all inputs")
    require(mpf(c["radius_decimal"]) <= radius and mpf(c["p_lower_decimal"]) <= p, "a decimal is above the number that it stands for")
    chosen, other, best = max(range(len(selection)), key=lambda label: selection[label]), min(upper, 1 - p), mpf(0)
    require(c["prediction"] == (chosen if p > other else -1) and (p > other or radius == 0), f"prediction {c['prediction']} or its radius does not follow from the selection votes and p_lower")
    if p > other:
        bound(c, chosen, p, alpha)
        best = scale * known_radius(c["noise"], adversary, 1 - p, other, radius / scale)
    if radius > best and "composition" in c["route"]:
        raise Refused(f"cannot check the route {c['route']!r}: prove its table again by `derive verify --witnesses`")
    require(radius <= best, f"radius {mp.nstr(radius, 17)} is above {mp.nstr(best, 17) if best else 'the largest one'} that p_lower {mp.nstr(p, 17)} gives")
    return f"class {c['prediction']}, l{adversary} radius {mp.nstr(radius, 12)}; p_lower {mp.nstr(p, 12)}"

def verdict(path: str) -> tuple[int, str]:
    """0, 1 (a claim is false) or 2 (no certificate, or one that cannot be checked), and why."""
    try:
        with open(path, "rb") as stream, mp.workdps(DIGITS):
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
