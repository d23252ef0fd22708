"""`python -m derive`: the commands of derive.cli. An interrupt ends the process with one line and exit code 130."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Ends the process at once, during imports too: an interrupt cannot unwind through ball arithmetic's callbacks.

    Files are written whole while interrupts wait (workspace.write_all), so none is left half-written.
    """
    if "multiprocessing" in sys.modules:
        for worker in sys.modules["multiprocessing"].active_children():
            worker.kill()
    os.write(2, b"interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _interrupted)

    from derive.cli import main

    main()
