"""What is particular to a ledger in Postgres: the server away, several machines, rights, what the driver is told."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select, text

from comparators.model import Kind, Tolerated
from proxy.demo.servers import PostgresServer
from proxy.errors import LedgerError
from proxy.ledger import Ledger, LedgerReader, examined, postgres, schema
from proxy.ledger.database import probe, store_of
from proxy.ledger.moments import utc_now
from proxy.ledger.postgres import PostgresStore, beside, drop
from proxy.ledger.write import write_batch
from proxy.model import Verdict
from proxy.window import FieldCount
from tests.ledger.support import (
    START,
    Clock,
    PostgresHome,
    Spot,
    apart,
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
    url_of,
)

ROOT = Path(__file__).parents[2]
WRONG = "Zebra-Sesame-77"


@pytest.fixture
def spot(postgres_home: PostgresHome) -> Spot:
    return postgres_home / "a.db"


def account(pg_server: PostgresServer, spot: Spot, name: str) -> str:
    """The address of the ledger for a new account without any rights."""
    told(pg_server, f"DROP ROLE IF EXISTS {name}", f"CREATE ROLE {name} LOGIN PASSWORD 'correct-one'")
    return url_of(spot).replace(urlsplit(spot.dsn).netloc.partition("@")[0], f"{name}:correct-one")


def is_written(ledger: Ledger) -> bool:
    return ledger.recording.ok


async def open_at(url: str, folder: Path) -> None:
    dsn, _, asked = url.partition("?schema=")
    async with opened(Spot(dsn, asked or postgres.SCHEMA, folder)):
        pass


@contextmanager
def away(pg_server: PostgresServer, spot: Spot) -> Iterator[None]:
    """The database lets nobody in, and nobody stays in."""
    name = spot.dsn.rpartition("/")[2]
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 - our own name
    told(pg_server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false", ended)
    try:
        yield
    finally:
        told(pg_server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


def told(server: PostgresServer, *statements: str) -> None:
    """Said to the server beside all its ledgers."""
    rows_of(Spot(server.dsn(), "public", Path()), *statements)


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


async def open_plain(spot: Spot) -> Ledger:
    return await Ledger.open(
        url_of(spot),
        journal=spot.journal,
        flush_seconds=3600.0,
        max_traces=10,
        max_trace_bytes=1_000_000,
        max_findings=10,
        clock=lambda: START,
    )


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
            patched.setattr("proxy.ledger.ledger.write_batch", cut)
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


async def test_a_run_of_another_machine_is_settled_by_who_can_see_its_journal(spot: Spot, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    there = replace(spot, journal=tmp_path / "there")
    async with opened(there) as far:
        exchange(far)
        far.begin("users", "GET /u")
        await far.flush()
        far.begin("users", "GET /v")  # only its journal knows
        async with opened(spot) as near:
            counts = (await near.domains())["users"]
            assert (counts.observed, counts.under_way) == (1, 1), "it is alive"
        await crash(far)
        async with opened(spot) as near:
            counts = (await near.domains())["users"]
            assert (counts.observed, counts.under_way) == (1, 1), "nobody can tell from here"
        async with opened(there) as far:
            assert (await far.domains())["users"].verdicts == {Verdict.MATCH: 1, Verdict.LOST: 2}


async def test_a_machine_that_does_not_come_back_is_given_up_after_a_week(spot: Spot, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    clock = Clock()
    async with opened(replace(spot, journal=tmp_path / "there"), clock=clock) as far:
        clock.tick(days=30)
        far.begin("users", "GET /u")
        await far.flush()
        await crash(far)
    clock.tick(days=7)
    async with opened(spot, clock=clock) as ledger:
        assert (await ledger.domains())["users"].under_way == 1, "its last write is what counts"
    clock.tick(seconds=1)
    async with opened(spot, clock=clock) as ledger:
        assert (await ledger.domains())["users"].verdicts == {Verdict.LOST: 1}


async def test_a_folder_that_was_copied_to_another_machine(spot: Spot, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(spot) as ledger:
        ledger.begin("users", "GET /u")
        await ledger.flush()
        (journal,) = spot.journal.glob("*.journal")
        aside = journal.rename(journal.with_suffix(".elsewhere"))
        with monkeypatch.context() as patched:
            patched.setattr("proxy.ledger.recover.socket.gethostname", lambda: "copy")
            async with opened(spot) as copy:
                assert (await copy.domains())["users"].under_way == 1
        aside.rename(journal)


def test_all_processes_of_a_folder_agree_on_its_place(tmp_path: Path) -> None:
    stores = [PostgresStore.of("postgresql://h/d", tmp_path) for _ in range(2)]
    found = {store.place() for store in stores}
    assert len(found) == 1
    assert PostgresStore.of("postgresql://h/e", tmp_path).place() not in found
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".place", ".place"]
    for one in tmp_path.iterdir():
        one.write_text("")
    with pytest.raises(OSError, match=r"\.place is damaged; remove it"):
        stores[0].place()


def start(spot: Spot, seed: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.ledger.child", url_of(spot), str(seed), "0", str(spot.journal)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


@pytest.mark.slow
async def test_killed_at_any_moment_two_processes_lose_nothing(spot: Spot) -> None:
    total = doubt = 0
    for round_ in range(2):
        children = [start(spot, 10 * round_ + n) for n in range(2)]
        for child in children:
            assert child.stdout is not None
            assert await asyncio.to_thread(child.stdout.read, 1) == b"!"
        told = [asyncio.ensure_future(asyncio.to_thread(child.stdout.read)) for child in children if child.stdout]
        async with reading(spot) as reader:
            for _ in range(10):
                assert_balanced(await reader.domains())
        for child in children:
            child.kill()
        total += sum([len(await one) for one in told])
        doubt += len(children)
        for child in children:
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
        async with opened(spot) as ledger:
            domains = await ledger.domains()
            assert_balanced(domains)
            assert total <= observed(domains) <= total + doubt
            assert domains["domain"].under_way == 0
            total, doubt = observed(domains), 0
    assert list(spot.journal.glob("*.journal")) == []


async def test_a_wrong_password_is_told_without_it(pg_server: PostgresServer, spot: Spot, tmp_path: Path) -> None:
    url = account(pg_server, spot, "stranger").replace("correct-one", WRONG)
    for attempt in (open_at(url, tmp_path), reader_at(url), drop(PostgresStore.of(url, tmp_path))):
        with pytest.raises(LedgerError) as caught:
            await attempt
        text_ = str(caught.value)
        assert 'password authentication failed for user "stranger"' in text_
        assert "correct the user and the password in ledger.url" in text_
        assert WRONG not in text_
    assert WRONG not in repr(PostgresStore.of(url, tmp_path))
    assert list(tmp_path.glob("*.journal")) == []
    unreadable = f"postgresql://u:{WRONG}@127.0.0.1:{pg_server.port}/x?sslmode={WRONG}"
    with pytest.raises(LedgerError, match=r"ledger\.url cannot be used") as caught:
        await LedgerReader.open(unreadable)
    assert WRONG not in str(caught.value)


async def reader_at(url: str) -> None:
    await (await LedgerReader.open(url)).close()


async def test_no_such_database_and_no_right_are_told_with_what_to_do(
    pg_server: PostgresServer, spot: Spot, tmp_path: Path
) -> None:
    with pytest.raises(LedgerError, match=r'database "nowhere" does not exist; correct ledger\.url'):
        await open_at(pg_server.dsn("nowhere"), tmp_path)
    url = account(pg_server, spot, "poor").replace(f"schema={spot.schema}", "schema=mine")
    with pytest.raises(LedgerError, match=r"permission denied .* CREATE SCHEMA mine AUTHORIZATION its_name"):
        await probe(store_of(url))
    with pytest.raises(LedgerError, match="CREATE SCHEMA mine AUTHORIZATION its_name"):
        await open_at(url, tmp_path)
    rows_of(spot, "CREATE SCHEMA mine AUTHORIZATION poor")
    await open_at(url, tmp_path)
    assert await probe(store_of(url)) == schema.REVISIONS[-1]
    rows_of(spot, "DROP OWNED BY poor")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://h/d?schema=Bad-Name", "the schema must be small letters"),
        ("postgresql://h/d?schema=", "the schema must be small letters"),
        ("postgresql://u:secret@[h/d", "cannot be read; write postgresql://"),
    ],
)
def test_an_unusable_address_is_refused_and_not_quoted(url: str, why: str) -> None:
    with pytest.raises(LedgerError, match=why) as caught:
        store_of(url)
    assert "secret" not in str(caught.value)


def test_a_folder_for_journals_that_is_not_there_is_refused(spot: Spot, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"ledger\.journal: the folder .*/no does not exist; create it"):
        apart(open_at(url_of(spot), tmp_path / "no"))


def test_names_bear_no_password_and_addresses_tell_databases_apart(tmp_path: Path) -> None:
    store = PostgresStore.of(
        "postgres://u:p%40ss@a.example:5432,b.example/led%20ger?sslmode=require&schema=x", tmp_path
    )
    assert (store.name, store.schema) == ("postgresql://a.example:5432,b.example/led ger?schema=x", "x")
    assert store.dsn == "postgres://u:p%40ss@a.example:5432,b.example/led%20ger?sslmode=require"
    assert "p@ss" not in store.reason(OSError("tried p@ss and p%40ss"))
    assert "p%40ss" not in store.reason(OSError("tried p@ss and p%40ss"))
    same = (
        "postgresql://other@h:1/d",
        "postgresql://u:pw@h:1/d?sslmode=disable",
        "postgresql://H:1/d?schema=shadowread",
    )
    assert len({PostgresStore.of(url, tmp_path).journals for url in same}) == 1
    others = (*same[:1], "postgresql://h:2/d", "postgresql://h:1/e", "postgresql://h:1/d?schema=y", "postgresql:///d")
    assert len({PostgresStore.of(url, tmp_path).journals for url in others}) == len(others)
    assert PostgresStore.of("postgresql://who@h", None).name == "postgresql://h/who"


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


async def test_what_the_server_is_told_of_each_connection(spot: Spot) -> None:
    names = ("synchronous_commit", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    async with reading(spot) as reader:
        for one in (reader.ask, reader.write):
            found = [await one(lambda c, name=name: c.scalar(text(f"SHOW {name}"))) for name in names]  # type: ignore[misc]
            assert found == ["on", "15s", "5s", "1min"]
        assert await reader.ask(lambda c: c.scalar(text("SHOW transaction_isolation"))) == "repeatable read"
        assert await reader.write(lambda c: c.scalar(text("SHOW transaction_isolation"))) == "read committed"
        await asyncio.gather(*(reader.domains() for _ in range(60)))
        used = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shadowread ledger' "
        ((count,),) = rows_of(spot, used + "AND datname = current_database()")
        assert 1 <= count <= postgres.CONNECTIONS + postgres.MORE_CONNECTIONS


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


async def test_the_ledger_beside_it_is_dropped_unless_somebody_writes_to_it(
    postgres_home: PostgresHome, tmp_path: Path
) -> None:
    assert beside("postgresql://h/d", "_aa") == "postgresql://h/d?schema=shadowread_aa"
    assert beside("postgresql://h/d?a=b", "_aa") == "postgresql://h/d?a=b&schema=shadowread_aa"
    assert beside("postgresql://h/d?schema=x&a=b", "_aa") == "postgresql://h/d?schema=x_aa&a=b"
    (tmp_path / "there").mkdir()
    spot = postgres_home / "b.db"
    store, far = store_of(url_of(spot), tmp_path), replace(spot, journal=tmp_path / "there")
    assert isinstance(store, PostgresStore)
    await drop(store)  # there is none
    async with opened(far, clock=utc_now):
        with pytest.raises(LedgerError, match=r"is written by a run on .*; stop it first"):
            await drop(store)
    async with opened(spot) as ledger:
        await crash(ledger)
    await drop(store)
    assert rows_of(spot, "SELECT 1 FROM pg_namespace WHERE nspname = 'b_db'") == []
