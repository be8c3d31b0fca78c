"""The id map while its Postgres is away, slow, restarted or changed."""

from __future__ import annotations

import asyncio
import time
from typing import TypeAlias

import asyncpg
import pytest

from proxy.identity import Identity, IdentityError, Limits, TableSource
from tests.identity.conftest import ID_MAP, USERS, legacy, until, uuid
from tests.identity.relay import Relay

Writer: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
QUICK = Limits(timeout=1.0, hold_off=0.0)


async def test_a_server_that_goes_away_and_comes_back(pg_database: str, writer: Writer) -> None:
    assert not writer.is_closed()
    async with Relay(pg_database) as relay:
        identity = Identity(relay.dsn, [ID_MAP, USERS], limits=QUICK)
        await relay.away()
        await identity.start()
        with pytest.raises(IdentityError, match="cannot be asked"):
            await identity.lookup([legacy(1)])
        assert identity.figures.reachable is False

        await relay.back()
        assert legacy(1) in (await identity.lookup([legacy(1)])).by_legacy
        await identity.ping()

        await relay.away()
        assert legacy(1) in (await identity.lookup([legacy(1)])).by_legacy, "what is known is still known"
        with pytest.raises(IdentityError):
            await identity.lookup([legacy(1), legacy(2)])
        with pytest.raises(IdentityError):
            await identity.ping()

        await relay.back()
        assert set((await identity.lookup([legacy(1), legacy(2)])).by_legacy) == {legacy(1), legacy(2)}
        await identity.ping()
        await identity.close()


async def test_a_pair_past_its_age_is_served_as_it_was_while_the_server_is_away(
    pg_database: str, writer: Writer
) -> None:
    assert not writer.is_closed()
    async with Relay(pg_database) as relay:
        identity = Identity(relay.dsn, [ID_MAP], limits=Limits(timeout=1.0, hold_off=0.0, hit_age=0.0))
        await identity.start()
        await identity.lookup([legacy(1)])
        await relay.away()
        assert legacy(1) in (await identity.lookup([legacy(1)])).by_legacy
        assert identity.figures.failures == 1
        await identity.close()


async def test_connections_that_die_in_the_pool_are_replaced(pg_database: str, writer: Writer) -> None:
    identity = Identity(pg_database, [ID_MAP], limits=QUICK)
    await identity.start()
    await identity.lookup([legacy(1)])
    await writer.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shadowread'")
    assert legacy(2) in (await identity.lookup([legacy(2)])).by_legacy
    await identity.close()


async def test_a_silent_server_costs_no_more_than_the_timeout(pg_database: str, writer: Writer) -> None:
    assert not writer.is_closed()
    async with Relay(pg_database) as relay:
        identity = Identity(relay.dsn, [ID_MAP], limits=Limits(timeout=0.3, hold_off=5.0))
        await identity.start()
        await identity.lookup([legacy(1)])
        relay.silent = True
        began = time.monotonic()
        with pytest.raises(IdentityError, match="in time"):
            await identity.lookup([legacy(2)])
        assert time.monotonic() - began < 1.5
        began = time.monotonic()
        with pytest.raises(IdentityError, match="in time"):
            await identity.lookup([legacy(3)])
        assert time.monotonic() - began < 0.1, "while it is held off nobody waits"
        await identity.close()


async def test_a_locked_table_ends_at_the_timeout(pg_database: str, writer: Writer) -> None:
    identity = Identity(pg_database, [ID_MAP], limits=Limits(timeout=0.3, hold_off=0.0))
    await identity.start()
    async with writer.transaction():
        await writer.execute("LOCK TABLE id_map IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(IdentityError, match="in time"):
            await identity.lookup([legacy(1)])
    assert legacy(1) in (await identity.lookup([legacy(1)])).by_legacy
    await identity.close()


async def test_more_lookups_than_allowed_are_refused_at_once(pg_database: str, writer: Writer) -> None:
    identity = Identity(pg_database, [ID_MAP], limits=Limits(lookups=2, timeout=5.0))
    await identity.start()
    async with writer.transaction():
        await writer.execute("LOCK TABLE id_map IN ACCESS EXCLUSIVE MODE")
        waiting = [asyncio.ensure_future(identity.lookup([legacy(n)])) for n in (1, 2)]
        await until(lambda: identity.figures.queries >= 2)
        with pytest.raises(IdentityError, match="too many"):
            await identity.lookup([legacy(3)])
    assert [len((await task).by_legacy) for task in waiting] == [1, 1]
    await identity.close()


async def test_closing_ends_every_wait(pg_database: str, writer: Writer) -> None:
    identity = Identity(pg_database, [ID_MAP], limits=Limits(timeout=30.0))
    await identity.start()
    async with writer.transaction():
        await writer.execute("LOCK TABLE id_map IN ACCESS EXCLUSIVE MODE")
        under_way = asyncio.ensure_future(identity.lookup([legacy(1)]))
        await until(lambda: identity.figures.queries >= 1)
        just_begun = asyncio.ensure_future(identity.lookup([legacy(2)]))
        forgotten = asyncio.ensure_future(identity.lookup([legacy(3)]))
        await asyncio.sleep(0)
        identity.forget([legacy(3)])
        await identity.close()
        for task in (under_way, just_begun, forgotten):
            with pytest.raises(IdentityError, match="closed"):
                await task


async def test_a_column_that_changes_its_type_is_noticed(pg_database: str, writer: Writer) -> None:
    identity = Identity(pg_database, [ID_MAP], limits=QUICK)
    await identity.start()
    await identity.lookup([uuid(1)])
    await writer.execute("ALTER TABLE id_map ALTER COLUMN new_id TYPE text")
    table = await identity.lookup([uuid(2)])
    assert uuid(2) in table.by_uuid
    await identity.close()


async def test_each_source_that_cannot_be_asked_is_named(pg_database: str, writer: Writer) -> None:
    await writer.execute("ANALYZE users")
    lost = TableSource("nowhere", "a", "b", entity_name="x")
    other = TableSource("users", "legacy_object_id", "uid", entity_name="user")
    identity = Identity(pg_database, [USERS, lost, other], limits=QUICK)
    await identity.start()
    good, missing, column = await identity.probe()
    assert (good.source, good.rows, good.problem) == ("table users", 51, None)
    assert missing.problem is not None
    assert "table nowhere" in missing.problem
    assert column.problem is not None
    assert "uid" in column.problem
    with pytest.raises(IdentityError, match="nowhere"):
        await identity.lookup([legacy(1)])
    await identity.close()


async def test_an_address_that_cannot_be_one_is_an_answer_too() -> None:
    identity = Identity("postgresql://h:notaport/x", [ID_MAP])
    await identity.start()
    with pytest.raises(IdentityError, match="cannot be asked"):
        await identity.lookup([legacy(1)])
    await identity.close()


async def test_nothing_can_be_written_through_it(pg_database: str, writer: Writer) -> None:
    """The account may be allowed to write; the connection is not."""
    assert not writer.is_closed()
    identity = Identity(pg_database, [ID_MAP])
    await identity.start()
    database = identity._database
    assert database is not None
    async with database._connection() as connection:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("DELETE FROM id_map")
    await identity.close()
