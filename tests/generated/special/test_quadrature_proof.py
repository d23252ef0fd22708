"""What the proof of laws by quadrature rests on: complex balls, bounds around panels, and errors that cover what panels miss."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sc

from generated.registry import FAMILIES
from generated.special import balls
from generated.special.balls import Ball
from generated.special.interval import Interval
from generated.special.monotone import RadialDensity
from generated.special.radial import RadialLaw
from generated.special.thresholds import radial_curve
from tests.generated.special.test_radial import COSINE, HUBER, LOGISTIC, edge, student

FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (balls.exp, np.exp),
    "log": (balls.log, np.log),
    "sqrt": (balls.sqrt, np.sqrt),
    "tanh": (balls.tanh, np.tanh),
    "sinh": (balls.sinh, np.sinh),
    "cosh": (balls.cosh, np.cosh),
    "tan": (balls.tan, np.tan),
    "atan": (balls.atan, np.arctan),
    "erf": (balls.erf, sc.erf),
    "square": (lambda z: z**2, lambda z: z**2),
    "root": (lambda z: z**0.3, lambda z: z**0.3),
    "inverse": (lambda z: 1.0 / (1.0 + z), lambda z: 1.0 / (1.0 + z)),
    "product": (lambda z: z * (z - 2.0) - 3.0 * z, lambda z: z * (z - 2.0) - 3.0 * z),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_balls_hold_what_they_say(name: str) -> None:
    """Values at drawn points of drawn balls, at their edges as well; and the balls are not endless."""
    on_balls, exact = FUNCTIONS[name]
    rng = np.random.default_rng(3)
    mid = rng.uniform(-3.0, 3.0, 400) + 1j * rng.uniform(-3.0, 3.0, 400)
    rad = np.exp(rng.uniform(-20.0, 0.0, 400))
    with np.errstate(all="ignore"):
        value = on_balls(Ball(mid, rad))
        assert np.isfinite(value.rad).sum() > 200
        for turn in np.linspace(0.0, 2.0 * np.pi, 12):
            for share in (0.5, 1.0 - 1e-9):
                miss = np.abs(exact(mid + share * rad * np.exp(1j * turn)) - value.mid)
                assert np.all(miss <= value.rad * (1.0 + 1e-9) + 1e-14 * np.abs(value.mid))


def test_a_branch_cut_and_a_pole_leave_nothing_known() -> None:
    cut, pole = Ball(np.array([-1.0 + 0.1j]), np.array([0.2])), Ball(np.array([0.1 + 0j]), np.array([0.2]))
    with np.errstate(all="ignore"):
        assert np.isinf(balls.log(cut).rad).all() and np.isinf((1.0 / pole).rad).all()


def test_a_panel_across_a_kink_has_no_bound() -> None:
    panel = Interval(np.array([0.5, 0.9, 1.1]), np.array([0.9, 1.1, 1.5]))
    x = Ball(np.array([[0.7 + 0.1j], [1.0 + 0j], [1.3 + 0j]]), np.full((3, 1), 0.01))
    value = balls.on_balls(HUBER.steepness, panel, x)
    assert np.isfinite(value.rad[:, 0]).tolist() == [True, False, True]
    assert abs(value.mid[0, 0] - (0.7 + 0.1j) ** 2) < 1e-12 and abs(value.mid[2, 0] - 1.3) < 1e-12


def test_a_pole_next_to_a_panel_has_no_bound() -> None:
    """1/(1 + r²) at r = i: within reach of a panel of width 1, not of one of width 1/8."""
    chart = RadialLaw(student(1.0), 1.0).chart
    found = [chart.around(np.array([-h]), np.array([h])).slope[0] for h in (0.5, 0.0625)]
    assert np.isinf(found[0]) and np.isfinite(found[1])


MASSES: dict[str, tuple[RadialDensity, Callable[[Any], Any]]] = {
    "cauchy": (student(1.0), lambda r: 2 * mp.atan(r) / mp.pi),
    "logistic": (LOGISTIC, lambda r: mp.tanh(r / 2)),
    "linear": (edge(1.0), lambda r: 1 - (1 - r) ** 2),
    "cosine": (COSINE, lambda r: r + mp.sinpi(r) / mp.pi),
}


@pytest.mark.parametrize("name", sorted(MASSES))
def test_every_panel_keeps_its_error(name: str) -> None:
    """Masses of all panels, relative to the largest, against the law in 70 digits."""
    density, cdf = MASSES[name]
    law = RadialLaw(density, 1.0)
    sums, chart = law.law_sums, law.chart
    with mp.workdps(70):
        radii = []
        for x in law.fine.edges.tolist():
            if x > chart.junction:
                radii.append(density.bound - density.bound * mp.exp(mp.mpf(chart.junction) - mp.mpf(x)) / 2)
            else:
                radii.append(mp.mpf(chart.centre) * mp.exp(mp.mpf(x)))
        masses = [cdf(b) - cdf(a) for a, b in zip(radii[:-1], radii[1:], strict=True)]
        at = int(np.argmax(sums.total))
        unit = masses[at] / mp.mpf(sums.total[at])
        share = sums.doubt[at] / sums.total[at]
        for total, doubt, mass in zip(sums.total, sums.doubt, masses, strict=True):
            assert abs(mass / unit - mp.mpf(total)) <= doubt + share * total * (1.0 + 1e-6)


@pytest.mark.parametrize("name", sorted(MASSES))
def test_errors_stay_small_where_the_law_is(name: str) -> None:
    law = RadialLaw(MASSES[name][0], 1.0)
    for sums in (law.law_sums, law.score_sums):
        assert sums.doubt.sum() < 1e-11 * sums.whole
    assert all(bound < 1e-30 for side in law.outside for bound in side)


@pytest.mark.parametrize(
    "name", [n for n in FAMILIES if hasattr(importlib.import_module(f"generated.{n}"), "_law")]
)
def test_every_shipped_law_is_proved(name: str) -> None:
    module = importlib.import_module(f"generated.{name}")
    for dim in {"product": (1.0,)}.get(module.GEOMETRY, (2.0, 64.0)):
        assert module._law(dim, **module.PARAMETERS).fine.proved


def test_a_law_without_a_proof_has_no_radius() -> None:
    """The gamma function has no bounds around panels here."""
    density = RadialDensity(lambda xp, r: r * r + 0.0 * xp.gamma(1.0 + r), lambda xp, r: r * r)
    with pytest.raises(ValueError, match="could not be bounded|varies too fast"):
        radial_curve(0.5, RadialLaw(density, 1.0))
