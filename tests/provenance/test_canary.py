"""A field changed in Postgres alone: shown, hidden or not there; put back in every case, also after a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from comparators.rules import compile_rules
from proxy.ledger import Canary, LedgerReader, standing
from proxy.ledger.journal import process_start
from proxy.ledger.standing import CanaryState
from proxy.model import Observation, ReadRequest
from proxy.provenance import canary
from proxy.provenance.canary import Means, Trial
from proxy.provenance.fields import FieldError, Fields, Place
from proxy.provenance.repair import RepairError, repair_all
from proxy.settings import Settings
from tests.ledger.support import opened
from tests.provenance.support import START, Clock, Shadow, answered, get

PLACE = Place("people", "id", "bio")
REQUEST = get("/api/users/1")
SCHEMA = """
CREATE DOMAIN short AS varchar(5);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE people (
  id int PRIMARY KEY, bio text, nick varchar(12), code char(4), tiny varchar(1), n smallint, big bigint,
  price numeric(4, 2), exact numeric, ratio float8, ok bool, born date, seen timestamp, at timestamptz DEFAULT now(),
  mood mood, tag uuid,
  email text UNIQUE, boss int REFERENCES people, twice int GENERATED ALWAYS AS (n * 2) STORED
);
INSERT INTO people VALUES (1, 'likes tea', 'ann', 'ab', 'x', 32767, -9223372036854775808, 99.99, 0.000, 1e300, true,
  '2024-02-29', '2024-02-29 12:00:00.123456', '2024-02-29 12:00:00+02', 'good', gen_random_uuid(), 'a@b.c', NULL);
