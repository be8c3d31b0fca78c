"""What has been counted since it was last asked for, so that the counts of several processes can be added up.

Counts travel as increments: a worker that dies takes none of them with it, and one that begins anew starts at nothing.
Figures that are asked for (how many wait, how many are known) travel as they are. Pure but for reading the figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.telemetry import Figures
from proxy.telemetry.durations import Example
from proxy.telemetry.figures import Labels

MOST_SERIES = 20_000
"""Of one message; what is over is told with the next."""


@dataclass(frozen=True, slots=True)
class TimingIncrement:
    """What was added to one histogram: `counts` per bucket, `seconds` in all, and the newest example of each bucket."""

    name: str
    labels: Labels
    counts: tuple[int, ...]
    seconds: float
    examples: dict[int, Example]


@dataclass(frozen=True, slots=True)
class Increments:
    """`counters` are what was added, `gauges` are what is; both by name and label values."""

    counters: tuple[tuple[str, Labels, float], ...]
    gauges: tuple[tuple[str, Labels, float], ...]
    timings: tuple[TimingIncrement, ...]


class Watch:
    """Remembers what was told of one process's figures."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, Labels], float] = {}
        self._timings: dict[tuple[str, Labels], tuple[tuple[int, ...], float]] = {}

    def since(self, figures: Figures) -> Increments:
        """What has changed since the last call. A count that went back was begun anew."""
        room = MOST_SERIES
        counters, gauges, timings = [], [], []
        for gauge in figures.gauges():
            for labels, value in gauge.read().items():
                if room <= 0:
                    break
                if not gauge.counter:
                    gauges.append((gauge.name, labels, float(value)))
                    room -= 1
                elif value != (old := self._counters.get((gauge.name, labels), 0.0)):
                    self._counters[gauge.name, labels] = value
                    counters.append((gauge.name, labels, float(value - old if value > old else value)))
                    room -= 1
        for timing in figures.timings():
            for labels, found in timing.series.items():
                counts, seconds = tuple(found.counts), found.sum
                old_counts, old_seconds = self._timings.get((timing.name, labels), ((0,) * len(counts), 0.0))
                if counts == old_counts:
                    continue
                if any(new < old for new, old in zip(counts, old_counts, strict=True)):
                    old_counts, old_seconds = (0,) * len(counts), 0.0
                self._timings[timing.name, labels] = counts, seconds
                grown = tuple(new - old for new, old in zip(counts, old_counts, strict=True))
                examples = {bucket: one for bucket, one in found.examples.items() if grown[bucket]}
                timings.append(TimingIncrement(timing.name, labels, grown, seconds - old_seconds, examples))
        return Increments(tuple(counters), tuple(gauges), tuple(timings))


def merged(one: Iterable[tuple[Labels, float]], name: str) -> dict[Labels, float]:
    """A gauge of all processes: the sum, unless `LEAST` or `MOST` names it."""
    found: dict[Labels, float] = {}
    join = min if name in LEAST else max if name in MOST else float.__add__
    for labels, value in one:
        old = found.get(labels)
        found[labels] = value if old is None else join(old, value)
    return found


LEAST = frozenset({"shadowread.ledger.recording", "shadowread.share"})
"""All is well only where it is with every process."""
MOST = frozenset({"shadowread.build.info", "shadowread.ids.conflicts", "shadowread.ids.known"})
"""What every process knows of the same thing by itself: adding it up would count it several times."""
