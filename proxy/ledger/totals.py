"""Adding up: what the file says and what still waits in memory, joined to one picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from proxy.ledger.details import DetailsBatch, Place
from proxy.ledger.entities import EntityTotal
from proxy.ledger.moments import MINUTE, from_us, maybe_from_us
from proxy.ledger.records import DomainCounts, RouteCounts, ToleratedCount
from proxy.ledger.tally import Batch, RouteDelta, VerdictDelta
from proxy.ledger.timing import WATCHES, TimingBatch, Watches, joined_watches
from proxy.model import COMPARISONS, Side, Verdict
from proxy.window import Latency, Watch, Window


@dataclass(slots=True)
class RouteTotal:
    """One route in one window."""

    observed: int = 0
    under_way: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    known_gaps: int = 0
    last_diff: int | None = None
    last_comparison: int | None = None
    first_minute: int | None = None
    last_minute: int | None = None

    def copy(self) -> RouteTotal:
        return replace(self, verdicts=self.verdicts.copy())

    def add_verdict(self, verdict: Verdict, n: int, first: int, last: int, last_at: int, known_gaps: int) -> None:
        self.verdicts[verdict] += n
        self.known_gaps += known_gaps
        self.first_minute = first if self.first_minute is None else min(self.first_minute, first)
        self.last_minute = last if self.last_minute is None else max(self.last_minute, last)
        if verdict is Verdict.DIFF:
            self.last_diff = max(self.last_diff or 0, last_at)
        if verdict in COMPARISONS:
            self.last_comparison = max(self.last_comparison or 0, last_at)


@dataclass(slots=True)
class Lifetime:
    """All windows of a domain together."""

    observed: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)

    def copy(self) -> Lifetime:
        return Lifetime(self.observed, self.verdicts.copy())


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is not (or not surely) in the file: increments that are to be added to what is."""

    routes: tuple[RouteDelta, ...] = ()
    verdicts: tuple[VerdictDelta, ...] = ()
    details: DetailsBatch = field(default_factory=DetailsBatch)
    timing: TimingBatch = field(default_factory=TimingBatch)

    @classmethod
    def of(cls, batch: Batch) -> Waiting:
        return cls(batch.routes, batch.verdicts, batch.details, batch.timing)


