"""Postgres for direct reads: a small pool, and transactions that read only and end in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from proxy.direct.parameters import ParameterError
from proxy.direct.plans import PostgresPlan, ProvedStatement
from proxy.direct.postgres_values import TEXT_TYPES
from proxy.direct.sql_tokens import StatementError
from proxy.errors import ShadowreadError, UpstreamError
from proxy.readers.postgres_proof import Proof, is_fault_of_statement, prove, told

MAX_ROWS = 10_000
MAX_BYTES = 64 * 1024 * 1024
"""Texts and bytes of one read: what is larger is no response that anyone compares."""
PIECE = 100
"""Rows that are fetched at once, so that a read that is too large is noticed before it is in memory."""
CONNECT_SECONDS = 10.0
STATEMENTS_KEPT = 1_000
"""Prepared statements of one connection: a configuration of all domains has more than asyncpg's default of 100."""
PROVE_SECONDS = 10.0

_FAULTS = (
    OSError,
    ValueError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg raises when the server ends a connection just as it is used
)
# The server says that it is there and will not have us.
_REFUSALS = (
    ConnectionRefusedError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ConnectionRejectionError,
)
# A connection that died in the pool: asking anew helps.
_LOST = (asyncpg.PostgresConnectionError, asyncpg.InternalClientError, ConnectionResetError, BrokenPipeError)
_OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Rows: TypeAlias = "list[asyncpg.Record]"


class SchemaChangedError(ShadowreadError):
    """A table is not as it was when the statement was proved; prove it again and ask again."""


