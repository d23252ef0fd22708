"""Commands: python -m runtime train | certify | resume | plan | report | reproduce | certificate | export | import | bench.

Exit status: 0 done, 1 a check found a difference or an input was given up, 2 wrong use or bad input (one line on stderr), 130 interrupted (resumable).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import click

from runtime.bench.command import bench
from runtime.data import KINDS, absolute
from runtime.engine import Counting, PreparedJob, certify_job, prepare, train_job
from runtime.folder_commands import certificate, export, import_command, reproduce
from runtime.grid_choice import NONE
from runtime.job import Job, job_from, read_job_file
from runtime.programs import is_factory
from runtime.progress import Progress
from runtime.store import DIGESTS, RunStore, load_runs

F = TypeVar("F", bound=Callable[..., Any])
_FLAGS: tuple[tuple[str, str, Any, str], ...] = (
    ("--dataset", "dataset", str, f"One of: {'; '.join(KINDS)}."),
    ("--resize", "resize", int, "Shorter side of images read from files."),
    ("--crop", "crop", int, "Side of the middle square taken of them."),
    ("--seed", "seed", int, "Seed of weights and noise."),
    ("--device", "device", str, "auto, cpu or cuda."),
    ("--checkpoint", "training.checkpoint", str, "Weights of this network, instead of training."),
    ("--model", "training.model", str, "A network that is a program: MODULE:FACTORY, .pt, .pt2 or .onnx."),
    ("--normalise", "training.normalise", str, "cifar10, imagenet, mnist, none, or MEANS/DEVIATIONS."),
    ("--architecture", "training.architecture", str, "cnn, mlp, cifar_resnet110, wide_resnet40_2, …"),
    ("--epochs", "training.epochs", int, "Passes over the training data."),
    ("--n0", "certify.n0", int, "Votes that choose the class."),
    ("--n", "certify.n", int, "Votes that bound its probability."),
    ("--alpha", "certify.alpha", float, "Failure probability of each certificate."),
    ("--interval", "certify.interval", str, "clopper-pearson, or randomised: alpha is used up exactly."),
    ("--two-class", "certify.two_class", bool, "Bound the runner-up as well, where that promises more."),
    ("--familywise", "certify.familywise", bool, "alpha over all inputs together, not for each."),
    ("--target-radius", "certify.target_radii", [float], "Decide whether the radius reaches it; repeatable."),
    ("--target-adversary", "certify.target_adversary", str, "Norm of the target radii: 1, 2 or inf."),
    ("--no-maximum", "certify.no_maximum", bool, "No maximum of votes: decide targets by an e-process."),
    ("--most", "certify.most", int, "Votes after which an input without a maximum is given up."),
    ("--looks", "certify.looks", int, "How often the test of a target looks, at most."),
    ("--early", "certify.early", float, "Share of alpha spent before the last look."),
    ("--futility", "certify.futility", float, "How much of yes an early no may cost; none of alpha."),
    ("--adaptive", "certify.adaptive", bool, "Full radius, with as many votes as a pilot finds worth while."),
    ("--pilot", "certify.pilot", int, "Votes of that pilot; they also choose the class."),
    ("--fraction", "certify.fraction", float, "Share of the radius of n votes that adaptive votes reach."),
    ("--batch-size", "certify.batch_size", int, "Votes on the device at a time."),
    ("--precision", "certify.precision", str, "fp32, tf32, bf16 or fp16: what the network votes in."),
    ("--chunk", "certify.chunk", int, "Votes a transaction; a multiple of 64."),
    ("--inputs", "certify.inputs", int, "Held-out inputs to certify, at most."),
    ("--first", "certify.first", int, "Index of the first of them."),
    ("--step", "certify.step", int, "Distance between them."),
    ("--grid", "certify.grid", int, "Denominator of the inputs' grid; found by default."),
)


def _job_options(command: F) -> F:
    for flag, key, kind, text in reversed(_FLAGS):
        name = key.replace(".", "__")
        if kind is bool:
            option = click.option(flag, name, is_flag=True, default=None, help=text)
        elif isinstance(kind, list):
            option = click.option(flag, name, type=kind[0], multiple=True, default=None, help=text)
        else:
            option = click.option(flag, name, type=kind, default=None, help=text)
        command = option(command)
    for option in (
        click.option(
            "--no-grid", is_flag=True, help="Add noise to floats; certificates then assume exact sums."
        ),
        click.option("--quiet", is_flag=True, help="No progress bar."),
        click.option("--out", type=click.Path(path_type=Path), help="Run folder; runs/NAME by default."),
        click.option("--param", "param", multiple=True, help="Family parameter, as name=value; repeatable."),
        click.option("--sigma", "sigma", multiple=True, type=float, help="Standard deviation; repeatable."),
        click.option("--family", help="Noise family."),
        click.option("--job", "job_name", help="Built-in job or TOML file; flags override its keys."),
    ):
        command = option(command)
    return command


def _parameters(pairs: tuple[str, ...]) -> dict[str, float]:
    params = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            params[name.strip()] = float(value)
        except ValueError:
            raise ValueError(f"--param needs name=number, got {pair!r}") from None
    return params


def _prepared(
    job_name: str | None,
    family: str | None,
    sigma: tuple[float, ...],
    param: tuple[str, ...],
    flags: dict[str, Any],
) -> PreparedJob:
    """The job that the command line asks for, checked together with its data."""
    return prepare(_job(job_name, family, sigma, param, flags))


def _job(
    job_name: str | None,
    family: str | None,
    sigma: tuple[float, ...],
    param: tuple[str, ...],
    flags: dict[str, Any],
) -> Job:
    """The job that the command line asks for."""
    if job_name is None and (family is None or not sigma):
        raise ValueError("give --job, or --family and --sigma")
    if param and family is None:
        raise ValueError("--param needs --family")
    values = read_job_file(job_name) if job_name is not None else {}
    if family is not None:
        values["noise"] = [{"family": family, "params": _parameters(param)}]
        values.setdefault("name", family)
    if sigma:
        values["sigmas"] = list(sigma)
    if flags.pop("no_grid", False):
        if flags.get("certify__grid") is not None:
            raise ValueError("--grid and --no-grid exclude each other; give one")
        flags["certify__grid"] = NONE
    for key, value in flags.items():
        if value is None or value == ():
            continue
        value = list(value) if isinstance(value, tuple) else value
        section, _, name = key.rpartition("__")
        target = values.setdefault(section, {}) if section else values
        if not isinstance(target, dict):
            raise ValueError(f"{job_name}: {section} must be a table")
        target[name] = value
    training = values.get("training")
    for key in ("checkpoint", "model"):
        given = training.get(key) if isinstance(training, dict) else None
        if isinstance(training, dict) and isinstance(given, str) and not is_factory(given):
            training[key] = str(Path(given).resolve())
    if isinstance(values.get("dataset"), str):
        values["dataset"] = absolute(values["dataset"])
    return job_from(values, job_name or "flags")


@contextmanager
def _interruptible(advice: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"interrupted; {advice}", err=True)
        raise SystemExit(130) from None


def _warn(line: str) -> None:
    click.echo(f"warning: {line}", err=True)


def _cluster_options(command: F) -> F:
    for option in (
        click.option("--ray-workers", type=int, help="Workers of that cluster; its GPUs or CPUs by default."),
        click.option(
            "--ray",
            is_flag=False,
            flag_value="",
            metavar="[auto|local|HOST:PORT]",
            help="Count on a Ray cluster: join it, or start one here.",
        ),
    ):
        command = option(command)
    return command


def _certify(prepared: PreparedJob, store: RunStore, quiet: bool, counting: Counting | None) -> int:
    """Counts what is missing, then writes the report; its path is the last line printed. 1 where inputs were given up."""
    for remark in (*prepared.remarks, *store.remarks):
        _warn(remark)
    total = len(prepared.plans) * len(prepared.indices)
    done = sum(len(store.finished(plan.name)) for plan in prepared.plans)
    with Progress(total, done, quiet) as progress:
        lost = certify_job(prepared, store, progress.say, progress.advance, _warn, counting)
    for run in load_runs(store.folder):
        failed = sum(result.failed for result in run.inputs)
        if failed:
            _warn(
                f"run {run.name}: {failed} of {sum(result.n for result in run.inputs)} votes failed (NaN or infinite "
                "logits, or noise that the grid leaves undecided); they count for no class"
            )
    from runtime.report import build_report

    paths = build_report([store.folder], None, store.folder / "report")
    click.echo(f"report: {paths.html}")
    for line in lost:
        click.echo(f"given up: {line}", err=True)
    return 1 if lost else 0


def _counting(
    prepared: PreparedJob, ray: str | None, ray_workers: int | None
) -> AbstractContextManager[Counting | None]:
    """Who counts: a cluster, or None for this machine."""
    if ray is None:
        if ray_workers is not None:
            raise ValueError("--ray-workers needs --ray")
        return nullcontext()
    from runtime.cluster.ray_cluster import ray_counting

    return ray_counting(ray, ray_workers, prepared.device, _warn)


@click.group(no_args_is_help=False, help="Certify classifiers by randomized smoothing.")
def cli() -> None:
    pass


@cli.command()
@_job_options
def train(
    job_name: str | None,
    family: str | None,
    sigma: tuple[float, ...],
    param: tuple[str, ...],
    out: Path | None,
    quiet: bool,
    **flags: Any,
) -> None:
    """Train the networks of a job, for certify to use."""
    prepared = _prepared(job_name, family, sigma, param, flags)
    folder = out or Path("runs") / prepared.job.name
    say = (lambda line: None) if quiet else click.echo
    with _interruptible("finished networks are kept: run the same command again"):
        with RunStore(folder, prepared.config, prepared.plans) as store:
            train_job(prepared, store, say)
    click.echo(f"networks: {folder / 'networks'}")


@cli.command()
@_job_options
@click.option("--certificates", type=click.Path(path_type=Path), help="Folder for certificate files.")
@_cluster_options
def certify(
    job_name: str | None,
    family: str | None,
    sigma: tuple[float, ...],
    param: tuple[str, ...],
    out: Path | None,
    quiet: bool,
    certificates: Path | None,
    ray: str | None,
    ray_workers: int | None,
    **flags: Any,
) -> int:
    """Train what is missing, count votes, write the report, and a file for each certificate where asked for."""
    prepared = _prepared(job_name, family, sigma, param, flags)
    folder = out or Path("runs") / prepared.job.name
    with _interruptible(f"resume with: python -m runtime resume {folder}"):
        with (
            _counting(prepared, ray, ray_workers) as counting,
            RunStore(folder, prepared.config, prepared.plans) as store,
        ):
            status = _certify(prepared, store, quiet, counting)
    if certificates is not None:
        from runtime.certificate_file import certificate_files

        click.echo(f"certificates: {len(certificate_files(folder, certificates))} files in {certificates}")
    return status


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="No progress bar.")
@_cluster_options
def resume(run: Path, quiet: bool, ray: str | None, ray_workers: int | None) -> int:
    """Finish the job that the folder RUN holds."""
    with _interruptible(f"resume with: python -m runtime resume {run}"):
        with RunStore(run, None) as store:
            values = {key: value for key, value in store.config.items() if key not in DIGESTS}
            prepared = prepare(job_from(values, str(run)))
            store.require(prepared.config)
            with _counting(prepared, ray, ray_workers) as counting:
                return _certify(prepared, store, quiet, counting)


@cli.command()
@_job_options
@click.option("--dim", type=int, help="Plan for inputs of so many coordinates, without their data.")
@click.option("--rho", type=float, multiple=True, help="Class probability to assume; repeatable.")
@click.option("--log", type=click.Path(path_type=Path), help="TSV log whose radii give the probabilities.")
@click.option("--log-n", default=100_000, show_default=True, help="Votes an input of that log.")
@click.option("--log-alpha", default=0.001, show_default=True, help="Failure probability of that log.")
@click.option("--votes-per-second", type=float, help="Speed to assume, instead of measuring it.")
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON.")
def plan(
    job_name: str | None,
    family: str | None,
    sigma: tuple[float, ...],
    param: tuple[str, ...],
    dim: int | None,
    rho: tuple[float, ...],
    log: Path | None,
    log_n: int,
    log_alpha: float,
    votes_per_second: float | None,
    as_json: bool,
    out: Path | None,
    quiet: bool,
    **flags: Any,
) -> None:
    """Say what the votes of a job buy and how many it will take; nothing is certified or written."""
    from runtime.forecast import text_of
    from runtime.planning import plans_of_job, plans_without_data

    if votes_per_second is not None and not 0.0 < votes_per_second < math.inf:
        raise ValueError(f"--votes-per-second must be positive, got {votes_per_second!r}")
    job = _job(job_name, family, sigma, param, flags)
    assumed = (rho, log, log_n, log_alpha, votes_per_second)
    plans = plans_of_job(prepare(job), *assumed) if dim is None else plans_without_data(job, dim, *assumed)
    click.echo(json.dumps(plans, indent=2) if as_json else "\n\n".join(text_of(one) for one in plans))


def _radii(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        radii = [float(part) for part in text.split(",")]
    except ValueError:
        radii = [math.nan]
    if not all(math.isfinite(radius) and radius >= 0.0 for radius in radii):
        raise ValueError(f"--radii needs numbers of at least 0, separated by commas, got {text!r}")
    return radii


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--radii", help="Radii of the tables, e.g. 0.5,1.0.")
@click.option("--delta", default=0.001, show_default=True, help="Failure probability of lower bounds.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON; write nothing.")
def report(paths: tuple[Path, ...], radii: str | None, delta: float, out: Path | None, as_json: bool) -> None:
    """Report on run folders or TSV logs."""
    from runtime.report import build_report, summarise

    chosen = _radii(radii)
    if as_json:
        click.echo(json.dumps(summarise(list(paths), chosen, delta), indent=2))
        return
    click.echo(f"report: {build_report(list(paths), chosen, out, delta).html}")


for _command in (reproduce, certificate, export, import_command, bench):
    cli.add_command(_command)


def main(arguments: list[str] | None = None) -> int:
    """Runs a command and returns its exit status; errors are one line on stderr."""
    try:
        status = cli.main(args=arguments, prog_name="python -m runtime", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        message = error.format_message()
    except (ValueError, OSError, ArithmeticError) as error:
        message = str(error)
    click.echo("error: " + " ".join(message.split()), err=True)
    return 2
