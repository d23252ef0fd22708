"""Proofs of a cdf: densities with kinks, bounds, singular ends and heavy tails; files; and false tables caught."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from derive.cli import main
from derive.spec import Spec, SpecError, find_spec, known_specs, parameters_from
from derive.tables.cdf import CdfRequest, build_cdf, check_cdf, prove_cdf
from derive.tables.shipped import cdf_faults, cdf_requests
from derive.verification.cdf import against_quadrature, cdf_checks, cdf_fault
from generated import registry, special
from generated.special.cdf import BITS, WORD, CdfTable, thresholds
from generated.special.lookup import SHIPPED_CDF, VARIABLE, cdf_file, read_cdf_table, read_record

Tail = Callable[[mp.mpf], mp.mpf]


def _spec(density: str, support: str = "") -> Spec:
    return Spec("drawn", density, "product", support)


def _root(x: mp.mpf) -> mp.mpf:
    return (1 + mp.sqrt(x)) * mp.exp(-mp.sqrt(x)) / 2


def _flat_top(x: mp.mpf) -> mp.mpf:
    """Flat up to √2, exponential beyond."""
    k = mp.sqrt(2)
    mass = k + 1
    return mp.mpf(1) / 2 - x / (2 * mass) if x <= k else mp.exp(k - x) / (2 * mass)


def _cut(x: mp.mpf) -> mp.mpf:
    return (mp.exp(-x) - mp.exp(-mp.pi)) / (2 * (1 - mp.exp(-mp.pi))) if x < mp.pi else mp.mpf(0)


def _disc(x: mp.mpf) -> mp.mpf:
    return mp.mpf(1) / 2 - (x * mp.sqrt(1 - x * x) + mp.asin(x)) / mp.pi if x < 1 else mp.mpf(0)


def _quartic(x: mp.mpf) -> mp.mpf:
    return mp.gammainc(mp.mpf(1) / 4, x**4, mp.inf, regularized=True) / 2


def _hump(x: mp.mpf) -> mp.mpf:
    return mp.gammainc(mp.mpf(3) / 2, x**2, mp.inf, regularized=True) / 2


LAWS: dict[str, tuple[str, str, Tail]] = {
    "no derivative at 0": ("exp(-sqrt(r))", "", _root),
    "irrational kink": ("exp(-max(r, sqrt(2)))", "", _flat_top),
    "irrational bound": ("exp(-r)", "r<=pi", _cut),
    "singular bound": ("sqrt(1-r**2)", "r<=1", _disc),
    "singular and irrational bound": ("sqrt(2-r**2)", "r<=sqrt(2)", lambda x: _disc(x / mp.sqrt(2))),
    "flat": ("exp(-r**4)", "", _quartic),
    "zero at 0": ("r**2*exp(-r**2)", "", _hump),
    "hardly integrable": ("(1+r)**(-1.2)", "", lambda x: (1 + x) ** mp.mpf("-0.2") / 2),
}


@pytest.mark.parametrize("law", LAWS)
def test_other_densities_are_enclosed(law: str) -> None:
    density, support, tail = LAWS[law]
    table = prove_cdf(check_cdf(CdfRequest(_spec(density, support), {}))[0])
    rng = np.random.default_rng(len(law))
    ends = [cell.end for cell in table.cells if cell.end < 2**40]
    drawn = [Fraction(float(x)) for x in np.exp(rng.uniform(-20, 5, 40))]
    near = [
        ends[int(k)] * Fraction(1 + sign, 2**40) + ends[int(k)]
        for k in rng.integers(0, len(ends), 8)
        for sign in (-3, 1)
    ]
    with mp.workdps(200):
        for place in sorted({*drawn, *near, *ends[:: 1 + len(ends) // 10]}):
            low, high = (
                int(b[0])
                for b in table.enclosure(np.array([place.numerator], dtype=object), place.denominator)
            )
            exact = (1 - tail(mp.mpf(place.numerator) / place.denominator)) * (1 << WORD)
            assert low <= exact <= high <= low + 2, (law, float(place))


def test_kinks_and_bounds_that_depend_on_parameters() -> None:
    parameters, _ = parameters_from(["k>0"])
    spec = Spec("drawn", "exp(-max(r, k))", "product", "", parameters)
    for k in (0.3, 2.0):  # a double is no decimal: the kink is at the double
        table = prove_cdf(check_cdf(CdfRequest(spec, {"k": Fraction(k)}))[0])  # type: ignore[dict-item]
        assert Fraction(k) in {cell.end for cell in table.cells}


def test_shipped_tables_are_those_of_all_product_densities_and_true() -> None:
    files = {
        cdf_file(q.spec.name, {p.name: float(p.default) for p in q.spec.parameters}) for q in cdf_requests()
    }
    assert files == {path.name for path in SHIPPED_CDF.iterdir()}
    assert cdf_faults(SHIPPED_CDF, known_specs()) == []


@pytest.mark.parametrize("name", ["gaussian", "huber", "triangular", "pareto", "generalized_normal"])
def test_a_table_is_made_again_byte_for_byte(name: str) -> None:
    built = build_cdf(CdfRequest(find_spec(name), {}))
    assert (SHIPPED_CDF / built.file).read_text("ascii") == built.text
    assert built.error < Fraction(1, 2**66)


def test_verify_says_what_was_checked() -> None:
    for name in ("laplace", "raised_cosine", "huber"):
        (check,) = cdf_checks(find_spec(name))
        assert check.passed and "agree with a new proof" in check.text
    assert list(cdf_checks(find_spec("exp_l2"))) == []


def _hashed(text: str) -> str:
    body = text.rpartition('"hash": "')[0]
    return body + '"hash": "' + hashlib.sha256(body.encode()).hexdigest() + '"\n}\n'


@pytest.mark.parametrize(("row", "place"), [(0, 2), (3, 3), (7, 9), (12, 4), (-1, 2), (2, 1)])
def test_false_tables_are_caught_though_their_hash_is_right(tmp_path: Path, row: int, place: int) -> None:
    """A coefficient off by 2^-68, an error said to be 0."""
    path = SHIPPED_CDF / "gaussian_cdf.json"
    text = path.read_text("ascii")
    old = read_record(path)["cells"][row]
    new = list(old)
    new[place] = "0" if place == 1 else f"{int(old[place], 16) + (1 << (BITS - 68)):x}"
    before, after = (json.dumps(r, separators=(",", ":")) for r in (old, new))
    assert text.count(before) == 1
    other = tmp_path / path.name
    other.write_text(_hashed(text.replace(before, after)))
    assert isinstance(read_cdf_table(other), CdfTable)
    assert cdf_fault(path) == ""
    fault = cdf_fault(other)
    assert fault.startswith("at x = ")
    (check,) = cdf_checks(find_spec("gaussian"), tmp_path)
    assert check.passed is False


def test_files_out_of_place_are_reported(tmp_path: Path) -> None:
    good = (SHIPPED_CDF / "huber_cdf_k=1.json").read_text("ascii")
    (tmp_path / "huber_cdf_k=2.json").write_text(good)
    (tmp_path / "huber_cdf_k=1.json").write_text(good.replace("7", "8", 1))
    (tmp_path / "notes.txt").write_text("no table")
    (tmp_path / "other_cdf.json").write_text(_hashed(good.replace('"name": "huber"', '"name": "other"')))
    (tmp_path / "old_cdf.json").write_text(_hashed(good.replace('"spec": "', '"spec": "0')))
    faults = "\n".join(cdf_faults(tmp_path, known_specs()))
    for words in (
        "its name should be huber_cdf_k=1.json",
        "SHA-256 does not fit",
        "notes.txt",
        "which is gone",
        "another version of huber",
    ):
        assert words in faults


def test_compile_writes_where_thresholds_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    module = registry.load("generalized_normal")
    with pytest.raises(special.MissingTable) as missing:
        special.grid_thresholds(module.NAME, module.SPEC_HASH, {"p": 0.7}, 0.5, 255)
    command = str(missing.value).partition("python -m derive ")[2].split()
    main(command)
    assert "polynomials within" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["generalized_normal_cdf_p=0.7.json"]
    grid = special.grid_thresholds(module.NAME, module.SPEC_HASH, {"p": 0.7}, 0.5, 255)
    assert grid.leftover < Fraction(1, 2**36)
    table = read_cdf_table(tmp_path / "generalized_normal_cdf_p=0.7.json")
    assert np.array_equal(thresholds(table, 0.5, 255).low, grid.low)
    assert cdf_fault(tmp_path / "generalized_normal_cdf_p=0.7.json") == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exp_l2", "--cdf"], "of independent coordinates"),
        (["gaussian", "--cdf", "--dim", "3"], "and no --dim"),
        (["--cdf"], "needs the name of a product density"),
        (["nonsense", "--cdf"], "unknown density"),
        (["pareto", "--cdf", "--param", "a=-1"], "must satisfy"),
        (["pareto", "--cdf", "--param", "b=1"], "no parameter"),
    ],
)
def test_what_has_no_cdf_table_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["compile", *words, "--out", str(tmp_path)])
    captured = capsys.readouterr()
    assert stopped.value.code == 2 and captured.out == ""
    assert said in captured.err and len(captured.err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_coordinates_that_change_with_the_dimension_have_no_table() -> None:
    with pytest.raises(SpecError, match="depends on d"):
        check_cdf(CdfRequest(_spec("exp(-r**d)"), {}))


def test_quadrature_of_the_density_text_sees_another_law() -> None:
    path = SHIPPED_CDF / "logistic_cdf.json"
    table = read_cdf_table(path)
    assert against_quadrature(path, table, find_spec("logistic"), {}) == ""
    assert "quadrature" in against_quadrature(path, table, _spec("exp(-r)/(1+exp(-r))**2.000001"), {})
