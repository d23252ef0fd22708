"""Certified accuracy against radius as a picture; no other file draws."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from runtime.numerals import shortest
from runtime.report.envelope import Envelope
from runtime.report.run import NORM_NAMES

FloatArray = npt.NDArray[np.float64]

# Okabe and Ito's palette without yellow: told apart with any colour vision. Line styles differ as well.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STYLES: tuple[object, ...] = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5, 1, 1.5)))


def curve_png(envelopes: Sequence[Envelope], adversary: str) -> bytes:
    """One picture of all noises: a strong line for each envelope over σ, a thin one for each run.

    Args:
        envelopes: one a noise, all against `adversary`, at least one.
        adversary: "1", "2" or "inf".

    Returns:
        A PNG file of about 1,500 by 950 pixels; the same input gives the same bytes.
    """
    norm = {"1": "ℓ₁", "2": "ℓ₂", "inf": "ℓ∞"}[adversary]
    figure = Figure(figsize=(7.6, 4.8), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    largest = 0.0
    for number, envelope in enumerate(envelopes):
        colour = _COLOURS[number % len(_COLOURS)]
        style = _STYLES[number % len(_STYLES)]
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
            linestyle=style,
            linewidth=2.2,
            label=_label(envelope),
        )
    axes.set_xlim(0.0, largest * 1.03 or 1.0)
    axes.set_ylim(0.0, 1.02)
    axes.set_xlabel(f"{norm} radius (input units)")
    axes.set_ylabel("certified accuracy")
    axes.set_title(f"Certified accuracy against {norm} perturbations", fontsize=11)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    several = any(len(envelope.runs) > 1 for envelope in envelopes)
    title = "upper envelope over σ (thin: one σ)" if several else None
    axes.legend(title=title, fontsize=9, title_fontsize=8, frameon=True, framealpha=0.9, loc="upper right")
    buffer = io.BytesIO()
    caption = f"Certified accuracy against {NORM_NAMES[adversary]} perturbations"
    figure.savefig(buffer, format="png", metadata={"Title": caption, "Software": None})
    return buffer.getvalue()


def _label(envelope: Envelope) -> str:
    sigmas = [run.sigma for run in envelope.runs if run.sigma is not None]
    if not sigmas:
        return envelope.noise
    return f"{envelope.noise}, σ = {', '.join(shortest(sigma) for sigma in sigmas)}"


def _steps(envelope: Envelope) -> tuple[FloatArray, FloatArray]:
    """The step curve, let down at its last radius to what holds beyond it (0, but for infinite radii)."""
    radii, accuracy = envelope.curve()
    return np.append(radii, radii[-1]), np.append(accuracy, float(envelope.best(math.inf)[0]))
