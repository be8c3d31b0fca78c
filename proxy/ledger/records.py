"""What the ledger answers. All are frozen: a picture of one moment, in which the books balance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from proxy.model import COMPARISONS, FAILURES, Side, Verdict
from proxy.window import Latency, Watch, Window

ENTITY_LIMIT = 50_000
"""Up to so many distinct entities of a domain and window are counted exactly, more are estimated."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Whether what is observed gets written, and what waits.

    `since` is when this state began. `waiting` counts finished exchanges not yet in the file, `traces` the
    traces waiting with them. `dropped_traces` did not fit the queue, `misused` tickets were recorded twice;
    both since this process began.
    """

    ok: bool
    reason: str | None
    since: datetime
    waiting: int
    traces: int
    dropped_traces: int
    misused: int


def joined(one: Recording, others: Iterable[Recording]) -> Recording:
    """The recording of several processes: not ok where one of them is not, with the reason of the first of these."""
    every = [one, *others]
    failed = next((each for each in every if not each.ok), None)
    told = failed or one
    return Recording(
        told.ok,
        told.reason,
        told.since,
        sum(each.waiting for each in every),
        sum(each.traces for each in every),
        sum(each.dropped_traces for each in every),
        sum(each.misused for each in every),
    )


@dataclass(frozen=True, slots=True)
class ToleratedCount:
    """How often one rule forgave something at one place of a route's responses.

    `rule` is the path of the rule as it is written; empty for what was counted before rules were kept, and past the
    bounds of what is kept apart. With kind `ignore` nothing was compared there: it is not verified.
    """

    route: str
    kind: str
    path: str
    count: int
    rule: str = ""


@dataclass(frozen=True, slots=True)
class RouteCounts:
    """One route: `observed` is counted apart from `verdicts` and equals their sum."""

    route: str
    observed: int
    under_way: int
    verdicts: Mapping[Verdict, int]
    last_diff_at: datetime | None

    @property
    def comparisons(self) -> int:
        return sum(self.verdicts.get(verdict, 0) for verdict in COMPARISONS)


@dataclass(frozen=True, slots=True)
class DomainCounts:
    """One domain in its current `window`; what is called `lifetime` is of all its windows together.

    `first_at` and `last_at` are the first and last minute in which an exchange ended. `findings_overflow` counts
    differences that belong to no finding because there were too many findings, over the lifetime. `known_gaps` are the
    diffs that a recorded gap explains, `latency` how long the reads of comparisons took, `watches` when the domain was
    watched, oldest first. `entity_counts` are distinct entities that matched, by their kind in the id map, as of the
    last write; past `ENTITY_LIMIT` they are estimates, and `entities_exact` is False.
    """

    domain: str
    observed: int
    under_way: int
    verdicts: Mapping[Verdict, int]
    routes: Mapping[str, RouteCounts]
    tolerated: tuple[ToleratedCount, ...] = ()
    last_diff_at: datetime | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    findings_overflow: int = 0
    window: Window | None = None
    lifetime_observed: int = 0
    lifetime_verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    known_gaps: int = 0
    latency: Mapping[Side, Latency] = field(default_factory=dict)
    watches: tuple[Watch, ...] = ()
    entity_counts: Mapping[str, int] = field(default_factory=dict)
    entities_exact: bool = True
    last_comparison_at: datetime | None = None

    @property
    def entities(self) -> int:
        """Distinct entities of all kinds."""
        return sum(self.entity_counts.values())

    @property
    def comparisons(self) -> int:
        return sum(self.verdicts.get(verdict, 0) for verdict in COMPARISONS)

    @property
    def failures(self) -> int:
        return sum(self.verdicts.get(verdict, 0) for verdict in FAILURES)

    @property
    def balanced(self) -> bool:
        """Whether the books balance, for the domain, for each of its routes, and for all its windows together."""
        return (
            self.observed == sum(self.verdicts.values())
            and self.lifetime_observed == sum(self.lifetime_verdicts.values())
            and all(route.observed == sum(route.verdicts.values()) for route in self.routes.values())
        )


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One line about a kept trace. `cursor` given as `before` continues a list behind it."""

    id: str
    at: datetime
    domain: str
    route: str
    verdict: Verdict
    method: str
    target: str
    primary_status: int | None
    shadow_status: int | None
    differences_total: int
    cursor: str


@dataclass(frozen=True, slots=True)
class MinuteCount:
    """How many exchanges of a domain ended with one verdict in the minute that begins at `at`."""

    at: datetime
    verdict: Verdict
    count: int
