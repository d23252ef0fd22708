"""Published result files in a folder that the report reads: the files as they are, and what is known of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.atomic import flush_folder, write_atomically
from runtime.report.run import CertifiedRun
from runtime.report.tsv import read_run

MANIFEST = "imported.json"
FORMAT = "imported-logs-1"
_STATED = ("noise", "sigma", "adversary", "n0", "n", "alpha")
"""What a user may state of imported files, as fields of `CertifiedRun`."""


def is_imported(folder: Path) -> bool:
    """Whether a folder holds imported result files."""
    return (folder / MANIFEST).is_file()


def import_logs(logs: Sequence[Path], folder: Path, stated: Mapping[str, Any]) -> tuple[CertifiedRun, ...]:
    """Copies result files, byte for byte, into a new folder, with what is stated of them.

    Args:
        logs: tab-separated result files, at least one, each of another name.
        folder: folder to make; it must not exist, or be empty.
        stated: what the files do not say and holds for all of them: noise, sigma, adversary, n0, n, alpha.

    Returns:
        The runs, as the report will read them.

    Raises:
        ValueError: a file that is damaged or given twice, a folder in use, a statement that makes no sense.
        OSError: a file cannot be read or written. Nothing is then left behind.
    """
    if not logs:
        raise ValueError("at least one result file is needed, got none")
    known = {key: value for key, value in stated.items() if value is not None}
    if unknown := set(known) - set(_STATED):
        raise ValueError(
            f"only {', '.join(_STATED)} can be stated of a file, got {', '.join(sorted(unknown))}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists already; choose a new folder with --out")
    contents: dict[str, bytes] = {}
    entries = []
    for log in logs:
        if not log.is_file():
            raise ValueError(f"{log}: a result file is needed, nothing is there")
        name = log.name if log.name.endswith(".tsv") else f"{log.name}.tsv"
        if name in contents:
            raise ValueError(
                f"two result files are called {name}; give each file once, under a name of its own"
            )
        run = replace(read_run(log), **known)
        contents[name] = log.read_bytes()
        digest = hashlib.sha256(contents[name]).hexdigest()
        fields = {key: getattr(run, key) for key in ("name", *_STATED)}
        entries.append({"file": name, "sha256": digest, **fields})
    manifest = json.dumps({"format": FORMAT, "logs": entries}, indent=2) + "\n"
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        for name, content in contents.items():
            write_atomically(part / name, content)
        write_atomically(part / MANIFEST, manifest.encode())
        part.replace(folder)
        flush_folder(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return read_imported(folder)


def read_imported(folder: Path) -> tuple[CertifiedRun, ...]:
    """The runs of a folder of imported result files.

    Raises:
        ValueError: the folder is damaged, or one of its files changed since it was imported.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        entries = manifest["logs"]
        if manifest["format"] != FORMAT or not entries:
            raise ValueError("another format")
        runs = []
        for entry in entries:
            name = str(entry["file"])
            if Path(name).name != name:
                raise ValueError(f"{name!r} is no file name")
            log = folder / name
            if hashlib.sha256(log.read_bytes()).hexdigest() != entry["sha256"]:
                raise ValueError(f"{name} changed since it was imported")
            fields = {key: entry[key] for key in ("name", *_STATED)}
            runs.append(replace(read_run(log), **fields, source=str(folder)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read ({error}); import the result files again") from None
    return tuple(runs)
