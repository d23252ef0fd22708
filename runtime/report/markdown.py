"""The tables as a Markdown page and as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.report.comparison import comparisons
from runtime.report.effort import Effort, effort
from runtime.report.rounding import radius_below
from runtime.report.tables import Cell, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "σ": r"$\sigma$",
    **{mark: "\\" + mark for mark in "&%$#_{}"},
}
_LATEX_NORMS = {"l1": r"$\ell_1$", "l2": r"$\ell_2$", "linf": r"$\ell_\infty$"}


def markdown_text(
    made: Sequence[Table],
    remarks: Sequence[str],
    guarantees: Sequence[str] = (),
    conditions: Sequence[str] = (),
) -> str:
    """All tables as one Markdown page; the best noise of a row is set in bold."""
    lines = ["# Certified accuracy", ""]
    lines += [
        "Share of inputs classified correctly with a certified radius of at least r; upper envelope over σ."
    ]
    lines += ["In brackets the σ that attains it. All numbers are rounded down.", ""]
    lines += [*(f"* {guarantee}" for guarantee in guarantees), ""] if guarantees else []
    lines += (
        ["How the votes were counted:", "", *(f"* {text}" for text in conditions), ""] if conditions else []
    )
    for table in made:
        lines += [f"## Against {table.norm}", ""]
        lines += _table(table, [[_markdown_cell(cell) for cell in cells] for _, cells in table.rows])
        if table.bounded:
            lines += [
                f"With probability at least {1.0 - table.delta:g}: of these inputs, at all radii at once / of all inputs",
                "of their source, at each radius, if they are independent draws from it.",
                "",
            ]
            bounds = [[bounds_text(cell) for cell in cells] for _, cells in table.rows]
            lines += _table(table, bounds)
        lines += _runs(table)
        for found in comparisons(table):
            lines += [f"Points of certified accuracy above {found.reference} (result files):", ""]
            lines += [_line([f"{table.norm} radius", found.reference, *found.noises])]
            lines += [_line(["---:"] * (2 + len(found.noises)))]
            lines += [_line([radius, base, *points]) for radius, base, points in found.rows]
            lines.append("")
    if remarks:
        lines += ["## Remarks", "", *(f"* {remark}" for remark in remarks), ""]
    return "\n".join(lines)


def latex_text(made: Sequence[Table]) -> str:
    r"""One booktabs `tabular` a norm, to be \input into a document; the best noise of a row is set in bold."""
    lines = ["% Certified accuracy at radius r, best over sigma (in brackets); rounded down. Needs booktabs."]
    for table in made:
        names = [latex_escaped(envelope.noise) for envelope in table.envelopes]
        lines += [rf"\begin{{tabular}}{{r{'r' * len(names)}}}", r"\toprule"]
        lines += [" & ".join([f"{_LATEX_NORMS[table.norm]} radius", *names]) + r" \\", r"\midrule"]
        lines += [
            " & ".join([radius, *(_latex_cell(cell) for cell in cells)]) + r" \\"
            for radius, cells in table.rows
        ]
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def latex_escaped(text: str) -> str:
    """`text` with every character that LaTeX takes for a command set as itself."""
    return "".join(_LATEX.get(character, character) for character in text)


def bounds_text(cell: Cell) -> str:
    """The two lower bounds of a cell, "–" where there are none."""
    return f"{cell.inputs} / {cell.population}" if cell.inputs else "–"


def effort_cells(found: Effort) -> tuple[str, str, str, str]:
    """Estimation votes an input (mean, most), seconds an input, and the quartiles of p_A; "–" where not known."""
    mean = "–" if found.votes_mean is None else f"{found.votes_mean:,.0f}"
    most = "–" if found.votes_most is None else f"{found.votes_most:,}"
    quartiles = [f"{found.p_a[level]:.3f}" for level in (0.25, 0.5, 0.75)] if found.p_a else ["–"]
    return mean, most, f"{found.seconds_mean:.3g}", " / ".join(quartiles)


def _table(table: Table, cells: Sequence[Sequence[str]]) -> list[str]:
    head = [f"{table.norm} radius", *(envelope.noise for envelope in table.envelopes)]
    rows = [_line([radius, *texts]) for (radius, _), texts in zip(table.rows, cells, strict=True)]
    return [_line(head), _line(["---:"] * len(head)), *rows, ""]


def _runs(table: Table) -> list[str]:
    head = ["run", "inputs", "abstained", "average certified radius"]
    head += ["votes an input", "most", "seconds an input", "p_A: quartiles"]
    lines = [_line(head), "|---|" + "---:|" * (len(head) - 1)]
    for envelope in table.envelopes:
        for run in envelope.runs:
            average = radius_below(run.average_certified_radius)
            lines.append(
                _line([run.name, str(run.total), str(run.abstained), average, *effort_cells(effort(run))])
            )
    return [*lines, ""]


def _markdown_cell(cell: Cell) -> str:
    accuracy = f"**{cell.accuracy}**" if cell.leading else cell.accuracy
    return f"{accuracy} ({cell.sigma})" if cell.sigma else accuracy


def _latex_cell(cell: Cell) -> str:
    accuracy = rf"\textbf{{{cell.accuracy}}}" if cell.leading else cell.accuracy
    return f"{accuracy} ({cell.sigma})" if cell.sigma else accuracy


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
