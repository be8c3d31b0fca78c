"""What the read model knows of each domain, as metrics. One scrape shows one decision; nothing is computed for it here.

A figure that is not known has no sample: an unproven domain has no rate of differences, least of all one of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.gate import Condition, GateResult
from proxy.ledger import FindingState
from proxy.ledger.schema import acceptances, findings
from proxy.settings import Settings
from proxy.telemetry import Figures, Gauge

FRESH_SECONDS = 300.0
"""For how long a decision is told to who does not decide anew (OpenTelemetry)."""

Seen = tuple[Mapping[str, Any], GateResult]
"""A domain's entry of the domains object, and the decision that it tells of."""
Samples = dict[tuple[str, ...], float]

FIGURES = (
    ("comparisons", "shadowread.window.comparisons", "{exchange}", "Comparisons in the domain's current window."),
    ("diffs", "shadowread.window.diffs", "{exchange}", "Exchanges in the window that differed."),
    ("entities", "shadowread.window.entities", "{entity}", "Distinct entities that matched, as far as they count."),
    ("soak", "shadowread.window.observed_seconds", "s", "Watched time that counts, without a hole that is too long."),
    ("upper_bound", "shadowread.window.diff_rate_upper_bound", "", "95 % upper bound of the diff rate."),
    ("failures", "shadowread.window.failure_ratio", "1", "Share of shadow reads that failed or were lost."),
    ("skips", "shadowread.window.skip_ratio", "1", "Share of what could have been compared that was skipped."),
    ("latency", "shadowread.window.latency_ratio", "1", "95th percentile of shadow reads over that of primary reads."),
    ("sensitivity", "shadowread.window.sensitivity_ratio", "1", "Share of planted damage that was seen."),
)
"""Conditions of the gate whose figure is a metric of its own, all of the current window.

Name and unit are such that a collector, which appends units to names, makes the same name of them: 1 becomes `_ratio`.
"""
LIMITS = (
    ("comparisons", "shadowread.limit.comparisons", "{exchange}", "Comparisons that the domain's gate asks for."),
    ("diffs", "shadowread.limit.diffs", "{exchange}", "Diffs that the domain's gate allows."),
    ("soak", "shadowread.limit.observed_seconds", "s", "Watched time that the domain's gate asks for."),
    ("upper_bound", "shadowread.limit.diff_rate_upper_bound", "", "Highest upper bound that the gate allows."),
    ("failures", "shadowread.limit.failure_ratio", "1", "Highest share of failed reads that the gate allows."),
    ("skips", "shadowread.limit.skip_ratio", "1", "Highest share of skipped exchanges that the gate allows."),
    ("latency", "shadowread.limit.latency_ratio", "1", "Highest latency ratio that the domain's gate allows."),
)


@dataclass(frozen=True, slots=True)
class _Told:
    """What was seen at one moment, all of it replaced at once: a scrape may run on another thread."""

    at: datetime
    seen: Sequence[Seen]
    findings: Samples

    def moments(self, read: Callable[[Mapping[str, Any]], str | None]) -> Samples:
        found = {(row["name"],): read(row) for row, _ in self.seen}
        return {name: datetime.fromisoformat(at).timestamp() for name, at in found.items() if at}

    def conditions(self, name: str, read: Callable[[Condition], float | None]) -> Samples:
        found = {
            (result.domain,): read(one) for _, result in self.seen for one in result.conditions if one.name == name
        }
        return {labels: float(value) for labels, value in found.items() if value is not None}


