"""Line charts as SVG text that is the same to the byte on every machine.

Only this arithmetic decides the bytes: no font is measured, no library draws. Numbers are first rounded to nine significant
digits, so that the last digits of a mathematical library do not show, and coordinates then to hundredths of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Tick = tuple[float, str]

# Okabe and Ito's palette without yellow: told apart with any colour vision. The dashes differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("", "7 3", "2 2", "9 3 2 3", "14 4")
GREY = "#888888"

LEFT, RIGHT, TOP, BOTTOM = 62, 26, 62, 50
LINE = 16
"""Height of a line of text, in pixels."""


@dataclass(frozen=True)
class Line:
    """A polyline through (x, y) in data units; it has no point where x or y is not finite."""

    label: str
    x: FloatArray
    y: FloatArray
    colour: str
    dash: str = ""
    note: str = ""
    """Shown behind the label in a legend beside the chart."""

    def __post_init__(self) -> None:
        if self.x.shape != self.y.shape or self.x.ndim != 1:
            raise ValueError(f"a line needs as many x as y, not {self.x.shape} and {self.y.shape}")


@dataclass(frozen=True)
class Axis:
    """A linear axis from low to high with its name and ticks."""

    name: str
    low: float
    high: float
    ticks: tuple[Tick, ...]

    def __post_init__(self) -> None:
        if not self.low < self.high or not math.isfinite(self.high - self.low):
            raise ValueError(f"an axis needs low < high, not {self.low!r} and {self.high!r}")

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Panel:
    """One chart: title, axes, lines in drawing order, and where its legend stands: above it, or in a column at its right."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    width: int = 330
    height: int = 232
    beside: int = 0
    """Width of the legend's column; 0 for a row above the chart."""
    heading: str = ""
    """Head of the column of notes in a legend beside the chart."""

    @property
    def total_width(self) -> int:
        return LEFT + self.width + RIGHT + self.beside


def plain_ticks(low: float, high: float, most: int = 6) -> tuple[Tick, ...]:
    """At most `most` + 1 round numbers between low and high, as ticks."""
    raw = rounded(high - low) / most
    power = math.floor(math.log10(raw))
    step = (
        next(s for s in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0) if s * 10.0**power >= raw * (1 - 1e-9)) * 10.0**power
    )
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((k * step, f"{k * step:.10g}") for k in range(first, last + 1))


def axis_from_zero(name: str, highest: float) -> Axis:
    """A vertical axis from 0 to a round number at or above the highest value."""
    highest = rounded(highest) if highest > 0 and math.isfinite(highest) else 1.0
    ticks = plain_ticks(0.0, highest)
    step = ticks[1][0]
    top = step * math.ceil(highest / step - 1e-9)
    return Axis(name, 0.0, top, plain_ticks(0.0, top))


def decade_axis(name: str, lowest: float, highest: float) -> Axis:
    """A vertical axis for log10 of positive values, from a round number at or below the lowest to one at or above the highest."""
    numbers = [
        m * 10.0**k
        for k in range(math.floor(math.log10(lowest)) - 1, math.ceil(math.log10(highest)) + 1)
        for m in (1, 2, 5)
    ]
    first = max(n for n in numbers if n <= rounded(lowest) * (1 + 1e-9))
    last = min(n for n in numbers if n > first and n >= rounded(highest) * (1 - 1e-9))
    shown = [n for n in numbers if first <= n <= last]
    if len(shown) > 10:
        shown = [n for n in shown if f"{n:e}".startswith("1.0")]
    return Axis(name, math.log10(first), math.log10(last), tuple((math.log10(n), f"{n:.10g}") for n in shown))


def rounded(value: float) -> float:
    """Nine significant digits: what platforms agree on."""
    return float(f"{value:.9g}")


def _pixels(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, extra: str = "") -> str:
    return f'<text x="{_pixels(x)}" y="{_pixels(y)}" text-anchor="{anchor}" font-size="{size}"{extra}>{escape(text)}</text>'


