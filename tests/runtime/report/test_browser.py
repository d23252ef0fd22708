"""The page in a real browser: it is drawn, every picture is shown, and nothing sticks out of the window."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.report import build_report
from tests.runtime.report.conftest import HEADER

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PROBE = """<script>addEventListener("load", () => {
  const wide = [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll") || e.matches(".scroll"))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName);
  const blank = [...document.images].filter(e => !e.complete || !e.naturalWidth || !e.alt).length;
  const found = {wide, blank, images: document.images.length, scroll: document.documentElement.scrollWidth,
    window: innerWidth, tables: document.querySelectorAll("table").length};
  document.title = JSON.stringify(found); });</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The page of eight runs with many digits and long names."""
    paths = []
    for noise in ("gaussian", "laplace with a name that is rather long", "uniform", "exp_linf"):
        for sigma in ("0.25", "0.5"):
            path = tmp_path / f"{noise}-{sigma}.l1.tsv"
            rows = [f"{index}\t1\t1\t{0.013 * index * float(sigma):.6f}\t1\t1.5" for index in range(150)]
            path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
            paths.append(path)
    return build_report(paths, None, tmp_path / "report").html


def _browse(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _measured(html: str, folder: Path, width: int) -> dict[str, object]:
    probed = folder / "probed.html"
    probed.write_text(html.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    dump = _browse(
        folder, f"--window-size={width},900", "--virtual-time-budget=5000", "--dump-dom", probed.as_uri()
    )
    title = re.search(r"<title>(\{.*?\})</title>", dump)
    assert title is not None, dump[:500]
    found: dict[str, object] = json.loads(title[1])
    return found


@pytest.mark.parametrize("width", [1100, 500])
def test_pictures_are_shown_and_nothing_overflows(page: Path, tmp_path: Path, width: int) -> None:
    found = _measured(page.read_text(encoding="utf-8"), tmp_path, width)
    assert found["wide"] == [] and found["blank"] == 0
    assert found["scroll"] == found["window"]
    assert found["images"] == 1 and found["tables"] == 3


def test_the_probe_sees_what_sticks_out_and_what_is_blank(page: Path, tmp_path: Path) -> None:
    planted = '<p style="width: 3000px">wide</p><img alt="" src="data:image/png;base64,AAAA"></body>'
    found = _measured(page.read_text(encoding="utf-8").replace("</body>", planted), tmp_path, 1100)
    assert "P" in str(found["wide"]) and found["blank"] == 1


def test_the_page_is_drawn(page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    _browse(tmp_path, "--window-size=1100,1600", f"--screenshot={shot}", page.as_uri())
    pixels = np.asarray(Image.open(shot).convert("RGB"), dtype=np.int64)
    assert pixels.shape == (1600, 1100, 3)
    dark = (pixels.sum(axis=2) < 300).mean(axis=1)
    assert 0.005 < dark.mean() < 0.2  # text on white
    assert (dark[:800] > 0).any() and (dark[800:] > 0).any()
    blue = np.abs(pixels - np.array([0x00, 0x72, 0xB2])).sum(axis=2) < 40
    assert blue.sum() > 500  # the first curve of the picture
