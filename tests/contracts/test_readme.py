"""The README's table of noises and norms is what the generated modules say."""

from __future__ import annotations

import re

from generated.registry import FAMILIES, load
from tests.contracts.sources import ROOT

COLUMNS = ("1", "2", "inf")


def _word(method: str) -> str:
    if "tight" in method:
        return "tight"
    return "differential" if "differential" in method else "converted"


def test_table_of_noises_and_norms_is_true() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*$", text, re.M)
    ]
    stated = {row[0].strip("`"): tuple(row[2:]) for row in rows}
    actual = {
        family: tuple(_word(load(family).method(adversary=adversary, dim=64)) for adversary in COLUMNS)
        for family in FAMILIES
    }
    assert stated == actual


def test_it_opens_with_what_it_is_a_picture_and_two_commands() -> None:
    head = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert head.index("![") < head.index("```bash\nmake certify\nmake test\n```")
