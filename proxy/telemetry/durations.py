"""Durations by bucket, each bucket with the last exchange in it that was traced."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.telemetry.place import PLACE


class Example(NamedTuple):
    """One measured value (seconds) of a sampled exchange; ids in hex, `at` in nanoseconds of Unix time."""

    seconds: float
    trace_id: str
    span_id: str
    at: int


@dataclass(slots=True)
class Durations:
    """`bounds` are upper bounds in seconds; `counts` has one more, for what is over the last."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    sum: float = 0.0
    examples: dict[int, Example] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float, at: int) -> None:
        """`at` as in `Example`. A bucket's upper bound belongs to it, in Prometheus and in OpenTelemetry alike."""
        bucket = bisect_left(self.bounds, seconds)
        self.counts[bucket] += 1
        self.sum += seconds
        place = PLACE.get()
        if place is not None and place.sampled:
            self.examples[bucket] = Example(seconds, place.trace_id, place.span_id, at)

    def absorb(self, counts: Sequence[int], seconds: float, examples: Mapping[int, Example]) -> None:
        """Add what was measured elsewhere with the same bounds: `seconds` in all."""
        for bucket, count in enumerate(counts[: len(self.counts)]):
            self.counts[bucket] += count
        self.sum += seconds
        self.examples.update({bucket: one for bucket, one in examples.items() if bucket < len(self.counts)})
