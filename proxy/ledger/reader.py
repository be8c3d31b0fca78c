"""What can be asked of a ledger, by its own process and by others that look on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, date, datetime
from secrets import token_hex
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.errors import LedgerError
from proxy.gate import GateResult
from proxy.ledger import chain, query, schema, windows
from proxy.ledger.chain import Decision, Entry
from proxy.ledger.database import Trouble, check_version, store_of
from proxy.ledger.details import clean
from proxy.ledger.findings import Finding, FindingState, merge_findings, stored_findings
from proxy.ledger.minutes import minutes
from proxy.ledger.moments import to_us, utc_now
from proxy.ledger.records import DomainCounts, MinuteCount, TraceSummary
from proxy.ledger.store import Store
from proxy.ledger.totals import Waiting
from proxy.ledger.traces import parse_cursor, summary
from proxy.model import Trace
from proxy.tasks import TaskGroup
from proxy.window import Window

log = logging.getLogger(__name__)

T = TypeVar("T")
Query = Callable[[AsyncConnection], Awaitable[T]]

PAGE = 1_000
"""The most rows one question is answered with."""
READS = 64
"""How many questions may be asked at once."""


class OutdatedLedgerError(LedgerError):
    """A ledger that an earlier version wrote; `serve` brings it up to date."""


class LedgerReader:
    """The questions. All answer of one moment, and raise LedgerError when the ledger cannot be read."""

    def __init__(self, store: Store, engine: AsyncEngine | None, clock: Callable[[], datetime] = utc_now) -> None:
        self.store = store
        self._clock = clock
        self._engine = engine
        self._reads = TaskGroup(READS)

    @classmethod
    async def open(cls, url: str) -> LedgerReader:
        """Open what another process writes. Never creates, migrates or recovers.

        Raises LedgerError when there is no ledger yet or its schema is another one.
        """
        store = store_of(url)
        if missing := store.absent():
            raise LedgerError(f"{missing}; start `shadowread serve` once, or correct ledger.url")
        engine = store.onlooker()
        try:
            async with engine.connect() as connection:
                found = await connection.run_sync(check_version, store)
        except LedgerError:
            await engine.dispose()
            raise
        except Trouble as error:
            await engine.dispose()
            raise LedgerError(f"the ledger cannot be read: {store.reason(error)}") from error
        if found is None and store.pooled:
            await engine.dispose()
            raise LedgerError(f"there is no ledger in {store.name}; start `shadowread serve` once, or {store.advice}")
        if found != schema.REVISIONS[-1]:
            await engine.dispose()
            raise OutdatedLedgerError(
                f"{store.name} has schema {found}, this shadowread reads {schema.REVISIONS[-1]}; "
                "start `shadowread serve` once to bring it up to date"
            )
        return cls(store, engine)

    async def close(self) -> None:
        await self._reads.drain(5)
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    async def domains(self) -> dict[str, DomainCounts]:
        """The counts of every domain of which an exchange was begun."""
        return (await self.ask(lambda connection: query.totals(connection, None))).freeze()

    async def findings(
        self, domain: str | None = None, *, limit: int | None = PAGE, state: FindingState | None = None
    ) -> list[Finding]:
        """Most frequent first; those of one state alone when `state` is given. `limit` None tells all there are."""
        domain = None if domain is None else clean(domain)
        stored, waiting = await self._look(lambda connection: stored_findings(connection, domain), list[Finding]())
        fresh = [delta for one in waiting for delta in one.details.findings if domain in (None, delta.domain)]
        found = await asyncio.to_thread(merge_findings, stored, fresh, self._today())
        return [one for one in found if state in (None, one.state)][: None if limit is None else min(limit, PAGE)]

    async def finding(self, id_: str) -> Finding | None:
        id_ = clean(id_)
        stored, waiting = await self._look(lambda connection: stored_findings(connection, None, id_), list[Finding]())
        fresh = [delta for one in waiting for delta in one.details.findings if delta.id == id_]
        found = merge_findings(stored, fresh, self._today())
        return found[0] if found else None

    async def traces(
        self,
        domain: str | None = None,
        finding: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[TraceSummary]:
        """Newest first. `before` is the `cursor` of the last one of the page before.

        Raises LedgerError for a cursor that is none.
        """
        limit = max(0, min(limit, PAGE))
        # A text from outside may bear what no database takes, and then there is nothing of that name.
        domain, finding = (None if one is None else clean(one) for one in (domain, finding))
        stored, waiting = await self._look(
            lambda connection: query.traces(connection, domain, finding, limit, before), list[TraceSummary]()
        )
        found = {one.id: one for one in stored}
        place = None if before is None else parse_cursor(before)
        for one in waiting:
            linked = {trace for of, trace in one.details.links if of == finding}
            for trace in one.details.traces:
                if domain not in (None, trace.domain) or (finding is not None and trace.id not in linked):
                    continue
                if place is None or (to_us(trace.at), trace.id) < place:
                    found[trace.id] = summary(trace)
        return sorted(found.values(), key=lambda one: (one.at, one.id), reverse=True)[:limit]

    async def trace(self, id_: str) -> Trace | None:
        """One exchange in full; None when it was never kept or is no longer."""
        stored, waiting = await self._look(lambda connection: query.trace(connection, clean(id_)), None)
        fresh = (trace for one in waiting for trace in one.details.traces if trace.id == id_)
        return next(fresh, stored)

    async def minutes(self, domain: str, since: datetime, *, limit: int = 50_000) -> list[MinuteCount]:
        """What ended in each minute, as of the last write; oldest first."""
        found, _ = await self._look(lambda connection: minutes(connection, domain, since, limit), list[MinuteCount]())
        return found

    async def windows(self, domain: str) -> list[Window]:
        """The windows of `domain`, newest first: the last `windows.KEPT` of them, older ones are only kept as sums."""
        found, _ = await self._look(lambda connection: windows.of_domain(connection, domain), list[Window]())
        return found

    async def restart_window(self, domain: str, why: str, at: datetime) -> Window:
        """Begin a new window of `domain` with the parts of the last one; a running proxy takes it over.

        Raises LedgerError when it cannot be written.
        """

        async def begin(connection: AsyncConnection) -> Window:
            last = (await windows.newest(connection)).get(domain)
            parts = {} if last is None else last.window.parts
            stored = await windows.add(connection, Window(token_hex(8), domain, parts, at, windows.cut_why(why)))
            await windows.fold(connection)
            return stored.window

        return await self.write(begin)

    async def decisions(self, domain: str | None = None, *, limit: int = 100) -> list[Decision]:
        """Newest first."""
        found, _ = await self._look(
            lambda connection: chain.decisions(connection, domain, min(limit, PAGE)), list[Decision]()
        )
        return found

    async def store_decision(self, result: GateResult) -> Entry:
        """Keep a decision with all its figures; returns where it stands in the chain.

        Raises LedgerError when it cannot be written.
        """
        try:
            return await self.write(
                lambda connection: chain.append(
                    connection,
                    domain=result.domain,
                    at=result.decided_at,
                    state=result.state,
                    result=result.as_json(),
                )
            )
        except LedgerError as error:
            raise LedgerError(f"the decision was not stored: {error}") from error

    async def ask(self, question: Query[T]) -> T:
        """The answer of `question`, which reads the file inside one read transaction. Raises LedgerError."""
        return await self._apart(self._ask(question))

    async def write(self, work: Query[T]) -> T:
        """Do `work` in one write transaction that begins at once; also for one who else only looks on.

        Raises LedgerError when it cannot be written; nothing of it is then.
        """
        return await self._apart(self._write_apart(work))

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()

    async def _write_apart(self, work: Query[T]) -> T:
        if missing := self.store.absent():
            raise LedgerError(f"nothing was stored: {missing}")
        lasting = self._engine if self.store.pooled else None
        engine = lasting or self.store.engine()
        try:
            async with self.store.writer(engine).begin() as connection:
                return await work(connection)
        except Trouble as error:
            raise LedgerError(f"nothing was stored: {self.store.reason(error)}") from error
        finally:
            if lasting is None:
                await engine.dispose()

    async def _look(self, ask: Query[T], nothing: T) -> tuple[T, tuple[Waiting, ...]]:
        """The answer of the file and what waits beside it; `nothing` is the answer of a file not there yet."""
        return await self._apart(self._answer(ask, nothing))

    async def _answer(self, ask: Query[T], nothing: T) -> tuple[T, tuple[Waiting, ...]]:
        del nothing
        return await self._ask(ask), ()

    async def _ask(self, ask: Query[T]) -> T:
        if self._engine is None:
            raise LedgerError("the ledger is closed")
        try:
            async with self._engine.connect() as connection:
                return await ask(connection)
        except Trouble as error:
            raise LedgerError(f"the ledger cannot be read: {self.store.reason(error)}") from error

    async def _apart(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` in a task of its own: a caller that is cancelled leaves no connection half-way."""
        answers: list[T] = []
        errors: list[LedgerError] = []

        async def run() -> None:
            try:
                answers.append(await work)
            except LedgerError as error:
                errors.append(error)

        if len(self._reads) >= READS:
            work.close()
            raise LedgerError(f"more than {READS} questions to the ledger at once; ask again")
        task = self._reads.start(run(), name="ledger question")
        if task is not None:
            await asyncio.shield(task)
        if errors:
            raise errors[0]
        return answers[0]
