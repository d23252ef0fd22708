"""Commands: list, add-distribution, regenerate, explain, radius, compile, bracket, compare, verify, check, plot."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from derive.emit import module_text
from derive.engine import derive_family
from derive.pages.explain import FORMATS, explain
from derive.spec import GEOMETRIES, Spec, SpecError, find_spec, known_specs, parameters_from
from derive.workspace import Workspace, write_all
from generated.special import norm_name

ROOT = Path(__file__).resolve().parent.parent


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
def cli() -> None:
    """Derive certified radii for randomized smoothing from noise densities."""


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """The known densities, and the norms each has a radius for."""
    rows = []
    for spec in known_specs().values():
        family = derive_family(spec)
        parameters = {q.name: {"domain": q.domain, "default": float(q.default)} for q in spec.parameters}
        radii = {a: family.method(a) for a in family.adversaries}
        rows.append({"name": spec.name, "density": spec.density, "geometry": spec.geometry, "support": spec.support,
                     "parameters": parameters, "adversaries": radii})  # fmt: skip
    if as_json:
        return click.echo(json.dumps(rows, indent=2))
    for row in rows:
        where = f"  on {row['support']}" if row["support"] else ""
        click.echo(f"{row['name']:20} {row['geometry']:8} {row['density']}{where}")
        for name, entry in row["parameters"].items():  # type: ignore[attr-defined]
            click.echo(f"    {name}: {entry['domain'] or 'any real'} (default {entry['default']:g})")
        for adversary, method in row["adversaries"].items():  # type: ignore[attr-defined]
            click.echo(f"    l{adversary:4} {method}")


@cli.command("add-distribution")
@click.argument("name")
@click.option("--density", required=True, help='q up to a factor, e.g. "exp(-r**k)".')
@click.option("--geometry", required=True, help=f"What r is: one of {', '.join(GEOMETRIES)}.")
@click.option(
    "--param", "params", multiple=True, help='A domain ("k>0") or a value ("k=2"); repeat for more.'
)
@click.option("--support", default="", help='Where the density is positive, e.g. "r<=1".')
@click.option("--adversary", default=None, help="Require a radius against this norm: 1, 2 or inf.")
@click.option("--reference", default="", help="Source, one line.")
@click.option("--replace", is_flag=True, help="Replace a density of the same name.")
@click.option("--dry-run", is_flag=True, help="Derive and print, write nothing.")
def add_distribution(
    name: str, density: str, geometry: str, params: tuple[str, ...], support: str, adversary: str | None,
    reference: str, replace: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Derive radius, sampler and docs of a density, and write them."""
    parameters, fixed = parameters_from(params)
    spec = Spec(name, density, geometry, support, parameters, reference, fixed)
    known = known_specs()
    if name in known and known[name] != spec and not (replace or dry_run):
        raise SpecError(
            f"{name} is already there with another density ({known[name].density}); choose a name or pass --replace"
        )
    family = derive_family(spec)
    if adversary is not None and norm_name(adversary) not in family.adversaries:
        raise SpecError(
            f"{name} has no radius against l{norm_name(adversary)}; available: {', '.join(family.adversaries)}"
        )
    if dry_run:
        module_text(family, ["not run"])  # what cannot be written is refused here too
        for a in family.adversaries:
            click.echo(explain(family, a))
        return
    workspace = Workspace(ROOT)
    files = workspace.family_files(spec)
    files |= workspace.shared_files(known | {name: spec}, files)
    write_all(files)
    for path in files:
        click.echo(f"wrote {path.relative_to(ROOT)}")
    for a in family.adversaries:
        click.echo(f"l{a:4} {family.method(a)}")


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if any file differs.")
def regenerate(names: tuple[str, ...], check: bool) -> None:
    """Write the generated files again, all by default."""
    workspace = Workspace(ROOT)
    files = workspace.expected(names)
    orphans = workspace.orphans(files)
    if check:
        report = workspace.differences(files) + [f"orphan: {f.relative_to(ROOT)}" for f in orphans]
        report += workspace.table_faults()
        for line in report:
            click.echo(line)
        if report:
            click.echo("accept with: python -m derive regenerate")
            sys.exit(1)
        click.echo(f"{len(files)} files are byte-identical")
        return
    write_all(files)
    for path in orphans:
        path.unlink()
        click.echo(f"removed {path.relative_to(ROOT)}")
    for line in workspace.table_faults():
        click.echo(f"kept, but {line}")
    click.echo(f"wrote {len(files)} files")


