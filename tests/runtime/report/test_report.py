from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from runtime import InputResult, RunResult
from runtime.grid import SAMPLED
from runtime.report import build_report, sources, summarise
from runtime.report.markdown import latex_escaped
from runtime.report.rounding import points_below
from runtime.report.tsv import read_run

GOOD = ("0\t3\t3\t0.8\t1\t15.4", "1\t3\t-1\t0.0\t0\t15.4", "2\t3\t3\t0.3\t1\t15.4", "3\t3\t1\t2.0\t0\t15.4")


def _results(complete: bool) -> tuple[RunResult, ...]:
    """Two noises at two σ; inputs of 4 classes, the last input an abstention."""

    def run(group: str, sigma: float, radius: float) -> RunResult:
        inputs = tuple(
            InputResult(
                index=index,
                label=1,
                prediction=1 if index < 3 else -1,
                p_lower=0.9 if index < 3 else 0.4,
                radii=dict.fromkeys(("1", "2", "inf"), radius * (index + 1) if index < 3 else 0.0),
                counts=(0, 95, 3, 0),
                n=100,
                failed=2,
                seconds=0.25,
            )
            for index in range(4)
        )
        return RunResult(
            name=f"{group}-{sigma}",
            group=group,
            family=group,
            params={},
            sigma=sigma,
            scale=sigma,
            dim=64,
            n0=10,
            n=100,
            alpha=0.001,
            seed=0,
            num_classes=4,
            clean_accuracy=0.75,
            inputs=inputs,
            complete=complete,
            methods={"1": "differential, tight"},
        )

    return tuple(run(g, s, s * f) for g, f in (("uniform", 1.0), ("laplace", 0.9)) for s in (0.25, 0.5))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A run folder whose store yields made-up results."""
    complete: bool = getattr(request, "param", True)
    monkeypatch.setattr(sources, "load_runs", lambda path: _results(complete))
    path = tmp_path / "run"
    path.mkdir()
    return path


def test_cifar_table_of_the_published_logs(published: Path) -> None:
    path = published / "cifar10_sigma_0.25.tsv"
    (run,) = summarise([path], [0.25, 0.5, 0.75])["runs"]
    shares = {key: round(value, 2) for key, value in run["certified_accuracy"].items()}
    assert shares == {"0.25": 0.60, "0.5": 0.43, "0.75": 0.27}
    assert (run["name"], run["sigma"], run["adversary"]) == ("cifar10_sigma_0.25", 0.25, "2")


# The publication prints .46 .38 .28 for σ = .5 at radii .5, 1 and 1.5; its logs give .46 .37 .29, and so does counting them.
@pytest.mark.parametrize(
    ("sigma", "expected"),
    [
        ("0.50", {"0.0": 0.57, "0.5": 0.46, "1.0": 0.37, "1.5": 0.29, "2.0": 0.0}),
        ("1.00", {"0.0": 0.44, "0.5": 0.38, "1.0": 0.33, "1.5": 0.26, "2.0": 0.19, "2.5": 0.15, "3.0": 0.12}),
    ],
)
def test_imagenet_table_of_the_published_logs(
    published: Path, sigma: str, expected: dict[str, float]
) -> None:
    path = published / f"imagenet_sigma_{sigma}.tsv"
    (run,) = summarise([path], [float(radius) for radius in expected])["runs"]
    assert {key: round(value, 2) for key, value in run["certified_accuracy"].items()} == expected


def test_all_published_logs_make_one_report(published: Path, tmp_path: Path) -> None:
    report = build_report(sorted(published.glob("*.tsv")), None, tmp_path / "out")
    assert [path.name for path in report.figures] == ["certified_accuracy_l2.png"]
    with report.csv.open() as stream:
        table = {row["radius"]: row for row in csv.DictReader(stream)}
    assert (table["0.5"]["cifar10"], table["0.5"]["cifar10 sigma"]) == ("0.428", "0.25")
    assert "cover different inputs" in report.markdown.read_text()


def test_report_of_a_run_folder(folder: Path) -> None:
    report = build_report([folder])
    assert report.html == folder / "report" / "index.html"
    assert [path.name for path in report.figures] == [
        *(f"certified_accuracy_{norm}.png" for norm in ("l1", "l2", "linf")),
        "votes.png",
    ]
    assert [path.with_suffix(".png") for path in report.vectors] == list(report.figures)
    assert all(b"<svg" in path.read_bytes() for path in report.vectors)
    assert all(path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for path in report.figures)
    assert len(report.tsv) == 12
    back = read_run(folder / "report" / "tsv" / "uniform-0.5.l1.tsv")
    assert [row.radius for row in back.rows] == [0.5, 1.0, 1.5, 0.0]
    assert (back.name, back.noise, back.sigma, back.adversary) == ("uniform-0.5", "uniform", 0.5, "1")


def test_page_is_self_contained_and_states_the_guarantee(folder: Path) -> None:
    page = build_report([folder]).html.read_text()
    links = re.findall(r"""(?:src|href)=["']([^"']{5})|url\(|@import|<script|<link""", page)
    assert links == ["data:"] * 4
    assert "with probability at least 1" in page and "<dd>0.001</dd>" in page and "<dd>100</dd>" in page
    assert "differential, tight" in page
    assert "8 votes failed" in page
    assert "incomplete" not in page


def test_tables_name_the_best_sigma_and_put_noises_side_by_side(folder: Path) -> None:
    report = build_report([folder], [0.5, 1.5])
    with report.csv.open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["norm"] == "l1"]
    assert [row["radius"] for row in rows] == ["0.5", "1.5"]
    assert [(row["uniform"], row["uniform sigma"]) for row in rows] == [("0.750", "0.5"), ("0.250", "0.5")]
    assert [(row["laplace"], row["laplace sigma"]) for row in rows] == [("0.500", "0.5"), ("0.000", "")]
    assert "| 0.5 | **0.750** (0.5) | 0.500 (0.5) |" in report.markdown.read_text()


