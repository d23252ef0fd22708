"""What is refused before anything is started or written: one line, exit status 2."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.runtime.conftest import Command

JOB = ("certify", "--family", "gaussian", "--sigma", "0.5", "--inputs", "1", "--n", "64", "--out", "run")


def refused(called: Command, *arguments: str) -> str:
    done = called(*JOB, *arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert not Path("run").exists()
    return done.stderr


@pytest.mark.parametrize("flag", [("--ray",), ("--ray", "local"), ("--ray", "10.0.0.1:6379")])
def test_without_ray_the_extra_is_named(
    called: Command, monkeypatch: pytest.MonkeyPatch, flag: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'smoothing-radii[ray]'" in refused(called, *flag)


def test_a_number_of_workers_needs_a_cluster_and_is_positive(called: Command) -> None:
    assert "--ray-workers needs --ray" in refused(called, "--ray-workers", "2")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster can be reached at 127.0.0.1:1"),
        ("nowhere", "HOST:PORT"),
        ("a/b:1", "HOST:PORT"),
    ],
)
def test_an_address_where_nobody_listens_is_refused(called: Command, address: str, said: str) -> None:
    pytest.importorskip("ray.actor", reason="Ray is not installed (pip install 'smoothing-radii[ray]')")
    assert said in refused(called, "--ray", address)
