"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.atomic import write_atomically


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    for content in (b"first", b"second, longer"):
        write_atomically(tmp_path / "page", content)
        assert (tmp_path / "page").read_bytes() == content
    assert os.listdir(tmp_path) == ["page"]


def test_others_may_read_it_as_the_mask_allows(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_atomically(tmp_path / "page", b"text")
    finally:
        os.umask(mask)
    assert (tmp_path / "page").stat().st_mode & 0o777 == 0o644


def test_a_failure_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomically(tmp_path / "page", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError,
        match=r"page cannot be written \(No space left on device\): the disk is full.*same command again",
    ):
        write_atomically(tmp_path / "page", b"new")
    assert (tmp_path / "page").read_bytes() == b"old" and os.listdir(tmp_path) == ["page"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write_atomically(tmp_path / "none" / "page", b"text")