@pytest.mark.parametrize("folder", [False], indirect=True)
def test_incomplete_runs_are_reported_as_such(folder: Path) -> None:
    report = build_report([folder])
    assert "uniform-0.25: incomplete, 4 inputs are finished so far" in report.markdown.read_text()
    assert "<em>(incomplete)</em>" in report.html.read_text()
    assert {run["complete"] for run in summarise([folder])["runs"]} == {False}


def test_same_report_twice_is_the_same_to_the_byte(folder: Path, tmp_path: Path) -> None:
    first = build_report([folder], None, tmp_path / "a")
    second = build_report([folder], None, tmp_path / "b")
    for name in (
        "index.html",
        "certified_accuracy.csv",
        "certified_accuracy.md",
        "certified_accuracy.tex",
        "certified_accuracy_l1.png",
        "certified_accuracy_l1.svg",
        "votes.svg",
    ):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


def test_summary_is_json_with_one_entry_a_run_and_norm(folder: Path) -> None:
    runs = json.loads(json.dumps(summarise([folder], [0.5, 1.0])))["runs"]
    assert len(runs) == 12
    run = next(run for run in runs if (run["name"], run["adversary"]) == ("uniform-0.5", "inf"))
    assert run["certified_accuracy"] == {"0.5": 0.75, "1.0": 0.5}
    assert run["average_certified_radius"] == 0.75
    assert (run["abstained"], run["inputs"], run["n"], run["alpha"], run["failed"]) == (1, 4, 100, 0.001, 8)


def test_summary_has_bounds_votes_time_and_the_guarantee(folder: Path) -> None:
    runs = json.loads(json.dumps(summarise([folder], [0.5], delta=0.01)))["runs"]
    run = next(run for run in runs if (run["name"], run["adversary"]) == ("uniform-0.5", "1"))
    # Of 4 certificates at α = .001 more than none is false with probability .004 < δ.
    assert run["certified_accuracy_of_inputs"] == {"0.5": 0.75} and run["delta"] == 0.01
    assert 0.0 < run["certified_accuracy_of_population"]["0.5"] < 0.3
    assert run["votes_per_input"] == {"mean": 100.0, "median": 100.0, "most": 100}
    assert run["seconds_per_input"] == 0.25 and run["p_a"]["0.5"] == 0.95
    assert run["guarantee"].startswith("per input: each certificate is true with probability at least 0.999")
    with pytest.raises(ValueError, match="delta must lie in"):
        summarise([folder], [0.5], delta=1.0)


def test_familywise_runs_say_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = tuple(replace(run, family_alpha=0.01) for run in _results(True))
    monkeypatch.setattr(sources, "load_runs", lambda path: together)
    page = build_report([folder]).html.read_text()
    assert "familywise: with probability at least 0.99 all 4 certificates are true" in page
    assert "per input:" not in page


MEASURED = {"inputs": 64, "repeatable": True, "differing": {"1": 0, "16": 3, "64": 0}}


@pytest.mark.parametrize(
    ("grid", "source", "sentence"),
    [
        (255, "ab" * 32, "on the grid k/255 of the inputs, of enclosed probabilities; sums converted once"),
        (16, SAMPLED, "on the grid k/16 of the inputs, sampled in float64, then rounded to it"),
        ("none", None, "noise added to floats: what a network reads from the last bits"),
    ],
)
def test_how_votes_were_counted_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, grid: int | str, source: str | None, sentence: str
) -> None:
    counted = tuple(
        replace(run, grid=grid, grid_noise=source, invariance=MEASURED if run.group == "laplace" else {})
        for run in _results(True)
    )
    monkeypatch.setattr(sources, "load_runs", lambda path: counted)
    report = build_report([folder])
    for text in (report.html.read_text(), report.markdown.read_text()):
        assert "How the votes were counted" in text
        assert re.search(
            rf"uniform-0.25, uniform-0.5, laplace-0.25, laplace-0.5: .*{re.escape(sentence)}", text
        )
        measured = "network: the same logits when a batch is repeated; 3 of 64 noisy inputs change class with the batch size"
        assert f"laplace-0.25, laplace-0.5: {measured} (1, 16, 64)." in text
        assert "laplace-0.5: of 64 noisy inputs some change class with the batch they are in" in text
    run = next(run for run in summarise([folder])["runs"] if run["noise"] == "laplace")
    assert (run["grid"], run["grid_noise"], run["network"]) == (grid, source, MEASURED)


