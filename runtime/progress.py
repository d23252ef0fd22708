"""The progress bar of a job: inputs done, rate, time left."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm


class Progress:
    """A bar on stderr; on a terminal it redraws, elsewhere it prints a line every ten seconds.

    Args:
        total: number of inputs over all runs.
        done: how many of them were finished before; they count as done, not towards the rate.
        quiet: show nothing at all.
    """

    def __init__(self, total: int, done: int = 0, quiet: bool = False) -> None:
        terminal = self._terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=done,
            unit="input",
            disable=quiet,
            dynamic_ncols=terminal,
            mininterval=0.2 if terminal else 10.0,
            delay=0.0 if terminal else 5.0,
            smoothing=0.1,
        )

    def say(self, line: str) -> None:
        """Prints a line on stdout, clear of the bar."""
        if self._bar.disable:
            return
        if self._terminal:
            tqdm.write(line, file=sys.stdout)
        else:
            print(line, flush=True)

    def advance(self, run: str) -> None:
        """One input of `run` is done."""
        self._bar.set_description(run, refresh=False)
        self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._bar.leave = False
        self._bar.close()
