"""Certificate files and their independent checker: true ones pass, every false claim is found, the rest is refused."""

from __future__ import annotations

import ast
import copy
import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from derive.check import boundaries, verdict
from derive.check_law import DIGITS, HALF, corner, face, growth
from runtime.adaptive import AdaptiveSample
from runtime.certificate_file import certificate_file, certificate_record, digest
from runtime.eprocess import EProcess
from runtime.noise import Noise
from runtime.procedure import FixedSample, Procedure
from runtime.reader import StoredInput, StoredRun
from runtime.sampling import Votes
from runtime.sequential import GroupSequential
from runtime.stages import stage_of
from tests.contracts.sources import ROOT
from tests.runtime.conftest import Command

N0, N, ALPHA = 100, 1000, 0.001
GIVEN = {"index": 3, "sha256": "0" * 64, "shape": [1, 8, 8], "dtype": "float32", "grid": 255}


def made(
    family: str = "laplace",
    adversary: str = "1",
    *,
    ahead: int = 990,
    rule: Procedure | None = None,
    others: int = 1,
    dim: int = 64,
    all_inputs: float | None = None,
    **params: Any,
) -> dict[str, Any]:
    """The certificate of an input of whose votes `ahead` in a thousand are for class 1, the rest for one or two others."""
    noise = Noise(family, dim, scale=0.5, **params)
    rule = rule or FixedSample(N0, N, ALPHA)
    run = StoredRun("run", family, noise, rule, 7, 3, 5, all_inputs, "ab" * 32, None)

    def votes(n: int, failed: int) -> Votes:
        count = round(n * ahead / 1000)
        rest = max(0, n - count - failed)
        return Votes((rest - rest // 2 * (others - 1), count, rest // 2 * (others - 1)), n - count - rest)

    parts: list[tuple[int, Votes]] = []
    selection, done = votes(rule.selection(), 0), 0
    while (total := rule.next_total(selection, [part for _, part in parts])) is not None:
        parts.append((done, votes(total - done, 3)))
        done = total
    chunks = {"selection": ((0, selection),), "estimation": tuple(parts)}
    stored = StoredInput(3, 1, chunks, stage_of(rule, chunks, 3), 0.1)
    return certificate_record(run, stored, adversary, GIVEN, {"package": "1"})


def checked(record: dict[str, Any], path: Path, sign: bool = True) -> tuple[int, str]:
    if sign:
        record = {**record, "digest": digest(record)}
    path.write_text(json.dumps(record))
    return verdict(str(path))


@pytest.mark.parametrize(
    ("family", "adversary", "params"),
    [
        ("gaussian", "2", {}),
        ("laplace", "inf", {}),
        ("uniform", "1", {}),
        ("uniform", "2", {}),
        ("uniform", "inf", {}),
        ("logistic", "1", {}),
        ("generalized_normal", "1", {"p": 3.0}),
        ("generalized_normal", "1", {"p": 0.5}),
        ("pareto", "2", {}),
    ],
)
def test_true_certificates_pass_and_a_longer_radius_does_not(
    family: str, adversary: str, params: dict[str, Any], tmp_path: Path
) -> None:
    record = made(family, adversary, ahead=990, **params)
    status, line = checked(record, tmp_path / "c.json", sign=False)
    if "composition" in record["route"]:
        assert status == 2 and "cannot check" in line
        return
    assert status == 0 and line.startswith("true: class 1"), line
    radius = float.fromhex(record["radius"])
    assert radius > 0.0
    status, line = checked({**record, "radius": (radius * (1 + 1e-9)).hex()}, tmp_path / "c.json")
    assert status == 1 and "above" in line


Change = Callable[[dict[str, Any]], object]
TAMPERED: dict[str, Change] = {
    "counts": lambda c: c["estimation"]["counts"].__setitem__(1, 991),
    "votes from one class to another": lambda c: c["estimation"].__setitem__("counts", [6, 991, 0]),
    "fewer votes": lambda c: c["estimation"].__setitem__("counts", [8, 989, 0]),
    "failed votes": lambda c: c["estimation"].__setitem__("failed", 2),
    "n": lambda c: (c["estimation"].__setitem__("n", 1001), c["estimation"].__setitem__("failed", 4)),
    "selection": lambda c: c["selection"].__setitem__("counts", [95, 5, 0]),
    "prediction": lambda c: c.update(prediction=0),
    "abstention": lambda c: c.update(prediction=-1),
    "p_lower": lambda c: c.__setitem__("p_lower", (float.fromhex(c["p_lower"]) + 1e-9).hex()),
    "alpha": lambda c: (c["procedure"].update(alpha=0.002), c.update(alpha=(0.002).hex())),
    "radius": lambda c: c.__setitem__("radius", (float.fromhex(c["radius"]) + 1e-6).hex()),
    "scale": lambda c: c["noise"].__setitem__("scale", (0.4).hex()),
    "density": lambda c: c["noise"].__setitem__("density", "exp(-2*r)"),
    "adversary": lambda c: c.__setitem__("adversary", "2"),
    "radius as a decimal": lambda c: c.__setitem__("radius_decimal", "9.0"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_each_changed_field_is_a_false_claim_even_under_a_fresh_digest(name: str, tmp_path: Path) -> None:
    record = made()
    changed = copy.deepcopy(record)
    TAMPERED[name](changed)
    assert changed != record
    status, line = checked(changed, tmp_path / "c.json")
    assert status == 1 and line.startswith("false: "), line


def test_a_change_of_anything_is_seen_by_the_digest(tmp_path: Path) -> None:
    status, line = checked({**made(), "input": {**GIVEN, "index": 4}}, tmp_path / "c.json", sign=False)
    assert status == 1 and "digest" in line


def test_a_radius_off_by_what_rounding_leaves_is_found_to_a_few_units(tmp_path: Path) -> None:
    record = made()
    exact = 0.5 * -math.log(2 * (1 - float.fromhex(record["p_lower"])))
    assert checked({**record, "radius": (exact * (1 - 1e-15)).hex()}, tmp_path / "c.json")[0] == 0
    assert checked({**record, "radius": (exact * (1 + 1e-15)).hex()}, tmp_path / "c.json")[0] == 1


def test_abstentions_claim_nothing(tmp_path: Path) -> None:
    record = made(ahead=500)
    assert record["prediction"] == -1 and checked(record, tmp_path / "c.json", sign=False)[0] == 0
    assert checked({**record, "radius": (0.1).hex()}, tmp_path / "c.json")[0] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "nonsense",
        '{"format": "smoothing-radii certificate", "version": 3}',
        "[" * 100_000,
        "1" * 5000,
    ],
)
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    assert verdict(str(tmp_path / "c.json"))[0] == 2
    assert verdict(str(tmp_path / "missing.json"))[0] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"density": "exp(-r).__class__"},
        {"density": "open('x')"},
        {"density": "exp(-r**(9**9**9))"},
        {"density": "1+r"},
        {"density": "1/(1+r**2)"},
        {"support": "r<=2"},
        {"density": "exp(-sqrt(r))", "support": "r<=1"},
        {"dim": 10**30},
    ],
)
def test_what_it_does_not_know_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    record = made()
    status, line = checked({**record, "noise": {**record["noise"], **change}}, tmp_path / "c.json")
    assert status == 2 and "cannot" in line, line


