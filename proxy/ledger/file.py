"""The database of a process that writes: opened, brought up to date, and all dead runs settled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.ledger import query, windows
from proxy.ledger.database import migrate
from proxy.ledger.details import Place
from proxy.ledger.findings import known_findings
from proxy.ledger.housing import Housing
from proxy.ledger.recover import close_run, recover, register
from proxy.ledger.store import Sight, Store
from proxy.ledger.tally import RouteDelta
from proxy.ledger.tidy import tidy
from proxy.ledger.windows import Stored

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """An open ledger and what it knew then.

    `writer` begins its transactions at once and fully, `is_there` tells whether it is still the one that others would
    open.
    """

    engine: AsyncEngine
    writer: AsyncEngine
    is_there: Sight
    findings: set[str]
    places: set[Place]
    newest: dict[str, Stored]
    windows: set[str]

    async def close_run(self, run: str, now_us: int) -> None:
        async with self.writer.begin() as connection:
            await close_run(connection, run, now_us)

    async def tidy(self, now_us: int, held: Collection[str]) -> None:
        """`held` are the windows that this process counts in."""
        async with self.writer.begin() as connection:
            await tidy(connection, now_us, held)


async def open_file(
    store: Store, run: str, housing: Housing, *, now_us: int, sequence: int, baseline: tuple[RouteDelta, ...]
) -> LedgerFile:
    """Open or make the ledger for `run`, whose last batch written for certain is number `sequence`.

    Raises LedgerError for one that is not of this version, else what a disk or a server raises.
    """
    engine = store.engine()
    writer = store.writer(engine)
    try:
        place = await asyncio.to_thread(store.place)
        async with writer.begin() as connection:
            ledger = await connection.run_sync(migrate, store)
            await register(connection, run, now_us, sequence, baseline, place)
        housing.belongs_to(ledger)
        if lost := await recover(writer, store.journals, place, ledger, run, now_us):
            log.warning("%d exchanges were under way when a process died; counted as lost", lost)
        async with engine.connect() as connection:
            return LedgerFile(
                engine,
                writer,
                await store.sight(engine, ledger, run),
                await known_findings(connection),
                await query.known_places(connection),
                await windows.newest(connection),
                await windows.known_ids(connection),
            )
    except BaseException:
        await engine.dispose()
        raise
