"""An id map in a real Postgres: the table `id_map` and users that bear both ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from proxy.identity import TableSource

ID_MAP = TableSource("id_map", "legacy_id", "new_id", entity="entity")
USERS = TableSource("users", "legacy_object_id", "id", entity_name="user")

SCHEMA = """
CREATE TYPE kind AS ENUM ('listing', 'user');
CREATE TABLE id_map (entity kind NOT NULL, legacy_id char(24) NOT NULL, new_id uuid NOT NULL);
CREATE TABLE users (id uuid PRIMARY KEY, legacy_object_id text);
INSERT INTO id_map SELECT 'listing', legacy(n), new(n) FROM generate_series(1, 50) AS n;
INSERT INTO users SELECT new(n), legacy(n) FROM generate_series(101, 150) AS n;
INSERT INTO users VALUES (new(999), NULL);
"""
FUNCTIONS = """
CREATE FUNCTION legacy(n int) RETURNS text LANGUAGE sql AS $$ SELECT lpad(to_hex(n), 24, '0') $$;
CREATE FUNCTION new(n int) RETURNS uuid LANGUAGE sql
  AS $$ SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
"""


def legacy(n: int) -> str:
    return f"{n:024x}"


def uuid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012x}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that bears no event, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a figure of the product has nobody to tell
            await asyncio.sleep(0.002)


@pytest.fixture
async def writer(pg_database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection that may write, to a database that has the id map."""
    connection = await asyncpg.connect(pg_database)
    await connection.execute(FUNCTIONS + SCHEMA)
    yield connection
    await connection.close()
