"""The nouns of a domain's evidence window: what it is made of, apart from the counts of verdicts. All are frozen.

A window belongs to one set of effective rules and one state of both sides, as far as they report it; when one of them
changes, a new window begins with nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import log2
from typing import Literal

RULES = "rules"
"""The part of a window's identity that is the fingerprint of everything configured that decides a comparison."""

Check = Literal["health", "scans", "canary"]
Proof = Literal["proven", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Window:
    """One epoch of a domain. `parts` is what its evidence belongs to: `rules`, `primary`, `shadow`, each a short text.

    A part that is not known yet is absent: a side that has not reported. `why` tells what began the window.
    """

    id: str
    domain: str
    parts: Mapping[str, str]
    started_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Watch:
    """A stretch of time in which the domain was watched without a break; `why` is what the break before it was."""

    began: datetime
    ended: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long reads of one side took: counts by `bucket_of`."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def quantile(self, share: float) -> float | None:
        """Seconds that `share` (0 to 1) of the reads took at most, rounded up to their bucket; None without any."""
        total = self.total
        if not total:
            return None
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= share * total:
                return bucket_top(bucket)
        return bucket_top(max(self.counts))


BUCKETS_PER_DOUBLING = 8
"""Buckets grow by 2**(1/8): a quantile is at most 9.1 % above the true one."""
MOST_BUCKETS = 8 * 32
"""The last bucket holds everything from 2**32 microseconds (72 minutes) on."""


def bucket_of(seconds: float) -> int:
    """The bucket of a duration: 0 for up to a microsecond, then eight a doubling."""
    us = seconds * 1e6
    if us <= 1:
        return 0
    exact = log2(us) * BUCKETS_PER_DOUBLING
    bucket = int(exact)
    return min(bucket if bucket == exact else bucket + 1, MOST_BUCKETS)


def bucket_top(bucket: int) -> float:
    """The longest duration of a bucket in seconds."""
    return float(2 ** (bucket / BUCKETS_PER_DOUBLING) / 1e6)


@dataclass(frozen=True, slots=True)
class FieldCount:
    """One path pattern of a route's compared JSON bodies, over the `looked` bodies that were looked at.

    `present` had it on both sides, `null` and `empty` (`""`, `[]`, `{}`) had that on both, `valued` bore a value that
    says something on both sides. A field whose `valued` is 0 has not been verified.
    """

    route: str
    path: str
    looked: int
    present: int
    null: int
    empty: int
    valued: int


@dataclass(frozen=True, slots=True)
class DamageCount:
    """How often damage of one sort at one path pattern was tried and seen, and the rule that hid what was not.

    `damage` names the sort (`number`, `decimal`, `date`, `text`, `boolean`, `id`, `null`, `drop`, `add`,
    `drop_element`, `repeat_element`, `swap_elements`; beside the body `status` and `header`). `rule` is the kind and
    path of a rule as they are written (`ignore $..amount`), empty while all was seen.
    """

    route: str
    path: str
    damage: str
    tried: int
    seen: int
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one check of a domain's provenance last said. `text` is a sentence with its figures; `at` is when."""

    domain: str
    check: Check
    proof: Proof
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class KnownEntities:
    """How many entities of one kind the id map knew at `at`; `exact` is False for the planner's estimate."""

    entity: str
    count: int
    exact: bool
    at: datetime
