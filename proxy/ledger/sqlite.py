"""A ledger in an SQLite file: where it is, how it is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, event, inspect
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from proxy.errors import LedgerError
from proxy.ledger.store import Sight

PREFIX = "sqlite:///"
DRIVER = "sqlite+aiosqlite"
BUSY_SECONDS = 5.0
"""How long a statement waits for another process's write before it gives up."""
WAL_BYTES = 64 * 1024 * 1024
"""What is left of the write-ahead log after a long reader held it open."""


def path_of(url: str) -> Path:
    """The file that `url` names. Raises LedgerError for anything but a SQLite file in an existing folder."""
    name = url.removeprefix(PREFIX)
    if name == url or not name or name.startswith(":memory:"):
        raise LedgerError(f"ledger.url: {url!r} is not usable; write sqlite:///FILE, or sqlite:////ABSOLUTE/FILE")
    path = Path(name).absolute()
    if not path.parent.is_dir():
        raise LedgerError(f"ledger.url: the folder {path.parent} does not exist; create it or name another one")
    if path.is_dir():
        raise LedgerError(f"ledger.url: {path} is a folder; name a file in it")
    return path


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """The file at `path`; journals lie beside it. See `Store`."""

    path: Path
    pooled = False  # a file may be replaced, and who writes must write to the one that is there
    advice = "name another file under ledger.url"

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def journals(self) -> Path:
        return self.path

    def check_journals(self) -> None:
        pass

    def place(self) -> str:
        return ""

    def absent(self) -> str | None:
        return None if self.path.exists() else f"{self.path} does not exist"

    def engine(self) -> AsyncEngine:
        url = URL.create(DRIVER, database=str(self.path))
        engine = create_async_engine(
            url, connect_args={"timeout": BUSY_SECONDS}, pool_size=3, max_overflow=5, hide_parameters=True
        )

        @event.listens_for(engine.sync_engine, "connect")
        def configure(connection: Any, _: Any) -> None:
            # The driver would begin transactions by itself and too late; SQLAlchemy's "begin" below does it.
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            # FULL, so that a power loss cannot take back what was committed before the last flush.
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Connection) -> None:
            # Taking the write lock first means that a write never fails half-way because another one came between.
            write = connection.get_execution_options().get("write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine

    def onlooker(self) -> AsyncEngine:
        query = {"mode": "ro", "uri": "true"}
        if not self._sidecars_possible():
            # In a folder that cannot be written SQLite cannot make its index of the log; without a log it needs none.
            query["immutable"] = "1"
        url = URL.create(DRIVER, database=f"file:{quote(str(self.path))}", query=query)
        engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

        @event.listens_for(engine.sync_engine, "connect")
        def configure(connection: Any, _: Any) -> None:
            connection.isolation_level = None

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")

        return engine

    def writer(self, engine: AsyncEngine) -> AsyncEngine:
        return engine.execution_options(write=True)

    def prepare(self, connection: Connection) -> None:
        pass

    def tables(self, connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    async def sight(self, engine: AsyncEngine, ledger: bytes, run: str) -> Sight:
        """SQLite itself goes on writing to a file that was deleted, and nobody would ever read it."""
        del engine, ledger, run
        opened = self.path.stat()

        async def there() -> bool:
            try:
                return os.path.samestat(self.path.stat(), opened)
            except FileNotFoundError:
                return False

        return there

    def reason(self, error: BaseException) -> str:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        return f"{self.path}: {cause}"

    def lasting(self, error: BaseException) -> bool:
        return isinstance(error, DatabaseError) and not isinstance(error, OperationalError)

    def _sidecars_possible(self) -> bool:
        return self.path.with_name(self.path.name + "-wal").exists() or os.access(self.path.parent, os.W_OK)
