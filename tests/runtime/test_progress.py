"""The progress bar shows rate and time left, and says nothing when told to be quiet."""

from __future__ import annotations

import pytest

from runtime.progress import Progress


def test_the_bar_shows_what_is_done_with_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(4, done=1) as progress:
        progress._bar.delay = 0
        progress._bar.mininterval = 0
        progress._bar.miniters = 1
        progress.say("trained uniform-0.5")
        progress.advance("uniform-0.5")
    captured = capsys.readouterr()
    assert captured.out == "trained uniform-0.5\n"
    assert "uniform-0.5" in captured.err and "2/4" in captured.err
    assert "input/s" in captured.err or "s/input" in captured.err


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(2, quiet=True) as progress:
        progress.say("trained")
        progress.advance("uniform-0.5")
    assert capsys.readouterr() == ("", "")
