"""What a worker tells of itself several times a second: what has changed, never more than the other end takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from proxy.fleet.channel import Channel
from proxy.fleet.increments import Watch
from proxy.fleet.messages import Beat, DomainBeat, FromWorker, Remembering, ToWorker
from proxy.ledger import Ledger
from proxy.model import ReadRequest
from proxy.tail import Tail
from proxy.telemetry import Figures
from proxy.verify.pulse import Tallies
from proxy.verify.remembered import Remembered

BEAT_SECONDS = 0.25
FIGURES_EVERY = 4
"""Beats from one that tells the figures to the next."""
TOGETHER = 50
"""Requests in one message."""


class Told(Protocol):
    """What a worker tells of."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def figures(self) -> Figures: ...
    @property
    def tallies(self) -> Tallies: ...
    @property
    def tail(self) -> Tail: ...
    @property
    def remembered(self) -> Remembered | None: ...
    @property
    def domains(self) -> Sequence[str]: ...

    def busy(self, domain: str) -> int: ...


class Telling:
    """Tells the first process what has changed. `quiet` is the version of the pauses that are in force here."""

    def __init__(
        self,
        told: Told,
        channel: Channel[FromWorker, ToWorker],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.quiet = 0
        self._told = told
        self._channel = channel
        self._sleep = sleep
        self._watch = Watch()
        self._place = told.tail.place
        self._last = ""

    async def run(self) -> None:
        """Tell until cancelled. Raises ChannelError when nobody hears it any more."""
        number = 0
        while True:
            self.beat(figures=number % FIGURES_EVERY == 0)
            for some in self._remembered():
                self._channel.send(Remembering(some))
                # Waiting for them to be taken keeps what waits small.
                await self._channel.drained()
            await self._channel.drained()
            number += 1
            await self._sleep(BEAT_SECONDS)

    def beat(self, *, figures: bool) -> None:
        """Tell what has changed since the last beat. Raises ChannelError."""
        told = self._told
        heard = told.tail.since(self._place)
        self._place = heard.next
        self._channel.send(
            Beat(
                self.quiet,
                {name: beat for name in told.domains if (beat := self._domain(name)) != NOTHING},
                tuple(heard.ended),
                heard.missed,
                told.ledger.own_recording if figures else None,
                self._watch.since(told.figures) if figures else None,
            )
        )

    def _domain(self, name: str) -> DomainBeat:
        seen = self._told.tallies.take(name)
        return DomainBeat(seen.ended, seen.skipped, self._told.busy(name))

    def _remembered(self) -> Iterator[tuple[tuple[str, ReadRequest], ...]]:
        found = [] if self._told.remembered is None else self._told.remembered.since(self._last)
        for first in range(0, len(found), TOGETHER):
            some = tuple(found[first : first + TOGETHER])
            yield some
            self._last = some[-1][0]


NOTHING = DomainBeat(0, 0, 0)