def test_what_is_not_known_of_the_votes_is_not_said(folder: Path) -> None:
    assert "How the votes were counted" not in build_report([folder]).html.read_text()
    run = summarise([folder])["runs"][0]
    assert (run["grid"], run["grid_noise"], run["network"]) == (None, None, None)


def test_decided_radii_are_the_rows_and_are_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"procedure": "group-sequential", "targets": [0.2, 0.7], "adversary": "1"}
    decided = tuple(replace(run, procedure=record) for run in _results(True))
    monkeypatch.setattr(sources, "load_runs", lambda path: decided)
    text = build_report([folder]).markdown.read_text()
    first = text.partition("## Against l2")[0]
    assert re.findall(r"^\| (\S+) \| \*", first, flags=re.MULTILINE) == ["0.2", "0.7"]
    assert "uniform-0.5: the l1 radii 0.2, 0.7 were decided one by one" in text
    assert "(procedure: group-sequential)" in text


def test_latex_is_a_table_a_norm(folder: Path) -> None:
    text = build_report([folder], [0.5, 1.5]).latex.read_text()
    assert text.count(r"\begin{tabular}{rrr}") == text.count(r"\end{tabular}") == 3
    assert r"0.5 & \textbf{0.750} (0.5) & 0.500 (0.5) \\" in text
    assert latex_escaped("exp_linf k=2 & 50%") == r"exp\_linf k=2 \& 50\%"


def test_runs_are_held_against_result_files(
    folder: Path, written: Callable[..., Path], tmp_path: Path
) -> None:
    log = written(*GOOD, name="cifar_sigma_0.5.tsv")
    report = build_report([folder, log], [0.25, 0.5], tmp_path / "out")
    # uniform: .75 of 4 inputs have 0.25 or more and 0.5 or more; the log .5 and .25.
    assert "| 0.25 | 0.500 | +25.0 | +25.0 |" in report.markdown.read_text()
    assert "| 0.5 | 0.250 | +50.0 | +25.0 |" in report.markdown.read_text()
    page = report.html.read_text()
    assert "Against the result files of cifar" in page and "mixes inputs and methods" in page
    assert "cifar_sigma_0.5: the source states no α" in page
    assert points_below(Fraction(-1, 3)) == "-33.4" and points_below(Fraction(1, 3)) == "+33.3"


def test_summary_without_radii_has_the_usual_ones(written: Callable[..., Path]) -> None:
    (run,) = summarise([written(*GOOD)])["runs"]
    assert {"0.5", "1.0", "1.5", "2.0"} <= set(run["certified_accuracy"])
    assert run["certified_accuracy"]["0.5"] == 0.25
    assert run["alpha"] is None and run["clean_accuracy"] is None


def test_runs_of_one_name_from_two_folders_take_the_folders_names(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    paths = []
    for place in ("first", "second"):
        (tmp_path / place).mkdir()
        paths.append(written(*GOOD).rename(tmp_path / place / "noise-0.5.l1.tsv"))
    assert [run["name"] for run in summarise(paths)["runs"]] == ["first:noise-0.5", "second:noise-0.5"]
    with pytest.raises(ValueError, match="is given 2 times"):
        summarise([paths[0], paths[0]])


def test_nothing_is_written_when_a_file_is_damaged(written: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"noise-0.5.l1.tsv:2: radius"):
        build_report([written("0\t3\t3\tx\t1\t1")], None, out)
    with pytest.raises(ValueError, match="nothing is there"):
        build_report([tmp_path / "absent.tsv"], None, out)
    with pytest.raises(ValueError, match="at least one run folder or result file"):
        build_report([], None, out)
    with pytest.raises(ValueError, match="holds no run"):
        build_report([tmp_path], None, out)
    assert not out.exists()


@pytest.mark.parametrize("radii", [[], [-1.0], [float("nan")], [float("inf")]])
def test_radii_that_are_none(written: Callable[..., Path], radii: list[float]) -> None:
    with pytest.raises(ValueError, match="radii must be finite numbers of at least 0"):
        summarise([written(*GOOD)], radii)


def test_report_where_nothing_is_certified(written: Callable[..., Path], tmp_path: Path) -> None:
    report = build_report([written("0\t3\t-1\t0.0\t0\t1")], None, tmp_path / "out")
    assert "| 0.5 | 0.000 |" in report.markdown.read_text()


def test_folder_that_is_a_file_is_refused(written: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="the report needs a folder, this is a file"):
        build_report([written(*GOOD)], None, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
