"""Counting in memory: what was begun, what is under way, what ended how. The event loop's thread only.

`observed` is begun less under way, the verdicts are counted one by one as outcomes come in: two books that are
kept apart and must agree. Both change in one step, so they agree whenever anyone can look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from proxy.ledger.book import Book
from proxy.ledger.details import Details, DetailsBatch
from proxy.ledger.epoch import Epoch
from proxy.ledger.journal import ROUTE_BYTES, shorten
from proxy.ledger.moments import MINUTE, to_us
from proxy.ledger.timing import Timing, TimingBatch
from proxy.model import Outcome, Verdict
from proxy.window import Watch

log = logging.getLogger(__name__)

MINUTES_WAITING = 1_440
"""How many different minutes of one route and verdict may wait for the disk; later ones go to the last."""


class Slot:
    """The counters of one route in one window. `cell` is the journal's copy of `begun`."""

    __slots__ = (
        "begun",
        "cell",
        "committed",
        "counts",
        "domain",
        "epoch",
        "known_gaps",
        "last",
        "route",
        "taken",
        "under_way",
        "written",
    )

    def __init__(self, epoch: Epoch, domain: str, route: str, cell: memoryview) -> None:
        self.epoch = epoch
        self.domain = domain
        self.route = route
        self.cell = cell
        self.begun = 0
        self.under_way = 0
        self.taken = 0  # of the settled, those that are in a batch or written
        self.committed = 0  # of the settled, those that are written
        self.written = 0  # `begun` as it was last put into a batch
        self.known_gaps = 0
        self.counts: dict[Verdict, dict[int, int]] = {}
        self.last: dict[Verdict, int] = {}

    @property
    def settled(self) -> int:
        return self.begun - self.under_way

    @property
    def done(self) -> bool:
        """Whether nothing can be lost of it any more, nor come to it: it is over and in the file."""
        return self.epoch.over and not self.under_way and self.committed == self.begun == self.written

    def count(self, verdict: Verdict, us: int, n: int = 1) -> None:
        minutes = self.counts.setdefault(verdict, {})
        minute = us // MINUTE
        if minute not in minutes and len(minutes) >= MINUTES_WAITING:
            minute = next(reversed(minutes))
        minutes[minute] = minutes.get(minute, 0) + n
        if us > self.last.get(verdict, 0):
            self.last[verdict] = us


class Ticket:
    """One exchange under way. Belongs to exactly one later `record`."""

    __slots__ = ("open", "slot")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.open = True

    @property
    def window(self) -> str:
        """The id of the window that the exchange was begun in and counts in."""
        return self.slot.epoch.id


@dataclass(frozen=True, slots=True)
class RouteDelta:
    """What is new of a route: `begun` and `settled` are totals of the run, `observed` is the increment."""

    window: str
    domain: str
    route: str
    begun: int
    settled: int
    observed: int


