"""Counting in memory: what was begun, what is under way, what ended how. The event loop's thread only.

`observed` is begun less under way, the verdicts are counted one by one as outcomes come in: two books that are
kept apart and must agree. Both change in one step, so they agree whenever anyone can look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from proxy.ledger.details import Details, DetailsBatch
from proxy.ledger.journal import DOMAIN_BYTES, ROUTE_BYTES, shorten
from proxy.ledger.moments import MINUTE, to_us
from proxy.model import Outcome, Verdict

log = logging.getLogger(__name__)

MINUTES_WAITING = 1_440
"""How many different minutes of one route and verdict may wait for the disk; later ones go to the last."""


class Slot:
    """The counters of one route. `cell` is the journal's copy of `begun`."""

    __slots__ = (
        "begun",
        "cell",
        "committed",
        "counts",
        "domain",
        "last",
        "route",
        "taken",
        "under_way",
        "written",
    )

    def __init__(self, domain: str, route: str, cell: memoryview) -> None:
        self.domain = domain
        self.route = route
        self.cell = cell
        self.begun = 0
        self.under_way = 0
        self.taken = 0  # of the settled, those that are in a batch or written
        self.committed = 0  # of the settled, those that are written
        self.written = 0  # `begun` as it was last put into a batch
        self.counts: dict[Verdict, dict[int, int]] = {}
        self.last: dict[Verdict, int] = {}

    @property
    def settled(self) -> int:
        return self.begun - self.under_way

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


@dataclass(frozen=True, slots=True)
class RouteDelta:
    """What is new of a route: `begun` and `settled` are totals of the run, `observed` is the increment."""

    domain: str
    route: str
    begun: int
    settled: int
    observed: int


@dataclass(frozen=True, slots=True)
class VerdictDelta:
    """The increments of one route and verdict by minute, and when the last of them ended."""

    domain: str
    route: str
    verdict: Verdict
    minutes: dict[int, int]
    last_at: int

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

    @property
    def exchanges(self) -> int:
        return sum(route.observed for route in self.routes)


class Tally:
    """All counters of this process. `place` gives a new route its place in the journal."""

    def __init__(self, place: Callable[[str, str], memoryview], details: Details) -> None:
        self._place = place
        self.details = details
        self.slots: dict[tuple[str, str], Slot] = {}
        self.misused = 0
        self._sequence = 0

    def begin(self, domain: str, route: str) -> Ticket:
        slot = self.slots.get((domain, route))
        if slot is None:
            slot = self._slot(domain, route)
        slot.under_way += 1
        slot.begun += 1
        slot.cell[0] = slot.begun
        return Ticket(slot)

    def record(self, ticket: Ticket, outcome: Outcome) -> None:
        if not ticket.open:
            self.misused += 1
            log.error(
                "a second outcome (%s) for one exchange of %s %s was ignored: this is a bug",
                outcome.verdict.value,
                ticket.slot.domain,
                ticket.slot.route,
            )
            return
        us = to_us(outcome.at)  # may refuse a naive time: before anything is changed
        ticket.open = False
        slot = ticket.slot
        slot.under_way -= 1
        slot.count(outcome.verdict, us)
        self.details.add(slot.domain, slot.route, outcome, us)

    def abandon(self, at: datetime) -> int:
        """Count everything still under way as lost; returns how many there were."""
        lost = 0
        for slot in set(self.slots.values()):
            if slot.under_way:
                lost += slot.under_way
                slot.count(Verdict.LOST, to_us(at), slot.under_way)
                slot.under_way = 0
        return lost

    @property
    def sequence(self) -> int:
        """The number of the last batch taken."""
        return self._sequence

    @property
    def waiting(self) -> int:
        """Finished exchanges that are in no batch yet."""
        return sum(slot.settled - slot.taken for slot in set(self.slots.values()))

    def pending(self) -> tuple[tuple[RouteDelta, ...], tuple[VerdictDelta, ...]]:
        """The increments that the next `take` would have, without taking them."""
        slots = [slot for slot in set(self.slots.values()) if slot.settled != slot.taken or slot.begun != slot.written]
        return (
            tuple(
                RouteDelta(slot.domain, slot.route, slot.begun, slot.settled, slot.settled - slot.taken)
                for slot in slots
            ),
            tuple(
                VerdictDelta(slot.domain, slot.route, verdict, dict(minutes), slot.last[verdict])
                for slot in slots
                for verdict, minutes in slot.counts.items()
            ),
        )

    def take(self) -> Batch | None:
        """Move what is new into a batch; None when there is nothing."""
        routes, verdicts = self.pending()
        details = self.details.take()
        if not routes and not details:
            return None
        for slot in self.slots.values():
            slot.taken = slot.settled
            slot.written = slot.begun
            slot.counts = {}
        self._sequence += 1
        return Batch(self._sequence, routes, verdicts, details)

    def committed(self, batch: Batch) -> None:
        """Note that `batch` is in the file."""
        for delta in batch.routes:
            self.slots[delta.domain, delta.route].committed = delta.settled

    def baseline(self) -> tuple[RouteDelta, ...]:
        """The run's totals as a file must know them that has none of its counts."""
        return tuple(
            RouteDelta(slot.domain, slot.route, slot.begun, slot.committed, 0) for slot in set(self.slots.values())
        )

    def rehouse(self) -> None:
        """Give every route a new place: the journal was replaced."""
        for slot in set(self.slots.values()):
            cell = self._place(slot.domain, slot.route)
            cell[0] = slot.begun
            slot.cell = cell

    def detach(self) -> None:
        """Count apart from the journal, which is about to be closed."""
        for slot in self.slots.values():
            slot.cell = detached_cell()

    def _slot(self, domain: str, route: str) -> Slot:
        key = shorten(domain, DOMAIN_BYTES), shorten(route, ROUTE_BYTES)
        slot = self.slots.get(key)
        if slot is None:
            slot = self.slots[key] = Slot(*key, self._place(*key))
        self.slots[domain, route] = slot
        return slot


def detached_cell() -> memoryview:
    """A counter in plain memory, for when there is no journal."""
    return memoryview(bytearray(8)).cast("Q")
