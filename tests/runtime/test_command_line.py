"""The command line: a whole small job, reuse of what is finished, and one clear line for bad input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from runtime.checkpoint import save_checkpoint
from runtime.models import build_model
from runtime.store import LOCK, RunStore, load_runs
from tests.runtime.conftest import Command

SMALL = "--inputs 3 --n 200 --epochs 1 --architecture mlp --device cpu".split()


def one_line(called: Command, arguments: Sequence[str], *words: str) -> None:
    done = called(*arguments)
    lines = done.stderr.splitlines()
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    for word in words:
        assert word in lines[0], lines[0]
    assert done.stdout == ""


def test_a_job_runs_reports_and_is_reused(tmp_path: Path, called: Command) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nsigmas = [0.25, 0.5]\n[[noise]]\nfamily = "uniform"\n[[noise]]\nfamily = "gaussian"\n'
    )
    first = called("certify", "--job", "mine.toml", *SMALL, "--out", "out")
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("trained ") == 4
    label, _, path = first.stdout.splitlines()[-1].partition(": ")
    assert label == "report" and (tmp_path / path).is_file()
    runs = load_runs(tmp_path / "out")
    assert [run.name for run in runs] == [
        "uniform-0.25",
        "uniform-0.5",
        "gaussian-0.25",
        "gaussian-0.5",
    ]
    assert all(run.complete and len(run.inputs) == 3 and run.n == 200 for run in runs)
    assert all(run.clean_accuracy is not None for run in runs)
    networks = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "networks").iterdir()}
    assert len(networks) == 4
    again = called("certify", "--job", "mine.toml", *SMALL, "--out", "out")
    assert again.returncode == 0 and "trained" not in again.stdout
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "networks").iterdir()} == networks
    assert load_runs(tmp_path / "out") == runs
    summary = called("report", "out", "--radii", "0.1,0.2", "--json")
    assert len(json.loads(summary.stdout)["runs"]) >= 4
    one_line(
        called,
        ["certify", "--job", "mine.toml", *SMALL, "--n", "300", "--out", "out"],
        "another configuration",
        "certify.n",
    )


def test_training_first_is_the_same_as_training_in_passing(tmp_path: Path, called: Command) -> None:
    flags = ["--family", "laplace", "--sigma", "0.5", *SMALL]
    trained = called("train", *flags, "--out", "two")
    assert trained.returncode == 0, trained.stderr
    assert [run.inputs for run in load_runs(tmp_path / "two")] == [()]
    for out in ("one", "two"):
        assert called("certify", *flags, "--out", out, "--quiet").returncode == 0
    one, two = (load_runs(tmp_path / out)[0] for out in ("one", "two"))
    assert [r.counts for r in one.inputs] == [r.counts for r in two.inputs]


def test_errors_of_the_process_itself_are_one_line(command: Command) -> None:
    one_line(command, ["certify", "--family", "uniform", "--sigma", "1", "--n", "9"], "every input abstains")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["certify"], ["--job"]),
        (["certify", "--family", "uniform"], ["--sigma"]),
        (["certify", "--family", "nonsense", "--sigma", "0.5"], ["nonsense", "uniform"]),
        (["certify", "--family", "uniform", "--sigma", "0"], ["sigmas"]),
        (["certify", "--family", "uniform", "--sigma", "x"], ["--sigma"]),
        (["certify", "--family", "exp_linf", "--sigma", "1", "--param", "k"], ["name=number"]),
        (["certify", "--family", "exp_linf", "--sigma", "1", "--param", "k=-1"], ["k"]),
        (["certify", "--family", "uniform", "--sigma", "1", "--n", "9"], ["smallest useful n is 10"]),
        (["certify", "--family", "uniform", "--sigma", "1", "--dataset", "mnist"], ["digits"]),
        (["certify", "--family", "uniform", "--sigma", "1", "--checkpoint", "no.pt"], ["no.pt"]),
        (["certify", "--job", "nothing"], ["nothing", "digits"]),
        (["certify", "--job", "digits", "--frobnicate"], ["--frobnicate"]),
        (["train", "--job", "nothing"], ["nothing"]),
        (["resume", "nowhere"], ["nowhere", "holds no run"]),
        (["report", "nowhere"], ["nowhere"]),
        (["report", "nowhere", "--radii", "a,b"], ["--radii"]),
        (["frobnicate"], ["frobnicate"]),
        ([], ["command"]),
        (["resume"], ["RUN"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], words: list[str], tmp_path: Path, called: Command
) -> None:
    one_line(called, arguments, *words)
    assert list(tmp_path.iterdir()) == []


def test_bad_data_and_networks_are_one_line(tmp_path: Path, called: Command) -> None:
    x, y = np.full((4, 1, 8, 8), 200.0), np.array([0, 1, 2, 3])
    np.savez(tmp_path / "bytes.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    noise = ["--family", "uniform", "--sigma", "0.5"]
    one_line(called, ["certify", *noise, "--dataset", "bytes.npz"], "divide by 255")
    network = build_model("mlp", (1, 8, 8), 4)
    path = tmp_path / "four.pt"
    save_checkpoint(path, network, architecture="mlp", shape=(1, 8, 8), num_classes=4)
    one_line(called, ["certify", *noise, "--checkpoint", "four.pt"], "4 classes", "10")
    path.write_bytes(path.read_bytes()[:500])
    one_line(called, ["certify", *noise, "--checkpoint", "four.pt"], "truncated")
    torch.save({"weights": torch.zeros(2)}, path)
    one_line(called, ["certify", *noise, "--checkpoint", "four.pt"], "not written by this program")
    assert {p.name for p in tmp_path.iterdir()} == {"bytes.npz", "four.pt"}


def test_a_folder_in_use_or_of_others_is_refused(tmp_path: Path, called: Command) -> None:
    flags = ["--family", "uniform", "--sigma", "0.5", *SMALL]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    one_line(called, ["certify", *flags, "--out", "taken"], "holds files but no run")
    assert [p.name for p in (tmp_path / "taken").iterdir()] == ["notes.txt"]
    with RunStore(tmp_path / "busy", {"name": "busy"}):
        one_line(called, ["certify", *flags, "--out", "busy"], "another process")
        one_line(called, ["resume", "busy"], "another process")
    assert (tmp_path / "busy" / LOCK).exists()


def test_a_network_that_changed_is_refused(tmp_path: Path, called: Command) -> None:
    flags = ["--family", "uniform", "--sigma", "0.5", *SMALL, "--out", "run"]
    assert called("train", *flags).returncode == 0
    path = tmp_path / "run" / "networks" / "uniform-0.5.pt"
    other = build_model("mlp", (1, 8, 8), 10, seed=99)
    save_checkpoint(path, other, architecture="mlp", shape=(1, 8, 8), num_classes=10)
    one_line(called, ["certify", *flags], "not the one whose votes are recorded")