@pytest.mark.parametrize(
    ("family", "adversary", "dim", "params"),
    [
        ("exp_l2", "2", 784, {"k": 1.0, "j": 0.0}),
        ("exp_linf", "inf", 10, {"k": 1.0, "j": 0.0}),
        ("uniform_ball", "inf", 64, {}),
    ],
)
def test_noise_of_a_norm(
    family: str, adversary: str, dim: int, params: dict[str, Any], tmp_path: Path
) -> None:
    record = made(family, adversary, dim=dim, **params)
    status, line = checked(record, tmp_path / "c.json")
    assert status == 0 and line.startswith("true: class 1"), line
    radius = float.fromhex(record["radius"])
    assert radius > 0.0
    if family != "exp_linf":  # there the likelihood ratio jumps: a longer radius is refused
        status, line = checked({**record, "radius": (radius * (1 + 1e-7)).hex()}, tmp_path / "c.json")
        assert status == 1 and "above" in line, line


def test_the_radius_of_cubes_is_the_growth_of_cubes() -> None:
    """One path against another: a cube is a ball of the norm linf, its overlap with itself shifted a product."""
    from mpmath import mp, mpf

    noise = {"density": "1", "support": "r<=1", "parameters": {}, "dim": 5}
    with mp.workdps(DIGITS):
        for kind, e in ((corner, 2 * (1 - mpf("0.6") ** (mpf(1) / 5))), (face, mpf("0.8"))):
            low, high = growth(noise, kind, e * (1 - mpf(10) ** -12), mpf("0.1"))
            assert 0.4999999 < low == high < 0.5


