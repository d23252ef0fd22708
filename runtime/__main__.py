"""python -m runtime: the commands of `runtime.cli`, interruptible from the first import on."""

from __future__ import annotations

import os
import signal
import sys


def _stop(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


def main(arguments: list[str] | None = None) -> int:
    """As `runtime.cli.main`, which is loaded here."""
    from runtime.cli import main as command

    return command(arguments)


if __name__ == "__main__":
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _stop)
    import runtime.cli

    signal.signal(signal.SIGINT, usual)
    sys.exit(runtime.cli.main())
