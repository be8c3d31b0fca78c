"""The SQLite file: where it is, how it is opened, which schema it has."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from sqlalchemy import URL, Connection, event, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from proxy.errors import LedgerError
from proxy.ledger import schema

PREFIX = "sqlite:///"
DRIVER = "sqlite+aiosqlite"
BUSY_SECONDS = 5.0
"""How long a statement waits for another process's write before it gives up."""
WAL_BYTES = 64 * 1024 * 1024
"""What is left of the write-ahead log after a long reader held it open."""

Trouble = (DBAPIError, sqlite3.Error, OSError)
"""What a disk that is full, gone, locked or read-only raises."""


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


def make_engine(path: Path) -> AsyncEngine:
    """For the one who writes. Transactions begin at once and fully when the option `write` is set."""
    url = URL.create(DRIVER, database=str(path))
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=3, max_overflow=5)

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


def make_readonly_engine(path: Path) -> AsyncEngine:
    """For one who looks on while another process writes. Nothing is created or changed."""
    query = {"mode": "ro", "uri": "true"}
    if not _sidecars_possible(path):
        # In a folder that cannot be written SQLite cannot make its index of the log; without a log it needs none.
        query["immutable"] = "1"
    url = URL.create(DRIVER, database=f"file:{quote(str(path))}", query=query)
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _sidecars_possible(path: Path) -> bool:
    return path.with_name(path.name + "-wal").exists() or os.access(path.parent, os.W_OK)


def migrate(connection: Connection, path: Path) -> bytes:
    """Bring the schema up to date inside the caller's write transaction; returns the ledger's 16-byte id.

    Raises LedgerError for a schema that is newer than this code.
    """
    found = check_version(connection, path)
    if found != schema.REVISIONS[-1]:
        # Imported here because most starts find the schema up to date and need not wait for alembic.
        from alembic import command
        from alembic.config import Config

        config = Config()
        scripts = Path(__file__).with_name("migrations")
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, schema.REVISIONS[-1])
    row = select(schema.meta.c.value).where(schema.meta.c.name == "ledger")
    if (ledger := connection.scalar(row)) is None:
        ledger = uuid4().hex
        connection.execute(schema.meta.insert().values(name="ledger", value=ledger))
    return bytes.fromhex(ledger)


def check_version(connection: Connection, path: Path) -> str | None:
    """The schema's revision, None for an empty file. Raises LedgerError when it is not one of ours."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        if tables:
            raise LedgerError(f"{path} is a database of something else; name another file under ledger.url")
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found is not None and found not in schema.REVISIONS:
        raise LedgerError(
            f"{path} has schema {found}, which is newer than this shadowread knows ({schema.REVISIONS[-1]}); "
            "use the version that wrote it, or name another file under ledger.url"
        )
    return found


def reason_of(error: BaseException, path: Path) -> str:
    """Why the file could not be written or read, in a few words."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"{path}: {cause}"