def test_signs_are_the_laplace_radius_where_no_composition_is_there(tmp_path: Path) -> None:
    record = made("laplace", "inf", dim=37)
    assert "composition" not in record["route"]
    assert checked(record, tmp_path / "c.json")[0] == 0
    radius = float.fromhex(record["radius"])
    assert checked({**record, "radius": (radius * (1 + 1e-8)).hex()}, tmp_path / "c.json")[0] == 1


CUBE = Noise("uniform", 64, scale=0.5)
RULES: dict[str, Procedure] = {
    "randomised": FixedSample(N0, N, ALPHA, interval="randomised"),
    "two classes": FixedSample(N0, N, ALPHA, two_class=True),
    "group-sequential": GroupSequential.for_noise(CUBE, (0.002, 0.004), "inf", N0, 10_000, ALPHA),
    "e-process": EProcess.for_noise(CUBE, (0.002, 0.004), "inf", N0, ALPHA),
    "adaptive": AdaptiveSample.for_noise(CUBE, 500, 10_000, ALPHA, adversary="inf"),
}


@pytest.mark.parametrize("name", RULES)
def test_every_procedure_is_checked_by_its_own_rule(name: str, tmp_path: Path) -> None:
    two = name == "two classes"
    record = made("uniform", "inf", ahead=600 if two else 990, others=2 if two else 1, rule=RULES[name])
    assert (record["p_upper"] is not None) == two
    status, line = checked(record, tmp_path / "c.json")
    assert status == 0 and record["prediction"] == 1 and float.fromhex(record["radius"]) > 0.0, line
    higher = {**record, "p_lower": (float.fromhex(record["p_lower"]) + 1e-7).hex()}
    status, line = checked(higher, tmp_path / "c.json")
    assert status == 1 and line.startswith("false: "), line
    stricter = copy.deepcopy(record)
    stricter["procedure"]["alpha"], stricter["alpha"] = 1e-12, (1e-12).hex()
    assert checked(stricter, tmp_path / "c.json")[0] == 1


@pytest.mark.parametrize("name", ["group-sequential", "e-process"])
def test_looks_that_do_not_show_the_target_are_found(name: str, tmp_path: Path) -> None:
    record = made("uniform", "inf", rule=RULES[name])
    seen, successes = record["looks"][-1]
    upper = {**record, "p_upper": (0.001).hex(), "radius": (0.01).hex()}
    assert checked(upper, tmp_path / "c.json")[0] == 1
    for looks in ([], [[seen, successes + 1]], [[seen, successes], [seen, successes]]):
        assert checked({**record, "looks": looks}, tmp_path / "c.json")[0] == 1
    weaker = copy.deepcopy(record)
    weaker["looks"] = [[total, total - 5 * (total - yes) - 8] for total, yes in record["looks"]]
    votes = weaker["estimation"]
    votes["counts"], votes["failed"] = [seen - weaker["looks"][-1][1], weaker["looks"][-1][1], 0], 0
    status, line = checked(weaker, tmp_path / "c.json")
    assert status == 1 and "do not show" in line


