"""The files a density owns, as text: computed first, then compared or written, each by one atomic rename."""

from __future__ import annotations

import difflib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from derive.emit import module_text, registry_text
from derive.engine import derive_family
from derive.evidence import evidence, load_draft
from derive.pages.brackets import RECORD as BRACKETS
from derive.pages.brackets import read_brackets
from derive.pages.explain import index_page, page
from derive.pages.gallery import comparison_text, family_gallery, gallery_orphans, shared_gallery
from derive.spec import Spec, SpecError, known_specs
from derive.tables.equal import equal_densities
from derive.tables.shipped import cdf_faults, shipped_tables, table_faults

HAND_WRITTEN = frozenset({"__init__.py"})


@dataclass(frozen=True)
class Workspace:
    """A checkout of this project: derive/specs, generated and docs/derivation under one root."""

    root: Path

    @property
    def specs(self) -> Path:
        return self.root / "derive" / "specs"

    @property
    def tables(self) -> Path:
        return self.root / "generated" / "tables"

    @property
    def pages(self) -> Path:
        return self.root / "docs" / "derivation"

    def shared_files(self, known: Mapping[str, Spec], fresh: Mapping[Path, str]) -> dict[Path, str]:
        """Files that depend on the set of densities; records of densities come from `fresh` files, else from the disk."""
        ordered = sorted(known)
        files = {self.root / "generated" / "registry.py": registry_text(ordered)}
        if (self.root / "docs").is_dir():
            files[self.pages / "README.md"] = index_page(
                [known[n] for n in ordered], comparison_text(self.pages)
            )
            files |= shared_gallery(self.pages, ordered, fresh)
        return files

    def family_files(self, spec: Spec) -> dict[Path, str]:
        """Files that one density owns, its spec included."""
        family = derive_family(spec)
        tables = shipped_tables(self.tables, spec)
        equals = equal_densities(self.tables, family, known_specs(self.specs))
        module = load_draft(spec.name, module_text(family, ["pending"], tables, equals))
        checked = evidence(family, module)
        files = {
            self.specs / f"{spec.name}.toml": spec.to_toml(),
            self.root / "generated" / f"{spec.name}.py": module_text(family, checked.lines, tables, equals),
        }
        if (self.root / "docs").is_dir():
            files[self.pages / f"{spec.name}.md"] = page(family, read_brackets(self.pages / BRACKETS))
            files |= family_gallery(self.pages, family, module, checked.assurance, self._gaussian(spec))
        return files

    def _gaussian(self, spec: Spec) -> ModuleType | None:
        """What pictures compare with; None for itself and in a checkout without it."""
        path = self.root / "generated" / "gaussian.py"
        return (
            load_draft("gaussian", path.read_text("utf-8"))
            if spec.name != "gaussian" and path.exists()
            else None
        )

    def expected(self, names: Iterable[str] = ()) -> dict[Path, str]:
        """Every generated file of the named densities (all by default), as it should be."""
        known = known_specs(self.specs)
        wanted = list(names) or list(known)
        unknown = [n for n in wanted if n not in known]
        if unknown:
            raise SpecError(f"unknown density {unknown[0][:60]!r}; known: {', '.join(known) or 'none'}")
        files: dict[Path, str] = {}
        for part in self._derived([known[name] for name in wanted]):
            files |= part
        return files | self.shared_files(known, files)

    def _derived(self, specs: Sequence[Spec]) -> Iterable[dict[Path, str]]:
        """The files of each density, on as many processes as there are cores."""
        workers = min(len(specs), os.cpu_count() or 1, 8)
        if workers < 2:
            return [self.family_files(spec) for spec in specs]
        # an interrupt leaves semaphores to the tracker, which should remove them without a word
        os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
        with ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread
        ) as pool:
            return list(pool.map(self.family_files, specs))

    def orphans(self, fresh: Mapping[Path, str]) -> list[Path]:
        """Generated files whose density is gone."""
        known = set(known_specs(self.specs))
        modules = (self.root / "generated").glob("*.py")
        kept = HAND_WRITTEN | {"registry.py"}
        found = [f for f in modules if f.name not in kept and f.stem not in known]
        pages = self.pages.glob("*.md")
        found += [f for f in pages if f.name not in ("README.md", "coverage.md") and f.stem not in known]
        if self.pages.is_dir():
            found += gallery_orphans(self.pages, known, fresh)
        return sorted(found)

    def table_faults(self) -> list[str]:
        """What is wrong with the shipped tables, by their hashes alone; `regenerate` keeps them as they are."""
        known = known_specs(self.specs)
        return table_faults(self.tables, known) + cdf_faults(self.root / "generated" / "cdf", known)

    def differences(self, files: Mapping[Path, str], limit: int = 40) -> list[str]:
        """Lines that show where the files on disk differ from what they should be; empty when they agree."""
        report: list[str] = []
        for path, text in files.items():
            name = str(path.relative_to(self.root))
            if not path.exists():
                report.append(f"missing: {name}")
                continue
            found = path.read_bytes()
            if found != text.encode():
                lines = difflib.unified_diff(
                    found.decode("utf-8", "replace").splitlines(),
                    text.splitlines(),
                    name,
                    f"{name} (regenerated)",
                    lineterm="",
                    n=1,
                )
                shown = list(lines)
                report += shown[:limit] or [f"{name}: same lines, other bytes"]
                if len(shown) > limit:
                    report.append(f"… {len(shown) - limit} more lines of difference in {name}")
        return report


def _one_thread() -> None:
    """A process per core needs no threads beside it; an interrupt is its parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def check_folder(folder: Path) -> None:
    """Makes a folder where there is none; OSError, in words, where no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"cannot write into {folder}: {error.strerror}; choose another folder") from None


def write_all(files: Mapping[Path, str]) -> None:
    """Writes every file whole: all texts first reach temporary files beside their targets, then each is renamed.

    An interrupt waits until that is done.
    """
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
    try:
        _write_all(files)
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _write_all(files: Mapping[Path, str]) -> None:
    pending: list[tuple[str, Path]] = []
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            pending.append((temporary, path))
            with os.fdopen(handle, "wb") as stream:
                stream.write(text.encode())
            os.chmod(temporary, 0o644)
        for temporary, path in pending:
            os.replace(temporary, path)
    finally:
        for temporary, _ in pending:
            if os.path.exists(temporary):
                os.unlink(temporary)