@dataclass(slots=True)
class Totals:
    """Sums that can still grow. `windows` are the current ones by domain; of others there may be sums, too.

    The keys of `routes` are window, domain and route.
    """

    windows: dict[str, Window] = field(default_factory=dict)
    routes: dict[tuple[str, str, str], RouteTotal] = field(default_factory=dict)
    lifetimes: dict[str, Lifetime] = field(default_factory=dict)
    tolerated: Counter[Place] = field(default_factory=Counter)
    overflow: Counter[str] = field(default_factory=Counter)
    entities: dict[tuple[str, str], EntityTotal] = field(default_factory=dict)
    paces: Counter[tuple[str, str, Side, int]] = field(default_factory=Counter)
    watches: Watches = field(default_factory=dict)

    def copy(self) -> Totals:
        return Totals(
            dict(self.windows),
            {key: route.copy() for key, route in self.routes.items()},
            {domain: lifetime.copy() for domain, lifetime in self.lifetimes.items()},
            self.tolerated.copy(),
            self.overflow.copy(),
            dict(self.entities),
            self.paces.copy(),
            dict(self.watches),
        )

    def route(self, window: str, domain: str, route: str) -> RouteTotal:
        return self.routes.setdefault((window, domain, route), RouteTotal())

    def lifetime(self, domain: str) -> Lifetime:
        return self.lifetimes.setdefault(domain, Lifetime())

    def add(self, waiting: Waiting) -> None:
        for delta in waiting.routes:
            self.route(delta.window, delta.domain, delta.route).observed += delta.observed
            self.lifetime(delta.domain).observed += delta.observed
        for one in waiting.verdicts:
            self.route(one.window, one.domain, one.route).add_verdict(
                one.verdict, one.n, min(one.minutes), max(one.minutes), one.last_at, one.known_gaps
            )
            self.lifetime(one.domain).verdicts[one.verdict] += one.n
        self.tolerated.update(waiting.details.tolerated)
        self.overflow.update(waiting.details.overflow)
        self.paces.update(waiting.timing.paces)
        self.watches = joined_watches(self.watches, waiting.timing.watches)

    def current(self, windows: Mapping[str, Window]) -> Totals:
        """Of the windows that are current now, over all that are known for current."""
        found = self.copy()
        found.windows.update(windows)
        ids = {window.id for window in found.windows.values()}
        found.routes = {key: one for key, one in found.routes.items() if key[0] in ids}
        found.tolerated = Counter({key: n for key, n in found.tolerated.items() if key[0] in ids})
        found.paces = Counter({key: n for key, n in found.paces.items() if key[0] in ids})
        found.watches = {key: watch for key, watch in found.watches.items() if key[0] in ids}
        return found

    def freeze(self) -> dict[str, DomainCounts]:
        """The counts of each domain in its current window."""
        found = self.current({})
        domains = {domain: _Parts() for domain in sorted(found.lifetimes.keys() | found.windows.keys())}
        for (_, domain, route), total in sorted(found.routes.items(), key=lambda item: item[0]):
            domains[domain].routes[route] = total
        for (_, domain, *rest), n in sorted(found.tolerated.items()):
            route, kind, path, rule = rest
            domains[domain].tolerated.append(ToleratedCount(route, kind, path, n, rule))
        for (_, domain, side, bucket), n in found.paces.items():
            domains[domain].paces.setdefault(side, {})[bucket] = n
        for (_, domain, _), watch in sorted(found.watches.items()):
            domains[domain].watches.append(watch)
        return {domain: _counts(domain, parts, found) for domain, parts in domains.items()}


@dataclass(slots=True)
class _Parts:
    """What belongs to one domain."""

    routes: dict[str, RouteTotal] = field(default_factory=dict)
    tolerated: list[ToleratedCount] = field(default_factory=list)
    paces: dict[Side, dict[int, int]] = field(default_factory=dict)
    watches: list[Watch] = field(default_factory=list)


def _counts(domain: str, parts: _Parts, found: Totals) -> DomainCounts:
    totals = parts.routes.values()
    verdicts: Counter[Verdict] = Counter()
    for total in totals:
        verdicts.update(total.verdicts)
    first = min((total.first_minute for total in totals if total.first_minute is not None), default=None)
    last = max((total.last_minute for total in totals if total.last_minute is not None), default=None)
    window = found.windows.get(domain)
    entities = found.entities.get((window.id, domain)) if window is not None else None
    lifetime = found.lifetimes.get(domain, Lifetime())
    return DomainCounts(
        domain=domain,
        observed=sum(total.observed for total in totals),
        under_way=sum(total.under_way for total in totals),
        verdicts=dict(verdicts),
        routes={
            route: RouteCounts(
                route,
                total.observed,
                total.under_way,
                dict(total.verdicts),
                maybe_from_us(total.last_diff),
            )
            for route, total in parts.routes.items()
        },
        tolerated=tuple(parts.tolerated),
        last_diff_at=maybe_from_us(max((t.last_diff for t in totals if t.last_diff), default=None)),
        first_at=None if first is None else from_us(first * MINUTE),
        last_at=None if last is None else from_us(last * MINUTE),
        findings_overflow=found.overflow.get(domain, 0),
        window=window,
        lifetime_observed=lifetime.observed,
        lifetime_verdicts=dict(lifetime.verdicts),
        known_gaps=sum(total.known_gaps for total in totals),
        latency={side: Latency(counts) for side, counts in parts.paces.items()},
        watches=tuple(parts.watches[-WATCHES:]),
        entity_counts=dict(entities.kinds) if entities is not None else {},
        entities_exact=entities is None or entities.exact,
        last_comparison_at=maybe_from_us(max((t.last_comparison for t in totals if t.last_comparison), default=None)),
    )