def test_boundaries_are_those_of_rational_arithmetic() -> None:
    """Every path of the count at three looks, by enumeration."""
    from mpmath import mp, mpf

    totals, p, alpha, early = [6, 12, 20], Fraction(3, 4), Fraction(1, 20), Fraction(1, 2)
    alive, before, spent, expected = {0: Fraction(1)}, 0, Fraction(0), []
    for look, total in enumerate(totals):
        m, level = total - before, alpha if look == 2 else alpha * early * (look + 1) / 2
        after: dict[int, Fraction] = {}
        for failures, mass in alive.items():
            for k in range(m + 1):
                part = mass * math.comb(m, k) * (1 - p) ** k * p ** (m - k)
                after[failures + k] = after.get(failures + k, Fraction(0)) + part
        most = -1
        while spent + after.get(most + 1, Fraction(0)) <= level:
            spent, most = spent + after.pop(most + 1, Fraction(0)), most + 1
        expected.append(most)
        alive, before = after, total
    with mp.workdps(DIGITS):
        found = boundaries(totals, 3, mpf(3) / 4, mpf(1) / 20, HALF)
    assert found == expected and found[-1] > 0


def test_a_share_of_alpha_over_many_inputs(tmp_path: Path) -> None:
    record = made("uniform", "inf", all_inputs=5 * ALPHA)
    assert checked(record, tmp_path / "c.json")[0] == 0
    status, line = checked(made("uniform", "inf", all_inputs=4.9 * ALPHA), tmp_path / "c.json")
    assert status == 1 and "share" in line
    fraction = {**record, "familywise": {"alpha": ALPHA.hex(), "inputs": 0.5}}
    assert checked(fraction, tmp_path / "c.json")[0] == 1


@pytest.mark.parametrize("radius", ["nan", "inf", "-0x1p0", "0x1p1023", "1e400"])
def test_numbers_that_are_none(radius: str, tmp_path: Path) -> None:
    assert checked({**made("uniform", "inf"), "radius": radius}, tmp_path / "c.json")[0] in (1, 2)
    changed = made("uniform", "inf")
    changed["estimation"]["n"] = 10**400
    assert checked(changed, tmp_path / "c.json")[0] == 1


def test_the_checker_shares_no_code_with_what_it_checks() -> None:
    for file, more in (
        ("check", {"hashlib", "json", "math", "derive"}),
        ("check_law", {"ast", "collections", "functools", "operator"}),
    ):
        text = (ROOT / "derive" / f"{file}.py").read_text()
        nodes = list(ast.walk(ast.parse(text)))
        found = {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
        found |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        inside = {name for name in found if name.startswith("derive")}
        assert inside == ({"derive.check_law"} if file == "check" else set())
        assert {name.partition(".")[0] for name in found} == {"__future__", "typing", "mpmath", *more}
        assert len(text.splitlines()) < (200 if file == "check" else 250)


def test_the_commands_write_and_check_a_file(called: Command, tmp_path: Path) -> None:
    from derive.cli import main

    job = (
        "--family",
        "laplace",
        "--sigma",
        "0.5",
        "--epochs",
        "1",
        "--inputs",
        "1",
        "--n",
        "1000",
        "--quiet",
    )
    done = called("certify", *job, "--out", "run", "--certificates", "files")
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in (tmp_path / "files").glob("*"))
    assert f"certificates: {len(written)} files in files" in done.stdout
    assert all(name.startswith("laplace") and name.endswith(".json") for name in written)
    done = called("certificate", "run", "0", "--adversary", "1", "--out", "c.json")
    assert done.returncode == 0, done.stderr
    with pytest.raises(SystemExit) as ended:
        main(["check", str(tmp_path / "c.json")])
    assert ended.value.code == 0
    assert json.loads((tmp_path / "c.json").read_text())["input"]["shape"] == [1, 8, 8]
    assert called("certificate", "run", "0", "--adversary", "3", "--out", "d.json").returncode == 2
    with pytest.raises(ValueError, match="not finished"):
        certificate_file(tmp_path / "run", 5, 1, tmp_path / "d.json")
