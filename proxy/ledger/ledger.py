"""The ledger of a process that serves: counting in memory, writing behind, and never in the way of either.

`begin` and `record` touch memory only. One background task writes what has gathered, a batch in a transaction;
a batch that fails is kept and tried again until the disk is back, and what comes meanwhile is added up. What
waits in memory is part of every answer, so the figures are right also while nothing can be written.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.errors import LedgerError
from proxy.ledger import query
from proxy.ledger.database import Trouble, make_engine, migrate, path_of, reason_of
from proxy.ledger.details import Details, DetailsBatch
from proxy.ledger.health import Health
from proxy.ledger.journal import Journal
from proxy.ledger.moments import to_us
from proxy.ledger.reader import LedgerReader, Query, T
from proxy.ledger.records import DomainCounts, Recording
from proxy.ledger.recover import close_run, recover, register
from proxy.ledger.tally import Batch, Tally, Ticket, detached_cell
from proxy.ledger.totals import Totals, Waiting
from proxy.ledger.traces import PackedTrace, pack
from proxy.ledger.write import Bounds, fold_minutes, write_batch
from proxy.model import Outcome
from proxy.tasks import TaskGroup

log = logging.getLogger(__name__)

SLOWEST_RETRY = 30.0
"""Seconds between two attempts when many have failed."""
FOLD_EVERY = timedelta(hours=1)
MINUTES_DAYS = 14
"""How long counts are kept by the minute; after that by the hour."""


class Ledger(LedgerReader):
    """Made by `open`. `begin` and `record` belong to the thread of the event loop."""

    def __init__(self, path: Path, flush_seconds: float, bounds: Bounds, clock: Callable[[], datetime]) -> None:
        super().__init__(path, None)
        self._flush_seconds = flush_seconds
        self._bounds = bounds
        self._clock = clock
        self._run = uuid4().hex
        self._journal: Journal | None = None
        self._housed = False  # whether every route has its place in the journal
        self._tally = Tally(self._place, Details(bounds.max_findings))
        self._writer: AsyncEngine | None = None
        self._file: os.stat_result | None = None
        self._ledger = b""
        self._stored = Totals()
        self._batch: Batch | None = None
        self._packed: tuple[PackedTrace, ...] = ()
        self._commit = asyncio.Lock()
        self._wake = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._closing = False
        self._ended = False
        self._health = Health(clock)
        self._fold_at = clock()
        self._lost_traces = 0
        self._tasks = TaskGroup(1)

    @classmethod
    async def open(  # type: ignore[override]  # a reader needs no limits
        cls,
        url: str,
        *,
        flush_seconds: float,
        max_traces: int,
        max_trace_bytes: int,
        max_findings: int,
        clock: Callable[[], datetime],
    ) -> Ledger:
        """Open or make the ledger, bring its schema up to date and settle runs that died.

        `flush_seconds` is how long counts wait in memory, `max_trace_bytes` bounds all stored traces together,
        `clock` gives the time with its zone. A disk that is full, read-only or locked does not keep the proxy
        from starting: `recording` says so, and writing is tried again. Raises LedgerError for what will not get
        better by itself: an unusable url, a file that is no ledger, a schema newer than this code.
        """
        ledger = cls(path_of(url), flush_seconds, Bounds(max_traces, max_trace_bytes, max_findings), clock)
        try:
            await ledger._set_up()
        except LedgerError:
            await ledger._shut()
            raise
        except Trouble as error:
            if isinstance(error, DatabaseError) and not isinstance(error, OperationalError):
                await ledger._shut()
                raise LedgerError(f"{reason_of(error, ledger.path)}; name another file under ledger.url") from error
            ledger._health.failed(reason_of(error, ledger.path))
        except BaseException:
            await ledger._shut()
            raise
        ledger._tasks.start(ledger._write_behind(), name="ledger writer")
        return ledger

    def begin(self, domain: str, route: str) -> Ticket:
        """Count an exchange as begun. Durable at once against a dying process; no I/O."""
        return self._tally.begin(domain, route)

    def record(self, ticket: Ticket, outcome: Outcome) -> None:
        """Count the outcome of `ticket`; belongs to it exactly once. A second one is logged and ignored.

        The counts go to the domain and route that the ticket was begun with. Raises ValueError or TypeError
        for a time without a zone, and counts nothing then.
        """
        if self._closing and not ticket.open:
            return  # counted as lost when the ledger was closed
        self._tally.record(ticket, outcome)

    @property
    def recording(self) -> Recording:
        details = self._tally.details
        batch = self._batch
        return Recording(
            ok=self._health.reason is None,
            reason=self._health.reason,
            since=self._health.since,
            waiting=self._tally.waiting + (batch.exchanges if batch else 0),
            traces=len(details.traces) + (len(batch.details.traces) if batch else 0),
            dropped_traces=details.traces.dropped + self._lost_traces,
            misused=self._tally.misused,
        )

    async def domains(self) -> dict[str, DomainCounts]:
        """The counts of every domain of which an exchange was begun. Also while the file cannot be read."""

        async def answer() -> dict[str, DomainCounts]:
            async with self._commit:
                if self._engine is not None:
                    # What was last known and what was written since is then the best answer there is.
                    with suppress(LedgerError):
                        self._stored = await self._ask(lambda connection: query.totals(connection, self._run))
                found = self._stored.copy()
                for one in self._waiting():
                    found.add(one)
                for slot in set(self._tally.slots.values()):
                    found.route(slot.domain, slot.route).under_way += slot.under_way
            return found.freeze()

        return await self._apart(answer())

    async def flush(self) -> None:
        """Try to write now what was recorded until now. `recording` tells whether it worked."""
        if self._ended:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wake.set()
        await waiter

    async def close(self) -> None:
        """Count what is under way as lost, write everything and close the run. Safe to call twice.

        What cannot be written is left to the journal: the next one who opens the ledger counts it as lost.
        """
        if not self._closing:
            self._closing = True
            if lost := self._tally.abandon(self._clock()):
                log.warning("%d exchanges were under way when the ledger was closed; counted as lost", lost)
        await self.flush()

    async def _answer(self, ask: Query[T], nothing: T) -> tuple[T, tuple[Waiting, ...]]:
        # A commit between the file's answer and what waits beside it would be seen twice or not at all.
        async with self._commit:
            found = nothing if self._engine is None and not self._ended else await self._ask(ask)
            return found, self._waiting()

    def _waiting(self) -> tuple[Waiting, ...]:
        batch = self._batch
        routes, verdicts = self._tally.pending()
        new = Waiting(routes, verdicts, self._tally.details.peek())
        return (new,) if batch is None else (Waiting(batch.routes, batch.verdicts, batch.details), new)

    def _place(self, domain: str, route: str) -> memoryview:
        if self._journal is not None:
            try:
                return self._journal.place(domain, route, 0)
            except OSError as error:
                log.error("the journal cannot grow: %s", error)
        self._housed = False
        return detached_cell()

    async def _write_behind(self) -> None:
        delay = self._flush_seconds
        while not self._ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            self._wake.clear()
            closing, waiters, self._waiters = self._closing, self._waiters, []
            written = await self._attempt(closing=closing)
            delay = self._flush_seconds if written else min(max(delay, 0.1) * 2, SLOWEST_RETRY)
            if closing:
                self._ended = True
                await self._shut(remove=written)
                waiters += self._waiters
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def _attempt(self, *, closing: bool) -> bool:
        """Write everything that waits; whether it worked. Never raises: recording must outlive its troubles."""
        try:
            await self._set_up()
            if self._batch is not None:
                await self._write(self._batch)
            if (batch := self._tally.take()) is not None:
                self._batch = batch
                self._packed = await asyncio.to_thread(_pack_all, batch.details)
                await self._write(batch)
            await self._tidy(closing=closing)
        except LedgerError as error:
            self._health.failed(str(error))
        except Trouble as error:
            self._health.failed(reason_of(error, self.path))
        except Exception as error:  # noqa: BLE001 - one row that cannot be stored must not stop all others
            self._spoiled(error)
        else:
            self._health.succeeded()
            return True
        return False

    async def _write(self, batch: Batch) -> None:
        if self._writer is None:
            raise LedgerError("the ledger is closed")
        async with self._writer.connect() as connection:
            await write_batch(connection, self._run, batch, self._packed, self._bounds)
            async with self._commit:
                await connection.commit()
                self._tally.committed(batch)
                self._batch, self._packed = None, ()
                self._stored.add(Waiting(batch.routes, batch.verdicts, batch.details))

    async def _tidy(self, *, closing: bool) -> None:
        now = self._clock()
        if self._writer is not None and closing:
            async with self._writer.begin() as connection:
                await close_run(connection, self._run, to_us(now))
        elif self._writer is not None and now >= self._fold_at:
            async with self._writer.begin() as connection:
                await fold_minutes(connection, to_us(now), keep_days=MINUTES_DAYS)
            self._fold_at = now + FOLD_EVERY

    async def _set_up(self) -> None:
        """Make the journal and open the file, as far as that is not done or no longer true."""
        if self._journal is None or not self._housed or not self._journal.exists():
            fresh = Journal.create(self.path, self._run)  # takes the place of the old one, if that is there
            if self._ledger:
                fresh.belongs_to(self._ledger)
            old, self._journal, self._housed = self._journal, fresh, True
            self._tally.rehouse()
            if old is not None:
                old.close(remove=False)
        if self._engine is not None and not self._same_file():
            await self._drop_engine()
            raise LedgerError(
                f"{self.path} was deleted or replaced while it was in use: the evidence in it is gone, "
                "a new ledger begins with what is counted from now on"
            )
        if self._engine is None:
            await self._open_file()

    async def _open_file(self) -> None:
        engine = make_engine(self.path)
        writer = engine.execution_options(write=True)
        try:
            now = to_us(self._clock())
            async with writer.begin() as connection:
                ledger = await connection.run_sync(migrate, self.path)
                # The number of the last batch that is written for certain: the one in hand is not.
                sequence = self._batch.sequence - 1 if self._batch else self._tally.sequence
                await register(connection, self._run, now, sequence, self._tally.baseline())
            if self._journal is not None:
                self._journal.belongs_to(ledger)
            if lost := await recover(writer, self.path, ledger, self._run, now):
                log.warning("%d exchanges were under way when a process died; counted as lost", lost)
            async with engine.connect() as connection:
                findings = await query.known_findings(connection)
                places = await query.known_places(connection)
                async with self._commit:
                    self._stored = await query.totals(connection, self._run)
        except BaseException:
            await engine.dispose()
            raise
        details = self._tally.details
        waiting = (one.id for batch in self._waiting() for one in batch.details.findings)
        details.known, details.places = findings.union(waiting), places
        self._engine, self._writer, self._ledger = engine, writer, ledger
        self._file = self.path.stat()

    def _same_file(self) -> bool:
        """SQLite itself goes on writing to a file that was deleted, and nobody would ever read it."""
        try:
            return self._file is not None and os.path.samestat(self.path.stat(), self._file)
        except FileNotFoundError:
            return False

    async def _drop_engine(self) -> None:
        engine, self._engine, self._writer = self._engine, None, None
        if engine is not None:
            await engine.dispose()

    async def _shut(self, *, remove: bool = True) -> None:
        self._tally.detach()
        await self._reads.drain(5)
        await self._drop_engine()
        if self._journal is not None:
            self._journal.close(remove=remove)
            self._journal = None

    def _spoiled(self, error: Exception) -> None:
        """Something in the batch cannot be stored at all: keep the counts and give up the rest."""
        log.error(
            "a batch could not be written; its findings and traces are given up, its counts are kept",
            exc_info=error,
        )
        if self._batch is not None:
            self._lost_traces += len(self._batch.details.traces)
            self._batch = replace(self._batch, details=DetailsBatch())
            self._packed = ()
        self._health.failed(f"{self.path}: {type(error).__name__}: {error}")


def _pack_all(details: DetailsBatch) -> tuple[PackedTrace, ...]:
    return tuple(pack(trace) for trace in details.traces)
