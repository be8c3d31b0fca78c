"""One picture of all domains, shared by pages, events and metrics: who asks within a second is shown the same."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.admin.answers import encoded
from proxy.admin.domain_gauges import DomainGauges, findings_by_state
from proxy.admin.evidence import Evidence
from proxy.errors import LedgerError
from proxy.gate import GateResult
from proxy.ledger import Ledger
from proxy.ledger.schema import acceptances, decisions, findings

FRESH = 1.0
"""Seconds."""
DIGITS = 16
LAST_DECISIONS = 50


@dataclass(frozen=True, slots=True)
class Overview:
    """`rows` are the entries of the domains object with the decision that each tells of, `findings` how many findings
    there are by domain and state, as of the ledger's last write, None while that cannot be read.

    `versions` tells for each domain whether anything of it that is shown is another than before; `version` for all.
    """

    at: datetime
    rows: Sequence[tuple[Mapping[str, Any], GateResult]]
    findings: Mapping[tuple[str, str], int] | None
    versions: Mapping[str, str]
    version: str

    @property
    def domains(self) -> dict[str, Any]:
        """The domains object."""
        return {"domains": [row for row, _ in self.rows]}


class Snapshot:
    """Takes the picture when somebody looks. Raises LedgerError as the evidence does."""

    def __init__(
        self, evidence: Evidence, *, seen: DomainGauges | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`seen` is shown each picture, so that metrics tell what pages do."""
        self._evidence = evidence
        self._seen = seen
        self._clock = clock
        self._lock = asyncio.Lock()
        self._began: float | None = None
        self._found: Overview | LedgerError | None = None

    async def overview(self) -> Overview:
        """The picture, at most a second old. Askers at the same moment share one computation."""
        asked = self._clock()
        async with self._lock:
            found = self._found
            if found is None or self._began is None or self._began < asked - FRESH:
                self._began = self._clock()
                try:
                    found = await self._look()
                except LedgerError as error:
                    found = error
                except BaseException:
                    # Broken off: the picture before this one is not to pass for one of now.
                    self._began = None
                    raise
                self._found = found
                self._show(found)
        if isinstance(found, LedgerError):
            # A new one each time: a raised error bears the stack of who it was raised to.
            raise LedgerError(str(found)) from found
        return found

    async def show_within(self, seconds: float) -> None:
        """Have the metrics tell what is now. Raises LedgerError where that cannot be known within `seconds`; then what
        they told before is taken back."""
        try:
            async with asyncio.timeout(seconds):
                await self.overview()
        except TimeoutError:
            late = LedgerError(f"the ledger has not answered within {seconds:g} s")
            self._show(late)
            raise late from None

    def forget(self) -> None:
        """The next one who asks is shown what is then: somebody has changed something."""
        self._began = None

    def _show(self, found: Overview | LedgerError) -> None:
        if self._seen is None:
            return
        if isinstance(found, LedgerError):
            self._seen.forget()
        else:
            self._seen.show(found.rows, found.findings)

    async def _look(self) -> Overview:
        at = self._evidence.now()
        rows = await self._evidence.overview()
        today = at.astimezone(UTC).date()
        counted: Mapping[tuple[str, str], int] | None
        try:
            counted, marks = await self._evidence.ledger.ask(lambda connection: look_at_findings(connection, today))
        except LedgerError:
            if not isinstance(self._evidence.ledger, Ledger):
                raise
            # The counts are told from memory all the same, with the gates closed and the reason among theirs.
            counted, marks = None, {}
        versions = {row["name"]: _version([row, marks.get(row["name"])]) for row, _ in rows}
        return Overview(at, rows, counted, versions, _version(versions))


async def look_at_findings(
    connection: AsyncConnection, today: date
) -> tuple[dict[tuple[str, str], int], dict[str, list[object]]]:
    """How many findings each domain has in each state, and what is another as soon as one of them, or its gate log,
    is."""
    marks: dict[str, list[object]] = {}
    whole = findings.outerjoin(acceptances, acceptances.c.finding == findings.c.id)
    seen = (
        select(
            findings.c.domain,
            func.count(),
            func.sum(findings.c.differences),
            func.max(findings.c.gone_at),
            func.max(findings.c.returned_at),
            func.count(acceptances.c.finding),
            func.max(acceptances.c.at),
        )
        .select_from(whole)
        .group_by(findings.c.domain)
    )
    counted = await findings_by_state(connection, today)
    for domain, *figures in await connection.execute(seen):
        marks[domain] = [int(one or 0) for one in figures]
    for (domain, state), n in sorted(counted.items()):
        marks.setdefault(domain, []).append([state, n])
    # The gate log is shown too; the last entries alone, for it may be long.
    last = select(decisions.c.domain, decisions.c.seq).order_by(decisions.c.seq.desc()).limit(LAST_DECISIONS)
    newest: dict[str, int] = {}
    for domain, seq in await connection.execute(last):
        newest.setdefault(domain, seq)
    for domain, seq in newest.items():
        marks.setdefault(domain, []).append(["decision", seq])
    return counted, marks


def _version(value: object) -> str:
    return hashlib.sha256(encoded({"": value})).hexdigest()[:DIGITS]
