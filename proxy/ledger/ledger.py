"""The ledger of a process that serves: counting in memory, writing behind, and never in the way of either.

`begin` and `record` touch memory only. One background task writes what has gathered, a batch in a transaction;
a batch that fails is kept and tried again until the disk is back, and what comes meanwhile is added up. What
waits in memory is part of every answer, so the figures are right also while nothing can be written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.errors import LedgerError
from proxy.ledger import query, windows
from proxy.ledger.book import Book
from proxy.ledger.database import Trouble, store_of, unstorable
from proxy.ledger.details import Details
from proxy.ledger.file import LedgerFile, open_file
from proxy.ledger.findings import GONE_AFTER
from proxy.ledger.health import Health
from proxy.ledger.housing import Housing
from proxy.ledger.moments import to_us
from proxy.ledger.reader import LedgerReader, Query, T
from proxy.ledger.records import DomainCounts, Recording, joined
from proxy.ledger.store import Store
from proxy.ledger.tally import Batch, Tally, Ticket
from proxy.ledger.totals import Totals, Waiting
from proxy.ledger.traces import PackedTrace, pack_all
from proxy.ledger.write import Bounds, is_written, write_batch
from proxy.model import Outcome
from proxy.tasks import TaskGroup
from proxy.window import Watch, Window

log = logging.getLogger(__name__)

SLOWEST_RETRY = 30.0
"""Seconds between two attempts when many have failed."""
SHOWN_SECONDS = 2.0
"""How long an answer waits for what it is about to tell to be written; a healthy disk takes milliseconds."""
TIDY_EVERY = timedelta(hours=1)


class Ledger(LedgerReader):
    """Made by `open`. `begin` and `record` belong to the thread of the event loop."""

    def __init__(self, store: Store, flush_seconds: float, bounds: Bounds, clock: Callable[[], datetime]) -> None:
        super().__init__(store, None, clock)
        self._flush_seconds = flush_seconds
        self._bounds = bounds
        self._run = uuid4().hex
        self._housing = Housing(store.journals, self._run)
        self._book = Book(clock, lambda: token_hex(8))
        self._tally = Tally(self._book, self._housing.place, Details(bounds.max_findings))
        self._file: LedgerFile | None = None
        self._stored = Totals()
        self._batch: Batch | None = None
        self._packed: tuple[PackedTrace, ...] = ()
        self._doubted = False  # whether the batch may be in the file although its commit failed
        self._commit = asyncio.Lock()
        self._wake = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._closing = False
        self._ended = False
        self._health = Health(clock)
        self._tidy_at = clock()
        self._lost_traces = 0
        self.beside: Callable[[], Iterable[Recording]] = tuple
        """How the recording goes in processes that belong to this one and write to the same ledger."""
        self._tasks = TaskGroup(1)

    @classmethod
    async def open(  # type: ignore[override]  # a reader needs no limits
        cls,
        url: str,
        *,
        journal: Path | None = None,
        flush_seconds: float,
        max_traces: int,
        max_trace_bytes: int,
        max_findings: int,
        gone_after: int = GONE_AFTER,
        clock: Callable[[], datetime],
    ) -> Ledger:
        """Open or make the ledger, bring its schema up to date and settle runs that died.

        `journal` is the folder of the journals of a ledger in Postgres, the working directory where it is None; those
        of a file lie beside it. `flush_seconds` is how long counts wait in memory, `max_trace_bytes` bounds all stored
        traces together, `gone_after` is after how many comparisons of its route without it a finding is gone, `clock`
        gives the time with its zone. A disk that is full, read-only or locked, or a server that is away, does not keep
        the proxy from starting: `recording` says so, and writing is tried again. Raises LedgerError for what will not
        get better by itself: an unusable url or account, a file that is no ledger, a schema newer than this code.
        """
        store = store_of(url, journal)
        store.check_journals()
        ledger = cls(store, flush_seconds, Bounds(max_traces, max_trace_bytes, max_findings, gone_after), clock)
        try:
            await ledger._set_up()
        except BaseException as error:
            if not isinstance(error, Trouble):
                await ledger._shut()
                raise
            if store.lasting(error):
                await ledger._shut()
                raise LedgerError(f"{store.reason(error)}; {store.advice}") from error
            ledger._health.failed(store.reason(error))
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

    def enter(self, domain: str, parts: Mapping[str, str], at: datetime) -> Window:
        """Say what the evidence of `domain` belongs to from `at` on; the window that it is counted in from now on.

        Each part that is named for the first time is filled in, one that has changed begins a new window; what is not
        named stays as it is. A window that another process began for the same parts is joined. No I/O.
        """
        return self._book.enter(domain, parts, at)

    def restart(self, domain: str, why: str, at: datetime) -> Window:
        """Begin a new window of `domain` with the same parts. No I/O."""
        return self._book.restart(domain, why, at)

    def window(self, domain: str) -> Window | None:
        """The window that `domain` is counted in now; None for one that was never entered nor counted."""
        return self._book.window(domain)

    async def windows(self, domain: str) -> list[Window]:
        found = {window.id: window for window in reversed(await super().windows(domain))}
        # What is not written yet is newer than all that is, or the same with more parts.
        found.update({one.window.id: one.window for one in self._book.unsaved() if one.window.domain == domain})
        return list(reversed(found.values()))

    def keep_watch(self, domain: str, watch: Watch) -> None:
        """Note that `domain` was watched: a stretch of its current window, from when that began.

        The one that began at the same time is extended. No I/O. Raises TypeError for times without a zone.
        """
        self._tally.keep_watch(domain, watch)

    def keep_within(self, *, max_traces: int, max_trace_bytes: int, max_findings: int, gone_after: int) -> None:
        """Other limits from now on, as `open` takes them; what is beyond them goes with the next writes. No I/O."""
        self._bounds = Bounds(max_traces, max_trace_bytes, max_findings, gone_after)
        self._tally.details.max_findings = max_findings

    @property
    def recording(self) -> Recording:
        """How it goes here and in the processes of `beside`: it is well where it is with all."""
        return joined(self.own_recording, self.beside())

    @property
    def own_recording(self) -> Recording:
        """How it goes in this process alone."""
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
        """The counts of every domain that has a window. Also while the file cannot be read."""

        async def answer() -> dict[str, DomainCounts]:
            safe = await self._write_first()
            async with self._commit:
                if self._engine is not None:
                    # What was last known and what was written since is then the best answer there is.
                    with suppress(LedgerError):
                        self._stored = await self._ask_surely(self._totals)
                found = self._stored.current(self._book.current)
                for one in self._told(safe=safe):
                    found.add(one)
                for delta in (delta for one in self._waiting() if safe for delta in one.routes):
                    found.route(delta.window, delta.domain, delta.route).under_way += delta.observed
                for slot in self._tally.slots:
                    found.route(slot.epoch.id, slot.domain, slot.route).under_way += slot.under_way
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
        safe = await self._write_first()
        # A commit between the file's answer and what waits beside it would be seen twice or not at all.
        async with self._commit:
            found = nothing if self._engine is None and not self._ended else await self._ask_surely(ask)
            return found, self._told(safe=safe)

    async def _write_first(self) -> bool:
        """Write what waits before anybody is told of it: what was once shown must outlive a kill. Whether it is so.

        While the ledger is not being written this tries nothing, for then all that waits is told as it is.
        """
        if self._ended or self._health.reason is not None:
            return False
        if self._batch is None and not self._tally.waiting:
            return True
        try:
            async with asyncio.timeout(SHOWN_SECONDS):
                await self.flush()
        except TimeoutError:
            return False
        return self._health.reason is None

    def _told(self, *, safe: bool) -> tuple[Waiting, ...]:
        """Of what waits, that which may be told beside the file's answer: all of it, or where what came before is
        `safe` in the file no exchange that ended since."""
        return tuple(Waiting(timing=one.timing) for one in self._waiting()) if safe else self._waiting()

    async def _ask_surely(self, ask: Query[T]) -> T:
        """The answer of the file; a batch that shows to be in it although its commit failed waits no longer.

        `_commit` is held.
        """
        batch = self._batch if self._doubted else None

        async def both(connection: AsyncConnection) -> tuple[T, bool]:
            written = batch is not None and await is_written(connection, self._run, batch.sequence)
            return await ask(connection), written

        found, written = await self._ask(both)
        if batch is not None and written:
            self._written(batch)
        return found

    def _waiting(self) -> tuple[Waiting, ...]:
        batch = self._batch
        routes, verdicts = self._tally.pending()
        new = Waiting(routes, verdicts, self._tally.details.peek(), self._tally.timing.peek())
        return (new,) if batch is None else (Waiting.of(batch), new)

    async def _totals(self, connection: AsyncConnection) -> Totals:
        return await query.totals(connection, self._run, {window.id for window in self._book.current.values()})

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
            self._book.seen(await self._ask(windows.newest), self._clock())
            await self._save_windows()
            if self._batch is not None:
                await self._write(self._batch)
                await self._save_windows()
            if (batch := self._tally.take()) is not None:
                self._batch = batch
                self._packed = await asyncio.to_thread(pack_all, batch.details.traces)
                await self._write(batch)
            await self._tidy(closing=closing)
        except LedgerError as error:
            self._health.failed(str(error))
        except Exception as error:  # noqa: BLE001 - one row that cannot be stored must not stop all others
            if isinstance(error, Trouble) and not unstorable(error):
                self._health.failed(self.store.reason(error))
            else:
                self._spoiled(error)
        else:
            self._health.succeeded()
            return True
        return False

    async def _write(self, batch: Batch) -> None:
        if self._file is None:
            raise LedgerError("the ledger is closed")
        async with self._file.writer.connect() as connection:
            await write_batch(connection, self._run, batch, self._packed, self._bounds, to_us(self._clock()))
            async with self._commit:
                self._doubted = True
                await connection.commit()
                if self._batch is batch:
                    self._written(batch)
        if gone := self._tally.forget():
            self._stored = self._stored.current(self._book.current)
            self._housing.free(gone)

    def _written(self, batch: Batch) -> None:
        self._tally.committed()
        self._batch, self._packed, self._doubted = None, (), False
        self._stored.add(Waiting.of(batch))

    async def _save_windows(self) -> None:
        """Write all windows down, so that a batch taken right afterwards names only windows of the file."""
        while self._file is not None and (unsaved := self._book.unsaved()):
            async with self._file.writer.connect() as connection:
                found = await windows.save(connection, self._run, unsaved)
                async with self._commit:
                    await connection.commit()
                    self._book.stored(found)

    async def _tidy(self, *, closing: bool) -> None:
        now = self._clock()
        if self._file is not None and closing:
            await self._file.close_run(self._run, to_us(now))
        elif self._file is not None and now >= self._tidy_at:
            await self._file.tidy(to_us(now), {window.id for window in self._book.current.values()})
            self._tidy_at = now + TIDY_EVERY

    async def _set_up(self) -> None:
        """Make the journal and open the file, as far as that is not done or no longer true."""
        self._housing.settle(self._tally.rehouse)
        if self._file is not None and not await self._file.is_there():
            await self._drop_file()
            self._housing.renew()
            raise LedgerError(
                f"{self.store.name} was deleted or replaced while it was in use: the evidence in it is gone, "
                "a new ledger begins with what is counted from now on"
            )
        if self._file is None:
            await self._open_file()

    async def _open_file(self) -> None:
        # The number of the last batch that is written for certain: the one in hand is not.
        sequence = self._batch.sequence - 1 if self._batch else self._tally.sequence
        now, settled = to_us(self._clock()), self._tally.baseline()
        file = await open_file(self.store, self._run, self._housing, now_us=now, sequence=sequence, baseline=settled)
        self._book.load(file.newest, file.windows)
        details = self._tally.details
        waiting = (one.id for batch in self._waiting() for one in batch.details.findings)
        details.reopened(file.findings.union(waiting), file.places)
        self._file, self._engine = file, file.engine
        async with self._commit:
            with suppress(LedgerError):
                self._stored = await self._ask_surely(self._totals)

    async def _drop_file(self) -> None:
        engine, self._engine, self._file = self._engine, None, None
        if engine is not None:
            await engine.dispose()

    async def _shut(self, *, remove: bool = True) -> None:
        self._tally.detach()
        await self._reads.drain(5)
        await self._drop_file()
        self._housing.close(remove=remove)

    def _spoiled(self, error: Exception) -> None:
        """Something in the batch cannot be stored at all: give up its traces, then its findings, never its counts."""
        batch, told = self._batch, self.store.reason(error)
        # What a database says may quote whole rows, in the statement and beside it; of that the reason is enough.
        log.error("the ledger could not be written: %s", told, exc_info=None if isinstance(error, Trouble) else error)
        if batch is not None:
            given_up = "traces" if batch.details.traces else "findings"
            log.error("the batch's %s are given up, its counts are kept", given_up)
            self._batch, self._packed = batch.lighter(), ()
            self._lost_traces += len(batch.details.traces)
            if not batch.details.traces:
                self._tally.details.given_up(batch.details)
        self._health.failed(f"{told} ({type(error).__name__})")
