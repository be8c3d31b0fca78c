"""What processes hold of memory over time, and whether it grows. Pure but for reading /proc."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from scipy import stats

MIB = 1024 * 1024
BLOCKS = 60
"""The time behind the warm-up is cut into so many parts; a part counts as its median, so that a peak is no trend."""
_FIELD = re.compile(r"^(Rss|Pss|Private_Clean|Private_Dirty): +(\d+) kB$", re.MULTILINE)
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes of one process, or of several: resident, its share of what is shared, and what is its alone."""

    rss: int = 0
    pss: int = 0
    uss: int = 0

    def __add__(self, other: Held) -> Held:
        return Held(self.rss + other.rss, self.pss + other.pss, self.uss + other.uss)


def held_by(pid: int) -> Held:
    """What a process holds now, by /proc/PID/smaps_rollup; nothing when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return Held()
    found = {name: int(size) * 1024 for name, size in _FIELD.findall(text)}
    return Held(found.get("Rss", 0), found.get("Pss", 0), found.get("Private_Clean", 0) + found.get("Private_Dirty", 0))


@dataclass(frozen=True, slots=True)
class Slope:
    """Bytes an hour that memory grows by, with its 95 % confidence interval."""

    per_hour: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.per_hour / MIB:+.2f} ({self.low / MIB:+.2f} to {self.high / MIB:+.2f}) MiB/h"


@dataclass(slots=True)
class Series:
    """What one process held, by seconds since the load began."""

    name: str
    at: list[float] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def add(self, at: float, held: Held) -> None:
        self.at.append(at)
        self.held.append(held)

    def after(self, warm_up: float) -> list[tuple[float, Held]]:
        return [(at, held) for at, held in zip(self.at, self.held, strict=True) if at >= warm_up]

    @property
    def peak(self) -> int:
        """Most bytes resident at any moment."""
        return max((held.rss for held in self.held), default=0)

    def slope(self, warm_up: float) -> Slope | None:
        """Of what is the process's own, behind the warm-up; None for fewer than three parts."""
        return slope_of([(at, held.uss) for at, held in self.after(warm_up)])


def slope_of(samples: Sequence[tuple[float, int]], blocks: int = BLOCKS) -> Slope | None:
    """A least-squares line through the medians of `blocks` equal stretches of time, bytes by seconds.

    The interval is Student's for a slope. Medians of neighbouring stretches are not quite independent, so that it is
    rather too narrow than too wide.
    """
    points = list(_medians(samples, blocks))
    if len(points) < 3:
        return None
    line = stats.linregress([at for at, _ in points], [size for _, size in points])
    half = float(line.stderr) * float(stats.t.ppf(0.975, len(points) - 2))
    hours = 3600.0
    return Slope(float(line.slope) * hours, (float(line.slope) - half) * hours, (float(line.slope) + half) * hours)


def _medians(samples: Sequence[tuple[float, int]], blocks: int) -> Iterable[tuple[float, float]]:
    if not samples:
        return
    begin, end = samples[0][0], samples[-1][0]
    width = (end - begin) / blocks or 1.0
    parts: dict[int, list[tuple[float, int]]] = {}
    for at, size in samples:
        parts.setdefault(min(blocks - 1, int((at - begin) / width)), []).append((at, size))
    for part in parts.values():
        yield statistics.fmean(at for at, _ in part), statistics.median(size for _, size in part)


def sparkline(series: Series, width: int = 60) -> str:
    """Resident memory over the whole run in one line of text, from its least to its most."""
    points = [
        size for _, size in _medians([(at, held.rss) for at, held in zip(series.at, series.held, strict=True)], width)
    ]
    low, high = min(points, default=0.0), max(points, default=0.0)
    span = high - low or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int((size - low) / span * len(_BARS)))] for size in points)


def svg(all_series: Sequence[Series], warm_up: float, budget: int) -> str:
    """A picture of resident memory over time, one line for each process, the warm-up shaded."""
    width, height, left, bottom = 800, 300, 70, 30
    last = max((series.at[-1] for series in all_series if series.at), default=1.0) or 1.0
    top = _round_up(1.15 * max((series.peak for series in all_series), default=MIB) / MIB)
    colours = ("#1f6feb", "#d29922", "#2da44e", "#8250df")

    def x(at: float) -> float:
        return left + at / last * (width - left - 10)

    def y(mebibytes: float) -> float:
        return (height - bottom) * (1 - mebibytes / top) + 10 * mebibytes / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="resident memory over time">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<rect x="{x(0):.0f}" y="10" width="{x(min(warm_up, last)) - x(0):.0f}" height="{height - bottom - 10}" '
        f'fill="#eef1f4"/>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at, size = last * share, top * share
        told = f"{at / 60:.0f} min" if last >= 240 else f"{at:.0f} s"
        anchor = "end" if share == 1 else "middle"
        parts.append(f'<text x="{x(at):.0f}" y="{height - 10}" text-anchor="{anchor}">{told}</text>')
        parts.append(f'<line x1="{left}" x2="{width - 10}" y1="{y(size):.0f}" y2="{y(size):.0f}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{left - 6}" y="{y(size) + 4:.0f}" text-anchor="end">{size:.0f} MiB</text>')
    for number, series in enumerate(all_series):
        colour = colours[number % len(colours)]
        whole = [(at, held.rss) for at, held in zip(series.at, series.held, strict=True)]
        points = " ".join(f"{x(at):.1f},{y(size / MIB):.1f}" for at, size in _medians(whole, 240))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>')
        parts.append(f'<text x="{left + 240 + 70 * number}" y="24" fill="{colour}">{escape(series.name)}</text>')
    parts.append(
        f'<text x="{left + 4}" y="24" fill="#57606a">grey: warm-up; budget {budget / MIB:,.0f} MiB</text></svg>'
    )
    return "\n".join(parts)


def _round_up(value: float) -> float:
    step = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return math.ceil(value / step * 2) / 2 * step
