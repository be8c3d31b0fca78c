"""What Postgres counts of the scans of tables, and why it cannot be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg

from proxy.errors import ShadowreadError
from proxy.identity.faults import POSTGRES_FAULTS
from proxy.identity.sources import quoted

TIMEOUT = 5.0
"""Seconds that one look may take, connecting included."""

_TABLES = """
SELECT t.name, to_regclass(t.quoted)::oid AS id,
       (SELECT relkind::text FROM pg_class WHERE oid = to_regclass(t.quoted)) AS kind
FROM unnest($1::text[], $2::text[]) AS t(name, quoted)
"""
# The rows of a partitioned table are scanned in its partitions.
_SCANS = """
SELECT coalesce(sum(s.seq_scan + coalesce(s.idx_scan, 0)), 0)::bigint AS n
FROM pg_stat_user_tables AS s
WHERE s.relid = ANY($1::oid[]) OR s.relid IN (
  SELECT p.relid FROM unnest($1::oid[]) AS t(id), pg_partition_tree(t.id::regclass) AS p)
"""


class CountersError(ShadowreadError):
    """The counters cannot be read."""


class Counters:
    """The scans of some tables since some moment long ago. One connection, opened when it is needed.

    A backend of Postgres adds what it counted at the end of a transaction, at most once a second, and ten seconds after
    it has become idle at the latest (PGSTAT_MIN_INTERVAL and PGSTAT_IDLE_INTERVAL in pgstat.c). It can be told to do so
    at once (`pg_stat_force_next_flush`), but only over its own connection: so the twin's cannot.
    """

    def __init__(self, dsn: str, tables: Sequence[str]) -> None:
        self._dsn = dsn
        self._tables = list(tables)
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._ids: list[int] = []

    async def read(self) -> int:
        """Sequential and index scans of all the tables together. Raises CountersError."""
        try:
            async with asyncio.timeout(TIMEOUT):
                if self._connection is None:
                    self._connection = await self._open()
                return int(await self._connection.fetchval(_SCANS, self._ids))
        except POSTGRES_FAULTS as error:
            await self.close()
            raise CountersError(f"Postgres' counters cannot be read: {_line(error)}") from error
        except CountersError:
            await self.close()
            raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=TIMEOUT)
            except POSTGRES_FAULTS:
                connection.terminate()

    async def _open(self) -> asyncpg.Connection[asyncpg.Record]:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=TIMEOUT,
            server_settings={"application_name": "shadowread", "default_transaction_read_only": "on"},
        )
        try:
            self._ids = await self._find(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _find(self, connection: asyncpg.Connection[asyncpg.Record]) -> list[int]:
        if not await connection.fetchval("SELECT current_setting('track_counts')::bool"):
            raise CountersError("Postgres counts no scans: track_counts is off; switch it on")
        rows = await connection.fetch(_TABLES, self._tables, [quoted(name) for name in self._tables])
        if missing := [row["name"] for row in rows if row["id"] is None]:
            raise CountersError(
                f"no such table for the account of postgres.dsn: {', '.join(missing)}; correct tables, or name the "
                "schema"
            )
        if others := [row["name"] for row in rows if row["kind"] not in ("r", "p", "m")]:
            raise CountersError(f"{', '.join(others)} is no table, and only tables are counted; name what it reads")
        return [row["id"] for row in rows]


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
