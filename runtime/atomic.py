"""Files that are either whole or absent: written beside their place, flushed to disk, then moved into it."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `path` so that no reader ever sees a part of it, even after a power cut.

    Args:
        path: target; its folder must exist. An existing file is replaced.
        content: the whole file.

    Raises:
        OSError: the disk is full or the folder cannot be written; the target is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise OSError(
                f"{path} cannot be written ({error.strerror}): the disk is full; what was recorded before is safe: free "
                "some space, then run the same command again"
            ) from error
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flushes the entries of a folder to disk, so that files made in it are found after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
