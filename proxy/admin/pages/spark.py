"""The last hours of a domain as a small picture, and the same in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 3, 24
"""Of one bar, in the units of the picture; a third of the width is the gap to the next."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of time: `top` and `height` of all, and of what differed or failed in it, from the bottom up."""

    x: int
    all_height: float
    diff_height: float
    fail_height: float


@dataclass(frozen=True, slots=True)
class Spark:
    """`text` says what the bars show."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    text: str


def spark(history: Sequence[Mapping[str, Any]], *, proven: bool = True) -> Spark:
    """Of buckets with `comparisons`, `diffs` and `failed`, oldest first. Unless `proven`, none that differed says
    nothing."""
    most = max((one["comparisons"] + one["failed"] for one in history), default=0)
    bars = []
    for place, one in enumerate(history):
        whole = one["comparisons"] + one["failed"]
        if whole:
            bars.append(
                Bar(
                    place * WIDTH,
                    _height(whole, most),
                    _height(one["diffs"], most),
                    _height(one["failed"], most),
                )
            )
    compared, diffs, failed = (sum(one[name] for one in history) for name in ("comparisons", "diffs", "failed"))
    differed = f"{diffs:,} differed" if proven or diffs else "unproven"
    text = f"{compared:,} compared, {differed}, {failed:,} failed"
    return Spark(tuple(bars), max(1, len(history)) * WIDTH, HEIGHT, text)


def _height(count: int, most: int) -> float:
    """At least a unit for anything at all: one diff among thousands is to be seen."""
    return round(max(1.0, HEIGHT * count / most), 2) if count else 0.0
