"""The configurations of a process, one after the other: the one in force, and those whose exchanges still end."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from proxy.edge.server import Edge
from proxy.opening import Lasting, identity_key
from proxy.reign import Reign
from proxy.settings import Settings
from proxy.settings.changes import ReloadRefusedError
from proxy.tasks import TaskGroup

log = logging.getLogger(__name__)

MOST_ENDING = 3
"""Configurations before this one whose exchanges may still be under verification. Each holds as much as it may."""
MOST_LEFT = 100
"""Backends of earlier configurations that clients may still be connected through."""
LOOK_SECONDS = 0.25
LEAVING_SECONDS = 10.0


@dataclass(eq=False, slots=True)
class _Ending:
    """A reign that is no longer in force. `hurry` says not to wait for what is under way, `ended` that nothing is."""

    reign: Reign
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Succession:
    """Made by `begin`. A reign ends when nothing is under way under it any more, and leaves its backend when no
    client is served by it; `end` waits for neither longer than the configuration's `drain`."""

    def __init__(self, lasting: Lasting) -> None:
        self.reign: Reign
        """The one in force."""
        self._lasting = lasting
        self._before: list[_Ending] = []
        self._ending = TaskGroup(MOST_ENDING + 1)
        self._leaving = TaskGroup(MOST_LEFT + MOST_ENDING + 1)
        self._over = asyncio.Event()

    @classmethod
    async def begin(cls, settings: Settings, lasting: Lasting) -> Succession:
        """Open the first one. Raises IdentityError."""
        line = cls(lasting)
        line.reign = await Reign.open(settings, lasting, before=None, busy_before=line.busy_before)
        return line

    @property
    def under_way(self) -> int:
        """Exchanges that have no verdict yet, under whatever configuration."""
        return self.reign.under_way + sum(one.reign.under_way for one in self._before)

    @property
    def ending(self) -> int:
        """How many are no longer in force and have something under way."""
        return len(self._before)

    def busy_before(self, domain: str) -> int:
        """How many exchanges of `domain` are under way under configurations that are no longer in force."""
        return sum(one.reign.busy(domain) for one in self._before)

    async def prepare(self, settings: Settings) -> Reign:
        """Open what is to follow; nothing of it takes effect before `succeed`. Raises IdentityError and
        ReloadRefusedError. Where too many are ending, the oldest has its `drain` and no more."""
        if len(self._leaving) >= MOST_LEFT:
            raise ReloadRefusedError(
                [f"clients are still connected through the backends of {MOST_LEFT} earlier configurations; restart"]
            )
        while len(self._before) >= MOST_ENDING:
            log.warning("exchanges are under way for too long under an earlier configuration: what is left is lost")
            self._before[0].hurry.set()
            await self._before[0].ended.wait()
        return await Reign.open(settings, self._lasting, before=self.reign, busy_before=self.busy_before)

    def differs(self, settings: Settings) -> bool:
        """Whether anything would be otherwise under `settings` than under the configuration in force."""
        now = self.reign
        return settings != now.settings or identity_key(settings) != now.opened.identity_key

    def succeed(self, reign: Reign, edge: Edge) -> None:
        """`reign` is in force now, and `edge` serves under it; the one before ends in its own time.

        All at once: no exchange may come between the windows of its rules and these rules.
        """
        limits, findings = reign.settings.limits, reign.settings.findings
        reign.opened.enter()
        self._lasting.ledger.keep_within(
            max_traces=limits.traces,
            max_trace_bytes=limits.trace_bytes,
            max_findings=limits.findings,
            gone_after=findings.gone_after,
        )
        before, self.reign = _Ending(self.reign), reign
        self._before.append(before)
        self._ending.start(self._end(before), name="end of a configuration")
        reign.take_over(edge)
        self.show_figures(edge)

    def show_figures(self, edge: Edge) -> None:
        """Show what works under the configuration in force among the metrics."""
        self.reign.show_figures(edge, queue_depth=lambda: self.under_way)

    async def end(self) -> None:
        """Close all of them; what is under way has its `drain`."""
        self._over.set()
        before = tuple(self._before)
        for one in before:
            one.hurry.set()
        try:
            await asyncio.gather(self.reign.end(), *(one.ended.wait() for one in before))
        finally:
            await self.reign.leave()
            await self._leaving.drain(LEAVING_SECONDS)

    async def _end(self, one: _Ending) -> None:
        try:
            try:
                await one.reign.rest()
            finally:
                while one.reign.in_use and not await _set_within(one.hurry, LOOK_SECONDS):
                    pass
                await one.reign.end()
        finally:
            self._before.remove(one)
            one.ended.set()
            self._leaving.start(self._leave(one.reign), name="end of a backend")

    async def _leave(self, reign: Reign) -> None:
        """Who is only about to connect is not seen, but is so for `connect_timeout` at most."""
        quiet, backend = 0.0, reign.backend
        while backend is not None and quiet <= reign.settings.primary.connect_timeout:
            if backend is self.reign.backend or await _set_within(self._over, LOOK_SECONDS):
                break
            quiet = 0.0 if backend.open_connections else quiet + LOOK_SECONDS
        await reign.leave()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
