"""What the ledger answers. All are frozen: a picture of one moment, in which the books balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from comparators.model import Kind
from proxy.model import COMPARISONS, FAILURES, Verdict

ENTITY_LIMIT = 50_000
"""How many distinct entities a domain is counted to; a domain at this figure has at least so many."""


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
    """One domain. `first_at` and `last_at` are the first and last minute in which an exchange ended.

    `findings_overflow` counts differences that belong to no finding because there were too many findings.
    `entities` counts distinct entities that matched, as of the last write; when `entities_full` it stopped at
    `ENTITY_LIMIT` and there are at least so many.
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
    entities: int = 0
    entities_full: bool = False

    @property
    def comparisons(self) -> int:
        return sum(self.verdicts.get(verdict, 0) for verdict in COMPARISONS)

    @property
    def failures(self) -> int:
        return sum(self.verdicts.get(verdict, 0) for verdict in FAILURES)

    @property
    def balanced(self) -> bool:
        """Whether the books balance, for the domain and for each of its routes."""
        return self.observed == sum(self.verdicts.values()) and all(
            route.observed == sum(route.verdicts.values()) for route in self.routes.values()
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """All differences of one domain, route, path pattern and kind.

    `exchanges` and `differences` are how many there were. The samples are the values of one difference as JSON
    text, capped. The trace ids are None when no trace was kept; only the first one's trace is kept for good.
    """

    id: str
    domain: str
    route: str
    path: str
    kind: Kind
    exchanges: int
    differences: int
    first_at: datetime
    last_at: datetime
    first_trace: str | None
    last_trace: str | None
    sample_primary: str | None
    sample_shadow: str | None


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


@dataclass(frozen=True, slots=True)
class Decision:
    """A stored gate decision: the state and the whole result as it was, as plain data."""

    id: int
    domain: str
    at: datetime
    state: str
    result: Mapping[str, object] = field(default_factory=dict)
