"""The read model: what the configuration asks for, held against what the ledger has.

The admin port and the command line show the same, since both ask here.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from proxy.admin.shapes import domain_details
from proxy.errors import ShadowreadError
from proxy.gate import GateResult, decide
from proxy.ledger import (
    DomainCounts,
    Finding,
    Ledger,
    LedgerReader,
    TraceSummary,
    domain_summary,
    gate_evidence,
    no_counts,
)
from proxy.model import Stage, Trace
from proxy.settings import Settings
from proxy.settings.until import WARN_DAYS, DatedRule, dated_rules

PLAN_BYTES = 1024 * 1024


class UnknownNameError(ShadowreadError):
    """A domain, finding or trace that does not exist was asked for."""


class Evidence:
    """Settings and ledger together. Every method raises LedgerError when the ledger cannot be read."""

    def __init__(self, settings: Settings, ledger: LedgerReader, *, now: Callable[[], datetime]) -> None:
        self.settings = settings
        self.ledger = ledger
        self._now = now
        self._open: dict[tuple[str, ...], float] = {}
        self._dated: tuple[date, tuple[DatedRule, ...]] | None = None

    async def domains(self) -> dict[str, Any]:
        """The domains object: every configured domain in the order of the configuration."""
        return {"domains": [row for row, _ in await self.overview()]}

    async def overview(self) -> list[tuple[dict[str, Any], GateResult]]:
        """Each domain's entry of the domains object, with the gate's decision that it tells of."""
        counts = await self._counts()
        results = await self._decide(list(self.settings.domains), counts)
        return [(self._summary(counts[result.domain], result), result) for result in results]

    async def domain(self, name: str) -> dict[str, Any]:
        """One domain with its routes, tolerances and the gate's conditions. Raises UnknownNameError."""
        self.check_names([name])
        counts = await self._counts()
        (result,) = await self._decide([name], counts)
        return {**self._summary(counts[name], result), **domain_details(counts[name], result)}

    async def gates(self, names: Sequence[str] = ()) -> list[GateResult]:
        """The decision for each named domain, for all when none is named. Raises UnknownNameError."""
        self.check_names(names)
        return await self._decide(names or list(self.settings.domains), await self._counts())

    @property
    def open_gates(self) -> Mapping[tuple[str, ...], float]:
        """1 for each domain whose gate was open when it was last decided on, otherwise 0."""
        return self._open

    async def findings(self, domain: str | None = None, *, limit: int) -> list[Finding]:
        """The findings with the most exchanges first. Raises UnknownNameError for an unknown domain."""
        self.check_names([] if domain is None else [domain])
        return list(await self.ledger.findings(domain, limit=limit))

    async def traces(
        self, domain: str | None = None, *, finding: str | None = None, before: str | None = None, limit: int
    ) -> list[TraceSummary]:
        """Kept traces, the newest first. `before` is the cursor of the last one seen."""
        self.check_names([] if domain is None else [domain])
        return list(await self.ledger.traces(domain=domain, finding=finding, limit=limit, before=before))

    async def trace(self, trace: str) -> Trace:
        """One trace in full. Raises UnknownNameError when it is not kept (any more)."""
        found = await self.ledger.trace(trace)
        if found is None:
            raise UnknownNameError(f"no trace has the id {trace[:100]!r}; it may have made room for newer ones")
        return found

    def dated_rules(self) -> tuple[DatedRule, ...]:
        """The rules that have expired by today (UTC), and those that soon will. Looked up once a day."""
        today = self._now().astimezone(UTC).date()
        if self._dated is None or self._dated[0] != today:
            self._dated = today, dated_rules(self.settings, today)
        return self._dated[1]

    def check_names(self, names: Sequence[str]) -> None:
        """Raise UnknownNameError for the first name that is no configured domain, with the nearest that is."""
        for name in names:
            if name not in self.settings.domains:
                near = difflib.get_close_matches(name, self.settings.domains, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(self.settings.domains)}"
                raise UnknownNameError(f"no domain is called {name!r}; {hint}")

    def _summary(self, counts: DomainCounts, result: GateResult) -> dict[str, Any]:
        return domain_summary(Stage(self.settings.domains[counts.domain].stage), counts, result)

    async def _counts(self) -> Mapping[str, DomainCounts]:
        found = await self.ledger.domains()
        return {name: found.get(name) or no_counts(name) for name in self.settings.domains}

    async def _decide(self, names: Sequence[str], counts: Mapping[str, DomainCounts]) -> list[GateResult]:
        why_not = None
        live = isinstance(self.ledger, Ledger)
        if isinstance(self.ledger, Ledger) and not self.ledger.recording.ok:
            why_not = self.ledger.recording.reason or "unknown reason"
        at, dated = self._now(), self.dated_rules()
        results = []
        for name in names:
            domain = self.settings.domains[name]
            text = None
            if domain.rollback_plan is not None:
                text = await asyncio.to_thread(read_plan, domain.rollback_plan)
            rules = [rule for rule in dated if rule.concerns(name)]
            evidence = gate_evidence(
                counts[name],
                at=at,
                routes=tuple(route.route for route in domain.routes),
                blockers=tuple(domain.blockers),
                flags=domain.flags,
                rollback_path=None if domain.rollback_plan is None else str(domain.rollback_plan),
                rollback_text=text,
                recording=why_not,
                live=live,
                expired=tuple(rule.text for rule in rules if rule.expired),
                expiring=tuple(rule.text for rule in rules if not rule.expired),
                warn_days=WARN_DAYS,
            )
            result = decide(name, self.settings.gate_of(name), evidence)
            self._open[(name,)] = float(result.state == "open")
            results.append(result)
        return results


def read_plan(path: Path) -> str | None:
    """The text of a rollback plan; None when it cannot be read as text of at most a mebibyte."""
    try:
        with path.open("rb") as file:
            content = file.read(PLAN_BYTES + 1)
        return None if len(content) > PLAN_BYTES else content.decode()
    except (OSError, UnicodeDecodeError):
        return None
