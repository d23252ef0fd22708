"""Properties of every generated radius function over its domain."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from generated import registry
from tests.generated.members import MEMBERS, Member

RHO = np.concatenate((np.linspace(0.5, 0.9, 41)[1:], 1.0 - np.geomspace(0.09, 1e-12, 60)))
EDGE = math.nextafter(1.0, 0.0)
SAMPLE = [m for m in MEMBERS if m.dim in (10, 3072)]
ONE_EACH = [
    Member("gaussian", "2", 10),
    Member("laplace", "1", 10),
    Member("laplace", "inf", 10),
    Member("uniform", "1", 10),
    Member("uniform", "inf", 10),
    Member("exp_linf", "1", 10, {"k": 2.0}),
    Member("exp_linf", "inf", 10, {"k": 2.0}),
]
every = pytest.mark.parametrize("member", MEMBERS, ids=str)
sample = pytest.mark.parametrize("member", SAMPLE, ids=str)
one_each = pytest.mark.parametrize("member", ONE_EACH, ids=str)


@every
def test_zero_up_to_one_half(member: Member) -> None:
    """No class in the majority, no radius, and never a negative one."""
    low = np.array([0.0, 5e-324, 1e-300, 0.25, math.nextafter(0.5, 0.0), 0.5])
    assert np.array_equal(member.radius(low), np.zeros_like(low))
    just = member.at(math.nextafter(0.5, 1.0))
    assert 0.0 <= just <= 1e-9 * member.dim


@every
def test_positive_increasing_and_convex(member: Member) -> None:
    """R increases with ρ, and so do its slopes, up to the rounding of the table nodes behind some radii."""
    radius = member.radius(RHO)
    assert radius.dtype == np.float64 and radius.shape == RHO.shape
    assert np.all(np.isfinite(radius)) and np.all(radius > 0.0)
    assert np.all(np.diff(radius) > 0.0)
    slopes = np.diff(radius) / np.diff(RHO)
    slack = 4e-9 * radius[1:] / np.diff(RHO)
    assert np.all(slopes[1:] >= slopes[:-1] - slack[1:] - slack[:-1])


@every
def test_close_doubles_stay_in_order(member: Member) -> None:
    """Between neighbouring doubles the radius may fall by rounding only."""
    for start in (0.5, 0.6, 0.9, 1.0 - 1e-6, 1.0 - 1e-12):
        rho = start + np.arange(1, 60) * np.spacing(start)
        radius = member.radius(rho)
        assert np.all(np.diff(radius) >= -1e-12 * radius[1:])


@every
def test_the_last_doubles_below_one(member: Member) -> None:
    """ρ = 1 - 1e-12 and the double before 1 give finite radii; ρ = 1 gives no NaN and nothing smaller."""
    last = [member.at(1.0 - 1e-12), member.at(1.0 - 1e-15), member.at(EDGE)]
    assert all(map(math.isfinite, last))
    assert all(a < b for a, b in pairwise(last))
    top = member.at(1.0)
    assert top >= last[-1] * (1.0 - 1e-12)
    if member.family == "uniform":
        assert math.isfinite(top)  # the support is bounded: at most twice the half-width


@every
def test_scale_is_a_unit_of_length(member: Member) -> None:
    """R for noise λ·Z is λ·R for Z."""
    unit = member.radius(RHO)
    for scale in (1e-6, 0.3, 1.0, 7.0, 255.0):
        scaled = member.radius(RHO, scale)
        assert scaled == pytest.approx(scale * unit, rel=1e-12, abs=0.0)


@every
def test_numpy_and_torch_agree(member: Member) -> None:
    """The same function of ρ, in the kind and shape that came in."""
    rho = np.concatenate((RHO, [0.0, 0.3, 0.5, EDGE]))
    got = member.radius(torch.from_numpy(rho))
    assert isinstance(got, torch.Tensor) and got.dtype == torch.float64 and got.device.type == "cpu"
    assert got.numpy() == pytest.approx(member.radius(rho), rel=1e-13, abs=0.0)


@one_each
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (2, 1, 2)])
def test_shapes_are_kept(member: Member, shape: tuple[int, ...]) -> None:
    """Vectorised over ρ of any shape; the argument is left alone."""
    rho = np.full(shape, 0.9)
    got = member.radius(rho)
    assert np.shape(got) == shape and np.all(rho == 0.9)
    assert np.all(np.asarray(got) == member.at(0.9))
    assert member.radius(torch.full(shape, 0.9, dtype=torch.float64)).shape == shape


@one_each
def test_other_number_types_are_refused(member: Member) -> None:
    """A silent cast would round ρ up in half of all cases: float64 or an error."""
    for array in (np.array([0.9], dtype=np.float32), np.array([1]), np.array([0.9], dtype=np.float16)):
        with pytest.raises(ValueError, match="float64"):
            member.radius(array)
    for dtype in (torch.float32, torch.bfloat16, torch.int64):
        with pytest.raises(ValueError, match="float64"):
            member.radius(torch.ones(2, dtype=dtype))


@one_each
@pytest.mark.parametrize("bad", [math.nan, -1e-9, math.nextafter(1.0, 2.0), math.inf, -math.inf])
def test_rho_must_be_a_probability(member: Member, bad: float) -> None:
    """One bad entry among good ones is enough, and the error is one line."""
    for rho in (np.array([0.7, bad]), torch.tensor([bad, 0.7], dtype=torch.float64)):
        with pytest.raises(ValueError, match="rho") as caught:
            member.radius(rho)
        assert "\n" not in str(caught.value)


@one_each
def test_dimension_scale_and_names_are_checked(member: Member) -> None:
    """What the function cannot mean, it refuses."""
    rho = np.array([0.9])
    good = {"adversary": member.adversary, "dim": member.dim, **member.params}
    bad: list[dict[str, object]] = [{"dim": d} for d in (0, -3, 2.5, "10", True)]
    bad += [{"scale": s} for s in (0.0, -1.0, math.nan, math.inf)]
    bad += [{"adversary": "3"}, {"adversary": "l7"}, {"adversary": None}]
    for change in bad:
        with pytest.raises(ValueError, match="."):
            member.module.radius(rho, **{**good, **change})
    with pytest.raises((ValueError, TypeError), match="banana"):
        member.module.radius(rho, **good, banana=1.0)


@pytest.mark.parametrize(
    "params", [{"k": 0.0}, {"k": -1.0}, {"k": math.nan}, {"k": math.inf}, {"j": 9.0}, {"j": math.nan}]
)
def test_family_parameters_have_a_domain(params: dict[str, float]) -> None:
    """exp_linf needs k > 0 and j < d - 1 (here d = 10)."""
    module = registry.load("exp_linf")
    for call in (module.check, lambda **kw: module.radius(np.array([0.9]), adversary="1", **kw)):
        with pytest.raises(ValueError, match="."):
            call(dim=10, **params)


@sample
def test_gradient_is_the_slope(member: Member) -> None:
    """∂R/∂ρ = 1/Φ(1-ρ) > 0: autograd against central differences, and zero where the radius is zero."""
    rho = torch.tensor([0.55, 0.7, 0.93, 0.993, 0.9999], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(member.radius(rho).sum(), rho)
    x = rho.detach().numpy()
    h = 2e-3 * (1.0 - x)
    central = (member.radius(x + h) - member.radius(x - h)) / (2.0 * h)
    assert slope.numpy() == pytest.approx(central, rel=2e-4)
    low = torch.tensor([0.0, 0.2, 0.4999], dtype=torch.float64, requires_grad=True)
    (flat,) = torch.autograd.grad(member.radius(low).sum(), low)
    assert torch.equal(flat, torch.zeros(3, dtype=torch.float64))


@one_each
def test_gradcheck(member: Member) -> None:
    """torch's own check of the derivative, where its step of 1e-6 is small against 1-ρ."""
    rho = torch.tensor([0.6, 0.75, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(member.radius, (rho,), eps=1e-6, rtol=1e-3)


def test_gradients_in_closed_form() -> None:
    """1/Φ: √(2π)·exp(z²/2) for the Gaussian, 1/(1-ρ) for Laplace, 2 for the uniform law."""
    rho = torch.tensor([0.6, 0.9, 0.999], dtype=torch.float64, requires_grad=True)
    z = torch.special.ndtri(rho.detach())
    expected = {
        ("gaussian", "2"): math.sqrt(2.0 * math.pi) * torch.exp(0.5 * z * z),
        ("laplace", "1"): 1.0 / (1.0 - rho.detach()),
        ("uniform", "1"): torch.full_like(z, 2.0),
    }
    for (family, adversary), slope in expected.items():
        (got,) = torch.autograd.grad(Member(family, adversary, 30).radius(rho).sum(), rho)
        assert got.numpy() == pytest.approx(slope.numpy(), rel=1e-10)


@pytest.mark.parametrize("family", ["exp_linf", "gaussian", "laplace", "uniform"])
def test_norms_are_ordered(family: str) -> None:
    """The best known route is used: R₁ >= R₂ >= R∞, R₂ >= R₁/√d, R∞ >= R₂/√d and R∞ >= R₁/d."""
    names = registry.load(family).ADVERSARIES
    for dim in (2, 10, 3072):
        found = {a: Member(family, a, dim).radius(RHO) * (1.0 + 1e-9) for a in names}
        factors = {("1", "2"): 1.0, ("2", "inf"): 1.0, ("2", "1"): dim**-0.5, ("inf", "2"): dim**-0.5}
        for (big, small), factor in {**factors, ("inf", "1"): 1.0 / dim}.items():
            if big in found and small in found:
                assert np.all(found[big] >= factor * found[small] * (1.0 - 1e-9))


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_modules_describe_themselves(family: str) -> None:
    """The names that other packages rely on, with values of the agreed kinds."""
    module = registry.load(family)
    assert module.NAME == family
    assert module.GEOMETRY in ("product", "l1", "l2", "linf")
    assert isinstance(module.DENSITY, str) and module.DENSITY
    assert isinstance(module.REFERENCE, str) and module.REFERENCE
    assert set(module.ADVERSARIES) <= {"1", "2", "inf"} and module.ADVERSARIES
    assert set(module.PARAMETERS) == set(module.PARAMETER_DOMAINS)
    module.check(dim=10, **module.PARAMETERS)
    for adversary in module.ADVERSARIES:
        assert module.method(adversary=adversary, dim=10)


def test_unknown_families_are_refused() -> None:
    """The error names what exists."""
    with pytest.raises(ValueError, match="gaussian") as caught:
        registry.load("cauchy_of_the_moon")
    assert "cauchy_of_the_moon" in str(caught.value) and "\n" not in str(caught.value)
