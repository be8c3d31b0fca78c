"""What rounds of latencies say: quantiles, contenders held against each other round by round, and how sure that is."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

RESAMPLES = 4_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Round:
    """One contender's part of one pass. Times in milliseconds, sorted; `verdicts` is empty where nothing is verified.

    `busy` is the share of its core that the proxy's process used, None without a proxy.
    """

    latencies: Sequence[float]
    lags: Sequence[float]
    verdicts: Mapping[str, int] = field(default_factory=dict)
    busy: float | None = None

    def at(self, share: float) -> float:
        return quantile(self.latencies, share)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median over the passes, with the bounds between which it lies in 95 of 100 draws of as many passes."""

    value: float
    low: float
    high: float


def quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank: the least value that at least `share` of all are not above."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def estimate(values: Sequence[float]) -> Estimate:
    """The median of `values` with its percentile bootstrap (Efron and Tibshirani, 1993, chapter 13)."""
    draw = random.Random(7)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    return Estimate(statistics.median(values), quantile(medians, tail), quantile(medians, 1 - tail))


def over(rounds: Sequence[Round], share: float) -> Estimate:
    """A quantile of each round, over all rounds."""
    return estimate([one.at(share) for one in rounds])


def added(rounds: Sequence[Round], base: Sequence[Round], share: float) -> Estimate:
    """Milliseconds that a quantile lies above that of `base` in the same pass."""
    return _held(rounds, base, lambda one, other: one.at(share) - other.at(share))


def ratio(rounds: Sequence[Round], base: Sequence[Round], share: float) -> Estimate:
    """How many times as long a quantile is as that of `base` in the same pass."""
    return _held(rounds, base, lambda one, other: one.at(share) / other.at(share))


def pooled(rounds: Sequence[Round], share: float) -> float:
    """The quantile of all requests of all rounds together."""
    return quantile(sorted(value for one in rounds for value in one.latencies), share)


def _held(rounds: Sequence[Round], base: Sequence[Round], by: Callable[[Round, Round], float]) -> Estimate:
    return estimate([by(one, other) for one, other in zip(rounds, base, strict=True)])
