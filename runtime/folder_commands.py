"""Commands on finished runs: reproduce a certificate, export results, import published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=_FILE)
@click.argument("index", type=int)
@click.option("--run", "name", help="Name of the run, where the folder holds several.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def reproduce(run: Path, index: int, name: str | None, as_json: bool) -> int:
    """Count the votes of input INDEX in folder RUN again and compare; exit 1 where a count differs."""
    from runtime.reproduction import reproduce as count_again

    found = count_again(run, index, name)
    for line in found.code:
        click.echo(f"warning: counted by other code or libraries: {line}", err=True)
    if as_json:
        result = found.result
        values: dict[str, Any] = {
            "run": found.run,
            "input": result.index,
            "prediction": result.prediction,
            "p_lower": result.p_lower,
            "radii": dict(result.radii),
            "chunks": found.chunks,
            "votes": found.votes,
            "same": found.same,
            "code": list(found.code),
            "differences": [
                {
                    "purpose": item.purpose,
                    "start": item.start,
                    "recorded": {"counts": item.recorded.counts, "failed": item.recorded.failed},
                    "counted": {"counts": item.counted.counts, "failed": item.counted.failed},
                }
                for item in found.differences
            ],
        }
        click.echo(json.dumps(values, indent=2))
    else:
        for item in found.differences:
            click.echo(
                f"{item.purpose} votes {item.start} to {item.start + item.recorded.n - 1}: "
                f"recorded {list(item.recorded.counts)} and {item.recorded.failed} failed, "
                f"counted {list(item.counted.counts)} and {item.counted.failed} failed"
            )
        verdict = "reproduced" if found.same else f"{len(found.differences)} chunks differ"
        click.echo(f"{found.run}, input {index}: {found.votes} votes in {found.chunks} chunks, {verdict}")
    return 0 if found.same else 1


@click.command()
@click.argument("run", type=_FILE)
@click.option("--format", "kind", default="tsv", help="tsv, csv or parquet.", show_default=True)
@click.option("--out", type=_FILE, required=True, help="File to write.")
@click.option("--run", "name", help="Name of the run, where the folder holds several.")
@click.option("--adversary", help="Norm of a TSV file: 1, 2 or inf.")
def export(run: Path, kind: str, out: Path, name: str | None, adversary: str | None) -> None:
    """Write the finished inputs of folder RUN to a file for other programs."""
    from runtime.exchange import export as write

    click.echo(f"{out}: {write(run, out, kind, name, adversary)} rows")


@click.command()
@click.argument("run", type=_FILE)
@click.argument("index", type=int)
@click.option("--adversary", required=True, help="Norm: 1, 2 or inf.")
@click.option("--out", type=_FILE, required=True, help="File to write.")
@click.option("--run", "name", help="Name of the run, where the folder holds several.")
def certificate(run: Path, index: int, adversary: str, out: Path, name: str | None) -> None:
    """Write the certificate of input INDEX in folder RUN to a file that `derive check` checks."""
    from runtime.certificate_file import certificate_file

    record = certificate_file(run, index, adversary, out, name)
    click.echo(
        f"{out}: class {record['prediction']}, l{record['adversary']} radius {record['radius_decimal']}"
    )


@click.command("import")
@click.argument("logs", nargs=-1, required=True, type=_FILE)
@click.option("--out", type=_FILE, required=True, help="Folder to make.")
@click.option("--noise", help="Noise of all files, where their names do not tell.")
@click.option("--sigma", type=float, help="Standard deviation of all files.")
@click.option("--adversary", help="Norm of their radii: 1, 2 or inf.")
@click.option("--n0", type=int, help="Selection votes, as published.")
@click.option("--n", type=int, help="Estimation votes, as published.")
@click.option("--alpha", type=float, help="Failure probability, as published.")
def import_command(logs: tuple[Path, ...], out: Path, adversary: str | None, **stated: Any) -> None:
    """Copy published result files into a folder that report reads."""
    from runtime.noise import adversary_name
    from runtime.report.imported import import_logs

    stated["adversary"] = None if adversary is None else adversary_name(adversary)
    runs = import_logs(logs, out, stated)
    click.echo(f"{out}: {len(runs)} runs, {sum(run.total for run in runs)} inputs")
