"""The report as one self-contained HTML page: pictures inside, no scripts, nothing fetched."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from runtime.report.comparison import comparisons
from runtime.report.effort import QUANTILES, effort
from runtime.report.figure import Picture
from runtime.report.markdown import effort_cells
from runtime.report.rounding import radius_below
from runtime.report.run import CertifiedRun
from runtime.report.sources import Sources
from runtime.report.tables import Table

TITLES = {"1": "ℓ₁", "2": "ℓ₂", "inf": "ℓ∞"}


def _settings(sources: Sources, attribute: str) -> str:
    """The different values that the runs have for a setting, "not stated" among them where a run has none."""
    return ", ".join(dict.fromkeys(_setting(run, attribute) for run in sources.runs))


def _setting(run: CertifiedRun, attribute: str) -> str:
    value = getattr(run, attribute)
    if value is not None:
        return f"{value:,}"
    return "no maximum" if attribute == "n" and not run.log else "not stated"


def _distinct(sources: Sources) -> list[CertifiedRun]:
    """One record a run, whatever its norms: votes and time are the same for all of them."""
    return list({(run.source, run.name): run for run in reversed(sources.runs)}.values())[::-1]


def html_text(
    sources: Sources,
    made: Sequence[Table],
    pictures: Mapping[str, Picture],
    votes: Picture | None,
    guarantees: Sequence[str],
    conditions: Sequence[str],
) -> str:
    """The page.

    Args:
        sources: runs and remarks.
        made: one table a norm.
        pictures: by norm, for the same norms.
        votes: the distribution of p_A, None where votes are not known.
        guarantees: what the certificates guarantee, in sentences.
        conditions: how the votes were counted, in sentences.
    """
    environment = Environment(
        loader=PackageLoader("runtime.report"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        tables=made,
        titles=TITLES,
        pictures={norm: _encoded(picture) for norm, picture in pictures.items()},
        votes=None if votes is None else _encoded(votes),
        remarks=sources.remarks,
        guarantees=guarantees,
        conditions=conditions,
        alpha=_settings(sources, "alpha"),
        n0=_settings(sources, "n0"),
        n=_settings(sources, "n"),
        compared={table.adversary: comparisons(table) for table in made},
        runs=[(run, *effort_cells(found := effort(run)), found.p_a) for run in _distinct(sources)],
        quantiles=QUANTILES,
        radius_below=radius_below,
    )


def _encoded(picture: Picture) -> str:
    return base64.b64encode(picture.svg).decode("ascii")