class PostgresStore:
    """At most `connections` connections, made when they are needed. Times are seconds.

    What fails raises UpstreamError with a code of: timeout, refused, unreachable, statement, too_large.
    """

    def __init__(
        self,
        dsn: str,
        *,
        connections: int = 8,
        statement_timeout: float = 2.0,
        lock_timeout: float = 0.5,
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._dsn = dsn
        self._connections = connections
        self._statement_timeout = statement_timeout
        self._lock_timeout = lock_timeout
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def start(self) -> None:
        """Make the pool, once, without connecting: a server that is away is no error."""
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._connections,
                timeout=CONNECT_SECONDS,
                statement_cache_size=STATEMENTS_KEPT,
                init=_as_printed,
                reset=_nothing,
                server_settings={
                    "application_name": "shadowread",
                    "TimeZone": "UTC",
                    "DateStyle": "ISO",
                    "standard_conforming_strings": "on",
                },
            )

    async def close(self) -> None:
        """End all connections; reads under way fail."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    async def prepare(self, plan: PostgresPlan) -> list[ProvedStatement]:
        """What the server says of a route's statements.

        Raises StatementError for one that is refused or does not fit its parameters or the shape, and UpstreamError
        when the server cannot be asked.
        """
        try:
            async with asyncio.timeout(PROVE_SECONDS):
                return [proof.statement for proof in await self.prove(plan, PROVE_SECONDS)]
        except TimeoutError:
            raise UpstreamError("timeout", f"Postgres did not answer within {PROVE_SECONDS:g} s") from None

    async def prove(self, plan: PostgresPlan, seconds: float) -> list[Proof]:
        """As `prepare`, for the reader; `seconds` are what is left for it."""
        try:
            async with self._transaction(seconds) as connection:
                return await prove(connection, plan)
        except StatementError:
            raise
        except _FAULTS as error:
            raise self._failure(error, "") from error

    async def fetch(self, asked: Sequence[tuple[str, Sequence[Any]]], seconds: float) -> list[Rows]:
        """The rows of several statements with their values, all as of one moment. `seconds` are what is left for it.

        Raises UpstreamError, SchemaChangedError, and ParameterError for a value that Postgres does not take for its
        parameter's type.
        """
        for again in (True, False):
            try:
                return await self._fetch(asked, seconds)
            except ParameterError:
                raise
            except _OUTDATED as error:
                await self._expire()
                raise SchemaChangedError(str(error)) from error
            except _FAULTS as error:
                if not (again and isinstance(error, _LOST)):
                    raise self._failure(error, "") from error
        raise AssertionError("the second attempt returns or raises")

    async def _expire(self) -> None:
        """Let no connection be used again: each keeps statements that were prepared before."""
        if self._pool is not None:
            await self._pool.expire_connections()

    async def explain(self, sql: str, values: Sequence[Any]) -> str:
        """The plan of a proved statement for these values, as JSON text. It is not run. Raises UpstreamError."""
        try:
            async with asyncio.timeout(PROVE_SECONDS), self._transaction(PROVE_SECONDS) as connection:
                return str(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values))
        except _FAULTS as error:
            raise self._failure(error, sql) from error

    async def _fetch(self, asked: Sequence[tuple[str, Sequence[Any]]], seconds: float) -> list[Rows]:
        results: list[Rows] = []
        left = [self._max_rows, self._max_bytes]
        async with self._transaction(seconds) as connection:
            for sql, values in asked:
                results.append(await self._rows(connection, sql, values, left))
        return results

    async def _rows(self, connection: Connection, sql: str, values: Sequence[Any], left: list[int]) -> Rows:
        try:
            cursor = await connection.cursor(sql, *values)
        except asyncpg.DataError as error:
            # Values are taken in when they are bound, and only then.
            if not values:
                raise
            raise ParameterError(f"not a value that Postgres takes for its parameter: {told(error, '')}") from error
        rows: Rows = []
        while piece := await cursor.fetch(PIECE):
            rows += piece
            left[0] -= len(piece)
            left[1] -= sum(len(value) for row in piece for value in row if isinstance(value, str | bytes))
            if left[0] < 0:
                raise UpstreamError("too_large", f"more than {self._max_rows} rows; put a LIMIT into the statement")
            if left[1] < 0:
                raise UpstreamError("too_large", f"more than {self._max_bytes} bytes of rows")
            if len(piece) < PIECE:
                break
        return rows

    @asynccontextmanager
    async def _transaction(self, seconds: float) -> AsyncIterator[Connection]:
        """A connection in a read-only transaction with one snapshot. It is given back as soon as the caller is done.

        A connection on which anything is still under way (the caller's time is up, the server does not answer) is
        ended at once, not waited for; the server ends what it runs by itself, at the statement's timeout.
        """
        pool = self._pool
        if pool is None:
            raise UpstreamError("unreachable", "the reader is not started")
        connection = await pool.acquire()
        clean = False
        try:
            await connection.execute(self._beginning(seconds))
            try:
                yield connection
            except (asyncpg.PostgresError, StatementError, ParameterError, UpstreamError):
                with suppress(*_FAULTS):
                    await connection.execute("ROLLBACK")
                    clean = True
                raise
            await connection.execute("COMMIT")
            clean = True
        finally:
            if not clean:
                connection.terminate()
            with suppress(*_FAULTS):
                await pool.release(connection)

    def _beginning(self, seconds: float) -> str:
        """One round trip for all of it; as part of the transaction it also works through a connection pooler."""
        statement = max(1, int(min(self._statement_timeout, seconds) * 1000))
        return (
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
            f"SET LOCAL statement_timeout = {statement};"
            f"SET LOCAL lock_timeout = {max(1, int(self._lock_timeout * 1000))};"
            f"SET LOCAL idle_in_transaction_session_timeout = {int(CONNECT_SECONDS * 1000)};"
            "SET LOCAL intervalstyle = 'postgres';"
            "SET LOCAL extra_float_digits = 1"
        )

    def _failure(self, error: Exception, sql: str) -> UpstreamError:
        if isinstance(error, asyncpg.LockNotAvailableError):
            return UpstreamError("timeout", f"a lock was not free within {self._lock_timeout:g} s (lock_timeout)")
        if isinstance(error, asyncpg.QueryCanceledError):
            return UpstreamError(
                "timeout", f"the statement took over {self._statement_timeout:g} s (statement_timeout)"
            )
        if isinstance(error, TimeoutError):
            return UpstreamError("timeout", "Postgres did not answer in time")
        if isinstance(error, _REFUSALS):
            return UpstreamError("refused", f"Postgres refuses connections: {_line(error)}")
        if isinstance(error, asyncpg.PostgresError) and is_fault_of_statement(error):
            return UpstreamError("statement", told(error, sql))
        return UpstreamError("unreachable", f"the connection to Postgres failed: {_line(error)}")


async def _as_printed(connection: asyncpg.Connection[asyncpg.Record], /) -> None:
    for name in TEXT_TYPES:
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")


async def _nothing(_: asyncpg.Connection[asyncpg.Record]) -> None:
    """Nothing outlives a transaction that can only read and sets all things locally."""


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
