"""The coverage page, the records it is made of, and the times beside it."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derive.cli import add_distribution
from derive.engine import derive_family
from derive.pages.brackets import Bracketed
from derive.pages.coverage import Times, coverage_page, read_times, summary_of
from derive.pages.summary import ASSURANCES, FORMS, NORMS, Cell, Curve, Summary, parse_summary
from derive.spec import Spec, find_spec, known_specs, parameters_from
from generated import registry
from tests.benchmarks.derivation_times import NEW

DRAWN = Curve((0.0, 0.25, 1e-9, 12345.6, math.inf), 0.125)
TIGHT = Cell("quantile", True, "proved", DRAWN)
CONVERTED = Cell("", False, "enclosed", Curve(missing="infinite variance"), ("1", "inf"))
BOTH = Cell("integral", False, "tested", DRAWN, ("2",), "composition in d = 64, 3072")
LOGISTIC = Summary(
    "logistic", "logistic (a = 2)", "sech(r)**2", "product", {"1": TIGHT, "2": CONVERTED, "inf": BOTH}
)
CAUCHY = Summary(
    "cauchy", "cauchy", "1/(1 + r**2)", "product", {"1": replace(TIGHT, form="table", tight=False)}
)
TIMES = Times(
    "2026-11-21", 'two "cores"', {"cauchy": 9.0, "logistic": 2.0, "absent": 4.0}, {"regenerate --check": 31.0}
)
BRACKETS = {
    "logistic": {
        "1": Bracketed(3072, "1", "1", 0.0, "one coordinate", "enclosed"),
        "2": Bracketed(3072, "1", "1.123", 0.123, "all coordinates alike", "enclosed"),
        "inf": Bracketed(3072, "1", "43.9", 42.9, "all coordinates alike", "enclosed"),
    },
    "cauchy": {"1": Bracketed(16, "2", "2.01", 0.005, "2 coordinates alike", "enclosed")},
}


def table(page: str) -> dict[str, list[str]]:
    """Cells by the density's name."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| [")]
    return {re.findall(r"\[(\w+)\]", row[0])[0]: row for row in rows}


def test_a_row_says_form_tightness_assurance_and_time() -> None:
    rows = table(coverage_page([LOGISTIC, CAUCHY], TIMES, BRACKETS))
    assert list(rows) == ["cauchy", "logistic"]
    assert rows["logistic"][:3] == ["[logistic](logistic.md)", "`sech(r)**2`", "product"]
    assert rows["logistic"][3:] == [
        "**quantile**, tight, proved",
        "from l1 or from linf, enclosed",
        "**integral**, sound, tested; or from l2; more by **table**: composition in d = 64, 3072",
        "l1 0, l2 12 %, linf ×43.9",
        "2.0 s",
    ]
    assert rows["cauchy"][3:] == ["**table**, sound, proved", "—", "—", "l1 0.5 % (d = 16)", "9.0 s"]


def test_counts_and_times_of_the_whole() -> None:
    page = coverage_page([LOGISTIC, CAUCHY], TIMES, BRACKETS)
    assert (
        "2 densities, 3 radii of their own (1 × quantile, 1 × integral, 1 × table; 1 of them tight) and 1 by conversion alone."
        in page
    )
    assert 'median 4.0 s, worst 9.0 s of 3; `regenerate --check` 31.0 s (two "cores", 2026-11-21).' in page
    assert all(f"**{form}**:" in page for form in FORMS) and all(f"*{name}*:" in page for name in ASSURANCES)


def test_a_density_without_a_time_shows_a_dash() -> None:
    page = coverage_page([CAUCHY], Times(), {})
    assert table(page)["cauchy"][-1] == "—" and "Not measured yet." in page
    assert coverage_page([LOGISTIC, CAUCHY], TIMES, BRACKETS) == coverage_page(
        [CAUCHY, LOGISTIC], TIMES, BRACKETS
    )
    assert "0 densities, 0 radii of their own (none" in coverage_page([], Times(), {})


