"""Writing behind: the batches of a ledger on their way to the file, one transaction each, tried until it is there.

What is written was counted by the event loop's thread before; nobody who counts ever waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from secrets import token_hex
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.errors import LedgerError
from proxy.ledger import query, windows
from proxy.ledger.book import Book
from proxy.ledger.database import Trouble, unstorable
from proxy.ledger.details import Details
from proxy.ledger.file import LedgerFile, open_file
from proxy.ledger.health import Health
from proxy.ledger.housing import Housing
from proxy.ledger.moments import to_us
from proxy.ledger.reader import LedgerReader, Query, T
from proxy.ledger.store import Store
from proxy.ledger.tally import Batch, Tally
from proxy.ledger.totals import Totals, Waiting
from proxy.ledger.traces import PackedTrace, pack_all
from proxy.ledger.write import Bounds, is_written, write_batch
from proxy.tasks import TaskGroup

log = logging.getLogger(__name__)

SLOWEST_RETRY = 30.0
"""Seconds between two attempts when many have failed."""
STALLED_SECONDS = 10.0
"""After how long a write that neither ends nor fails is one that fails, for all who ask how the recording goes."""
STALLED = f"a write has not ended in {STALLED_SECONDS:.0f} s"
TIDY_EVERY = timedelta(hours=1)


class WritingBehind(LedgerReader):
    """A reader whose file this process writes. `_write_behind` is the one task that does; `_wake` and `_closing` are
    how it is told to hurry and to end."""

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
        self._tasks = TaskGroup(1)

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
            stalled = asyncio.get_running_loop().call_later(STALLED_SECONDS, self._health.failed, STALLED)
            written = await self._attempt(closing=closing)
            stalled.cancel()
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
