"""Reading pairs from Postgres: a small pool that connects when it is needed and never makes a caller wait long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from comparators.ids import IdPair
from proxy.identity.conflicts import Row
from proxy.identity.errors import IdentityError
from proxy.identity.faults import POSTGRES_FAULTS
from proxy.identity.pairs import LEGACY, UUID
from proxy.identity.sources import COLUMN_TYPES, Statements, TableSource, quoted, statements

CHUNK = 5_000
"""Ids per statement: what more is asked goes into further statements."""

# A statement made for a column that has changed since, or a connection that died in the pool: asking anew helps.
_STALE = (asyncpg.PostgresError, asyncpg.InternalClientError, ConnectionError)

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


class Database:
    """The tables of the id map. `timeout` (seconds) bounds each attempt as a whole, connecting included."""

    def __init__(self, dsn: str, tables: Sequence[TableSource], *, connections: int, timeout: float) -> None:
        self._dsn = dsn
        self._tables = tuple(tables)
        self._connections = connections
        self._timeout = timeout
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._statements: dict[TableSource, Statements] = {}
        self.queries = 0

    async def start(self) -> None:
        """Make the pool, once, without connecting."""
        if self._pool is not None:
            return
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._connections,
            timeout=self._timeout,
            command_timeout=self._timeout,
            server_settings={"application_name": "shadowread", "default_transaction_read_only": "on"},
        )

    async def close(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                async with asyncio.timeout(self._timeout):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    async def rows(self, legacy: Sequence[str], uuids: Sequence[str]) -> list[Row]:
        """All rows with these ids, from every table. IdentityError when one of the tables cannot be asked."""
        try:
            return await self._rows(legacy, uuids)
        except _STALE:
            self._statements.clear()
        except POSTGRES_FAULTS as error:
            raise _failure(error) from error
        try:
            return await self._rows(legacy, uuids)
        except POSTGRES_FAULTS as error:
            self._statements.clear()
            raise _failure(error) from error

    async def _rows(self, legacy: Sequence[str], uuids: Sequence[str]) -> list[Row]:
        found: list[Row] = []
        async with asyncio.timeout(self._timeout), self._connection() as connection:
            for table in self._tables:
                sql = await self._statements_of(connection, table)
                for start in range(0, max(len(legacy), len(uuids)), CHUNK):
                    rows = await self._ask(connection, sql, legacy[start : start + CHUNK], uuids[start : start + CHUNK])
                    found.extend(_joined(table, rows))
        return found

    async def _ask(
        self, connection: Connection, sql: Statements, legacy: Sequence[str], uuids: Sequence[str]
    ) -> list[asyncpg.Record]:
        self.queries += 1
        if not uuids:
            return await connection.fetch(sql.by_legacy, legacy)
        if not legacy:
            return await connection.fetch(sql.by_uuid, uuids)
        return await connection.fetch(sql.both, legacy, uuids)

    async def probe(self, table: TableSource) -> int:
        """Ask one table for an id that nobody has; returns its estimated row count, IdentityError when it fails."""
        try:
            async with self._connection() as connection:
                self._statements.pop(table, None)
                sql = await self._statements_of(connection, table)
                await connection.fetch(sql.both, ["0" * 24], ["00000000-0000-0000-0000-000000000000"])
                estimate = await connection.fetchval(
                    "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass($1)",
                    quoted(table.table),
                )
                return int(estimate or 0)
        except POSTGRES_FAULTS as error:
            raise _failure(error) from error

    async def ping(self) -> None:
        """IdentityError when the server does not answer within the timeout."""
        try:
            async with self._connection() as connection:
                await connection.fetchval("SELECT 1")
        except POSTGRES_FAULTS as error:
            raise _failure(error) from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        if self._pool is None:
            raise IdentityError("the id map is not started")
        async with self._pool.acquire(timeout=self._timeout) as connection:
            yield connection

    async def _statements_of(self, connection: Connection, table: TableSource) -> Statements:
        known = self._statements.get(table)
        if known is not None:
            return known
        rows = await connection.fetch(COLUMN_TYPES, quoted(table.table), list(table.columns))
        types = {str(row["name"]): str(row["type"]) for row in rows}
        if missing := [column for column in table.columns if column not in types]:
            raise IdentityError(
                f"ids.sources: table {table.table}: no such table or column ({', '.join(missing)}) for this user"
            )
        self._statements[table] = statements(table, types)
        return self._statements[table]


def _joined(table: TableSource, rows: Sequence[Any]) -> list[Row]:
    """The usable rows of a result: what is no ObjectId or no uuid cannot stand in a response as one."""
    usable = []
    for entity, legacy, uuid in rows:
        name = table.entity_name or entity
        if not name:
            continue
        pair = IdPair(name, legacy.strip().lower(), uuid.strip().lower())
        if LEGACY.fullmatch(pair.legacy) and UUID.fullmatch(pair.uuid):
            usable.append(Row(table.label, pair))
    return usable


def _failure(error: Exception) -> IdentityError:
    if isinstance(error, TimeoutError):
        return IdentityError("the id map did not answer in time; is Postgres overloaded, or an index missing?")
    return IdentityError(f"the id map cannot be asked: {error or type(error).__name__}")