@dataclass(frozen=True, slots=True)
class VerdictDelta:
    """The increments of one route and verdict by minute, and when the last of them ended.

    `known_gaps` are those among them that a recorded gap explains.
    """

    window: str
    domain: str
    route: str
    verdict: Verdict
    minutes: dict[int, int]
    last_at: int
    known_gaps: int = 0

    @property
    def n(self) -> int:
        return sum(self.minutes.values())


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction, once: `sequence` tells whether it has been."""

    sequence: int
    routes: tuple[RouteDelta, ...]
    verdicts: tuple[VerdictDelta, ...]
    details: DetailsBatch
    timing: TimingBatch

    @property
    def exchanges(self) -> int:
        return sum(route.observed for route in self.routes)

    def lighter(self) -> Batch:
        """The same counts without the traces, or without any details where there are no traces."""
        return replace(self, details=self.details.bare() if self.details.traces else DetailsBatch())


class Tally:
    """All counters of this process. `place` gives a new route its place in the journal: window, domain, route."""

    def __init__(self, book: Book, place: Callable[[str, str, str], memoryview], details: Details) -> None:
        self._book = book
        self._place = place
        self.details = details
        self.timing = Timing()
        self.misused = 0
        self._slots: dict[tuple[Epoch, str, str], Slot] = {}
        self._by_name: dict[tuple[str, str], Slot] = {}
        self._in_hand: list[tuple[Slot, int]] = []
        self._sequence = 0

    def begin(self, domain: str, route: str) -> Ticket:
        slot = self._by_name.get((domain, route))
        if slot is None or slot.epoch.over:
            slot = self._slot(domain, route)
        slot.under_way += 1
        slot.begun += 1
        slot.cell[0] = slot.begun
        return Ticket(slot)

    def record(self, ticket: Ticket, outcome: Outcome) -> None:
        slot = ticket.slot
        if not ticket.open:
            self.misused += 1
            log.error(
                "a second outcome (%s) for one exchange of %s %s was ignored: this is a bug",
                outcome.verdict.value,
                slot.domain,
                slot.route,
            )
            return
        us = to_us(outcome.at)  # may refuse a naive time: before anything is changed
        ticket.open = False
        slot.under_way -= 1
        slot.count(outcome.verdict, us)
        if outcome.known_gap and outcome.verdict is Verdict.DIFF:
            slot.known_gaps += 1
        self.details.add(slot.epoch, slot.domain, slot.route, outcome, us)
        self.timing.add(slot.epoch, slot.domain, outcome)

    def keep_watch(self, domain: str, watch: Watch) -> None:
        epoch = self._book.epoch(domain)
        self.timing.keep(epoch, epoch.window.domain, watch)

    def abandon(self, at: datetime) -> int:
        """Count everything still under way as lost; returns how many there were."""
        lost = 0
        for slot in self._slots.values():
            if slot.under_way:
                lost += slot.under_way
                slot.count(Verdict.LOST, to_us(at), slot.under_way)
                slot.under_way = 0
        return lost

    @property
    def slots(self) -> Collection[Slot]:
        return self._slots.values()

    @property
    def sequence(self) -> int:
        """The number of the last batch taken."""
        return self._sequence

    @property
    def waiting(self) -> int:
        """Finished exchanges that are in no batch yet."""
        # A copy, taken in one step: metrics ask on another thread, and a new route adds a slot.
        return sum(slot.settled - slot.taken for slot in list(self._slots.values()))

    def pending(self) -> tuple[tuple[RouteDelta, ...], tuple[VerdictDelta, ...]]:
        """The increments that the next `take` would have, without taking them."""
        slots = [slot for slot in self._slots.values() if slot.settled != slot.taken or slot.begun != slot.written]
        return (
            tuple(
                RouteDelta(slot.epoch.id, slot.domain, slot.route, slot.begun, slot.settled, slot.settled - slot.taken)
                for slot in slots
            ),
            tuple(
                VerdictDelta(
                    slot.epoch.id,
                    slot.domain,
                    slot.route,
                    verdict,
                    dict(minutes),
                    slot.last[verdict],
                    slot.known_gaps if verdict is Verdict.DIFF else 0,
                )
                for slot in slots
                for verdict, minutes in slot.counts.items()
            ),
        )

    def take(self) -> Batch | None:
        """Move what is new into a batch; None when there is nothing."""
        routes, verdicts = self.pending()
        details, timing = self.details.take(), self.timing.take()
        if not (routes or details or timing):
            return None
        for slot in self._slots.values():
            slot.taken = slot.settled
            slot.written = slot.begun
            slot.known_gaps = 0
            slot.counts = {}
        self._in_hand = [(slot, slot.settled) for slot in self._slots.values()]
        self._sequence += 1
        return Batch(self._sequence, routes, verdicts, details, timing)

    def committed(self) -> None:
        """Note that the batch last taken is in the file."""
        for slot, settled in self._in_hand:
            slot.committed = settled
        self._in_hand = []

    def baseline(self) -> tuple[RouteDelta, ...]:
        """The run's totals as a file must know them that has none of its counts."""
        return tuple(
            RouteDelta(slot.epoch.id, slot.domain, slot.route, slot.begun, slot.committed, 0)
            for slot in self._slots.values()
        )

    def forget(self) -> int:
        """Give up what is over and done; returns how many places in the journal are of no use any more."""
        kept = {key: slot for key, slot in self._slots.items() if not slot.done}
        gone = len(self._slots) - len(kept)
        if gone:
            self._slots = kept
            self._by_name = {name: slot for name, slot in self._by_name.items() if not slot.done}
            self.details.forget({epoch for epoch, *_ in kept}, {one.id for one in self._book.current.values()})
        return gone

    def rehouse(self) -> None:
        """Give every route a new place: the journal was replaced."""
        for slot in self._slots.values():
            cell = self._place(slot.epoch.id, slot.domain, slot.route)
            cell[0] = slot.begun
            slot.cell = cell

    def detach(self) -> None:
        """Count apart from the journal, which is about to be closed."""
        for slot in self._slots.values():
            slot.cell = detached_cell()

    def _slot(self, domain: str, route: str) -> Slot:
        epoch = self._book.epoch(domain)
        key = epoch, epoch.window.domain, shorten(route, ROUTE_BYTES)
        slot = self._slots.get(key)
        if slot is None:
            cell = self._place(epoch.id, *key[1:])
            slot = self._slots[key] = Slot(*key, cell)
        self._by_name[domain, route] = slot
        return slot


def detached_cell() -> memoryview:
    """A counter in plain memory, for when there is no journal."""
    return memoryview(bytearray(8)).cast("Q")
