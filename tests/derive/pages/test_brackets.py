"""Records of brackets and of the comparison of methods: they read back, say what is wrong, and hold what is computed again."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import sympy as sp

from derive.engine import derive_family
from derive.pages import brackets, comparison
from derive.pages.brackets import (
    Bracketed,
    bracket_text,
    bracketed,
    gap_cell,
    gap_text,
    read_brackets,
    to_toml,
)
from derive.pages.comparison import Comparison, comparison_lines, read_comparison
from derive.pages.explain import page
from derive.pages.summary import NORMS
from derive.spec import find_spec, known_specs
from generated import registry

PAGES = Path(__file__).resolve().parents[3] / "docs" / "derivation"
WIDE = Bracketed(3072, "4.15351", "6.39187", 0.539, "2 coordinates alike", "enclosed by ball arithmetic")
NONE = Bracketed(64, "3.91202", "3.91202", 0.0, "one coordinate", "enclosed by ball arithmetic")
TABLED = Bracketed(
    3072,
    "0.042263",
    "0.0422672",
    0.0001,
    "all coordinates alike",
    "enclosed by ball arithmetic",
    "composition",
    "0.0419756",
)
FOUND = Comparison(
    "python -m derive compare x --write", "exp(-‖x‖₂)", (2, 64), {"0.9": (1.05, 1.001), "0.99": (1.0, 1.25)}
)


def test_gaps_in_words() -> None:
    assert [gap_text(x) for x in (0.0, 0.00695, 0.54, 42.9)] == ["0", "0.69 %", "54 %", "×43.9"]


def test_records_read_back(tmp_path: Path) -> None:
    found = {"a": {"1": NONE, "inf": WIDE}, "b": {}, "c": {"inf": TABLED}}
    (tmp_path / "brackets.toml").write_text(to_toml(found), "utf-8")
    assert read_brackets(tmp_path / "brackets.toml") == {"a": {"1": NONE, "inf": WIDE}, "c": {"inf": TABLED}}
    (tmp_path / "comparison.toml").write_text(FOUND.to_toml(), "utf-8")
    assert read_comparison(tmp_path / "comparison.toml") == FOUND
    assert read_brackets(tmp_path / "none.toml") == {} and read_comparison(tmp_path / "none.toml") is None


def test_damaged_records_are_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "brackets.toml"
    for old, new in (("gap = 0.539", "gap = nan"), ("dim = 3072\n", ""), ("[a.linf]", "[a.linf")):
        path.write_text(to_toml({"a": {"inf": WIDE}}).replace(old, new), "utf-8")
        with pytest.raises(ValueError, match=r"brackets\.toml: .*derive bracket --write"):
            read_brackets(path)
    path = tmp_path / "comparison.toml"
    for old, new in (("1.250000", "0.9"), ("1.250000", "inf"), ("[2, 64]", "[2]"), ("[ratios]", "[rates]")):
        path.write_text(FOUND.to_toml().replace(old, new), "utf-8")
        with pytest.raises(ValueError, match=r"comparison\.toml: .*derive compare"):
            read_comparison(path)


def test_pages_say_how_much_more_there_could_be() -> None:
    text = page(derive_family(find_spec("cauchy")), {"cauchy": {"1": WIDE, "2": NONE}})
    assert "norm 6.39187 leaves nothing to certify" in text and "gap 54 %" in text
    assert "the radius is exact, the gap 0" in text
    assert "0.042263 (composition, from the table that is shipped; 0.0419756 without one)" in bracket_text(
        TABLED, "inf"
    )
    assert "No upper bound is recorded" in text  # linf has none here
    assert bracket_text(None, "1") in text.replace("\\_", "_")


def test_a_gap_cell_names_an_unusual_dimension() -> None:
    assert gap_cell({"x": {"1": NONE}}, "x") == "l1 0 (d = 64)"
    assert gap_cell({"x": {"1": WIDE, "inf": WIDE}}, "x") == "l1 54 %, linf 54 %"
    assert gap_cell({}, "x") == "—"


def test_the_comparison_is_drawn_and_told() -> None:
    picture, lines = FOUND.picture(), comparison_lines(FOUND)
    assert picture.startswith("<svg") and picture.count("<polyline") == 2 and "ρ = 0.99" in picture
    assert "5 % at d = 2 and 0.1 % at d = 64 for ρ = 0.9" in lines[0] and "at most 25 %" in lines[0]
    assert comparison.PICTURE in lines[-1]


# what is committed


@pytest.mark.parametrize("name", registry.FAMILIES)
def test_every_density_has_its_brackets(name: str) -> None:
    found = read_brackets(PAGES / brackets.RECORD)[name]
    assert set(found) == set(registry.load(name).ADVERSARIES)
    for one in found.values():
        assert float(one.np_upper) >= float(one.lower) * (1 - 1e-5) and math.isfinite(one.gap)
    assert set(read_brackets(PAGES / brackets.RECORD)) == set(known_specs())


@pytest.mark.parametrize(("name", "adversary"), [("laplace", "inf"), ("gaussian", "2"), ("pareto", "1")])
def test_committed_brackets_are_computed_again(name: str, adversary: str) -> None:
    kept, found = (
        read_brackets(PAGES / brackets.RECORD)[name][adversary],
        bracketed(find_spec(name), adversary),
    )
    assert found is not None and (found.dim, found.direction, found.assurance) == (
        kept.dim,
        kept.direction,
        kept.assurance,
    )
    assert (found.table, found.plain) == (kept.table, kept.plain)
    assert float(found.lower) == pytest.approx(float(kept.lower), rel=1e-5)
    assert float(found.np_upper) == pytest.approx(float(kept.np_upper), rel=1e-4)


def test_committed_ratios_are_computed_again() -> None:
    found = read_comparison(PAGES / comparison.RECORD)
    assert found is not None and found.dims[0] == 2 and found.dims[-1] == 3072
    member = derive_family(find_spec("exp_l2").member({"k": sp.Integer(1), "j": sp.Integer(0)}))
    for dim in (64, 3072):
        kept = found.ratios["0.99"][found.dims.index(dim)]
        assert comparison._ratio(member, dim, sp.Rational(99, 100)) == pytest.approx(kept, abs=2e-6)
    assert NORMS["2"] == "l2"
