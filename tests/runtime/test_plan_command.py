"""The command `plan`: with data and without, from a log, as JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.cli import main
from runtime.confidence import lower_bound
from runtime.noise import Noise
from runtime.report.rounding import exact_below

BARE = ["plan", "--family", "gaussian", "--sigma", "0.5", "--dim", "64"]


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, list)
    return found


def test_without_data_it_says_what_the_votes_buy(capsys: pytest.CaptureFixture[str]) -> None:
    (plan,) = planned(capsys, *BARE, "--n", "1000", "--inputs", "50", "--votes-per-second", "100")
    noise = Noise("gaussian", 64, sigma=0.5)
    p_lower = lower_bound(1000, 1000, 0.001)
    assert plan["largest"] == {
        "n": 1000,
        "p_lower": p_lower,
        "radii": {name: noise.radius(p_lower, name) for name in noise.adversaries},
    }
    assert plan["seconds"] == 50 * 1100 / 100 == plan["most_seconds"]


def test_with_data_it_measures_the_speed_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--family", "laplace", "--sigma", "0.5", "--inputs", "3", "--n", "500"]) == 0
    text = capsys.readouterr().out
    assert "laplace-0.5: 3 inputs" in text and "votes a second" in text
    assert list(tmp_path.iterdir()) == []


def test_a_log_gives_the_rates_that_made_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    noise = Noise("gaussian", 64, sigma=0.5)
    radii = [noise.radius(lower_bound(count, 1000, 0.001), 2) for count in (900, 990)]
    rows = [f"{i}\t1\t1\t{exact_below(radius)}\t1\t1.0" for i, radius in enumerate(radii)]
    log = tmp_path / "gaussian-0.5.l2.tsv"
    log.write_text(
        "\n".join(["idx\tlabel\tpredict\tradius\tcorrect\ttime", *rows, "2\t1\t-1\t0.0\t0\t1.0"]) + "\n"
    )
    arguments = ["--target-radius", "0.5", "--target-adversary", "2", "--log", str(log), "--log-n", "1000"]
    (plan,) = planned(capsys, *BARE, *arguments)
    rates = plan["rates"]
    assert isinstance(rates, list) and [row["rho"] for row in rates] == [0.42, 0.9, 0.99]
    assert isinstance(plan["votes"], float) and plan["votes"] < 2000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n", "5"], "the smallest useful n is 10"),
        (["--rho", "1.5"], "--rho needs probabilities in [0, 1], got 1.5"),
        (["--log", "nowhere.tsv"], "log nowhere.tsv cannot be read"),
        (["--votes-per-second", "0"], "--votes-per-second must be positive"),
        (["--dim", "0"], "dim must be an integer of at least 1"),
        (["--target-radius", "9", "--target-adversary", "2"], "no probability below 1 certifies radius 9"),
    ],
)
def test_bad_plans_are_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BARE, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_looks_and_spending_of_a_job_reach_its_procedure(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [
        "--target-radius",
        "0.5",
        "--target-adversary",
        "2",
        "--looks",
        "9",
        "--early",
        "0.3",
        "--futility",
        "0.1",
    ]
    (plan,) = planned(capsys, *BARE, *chosen, "--rho", "0.9")
    record = plan["procedure"]
    assert isinstance(record, dict)
    assert (record["looks"], record["early"], record["futility"]) == (9, 0.3, 0.1)
    assert main([*BARE, *chosen, "--early", "1.5"]) == 2
    assert "certify.early" in capsys.readouterr().err
