"""bench: ratios within rounds, ways through a network that do the same work, figures and files of the command, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from runtime.batching import BatchCounter
from runtime.bench.machine import peak_memory
from runtime.bench.paths import PlainLoop, best_forward, certification, sampler_of, worker_pool
from runtime.bench.subject import Subject, subject_of
from runtime.bench.timing import Times, in_turn, ratio
from runtime.sampling import count_votes
from tests.runtime.conftest import Command

CPU = torch.device("cpu")


def values(**certify: object) -> dict[str, object]:
    return {
        "sigmas": [0.25],
        "device": "cpu",
        "noise": [{"family": "gaussian"}],
        "training": {"epochs": 1},
        "certify": {"inputs": 2, "n": 500, **certify},
    }


@pytest.fixture(scope="module")
def subject() -> Subject:
    return subject_of("mlp", values(), CPU)


def test_a_ratio_is_the_median_of_ratios_within_a_round() -> None:
    """A machine that slows down between rounds moves both ways, and no ratio."""
    slow = Times((2.0, 20.0, 200.0), (3.0, 30.0, 300.0))
    fast = Times((1.0, 10.0, 100.0), (1.0, 10.0, 100.0))
    assert ratio(slow, fast).record == {"wall": 2.0, "processor": 3.0}
    assert slow.record["seconds"] == 20.0 and slow.record["per_second"] == 0.05
    with pytest.raises(ValueError, match="at least one round"):
        Times((), ())


def test_every_way_is_called_as_often_and_in_turn() -> None:
    called: list[str] = []

    def way(name: str) -> int:
        called.append(name)
        return 1

    found = in_turn({"a": lambda: way("a"), "b": lambda: way("b")}, 3)
    assert called == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert all(len(times.wall) == 3 for times in found.values())
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        in_turn({}, 0)


def test_the_ways_do_the_same_work(subject: Subject) -> None:
    """The published loop draws other noise of the same law: its counts agree within five standard deviations."""
    loop = PlainLoop(subject, CPU, 400, 1)
    found = loop.counts(0, 4000)
    ours = count_votes(
        subject.model,
        subject.images[0],
        subject.noise,
        10,
        seed=0,
        index=0,
        purpose="estimation",
        start=0,
        stop=4000,
        grid=subject.grid,
    )
    assert found.sum() == ours.n == 4000
    spread = 5 * (2 * 4000 * 0.25) ** 0.5
    assert all(abs(a - b) <= spread for a, b in zip(found.tolist(), ours.counts, strict=True))
    assert loop.work(800, 2)() == 800
    with BatchCounter(sampler_of(subject, 256), lambda index: subject.images[index], 2) as counter:
        assert certification(counter, 1024, 2)() == 1024


def test_the_bare_forward_tries_workers_and_threads(subject: Subject) -> None:
    pool = worker_pool(2)
    try:
        way, seconds = best_forward(subject, CPU, 2, pool)
        assert way.workers * way.threads == 2 and seconds > 0
        assert way.work(pool, 3)() == 3 * way.batch * way.workers
    finally:
        pool.shutdown()


def test_other_architectures_have_fresh_weights_and_made_up_images() -> None:
    made_up = subject_of("cifar_resnet20", values(grid="none"), CPU)
    assert made_up.images.shape[1:] == (3, 32, 32) and made_up.noise.dim == 3072
    assert made_up.grid is None and made_up.job is None
    assert subject_of("cifar_resnet20", values(), CPU).grid is not None


def test_the_command_prints_and_writes_the_same_figures(called: Command, tmp_path: Path) -> None:
    done = called("bench", "--quick", "--architecture", "mlp", "--device", "cpu", "--out", "b", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "b" / "bench.json").read_text())
    assert (tmp_path / "b" / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert {"date", "processor", "cores", "load_average", "torch"} <= set(found["machine"])
    (one,) = found["networks"]
    for way in ("forward", "certification", "plain_loop"):
        assert one[way]["per_second"] == pytest.approx(1 / one[way]["seconds"])
    alone = one["noise_alone"]
    assert set(alone) == {"integers", "floats", "copy"}
    assert all(a["gigabytes_a_second"] * a["ns_a_coordinate"] == pytest.approx(4.0) for a in alone.values())
    certificates = one["certificates"]
    assert certificates["fixed"]["votes_each"] == certificates["plain_loop"]["votes_each"] == 1100
    assert certificates["sequential"]["votes_each"] < 1100
    assert one["memory"]["process_mib"] > 50


def test_text_names_every_way(called: Command) -> None:
    done = called(
        "bench", "--quick", "--architecture", "mlp", "--device", "cpu", "--no-grid", "--inputs", "1"
    )
    assert done.returncode == 0, done.stderr
    for word in (
        "forward alone",
        "certification",
        "published loop",
        "sequential",
        "noise alone",
        "peak memory",
    ):
        assert word in done.stdout
    assert "l1 radius 0.125" in done.stdout
    assert "integers" not in done.stdout.split("noise alone")[1]


def test_memory_is_in_mebibytes() -> None:
    before = peak_memory(CPU)["process_mib"]
    held = bytearray(64 * 2**20)
    held[::4096] = bytes(len(held[::4096]))
    assert before <= peak_memory(CPU)["process_mib"] <= 24 * 1024 and "device_mib" not in peak_memory(CPU)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--architecture", "vgg"], "unknown architecture 'vgg'"),
        (["--device", "tpu"], "--device must be auto, cpu or cuda"),
        (["--rounds", "0"], "rounds and the plain batch must be at least 1"),
        (["--seconds", "nan"], "seconds positive"),
        (["--n", "0"], "certify.n"),
        (["--sigma", "-1", "--architecture", "mlp"], "sigma"),
        (["--checkpoint", "none.pt"], "none.pt does not exist"),
        (
            ["--checkpoint", "a", "--architecture", "mlp", "--architecture", "cnn"],
            "one --architecture at most",
        ),
        (["--out", "file"], "is a file"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, called: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = called("bench", *arguments)
    assert done.returncode == 2 and message in done.stderr and done.stderr.strip().count("\n") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_where_there_is_none_is_refused(called: Command) -> None:
    done = called("bench", "--device", "cuda")
    assert done.returncode == 2 and "device cuda is required" in done.stderr