@cli.command("explain")
@click.argument("name")
@click.option("--adversary", required=True, help="Norm: 1, 2 or inf.")
@click.option("--format", "form", default="text", show_default=True, help=f"One of {', '.join(FORMATS)}.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain_(name: str, adversary: str, form: str, as_json: bool) -> None:
    """Every step from the density to the radius."""
    family = derive_family(find_spec(name))
    text = explain(family, norm_name(adversary), form)
    if as_json:
        text = json.dumps(
            {
                "name": name,
                "adversary": norm_name(adversary),
                "method": family.method(norm_name(adversary)),
                "explanation": text,
            }
        )
    click.echo(text.rstrip("\n"))


@cli.command()
@click.argument("name")
@click.option("--adversary", required=True, help="Norm: 1, 2 or inf.")
@click.option("--dim", type=int, required=True, help="Dimension of the input, at least 1.")
@click.option("--rho", required=True, help="Probability of the top class, an exact decimal in [0, 1].")
@click.option("--param", "params", multiple=True, help='A parameter\'s value, e.g. "k=2".')
@click.option("--scale", default=None, help="Length unit of the noise (default 1).")
@click.option("--sigma", default=None, help="Standard deviation of a coordinate, instead of --scale.")
@click.option(
    "--digits",
    type=click.IntRange(0, 60),
    default=0,
    help="Relative width of the enclosure, at most 10**-N; 0: as it comes, about 1e-12.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def radius(
    name: str,
    adversary: str,
    dim: int,
    rho: str,
    params: tuple[str, ...],
    scale: str | None,
    sigma: str | None,
    digits: int,
    as_json: bool,
) -> None:
    """The certified radius: the generated code's float and a proved enclosure."""
    from derive.query import query

    result = query(find_spec(name), norm_name(adversary), dim, rho, params, scale, sigma, digits)
    if as_json:
        click.echo(json.dumps(result, indent=2, allow_nan=False))
        return
    click.echo(f"radius  {result['radius']}")
    click.echo(f"lower   {result['lower']}")
    click.echo(f"upper   {result['upper']}")
    if result["np_upper"] is None:
        click.echo("np_upper not computed")
    else:
        click.echo(
            f"np_upper {result['np_upper']} ({result['np_direction']}; {result['np_upper_assurance']})"
        )
    if result["gap"] is not None:
        click.echo(f"gap     {result['gap']:.3g}")
    if result["exact"] is not None:
        click.echo(
            f"exact   [{result['exact']['lower']}, {result['exact']['upper']}] ({result['exact']['method']}; enclosed by ball arithmetic)"
        )
        if result["exact"]["compile"]:
            click.echo(
                f"        returned by the generated code once its table is made: {result['exact']['compile']}"
            )
    click.echo(f"method  {result['method']}" + ("" if result["tight"] else " (not claimed tight)"))
    click.echo(f"assurance {result['assurance']}")
    if result["compile"]:
        click.echo(f"no table is there for the generated code; make it with: {result['compile']}")


@cli.command("compile")
@click.argument("name", required=False)
@click.option("--dim", type=int, default=None, help="Dimension of the input, at least 1.")
@click.option(
    "--param", "params", multiple=True, help='A parameter\'s value, e.g. "k=2"; rounded to a double.'
)
@click.option("--adversary", default="2", show_default=True, help="Norm: 1, 2 or inf.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=None,
    help="Folder to write into; by default the user's folder of tables, where radii are looked up.",
)  # fmt: skip
@click.option("--cdf", is_flag=True, help="The cdf of a coordinate (product densities), for noise on a grid.")
@click.option("--shipped", is_flag=True, help="All tables that come with the package; --cdf: of cdfs alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compile_(
    name: str | None, dim: int | None, params: tuple[str, ...], adversary: str, out: Path | None, cdf: bool, shipped: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Prove and write the table behind a level-set radius, for one dimension and parameter set; or that of a cdf."""
    from derive.query import parameters_of
    from derive.tables.build import CdfRequest, Request, built, checked
    from derive.tables.shipped import cdf_requests, shipped_requests
    from derive.workspace import check_folder
    from generated.special.lookup import SHIPPED, SHIPPED_CDF, user_folder

    requests: list[Request | CdfRequest]
    if shipped:
        if name is not None or dim is not None or params or out is not None:
            raise SpecError(
                "--shipped compiles a fixed list into generated: give no name, --dim, --param or --out"
            )
        requests = [*cdf_requests(), *([] if cdf else shipped_requests())]
    elif cdf:
        if name is None or dim is not None:
            raise SpecError("compile --cdf needs the name of a product density, and no --dim")
        requests = [CdfRequest(find_spec(name), parameters_of(params))]
    else:
        if name is None or dim is None:
            raise SpecError("compile needs the name of a density and --dim, or --cdf, or --shipped")
        requests = [Request(find_spec(name), norm_name(adversary), dim, parameters_of(params))]
    for request in requests:
        checked(request)
    own = {CdfRequest: SHIPPED_CDF, Request: SHIPPED}
    folders = [own[type(q)] if shipped else (out or user_folder()) for q in requests]
    for folder in dict.fromkeys(folders):
        check_folder(folder)
    records = []
    for folder, done in zip(folders, built(requests), strict=True):
        write_all({folder / done.file: done.text})
        records.append(done.record | {"path": str(folder / done.file)})
        if not as_json:
            click.echo("\n".join([f"wrote {folder / done.file}", *done.lines]))
    if as_json:
        click.echo(json.dumps(records, indent=2))
    elif shipped and not cdf:
        click.echo("list them in the modules with: python -m derive regenerate")


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--write", is_flag=True, help="Keep the brackets for the pages in docs/derivation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bracket(names: tuple[str, ...], write: bool, as_json: bool) -> None:
    """Radius, Neyman–Pearson bound and gap at rho = 0.99 of every density and norm; takes minutes for all."""
    from dataclasses import asdict

    from derive.pages.brackets import RECORD, measured, read_brackets, to_toml

    specs = [find_spec(name) for name in names] or list(known_specs().values())
    path = Workspace(ROOT).pages / RECORD
    found = measured(specs, (lambda line: None) if as_json else click.echo)
    if as_json:
        rows = {name: {norm: asdict(one) for norm, one in cells.items()} for name, cells in found.items()}
        click.echo(json.dumps(rows, indent=2, allow_nan=False))
    if write:
        kept = {name: cells for name, cells in read_brackets(path).items() if name in known_specs()}
        write_all({path: to_toml(kept | dict(found))})
        click.echo(
            f"wrote {path.relative_to(ROOT)}; `python -m derive regenerate` takes it into the pages",
            err=as_json,
        )


@cli.command()
@click.argument("name", default="exp_l2")
@click.option("--param", "params", multiple=True, help='A parameter\'s value, e.g. "k=1".')
@click.option("--write", is_flag=True, help="Keep the values for the picture in docs/derivation.")
def compare(name: str, params: tuple[str, ...], write: bool) -> None:
    """Level-set radii over differential ones against l2, from d = 2 to 3072; takes minutes."""
    from derive.pages.comparison import RECORD, compared
    from derive.query import parameters_of

    found = compared(find_spec(name), parameters_of(params), click.echo)
    if write:
        path = Workspace(ROOT).pages / RECORD
        write_all({path: found.to_toml()})
        click.echo(f"wrote {path.relative_to(ROOT)}; `python -m derive regenerate` draws it")


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--witnesses",
    is_flag=True,
    help="Check table files (all shipped ones that have any by default) with the independent checker.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=None,
    help="With --witnesses: claims at points, or compositions, for each table, 0 for all; without it l2 tables are proved whole.",
)
def verify(names: tuple[str, ...], as_json: bool, witnesses: bool, sample: int | None) -> None:
    """Check densities again, all by default: identities, independent radii, Neyman–Pearson, samplers. Exit 1 if anything is false.

    With --witnesses NAMES are table files. Without the engine, all of a table of l2-radial noise is proved again: every polynomial at every
    double, and the witnesses; of tables of steps witnesses and points of cells. Of tables from compositions all polynomials, and compositions.
    """
    if witnesses:
        _verify_tables([Path(name) for name in names], sample, as_json)
        return
    from derive.verification.verify import verify as check

    specs = [find_spec(name) for name in names] or list(known_specs().values())
    reports = []
    for spec in specs:
        reports.append(check(spec))
        if not as_json:
            for line in reports[-1].lines:
                click.echo(line)
    if as_json:
        click.echo(json.dumps([report.record for report in reports], indent=2, allow_nan=False))
    if not all(report.passed for report in reports):
        sys.exit(1)


def _verify_tables(paths: list[Path], sample: int | None, as_json: bool) -> None:
    from derive.table_check import has_witnesses
    from derive.verification.composed import composed_kind
    from derive.verification.witnessed import check_files

    shipped = sorted((ROOT / "generated" / "tables").glob("*.json"))
    start = time.monotonic()
    files = paths or [path for path in shipped if composed_kind(path) or has_witnesses(path)]
    verdicts = check_files(files, sample, all_points=bool(paths))
    if as_json:
        click.echo(json.dumps([asdict(v) for v in verdicts], indent=2))
    else:
        for v in verdicts:
            click.echo(
                f"{v.file}: {v.checked} of {v.total} claims, worst margin {v.margin:.2g}, {v.seconds:.1f} s"
            )
            for fault in v.faults:
                click.echo(f"  false: {fault}")
        count, spent = sum(v.checked for v in verdicts), sum(v.seconds for v in verdicts)
        click.echo(
            f"{len(verdicts)} tables, {count} claims checked in {spent:.0f} s of processor time, {time.monotonic() - start:.0f} s on the clock"
        )
    if any(v.faults for v in verdicts):
        sys.exit(1)


@cli.command()
@click.argument("files", nargs=-1, required=True)
def check(files: tuple[str, ...]) -> None:
    """Check certificate files independently. Exit 1 where a claim is false, 2 where one cannot be checked."""
    from derive.check import check_files

    sys.exit(check_files(files, click.echo))


@cli.command()
@click.argument("name")
@click.option("--adversary", required=True, help="Norm: 1, 2 or inf.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The SVG file to write."
)
def plot(name: str, adversary: str, out: Path) -> None:
    """Picture of a density and of its certified radius at sigma = 1, as SVG."""
    from derive.pages.pictures import radius_picture
    from generated.registry import load

    spec = find_spec(name)
    picture = radius_picture(spec, load(name), norm_name(adversary), load("gaussian"))
    write_all({out: picture})
    click.echo(f"wrote {out}")


def main(arguments: list[str] | None = None) -> Any:
    """Runs a command; bad input ends in one line on stderr and exit code 2."""
    try:
        cli.main(args=arguments, prog_name="python -m derive", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"error: {' '.join(error.format_message().split())}", err=True)
        sys.exit(2)
    except (ValueError, OSError, ArithmeticError, NotImplementedError) as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
