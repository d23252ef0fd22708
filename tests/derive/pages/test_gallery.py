"""Files beside the pages: each density owns its own, the pages of all are made of the records alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from derive.engine import derive_family
from derive.pages.gallery import family_gallery, gallery_orphans, shared_gallery
from derive.pages.summary import ALL, image
from derive.spec import Spec, SpecError, find_spec
from generated import registry

NAMES = ("gaussian", "uniform")


def own(folder: Path, name: str) -> dict[Path, str]:
    family = derive_family(find_spec(name))
    assurance = {adversary: "enclosed" for adversary in family.adversaries}
    return family_gallery(folder, family, registry.load(name), assurance, registry.load("gaussian"))


def write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        write(own(tmp_path, name))
    return tmp_path


def test_a_density_owns_a_record_and_a_picture_a_norm(folder: Path) -> None:
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    pictures = [f"images/{name}-{norm}.svg" for name in NAMES for norm in ("l1", "l2", "linf")]
    assert found == sorted([*pictures, "records/gaussian.toml", "records/uniform.toml"])
    assert (folder / image("uniform", "inf")).read_text("utf-8").count("<polyline") == 4


def test_the_pages_of_all_come_from_disk_or_from_fresh_records_alike(folder: Path) -> None:
    from_disk = shared_gallery(folder, NAMES, {})
    everything = own(folder, "uniform") | own(folder, "gaussian")
    (folder / "records" / "uniform.toml").unlink()
    assert shared_gallery(folder, NAMES[::-1], everything) == from_disk
    assert sorted(path.name for path in from_disk) == [
        f"{ALL}-l1.svg",
        f"{ALL}-l2.svg",
        f"{ALL}-linf.svg",
        "coverage.md",
    ]
    assert "[uniform](uniform.md)" in from_disk[folder / "coverage.md"]


def test_a_fresh_record_outweighs_the_one_on_disk(folder: Path) -> None:
    record = folder / "records" / "uniform.toml"
    changed = record.read_text("utf-8").replace('label = "uniform"', 'label = "renamed"')
    assert "renamed" in shared_gallery(folder, NAMES, {record: changed})[folder / image(ALL, "1")]


def test_times_reach_the_coverage_page(folder: Path) -> None:
    (folder / "times.toml").write_text(
        'date = "2026-11-21"\nhardware = "h"\n[seconds]\nuniform = 7.5\n', "utf-8"
    )
    assert "| 7.5 s |" in shared_gallery(folder, NAMES, {})[folder / "coverage.md"]


def test_a_missing_record_says_how_to_write_it(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"records/laplace\.toml is missing; .*python -m derive regenerate"):
        shared_gallery(folder, [*NAMES, "laplace"], {})


def test_what_no_density_owns_is_an_orphan(folder: Path) -> None:
    write(shared_gallery(folder, NAMES, {}))
    assert gallery_orphans(folder, NAMES, {}) == []
    gone = gallery_orphans(folder, ["gaussian"], {})
    assert [path.name for path in gone] == [
        "uniform-l1.svg",
        "uniform-l2.svg",
        "uniform-linf.svg",
        "uniform.toml",
    ]
    record = folder / "records" / "uniform.toml"
    without = record.read_text("utf-8").partition("[linf]")[0]
    assert gallery_orphans(folder, NAMES, {record: without}) == [folder / image("uniform", "inf")]
    (folder / "images" / "stray.png").write_bytes(b"")
    assert [path.name for path in gallery_orphans(folder, NAMES, {})] == ["stray.png"]


def test_no_density_can_take_the_name_of_all() -> None:
    with pytest.raises(SpecError):
        Spec(ALL, "exp(-r)", "product")
