"""A closer look at some of the pairs that matched, beside the traffic: the evidence that a match means something."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from sys import intern
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.errors import LedgerError
from proxy.ledger import LedgerReader, examined
from proxy.ledger.windows import newest
from proxy.settings import ExamineSettings
from proxy.tasks import TaskGroup
from proxy.verify.examination import Examination, Tried, examine
from proxy.verify.work import Job, Work, WorkTimeoutError
from proxy.window import DamageCount, FieldCount

__all__ = ["Examination", "Examiner", "Tried", "examine", "sums"]

log = logging.getLogger(__name__)

FLUSH_SECONDS = 2.0
"""How long findings are gathered before they are written together."""
RETRY_SECONDS = 30.0
STOP_SECONDS = 5.0
MAX_PAIR_BYTES = 4 * 1024 * 1024
"""Larger pairs are not examined: they would hold up comparisons, which are done by the same worker."""
MAX_WAITING = 64
MAX_WAITING_BYTES = 32 * 1024 * 1024
"""Pairs that wait for the worker, and the bytes of their bodies. A route has at most one."""
MAX_FOUND = 200
"""Examinations that wait to be written; when the ledger cannot be, the oldest go."""
MAX_PLANS = 1_000
"""Routes of windows that are remembered; the one that came first goes first."""
MAX_TRIED = 500
"""Paths and sorts of damage of one route that are remembered; then counting starts anew."""
DENSE = 50
"""So many matches of a route are all examined; then one of `seen / DENSE`, up to one of `RAREST`."""
RAREST = 1_000
_REFUSED = 400


class _Of(NamedTuple):
    """Where what was found belongs."""

    window: str
    domain: str
    route: str


class _Offer(NamedTuple):
    of: _Of
    job: Job
    plan: _Plan

    @property
    def size(self) -> int:
        return len(self.job.primary.body) + len(self.job.shadow.body)


class _Plan:
    """Which matches of one route are examined next, and what was tried on it in this window."""

    __slots__ = ("examined", "next", "seen", "tried", "waiting")

    def __init__(self) -> None:
        self.seen = 0
        self.examined = 0
        self.next = 1
        self.waiting = False
        self.tried: dict[tuple[str, str], int] = {}

    def taken(self) -> None:
        self.waiting = True
        self.next = self.seen + 1 + min(self.seen // DENSE, RAREST)

    def add(self, damages: Iterable[Tried]) -> None:
        self.examined += 1
        for one in damages:
            # Routes have many names in common.
            key = (intern(one.path), intern(one.damage))
            if key not in self.tried and len(self.tried) >= MAX_TRIED:
                self.tried.clear()
            self.tried[key] = self.tried.get(key, 0) + 1


class Examiner:
    """Takes matched pairs as they are offered, examines them one after another in the worker, and keeps the sums.

    It may use `settings.share` of one processor core: after each examination it rests for as long as that asks.
    What it finds is no verdict and goes to tables of its own. `clock` is in seconds.
    """

    def __init__(
        self,
        settings: ExamineSettings,
        ledger: LedgerReader,
        work: Work,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._work = work
        self._clock = clock
        self._draw = draw
        self._tasks = TaskGroup(2)
        self._wake = asyncio.Event()
        self._running = False
        self._stopping = settings.share <= 0
        self._plans: dict[tuple[str, str], _Plan] = {}
        self._offers: list[_Offer] = []
        self._bytes = 0
        self._next_at = 0.0
        self._found: deque[tuple[_Of, Examination]] = deque(maxlen=MAX_FOUND)
        self._flush_at = 0.0
        self._windows: set[str] = set()
        self.examined = 0
        self.failed = 0
        """Examinations that came to no end; nothing of them is counted."""

    def wants(self, window: str, route: str) -> bool:
        """Whether a match of this route would be looked at now; one that would not counts as seen."""
        plan = self._plans.get((window, route)) or self._plan(window, route)
        if plan.seen + 1 >= plan.next and not (plan.waiting or self._stopping or len(self._offers) >= MAX_WAITING):
            return True
        plan.seen += 1
        return False

    def offer(self, domain: str, route: str, window: str, job: Job) -> None:
        """Look at a pair that matched, if its turn has come and there is room; never waits and never raises.

        Two refusals that match, and answers without a body, are no evidence of what the route serves.
        """
        if job.head_only or job.primary.status >= _REFUSED:
            return
        plan = self._plans.get((window, route)) or self._plan(window, route)
        plan.seen += 1
        if plan.seen < plan.next or plan.waiting or self._stopping or len(self._offers) >= MAX_WAITING:
            return
        made = _Offer(_Of(window, domain, route), job, plan)
        if made.size > min(MAX_PAIR_BYTES, MAX_WAITING_BYTES - self._bytes):
            return
        plan.taken()
        self._bytes += made.size
        self._offers.append(made)
        self._wake.set()
        if not self._running:
            self._running = self._tasks.start(self._run(), name="examiner") is not None

    async def stop(self) -> None:
        """End what is under way and write what was found. Offers that come later are declined."""
        self._stopping = True
        self._wake.set()
        await self._tasks.drain(STOP_SECONDS)

    def _plan(self, window: str, route: str) -> _Plan:
        if len(self._plans) >= MAX_PLANS:
            # Most likely of a window that has ended.
            del self._plans[next(iter(self._plans))]
        return self._plans.setdefault((window, route), _Plan())

    async def _run(self) -> None:
        """Go on for as long as there is something to examine or to write."""
        try:
            while not self._stopping:
                now = self._clock()
                if self._found and now >= self._flush_at:
                    await self._flush()
                elif self._offers and now >= self._next_at:
                    await self._examine(self._taken())
                elif self._offers or self._found:
                    due = [self._flush_at] * bool(self._found) + [self._next_at] * bool(self._offers)
                    await self._pause(min(due) - now)
                else:
                    return
            await self._flush()
        finally:
            self._running = False

    def _taken(self) -> _Offer:
        """The next pair: of the route that was examined least, so that a window that has just begun comes first."""
        least = min(range(len(self._offers)), key=lambda index: self._offers[index].plan.examined)
        return self._offers.pop(least)

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _examine(self, offer: _Offer) -> None:
        began = self._clock()
        spent = 0.0
        try:
            made = await self._work.apart(
                examine,
                offer.job,
                limit=self._settings.damages,
                seed=int(self._draw() * 2**32),
                tried=offer.plan.tried,
            )
        except WorkTimeoutError as error:
            self.failed += 1
            spent = self._clock() - began
            log.warning("examining a matched pair of %s %s", offer.of.route, error)
        except Exception:
            self.failed += 1
            spent = self._clock() - began
            log.exception("a matched pair of %s could not be examined", offer.of.route)
        else:
            self.examined += 1
            spent = made.seconds
            offer.plan.add(made.damages)
            if not self._found:
                self._flush_at = self._clock() + FLUSH_SECONDS
            self._found.append((offer.of, made))
        finally:
            offer.plan.waiting = False
            self._bytes -= offer.size
            self._next_at = self._clock() + spent * (1 / self._settings.share - 1)

    async def _flush(self) -> None:
        found = list(self._found)
        if not found:
            return
        windows: dict[tuple[str, str], list[tuple[str, Examination]]] = {}
        for of, made in found:
            windows.setdefault((of.window, of.domain), []).append((of.route, made))

        fresh = {window for window, _ in windows}

        async def keep(connection: AsyncConnection) -> set[str]:
            known = self._windows
            if not fresh <= known:
                # Another window has begun, so that some may be over.
                known = fresh | {stored.window.id for stored in (await newest(connection)).values()}
                await examined.drop_windows(connection, known)
            for (window, domain), some in windows.items():
                fields, damages = sums(some)
                await examined.add(connection, window, fields, damages, domain=domain)
            return known

        try:
            self._windows = await self._ledger.write(keep)
        except LedgerError as error:
            log.warning("what examinations found waits in memory: %s", error)
            self._flush_at = self._clock() + RETRY_SECONDS
        else:
            # Nothing else adds or removes while this task writes.
            self._found.clear()


def sums(found: Iterable[tuple[str, Examination]]) -> tuple[tuple[FieldCount, ...], tuple[DamageCount, ...]]:
    """The counts of several examinations, each with its route."""
    fields: dict[tuple[str, str], FieldCount] = {}
    damages: dict[tuple[str, str, str], DamageCount] = {}
    for route, made in found:
        for path, state in made.fields.items():
            was = fields.get((route, path)) or FieldCount(route, path, 0, 0, 0, 0, 0)
            fields[route, path] = FieldCount(
                route, path, was.looked + 1, was.present + state.present, was.null + state.null,
                was.empty + state.empty, was.valued + state.valued,
            )  # fmt: skip
        for one in made.damages:
            before = damages.get((route, one.path, one.damage)) or DamageCount(route, one.path, one.damage, 0, 0)
            damages[route, one.path, one.damage] = DamageCount(
                route, one.path, one.damage, before.tried + 1, before.seen + one.seen, before.rule or one.rule
            )
    return tuple(fields.values()), tuple(damages.values())
