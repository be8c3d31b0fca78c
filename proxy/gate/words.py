"""How figures are put into sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

NAMED = 10
"""How many things a sentence names before it says how many more there are."""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def number(count: int, noun: str, several: str = "") -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {several or noun + 's'}"


def rate(value: float) -> str:
    return f"{value:.4g}"


def percent(value: float) -> str:
    """Rounded down, so that what is not whole never reads as 100 %."""
    return f"{int(value * 1_000) / 10:g} %"


def span(seconds: float) -> str:
    """A duration in its two largest units: `3 h 20 min`. Under a second in milliseconds."""
    if 0 < seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    left = int(seconds)
    parts = []
    for size, unit in _UNITS:
        if count := left // size:
            parts.append(f"{count} {unit}")
        left %= size
    return " ".join(parts[:2]) or "0 s"


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def listed(texts: Iterable[str], joint: str = ", ", total: int = 0) -> str:
    """The first ones, and how many more there are; `total` where not all are in `texts`."""
    every = list(texts)
    more = max(total, len(every)) - len(every[:NAMED])
    return joint.join(every[:NAMED]) + (f" and {more:,} more" if more else "")


def clause(sentence: str) -> str:
    """A sentence as a part of another one: without its full stop."""
    return sentence.strip().rstrip(".")
