"""Certified accuracy against radius, and the distribution of p_A, as pictures; no other file draws."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from runtime.numerals import shortest
from runtime.report.effort import vote_shares
from runtime.report.envelope import Envelope
from runtime.report.run import NORM_NAMES
from runtime.report.testset import DELTA, envelope_shares

FloatArray = npt.NDArray[np.float64]

# Okabe and Ito's palette without yellow: told apart with any colour vision. Line styles differ as well.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STYLES: tuple[object, ...] = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5, 1, 1.5)))
_BOUNDS = 120
"""Points at which a band of lower bounds is computed, at most."""
_SHADED = 2
"""Noises up to which bands are drawn: more would lie over each other."""
_PANELS = {1: 1, 2: 2, 4: 2}
"""Panels beside each other by number of noises; otherwise three."""


@dataclass(frozen=True)
class Picture:
    """One picture in two formats; the same input gives the same bytes."""

    png: bytes
    svg: bytes


def curve_picture(envelopes: Sequence[Envelope], adversary: str, delta: float = DELTA) -> Picture:
    """One picture of all noises: a strong line for each envelope over σ, a thin one for each run.

    With one or two noises, the shade under a line reaches down to the lower bound for all inputs of the same source.

    Args:
        envelopes: one a noise, all against `adversary`, at least one.
        adversary: "1", "2" or "inf".
        delta: failure probability of the lower bounds.

    Returns:
        A PNG of about 1,500 by 950 pixels, and an SVG.
    """
    norm = {"1": "ℓ₁", "2": "ℓ₂", "inf": "ℓ∞"}[adversary]
    figure = Figure(figsize=(7.6, 4.8), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    largest = 0.0
    for number, envelope in enumerate(envelopes):
        colour = _COLOURS[number % len(_COLOURS)]
        if len(envelope.runs) > 1:
            for run in envelope.runs:
                radii, accuracy = _steps(Envelope(envelope.noise, (run,)))
                axes.step(radii, accuracy, where="pre", color=colour, linewidth=0.7, alpha=0.4)
        radii, accuracy = _steps(envelope)
        largest = max(largest, float(radii[-1]))
        axes.step(
            radii,
            accuracy,
            where="pre",
            color=colour,
            linestyle=_STYLES[number % len(_STYLES)],
            linewidth=2.2,
            label=_label(envelope),
        )
        if len(envelopes) <= _SHADED:
            _shade(axes, envelope, colour, delta)
    axes.set_xlim(0.0, largest * 1.03 or 1.0)
    axes.set_ylim(0.0, 1.02)
    axes.set_xlabel(f"{norm} radius (input units)")
    axes.set_ylabel("certified accuracy")
    axes.set_title(f"Certified accuracy against {norm} perturbations", fontsize=11)
    _plain(axes)
    several = any(len(envelope.runs) > 1 for envelope in envelopes)
    title = "upper envelope over σ (thin: one σ)" if several else None
    axes.legend(title=title, fontsize=9, title_fontsize=8, frameon=True, framealpha=0.9, loc="upper right")
    return _picture(figure, f"Certified accuracy against {NORM_NAMES[adversary]} perturbations")


def votes_picture(envelopes: Sequence[Envelope]) -> Picture | None:
    """The distribution of p_A over the inputs, one panel a noise and one line a run.

    Args:
        envelopes: one a noise.

    Returns:
        The picture; None where no run states its votes.
    """
    shown = [envelope for envelope in envelopes if any(len(vote_shares(run)) for run in envelope.runs)]
    if not shown:
        return None
    columns = _PANELS.get(len(shown), 3)
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(7.6, 0.4 + 2.5 * rows), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number >= len(shown):
            axes.set_visible(False)
            continue
        envelope = shown[number]
        for place, run in enumerate(envelope.runs):
            shares = vote_shares(run)
            if len(shares):
                axes.step(
                    np.concatenate([[0.0], shares, [1.0]]),
                    np.concatenate([np.arange(len(shares) + 1), [len(shares)]]) / len(shares),
                    where="post",
                    color=_COLOURS[place % len(_COLOURS)],
                    linestyle=_STYLES[place % len(_STYLES)],
                    linewidth=1.4,
                    label=run.name if run.sigma is None else f"σ = {shortest(run.sigma)}",
                )
        axes.axvline(0.5, color="#777777", linewidth=0.8, linestyle=":")
        axes.set_title(envelope.noise, fontsize=9)
        axes.tick_params(labelbottom=True, labelsize=8)
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(0.0, 1.02)
        axes.legend(fontsize=7, frameon=True, framealpha=0.9, loc="upper left")
        _plain(axes)
    figure.supxlabel("share of the most frequent class among the votes", fontsize=9)
    figure.supylabel("share of inputs with at most that", fontsize=9)
    return _picture(figure, "Distribution of the share of the most frequent class")


def bar_picture(groups: Mapping[str, Mapping[str, float]], axis: str) -> Picture:
    """Bars side by side, with their values, in groups.

    Args:
        groups: heights by name of the bar, by name of the group; the same bars in every group, at least one.
        axis: what the heights are.
    """
    figure = Figure(figsize=(7.6, 3.8), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bars = list(next(iter(groups.values())))
    width = 0.8 / len(bars)
    for place, bar in enumerate(bars):
        middles = np.arange(len(groups)) + (place - (len(bars) - 1) / 2) * width
        heights = [group[bar] for group in groups.values()]
        drawn = axes.bar(middles, heights, 0.92 * width, color=_COLOURS[place % len(_COLOURS)], label=bar)
        axes.bar_label(drawn, fmt="%.2f", fontsize=8, padding=2)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_ylabel(axis, fontsize=9)
    axes.margins(y=0.12)
    axes.legend(fontsize=8)
    _plain(axes)
    return _picture(figure, axis)


def _shade(axes: Axes, envelope: Envelope, colour: str, delta: float) -> None:
    """The band between an envelope and its lower bound, at no more than `_BOUNDS` radii.

    A bound is drawn back to the point before it, where it holds as well: certified accuracy falls with the radius.
    """
    radii, accuracy = envelope.curve()
    points = np.unique(np.linspace(0, len(radii) - 1, min(_BOUNDS, len(radii))).astype(int))
    bounds = [envelope_shares(envelope, float(radii[point]), delta).population for point in points]
    known = [float(bound) for bound in bounds if bound is not None]
    if len(known) == len(points):
        below = np.array(known)[np.searchsorted(points, np.arange(len(radii)))]
        axes.fill_between(radii, below, accuracy, step="pre", color=colour, alpha=0.10, linewidth=0)


def _plain(axes: Axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _picture(figure: Figure, caption: str) -> Picture:
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", metadata={"Title": caption, "Software": None})
    with matplotlib.rc_context({"svg.hashsalt": "certified"}):  # names inside the file, else drawn at random
        figure.savefig(svg, format="svg", metadata={"Title": caption, "Creator": None, "Date": None})
    return Picture(png.getvalue(), svg.getvalue())


def _label(envelope: Envelope) -> str:
    sigmas = [run.sigma for run in envelope.runs if run.sigma is not None]
    if not sigmas:
        return envelope.noise
    return f"{envelope.noise}, σ = {', '.join(shortest(sigma) for sigma in sigmas)}"


def _steps(envelope: Envelope) -> tuple[FloatArray, FloatArray]:
    """The step curve, let down at its last radius to what holds beyond it (0, but for infinite radii)."""
    radii, accuracy = envelope.curve()
    return np.append(radii, radii[-1]), np.append(accuracy, float(envelope.best(math.inf)[0]))
