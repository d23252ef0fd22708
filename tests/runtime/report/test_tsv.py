from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.report.run import CertifiedRun
from runtime.report.tsv import read_rows, read_run, seconds_of, tsv_text
from tests.runtime.report.conftest import HEADER, certified_run

GOOD = "0\t3\t3\t0.5\t1\t15.4"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15.4", 15.4), ("0:00:13.5", 13.5), ("1:02:03", 3723.0), ("2 days, 0:00:01", 172801.0)],
)
def test_time_as_seconds_or_as_a_clock(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "0:61:00", "1:2"])
def test_time_that_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="time must be seconds or h:mm:ss"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1\t3\t3\t0.5\t1", "6 tab-separated values are needed, got 5"),
        ("1\t3\t3\twide\t1\t1", "radius must be a number, got 'wide'"),
        ("1\t3\t3\tnan\t1\t1", "radius must be a number of at least 0, got nan"),
        ("1\t3\t3\t-0.5\t1\t1", "radius must be a number of at least 0, got -0.5"),
        ("1\t3\t-1\t0.5\t0\t1", "an abstention .predict -1. must have radius 0, got 0.5"),
        ("1\t3\t4\t0.5\t1\t1", "correct = 1 contradicts label 3 and predict 4"),
        ("1\t3\t3\t0.5\tyes\t1", "correct must be 0 or 1, got 'yes'"),
        ("x\t3\t3\t0.5\t1\t1", "idx must be an integer, got 'x'"),
        ("0\t3\t3\t0.5\t1\t1", "idx 0 comes twice"),
        ("1\t3\t3\t0.5\t1\tsoon", "time must be seconds"),
    ],
)
def test_damaged_line_is_named(written: Callable[..., Path], line: str, fault: str) -> None:
    path = written(GOOD, line)
    with pytest.raises(ValueError, match=rf"noise-0.5.l1.tsv:3: {fault}"):
        read_rows(path)


def test_empty_file_foreign_file_and_file_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"log.tsv:1: the first line must name .* idx label predict"):
        read_rows(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(ValueError, match=r"log.tsv:1: a tab-separated text file is needed"):
        read_rows(path)
    path.write_text(HEADER.replace("radius", "r") + "\n" + GOOD)
    with pytest.raises(ValueError, match=r"log.tsv:1: .*radius missing"):
        read_rows(path)
    path.write_text(HEADER + "\n\n")
    with pytest.raises(ValueError, match=r"log.tsv:2: at least one row"):
        read_rows(path)


@pytest.mark.parametrize(
    ("file_name", "name", "noise", "sigma", "adversary"),
    [
        ("cifar10_sigma_0.25.tsv", "cifar10_sigma_0.25", "cifar10", 0.25, "2"),
        ("exp_linf-1.linf.tsv", "exp_linf-1", "exp_linf", 1.0, "inf"),
        ("uniform-0.5.l1.tsv", "uniform-0.5", "uniform", 0.5, "1"),
        ("log.tsv", "log", "log", None, "2"),
    ],
)
def test_file_name_tells_noise_sigma_and_norm(
    written: Callable[..., Path], file_name: str, name: str, noise: str, sigma: float | None, adversary: str
) -> None:
    run = read_run(written(GOOD, name=file_name))
    assert (run.name, run.noise, run.sigma, run.adversary) == (name, noise, sigma, adversary)


def test_extra_columns_and_another_order_are_read(written: Callable[..., Path]) -> None:
    path = written("15.4\t0\t3\t3\t0.5\t1\tx", header="time\tidx\tlabel\tpredict\tradius\tcorrect\tnote")
    assert read_rows(path) == read_rows(written(GOOD, name="plain.tsv"))


def test_written_file_reads_back_with_the_same_radii(tmp_path: Path) -> None:
    run = certified_run([0.1, 1 / 3, 7.7e-9, 1023.9999999999999, float("inf")], wrong=1, abstained=1)
    path = tmp_path / "noise-0.5.l1.tsv"
    path.write_text(tsv_text(run))
    back: CertifiedRun = read_run(path)
    assert back.rows == run.rows
    assert path.read_text().splitlines()[0] == HEADER
