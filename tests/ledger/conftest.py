"""A place for ledgers, in SQLite and in Postgres: what is promised holds for both."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from proxy.demo.servers import PostgresServer
from tests.conftest import administer
from tests.ledger.support import Home, PostgresHome, Spot, make

DATABASE = "shadowread_ledgers"
MADE = "a_db"
"""The schema of the ledger that is there for every test, emptied, so that not each has to make one."""


@pytest.fixture(scope="session")
def ledgers(pg_server: PostgresServer, pg_template: str) -> Iterator[str]:
    """The address of a database for all ledgers of this run."""
    administer(pg_server, f"CREATE DATABASE {DATABASE} TEMPLATE {pg_template} STRATEGY file_copy")
    yield pg_server.dsn(DATABASE)
    administer(pg_server, f"DROP DATABASE {DATABASE} WITH (FORCE)")


@pytest.fixture
def postgres_home(ledgers: str, tmp_path: Path) -> PostgresHome:
    """A database with an empty ledger at `home / "a.db"` and no other, and journals in the test's folder."""
    with asyncio.Runner() as runner:
        runner.run(_emptied(ledgers))
    return PostgresHome(ledgers, tmp_path)


@pytest.fixture
def spot(postgres_home: PostgresHome) -> Spot:
    return postgres_home / "a.db"


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables, to be copied: migrating takes most of the time of a short test."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    with asyncio.Runner() as runner:
        runner.run(make(path))
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """Where the ledgers of a test lie, one of them there already: a folder, or a database."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_ledger"), tmp_path / "a.db")
        return tmp_path
    found: PostgresHome = request.getfixturevalue("postgres_home")
    return found


async def _emptied(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        names = await connection.fetch(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('public', 'information_schema') AND table_schema NOT LIKE 'pg_%'"
        )
        kept = [table for schema, table in names if schema == MADE]
        others = {schema for schema, _ in names} - {MADE}
        statements = [f"DROP SCHEMA {schema} CASCADE" for schema in others]
        for table in kept:
            rows = {"alembic_version": "false", "meta": "name <> 'ledger'"}.get(table, "true")
            statements.append(f"DELETE FROM {MADE}.{table} WHERE {rows}")  # noqa: S608 - our own names
        await connection.execute(";".join(statements) or "SELECT 1")
    finally:
        await connection.close()
    if not kept:
        await make(PostgresHome(dsn, Path()) / "a.db")
