"""What the id map answers, out of a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import orjson
import pytest

from comparators.ids import IdPair
from proxy.identity import FileSource, Identity, IdentityError, Limits, Source, TableSource
from proxy.identity.service import AT_ONCE
from tests.identity.conftest import ID_MAP, USERS, legacy, until, uuid

Writer: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def identity(pg_database: str, writer: Writer, clock: Clock) -> AsyncIterator[Identity]:
    assert not writer.is_closed()
    made = Identity(pg_database, [ID_MAP, USERS], clock=clock)
    await made.start()
    yield made
    await made.close()


async def test_pairs_of_every_source_in_both_directions(identity: Identity) -> None:
    table = await identity.lookup([legacy(1), uuid(2), legacy(101), uuid(102)])
    assert table.by_legacy[legacy(1)] == (IdPair("listing", legacy(1), uuid(1)),)
    assert table.by_uuid[uuid(2)] == (IdPair("listing", legacy(2), uuid(2)),)
    assert table.by_legacy[legacy(101)] == (IdPair("user", legacy(101), uuid(101)),)
    assert table.by_uuid[uuid(102)] == (IdPair("user", legacy(102), uuid(102)),)
    assert table.by_uuid[uuid(1)] == table.by_legacy[legacy(1)]


async def test_one_query_a_source_and_none_for_what_is_known(identity: Identity) -> None:
    asked = [legacy(1), uuid(1), legacy(2), legacy(101)]
    await identity.lookup(asked)
    assert identity.figures.queries == 2
    table = await identity.lookup(asked)
    assert identity.figures.queries == 2
    assert set(table.by_legacy) == {legacy(1), legacy(2), legacy(101)}
    assert (identity.figures.hits, identity.figures.misses) == (8, 0)


async def test_a_row_without_a_legacy_id_is_joined_to_nothing(identity: Identity) -> None:
    assert (await identity.lookup([uuid(999)])).by_uuid == {}
    assert identity.figures.misses == 1


async def test_a_row_written_a_moment_ago_is_found_when_asked_afresh(identity: Identity, writer: Writer) -> None:
    assert not (await identity.lookup([legacy(60)])).by_legacy
    await writer.execute("INSERT INTO id_map VALUES ('listing', legacy(60), new(60))")
    assert not (await identity.lookup([legacy(60)])).by_legacy
    assert identity.figures.queries == 2, "a miss is remembered for a moment"
    table = await identity.lookup([legacy(60)], fresh=True)
    assert table.by_legacy[legacy(60)] == (IdPair("listing", legacy(60), uuid(60)),)


async def test_a_miss_is_forgotten_by_itself(identity: Identity, writer: Writer, clock: Clock) -> None:
    assert not (await identity.lookup([legacy(61)])).by_legacy
    await writer.execute("INSERT INTO id_map VALUES ('listing', legacy(61), new(61))")
    clock.now += Limits().miss_age + 0.01
    assert legacy(61) in (await identity.lookup([legacy(61)])).by_legacy


async def test_the_version_changes_when_an_answer_that_is_on_its_way_may_be_outdated(identity: Identity) -> None:
    versions = [identity.version]
    first = asyncio.create_task(identity.lookup([legacy(1)]))
    await asyncio.sleep(0)
    await identity.lookup([legacy(1)], fresh=True)
    versions.append(identity.version)
    await first
    second = asyncio.create_task(identity.lookup([legacy(2)]))
    await asyncio.sleep(0)
    identity.forget([legacy(2)])
    versions.append(identity.version)
    await second
    assert len(set(versions)) == 3


async def test_fresh_asks_only_for_what_missed(identity: Identity) -> None:
    await identity.lookup([legacy(1)])
    queries = identity.figures.queries
    await identity.lookup([legacy(1)], fresh=True)
    assert identity.figures.queries == queries


async def test_a_corrected_pair_is_seen_in_the_end(identity: Identity, writer: Writer, clock: Clock) -> None:
    await identity.lookup([legacy(5)])
    await writer.execute("UPDATE id_map SET new_id = new(77) WHERE legacy_id = legacy(5)")
    clock.now += Limits().hit_age + 1
    table = await identity.lookup([legacy(5)])
    assert [pair.uuid for pair in table.by_legacy[legacy(5)]] == [uuid(77)]


async def test_concurrent_lookups_of_the_same_ids_share_one_query(identity: Identity) -> None:
    asked = [legacy(n) for n in range(1, 20)]
    tables = await asyncio.gather(*(identity.lookup(asked) for _ in range(20)))
    assert identity.figures.queries == 2
    assert all(table == tables[0] and len(table.by_legacy) == 19 for table in tables)


async def test_a_caller_who_goes_away_does_not_take_the_answer_along(identity: Identity, writer: Writer) -> None:
    async with writer.transaction():
        await writer.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        first = asyncio.ensure_future(identity.lookup([legacy(101)]))
        await until(lambda: identity.figures.queries >= 1)
        second = asyncio.ensure_future(identity.lookup([legacy(101)]))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
    assert legacy(101) in (await second).by_legacy
    assert identity.figures.queries == 2


async def test_an_id_joined_twice_is_a_conflict(identity: Identity, writer: Writer) -> None:
    await writer.execute("INSERT INTO id_map VALUES ('listing', legacy(7), new(8))")
    table = await identity.lookup([legacy(7), uuid(8)])
    assert {pair.uuid for pair in table.by_legacy[legacy(7)]} == {uuid(7), uuid(8)}
    assert identity.figures.conflicts == 2
    assert {(c.entity, c.token, c.joined) for c in identity.conflicts} == {
        ("listing", legacy(7), (uuid(7), uuid(8))),
        ("listing", uuid(8), (legacy(7), legacy(8))),
    }


async def test_the_same_id_in_two_entities_is_no_conflict(identity: Identity, writer: Writer) -> None:
    await writer.execute("INSERT INTO users VALUES (new(900), legacy(9))")
    table = await identity.lookup([legacy(9)])
    assert {pair.entity for pair in table.by_legacy[legacy(9)]} == {"listing", "user"}
    assert identity.figures.conflicts == 0


async def test_what_is_no_id_is_joined_to_nothing_and_asks_nothing(identity: Identity) -> None:
    odd = [
        "",
        "x" * 24,
        legacy(1).upper()[:-1] + "G",
        "00000000-0000-4000-8000-00000000001",
        "'; DROP TABLE users; --",
    ]
    assert (await identity.lookup(odd)).by_legacy == {}
    assert identity.figures.queries == 0


async def test_too_many_ids_at_once_are_refused(pg_database: str) -> None:
    identity = Identity(pg_database, [ID_MAP], limits=Limits(tokens=3))
    with pytest.raises(IdentityError, match="at most 3"):
        await identity.lookup([legacy(n) for n in range(4)])


async def test_the_memory_is_bounded_and_what_was_forgotten_is_asked_again(pg_database: str, writer: Writer) -> None:
    await writer.execute("INSERT INTO id_map SELECT 'listing', legacy(n), new(n) FROM generate_series(1000, 3000) n")
    identity = Identity(pg_database, [ID_MAP], limits=Limits(pairs=100))
    await identity.start()
    for start in range(1000, 3000, 250):
        table = await identity.lookup([legacy(n) for n in range(start, start + 150)])
        assert len(table.by_legacy) == 150
    assert identity.figures.size <= 200
    assert legacy(1000) in (await identity.lookup([legacy(1000)])).by_legacy
    await identity.close()


@pytest.mark.parametrize("column", ["text", "varchar(36)", "uuid", "char(36)"])
async def test_the_uuid_column_may_be_of_any_text_type(pg_database: str, writer: Writer, column: str) -> None:
    await writer.execute(f'CREATE SCHEMA "odd ""one"; CREATE TABLE "odd ""one"."Map" ("Old id" varchar, new {column})')
    await writer.execute('INSERT INTO "odd ""one"."Map" SELECT upper(legacy(10)), upper(new(10)::text)::' + column)
    await writer.execute('INSERT INTO "odd ""one"."Map" SELECT legacy(11), new(11)::text::' + column)
    await writer.execute("""INSERT INTO "odd ""one"."Map" VALUES ('no id', NULL)""")
    identity = Identity(pg_database, [TableSource('odd "one.Map', "Old id", "new", entity_name="thing")])
    await identity.start()
    table = await identity.lookup([legacy(11), uuid(11)])
    assert table.by_legacy[legacy(11)] == (IdPair("thing", legacy(11), uuid(11)),)
    assert table.by_uuid[uuid(11)] == (IdPair("thing", legacy(11), uuid(11)),)
    await identity.close()


async def test_the_index_of_the_id_column_serves(pg_database: str, writer: Writer) -> None:
    """Casting the column instead of the ids asked for would read the whole table for each batch."""
    await writer.execute("INSERT INTO id_map SELECT 'listing', legacy(n), new(n) FROM generate_series(1000, 30000) n")
    await writer.execute("CREATE INDEX ON id_map (legacy_id); CREATE INDEX ON id_map (new_id); ANALYZE id_map")
    await writer.execute("SELECT pg_stat_force_next_flush()")
    before = await writer.fetchval("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'id_map'")
    identity = Identity(pg_database, [ID_MAP])
    await identity.start()
    await identity.lookup([legacy(1500), uuid(1501)])
    await identity.close()
    await writer.execute("SELECT pg_stat_force_next_flush()")
    after = await writer.fetchval("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'id_map'")
    assert after == before


async def test_pairs_of_a_file_need_no_database(tmp_path: Path) -> None:
    file = tmp_path / "ids.json"
    file.write_bytes(orjson.dumps([{"entity": "user", "legacy": legacy(1).upper(), "uuid": uuid(1).upper()}]))
    identity = Identity(None, [FileSource(file)])
    await identity.start()
    table = await identity.lookup([uuid(1), uuid(2)])
    assert table.by_uuid == {uuid(1): (IdPair("user", legacy(1), uuid(1)),)}
    assert [(probe.rows, probe.problem) for probe in await identity.probe()] == [(1, None)]
    await identity.close()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[1", "not JSON"),
        ("{}", "expected a list"),
        ("[7]", r"\[0\]: expected an object"),
        ('[{"entity": "user", "legacy": "00"}]', r"\[0\]: lacks uuid"),
        (f'[{{"entity": "u", "legacy": "zz", "uuid": "{uuid(1)}"}}]', r"\[0\].legacy: expected 24 hex"),
        (f'[{{"entity": "u", "legacy": "{legacy(1)}", "uuid": "7"}}]', r"\[0\].uuid: expected a uuid"),
        (f'[{{"entity": "", "legacy": "{legacy(1)}", "uuid": "{uuid(1)}"}}]', r"\[0\].entity"),
        (f'[{{"entity": "u", "legacy": "{legacy(1)}", "uuid": "{uuid(1)}", "x": 1}}]', r"\[0\]: unknown x"),
    ],
)
async def test_an_unusable_file_names_its_first_fault(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "ids.json"
    file.write_text(content)
    with pytest.raises(IdentityError, match=problem):
        await Identity(None, [FileSource(file)]).start()


def test_a_table_needs_a_database() -> None:
    sources: list[Source] = [ID_MAP]
    with pytest.raises(IdentityError, match=r"postgres\.dsn is not set"):
        Identity(None, sources)


async def test_many_ids_are_looked_up_in_steps_between_which_others_get_their_turn(tmp_path: Path) -> None:
    path = tmp_path / "ids.json"
    path.write_bytes(orjson.dumps([{"entity": "user", "legacy": legacy(n), "uuid": uuid(n)} for n in range(4_000)]))
    identity = Identity(None, [FileSource(path)])
    await identity.start()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    table = await identity.lookup([legacy(n) for n in range(4_000)])
    task.cancel()
    assert len(table.plain) == 4_000
    assert turns >= 4_000 // AT_ONCE - 1
