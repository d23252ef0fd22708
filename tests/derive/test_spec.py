"""Densities as data: files and commands give back the same density; contradictions are refused."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.spec import Spec, SpecError, decimal, find_spec, known_specs, parameters_from, read_spec


@pytest.mark.parametrize("name", known_specs())
def test_file_and_command_give_back_the_spec(name: str, tmp_path: Path) -> None:
    spec = find_spec(name)
    (tmp_path / "copy.toml").write_text(spec.to_toml(), "utf-8")
    assert read_spec(tmp_path / "copy.toml") == spec
    words = shlex.split(spec.command)
    options: dict[str, list[str]] = {}
    for key, value in zip(words[5::2], words[6::2], strict=True):
        options.setdefault(key, []).append(value)
    parameters, fixed = parameters_from(options.get("--param", []))
    again = Spec(
        words[4],
        options["--density"][0],
        options["--geometry"][0],
        options.get("--support", [""])[0],
        parameters,
        options.get("--reference", [""])[0],
        fixed,
    )
    assert again == spec and again.hash == spec.hash


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.fractions(-50, 50, max_denominator=40),
    st.fractions(1, 20, max_denominator=40),
    st.booleans(),
    st.booleans(),
)
def test_domains_survive_the_file(lower: object, width: object, low_closed: bool, high_closed: bool) -> None:
    low = sp.Rational(str(lower))
    high = low + sp.Rational(str(width))
    texts = [f"a>{'=' if low_closed else ''}{decimal(low)}", f"a<{'=' if high_closed else ''}{decimal(high)}"]
    (parameter,), fixed = parameters_from(texts)
    assert not fixed and parameter.conditions == texts
    assert parameter.contains(low) == low_closed and parameter.contains(high) == high_closed
    assert parameter.contains(parameter.default)


@pytest.mark.parametrize(
    "texts",
    [["k>0", "k<0"], ["k>0", "k>1"], ["k=1", "k=2"], ["r>0"], ["d>0"], ["scale>0"], ["k!0"], ["k>x"], ["k>1/0"], ["K>0"], [""],
     ["k>0", "k=-1"], ["_k>0"], ["k>0; import os"]],
)  # fmt: skip
def test_contradictory_or_foreign_parameters(texts: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        parameters_from(texts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"name": "Upper"}, {"name": "../up"}, {"name": "a/b"}, {"name": "special"}, {"name": "registry"}, {"name": ""}, {"geometry": "l3"},
     {"support": "r<2"}, {"support": "r<=-1"}, {"support": "r<=x"}, {"reference": "two\nlines"}, {"density": "exp(-r*q)"}],
)  # fmt: skip
def test_bad_specs(changes: dict[str, str]) -> None:
    with pytest.raises(SpecError) as caught:
        Spec(**({"name": "fine", "density": "exp(-r)", "geometry": "product"} | changes))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_an_unused_parameter_is_refused() -> None:
    parameters, fixed = parameters_from(["k>0"])
    with pytest.raises(SpecError, match="does not occur"):
        Spec("fine", "exp(-r)", "product", "", parameters, "", fixed)


def test_a_value_beside_a_bound_is_a_default_and_alone_a_constant() -> None:
    (k,), fixed = parameters_from(["k>0", "k=3"])
    assert k.default == 3 and not fixed
    assert parameters_from(["k=3"]) == ((), {"k": sp.Integer(3)})
