"""Fenced blocks of the Markdown pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tests.contracts.sources import ROOT


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page where it opens."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """README.md and every page of docs/, sorted."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [
        Block(token.info.strip(), token.content, (token.map or [0])[0] + 1)
        for token in tokens
        if token.type == "fence"
    ]


def commands(block: Block) -> list[str]:
    """The commands of a bash block: joined over trailing backslashes, without comments and blank lines."""
    lines = block.text.replace("\\\n", " ").splitlines()
    stripped = [line.partition("  #")[0].strip() for line in lines]
    return [line for line in stripped if line and not line.startswith("#")]
