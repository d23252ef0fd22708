"""The radius s at which psi has risen by t, psi(s) = psi(r) + t, along a panel of r: a polynomial for log(s/r) and a bound of its error."""

from __future__ import annotations

from flint import arb, arb_series, ctx

from derive.enclosure.masses import RadialMass
from derive.enclosure.series import ORDER, Series, Terms, quotient
from derive.enclosure.taylor import Undecided, coefficients, constant_term, last_coefficient, recentred

_ACCURATE = 2.0**-40


class Rise:
    """s as a function of r for one level t; past the largest value of psi, s is the end of the support."""

    def __init__(self, law: RadialMass, level: arb) -> None:
        self.law, self.level = law, level
        self.guess: arb | None = None

    def log_ratio(self, centre: arb, half: arb, levels: Series) -> tuple[Series, arb]:
        """log(s/r) over the panel, `levels` being psi(r) there, and a bound of how far the polynomial is off; Undecided where there is none."""
        if self.level == 0:
            return _polynomial([arb(0), arb(0)]), arb(0)
        law = self.law
        if law.bounded and bool(constant_term(levels.whole) + self.level >= law.top):
            return _polynomial([law.ceiling - centre, -half]), arb(0)
        guess = centre if self.guess is None else self.guess
        first = law.level(constant_term(levels.centre) + self.level, guess)
        if bool(first.rad() > _ACCURATE):
            raise Undecided("psi is too flat here")
        with Terms(ORDER):
            goal = levels.centre + self.level
            terms = [t.mid() for t in coefficients(inverse(law, first, goal), ORDER)]
            reached = coefficients(law.psi.series(arb_series(terms)), ORDER)
            missed = sum(
                (abs(a - b) for a, b in zip(reached, coefficients(goal, ORDER), strict=True)), arb(0)
            )
        last = last_coefficient(law.psi.series, terms, law.enough(arb(1)))
        with Terms(ORDER + 1):
            missed = (missed + abs(last - coefficients(levels.whole, ORDER + 1)[ORDER])).upper()
            rate = coefficients(recentred(reached, last), 2)[1]
            error = self._solved(terms, rate, missed)
            if not bool(constant_term(recentred(terms, arb(0))) + arb(0, error) < law.ceiling):
                raise Undecided("the level may lie past the end of the support")
        self.guess = sum(terms, arb(0))
        terms[0] -= centre
        terms[1] -= half
        return _polynomial(terms), error

    def at(self, u: arb) -> arb:
        """log s at one point."""
        if self.level == 0:
            return u
        target = self.law.psi.at(u) + self.level
        if self.law.bounded and bool(target >= self.law.top):
            return self.law.ceiling
        return self.law.level(target, u if self.guess is None else self.guess)

    def _solved(self, terms: list[arb], rate: arb, missed: arb) -> arb:
        """How far this polynomial u is from the solution of psi(e^u) = target, when psi(e^u) misses it by `missed` at most.

        `rate` encloses the slope of psi(e^u) on the panel: with u's own slope it bounds the steepness there; beyond the ends of the panel
        a small ball does.
        """
        slope = coefficients(recentred(terms, arb(0)), 2)[1]
        if not (bool(rate > 0) and bool(slope > 0)):
            raise Undecided("psi is too flat here")
        least = rate.lower() / slope.upper()
        for end in (sum(terms, arb(0)), sum((-t if k % 2 else t for k, t in enumerate(terms)), arb(0))):
            least = least.min(self.law.steepness.at(end + arb(0, _ACCURATE)).lower())
        if not (bool(least > 0) and bool(missed < least * _ACCURATE)):
            raise Undecided("psi is too flat here")
        return (missed / least).upper()


def inverse(law: RadialMass, first: arb, target: arb_series) -> arb_series:
    """The series y with y_0 = first and psi(e^y) = target beyond the constant term: Newton, doubling the known terms."""
    length, known = ctx.cap, [first]
    goal = coefficients(target, length)
    while len(known) < length:
        done = len(known)
        with Terms(min(2 * done, length)):
            y = arb_series(known)
            residual = coefficients(law.psi.series(y), ctx.cap)
            residual = [arb(0)] * done + [a - b for a, b in zip(residual[done:], goal[done:], strict=False)]
            update = coefficients(quotient(arb_series(residual), law.steepness.series(y)), ctx.cap)
            known = known + [-a for a in update[done:]]
    return arb_series(known)


def _polynomial(terms: list[arb]) -> Series:
    """A polynomial as a series about 0 and about every point."""
    terms = terms + [arb(0)] * (ORDER - len(terms))
    with Terms(ORDER + 1):
        return Series(arb_series(terms), recentred(terms, arb(0)))
