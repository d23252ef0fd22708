"""The files a density owns, as text: computed first, then compared or written, each by one atomic rename."""

from __future__ import annotations

import difflib
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from derive.emit import module_text, registry_text
from derive.engine import derive_family
from derive.evidence import evidence
from derive.explain import index_page, page
from derive.spec import Spec, SpecError, known_specs

HAND_WRITTEN = frozenset({"__init__.py"})


@dataclass(frozen=True)
class Workspace:
    """A checkout of this project: derive/specs, generated and docs/derivation under one root."""

    root: Path

    @property
    def specs(self) -> Path:
        return self.root / "derive" / "specs"

    def shared_files(self, known: Mapping[str, Spec]) -> dict[Path, str]:
        """Files that depend on the set of densities."""
        ordered = sorted(known)
        files = {self.root / "generated" / "registry.py": registry_text(ordered)}
        if (self.root / "docs").is_dir():
            files[self.root / "docs" / "derivation" / "README.md"] = index_page([known[n] for n in ordered])
        return files

    def family_files(self, spec: Spec) -> dict[Path, str]:
        """Files that one density owns, its spec included."""
        family = derive_family(spec)
        draft = module_text(family, ["pending"])
        files = {
            self.specs / f"{spec.name}.toml": spec.to_toml(),
            self.root / "generated" / f"{spec.name}.py": module_text(family, evidence(family, draft)),
        }
        if (self.root / "docs").is_dir():
            files[self.root / "docs" / "derivation" / f"{spec.name}.md"] = page(family)
        return files

    def expected(self, names: Iterable[str] = ()) -> dict[Path, str]:
        """Every generated file of the named densities (all by default), as it should be."""
        known = known_specs(self.specs)
        wanted = list(names) or list(known)
        unknown = [n for n in wanted if n not in known]
        if unknown:
            raise SpecError(f"unknown density {unknown[0][:60]!r}; known: {', '.join(known) or 'none'}")
        files: dict[Path, str] = {}
        for name in wanted:
            files |= self.family_files(known[name])
        return files | self.shared_files(known)

    def orphans(self) -> list[Path]:
        """Generated files whose density is gone."""
        known = set(known_specs(self.specs))
        modules = (self.root / "generated").glob("*.py")
        pages = (self.root / "docs" / "derivation").glob("*.md")
        kept = HAND_WRITTEN | {"registry.py"}
        found = [f for f in modules if f.name not in kept and f.stem not in known]
        return sorted(
            found + [f for f in pages if f.name not in ("README.md", "coverage.md") and f.stem not in known]
        )

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