INSERT INTO people (id) VALUES (2);
"""


@pytest.fixture
async def people(pg_database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(pg_database)
    await connection.execute(SCHEMA)
    yield connection
    await connection.close()


@asynccontextmanager
async def means(dsn: str, ledger: LedgerReader, answer: Callable[[ReadRequest], Any]) -> AsyncIterator[Means]:
    clock = Clock()
    async with Fields.open(dsn) as fields:
        yield Means(fields, ledger, Shadow(answer), clock.now, lambda: "0123456789abcdef", clock.sleep)


def trial(column: str = "bio", **rules: Any) -> Trial:
    return Trial("users", replace(PLACE, column=column), "1", REQUEST, compile_rules([rules]))


def reads_postgres(people: asyncpg.Connection[asyncpg.Record]) -> Callable[[ReadRequest], Any]:
    async def answer(_request: ReadRequest) -> Observation:
        bio = await people.fetchval("SELECT bio FROM people WHERE id = 1")
        return answered(body=json.dumps({"data": {"bio": bio, "asked": len(str(bio)) * 0}}).encode())

    return answer


async def reads_mongo(_request: ReadRequest) -> Observation:
    return answered(body=b'{"data": {"bio": "likes tea"}}')


async def test_a_mark_that_shows_proves_and_is_taken_back(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, reads_postgres(people)) as with_:
        found = await canary.run(trial(), with_)
        [logged] = await ledger.ask(lambda c: standing.canaries(c))
    assert (found.proof, found.paths) == ("proven", ("$.data.bio",))
    assert found.restored == "people.bio has its value again"
    assert await people.fetchval("SELECT bio FROM people WHERE id = 1") == "likes tea"
    assert (logged.state, logged.before) == ("restored", "likes tea")
    assert logged.marked == "likes tea canary 89abcdef"


async def test_a_shadow_that_reads_elsewhere_shows_no_mark(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, reads_mongo) as with_:
        found = await canary.run(trial(), with_)
    assert found.proof == "failed"
    assert "did not show in the shadow's answer to GET /api/users/1" in found.text
    assert await people.fetchval("SELECT bio FROM people WHERE id = 1") == "likes tea"


async def test_a_mark_that_the_rules_hide_is_told_as_that(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, reads_postgres(people)) as with_:
        found = await canary.run(trial(ignore=["$..bio"]), with_)
    assert (found.proof, found.text.endswith("but the rules hide it there")) == ("failed", True)


async def test_what_changes_by_itself_is_no_mark(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    count = iter(range(100))

    async def answer(_request: ReadRequest) -> Observation:
        return answered(body=json.dumps({"n": next(count)}).encode())

    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, answer) as with_:
        assert (await canary.run(trial(), with_)).proof == "failed"
    assert await people.fetchval("SELECT bio FROM people WHERE id = 1") == "likes tea"


async def test_what_somebody_writes_meanwhile_stays(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    reads = 0

    async def answer(_request: ReadRequest) -> Observation:
        nonlocal reads
        reads += 1
        if reads == 3:
            await people.execute("UPDATE people SET bio = 'likes coffee', nick = 'bob' WHERE id = 1")
        return answered(body=b"{}")

    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, answer) as with_:
        found = await canary.run(trial(), with_)
    assert await people.fetchval("SELECT bio FROM people WHERE id = 1") == "likes coffee"
    assert "did not bear the mark (any more) and was left as it is" in found.restored
    assert "other columns of the row were changed meanwhile" in found.restored
    assert found.restored.endswith(": nick")


async def test_a_broken_read_leaves_no_mark(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    marks: list[str] = []

    async def answer(_request: ReadRequest) -> Observation:
        marks.append(await people.fetchval("SELECT bio FROM people WHERE id = 1"))
        if len(marks) == 3:
            raise RuntimeError("the reader broke")
        return answered()

    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, answer) as with_:
        with pytest.raises(RuntimeError):
            await canary.run(trial(), with_)
        assert await ledger.ask(lambda c: standing.canaries(c, unfinished=True)) == ()
    assert "canary" in marks[2]
    assert await people.fetchval("SELECT bio FROM people WHERE id = 1") == "likes tea"


async def test_a_field_that_bears_another_canary_is_not_marked(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    refused: list[str] = []

    async def answer(_request: ReadRequest) -> Observation:
        if "canary" in await people.fetchval("SELECT bio FROM people WHERE id = 1") and not refused:
            async with means(pg_database, ledger, reads_mongo) as others:
                with pytest.raises(FieldError) as error:
                    await canary.run(trial(), replace(others, fresh=lambda: "fedcba9876543210"))
            refused.append(str(error.value))
        return answered()

    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, answer) as with_:
        await canary.run(trial(), with_)
        assert "another canary is in people.bio of the same row" in refused[0]
        assert len(await ledger.ask(lambda c: standing.canaries(c))) == 1
    assert await people.fetchval("SELECT bio FROM people WHERE id = 1") == "likes tea"


async def test_a_mark_is_taken_back_once_a_lock_is_gone_and_over_another_connection(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    other = await asyncpg.connect(pg_database)
    lock = other.transaction()
    slept: list[float] = []

    async def answer(_request: ReadRequest) -> Observation:
        if not slept and "canary" in await people.fetchval("SELECT bio FROM people WHERE id = 1"):
            await lock.start()
            await other.execute("SELECT FROM people WHERE id = 1 FOR UPDATE")
            slept.append(0.0)
        return answered()

    async def sleep(seconds: float) -> None:
        if slept:
            slept.append(seconds)
        if slept[-2:] == [0.5, 1.0]:
            await lock.rollback()
            await people.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shadowread canary'"
            )

    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, answer) as with_:
        found = await canary.run(trial(), replace(with_, sleep=sleep))
    await other.close()
    assert found.restored == "people.bio has its value again"
    assert await people.fetchval("SELECT bio FROM people WHERE id = 1") == "likes tea"


async def test_a_mark_that_stays_is_told_with_the_remedy(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, tmp_path: Path
) -> None:
    async def answer(_request: ReadRequest) -> Observation:
        if "canary" in await people.fetchval("SELECT bio FROM people WHERE id = 1"):
            await people.execute("ALTER TABLE people RENAME TO folk")
            await people.execute("CREATE VIEW people AS SELECT id, bio || '' AS bio FROM folk")
        return answered()

    async with opened(tmp_path / "a.db") as ledger, means(pg_database, ledger, answer) as with_:
        with pytest.raises(
            FieldError, match=r"people.bio may still bear the mark: .* `shadowread prove users --restore`"
        ):
            await canary.run(trial(), with_)
        assert len(await ledger.ask(lambda c: standing.canaries(c, unfinished=True))) == 1


@pytest.mark.parametrize(
    "column", ["bio", "nick", "code", "tiny", "n", "big", "price", "exact", "ratio", "ok", "born", "seen", "at"]
)
@pytest.mark.parametrize("row", ["1", "2"])
async def test_values_of_each_type_are_marked_and_come_back_exactly(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, column: str, row: str
) -> None:
    place = replace(PLACE, column=column)
    asked = f"SELECT {column}::text FROM people WHERE id = {row}"  # noqa: S608 - names of this file
    first = await people.fetchval(asked)
    async with Fields.open(pg_database) as fields:
        await fields.check(place)
        before, marked = await fields.value(place, row, "89abcdef")
        assert await fields.exchange(place, row, before, marked)
        assert await people.fetchval(asked) not in (None, first)
        assert not await fields.exchange(place, row, before, "1")
        assert await fields.exchange(place, row, marked, before)
    assert await people.fetchval(asked) == first


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ("id", "is a key or an id"),
        ("email", "is a key or an id"),
        ("boss", "is a key or an id"),
        ("tag", "is a key or an id"),
        ("mood", "name a column of text, a number, a boolean, a date or a timestamp"),
        ("twice", "is made by Postgres"),
        ("gone", "no such table or column"),
    ],
)
async def test_columns_that_are_no_harmless_ones_are_refused(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str, column: str, why: str
) -> None:
    del people
    async with Fields.open(pg_database) as fields:
        with pytest.raises(FieldError, match=why):
            await fields.check(replace(PLACE, column=column))


async def test_a_field_that_is_no_single_one_is_not_touched(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str
) -> None:
    await people.execute("UPDATE people SET boss = 1, bio = 'likes tea'")
    async with Fields.open(pg_database) as fields:
        place = Place("people", "boss", "bio")
        with pytest.raises(FieldError, match="2 rows of people have this boss; nothing was changed"):
            await fields.exchange(place, "1", "likes tea", "x")
        with pytest.raises(FieldError, match="2 rows of people"):
            await fields.value(place, "1", "89abcdef")
        with pytest.raises(FieldError, match="0 rows of people"):
            await fields.value(PLACE, "77", "89abcdef")
    assert await people.fetchval("SELECT string_agg(DISTINCT bio, ',') FROM people") == "likes tea"


async def test_an_account_that_may_not_write_is_told_the_grant(
    people: asyncpg.Connection[asyncpg.Record], pg_database: str
) -> None:
    await people.execute("CREATE ROLE looker LOGIN PASSWORD 'x'; GRANT SELECT ON people TO looker")
    try:
        dsn = f"postgresql://looker:x@{pg_database.partition('@')[2]}"
        async with Fields.open(dsn) as fields:
            with pytest.raises(FieldError, match=r"GRANT SELECT, UPDATE \(bio\) ON people TO looker"):
                await fields.check(PLACE)
    finally:
        await people.execute("DROP OWNED BY looker; DROP ROLE looker")


def settings(dsn: str) -> Settings:
    return Settings.model_validate(
        {"primary": {"url": "http://127.0.0.1:1"}, "provenance": {"canary_dsn": dsn}, "domains": {"users": {}}}
    )


def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def left(state: CanaryState, **more: Any) -> Canary:
    values = {"host": os.uname().nodename, "pid": dead(), "pid_start": 1, **more}
    return Canary(
        "c1", "users", "people", "id", "1", "bio", "likes tea", "MARK", state, "", START, START, **values
    )  # fmt: skip


def at() -> datetime:
    return START + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("state", "stands", "after"),
    [
        ("marked", "MARK", "likes tea"),
        ("planned", "MARK", "likes tea"),
        ("planned", "likes tea", "likes tea"),
        ("marked", "likes milk", "likes milk"),
    ],
)
async def test_what_a_dead_process_left_is_put_back(
    people: asyncpg.Connection[asyncpg.Record],
    pg_database: str,
    tmp_path: Path,
    state: CanaryState,
    stands: str,
    after: str,
) -> None:
    await people.execute("UPDATE people SET bio = $1 WHERE id = 1", stands)
    async with opened(tmp_path / "a.db") as ledger:
        await ledger.write(lambda c: standing.plan_canary(c, left(state)))
        [repaired] = await repair_all(settings(pg_database), ledger, at)
        assert repaired.ok
        assert await ledger.ask(lambda c: standing.canaries(c, unfinished=True)) == ()
        assert await repair_all(settings(pg_database), ledger, at) == []
    assert await people.fetchval("SELECT bio FROM people WHERE id = 1") == after


async def test_a_canary_of_a_living_process_is_left_alone(pg_database: str, tmp_path: Path) -> None:
    own = left("marked", pid=os.getpid(), pid_start=process_start(os.getpid()))
    elsewhere = replace(left("marked", host="another.machine"), id="c2")
    async with opened(tmp_path / "a.db") as ledger:
        for one in (own, elsewhere):
            await ledger.write(lambda c, one=one: standing.plan_canary(c, one))  # type: ignore[misc]
        assert await repair_all(settings(pg_database), ledger, at) == []
        assert len(await ledger.ask(lambda c: standing.canaries(c, unfinished=True))) == 2


async def test_a_mark_that_nobody_can_take_back_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        await ledger.write(lambda c: standing.plan_canary(c, left("marked")))
        with pytest.raises(RepairError, match=r"people.bio: set provenance.canary_dsn and run `shadowread prove users"):
            await repair_all(settings(""), ledger, at)
        with pytest.raises(RepairError, match=r"may still be in people.bio: provenance.canary_dsn: Postgres cannot"):
            await repair_all(settings("postgresql://127.0.0.1:1/x"), ledger, at)
        assert len(await ledger.ask(lambda c: standing.canaries(c, unfinished=True))) == 1
