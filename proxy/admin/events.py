"""Server-sent events: that something changed, and what ended just now.

One producer serves all listeners and runs only while there are any. What a listener has not taken yet is bounded: what
changed is told once however often it did, and who does not read what ends is let go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from proxy.admin.answers import encoded, problem
from proxy.admin.content import wanted
from proxy.admin.desk import Desk
from proxy.admin.queries import LiveQuery, place_of, place_text
from proxy.admin.shapes import ended_json
from proxy.errors import LedgerError
from proxy.model import Ended
from proxy.tasks import TaskGroup

LISTENERS = 50
TICK = 0.25
"""Seconds between two looks at the tail."""
TICKS_OF_A_CHANGE = 4
"""Ticks between two looks at the domains."""
BATCH = 200
PENDING = 40
"""Batches that may wait for one listener: ten seconds of them."""
HEARTBEAT = 15.0
WRITE_SECONDS = 10.0
UNREADABLE = "unreadable"
"""The version while the ledger cannot be read."""

Alive = Callable[[], bool]


class _Listener:
    """One who listens, and what waits for them."""

    def __init__(self, asked: LiveQuery, place: int, version: str, alive: Alive) -> None:
        self.asked = asked
        self.place = place
        self.version = version
        self.alive = alive
        self.over = False
        self.wake = asyncio.Event()
        self.batches: deque[bytes] = deque()
        self.changed: set[str] | None = None

    def end(self) -> None:
        self.over = True
        self.wake.set()

    def hear(self, tail_place: int, ended: Iterable[Ended], missed: int, boot: str) -> None:
        """Take over what ended; the last `BATCH` of it, so that a screen is never far behind."""
        self.place = tail_place
        picked = [one for one in ended if wanted(one, self.asked)]
        missed += max(0, len(picked) - BATCH)
        if picked or missed:
            if len(self.batches) >= PENDING:
                self.end()
                return
            told = {"ended": [ended_json(one) for one in picked[-BATCH:]], "missed": missed}
            self.batches.append(_event("verdicts", told, self.mark(boot)))
            self.wake.set()

    def change(self, version: str, domains: set[str]) -> None:
        if version != self.version:
            self.version = version
            self.changed = domains | (self.changed or set())
            self.wake.set()

    def mark(self, boot: str) -> str:
        """What `Last-Event-ID` brings back."""
        return f"{place_text(boot, self.place)}-{self.version}"

    def take(self, boot: str) -> bytes:
        """All that waits, as it is sent."""
        self.wake.clear()
        parts = list(self.batches)
        self.batches.clear()
        if self.changed is not None:
            told = {"version": self.version, "domains": sorted(self.changed)}
            parts.append(_event("changed", told, self.mark(boot)))
            self.changed = None
        return b"".join(parts)


class Events:
    """Those who listen, and what is told to them."""

    def __init__(self, desk: Desk, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self.desk = desk
        self._sleep = sleep
        self._listeners: set[_Listener] = set()
        # Two, since one that has just returned is held until the loop's next turn.
        self._producers = TaskGroup(2)
        self._running = False
        self._stopped = False
        self._told: tuple[str, Mapping[str, str]] = "", {}

    def __len__(self) -> int:
        return len(self._listeners)

    @property
    def producing(self) -> bool:
        """Whether anything is looked at; only while somebody listens."""
        return self._running

    async def handle(self, request: web.Request, alive: Alive) -> web.StreamResponse:
        """Tell one listener, until they go, are let go, or `alive` says no. Raises BadQueryError, UnknownNameError."""
        asked = LiveQuery.of(request.query, "tail")
        self.desk.evidence.check_names([] if asked.domain is None else [asked.domain])
        if self._stopped or len(self._listeners) >= LISTENERS:
            text = f"{LISTENERS} listen already; close a tab, or ask again later"
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": "5"})
        listener = self._listener(request, asked, alive)
        self._listeners.add(listener)
        if not self._running:
            self._running = self._producers.start(self._produce(), name="admin events") is not None
        try:
            return await self._tell(request, listener)
        finally:
            self._listeners.discard(listener)

    async def stop(self) -> None:
        """Let everybody go."""
        self._stopped = True
        for listener in self._listeners:
            listener.end()
        await self._producers.drain(0)

    def _listener(self, request: web.Request, asked: LiveQuery, alive: Alive) -> _Listener:
        seen, _, version = request.headers.get("Last-Event-ID", "").rpartition("-")
        # Where they were when the line broke; else where the page on their screen ends; else from now on.
        place = place_of(seen, self.desk.boot)
        if place is None and asked.since is not None:
            place = place_of(asked.since, self.desk.boot)

        def connected() -> bool:
            return request.transport is not None and not request.transport.is_closing() and alive()

        return _Listener(asked, self.desk.tail.place if place is None else place, version, connected)

    async def _tell(self, request: web.Request, listener: _Listener) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await response.prepare(request)
                await response.write(b"retry: 3000\n\n")
            while not listener.over:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await listener.wake.wait()
                    told = listener.take(self.desk.boot)
                except TimeoutError:
                    told = b": still here\n\n"
                if told:
                    async with asyncio.timeout(WRITE_SECONDS):
                        await response.write(told)
        except (TimeoutError, ConnectionError):
            # They went, or do not read: nobody is left to be told.
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _produce(self) -> None:
        ticks = 0
        try:
            while self._listeners:
                for listener in list(self._listeners):
                    if not listener.alive():
                        listener.end()
                await self._hear()
                if ticks % TICKS_OF_A_CHANGE == 0:
                    await self._look()
                ticks += 1
                await self._sleep(TICK)
        finally:
            self._running = False
            # Only after a fault is anybody left: they are to see that the line is broken, and come again.
            for listener in self._listeners:
                listener.end()

    async def _hear(self) -> None:
        tail = self.desk.tail
        for listener in [one for one in self._listeners if one.asked.tail and one.place != tail.place]:
            heard = tail.since(listener.place)
            listener.hear(heard.next, heard.ended, heard.missed, self.desk.boot)
            await asyncio.sleep(0)

    async def _look(self) -> None:
        try:
            found = await self.desk.snapshot.overview()
        except LedgerError:
            version, versions = UNREADABLE, dict[str, str]()
        else:
            version, versions = found.version, dict(found.versions)
        before, self._told = self._told, (version, versions)
        changed = {name for name in {*before[1], *versions} if before[1].get(name) != versions.get(name)}
        for listener in self._listeners:
            listener.change(version, changed if listener.version == before[0] else set(versions))


def _event(name: str, content: Mapping[str, Any], mark: str) -> bytes:
    """One event; JSON has no line breaks of its own."""
    return f"event: {name}\nid: {mark}\ndata: ".encode() + encoded(content) + b"\n\n"
