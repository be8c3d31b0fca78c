"""PostgresReader while Postgres is down, frozen, restarted, slow, full or changed: an error, then it works again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from proxy.demo.processes import Supervisor
from proxy.demo.servers import PostgresServer, start_postgres
from proxy.direct.plans import PostgresPlan
from proxy.errors import UpstreamError
from proxy.model import Observation, ReadRequest
from proxy.readers.postgres import PostgresReader
from tests.identity.relay import Relay
from tests.readers.postgres_support import ANN, BY_ID, SCHEMA, plan_of, reader_of, store_of

Writer: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
REQUEST = ReadRequest("GET", f"/api/users/{ANN}", ())
SLOW = "SELECT count(*) AS n FROM generate_series(1, 1000000000) WHERE $1::text IS NOT NULL"

RUNNING = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%generate_series%'"


@pytest.fixture
async def writer(pg_database: str) -> AsyncIterator[Writer]:
    connection = await asyncpg.connect(pg_database)
    await connection.execute(SCHEMA)
    yield connection
    await connection.close()


def by_id() -> PostgresPlan:
    return plan_of(BY_ID, ["path.id"], {"one": "rows", "fields": ["name"]})


async def good(reader: PostgresReader, timeout: float = 5) -> None:
    seen = await reader.read(REQUEST, timeout)
    assert (seen.status, seen.body, seen.error) == (200, b'{"name":"Ann"}', None), seen


async def until_good(reader: PostgresReader, seconds: float = 10) -> None:
    """Read as traffic would, until it works again by itself."""

    async def works() -> bool:
        return (await reader.read(REQUEST, 1)).error is None

    await until(works, seconds)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process has nobody to tell
            await asyncio.sleep(0.02)


def failed(seen: Observation, *errors: str) -> bool:
    return seen.error in errors and seen.status is None and seen.body is None and bool(seen.detail)


async def test_a_server_that_is_away_at_first_and_later(pg_database: str, writer: Writer) -> None:
    assert not writer.is_closed()
    async with Relay(pg_database) as relay:
        await relay.away()
        async with store_of(relay.dsn) as store:
            reader = reader_of(store, by_id())
            assert failed(await reader.read(REQUEST, 2), "refused")
            with pytest.raises(UpstreamError, match="refused"):
                await store.prepare(by_id())
            for _ in range(2):
                await relay.back()
                await good(reader)
                await relay.away()
                assert failed(await reader.read(REQUEST, 2), "refused", "unreachable")
            await relay.back()
            await good(reader)


async def test_a_silent_server_costs_no_more_than_the_timeout(pg_database: str, writer: Writer) -> None:
    assert not writer.is_closed()
    async with Relay(pg_database) as relay, store_of(relay.dsn, connections=2) as store:
        reader = reader_of(store, by_id())
        await good(reader)
        relay.silent = True
        for _ in range(3):  # more often than there are connections: none of them is kept
            began = time.monotonic()
            assert failed(await reader.read(REQUEST, 0.2), "timeout")
            assert time.monotonic() - began < 1
        relay.silent = False
        await until_good(reader)


async def test_connections_that_die_in_the_pool_are_not_noticed(pg_database: str, writer: Writer) -> None:
    async with store_of(pg_database) as store:
        reader = reader_of(store, by_id())
        for _ in range(3):
            await good(reader)
            await writer.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'shadowread'"
            )


async def test_a_connection_that_is_ended_while_it_reads(pg_database: str, writer: Writer) -> None:
    async with store_of(pg_database, statement_timeout=30) as store:
        reader = reader_of(store, plan_of(SLOW, ["path.id"]))
        under_way = asyncio.ensure_future(reader.read(REQUEST, 30))

        async def ended() -> bool:
            return bool(await writer.fetchval(f"SELECT count(pg_terminate_backend(pid)) {RUNNING}"))

        await until(ended)
        assert failed(await under_way, "unreachable")
        await good(reader_of(store, by_id()))


async def test_a_statement_that_takes_too_long(pg_database: str, writer: Writer) -> None:
    async with store_of(pg_database, connections=1, statement_timeout=0.2) as store:
        slow = reader_of(store, plan_of(SLOW, ["path.id"]))
        seen = await slow.read(REQUEST, 5)
        assert failed(seen, "timeout")
        assert "statement_timeout" in seen.detail
        assert seen.seconds < 2
        await good(reader_of(store, by_id()))
    async with store_of(pg_database, connections=1, statement_timeout=30) as store:
        slow = reader_of(store, plan_of(SLOW, ["path.id"]))
        assert failed(await slow.read(REQUEST, 0.2), "timeout")
        await good(reader_of(store, by_id()))

        async def idle() -> bool:
            return not await writer.fetchval(f"SELECT count(*) {RUNNING}")

        await until(idle)  # the server too has given up, at the timeout that it was told


async def test_a_table_that_is_locked(pg_database: str, writer: Writer) -> None:
    async with store_of(pg_database, connections=1, lock_timeout=0.1) as store:
        reader = reader_of(store, by_id())
        await good(reader)
        async with writer.transaction():
            await writer.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            seen = await reader.read(REQUEST, 5)
            assert failed(seen, "timeout")
            assert "lock_timeout" in seen.detail
        await good(reader)


async def test_a_pool_that_is_used_up(pg_database: str, writer: Writer) -> None:
    async with store_of(pg_database, connections=2, lock_timeout=30, statement_timeout=30) as store:
        reader = reader_of(store, by_id())
        await good(reader)
        async with writer.transaction():
            await writer.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            seen = await asyncio.gather(*(reader.read(REQUEST, 0.4) for _ in range(20)))
            assert all(failed(each, "timeout") for each in seen)
            assert time.monotonic() - began < 2, "the wait for a connection counts"
            open_now = await writer.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shadowread'"
            )
            assert open_now <= 20
        await good(reader)
        assert len(await asyncio.gather(*(good(reader) for _ in range(20)))) == 20


async def test_a_server_without_room_for_another_connection(pg_database: str, writer: Writer) -> None:
    await writer.execute("CREATE ROLE narrow LOGIN PASSWORD 'x' CONNECTION LIMIT 1; GRANT SELECT ON users TO narrow")
    dsn = f"postgresql://narrow:x@{pg_database.rpartition('@')[2]}"
    try:
        other = await asyncpg.connect(dsn)
        async with store_of(dsn) as store:
            reader = reader_of(store, by_id())
            seen = await reader.read(REQUEST, 5)
            assert failed(seen, "refused")
            assert "too many connections" in seen.detail
            await other.close()
            await until_good(reader)
        async with store_of(dsn.replace(":x@", ":wrong@")) as store:
            seen = await reader_of(store, by_id()).read(REQUEST, 5)
            assert failed(seen, "refused")
            assert "wrong" not in seen.detail
    finally:
        await writer.execute("DROP OWNED BY narrow; DROP ROLE narrow")


async def test_a_table_that_is_gone_or_changed(pg_database: str, writer: Writer) -> None:
    everything = plan_of("SELECT * FROM orders WHERE id = $1", [{"from": "query.id", "default": 1}], {"one": "rows"})
    async with store_of(pg_database) as store:
        reader = reader_of(store, everything)
        assert (await reader.read(REQUEST, 5)).status == 200
        await writer.execute("ALTER TABLE orders RENAME TO orders_old")
        seen = await reader.read(REQUEST, 5)
        assert failed(seen, "statement")
        assert 'relation "orders" does not exist' in seen.detail
        await writer.execute("ALTER TABLE orders_old RENAME TO orders")
        assert (await reader.read(REQUEST, 5)).status == 200
        for change, body in (
            ("ADD COLUMN note text", b'{"id":1,"user_id":"%b","total":"0.1","note":null}' % ANN.encode()),
            ("DROP COLUMN user_id", b'{"id":1,"total":"0.1","note":null}'),
            ("ALTER COLUMN id TYPE bigint", b'{"id":"1","total":"0.1","note":null}'),
            ("RENAME COLUMN total TO sum", b'{"id":"1","sum":"0.1","note":null}'),
        ):
            await writer.execute(f"ALTER TABLE orders {change}")
            assert (await reader.read(REQUEST, 5)).body == body


async def test_a_reader_whose_caller_gives_up_keeps_nothing(pg_database: str, writer: Writer) -> None:
    assert not writer.is_closed()
    async with store_of(pg_database, connections=1, statement_timeout=30) as store:
        for wait in (0, 0.01, 0.1):
            task = asyncio.ensure_future(reader_of(store, plan_of(SLOW, ["path.id"])).read(REQUEST, 30))
            await asyncio.sleep(wait)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await good(reader_of(store, by_id()), 2)


async def test_closing_ends_what_is_under_way(pg_database: str, writer: Writer) -> None:
    assert not writer.is_closed()
    async with store_of(pg_database, statement_timeout=30) as store:
        await good(reader_of(store, by_id()))
        task = asyncio.ensure_future(reader_of(store, plan_of(SLOW, ["path.id"])).read(REQUEST, 30))
        await asyncio.sleep(0.1)
        await store.close()
        async with asyncio.timeout(2):
            assert failed(await task, "unreachable")


@pytest.fixture(scope="module")
def own_server() -> Iterator[tuple[Supervisor, PostgresServer]]:
    """A Postgres that may be stopped and frozen: nobody else uses it."""
    with Supervisor() as supervisor:
        yield supervisor, start_postgres(supervisor)


async def test_a_server_that_is_frozen_and_wakes_up(own_server: tuple[Supervisor, PostgresServer]) -> None:
    _, server = own_server
    await prepared(server)
    async with store_of(server.dsn(), connections=2) as store:
        reader = reader_of(store, by_id())
        await good(reader)
        with frozen(server.child.pid):
            for _ in range(4):
                began = time.monotonic()
                assert failed(await reader.read(REQUEST, 0.2), "timeout")
                assert time.monotonic() - began < 1
        await until_good(reader)


async def test_a_server_that_is_stopped_and_started_again(own_server: tuple[Supervisor, PostgresServer]) -> None:
    supervisor, server = own_server
    await prepared(server)
    async with store_of(server.dsn()) as store:
        reader = reader_of(store, by_id())
        await good(reader)
        await asyncio.to_thread(server.child.stop)
        assert failed(await reader.read(REQUEST, 2), "refused", "unreachable")
        child = await asyncio.to_thread(supervisor.spawn, server.child.command)
        try:
            await until_good(reader)
        finally:
            await asyncio.to_thread(child.stop)


async def prepared(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.dsn())
    if await connection.fetchval("SELECT to_regclass('users')") is None:
        await connection.execute(SCHEMA)
    await connection.close()


@contextmanager
def frozen(postmaster: int) -> Iterator[None]:
    """SIGSTOP to the server and all its processes, each of which is a session of its own."""
    stopped = [postmaster, *children(postmaster)]
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
