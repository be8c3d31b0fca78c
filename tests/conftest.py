"""Real database servers for every test that asks for one; they end with the test run, however it ends."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator

import asyncpg
import pytest

from proxy.demo.processes import Supervisor
from proxy.demo.servers import PostgresServer, start_mongo, start_postgres

TEMPLATE = "shadowread_template"


@pytest.fixture(scope="session")
def supervisor() -> Iterator[Supervisor]:
    """Owner of the processes of this test run: a janitor ends them even when pytest is killed."""
    with Supervisor() as owner:
        yield owner


@pytest.fixture(scope="session")
def pg_server(supervisor: Supervisor) -> PostgresServer:
    """A Postgres for the whole run; `.dsn(database)` names a database of it."""
    return start_postgres(supervisor)


@pytest.fixture(scope="session")
def mongo_url(supervisor: Supervisor) -> str:
    """A MongoDB-wire server for the whole run, or the real MongoDB that SHADOWREAD_TEST_MONGO_URL names."""
    return os.environ.get("SHADOWREAD_TEST_MONGO_URL") or start_mongo(supervisor).url


@pytest.fixture(scope="session")
def pg_template(pg_server: PostgresServer) -> Iterator[str]:
    """The name of an empty database from which others are copied in a few milliseconds."""
    administer(pg_server, f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 STRATEGY wal_log")
    yield TEMPLATE
    administer(pg_server, f"DROP DATABASE {TEMPLATE} WITH (FORCE)")


@pytest.fixture(scope="session")
def database_numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def pg_database(pg_server: PostgresServer, pg_template: str, database_numbers: Iterator[int]) -> Iterator[str]:
    """The DSN of a fresh, empty database that is dropped after the test, open connections or not."""
    name = f"test_{next(database_numbers)}"
    administer(pg_server, f"CREATE DATABASE {name} TEMPLATE {pg_template} STRATEGY file_copy")
    yield pg_server.dsn(name)
    administer(pg_server, f"DROP DATABASE {name} WITH (FORCE)")


def administer(server: PostgresServer, statement: str) -> None:
    """Run one statement on the server's own database, in a loop of its own: a sync fixture has none."""

    async def run() -> None:
        connection = await asyncpg.connect(server.dsn())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        runner.run(run())
