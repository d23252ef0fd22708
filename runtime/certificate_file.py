"""Certificate files: one certificate as JSON, with everything that its claim rests on, for an independent checker.

Numbers that matter are doubles in hexadecimal; beside them stand decimals that are never rounded up. The last entry, `digest`, is the
SHA-256 of the others as JSON with sorted keys and no blanks. The file does not hold the true class: a certificate does not need it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from generated import registry
from generated.special.lookup import table_file
from runtime.atomic import write_atomically
from runtime.certificate import selected_class
from runtime.data import load_dataset
from runtime.job import job_from
from runtime.noise import Noise, adversary_name
from runtime.procedure import Procedure, joined
from runtime.reader import (
    DATABASE,
    StoredInput,
    StoredRun,
    configuration,
    load_input,
    opened,
    result_of,
    stored_inputs,
    stored_runs,
)
from runtime.report.rounding import exact_below
from runtime.sampling import Votes
from runtime.store import DIGESTS

FORMAT, VERSION = "smoothing-radii certificate", 2


def certificate_file(
    folder: Path, index: int, adversary: str | float, out: Path, run: str | None = None
) -> dict[str, Any]:
    """Writes the certificate of one finished input against one norm, and returns what was written.

    Args:
        folder: run folder.
        index: index of the input.
        adversary: 1, 2 or inf.
        out: file to write; its folder must exist.
        run: name of the run; None where the folder holds one run only.

    Raises:
        ValueError: no such run, finished input or radius; a damaged store; a dataset that changed since.
    """
    name = adversary_name(adversary)
    chosen, stored = load_input(folder, run, index)
    with opened(folder) as database:
        given, code = _surroundings(database, folder)
    record = certificate_record(chosen, stored, name, given(stored.index), code)
    write_atomically(out, _text(record))
    return record


def certificate_files(folder: Path, out: Path) -> list[Path]:
    """Writes a certificate for every finished input of a folder that is certified, against every norm.

    Args:
        folder: run folder.
        out: folder to write to, made where it is missing; files are called RUN-INDEX-lNORM.json, and replaced.

    Returns:
        The files, in order; none for abstentions, nor for radii that are 0.

    Raises:
        ValueError: a damaged store; a dataset that changed since.
    """
    records: list[tuple[str, dict[str, Any]]] = []
    with opened(folder) as database:
        given, code = _surroundings(database, folder)
        for run in stored_runs(database):
            for stored in stored_inputs(database, run):
                for name, radius in result_of(run, stored).radii.items():
                    if radius > 0.0:
                        record = certificate_record(run, stored, name, given(stored.index), code)
                        records.append((f"{run.name}-{stored.index}-l{name}.json", record))
    out.mkdir(parents=True, exist_ok=True)
    for name, record in records:
        write_atomically(out / name, _text(record))
    return [out / name for name, _ in records]


def _text(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()


def certificate_record(
    run: StoredRun, stored: StoredInput, adversary: str, given: dict[str, Any], code: dict[str, Any]
) -> dict[str, Any]:
    """The entries of a certificate file; `given` describes the input, `code` what counted the votes.

    Raises:
        ValueError: the noise has no radius against this norm, or an infinite one.
    """
    result, noise, procedure = result_of(run, stored), run.noise, run.procedure.record()
    if adversary not in result.radii:
        raise ValueError(
            f"noise {noise.family} has no radius against l{adversary}; it has {', '.join(result.radii)}"
        )
    radius = result.radii[adversary]
    route = noise.route(result.p_lower, adversary) if radius > 0.0 else ""
    record: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "input": given,
        "selection": _votes(stored.stage.selection),
        "estimation": _votes(joined(stored.stage.estimation, stored.stage.selection)),
        "looks": _looks(run.procedure, stored),
        "procedure": procedure,
        "alpha": float(procedure["alpha"]).hex(),
        "familywise": None
        if run.family_alpha is None
        else {"alpha": run.family_alpha.hex(), "inputs": run.inputs},
        "noise": noise_record(noise),
        "adversary": adversary,
        "prediction": result.prediction,
        "p_lower": result.p_lower.hex(),
        "p_lower_decimal": exact_below(result.p_lower),
        "p_upper": None if result.p_upper is None else result.p_upper.hex(),
        "radius": radius.hex(),
        "radius_decimal": exact_below(radius),
        "route": route,
        "table": _table(noise, adversary, route),
        "run": {"name": run.name, "seed": run.seed},
        "network_sha256": run.network_sha256,
        "code": code,
    }
    return {**record, "digest": digest(record)}


def digest(record: dict[str, Any]) -> str:
    """SHA-256 of the entries other than the digest itself."""
    entries = {key: entry for key, entry in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def noise_record(noise: Noise) -> dict[str, Any]:
    """The noise as a density in words: text, geometry, support, and doubles in hexadecimal."""
    module: Any = registry.load(noise.family)
    support = next(
        line.partition(": ")[2] for line in str(module.__doc__).splitlines() if line.startswith("Support: ")
    )
    return {
        "family": noise.family,
        "density": module.DENSITY,
        "geometry": module.GEOMETRY,
        "support": "" if support == "all r > 0" else support,
        "spec_hash": module.SPEC_HASH,
        "parameters": {key: float(number).hex() for key, number in noise.params.items()},
        "dim": noise.dim,
        "scale": noise.scale.hex(),
        "sigma": noise.sigma.hex(),
    }


def _votes(votes: Votes) -> dict[str, Any]:
    return {"counts": list(votes.counts), "failed": votes.failed, "n": votes.n}


def _looks(procedure: Procedure, stored: StoredInput) -> list[list[int]]:
    """Votes so far, and those for the class selected, each time that the procedure looked."""
    selection, parts = stored.stage.selection, stored.stage.estimation
    chosen, seen, successes = selected_class(selection), 0, 0
    found, wanted = [], procedure.next_total(selection, ())
    for position, part in enumerate(parts):
        seen, successes = seen + part.n, successes + part.counts[chosen]
        if seen == wanted:
            found.append([seen, successes])
            wanted = procedure.next_total(selection, parts[: position + 1])
    return found


def _surroundings(
    database: sqlite3.Connection, folder: Path
) -> tuple[Callable[[int], dict[str, Any]], dict[str, Any]]:
    """What describes an input by its index, and the code that counted; the dataset is read once."""
    config = configuration(database, folder / DATABASE)
    code = json.loads(dict(database.execute("SELECT key, value FROM meta").fetchall())["code"])
    job = job_from({key: value for key, value in config.items() if key not in DIGESTS}, "the folder")
    dataset = load_dataset(job.dataset, job.resize, job.crop)
    if dataset.sha256 != config["dataset_sha256"]:
        raise ValueError("the dataset changed since the votes were counted; restore it")

    def given(index: int) -> dict[str, Any]:
        """The bytes of its float32 values [C, H, W] in C order, little-endian, as a digest."""
        pixels = np.ascontiguousarray(dataset.x_test[index].numpy().astype("<f4"))
        return {
            "dataset": config["dataset"],
            "index": index,
            "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
            "shape": list(pixels.shape),
            "dtype": "float32",
            "grid": config["certify"]["grid"],
        }

    return given, code


def _table(noise: Noise, adversary: str, route: str) -> dict[str, str] | None:
    """Name and SHA-256 of the shipped table behind the radius, None where there is none of this name."""
    tables: dict[str, str] = getattr(registry.load(noise.family), "TABLES", {})
    norm = route.partition("converted from l")[2].partition(":")[0] or adversary
    name = table_file(noise.family, norm, noise.dim, noise.params)
    used = "level set" in route or "composition" in route or norm != adversary
    return {"file": name, "sha256": tables[name]} if used and name in tables else None
