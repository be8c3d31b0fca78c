"""The read model: what the configuration asks for, held against what the ledger has.

The admin port and the command line show the same, since both ask here.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.admin.coverage import coverage_summary, evidence_details, latency_ratio
from proxy.admin.shapes import bucket_json, domain_details
from proxy.errors import LedgerError, ShadowreadError
from proxy.gate import GateEvidence, GateResult, decide
from proxy.ledger import (
    DomainCounts,
    Finding,
    FindingState,
    Ledger,
    LedgerReader,
    TraceSummary,
    domain_summary,
    examined,
    gate_evidence,
    no_counts,
)
from proxy.ledger.history import Bucket, history, quiet
from proxy.ledger.summary import window_json
from proxy.ledger.sweeps import known_entities
from proxy.ledger.weighed import NOTHING, Weighed, weighed
from proxy.model import Stage, Trace
from proxy.settings import Settings
from proxy.settings.until import WARN_DAYS, DatedRule, dated_rules
from proxy.window import DamageCount, FieldCount, KnownEntities, Window

PLAN_BYTES = 1024 * 1024


class UnknownNameError(ShadowreadError):
    """A domain, finding or trace that does not exist was asked for."""


class Evidence:
    """Settings and ledger together. Every method raises LedgerError when the ledger cannot be read."""

    def __init__(
        self,
        settings: Settings,
        ledger: LedgerReader,
        *,
        now: Callable[[], datetime],
        rules: Callable[[str, date], str] | None = None,
    ) -> None:
        """`rules` tells the fingerprint of a domain's rules as configured; a process beside the one that verifies asks,
        since its configuration may be a newer one."""
        self.settings = settings
        self.ledger = ledger
        self.now = now
        self._rules = rules
        self._dated: tuple[date, tuple[DatedRule, ...]] | None = None

    async def domains(self) -> dict[str, Any]:
        """The domains object: every configured domain in the order of the configuration."""
        return {"domains": [row for row, _ in await self.overview()]}

    async def overview(self) -> list[tuple[dict[str, Any], GateResult]]:
        """Each domain's entry of the domains object, with the gate's decision that it tells of."""
        return [(self._summary(one), one.result) for one in await self._decided(list(self.settings.domains))]

    async def domain(self, name: str) -> dict[str, Any]:
        """One domain with its routes, coverage, sensitivity, windows and conditions. Raises UnknownNameError."""
        self.check_names([name])
        (one,) = await self._decided([name])
        fields, damages = await self._examined(one.counts.window)
        return {
            **self._summary(one),
            **domain_details(one.counts, one.result),
            **evidence_details(self.settings.gate_of(name), one.evidence, fields, damages),
            "windows": [window_json(window) for window in await self.ledger.windows(name)],
        }

    async def gates(self, names: Sequence[str] = ()) -> list[GateResult]:
        """The decision for each named domain, for all when none is named. Raises UnknownNameError."""
        self.check_names(names)
        return [one.result for one in await self._decided(names or list(self.settings.domains))]

    async def windows(self, domain: str | None = None) -> list[Window]:
        """The windows of one domain or of all, each domain's newest first. Raises UnknownNameError."""
        self.check_names([] if domain is None else [domain])
        names = list(self.settings.domains) if domain is None else [domain]
        return [window for name in names for window in await self.ledger.windows(name)]

    async def findings(
        self, domain: str | None = None, *, limit: int | None, state: FindingState | None = None
    ) -> list[Finding]:
        """Those with the most exchanges first, `state` picks some; with `limit` None all that there are. Raises
        UnknownNameError for an unknown domain."""
        self.check_names([] if domain is None else [domain])
        return list(await self.ledger.findings(domain, limit=limit, state=state))

    async def finding(self, id_: str) -> Finding:
        """One finding. Raises UnknownNameError when there is none of that id."""
        found = await self.ledger.finding(id_)
        if found is None:
            raise UnknownNameError(f"no finding has the id {id_[:100]!r}")
        return found

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
        today = self.now().astimezone(UTC).date()
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

    def _summary(self, one: _Decided) -> dict[str, Any]:
        return {
            **domain_summary(Stage(self.settings.domains[one.result.domain].stage), one.counts, one.result),
            "latency_ratio": latency_ratio(one.evidence),
            "coverage": coverage_summary(one.evidence),
            "history": [bucket_json(bucket) for bucket in one.history],
        }

    async def _decided(self, names: Sequence[str]) -> list[_Decided]:
        """Each named domain with what was decided on it, and from what."""
        found = await self.ledger.domains()
        counts = {name: found.get(name) or no_counts(name) for name in names}
        windows = {one.window.id for one in counts.values() if one.window is not None}
        at = self.now()
        beside, known, lately, trouble = await self._beside(windows, at)
        made = []
        for name in names:
            of = counts[name]
            kept = NOTHING if of.window is None else beside.get(of.window.id, NOTHING)
            evidence = await self._evidence(of, kept, known, trouble)
            result = decide(name, self.settings.gate_of(name), evidence)
            made.append(_Decided(of, evidence, result, lately.get(name) or quiet(at)))
            # A millisecond or two each: clients are served in between.
            await asyncio.sleep(0)
        return made

    async def _beside(
        self, windows: Collection[str], at: datetime
    ) -> tuple[Mapping[str, Weighed], Sequence[KnownEntities], Mapping[str, Sequence[Bucket]], str | None]:
        """What is kept beside the counts; why it cannot be read, for one who has counts all the same."""
        try:
            return *await self.ledger.ask(lambda connection: _kept(connection, windows, at)), None
        except LedgerError as error:
            if not isinstance(self.ledger, Ledger):
                raise
            return {}, (), {}, str(error)

    async def _examined(self, window: Window | None) -> tuple[tuple[FieldCount, ...], tuple[DamageCount, ...]]:
        if window is None:
            return (), ()
        id_ = window.id

        async def question(connection: AsyncConnection) -> tuple[tuple[FieldCount, ...], tuple[DamageCount, ...]]:
            return await examined.fields(connection, id_), await examined.damages(connection, id_)

        return await self.ledger.ask(question)

    async def _evidence(
        self, counts: DomainCounts, beside: Weighed, known: Sequence[KnownEntities], trouble: str | None
    ) -> GateEvidence:
        live = isinstance(self.ledger, Ledger)
        if isinstance(self.ledger, Ledger) and not self.ledger.recording.ok:
            trouble = self.ledger.recording.reason or "unknown reason"
        at, name = self.now(), counts.domain
        domain = self.settings.domains[name]
        plan = None if domain.rollback_plan is None else await asyncio.to_thread(read_plan, domain.rollback_plan)
        dated = [rule for rule in self.dated_rules() if rule.concerns(name)]
        return gate_evidence(
            counts,
            beside,
            at=at,
            routes=tuple(route.route for route in domain.routes),
            blockers=tuple(domain.blockers),
            flags=domain.flags,
            rollback_path=None if domain.rollback_plan is None else str(domain.rollback_plan),
            rollback_text=plan,
            recording=trouble,
            live=live,
            rules=None if self._rules is None else self._rules(name, at.astimezone(UTC).date()),
            entity_kinds=tuple(sorted({kind for route in domain.routes for kind in route.sweep.entities.values()})),
            known=known,
            expired=tuple(rule.text for rule in dated if rule.expired),
            expiring=tuple(rule.text for rule in dated if not rule.expired),
            warn_days=WARN_DAYS,
        )


@dataclass(frozen=True, slots=True)
class _Decided:
    counts: DomainCounts
    evidence: GateEvidence
    result: GateResult
    history: Sequence[Bucket]


async def _kept(
    connection: AsyncConnection, windows: Collection[str], at: datetime
) -> tuple[Mapping[str, Weighed], Sequence[KnownEntities], Mapping[str, Sequence[Bucket]]]:
    return await weighed(connection, windows), await known_entities(connection), await history(connection, at)


def read_plan(path: Path) -> str | None:
    """The text of a rollback plan; None when it cannot be read as text of at most a mebibyte."""
    try:
        with path.open("rb") as file:
            content = file.read(PLAN_BYTES + 1)
        return None if len(content) > PLAN_BYTES else content.decode()
    except (OSError, UnicodeDecodeError):
        return None
