"""A ledger in Postgres: its address, its account and rights, and what is never told of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from proxy.demo.servers import PostgresServer
from proxy.errors import LedgerError
from proxy.ledger import LedgerReader, postgres, schema
from proxy.ledger.database import probe, store_of
from proxy.ledger.moments import utc_now
from proxy.ledger.postgres import PostgresStore, beside, drop
from tests.ledger.served import WRONG, account, is_written, open_at, reader_at
from tests.ledger.support import (
    START,
    PostgresHome,
    Spot,
    apart,
    crash,
    diff,
    exchange,
    observed,
    opened,
    reading,
    rows_of,
    url_of,
)


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
    far = f"postgresql://u:{WRONG}@127.0.0.1:99999/x"
    for unreadable in (f"postgresql://u:{WRONG}@127.0.0.1:{pg_server.port}/x?sslmode={WRONG}", far):
        with pytest.raises(LedgerError, match=r"ledger\.url cannot be used") as caught:
            await LedgerReader.open(unreadable)
        assert WRONG not in str(caught.value)


async def test_no_such_database_and_no_right_are_told_with_what_to_do(
    pg_server: PostgresServer, spot: Spot, tmp_path: Path
) -> None:
    with pytest.raises(LedgerError, match=r'database "nowhere" does not exist; correct ledger\.url'):
        await open_at(pg_server.dsn("nowhere"), tmp_path)
    url = account(pg_server, spot, "poor").replace(f"schema={spot.schema}", "schema=mine")
    with pytest.raises(LedgerError, match=r'permission denied .* CREATE SCHEMA "mine" AUTHORIZATION its_name'):
        await probe(store_of(url))
    with pytest.raises(LedgerError, match='CREATE SCHEMA "mine" AUTHORIZATION its_name'):
        await open_at(url, tmp_path)
    rows_of(spot, "CREATE SCHEMA mine AUTHORIZATION poor")
    await open_at(url, tmp_path)
    assert await probe(store_of(url)) == schema.REVISIONS[-1]
    rows_of(spot, "DROP OWNED BY poor")


async def test_an_account_that_may_only_look(pg_server: PostgresServer, spot: Spot) -> None:
    url = account(pg_server, spot, "onlooker")
    with pytest.raises(LedgerError, match=r'permission denied .*; GRANT SELECT ON ALL TABLES IN SCHEMA "a_db" TO'):
        await reader_at(url)
    of = f"SCHEMA {spot.schema} TO onlooker"
    rows_of(spot, f"GRANT USAGE ON {of}", f"GRANT SELECT ON ALL TABLES IN {of}")
    async with opened(spot) as ledger:
        diff(ledger, "t1")
    reader = await LedgerReader.open(url)
    assert observed(await reader.domains()) == 1
    assert len(await reader.findings()) == len(await reader.traces()) == 1
    with pytest.raises(LedgerError, match=r"nothing was stored: .*permission denied for table windows"):
        await reader.restart_window("users", "by hand", START)
    await reader.close()
    rows_of(spot, "DROP OWNED BY onlooker")


async def test_a_schema_may_be_named_by_a_word_of_sql(postgres_home: PostgresHome) -> None:
    spot = replace(postgres_home / "a.db", schema="user")
    async with opened(spot) as ledger:
        exchange(ledger)
    async with reading(spot) as reader:
        assert observed(await reader.domains()) == 1
    store = store_of(url_of(spot), spot.journal)
    assert isinstance(store, PostgresStore)
    await drop(store)
    with pytest.raises(LedgerError, match="there is no ledger in"):
        await LedgerReader.open(url_of(spot))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://h/d?schema=Bad-Name", "the schema must be small letters"),
        ("postgresql://h/d?schema=", "the schema must be small letters"),
        ("postgresql://h/d?schema=pg_x", "not beginning with a digit or pg_"),
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


async def test_what_cannot_be_stored_is_not_quoted(spot: Spot, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the log, and not in the reason that the admin site shows."""
    rows_of(spot, "ALTER TABLE traces ADD CONSTRAINT sooner CHECK (target = '')")
    async with opened(spot) as ledger:
        diff(ledger, "t1", target=f"/{WRONG}")
        await ledger.flush()
        reason = str(ledger.recording.reason)
        assert 'violates check constraint "sooner"' in reason
        assert WRONG not in reason + caplog.text
        await ledger.flush()
        assert (is_written(ledger), ledger.recording.dropped_traces) == (True, 1)
    rows_of(spot, "ALTER TABLE traces DROP CONSTRAINT sooner")
    assert WRONG not in caplog.text
