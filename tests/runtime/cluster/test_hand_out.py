"""Hand-out: every stretch is counted once, the least busy worker gets it, and losses change nothing but time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
import torch

from runtime.cluster.hand_out import GROUPS, TRIES, ClusterCounter
from runtime.cluster.messages import Greeting, Group, WorkerLost
from runtime.driver import InputLost
from runtime.rng import Stretch
from runtime.sampling import Votes
from tests.runtime.cluster.fakes import FakeSlot, made_up

X = torch.arange(24.0).view(6, 4)


def counter_of(slots: list[FakeSlot], **given: Any) -> ClusterCounter:
    lines: list[str] = []
    settings = {"group": 256, "chunk": 128, "warn": lines.append, "pause": 0.0, "patience": 10.0, **given}
    return ClusterCounter(slots, "shipment", lambda index: X[index], **settings)


def stretches(number: int = 60) -> list[Stretch]:
    return [Stretch(1, i % 6, "estimation", 64 * (i // 6), 64 * (i // 6) + 64) for i in range(number)]


def found(counter: ClusterCounter, wanted: list[Stretch]) -> list[Votes]:
    futures = [counter.submit(stretch) for stretch in wanted]
    return [future.result(timeout=30)[0] for future in futures]


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_stretch_is_counted_once_whatever_the_number_of_workers(workers: int) -> None:
    slots = [FakeSlot() for _ in range(workers)]
    with counter_of(slots) as counter:
        assert found(counter, stretches()) == [made_up(stretch) for stretch in stretches()]
    handed = [stretch for slot in slots for group in slot.groups for stretch in group.stretches]
    assert sorted(handed, key=str) == sorted(stretches(), key=str)
    assert all(slot.most_at_once <= GROUPS for slot in slots)


def test_small_stretches_travel_together_with_each_input_once() -> None:
    gate = threading.Event()

    def count(stretch: Stretch) -> Votes:
        gate.wait(10)
        return made_up(stretch)

    slot = FakeSlot(count)
    with counter_of([slot]) as counter:
        futures = [counter.submit(stretch) for stretch in stretches(18)]
        gate.set()
        for future in futures:
            future.result(timeout=10)
    assert [len(group.stretches) for group in slot.groups] == [1, 1, 4, 4, 4, 4]
    for group in slot.groups:
        assert sorted(group.inputs) == sorted({stretch.index for stretch in group.stretches})
        assert all((group.inputs[index] == X[index].numpy()).all() for index in group.inputs)


def test_the_least_busy_worker_gets_the_next_stretch() -> None:
    gate = threading.Event()

    def slow(stretch: Stretch) -> Votes:
        gate.wait(10)
        return made_up(stretch)

    slots = [FakeSlot(slow), FakeSlot()]
    with counter_of(slots, group=64) as counter:
        futures = [counter.submit(stretch) for stretch in stretches()]
        for future in futures[4:]:
            if future.done():
                future.result()
        threading.Event().wait(0.3)
        gate.set()
        for future in futures:
            future.result(timeout=10)
    assert len(slots[0].groups) == GROUPS and len(slots[1].groups) == 60 - GROUPS


@pytest.mark.parametrize("seed", range(5))
def test_losses_at_random_change_no_votes(seed: int) -> None:
    chance = random.Random(seed)
    lines: list[str] = []

    everything_waits = threading.Event()

    def dies(group: Group, worker: int) -> bool:
        everything_waits.wait(10)
        return len(group.stretches) > 1 and worker < 8 and chance.random() < 0.5

    slots = [FakeSlot(dies=dies) for _ in range(3)]
    with counter_of(slots, warn=lines.append) as counter:
        futures = [counter.submit(stretch) for stretch in stretches(300)]
        everything_waits.set()
        votes = [future.result(timeout=30)[0] for future in futures]
        assert votes == [made_up(stretch) for stretch in stretches(300)]
    losses = sum(slot.workers - 1 for slot in slots)
    assert losses > 3 and any("counted again" in line for line in lines)


def poisonous(index: int) -> Callable[[Group, int], bool]:
    return lambda group, worker: any(stretch.index == index for stretch in group.stretches)


def test_a_stretch_that_kills_its_worker_each_time_is_given_up_and_no_other() -> None:
    slots = [FakeSlot(dies=poisonous(4)) for _ in range(2)]
    wanted = stretches(12)
    with counter_of(slots) as counter:
        futures = [counter.submit(stretch) for stretch in wanted]
        for stretch, future in zip(wanted, futures, strict=True):
            if stretch.index == 4:
                with pytest.raises(InputLost, match=f"counted alone, lost their worker {TRIES} times"):
                    future.result(timeout=30)
            else:
                assert future.result(timeout=30)[0] == made_up(stretch)
    handed = [group for slot in slots for group in slot.groups if len(group.stretches) == 1]
    alone = [group for group in handed if group.stretches[0] == wanted[4]]
    assert TRIES <= len(alone) <= TRIES + 1


def test_a_fault_that_a_worker_reports_is_raised_as_what_it_is() -> None:
    def count(stretch: Stretch) -> Votes:
        if stretch.index == 2:
            raise ValueError("input 2 is off the grid")
        return made_up(stretch)

    with counter_of([FakeSlot(count)]) as counter:
        futures = [counter.submit(stretch) for stretch in stretches(6)]
        with pytest.raises(ValueError, match="off the grid"):
            futures[2].result(timeout=10)
        assert futures[3].result(timeout=10)[0] == made_up(stretches()[3])


def test_workers_of_two_kinds_are_refused() -> None:
    slots = [FakeSlot(kind=lambda worker: "NVIDIA H200"), FakeSlot(kind=lambda worker: "NVIDIA A100")]
    with pytest.raises(ValueError, match=r"device is NVIDIA A100, others have NVIDIA H200.*one kind"):
        counter_of(slots)


def test_a_worker_that_cannot_count_is_refused_with_its_reason() -> None:
    with pytest.raises(ValueError, match=r"worker on machine, number 0 cannot count: model a:b: no module"):
        counter_of([FakeSlot(), FakeSlot(fault=lambda worker: "model a:b: no module")])


def test_a_later_worker_of_another_kind_is_left_out_and_the_rest_go_on() -> None:
    lines: list[str] = []
    killed = threading.Event()

    def dies(group: Group, worker: int) -> bool:
        first = not killed.is_set()
        killed.set()
        return first

    slots = [FakeSlot(dies=dies, kind=lambda worker: ["one", "two"][worker]), FakeSlot()]
    with counter_of(slots, warn=lines.append) as counter:
        assert found(counter, stretches()) == [made_up(stretch) for stretch in stretches()]
    assert any("given up: its device is two" in line for line in lines)


def test_when_no_worker_is_left_what_waits_fails_with_advice() -> None:
    slot = FakeSlot(dies=lambda group, worker: True, fault=lambda worker: None if worker < 2 else "no memory")
    with counter_of([slot]) as counter:
        futures = [counter.submit(stretch) for stretch in stretches(8)]
        for future in futures:
            with pytest.raises(
                ValueError, match="no worker is left .no memory.; mend the cluster, then resume"
            ):
                future.result(timeout=10)
        with pytest.raises(ValueError, match="no worker is left"):
            counter.submit(stretches()[0]).result(timeout=10)


def test_closing_cancels_what_waits() -> None:
    gate = threading.Event()

    def count(stretch: Stretch) -> Votes:
        gate.wait(10)
        return made_up(stretch)

    with counter_of([FakeSlot(count)]) as counter:
        futures = [counter.submit(stretch) for stretch in stretches(12)]
    gate.set()
    assert futures[0].result(timeout=10)[0] == made_up(stretches()[0])
    assert futures[-1].cancelled()


def test_a_worker_that_is_slow_to_come_back_is_waited_for() -> None:
    class Slow(FakeSlot):
        attempts = 0

        def begin(self, shipment: Any) -> Future[Greeting]:
            self.attempts += 1
            if self.workers == 1 and self.attempts < 30:
                failed: Future[Greeting] = Future()
                failed.set_exception(WorkerLost("restarting"))
                return failed
            return super().begin(shipment)

    slot = Slow(dies=lambda group, worker: worker == 0)
    with counter_of([slot], pause=0.001) as counter:
        assert found(counter, stretches(9)) == [made_up(stretch) for stretch in stretches(9)]
    assert slot.attempts == 30


def test_a_worker_that_never_comes_back_is_given_up() -> None:
    class Gone(FakeSlot):
        def begin(self, shipment: Any) -> Future[Greeting]:
            if self.workers == 0:
                return super().begin(shipment)
            raise WorkerLost("no node")

    with counter_of([Gone(dies=lambda group, worker: True)], pause=0.01, patience=0.2) as counter:
        with pytest.raises(ValueError, match=r"no worker came in 0.2 s .no node.*then resume"):
            counter.submit(stretches(1)[0]).result(timeout=10)
