"""Enclosures at drawn dimensions, confidences and parameters, and to many digits. The whole sweep: tests/benchmarks/enclosure_sweep.py."""

from __future__ import annotations

import json
import random

import mpmath
import pytest
import sympy as sp

from derive.bounds import enclose
from derive.cli import main
from derive.derivation import HALF
from derive.engine import derive_family
from derive.spec import SpecError, find_spec
from tests.benchmarks.enclosure_sweep import cases, outcome

QUICK = ("exp_l1", "exp_linf", "generalized_normal", "huber", "laplace", "pareto", "pow_linf", "uniform_ball")


@pytest.mark.parametrize("name", QUICK)
def test_drawn_cases_are_narrow(name: str) -> None:
    family = derive_family(find_spec(name))
    every = [c for c in cases(family, (1, 2, 10, 3072)) if not c.exact]
    whole = [c for c in every if c.parameters.get("k") != sp.Rational("1.0000001")]
    drawn = random.Random(name).sample(whole, 3)
    problems = [outcome(family, case).problem for case in drawn]
    assert not set(problems) - {"", "slow"}, problems  # a busy machine is no fault


@pytest.mark.parametrize(
    ("name", "adversary", "parameters"),
    [
        ("exp_linf", "inf", {"k": "2", "j": "3"}),
        ("huber", "1", {"k": "1/4"}),
    ],
)
def test_more_digits_lie_inside_fewer(name: str, adversary: str, parameters: dict[str, str]) -> None:
    family = derive_family(find_spec(name))
    ends = []
    for digits in (0, 25):
        found = enclose(
            family, adversary, dim=10, rho=sp.Rational("0.95"),
            parameters={n: sp.Rational(v) for n, v in parameters.items()}, scale=sp.Integer(1), digits=digits,
        )  # fmt: skip
        low, high = sp.Rational(found.lower), sp.Rational(found.upper)
        assert 0 <= high - low <= low / 10 ** max(digits, 12)
        ends.append((low, high))
    assert all(one[0] <= other[1] and other[0] <= one[1] for one in ends for other in ends)
    assert ends[0][0] <= ends[1][0] <= ends[1][1] <= ends[0][1]


def test_sixty_digits_of_a_normal_quantile(capsys: pytest.CaptureFixture[str]) -> None:
    main(
        ["radius", "gaussian", "--adversary", "2", "--dim", "3", "--rho", "0.99", "--digits", "60", "--json"]
    )
    found = json.loads(capsys.readouterr().out)
    with mpmath.workdps(90):
        true = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf("0.99") - 1)
        low, high = mpmath.mpf(found["lower"]), mpmath.mpf(found["upper"])
        assert low <= true <= high and high - low < mpmath.mpf(10) ** -59


def test_near_one_half_the_width_is_relative() -> None:
    family, gap = derive_family(find_spec("huber")), sp.Rational(1, 2**40)
    found = enclose(
        family, "1", dim=7, rho=HALF + gap, parameters={"k": sp.Rational(1, 4)}, scale=sp.Integer(1)
    )
    low, high = sp.Rational(found.lower), sp.Rational(found.upper)
    assert 0 <= high - low < low / 10**12


def test_too_many_digits_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SpecError, match="up to 60 digits"):
        enclose(
            derive_family(find_spec("gaussian")), "1", dim=1, rho=sp.Rational("0.9"), parameters={},
            scale=sp.Integer(1), digits=61,
        )  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(["radius", "gaussian", "--adversary", "1", "--dim", "1", "--rho", "0.9", "--digits", "61"])
    assert stop.value.code == 2 and len(capsys.readouterr().err.strip().splitlines()) == 1


def test_no_command_is_given_where_no_table_can_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    main(["radius", "pow_l2", "--adversary", "2", "--dim", "5", "--rho", "0.9", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["compile"] is None or found["compile"].startswith("python -m derive compile pow_l2 ")
    assert 0 < float(found["lower"]) <= float(found["upper"])


def test_the_exact_l1_radius_is_offered_against_linf_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "radius",
        "exp_l1",
        "--adversary",
        "inf",
        "--dim",
        "10",
        "--rho",
        "0.9",
        "--param",
        "k=2",
        "--json",
    ]
    main(asked)
    found = json.loads(capsys.readouterr().out)
    assert found["exact"]["method"] == "converted from l1: R * 1/d, by level set"
    assert "--adversary 1" in found["exact"]["compile"]
    assert float(found["exact"]["lower"]) > float(found["upper"])
