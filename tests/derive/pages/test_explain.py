"""Derivations can be read in every format, for every density and norm."""

from __future__ import annotations

import pytest

from derive.engine import derive_family
from derive.pages.explain import FORMATS, explain, page
from derive.spec import SpecError, find_spec, known_specs

PAIRS = [(n, a) for n in known_specs() for a in derive_family(find_spec(n)).adversaries]


@pytest.mark.parametrize(("name", "adversary"), PAIRS)
def test_every_step_is_there(name: str, adversary: str) -> None:
    family = derive_family(find_spec(name))
    text = explain(family, adversary)
    titles = ["Density", "Hypotheses", "Variance", "Sampler"]
    if adversary in family.native:
        titles += (
            ["Reduction", "Radius", "Tightness", "Limits"]
            if name != "exp_linf"
            else ["Reduction", "Greedy set", "Growth", "Limits"]
        )
    else:
        titles += ["Conversion"]
    for title in titles:
        assert f"\n{title}\n" in text, title
    for form in FORMATS[1:]:
        assert len(explain(family, adversary, form)) > 300


@pytest.mark.parametrize(("name", "adversary"), PAIRS)
def test_latex_is_balanced_and_ascii(name: str, adversary: str) -> None:
    text = explain(derive_family(find_spec(name)), adversary, "latex")
    assert text.count("{") == text.count("}") and text.count(r"\[") == text.count(r"\]")
    assert text.isascii(), sorted({c for c in text if not c.isascii()})


def test_the_page_names_its_command_and_both_branches() -> None:
    text = page(derive_family(find_spec("exp_linf")), {})
    assert find_spec("exp_linf").command in text
    assert "First branch" in text and "Closed form" in text


def test_unknown_norm_or_format() -> None:
    family = derive_family(find_spec("laplace"))
    with pytest.raises(SpecError, match="format"):
        explain(family, "1", "html")
    with pytest.raises(SpecError, match="no radius"):
        explain(family, "7")
