"""Result files and runs that the report's tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runtime.report.run import CertifiedRun, Row

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "peers" / "cohen2019"
HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime"


@pytest.fixture
def published() -> Path:
    """Folder of the logs published with Cohen et al. 2019."""
    if not PUBLISHED.is_dir():
        pytest.skip(f"the published logs of Cohen et al. 2019 are not at {PUBLISHED}")
    return PUBLISHED


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes a result file of the given lines after the usual header."""

    def write(*lines: str, name: str = "noise-0.5.l1.tsv", header: str = HEADER) -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return path

    return write


def certified_run(
    radii: Sequence[float],
    *,
    name: str = "noise-0.5",
    noise: str = "noise",
    sigma: float | None = 0.5,
    adversary: str = "1",
    wrong: int = 0,
    abstained: int = 0,
) -> CertifiedRun:
    """A run with correct inputs of the given radii, then wrong ones of radius 9, then abstentions."""
    rows = [Row(i, 1, 1, radius, True, 1.0) for i, radius in enumerate(radii)]
    rows += [Row(len(rows) + i, 1, 2, 9.0, False, 1.0) for i in range(wrong)]
    rows += [Row(len(rows) + i, 1, -1, 0.0, False, 1.0) for i in range(abstained)]
    return CertifiedRun(name, noise, adversary, sigma, tuple(rows), source="made here")
