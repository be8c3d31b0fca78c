"""What is particular to a ledger in Postgres: the server away, several machines, what it takes and refuses."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select

from comparators.model import Kind, Tolerated
from proxy.demo.servers import PostgresServer
from proxy.errors import LedgerError
from proxy.ledger import LedgerReader, examined, postgres, schema
from proxy.ledger.database import probe, store_of
from proxy.ledger.write import write_batch
from proxy.model import Verdict
from proxy.window import FieldCount
from tests.ledger.served import WRONG, away, is_written, open_plain
from tests.ledger.support import (
    START,
    PostgresHome,
    Spot,
    assert_balanced,
    crash,
    diff,
    difference,
    exchange,
    observed,
    observed_by_route,
    opened,
    reading,
    rows_of,
)


async def test_made_from_nothing_in_a_schema_of_its_own(pg_database: str, tmp_path: Path) -> None:
    spot = Spot(pg_database, "shadowread", tmp_path)
    rows_of(spot, "CREATE TABLE public.meta (x int)")
    before = await probe(store_of(pg_database))
    assert (before, rows_of(spot, "SELECT 1 FROM pg_namespace WHERE nspname = 'shadowread'")) == (None, [])
    with pytest.raises(LedgerError, match=r"there is no ledger in postgresql://.*; start `shadowread serve` once"):
        await LedgerReader.open(pg_database)
    async with opened(spot) as ledger:
        exchange(ledger)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))

    engine = store_of(pg_database).engine()
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
    assert rows_of(spot, "SELECT count(*) FROM public.meta") == [(0,)]
    assert await probe(store_of(pg_database)) == schema.REVISIONS[-1]
    assert rows_of(spot, "SELECT count(*) FROM meta WHERE name = 'probe'") == [(0,)]
    reader = await LedgerReader.open(pg_database)
    assert (await reader.domains())["users"].observed == 1
    await reader.close()


async def test_two_ledgers_in_one_database_do_not_touch(postgres_home: PostgresHome) -> None:
    one, other = postgres_home / "a.db", postgres_home / "b.db"
    async with opened(one) as first, opened(other) as second:
        exchange(first)
        diff(second, "t1")
        for ledger in (first, second):
            ledger.begin("users", "GET /u")
            await ledger.flush()
        await crash(second)
        async with opened(one) as again:
            assert (await again.domains())["users"].verdicts == {Verdict.MATCH: 1}
            assert await again.findings() == []
    async with opened(other) as ledger:
        assert (await ledger.domains())["users"].verdicts == {Verdict.DIFF: 1, Verdict.LOST: 1}


async def test_away_and_back_nothing_is_lost(pg_server: PostgresServer, spot: Spot) -> None:
    async with opened(spot) as ledger:
        exchange(ledger)
        await ledger.flush()
        with away(pg_server, spot):
            for _ in range(2):
                exchange(ledger, Verdict.DIFF)
                await ledger.flush()
                assert not is_written(ledger)
                counts = (await ledger.domains())["users"]
                assert_balanced({"users": counts})
            assert counts.verdicts == {Verdict.MATCH: 1, Verdict.DIFF: 2}
            assert ledger.recording.waiting == 2
            reason = str(ledger.recording.reason)
            assert reason.startswith(f"postgresql://{urlsplit(spot.dsn).netloc.rpartition('@')[2]}/")
            assert "not currently accepting connections" in reason
            with pytest.raises(LedgerError, match="the ledger cannot be read"):
                await ledger.findings()
            with pytest.raises(LedgerError, match="nothing was stored"):
                await ledger.restart_window("users", "by hand", START)
        exchange(ledger)
        await ledger.flush()
        assert (ledger.recording.ok, ledger.recording.waiting) == (True, 0)
        assert observed_by_route(spot) == {"GET /u": 4}


async def test_away_at_the_start_the_proxy_starts_and_catches_up(pg_server: PostgresServer, spot: Spot) -> None:
    with away(pg_server, spot):
        async with opened(spot) as early:
            exchange(early)
            assert not early.recording.ok
            await crash(early)
        assert len(list(spot.journal.glob("*.journal"))) == 1
        ledger = await open_plain(spot)
        exchange(ledger)
        await ledger.flush()
        assert not is_written(ledger)
    await ledger.flush()
    assert is_written(ledger)
    assert (await ledger.domains())["users"].verdicts == {Verdict.LOST: 1, Verdict.MATCH: 1}
    await ledger.close()
    assert list(spot.journal.glob("*.journal")) == []


async def test_a_server_that_does_not_answer_holds_nobody_up_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 0.1)

    # The kernel takes the connection, and nobody ever speaks.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        async with asyncio.timeout(30):
            async with opened(Spot(f"postgresql://u:{WRONG}@127.0.0.1:{port}/x", "s", tmp_path)) as ledger:
                exchange(ledger)
                assert ledger.recording.reason == f"postgresql://127.0.0.1:{port}/x?schema=s: it does not answer"
                assert (await ledger.domains())["users"].observed == 1


async def test_a_lost_connection_within_a_write_repeats_nothing(
    pg_server: PostgresServer, spot: Spot, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*given: Any) -> None:
        await write_batch(*given)
        with away(pg_server, spot):
            pass

    async with opened(spot) as ledger:
        exchange(ledger)
        diff(ledger, "t1")
        with monkeypatch.context() as patched:
            patched.setattr("proxy.ledger.behind.write_batch", cut)
            await ledger.flush()
        assert not is_written(ledger)
        assert observed_by_route(spot) == {}
        await ledger.flush()
        assert is_written(ledger)
        assert observed_by_route(spot) == {"GET /u": 2}
        assert rows_of(spot, "SELECT differences FROM findings") == [(1,)]


@pytest.mark.parametrize("written", [True, False])
async def test_a_dropped_ledger_is_noticed_and_made_anew(spot: Spot, written: bool) -> None:
    async with opened(spot) as ledger:
        exchange(ledger)
        await ledger.flush()
        rows_of(spot, f"DROP SCHEMA {spot.schema} CASCADE")
        if written:  # by another one, so that all the tables are there
            async with opened(spot):
                pass
        exchange(ledger, Verdict.DIFF)
        await ledger.flush()
        assert "was deleted or replaced" in str(ledger.recording.reason)
        await ledger.flush()
        assert is_written(ledger)
        assert (await ledger.domains())["users"].lifetime_verdicts == {Verdict.DIFF: 1}
        assert observed_by_route(spot) == {"GET /u": 1}


async def test_a_backup_that_does_not_know_the_run(spot: Spot) -> None:
    """It has the same id as the ledger in whose place it was put."""
    async with opened(spot) as ledger:
        exchange(ledger)
        ledger.begin("users", "GET /u")
        await ledger.flush()
        rows_of(spot, "DELETE FROM runs", "DELETE FROM observed", "DELETE FROM verdicts")
        exchange(ledger)
        await ledger.flush()
        assert "was deleted or replaced" in str(ledger.recording.reason)
        await ledger.flush()
        assert is_written(ledger)
        assert rows_of(spot, "SELECT sequence, closed_at FROM runs") == [(2, None)]
        assert rows_of(spot, "SELECT begun, settled, observed FROM observed") == [(3, 2, 1)]
        await crash(ledger)
    async with opened(spot) as ledger:
        assert (await ledger.domains())["users"].lifetime_verdicts == {Verdict.MATCH: 1, Verdict.LOST: 1}


async def test_a_server_that_refuses_to_write_counts_are_kept_until_it_does(spot: Spot) -> None:
    """As on a full disk: nothing is given up, what was refused is written once."""
    rows_of(
        spot,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END$$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON findings EXECUTE FUNCTION full_disk()",
    )
    async with opened(spot) as ledger:
        diff(ledger, "t1")
        for n in range(1, 3):
            await ledger.flush()
            assert str(ledger.recording.reason).endswith("could not extend file")
            assert observed(await ledger.domains()) == n
            exchange(ledger)
        rows_of(spot, "DROP FUNCTION full_disk CASCADE")
        await ledger.flush()
        assert (is_written(ledger), ledger.recording.dropped_traces) == (True, 0)
        assert observed_by_route(spot) == {"GET /u": 3}
        assert len(await ledger.traces()) == 1


async def test_a_write_waits_for_another_s_and_says_so_when_it_takes_too_long(
    spot: Spot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_SECONDS", 0.1)
    async with reading(spot) as slow, opened(spot) as ledger:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def stay(_: object) -> None:
            entered.set()
            await leave.wait()

        task = asyncio.ensure_future(slow.write(stay))
        await entered.wait()
        exchange(ledger)
        await ledger.flush()
        assert ledger.recording.reason is not None
        assert ledger.recording.reason.endswith("another process has been writing for more than 0.1 s")
        assert observed(await slow.domains()) == 0, "who reads waits for nobody"
        leave.set()
        await task
        await ledger.flush()
        assert is_written(ledger)


async def test_an_answer_is_of_one_moment_and_changes_nothing(spot: Spot) -> None:
    async with opened(spot) as ledger, reading(spot) as reader:
        exchange(ledger)
        await ledger.flush()
        count = select(func.sum(schema.verdicts.c.n))

        async def twice(connection: object) -> tuple[int, int]:
            first = await connection.scalar(count)  # type: ignore[attr-defined]
            exchange(ledger)
            await ledger.flush()
            return first, await connection.scalar(count)  # type: ignore[attr-defined]

        assert await reader.ask(twice) == (1, 1)
        with pytest.raises(LedgerError, match="read-only transaction"):
            await reader.ask(lambda c: c.execute(schema.meta.delete()))


async def test_what_no_text_of_postgres_may_bear_and_keys_beyond_its_indexes(spot: Spot) -> None:
    wide = "".join(chr(0x10000 + n * 7) for n in range(600))
    async with opened(spot) as ledger:
        exchange(ledger, tolerated=(Tolerated("ignore", f"$.{wide}", 1, f"$..{wide}"),), route="GET /" + "é" * 3_000)
        exchange(ledger, tolerated=(Tolerated("ignore", "$.a\0b", 1, "$..\0"),), entity="\0", entity_kind="\0")
        diff(ledger, "t1", difference("$.a\0b", Kind.VALUE_CHANGED, "\0", wide * 9), target="/\0")
        ledger.restart("users", "because\0", START + timedelta(seconds=1))
        await ledger.flush()
        assert ledger.recording.ok, ledger.recording.reason
        window = ledger.window("users")
        assert window is not None
        field = FieldCount("GET /" + "é" * 900, f"$.{wide * 9}\0", 1, 1, 0, 0, 1)
        await ledger.write(lambda c: examined.add(c, window.id, [field, field], [], domain="users"))
        (kept,) = await ledger.ask(lambda c: examined.fields(c, window.id))
        assert (kept.present, kept.path[:5]) == (2, field.path[:5])
        assert [one.path for one in await ledger.findings()] == ["$.a\ufffdb"]
        assert (await ledger.trace("t1")) is not None
        for nothing in (await ledger.trace("\0"), await ledger.finding("\0"), *await ledger.traces("\0", "\ud800")):
            assert nothing is None
        assert await ledger.findings("\0") == []


async def test_numbers_given_out_do_not_run_out(spot: Spot) -> None:
    kinds = rows_of(
        spot,
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND column_default LIKE 'nextval%' AND data_type = 'bigint'",
    )
    assert set(kinds) == {("windows", "seq"), ("entity_counts", "id")}
