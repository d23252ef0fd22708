"""The radial profile of a density: psi = -log(density), its derivative (the score) and what happens at the two ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from derive.continuity import first_doubt, kinks_of
from derive.formula import Mixture, r, written_out
from derive.ordering import end_value, interval_pattern, score_steps, sign_of, sign_pattern
from derive.spec import Spec, SpecError
from derive.symbolic import attempt

SECONDS = 4.0
"""Time for one symbolic simplification; past it the expression is used as it stands."""


@dataclass(frozen=True)
class Profile:
    """psi(r) on 0 < r (< bound), analytic between the kinks.

    `terms` are (coefficient, exponent) with psi'(r) = Σ coefficient·r**exponent where psi' is a finite sum of powers, in the
    order of the exponents' text and empty for a flat density; None for any other density.
    """

    psi: sp.Expr
    score: sp.Expr
    terms: tuple[tuple[sp.Expr, sp.Expr], ...] | None
    bound: sp.Expr | None
    kinks: tuple[sp.Expr, ...] = ()

    def __post_init__(self) -> None:
        if self.terms is not None:
            rest = sp.simplify(sp.diff(self.psi, r) - sum((c * r**q for c, q in self.terms), sp.Integer(0)))
            if rest != 0:
                raise SpecError(f"internal check failed: psi' differs from its terms by {rest}")

    @property
    def powers(self) -> tuple[tuple[sp.Expr, sp.Expr], ...]:
        """The terms, none where psi' is no sum of powers."""
        return self.terms or ()

    @property
    def flat(self) -> bool:
        return self.terms == ()

    @cached_property
    def slope(self) -> sp.Expr:
        """psi''."""
        if self.terms is not None:
            return sp.expand(sum((c * q * r ** (q - 1) for c, q in self.terms), sp.Integer(0)))
        return self._by_pieces(lambda score: sp.diff(score, r), _factored)

    @cached_property
    def steepness(self) -> sp.Expr:
        """r·psi'(r)."""
        if self.terms is not None:
            return sp.expand(sum((c * r ** (q + 1) for c, q in self.terms), sp.Integer(0)))
        return self._by_pieces(lambda score: r * score, sp.simplify)

    def _by_pieces(self, change: Callable[[sp.Expr], sp.Expr], tidy: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
        """A change of the score and its shortest form, branch by branch: conditions are never rewritten."""
        if not isinstance(self.score, sp.Piecewise):
            whole = change(self.score)
            return attempt(tidy, whole, seconds=SECONDS) or whole
        pieces = [(change(branch), condition) for branch, condition in self.score.args]
        return sp.Piecewise(
            *((attempt(tidy, branch, seconds=SECONDS) or branch, condition) for branch, condition in pieces),
            evaluate=False,
        )

    @property
    def _numeric(self) -> bool:
        return not self.psi.free_symbols - {r} and not (self.bound is not None and self.bound.free_symbols)

    @cached_property
    def score_pattern(self) -> str | None:
        """Signs of psi' from 0 to the end ("+", "-", "+-", …; "0" where it vanishes), proved for all parameters; None when they are not."""
        if self.flat:
            return "0"
        plain = sp.diff(self.psi, r)  # one of the two forms may show its signs where the other has a pole
        if self._numeric:
            return sign_of(self.score, self.bound, self.kinks, {}) or sign_of(
                plain, self.bound, self.kinks, {}
            )
        return sign_pattern(self.score, self.bound, self.kinks) or sign_pattern(plain, self.bound, self.kinks)

    @cached_property
    def slope_pattern(self) -> str | None:
        """Signs of the increments of psi', likewise: of psi'' and of the jumps at the kinks."""
        if self.flat:
            return "0"
        steps = score_steps(self.score, self.kinks)
        if steps is None:
            return None
        found = sign_pattern(self.slope, self.bound, self.kinks)
        if found is None and self._numeric:
            found = sign_of(self.slope, self.bound, self.kinks, {})
        if found is None or not steps.strip("0"):
            return found
        return found + steps if set((found + steps).replace("0", "")) in ({"+"}, {"-"}) else None

    @property
    def shape(self) -> str:
        """Proved shape of the score: "flat", "constant", "rising", "falling", "rising, then falling", … or "unknown"."""
        if self.flat:
            return "flat"
        if self.slope_pattern is None:
            return "unknown"
        signs = (sign for sign, _ in itertools.groupby(self.slope_pattern.replace("0", "")))
        return ", then ".join({"+": "rising", "-": "falling"}[sign] for sign in signs) or "constant"

    @property
    def unimodal(self) -> bool:
        """Whether psi' ≥ 0 is proved symbolically: the density falls in r."""
        return self.flat or (self.score_pattern or "-").strip("+0") == ""

    @cached_property
    def start(self) -> sp.Expr | None:
        """The limit of r·psi'(r) at 0, j where the density behaves like r**-j; None when unknown."""
        found = end_value(self.steepness, sp.Integer(0), "+")
        return found if found is not None else _end_of_parts(self.psi, sp.Integer(0), "+")

    @cached_property
    def end(self) -> sp.Expr | None:
        """The limit of r·psi'(r) at infinity, the exponent of the tail (oo for lighter tails); None when unknown or with a bound."""
        if self.bound is not None:
            return None
        found = end_value(self.steepness, sp.oo, "-")
        found = found if found is not None else _end_of_parts(self.psi, sp.oo, "-")
        if found is None and self._numeric:  # an oscillating score that stays above a constant
            above = interval_pattern(self.score - sp.Rational(1, 16), None, self.kinks, {})
            return sp.oo if above is not None and above.endswith("+") else None
        return found

    @cached_property
    def height(self) -> sp.Expr | None:
        """The limit of exp(-psi) at 0: finite, 0 or oo; None when unknown."""
        return end_value(sp.exp(-written_out(self.psi)), sp.Integer(0), "+")

    @cached_property
    def edge(self) -> sp.Expr | None:
        """The limit of exp(-psi) at the bound, positive where the density jumps to 0; None when unknown or without a bound."""
        if self.bound is None:
            return sp.Integer(0)
        return end_value(sp.exp(-written_out(self.psi)), self.bound, "-")


def _end_of_parts(psi: sp.Expr, at: sp.Expr, side: str) -> sp.Expr | None:
    """The limit of r·psi'(r), term by term; None when a term's is unknown or two are infinite with opposite signs.

    In a mixture r·psi' is a mean of its parts' values: their common limit, or at infinity that of the part that decays most slowly.
    """
    total = sp.Integer(0)
    for term in sp.Add.make_args(psi):
        factor, body = term.as_independent(r, as_Add=False)
        if isinstance(body, Mixture):
            ends = [_end_of_parts(part, at, side) for part in body.args]
            if any(end is None for end in ends):
                return None
            least = sp.Min(*ends)
            if any(end != ends[0] for end in ends) and (at != sp.oo or least.has(sp.Min)):
                return None
            value = factor * least
        else:
            value = end_value(r * sp.diff(term, r), at, side)
        if value is None:
            return None
        total += value
    return None if total is sp.nan or (total.has(sp.oo) and total not in (sp.oo, -sp.oo)) else total


def profile_of(spec: Spec) -> Profile:
    """The profile of a spec; SpecError when the density is not a positive function of r."""
    density = spec.expression
    kinks = _kinks(spec, density)
    branches = _branches(spec, density, kinks)
    for branch in branches:
        doubt = first_doubt(branch, spec.bound)
        if doubt is not None:
            raise SpecError(
                f"could not prove that {spec.density!r} is continuous inside its support: {doubt} may be infinite or undefined there; every divisor, "
                "and every argument of log, gamma and fractional powers, must keep one strict sign; a --support 'r<=NUMBER' may leave such places out"
            )
    for kink, (left, right) in zip(kinks, itertools.pairwise(branches), strict=True):
        step = attempt(_step_at, left, right, kink, seconds=SECONDS)
        if step is None or not step.is_zero:
            raise SpecError(
                f"could not prove that {spec.density!r} is continuous inside its support: it may jump at r = {kink}"
            )
    whole = branches[0] if not kinks else _joined(branches, kinks)
    constant, body = sp.powsimp(whole).as_independent(r, as_Add=False)
    _require_positive(spec, constant, body, kinks)
    if kinks:
        psi = _joined([negative_log(sp.powsimp(branch)) for branch in branches], kinks)
        scores = [_score_of(sp.diff(negative_log(sp.powsimp(branch)), r)) for branch in branches]
        return Profile(psi, _joined(scores, kinks), None, spec.bound, kinks)
    psi = sp.expand(negative_log(body))
    terms = None if psi.has(Mixture) else _power_terms(psi)
    if terms is not None:
        return Profile(psi, sum((c * r**q for c, q in terms), sp.Integer(0)), terms, spec.bound)
    return Profile(psi, _score_of(sp.diff(psi, r)), None, spec.bound)


def _step_at(left: sp.Expr, right: sp.Expr, kink: sp.Expr) -> sp.Expr:
    return sp.simplify(right.subs(r, kink) - left.subs(r, kink))


def _score_of(raw: sp.Expr) -> sp.Expr:
    """The shortest form of a score."""
    return attempt(_simplest, written_out(raw), seconds=SECONDS) or raw


def _kinks(spec: Spec, density: sp.Expr) -> tuple[sp.Expr, ...]:
    """The radii inside the support at which a min, max or abs switches, ascending; SpecError unless they are proved to be all."""
    found = kinks_of(density, spec.bound)
    if isinstance(found, sp.Expr):
        raise SpecError(
            f"could not find where {found} switches in {spec.density!r}; write min, max and abs of expressions such as r - 1 that can be solved "
            "for r, one inside another not"
        )
    if len(found) > 1 and any(kink.free_symbols for kink in found):
        raise SpecError(
            f"the order in which {spec.density!r} switches depends on its parameters ({', '.join(map(str, found))}); fix them with --param NAME=VALUE"
        )
    inside = [
        k
        for k in found
        if spec.bound is None or spec.bound.free_symbols or k.free_symbols or bool(k < spec.bound)
    ]
    return tuple(sorted(inside)) if len(inside) > 1 else tuple(inside)


def _branches(spec: Spec, density: sp.Expr, kinks: tuple[sp.Expr, ...]) -> list[sp.Expr]:
    """The density between its kinks, every min, max and abs decided at one point: their arguments meet at kinks alone."""
    if not density.has(sp.Min, sp.Max, sp.Abs):
        return [density]
    if not kinks:
        points = [sp.Integer(1) if spec.bound is None else spec.bound / 2]
    else:
        points = [kinks[0] / 2, *((a + b) / 2 for a, b in itertools.pairwise(kinks)), 2 * kinks[-1]]
    return [
        density.replace(
            lambda e: isinstance(e, sp.Min | sp.Max | sp.Abs), lambda e, at=at: _decided(spec, e, at)
        )
        for at in points
    ]


def _decided(spec: Spec, node: sp.Expr, at: sp.Expr) -> sp.Expr:
    def above(difference: sp.Expr) -> bool:
        value = sp.simplify(difference.subs(r, at))
        if value.is_zero or value.is_nonnegative:
            return True
        if value.is_negative or value.is_nonpositive:
            return False
        raise SpecError(
            f"could not tell which branch of {node} holds in {spec.density!r}; fix its parameters with --param NAME=VALUE"
        )

    if isinstance(node, sp.Abs):
        return node.args[0] if above(node.args[0]) else -node.args[0]
    best = node.args[0]
    for other in node.args[1:]:
        if above(other - best) == isinstance(node, sp.Max):
            best = other
    return best


def _joined(branches: list[sp.Expr], kinks: tuple[sp.Expr, ...]) -> sp.Expr:
    """One expression that is each branch up to its kink."""
    return sp.Piecewise(
        *((branch, r <= kink) for branch, kink in zip(branches, kinks, strict=False)),
        (branches[-1], True),
        evaluate=False,
    )


def negative_log(density: sp.Expr) -> sp.Expr:
    """-log(density) by the density's own structure: products, powers, exponentials, sums of positive parts."""
    if density.is_Mul:
        return sum((negative_log(factor) for factor in density.args), sp.Integer(0))
    if isinstance(density, sp.exp):
        return -density.args[0]
    if isinstance(density, sp.cosh):
        x = density.args[0]
        return Mixture(-x, x) + sp.log(2)
    if density.is_Pow and not density.base.is_number:
        return density.exp * negative_log(density.base)
    if density.is_Add and density.has(sp.exp, sp.cosh, sp.sinh):
        parts = sp.expand(density.rewrite(sp.exp)).args if density.has(sp.cosh, sp.sinh) else density.args
        if all(part.is_positive for part in parts):
            return Mixture(*(negative_log(part) for part in parts))
    return -sp.expand_log(sp.log(density), force=True)


def _power_terms(psi: sp.Expr) -> tuple[tuple[sp.Expr, sp.Expr], ...] | None:
    """psi' as a sum of powers of r, or None when it is none."""
    derivative = sp.expand(sp.powsimp(sp.expand(sp.diff(psi, r))))
    terms: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(derivative):
        if term == 0:
            continue
        coefficient, power = sp.powsimp(term).as_independent(r, as_Add=False)
        base, exponent = power.as_base_exp()
        if power != 1 and (base != r or exponent.has(r)):
            return None
        exponent = sp.expand(exponent) if power != 1 else sp.Integer(0)
        terms[exponent] = sp.expand(terms.get(exponent, sp.Integer(0)) + coefficient)
    return tuple(sorted(((c, q) for q, c in terms.items() if c != 0), key=lambda item: str(item[1])))


def _simplest(score: sp.Expr) -> sp.Expr:
    forms = [score, sp.factor(score), sp.simplify(score)]
    if score.has(
        sp.sin, sp.cos
    ):  # a quotient of sines and cosines loses its digits where both vanish, a tangent does not
        forms.append(sp.simplify(score.rewrite(sp.tan)))
    return min(forms, key=lambda e: (e.count_ops(), str(e)))


def _factored(slope: sp.Expr) -> sp.Expr:
    return sp.factor(sp.simplify(slope))


def _require_positive(spec: Spec, constant: sp.Expr, body: sp.Expr, kinks: tuple[sp.Expr, ...]) -> None:
    defaults = {q.symbol: q.default for q in spec.parameters}
    if not constant.subs(defaults).is_positive:
        raise SpecError(f"the density must be positive, but {spec.density!r} has the factor {constant}")
    free = bool(body.free_symbols & set(spec.symbols))
    pattern = sign_pattern(body, spec.bound, kinks) if free else sign_of(body, spec.bound, kinks, {})
    if pattern == "+":
        return
    if pattern is None and free:
        raise SpecError(
            f"could not prove that {spec.density!r} is positive for all parameters in their domains; narrow the domains, or fix them with "
            "--param NAME=VALUE"
        )
    where = f"on {spec.support}" if spec.support else "for every r > 0"
    hint = "; a --support 'r<=NUMBER' may leave the places out where it is not" if not spec.support else ""
    if pattern is None:
        raise SpecError(f"could not prove that {spec.density!r} is positive {where}{hint}")
    raise SpecError(
        f"the density must be positive {where}, but the signs of {spec.density!r} are {pattern}{hint}"
    )
