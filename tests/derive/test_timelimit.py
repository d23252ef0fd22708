"""Time limits: hopeless work stops, nothing rings afterwards, and nothing stays half-done in SymPy."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import mpmath
import pytest
import sympy as sp
from sympy.core.parameters import evaluate

from derive import timelimit
from derive.timelimit import limited

X = sp.Symbol("x", positive=True)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGPROF)
    yield
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGPROF) is handler
    assert not timelimit._running


def spin(seconds: float) -> str:
    end = time.process_time() + seconds
    while time.process_time() < end:
        try:
            sum(range(100))
        except Exception:  # noqa: BLE001  (as SymPy does)
            return "swallowed"
    return "done"


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return action(), time.process_time() - start


def test_a_result_in_time_is_the_result() -> None:
    assert limited(sp.diff, X**3, X, seconds=10) == 3 * X**2
    assert limited(spin, 0.0, seconds=10, default="late") == "done"


def test_waiting_costs_no_time() -> None:
    assert limited(time.sleep, 0.3, seconds=0.1, default="late") is None  # what sleep gives back


def test_an_error_of_the_function_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        limited(lambda: 1 // 0, seconds=10)


def test_time_out_gives_the_default() -> None:
    value, took = timed(lambda: limited(spin, 30.0, seconds=0.1, default="late"))
    assert value == "late" and took < 10
    assert limited(spin, 30.0, seconds=0.05) is None


def test_a_hopeless_integral_stops() -> None:
    k = sp.Symbol("k", positive=True)
    hopeless = sp.exp(-(X**k) * (1 + X) ** k - sp.sqrt(1 + X**3)) * sp.log(1 + sp.cosh(X) ** k) / (1 + X**k)
    value, took = timed(
        lambda: limited(sp.integrate, hopeless, (X, 0, sp.oo), seconds=0.3, default="unknown")
    )
    assert value == "unknown" and took < 30
    assert sp.integrate(sp.exp(-X), (X, 0, sp.oo)) == 1


def test_the_outer_deadline_holds_inside() -> None:
    def outer() -> str:
        limited(spin, 30.0, seconds=60.0, default="inner")
        return "outer went on"

    value, took = timed(lambda: limited(outer, seconds=0.1, default="late"))
    assert value == "late" and took < 10


def test_the_inner_deadline_does_not_end_the_outer_call() -> None:
    def outer() -> list[str]:
        return [limited(spin, 30.0, seconds=0.05, default="late"), spin(0.05)]

    assert limited(outer, seconds=60) == ["late", "done"]


def test_an_outer_deadline_after_an_inner_one_still_comes() -> None:
    def outer() -> str:
        assert limited(spin, 30.0, seconds=0.05, default="late") == "late"
        return spin(30)

    value, took = timed(lambda: limited(outer, seconds=0.3, default="outer"))
    assert value == "outer" and took < 10


def test_another_thread_runs_without_a_limit() -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(limited(spin, 0.1, seconds=0.01, default="late")))
    thread.start()
    thread.join()
    assert found == ["done"]


def test_somebody_elses_alarm_comes_back() -> None:
    heard: list[int] = []
    previous = signal.signal(signal.SIGPROF, lambda number, frame: heard.append(number))
    try:
        signal.setitimer(signal.ITIMER_PROF, 0.3)
        assert limited(spin, 30.0, seconds=0.05, default="late") == "late"
        assert 0 < signal.getitimer(signal.ITIMER_PROF)[0] < 0.3 and not heard
        spin(0.5)
        assert heard == [signal.SIGPROF]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def test_no_alarm_escapes_where_work_and_deadline_end_together() -> None:
    outcomes = set()
    for step in range(60):  # the clock of the alarm ticks every few milliseconds

        def inner(seconds: float = 0.008 + 1e-4 * (step % 50)) -> str:
            return limited(spin, 0.012, seconds=seconds, default="late")

        outcomes.add(limited(inner, seconds=0.007 + 2e-4 * (step % 41), default="outer late"))
        assert not timelimit._running and signal.getitimer(signal.ITIMER_PROF)[0] == 0
    spin(0.05)
    assert outcomes <= {"done", "late", "outer late"} and len(outcomes) >= 2


@pytest.mark.parametrize("kind", ["plain", "nested", "raising"])
def test_an_alarm_at_any_single_instruction_is_caught(kind: str) -> None:
    """The handler runs at the n-th instruction of `limited` and its helpers, for every n, as a signal could."""
    code = {f.__code__ for f in (limited, timelimit._start, timelimit._stop, timelimit._set_timer)}

    def work() -> str:
        if kind == "raising":
            raise ArithmeticError
        return limited(str.upper, "done", seconds=50.0, default="late") if kind == "nested" else "DONE"

    def run(at: int) -> tuple[str, bool]:
        seen = 0

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal seen
            if frame.f_code not in code:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                seen += 1
                if seen >= at:
                    for call in timelimit._running[:1]:
                        call.deadline = 0.0
                    sys.settrace(None)
                    frame.f_trace = None
                    timelimit._alarm(signal.SIGPROF, frame)
            return trace

        previous = sys.gettrace()
        sys.settrace(trace)
        try:
            result = limited(work, seconds=100.0, default="late")
        except ArithmeticError:
            result = "raised"
        finally:
            sys.settrace(previous)
        assert not timelimit._running and signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
        return result, seen >= at

    outcomes = []
    for at in range(1, 5000):
        result, reached = run(at)
        outcomes.append(result)
        if not reached:
            break
    assert not reached and len(outcomes) > 50
    assert result == ("raised" if kind == "raising" else "DONE") and set(outcomes) == {result, "late"}


def test_an_alarm_for_a_call_that_is_gone_is_not_raised() -> None:
    def gone() -> timelimit._Call:
        return timelimit._Call(1e-9, sys._getframe())

    timelimit._running.append(gone())
    try:
        timelimit._alarm(signal.SIGPROF, sys._getframe())
    finally:
        timelimit._running.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)


def test_an_exception_swallowed_by_a_callback_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timelimit, "_REPEAT", 0.05)
    swallowed = []

    def stubborn() -> str:
        try:
            return spin(30)
        except BaseException:  # noqa: BLE001  (a callback that cannot let an exception through)
            swallowed.append(1)
        return spin(30)

    value, took = timed(lambda: limited(stubborn, seconds=0.05, default="late"))
    assert (value, swallowed) == ("late", [1]) and took < 10


def test_what_swallowed_the_alarm_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finaliser cannot raise, nor can a hook of the garbage collector: Python prints the exception and goes on."""

    class Hooked:
        def __del__(self) -> None:
            spin(0.05)

    def work() -> str:
        Hooked()
        return "cut short"

    printed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    assert limited(work, seconds=0.01, default="unknown") == "unknown"
    assert len(printed) == 1