def svg(title: str, panels: Sequence[Panel], notes: Sequence[str] = ()) -> str:
    """The panels side by side under a title, with lines of notes below; at most a few tens of kilobytes.

    Args:
        title: one line, also the picture's accessible name.
        panels: from left to right.
        notes: lines of small text under the panels.
    """
    width = sum(panel.total_width for panel in panels)
    plot_bottom = TOP + max(max(p.height, (1 + len(p.lines)) * LINE if p.beside else 0) for p in panels)
    height = plot_bottom + BOTTOM + LINE * len(notes)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="DejaVu Sans, Verdana, Arial, sans-serif" fill="#222222" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(width / 2, 20, title, anchor="middle", size=14, extra=' font-weight="bold"'),
    ]
    left = 0.0
    for number, panel in enumerate(panels):
        out += _panel(panel, left, plot_bottom, number)
        left += panel.total_width
    for number, note in enumerate(notes):
        out.append(_text(12, plot_bottom + BOTTOM + LINE * number, note, size=11, extra=' fill="#555555"'))
    return "\n".join([*out, "</svg>"]) + "\n"


def _panel(panel: Panel, offset: float, bottom: int, number: int) -> list[str]:
    left, right, top = offset + LEFT, offset + LEFT + panel.width, TOP
    height = bottom - top
    out = [
        _text((left + right) / 2, 40, panel.title, anchor="middle", size=12),
        f'<clipPath id="c{number}"><rect x="{_pixels(left)}" y="{top}" width="{panel.width}" height="{height}"/></clipPath>',
    ]
    grid = []
    for value, label in panel.x.ticks:
        at = left + panel.width * panel.x.share(value)
        grid.append(f"M{_pixels(at)} {bottom}V{top}")
        out.append(_text(at, bottom + LINE, label, anchor="middle", size=11))
    for value, label in panel.y.ticks:
        at = bottom - height * panel.y.share(value)
        grid.append(f"M{_pixels(left)} {_pixels(at)}H{_pixels(right)}")
        out.append(_text(left - 6, at + 4, label, anchor="end", size=11))
    out.append(f'<path d="{"".join(grid)}" stroke="#dddddd" fill="none"/>')
    out.append(f'<path d="M{_pixels(left)} {top}V{bottom}H{_pixels(right)}" stroke="#222222" fill="none"/>')
    out.append(_text((left + right) / 2, bottom + 36, panel.x.name, anchor="middle"))
    middle = f"{_pixels(offset + 15)} {_pixels((top + bottom) / 2)}"
    out.append(
        _text(0, 0, panel.y.name, anchor="middle", extra=f' transform="translate({middle}) rotate(-90)"')
    )
    out.append(f'<g clip-path="url(#c{number})" fill="none" stroke-width="2" stroke-linejoin="round">')
    for line in panel.lines:
        points = [
            (left + panel.width * panel.x.share(rounded(x)), bottom - height * panel.y.share(rounded(y)))
            for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True)
            if math.isfinite(x) and math.isfinite(y)
        ]
        # The clip hides what lies outside; far outside it is held, because viewers compute in single precision.
        far = 100.0 * height
        drawn = " ".join(f"{_pixels(x)},{_pixels(min(max(y, -far), far))}" for x, y in points)
        out.append(f'<polyline points="{drawn}"{_stroke(line)}/>')
    out.append("</g>")
    return out + (_legend_beside(panel, right) if panel.beside else _legend_above(panel, left))


def _stroke(line: Line) -> str:
    return f' stroke="{line.colour}"' + (f' stroke-dasharray="{line.dash}"' if line.dash else "")


def _legend_above(panel: Panel, left: float) -> list[str]:
    out, at = [], left
    for line in panel.lines:
        out.append(f'<path d="M{_pixels(at)} 52H{_pixels(at + 24)}" stroke-width="2"{_stroke(line)}/>')
        out.append(_text(at + 29, 56, line.label, size=11))
        at += 29 + 7 * len(line.label) + 16
    return out


def _legend_beside(panel: Panel, right: float) -> list[str]:
    at, far = right + RIGHT, right + RIGHT + panel.beside - 14
    out = [_text(far, TOP, panel.heading, anchor="end", size=11)]
    for number, line in enumerate(panel.lines):
        y = TOP + LINE * (number + 1)
        out.append(f'<path d="M{_pixels(at)} {y - 4}H{_pixels(at + 30)}" stroke-width="2"{_stroke(line)}/>')
        out.append(_text(at + 36, y, line.label, size=11))
        out.append(_text(far, y, line.note, anchor="end", size=11))
    return out
