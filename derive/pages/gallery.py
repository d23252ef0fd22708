"""What stands in docs/derivation beside the pages: pictures, a record of each density, and the pages made of all records."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType

from derive.engine import Family
from derive.pages import brackets, comparison
from derive.pages.coverage import coverage_page, read_times, summary_of
from derive.pages.pictures import overview_picture, radius_picture
from derive.pages.summary import ALL, NORMS, Summary, image, parse_summary, read_summary


def family_gallery(
    folder: Path,
    family: Family,
    module: ModuleType,
    assurance: Mapping[str, str],
    gaussian: ModuleType | None,
) -> dict[Path, str]:
    """The pictures and the record of one density.

    Args:
        folder: docs/derivation of the checkout.
        family: the derived density.
        module: its generated module, as it will be written.
        assurance: one of summary.ASSURANCES for every norm of the family.
        gaussian: the Gaussian's module, for comparison; None where there is none.
    """
    name = family.spec.name
    files = {_record(folder, name): summary_of(family, module, assurance).to_toml()}
    for adversary in family.adversaries:
        files[folder / image(name, adversary)] = radius_picture(family.spec, module, adversary, gaussian)
    return files


def shared_gallery(folder: Path, names: Collection[str], fresh: Mapping[Path, str]) -> dict[Path, str]:
    """Overview pictures and coverage page of all densities, from their records: from `fresh` where it has one, else from disk."""
    summaries = [_summary(folder, name, fresh) for name in sorted(names)]
    gaps = brackets.read_brackets(folder / brackets.RECORD)
    files = {folder / "coverage.md": coverage_page(summaries, read_times(folder / "times.toml"), gaps)}
    compared = comparison.read_comparison(folder / comparison.RECORD)
    if compared is not None:
        files[folder / comparison.PICTURE] = compared.picture()
    for adversary in NORMS:
        files[folder / image(ALL, adversary)] = overview_picture(adversary, summaries)
    return files


def gallery_orphans(folder: Path, names: Collection[str], fresh: Mapping[Path, str]) -> list[Path]:
    """Pictures and records of densities, and pictures of norms, that are gone."""
    kept = {folder / image(ALL, adversary) for adversary in NORMS}
    if (folder / comparison.RECORD).exists():
        kept.add(folder / comparison.PICTURE)
    for name in names:
        kept.add(_record(folder, name))
        kept |= {folder / image(name, adversary) for adversary in _summary(folder, name, fresh).cells}
    return sorted(path for path in [*folder.glob("images/*"), *folder.glob("records/*")] if path not in kept)


def comparison_text(folder: Path) -> list[str]:
    """Lines on the comparison of two methods, none where it is not recorded."""
    found = comparison.read_comparison(folder / comparison.RECORD)
    return [] if found is None else comparison.comparison_lines(found)


def _record(folder: Path, name: str) -> Path:
    return folder / "records" / f"{name}.toml"


def _summary(folder: Path, name: str, fresh: Mapping[Path, str]) -> Summary:
    path = _record(folder, name)
    return parse_summary(fresh[path], path.name) if path in fresh else read_summary(path)
