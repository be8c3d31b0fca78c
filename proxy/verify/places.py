"""How many reads may be under way at once: taken at once where there is room, waited for where there is none."""

from __future__ import annotations

import asyncio
from collections import deque


class Places:
    """A semaphore that can also be asked without waiting. Who waits longest comes first."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiters: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """A place, if one is free and nobody waits for it."""
        if self._free <= 0 or self._waiters:
            return False
        self._free -= 1
        return True

    def give(self) -> None:
        """Give a place back, to the one who waits longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    async def __aenter__(self) -> None:
        if self.take():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.give()
