"""How many entities the id map knows, counted now and then: what the evidence is held against."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from proxy.errors import LedgerError
from proxy.identity import IdentityError
from proxy.identity.census import Census
from proxy.ledger import LedgerReader, sweeps
from proxy.tasks import TaskGroup
from proxy.window import KnownEntities

log = logging.getLogger(__name__)

COUNT_EVERY = 600.0
"""Seconds."""
AGAIN_AFTER = 30.0
"""Seconds until the next attempt where counting failed."""


async def count_known(census: Census, ledger: LedgerReader) -> list[KnownEntities]:
    """Count, keep the counts in the ledger, and return them. Raises IdentityError and LedgerError."""
    known = await census.known()
    await ledger.write(lambda connection: sweeps.keep_known(connection, known))
    return known


class Knowing:
    """Counts every ten minutes while the proxy runs. What fails is logged and tried again."""

    def __init__(self, census: Census, ledger: LedgerReader, *, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._census = census
        self._ledger = ledger
        self._sleep = sleep
        self._tasks = TaskGroup(1)

    def start(self) -> None:
        self._tasks.start(self._run(), name="count of known entities")

    async def stop(self) -> None:
        await self._tasks.drain(0)

    async def _run(self) -> None:
        said = ""
        while True:
            try:
                await count_known(self._census, self._ledger)
            except (IdentityError, LedgerError) as error:
                if str(error) != said:
                    log.warning("the entities of the id map were not counted: %s", error)
                said = str(error)
                await self._sleep(AGAIN_AFTER)
            else:
                said = ""
                await self._sleep(COUNT_EVERY)
