"""Adding up: what the file says and what still waits in memory, joined to one picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from comparators.model import Kind
from proxy.ledger.details import DetailsBatch, FindingDelta, Place
from proxy.ledger.moments import MINUTE, from_us, maybe_from_us
from proxy.ledger.records import ENTITY_LIMIT, DomainCounts, Finding, RouteCounts, ToleratedCount
from proxy.ledger.tally import RouteDelta, VerdictDelta
from proxy.model import Verdict


@dataclass(slots=True)
class RouteTotal:
    observed: int = 0
    under_way: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    last_diff: int | None = None
    first_minute: int | None = None
    last_minute: int | None = None

    def copy(self) -> RouteTotal:
        return replace(self, verdicts=self.verdicts.copy())

    def add_verdict(self, verdict: Verdict, n: int, first: int, last: int, last_at: int) -> None:
        self.verdicts[verdict] += n
        self.first_minute = first if self.first_minute is None else min(self.first_minute, first)
        self.last_minute = last if self.last_minute is None else max(self.last_minute, last)
        if verdict is Verdict.DIFF:
            self.last_diff = max(self.last_diff or 0, last_at)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is not (or not surely) in the file: increments that are to be added to what is."""

    routes: tuple[RouteDelta, ...] = ()
    verdicts: tuple[VerdictDelta, ...] = ()
    details: DetailsBatch = field(default_factory=DetailsBatch)


@dataclass(slots=True)
class Totals:
    """Sums that can still grow. Keys are domain and route; `tolerated` adds kind, path and rule."""

    routes: dict[tuple[str, str], RouteTotal] = field(default_factory=dict)
    tolerated: Counter[Place] = field(default_factory=Counter)
    overflow: Counter[str] = field(default_factory=Counter)
    entities: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Totals:
        routes = {key: route.copy() for key, route in self.routes.items()}
        return Totals(routes, self.tolerated.copy(), self.overflow.copy(), dict(self.entities))

    def route(self, domain: str, route: str) -> RouteTotal:
        return self.routes.setdefault((domain, route), RouteTotal())

    def add(self, waiting: Waiting) -> None:
        for delta in waiting.routes:
            self.route(delta.domain, delta.route).observed += delta.observed
        for one in waiting.verdicts:
            self.route(one.domain, one.route).add_verdict(
                one.verdict, one.n, min(one.minutes), max(one.minutes), one.last_at
            )
        self.tolerated.update(waiting.details.tolerated)
        self.overflow.update(waiting.details.overflow)

    def freeze(self) -> dict[str, DomainCounts]:
        domains: dict[str, list[tuple[str, RouteTotal]]] = {}
        for (domain, route), total in sorted(self.routes.items(), key=lambda item: item[0]):
            domains.setdefault(domain, []).append((route, total))
        return {domain: self._domain(domain, routes) for domain, routes in domains.items()}

    def _domain(self, domain: str, routes: list[tuple[str, RouteTotal]]) -> DomainCounts:
        verdicts: Counter[Verdict] = Counter()
        for _, total in routes:
            verdicts.update(total.verdicts)
        first = min((total.first_minute for _, total in routes if total.first_minute is not None), default=None)
        last = max((total.last_minute for _, total in routes if total.last_minute is not None), default=None)
        entities = self.entities.get(domain, 0)
        return DomainCounts(
            domain=domain,
            observed=sum(total.observed for _, total in routes),
            under_way=sum(total.under_way for _, total in routes),
            verdicts=dict(verdicts),
            routes={
                route: RouteCounts(
                    route,
                    total.observed,
                    total.under_way,
                    dict(total.verdicts),
                    maybe_from_us(total.last_diff),
                )
                for route, total in routes
            },
            tolerated=tuple(
                ToleratedCount(route, kind, path, n, rule)
                for (of, route, kind, path, rule), n in sorted(self.tolerated.items())
                if of == domain
            ),
            last_diff_at=maybe_from_us(max((t.last_diff for _, t in routes if t.last_diff), default=None)),
            first_at=None if first is None else from_us(first * MINUTE),
            last_at=None if last is None else from_us(last * MINUTE),
            findings_overflow=self.overflow.get(domain, 0),
            entities=entities,
            entities_full=entities >= ENTITY_LIMIT,
        )


def merge_findings(stored: Iterable[Finding], waiting: Iterable[FindingDelta]) -> list[Finding]:
    """Most frequent first."""
    found = {finding.id: finding for finding in stored}
    for delta in waiting:
        old = found.get(delta.id)
        found[delta.id] = _fresh(delta) if old is None else _grown(old, delta)
    return sorted(found.values(), key=lambda finding: (-finding.exchanges, -finding.differences, finding.id))


def _fresh(delta: FindingDelta) -> Finding:
    return Finding(
        delta.id,
        delta.domain,
        delta.route,
        delta.path,
        Kind(delta.kind),
        delta.exchanges,
        delta.differences,
        from_us(delta.first_at),
        from_us(delta.last_at),
        delta.first_trace,
        delta.last_trace,
        delta.sample_primary,
        delta.sample_shadow,
    )


def _grown(old: Finding, delta: FindingDelta) -> Finding:
    return replace(
        old,
        exchanges=old.exchanges + delta.exchanges,
        differences=old.differences + delta.differences,
        first_at=min(old.first_at, from_us(delta.first_at)),
        last_at=max(old.last_at, from_us(delta.last_at)),
        first_trace=old.first_trace or delta.first_trace,
        last_trace=delta.last_trace or old.last_trace,
        sample_primary=old.sample_primary if old.sample_primary is not None else delta.sample_primary,
        sample_shadow=old.sample_shadow if old.sample_shadow is not None else delta.sample_shadow,
    )
