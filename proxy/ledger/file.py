"""The database file of a process that writes: opened, brought up to date, and all dead runs settled."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.ledger import query, windows
from proxy.ledger.database import make_engine, migrate
from proxy.ledger.details import Place
from proxy.ledger.findings import known_findings
from proxy.ledger.housing import Housing
from proxy.ledger.recover import close_run, recover, register
from proxy.ledger.tally import RouteDelta
from proxy.ledger.tidy import tidy
from proxy.ledger.windows import Stored

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """An open file and what it knew then. `writer` begins its transactions at once and fully."""

    path: Path
    engine: AsyncEngine
    writer: AsyncEngine
    stat: os.stat_result
    findings: set[str]
    places: set[Place]
    newest: dict[str, Stored]
    windows: set[str]

    def is_there(self) -> bool:
        """SQLite itself goes on writing to a file that was deleted, and nobody would ever read it."""
        try:
            return os.path.samestat(self.path.stat(), self.stat)
        except FileNotFoundError:
            return False

    async def close_run(self, run: str, now_us: int) -> None:
        async with self.writer.begin() as connection:
            await close_run(connection, run, now_us)

    async def tidy(self, now_us: int, held: Collection[str]) -> None:
        """`held` are the windows that this process counts in."""
        async with self.writer.begin() as connection:
            await tidy(connection, now_us, held)


async def open_file(
    path: Path, run: str, housing: Housing, *, now_us: int, sequence: int, baseline: tuple[RouteDelta, ...]
) -> LedgerFile:
    """Open or make the file for `run`, whose last batch written for certain is number `sequence`.

    Raises LedgerError for a file that is not of this version, else what a disk raises.
    """
    engine = make_engine(path)
    writer = engine.execution_options(write=True)
    try:
        async with writer.begin() as connection:
            ledger = await connection.run_sync(migrate, path)
            await register(connection, run, now_us, sequence, baseline)
        housing.belongs_to(ledger)
        if lost := await recover(writer, path, ledger, run, now_us):
            log.warning("%d exchanges were under way when a process died; counted as lost", lost)
        async with engine.connect() as connection:
            return LedgerFile(
                path,
                engine,
                writer,
                path.stat(),
                await known_findings(connection),
                await query.known_places(connection),
                await windows.newest(connection),
                await windows.known_ids(connection),
            )
    except BaseException:
        await engine.dispose()
        raise
