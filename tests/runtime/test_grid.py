"""Integer noise on a grid: its law, its identity, exact sums, and inputs that lie on the grid or do not."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from runtime.grid import SAMPLED, GridNoise, check_denominator, grid_of, numerators
from runtime.inversion import OUTSIDE, Inversion, Thresholds
from runtime.noise import Noise
from runtime.rng import Stretch
from runtime.sampling import Votes, count_votes
from tests.runtime.integer_noise import Cdf, cauchy, gaussian, probabilities, thresholds_of, uniform

CPU = torch.device("cpu")
GAUSSIAN = Noise("gaussian", 64, sigma=0.25)
THRESHOLDS = thresholds_of(gaussian, GAUSSIAN.scale, 255, 520)
GRID = GridNoise(GAUSSIAN, 255, THRESHOLDS)
SPHERE = GridNoise(Noise("exp_linf", 64, sigma=0.25), 255)


def drawn(
    grid: GridNoise, start: int = 0, stop: int = 64, **identity: object
) -> tuple[torch.Tensor, torch.Tensor]:
    given: dict[str, object] = {"seed": 1, "index": 2, "purpose": "estimation", **identity}
    return grid.integers([Stretch(start=start, stop=stop, **given)], CPU)  # type: ignore[arg-type]


def mapped(inversion: Inversion, uniform_words: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """What an inversion makes of 60-bit words [n, dim]; below their 16 + 44 bits lie others, which must not matter."""
    whole = torch.tensor(uniform_words)

    def more(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        return ((whole[rows, columns] & (2**44 - 1)) << 20) | 5

    return inversion((whole >> 44).to(torch.int32), more)


def expected(thresholds: Thresholds, u: int, saturate: bool) -> int | None:
    """The definition, one word at a time; None: undecided."""
    low, high = thresholds.low.tolist(), thresholds.high.tolist()
    for i in range(len(low) - 1):
        if high[i] <= u < low[i + 1]:
            return thresholds.first + i
    if saturate and u < low[0]:
        return -OUTSIDE
    return OUTSIDE if saturate and u >= high[-1] else None


@pytest.mark.parametrize("saturate", [False, True])
@pytest.mark.parametrize(
    "thresholds",
    [
        thresholds_of(gaussian, 0.02, 255, 60),
        thresholds_of(cauchy, 0.1, 16, 40),
        thresholds_of(uniform, 0.3, 16, 5),
        Thresholds(-1, torch.tensor([0, 10, 10, 2**60]), torch.tensor([4, 11, 12, 2**60])),
        Thresholds(7, torch.tensor([2**59, 2**59 + 1]), torch.tensor([2**59, 2**59 + 1])),
    ],
)
def test_words_map_as_the_definition_says(thresholds: Thresholds, saturate: bool) -> None:
    rng = np.random.default_rng(0)
    ends = [*thresholds.low.tolist(), *thresholds.high.tolist(), 0, 2**60]
    close = {end + shift for end in ends for shift in (-2, -1, 0, 1) if 0 <= end + shift < 2**60}
    tried = [*sorted(close), *rng.integers(0, 2**60, 500).tolist()]
    integers, decided = mapped(Inversion(thresholds, saturate, CPU), [[u] for u in tried])
    for u, j, sure in zip(tried, integers[:, 0].tolist(), decided.tolist(), strict=True):
        wanted = expected(thresholds, u, saturate)
        assert sure == (wanted is not None) and j == (wanted or 0), u


@pytest.mark.parametrize(
    ("family", "cdf", "scale", "denominator", "reach"),
    [("gaussian", gaussian, 0.05, 255, 40), ("cauchy", cauchy, 0.3, 7, 60), ("uniform", uniform, 0.3, 16, 5)],
)
def test_thresholds_agree_with_the_distribution_at_high_precision(
    family: str, cdf: Cdf, scale: float, denominator: int, reach: int
) -> None:
    noise = Noise(family, 4, scale=scale)
    grid = GridNoise(noise, denominator)
    assert grid.enclosed and grid.missing is None
    made, wanted = grid.thresholds, thresholds_of(cdf, noise.scale, denominator, reach)
    assert made is not None
    offset = wanted.first - made.first
    low, high = (
        ends[max(offset, 0) : max(offset, 0) + len(wanted.low) + min(offset, 0)]
        for ends in (made.low, made.high)
    )
    skipped = max(-offset, 0)
    count = len(low)
    assert count >= 9
    assert bool((low <= wanted.high[skipped : skipped + count]).all())
    assert bool((wanted.low[skipped : skipped + count] <= high).all())
    assert int((high - low).max()) <= 2


def test_a_family_without_a_table_says_how_to_make_it() -> None:
    grid = GridNoise(Noise("generalized_normal", 4, sigma=0.5, p=1.234), 255)
    assert not grid.enclosed and grid.source == SAMPLED
    assert grid.missing is not None and "derive compile generalized_normal --cdf" in grid.missing


def test_one_undecided_coordinate_fails_the_whole_vote() -> None:
    thresholds = Thresholds(0, torch.tensor([0, 2**59, 2**60]), torch.tensor([0, 2**59 + 1, 2**60]))
    words = [[5, 7], [5, 2**59], [2**59 + 1, 5]]
    assert mapped(Inversion(thresholds, False, CPU), words)[1].tolist() == [True, False, True]


def test_integers_follow_their_probabilities() -> None:
    """Chi-square of 2^17 coordinates over 41 middle integers and the two sides."""
    integers, decided = drawn(GRID, 0, 2048)
    assert integers.dtype == torch.int32 and bool(decided.all())
    shares = probabilities(THRESHOLDS)
    found = torch.bincount(integers.flatten().clamp(-21, 21) + 21, minlength=43)
    inner = [shares[j] for j in range(-20, 21)]
    side = (1.0 - sum(inner)) / 2
    wanted = np.array([side, *inner, side]) * integers.numel()
    assert chisquare(found.numpy(), wanted * found.sum().item() / wanted.sum()).pvalue > 1e-4


@pytest.mark.parametrize("grid", [GRID, SPHERE], ids=["thresholds", "sampled"])
def test_a_votes_noise_is_its_own(grid: GridNoise) -> None:
    whole, _ = drawn(grid, 0, 640)
    assert whole.shape == (640, 64)
    for start, stop in ((0, 64), (128, 448), (576, 640)):
        assert torch.equal(drawn(grid, start, stop)[0], whole[start:stop])
    for change in ({"seed": 5}, {"index": 3}, {"purpose": "selection"}):
        assert not torch.equal(drawn(grid, 0, 640, **change)[0], whole)


def test_large_events_are_drawn_in_parts_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime import grid as module

    whole, _ = drawn(GRID, 64, 256)
    monkeypatch.setattr(module, "_AT_ONCE", {"cpu": 1000})
    assert torch.equal(drawn(GRID, 64, 256)[0], whole)


def test_noise_without_thresholds_is_rounded_after_sampling() -> None:
    assert SPHERE.source == SAMPLED and not SPHERE.enclosed
    assert GRID.enclosed and GRID.source == THRESHOLDS.digest
    integers, decided = drawn(SPHERE, 0, 4096)
    assert bool(decided.all())
    assert abs(integers.double().std().item() / 255 / 0.25 - 1) < 0.02


@pytest.mark.parametrize("denominator", [1, 7, 16, 255, 1000, 65535])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_quotient_is_the_float_closest_to_the_fraction(denominator: int, dtype: torch.dtype) -> None:
    total = torch.arange(-3000, 3000, dtype=torch.int32)[:, None]
    grid = GridNoise(Noise("exp_linf", 1, sigma=1.0), denominator)
    found = grid.noisy(torch.zeros(1, dtype=torch.int32), total, dtype).flatten().tolist()
    for k, value in zip(total.flatten().tolist(), found, strict=True):
        exact = Fraction(k, denominator)
        nearest = float(np.float32(k) / np.float32(denominator)) if dtype == torch.float32 else float(exact)
        assert value == nearest
    assert found == [
        grid.noisy(torch.tensor([k]), torch.zeros(1, 1), dtype).item() for k in total.flatten().tolist()
    ]


def test_the_sum_alone_decides_the_float() -> None:
    """Whatever m + j = s, in all ways to write s: one float."""
    m = torch.arange(256, dtype=torch.int32)
    grid = GridNoise(Noise("gaussian", 256, sigma=1.0), 255, THRESHOLDS)
    for total in (-300, -1, 0, 3, 128, 255, 400):
        assert len(torch.unique(grid.noisy(m, (total - m)[None], torch.float32))) == 1
    floats = m.float() / 255 + (128 - m).float() / 255
    assert len(torch.unique(floats)) > 1, "two floats would have leaked"


def test_heavy_tails_are_clipped_as_part_of_the_base_classifier() -> None:
    """Sums beyond the limit are one value, whichever integer beyond the thresholds was drawn, for every m up to 2q."""
    noise = Noise("cauchy", 4, scale=0.5)
    thresholds = thresholds_of(cauchy, 0.5, 16, 200)
    assert thresholds.tail > 0.01
    grid = GridNoise(noise, 16, thresholds)
    integers, decided = drawn(grid, 0, 6400)
    assert bool(decided.all()) and bool((integers == OUTSIDE).any()) and bool((integers == -OUTSIDE).any())
    limit = 200 + 1 - 32
    for m in (-32, 0, 16, 32):
        for j in (201, 500, OUTSIDE):
            row = torch.tensor([[j, -j, 0, 1]], dtype=torch.int32)
            clipped = grid.noisy(torch.full((4,), m, dtype=torch.int32), row, torch.float32)[0].tolist()
            assert clipped == [limit / 16, -limit / 16, m / 16, (m + 1) / 16]


def test_small_tails_and_tails_that_cannot_be_clipped_fail_their_votes(image: torch.Tensor) -> None:
    thresholds = thresholds_of(gaussian, GAUSSIAN.scale, 255, 120)  # 1.9 standard deviations
    grid = GridNoise(GAUSSIAN, 255, thresholds)
    decided = drawn(grid, 0, 640)[1]
    inside = (1.0 - thresholds.tail) ** 64
    assert abs(decided.double().mean().item() - inside) < 5 * (inside * (1 - inside) / 640) ** 0.5
    x = torch.round(image * 255) / 255
    votes = count_votes(
        lambda z: z.flatten(1)[:, :2],
        x,
        GAUSSIAN,
        2,
        seed=1,
        index=2,
        purpose="estimation",
        start=0,
        stop=640,
        grid=grid,
    )
    assert votes.n == 640 and votes.failed == int((~decided).sum()) > 0


def test_counts_do_not_depend_on_batches_or_ranges(model: torch.nn.Module, image: torch.Tensor) -> None:
    x = torch.round(image * 255) / 255

    def votes(grid: GridNoise, start: int, stop: int, batch_size: int = 1024) -> Votes:
        identity = {"seed": 1, "index": 4}
        return count_votes(
            model,
            x,
            grid.noise,
            10,
            **identity,
            purpose="estimation",
            start=start,
            stop=stop,
            batch_size=batch_size,
            grid=grid,
        )

    for grid in (GRID, SPHERE):
        whole = votes(grid, 0, 1500, 64)
        for batch_size in (1, 200, 1024, 5000):
            assert votes(grid, 0, 1500, batch_size) == whole
        assert votes(grid, 0, 640) + votes(grid, 640, 1500) == whole and whole.n == 1500


def test_inputs_on_and_off_the_grid() -> None:
    bytes_ = torch.arange(256)
    for x in (bytes_.float() / 255, bytes_.double() / 255, torch.from_numpy(np.arange(256) / 255.0).float()):
        assert numerators(x, 255).tolist() == bytes_.tolist()
    assert numerators(torch.tensor([-2.0, 2.0, -0.0]), 255).tolist() == [-510, 510, 0]
    off = torch.nextafter(torch.tensor([210 / 255]), torch.tensor([1.0]))
    with pytest.raises(ValueError, match=r"1 of 1 entries off the grid k/255.*210/255 is closest"):
        numerators(off, 255)
    for value in (0.3, 2.5, -2.1):
        with pytest.raises(ValueError, match="off the grid"):
            numerators(torch.tensor([value]), 16)


def test_the_grid_of_a_data_set_is_found() -> None:
    generator = torch.Generator().manual_seed(0)

    def images(levels: int) -> list[torch.Tensor]:
        return list(torch.randint(0, levels + 1, (5, 1, 8, 8), generator=generator).float() / levels)

    assert grid_of(images(255)) == 255 and grid_of(images(16)) == 256 and grid_of(images(1)) == 255
    assert grid_of(images(65535)) == 65535 and grid_of(images(31)) == 279 and grid_of(images(1000)) == 1000
    assert grid_of([torch.rand((1, 8, 8), generator=generator)]) is None
    assert grid_of([*images(255), torch.full((1, 8, 8), 0.3)]) is None and grid_of([]) is None


def test_bad_denominators_and_thresholds_are_refused() -> None:
    for value in (0, -1, 65536, 2.0, True, "255", None):
        with pytest.raises(ValueError, match="denominator in"):
            check_denominator(value)
    good = torch.tensor([0, 5, 2**60])
    for low, high in (
        (torch.tensor([0, 6, 5]), good),
        (good, torch.tensor([0, 4, 2**60])),
        (good, torch.tensor([0, 5, 2**60 + 1])),
        (good.int(), good.int()),
        (good[:1], good[:1]),
    ):
        with pytest.raises(ValueError, match="increasing"):
            Thresholds(0, low, high)