def test_global_switches_and_precision_are_restored() -> None:
    precision = mpmath.mp.prec

    def switched() -> None:
        evaluate(False).__enter__()
        mpmath.mp.prec = 999
        spin(30)

    limited(switched, seconds=0.05)
    assert mpmath.mp.prec == precision
    assert 2 * X + X == 3 * X


class Unsure(sp.Function):  # type: ignore[misc]
    """A function that knows that it is positive."""

    def _eval_is_positive(self) -> bool:
        return True


def test_a_stopped_question_is_not_answered_unknown_for_ever() -> None:
    kept = Unsure(X)
    kept._assumptions = kept._assumptions.copy()
    kept._assumptions._tell(
        "positive", None
    )  # what a stopped step leaves: undecided, on the expression itself
    kept._assumptions._tell("commutative", True)
    assert kept.is_positive is None
    limited(spin, 30.0, seconds=0.05)
    assert kept.is_positive is True
    assert kept._assumptions["commutative"] is True


def test_tables_that_were_being_filled_are_emptied() -> None:
    from sympy.integrals import manualintegrate, meijerint

    integrand = X**2 * sp.exp(-X)

    def half_done() -> None:
        meijerint._lookup_table = {"half": "done"}
        manualintegrate._integral_cache[X * sp.exp(-X)] = None  # "busy with it"
        spin(30)

    limited(half_done, seconds=0.05)
    assert not meijerint._lookup_table and not manualintegrate._integral_cache
    assert meijerint.meijerint_definite(integrand, X, 0, sp.oo)[0] == 2


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_limit_must_be_positive(seconds: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        limited(spin, 0.0, seconds=seconds)
