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
from datetime import datetime
from pathlib import Path

from proxy.errors import LedgerError
from proxy.ledger.behind import WritingBehind
from proxy.ledger.database import Trouble, store_of
from proxy.ledger.findings import GONE_AFTER
from proxy.ledger.reader import Query, T
from proxy.ledger.records import DomainCounts, Recording, joined
from proxy.ledger.store import Store
from proxy.ledger.tally import Ticket
from proxy.ledger.totals import Waiting
from proxy.ledger.write import Bounds
from proxy.model import Outcome
from proxy.window import Watch, Window

log = logging.getLogger(__name__)

SHOWN_SECONDS = 2.0
"""How long an answer waits for what it could tell to be written; a healthy disk takes milliseconds."""


class Ledger(WritingBehind):
    """Made by `open`. `begin` and `record` belong to the thread of the event loop."""

    def __init__(self, store: Store, flush_seconds: float, bounds: Bounds, clock: Callable[[], datetime]) -> None:
        super().__init__(store, flush_seconds, bounds, clock)
        self.beside: Callable[[], Iterable[Recording]] = tuple
        """How the recording goes in processes that belong to this one and write to the same ledger."""

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
        """Write what waits before anybody is told of it: what was once shown must outlive a kill.

        Whether only what is written may be told: what takes longer to write than an answer waits is told another time.
        While the ledger cannot be written this tries nothing, for then all that waits is told as it is.
        """
        if self._ended or self._health.reason is not None:
            return False
        if self._batch is None and not self._tally.waiting:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(SHOWN_SECONDS):
                await self.flush()
        return self._health.reason is None

    def _told(self, *, safe: bool) -> tuple[Waiting, ...]:
        """Of what waits, that which may be told beside the file's answer: all of it, or where `safe` no exchange."""
        return tuple(Waiting(timing=one.timing) for one in self._waiting()) if safe else self._waiting()
