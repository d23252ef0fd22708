"""Time limits on symbolic steps: an answer in time, or "unknown".

SymPy may take minutes over an integral or a simplification that it cannot do. `limited` stops it by an alarm and gives back a
default that means "unknown". A stopped step leaves nothing behind that would change a later one: see `_forget`.
"""

from __future__ import annotations

import gc
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import mpmath
import sympy as sp
from sympy.core.cache import clear_cache
from sympy.core.parameters import global_parameters

T = TypeVar("T")
D = TypeVar("D")

_REPEAT = 1.0  # seconds (of processor time, as all here) after which an alarm comes again, in case a callback from C swallowed its exception
_TABLES = {  # tables that SymPy fills in place, or where it notes what it is busy with; an empty one is filled again
    "sympy.integrals.meijerint": ("_lookup_table",),
    "sympy.integrals.manualintegrate": ("_integral_cache", "_special_function_patterns", "_wilds"),
}
_POSTPONE = 0.02  # seconds to wait while a module is being imported, which must not be cut in half


class _Expired(BaseException):
    """The time of one call is over. Not an Exception: SymPy's own `except Exception` must not swallow it."""

    def __init__(self, call: _Call) -> None:
        super().__init__("time limit")
        self.call = call


class _Call:
    """One running `limited`: its deadline, and the Python frame that will catch the exception."""

    def __init__(self, seconds: float, owner: FrameType) -> None:
        self.deadline = time.process_time() + seconds
        self.owner: FrameType | None = owner  # None once nothing may be raised for this call any more
        self.raised = False


_running: list[_Call] = []  # outermost first
_foreign: tuple[Any, float, float, float] | None = (
    None  # handler, delay, interval and start of an alarm that is not ours
)


def limited(function: Callable[..., T], *args: Any, seconds: float, default: D = None) -> T | D:  # type: ignore[assignment]
    """function(*args), or `default` where that takes more than `seconds` of processor time.

    Processor time, so that what is found in time does not depend on what else the machine is doing; on an idle machine it is the time
    on the clock. It is that of the whole process, other threads included. A call inside another `limited` never outlives the outer
    one, whose time-out passes through it. What the function raises is raised. The result of a function that ends just at its deadline
    may be lost: `default` must mean "unknown".

    The alarm is a signal, which Python delivers to the main thread, between two bytecodes. So a function that runs in another
    thread, or where there are no interval timers (Windows), runs without a limit; and a single call into C, such as a power of a huge
    integer, ends before the alarm is heard: sizes need limits of their own. An alarm that somebody else had set with
    signal.setitimer(ITIMER_PROF) is put back on the way out, with the time it had left.

    ValueError where `seconds` is not positive.
    """
    if not seconds > 0:
        raise ValueError(f"a time limit must be positive, not {seconds}")
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return function(*args)
    depth = len(_running)
    state = global_parameters.evaluate, global_parameters.distribute, mpmath.mp.prec
    call = _Call(seconds, sys._getframe())
    try:
        try:
            _start(call)
            result = function(*args)
        finally:
            call.owner = (
                None  # from here on no alarm is raised for this call; one just before is caught below
            )
        if (
            call.raised
        ):  # and swallowed on its way: by a hook of the garbage collector, or by code that it cut short
            raise _Expired(call)
        return result
    except _Expired as expired:
        if expired.call is not call:
            raise
        call.owner = None
        global_parameters.evaluate, global_parameters.distribute, mpmath.mp.prec = state
        _forget()
        return default
    finally:
        _stop(depth)


def _start(call: _Call) -> None:
    global _foreign
    if not _running:
        delay, interval = signal.getitimer(signal.ITIMER_PROF)
        _foreign = (signal.getsignal(signal.SIGPROF), delay, interval, time.process_time())
        signal.signal(signal.SIGPROF, _alarm)
    _running.append(call)
    _set_timer()


def _stop(depth: int) -> None:
    """Ends every call beyond the outer `depth` ones, and the timer with the last of them. Calling it twice is harmless."""
    global _foreign
    del _running[depth:]
    if _running:
        _set_timer()
    elif _foreign is not None:
        handler, delay, interval, start = _foreign
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler if handler is not None else signal.SIG_DFL)
        if delay > 0:
            left = delay - (time.process_time() - start)
            signal.setitimer(signal.ITIMER_PROF, max(left, 1e-6), interval)
        _foreign = None


def _set_timer(at_least: float = 1e-6) -> None:
    earliest = min((c.deadline for c in _running if c.owner is not None), default=math.inf)
    if earliest < math.inf:
        signal.setitimer(signal.ITIMER_PROF, max(earliest - time.process_time(), at_least))


def _alarm(number: int, frame: FrameType | None) -> None:
    """Raises for the outermost call whose time is over, provided that its frame is there to catch the exception."""
    del number
    now = time.process_time()
    if all(now < c.deadline for c in _running if c.owner is not None):
        _set_timer()
        return
    stack = set()
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            _set_timer(_POSTPONE)
            return
        stack.add(frame)
        frame = frame.f_back
    for call in _running:
        if call.owner is None or call.owner not in stack:
            return  # this call is ending, and takes those inside it with it
        if now >= call.deadline:
            signal.setitimer(signal.ITIMER_PROF, _REPEAT)
            call.raised = True
            raise _Expired(call)


def _forget() -> None:
    """Drops what a stopped step may have left half-done in SymPy: cached results, facts noted as undecided, half-filled tables.

    SymPy notes a fact as undecided (None) on the expression itself; such a note made within the stopped step may rest on others that
    were cut short, and would stay. Known facts stay: each was proved.
    """
    clear_cache()
    for thing in gc.get_objects():
        kind = type(thing)
        if issubclass(kind, sp.Basic) and kind is not sp.Symbol:
            facts = getattr(thing, "_assumptions", None)
            if facts and facts is not getattr(kind, "default_assumptions", None):
                for fact in [f for f, known in facts.items() if known is None]:
                    del facts[fact]
    for module, tables in _TABLES.items():
        for name in tables:
            table = getattr(sys.modules.get(module), name, None)
            if isinstance(table, (dict, list)):
                table.clear()