class DomainGauges:
    """Holds what was seen last and shows it to whoever scrapes, as long as it is fresh."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._last: _Told | None = None

    def show(self, seen: Sequence[Seen], findings: Mapping[tuple[str, str], int] | None) -> None:
        """From now on tell `seen`, and how many findings (`findings_by_state`) each domain has; nothing of findings
        where that is None, which is not known to be zero."""
        counted: Samples = {
            (name, state.value): float(findings.get((name, state.value), 0))
            for name in (() if findings is None else self._settings.domains)
            for state in FindingState
            if findings is not None
        }
        self._last = _Told(self._now(), seen, counted)

    def tell_of(self, settings: Settings) -> None:
        """Tell of the domains of `settings` from now on; nothing of their evidence until it was looked at."""
        self._settings = settings
        self._last = None

    def forget(self) -> None:
        """Tell nothing, where the ledger cannot be read: every gate then counts as closed."""
        self._last = None

    def register(self, figures: Figures) -> None:
        """Have all of it asked for at every scrape."""
        for gauge in self._gauges():
            figures.gauge(gauge)

    def _gauges(self) -> Iterable[Gauge]:
        domain = ("domain",)
        yield Gauge("shadowread.gate.open", "1 for each domain whose gate is open, otherwise 0.", self._open, domain)
        text = "1 while a condition of the domain's gate holds, 0 while it does not or cannot be told."
        yield Gauge("shadowread.gate.condition", text, self._fresh(_conditions), ("domain", "condition"))
        text = "1 for each configured domain, with its stage."
        yield Gauge("shadowread.domain.info", text, self._stages, ("domain", "stage"))
        text = "1 while the shadow is known to read its own store, otherwise 0; nothing where no proof is asked for."
        yield Gauge("shadowread.provenance.proven", text, self._fresh(_proven), domain)
        text = "When the domain's current window began, in seconds since 1970."
        started = self._fresh(lambda told: told.moments(lambda row: row["window"] and row["window"]["started_at"]))
        yield Gauge("shadowread.window.started_timestamp_seconds", text, started, domain, unit="s")
        text = "When an exchange of the domain differed last, in seconds since 1970."
        last_diff = self._fresh(lambda told: told.moments(lambda row: row["last_diff_at"]))
        yield Gauge("shadowread.last_diff.timestamp_seconds", text, last_diff, domain, unit="s")
        text = "Findings by state, as of the ledger's last write."
        found = self._fresh(lambda told: told.findings)
        yield Gauge("shadowread.findings", text, found, ("domain", "state"), unit="{finding}")
        for condition, name, unit, text in FIGURES:
            yield Gauge(name, text, self._of(condition, lambda one: one.figure), domain, unit=unit)
        for condition, name, unit, text in LIMITS:
            yield Gauge(name, text, self._of(condition, lambda one: one.limit), domain, unit=unit)

    def _fresh(self, read: Callable[[_Told], Samples]) -> Callable[[], Samples]:
        def samples() -> Samples:
            last = self._last
            old = last is None or self._now() - last.at > timedelta(seconds=FRESH_SECONDS)
            return {} if last is None or old else read(last)

        return samples

    def _of(self, condition: str, read: Callable[[Condition], float | None]) -> Callable[[], Samples]:
        return self._fresh(lambda told: told.conditions(condition, read))

    def _open(self) -> Samples:
        # Always a sample: a gate that nobody has decided on lately is not known to be open.
        closed = {(name,): 0.0 for name in self._settings.domains}
        return closed | self._fresh(_open)()

    def _stages(self) -> Samples:
        return {(name, domain.stage): 1.0 for name, domain in self._settings.domains.items()}


def _open(told: _Told) -> Samples:
    return {(result.domain,): float(result.state == "open") for _, result in told.seen}


def _conditions(told: _Told) -> Samples:
    return {(result.domain, one.name): float(one.ok is True) for _, result in told.seen for one in result.conditions}


def _proven(told: _Told) -> Samples:
    asked = [result for _, result in told.seen if result.provenance != "not_asked"]
    return {(result.domain,): float(result.provenance == "proven") for result in asked}


async def findings_by_state(connection: AsyncConnection, today: date) -> dict[tuple[str, str], int]:
    """How many stored findings each domain has in each state on a day (UTC), as the ledger's `state_of` decides."""
    gone = and_(
        findings.c.gone_at.is_not(None),
        findings.c.returned_at.is_(None) | (findings.c.returned_at <= findings.c.gone_at),
    )
    state = case(
        (gone, FindingState.GONE.value),
        (acceptances.c.until >= today.isoformat(), FindingState.ACCEPTED.value),
        (findings.c.returned_at.is_not(None), FindingState.RETURNED.value),
        else_=FindingState.OPEN.value,
    ).label("state")
    counted = (
        select(findings.c.domain, state, func.count().label("n"))
        .select_from(findings.outerjoin(acceptances, acceptances.c.finding == findings.c.id))
        .group_by(findings.c.domain, state)
    )
    return {(row.domain, row.state): row.n for row in await connection.execute(counted)}
