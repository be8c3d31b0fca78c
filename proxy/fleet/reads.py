"""What provenance asks of verification, where that is done by workers: pauses reach all of them before anything is
watched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from proxy.fleet.fleet import Fleet
from proxy.model import Observation, ReadRequest, Side
from proxy.provenance.reads import Reads

FOLLOW_SECONDS = 5.0
"""How long a read waits for workers that have not paused yet."""
POLL_SECONDS = 0.02


class FleetReads:
    """The reads that are made for proof are made by this process, through `own`; the live reads are the workers'."""

    def __init__(self, own: Reads, fleet: Fleet, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._own = own
        self._fleet = fleet
        self._sleep = sleep
        self._paused: set[str] = set()

    def pause(self, domain: str) -> None:
        """As `Verifier.pause`, for all; `busy` tells when all have followed."""
        self._paused.add(domain)
        self._own.pause(domain)
        self._fleet.pause(domain)

    def resume(self, domain: str) -> None:
        self._paused.discard(domain)
        self._own.resume(domain)
        self._fleet.resume(domain)

    def busy(self, domain: str) -> int:
        """Exchanges of `domain` without a verdict; at least 1 as long as a worker may not have paused yet."""
        return self._own.busy(domain) + self._fleet.busy(domain)

    def recent(self, domain: str) -> Sequence[ReadRequest]:
        """What any worker has seen last; nothing at first, for they are asked for it then."""
        return (*self._own.recent(domain), *self._fleet.recent(domain))

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        """As `Verifier.shadow_read`. While a worker may not have paused yet it is none: its scans would prove this."""
        if self._paused and not await self._followed():
            text = "a worker has not paused its reads, so that they could not be told from this one"
            return Observation(Side.SHADOW, error="not_paused", detail=text)
        return await self._own.shadow_read(domain, request)

    async def _followed(self) -> bool:
        try:
            async with asyncio.timeout(FOLLOW_SECONDS):
                while not self._fleet.followed():
                    await self._sleep(POLL_SECONDS)
        except TimeoutError:
            return False
        return True
