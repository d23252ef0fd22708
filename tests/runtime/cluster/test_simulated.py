"""The driver beside workers that answer at once, late, or not at all: what it records, and how much it holds."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest
import torch

from runtime.cluster.hand_out import ClusterCounter
from runtime.cluster.messages import Group
from runtime.driver import Driver, InputLost
from runtime.rng import Stretch
from runtime.sampling import Votes
from runtime.store import RunStore, load_runs
from tests.benchmarks.kills import recorded
from tests.benchmarks.simulated import Instant, driven, plan_of, votes_of
from tests.runtime.cluster.fakes import FakeSlot


@pytest.mark.parametrize("sequential", [False, True])
def test_simulated_workers_give_the_counts_of_a_counter_that_knows_them(
    tmp_path: Path, sequential: bool
) -> None:
    given = {"n": 2000, "chunk": 512, "sequential": sequential}
    alone = driven(tmp_path / "alone", 30, **given)  # type: ignore[arg-type]
    many = driven(tmp_path / "many", 30, workers=20, speed=1e6, **given)  # type: ignore[arg-type]
    assert (alone.inputs, alone.votes, alone.chunks) == (many.inputs, many.votes, many.chunks)
    assert recorded(tmp_path / "alone") == recorded(tmp_path / "many")


def test_a_lost_input_is_listed_and_the_others_are_finished_with_the_same_counts(tmp_path: Path) -> None:
    plan = plan_of(12, 1000, sequential=False)
    driven(tmp_path / "whole", 12, n=1000, chunk=256)
    deadly = {3, 8}

    def dies(group: Group, worker: int) -> bool:
        return any(stretch.index in deadly and stretch.purpose == "estimation" for stretch in group.stretches)

    slots = [FakeSlot(votes_of, dies) for _ in range(2)]
    done: list[str] = []
    with RunStore(tmp_path / "run", {"name": "simulated"}, [plan]) as store:
        with ClusterCounter(
            slots, None, lambda index: torch.zeros(2), group=512, chunk=256, warn=lambda line: None, pause=0.0
        ) as counter:
            driver = Driver(store, plan, counter, torch.zeros(12, dtype=torch.int64), 256)
            driver.count(range(12), done.append)
        assert set(driver.lost) == deadly and len(done) == 10
        assert all("estimation votes 0 to 255, counted alone" in why for why in driver.lost.values())
        rest = Driver(store, plan, Instant(10_000), torch.zeros(12, dtype=torch.int64), 256)
        assert store.finished(plan.name) == set(range(12)) - deadly
        assert len(load_runs(tmp_path / "run")[0].inputs) == 10
        rest.count(sorted(deadly), done.append)
    assert recorded(tmp_path / "run") == recorded(tmp_path / "whole")


class _Faulty(Instant):
    """Raises for one input's second chunk; leaves the first one open until then."""

    def __init__(self, error: Exception) -> None:
        super().__init__(100_000)
        self._error = error
        self._first: Future[tuple[Votes, float]] | None = None

    def submit(self, stretch: Stretch) -> Future[tuple[Votes, float]]:
        future: Future[tuple[Votes, float]] = Future()
        if stretch.index == 1 and stretch.purpose == "estimation" and stretch.start == 256:
            future.set_exception(self._error)
            return future
        return super().submit(stretch)


@pytest.mark.parametrize("error", [RuntimeError("device"), InputLost("gone")])
def test_after_a_fault_no_input_has_a_gap_and_the_rest_is_recorded(tmp_path: Path, error: Exception) -> None:
    plan = plan_of(6, 1000, sequential=False)
    driven(tmp_path / "whole", 6, n=1000, chunk=128)
    with RunStore(tmp_path / "run", {"name": "simulated"}, [plan]) as store:
        labels = torch.zeros(6, dtype=torch.int64)
        driver = Driver(store, plan, _Faulty(error), labels, 128)
        if isinstance(error, InputLost):
            driver.count(range(6), lambda run: None)
            assert driver.lost == {1: "gone"} and store.finished(plan.name) == {0, 2, 3, 4, 5}
        else:
            with pytest.raises(RuntimeError, match="device"):
                driver.count(range(6), lambda run: None)
        starts = [start for start, _ in store.chunks(plan.name, 1)["estimation"]]
        assert starts == [0, 128]
        Driver(store, plan, Instant(10_000), labels, 128).count(
            sorted(set(range(6)) - store.finished(plan.name)), lambda run: None
        )
    assert recorded(tmp_path / "run") == recorded(tmp_path / "whole")


def test_memory_does_not_grow_with_the_number_of_inputs(tmp_path: Path) -> None:
    found = driven(tmp_path, 3000, n=1000, chunk=1024)
    assert found.inputs == 3000 and found.peak - found.middle < 8.0  # MiB