@pytest.mark.parametrize("name", registry.FAMILIES)
def test_a_record_of_the_engine_has_every_norm_and_reads_back(name: str) -> None:
    family, module = derive_family(find_spec(name)), registry.load(name)
    summary = summary_of(family, module, {a: "enclosed" for a in family.adversaries})
    assert tuple(summary.cells) == module.ADVERSARIES
    for adversary, cell in summary.cells.items():
        assert bool(cell.form) == (adversary in family.native)
        assert cell.tight == (adversary in family.native and family.native[adversary].tight)
        assert cell.converted == tuple(other for other, _ in family.routes[adversary])
    assert parse_summary(summary.to_toml(), name) == summary
    assert len(summary.to_toml().encode()) < 6000


def test_records_read_back_with_every_kind_of_cell() -> None:
    for summary in (LOGISTIC, CAUCHY, replace(CAUCHY, label='a "quoted" \\ label')):
        # nan, the mark of a missing curve, equals itself in print only
        assert repr(parse_summary(summary.to_toml(), "here")) == repr(summary)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('form = "quantile"', 'form = "guess"', "form of a radius must be one of"),
        ('assurance = "proved"', 'assurance = "sure"', "assurance must be one of"),
        ("compared = 0.125", "compared = nan", "a radius is a number"),
        ("0.25, ", "-0.25, ", "a radius is a number"),
        ("0.25, ", '"x", ', "could not convert"),
        ("tight = true\n", "", "no entry 'tight'"),
        ('name = "logistic"\n', "", "no entry 'name'"),
        ('converted = ["1", "inf"]', "converted = []", "needs a form or a norm"),
        ('converted = ["2"]', 'converted = ["7"]', "converted from"),
        ("[l1]", "[l1", "line"),
    ],
)
def test_a_damaged_record_is_named_with_what_to_do(old: str, new: str, says: str) -> None:
    text = LOGISTIC.to_toml()
    assert old in text
    with pytest.raises(
        ValueError, match=r"logistic\.toml cannot be read .*python -m derive regenerate"
    ) as caught:
        parse_summary(text.replace(old, new, 1), "logistic.toml")
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"form": "guess"},
        {"assurance": "assumed"},
        {"form": ""},
        {"form": "", "tight": True, "converted": ("1",)},
        {"converted": ("3",)},
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(replace(TIGHT, tight=False), **arguments)


def test_a_curve_has_radii_or_a_reason() -> None:
    with pytest.raises(ValueError):
        Curve()
    with pytest.raises(ValueError):
        Curve((1.0,), 1.0, "infinite variance")
    with pytest.raises(ValueError):
        Curve((1.0, math.nan), 1.0)


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
SECONDS = st.integers(0, 10**5).map(lambda tenths: tenths / 10)


@given(st.dictionaries(NAMES, SECONDS), st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
def test_times_read_back(
    tmp_path_factory: pytest.TempPathFactory, seconds: dict[str, float], hardware: str
) -> None:
    times = Times("2026-11-21", hardware, seconds, {"regenerate --check": 1.5})
    path = tmp_path_factory.mktemp("times") / "times.toml"
    path.write_text(times.to_toml(), "utf-8")
    assert read_times(path) == times


def test_times_that_are_absent_or_damaged(tmp_path: Path) -> None:
    assert read_times(tmp_path / "times.toml") == Times()
    for text in (
        "seconds = 3",
        '[seconds]\na = "long"',
        "[seconds]\na = -1.0",
        "[seconds]\na = inf",
        "[seconds",
    ):
        (tmp_path / "times.toml").write_text(text, "utf-8")
        with pytest.raises(ValueError, match=r"times\.toml: .*derivation_times --write"):
            read_times(tmp_path / "times.toml")


@pytest.mark.parametrize("name", NEW)
def test_the_benchmark_adds_densities_that_are_well_formed_and_have_no_spec_here(name: str) -> None:
    assert name not in known_specs()
    given = add_distribution.make_context(name, [name, *shlex.split(NEW[name])]).params
    parameters, fixed = parameters_from(given["params"])
    Spec(name, given["density"], given["geometry"], given["support"], parameters, "", fixed)


def test_norms_are_those_of_the_engine() -> None:
    from derive import engine

    assert tuple(NORMS) == engine.NORMS
