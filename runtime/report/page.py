"""The report as one self-contained HTML page: pictures inside, no scripts, nothing fetched."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from runtime.report.rounding import radius_below
from runtime.report.sources import Sources
from runtime.report.tables import Table

TITLES = {"1": "ℓ₁", "2": "ℓ₂", "inf": "ℓ∞"}


def _settings(sources: Sources, attribute: str) -> str:
    """The different values that the runs have for a setting, "not stated" among them where a run has none."""
    values = dict.fromkeys(getattr(run, attribute) for run in sources.runs)
    return ", ".join("not stated" if value is None else f"{value:,}" for value in values)


def html_text(sources: Sources, made: Sequence[Table], pictures: Mapping[str, bytes]) -> str:
    """The page.

    Args:
        sources: runs and remarks.
        made: one table a norm.
        pictures: PNG file by norm, for the same norms.
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
        pictures={norm: base64.b64encode(png).decode("ascii") for norm, png in pictures.items()},
        remarks=sources.remarks,
        alpha=_settings(sources, "alpha"),
        n0=_settings(sources, "n0"),
        n=_settings(sources, "n"),
        radius_below=radius_below,
    )
