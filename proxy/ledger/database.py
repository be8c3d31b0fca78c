"""The database of a ledger, of either kind: what a url means, which schema it has, what may go wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.schema import CreateTable

from proxy.errors import LedgerError
from proxy.ledger import schema
from proxy.ledger.postgres import PREFIXES, PostgresStore, cause_of
from proxy.ledger.sqlite import SqliteStore, path_of
from proxy.ledger.store import Store

Trouble = (
    DBAPIError,
    PoolTimeoutError,
    InvalidRequestError,  # a connection that broke off within a transaction and is used once more
    sqlite3.Error,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a disk that is full, gone, locked or read-only raises, or a server that is away or does not play along."""


def store_of(url: str, journal: Path | None = None) -> Store:
    """Where the ledger that `url` names lies. `journal` is the folder of the journals of one in Postgres.

    Raises LedgerError for a url of anything else.
    """
    if url.startswith(PREFIXES):
        return PostgresStore.of(url, journal)
    return SqliteStore(path_of(url))


def migrate(connection: Connection, store: Store) -> bytes:
    """Bring the schema up to date inside the caller's write transaction; returns the ledger's 16-byte id.

    Raises LedgerError for a schema that is newer than this code.
    """
    store.prepare(connection)
    found = check_version(connection, store)
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


def check_version(connection: Connection, store: Store) -> str | None:
    """The schema's revision, None where nothing is yet. Raises LedgerError when it is not one of ours."""
    tables = store.tables(connection)
    if "alembic_version" not in tables:
        if tables:
            raise LedgerError(f"{store.name} is a database of something else; {store.advice}")
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found is not None and found not in schema.REVISIONS:
        raise LedgerError(
            f"{store.name} has schema {found}, which is newer than this shadowread knows ({schema.REVISIONS[-1]}); "
            f"use the version that wrote it, or {store.advice}"
        )
    return found


async def probe(store: Store) -> str | None:
    """The revision of the schema, None where there is no ledger yet. Nothing is changed.

    Raises LedgerError where it cannot be read, or `serve` could not make, bring forward or write it.
    """
    engine = store.engine()
    try:
        async with store.writer(engine).connect() as connection:
            try:
                # All of it is taken back.
                await connection.run_sync(store.prepare)
                found = await connection.run_sync(check_version, store)
                if found is None:
                    await connection.execute(CreateTable(schema.meta))
                await connection.execute(schema.meta.insert().values(name="probe", value=""))
            finally:
                await connection.rollback()
    except Trouble as error:
        raise LedgerError(store.reason(error)) from error
    finally:
        await engine.dispose()
    return found


def unstorable(error: BaseException) -> bool:
    """Whether a row is refused for what it bears, so that trying again is of no use."""
    refused = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
    return isinstance(error, DataError | IntegrityError) or isinstance(cause_of(error), refused)
