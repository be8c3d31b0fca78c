"""What is said of an id map that joins ids more than once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import orjson
import pytest

from comparators.ids import IdPair, IdTable
from proxy.identity import Conflict, FileSource, Identity, Limits, Row, ambiguous
from proxy.identity.conflicts import ROWS_SHOWN, conflicts
from tests.identity.conftest import ID_MAP, USERS, legacy, until, uuid

Writer: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def pair(n: int, m: int, entity: str = "user") -> IdPair:
    return IdPair(entity, legacy(n), uuid(m))


@pytest.fixture
async def identity(pg_database: str, writer: Writer) -> AsyncIterator[Identity]:
    assert not writer.is_closed()
    made = Identity(pg_database, [ID_MAP, USERS])
    await made.start()
    yield made
    await made.close()


def test_both_rows_are_named() -> None:
    rows = [Row("table users", pair(1, 9)), Row("table id_map", pair(2, 9)), Row("table users", pair(3, 3))]
    assert conflicts(rows) == [Conflict("user", uuid(9), (legacy(1), legacy(2)), tuple(rows[:2]), 2)]
    assert conflicts(rows)[0].text == (
        f"uuid {uuid(9)} serves 2 legacy ids of user "
        f"(table users: {legacy(1)} = {uuid(9)}; table id_map: {legacy(2)} = {uuid(9)})"
    )


def test_the_same_pair_in_two_tables_is_no_conflict() -> None:
    assert conflicts([Row("table users", pair(1, 9)), Row("table id_map", pair(1, 9))]) == []


def test_of_many_rows_the_first_are_named() -> None:
    rows = [Row(source, pair(n, 0)) for n in range(1000) for source in ("table a", "table b")]
    (found,) = conflicts(rows)
    assert (found.total, len(found.joined), len(found.rows)) == (1000, ROWS_SHOWN, ROWS_SHOWN)
    assert {row.pair.legacy for row in found.rows} == set(found.joined)
    assert "990 more" in found.text


@pytest.mark.parametrize(
    ("pairs", "tokens"),
    [
        ([pair(1, 1), pair(1, 2, "listing")], {legacy(1)}),
        ([pair(1, 1), pair(2, 1, "listing")], {uuid(1)}),
        ([pair(1, 1), pair(1, 1, "listing")], set()),
        ([pair(1, 1), pair(1, 2)], set()),
        ([pair(1, 1), pair(1, 2), pair(1, 2, "listing")], {legacy(1)}),
        ([pair(1, 1), pair(2, 2, "listing")], set()),
    ],
)
def test_ambiguity_is_between_entities(pairs: list[IdPair], tokens: set[str]) -> None:
    assert {found.token for found in ambiguous(IdTable.of(pairs))} == tokens


def test_an_ambiguity_says_what_the_id_may_be() -> None:
    (found,) = ambiguous(IdTable.of([pair(1, 1), pair(1, 2, "listing")]))
    assert found.text.startswith(f"{legacy(1)} may be {uuid(2)} as listing, {uuid(1)} as user; name the entity")


async def test_rows_of_two_tables_contradict_each_other(identity: Identity, writer: Writer) -> None:
    await writer.execute("INSERT INTO id_map VALUES ('user', legacy(300), new(101))")
    await identity.lookup([uuid(101), legacy(1)])
    (found,) = identity.conflicts
    assert found.rows == (Row("table users", pair(101, 101)), Row("table id_map", pair(300, 101)))
    assert identity.conflicts_of([uuid(101), legacy(1)]) == (found,)
    assert identity.conflicts_of([legacy(1)]) == ()


async def test_a_file_and_a_table_contradict_each_other(pg_database: str, writer: Writer, tmp_path: Path) -> None:
    assert not writer.is_closed()
    file = tmp_path / "ids.json"
    entries = [(legacy(101), uuid(500)), (legacy(7), uuid(7)), (legacy(8), uuid(7))]
    file.write_bytes(orjson.dumps([{"entity": "user", "legacy": a, "uuid": b} for a, b in entries]))
    identity = Identity(pg_database, [FileSource(file), USERS])
    await identity.start()
    assert [(found.token, found.total) for found in identity.conflicts] == [(uuid(7), 2)]
    table = await identity.lookup([legacy(101)])
    assert {one.uuid for one in table.by_legacy[legacy(101)]} == {uuid(500), uuid(101)}
    (found,) = identity.conflicts_of([legacy(101)])
    assert {row.source for row in found.rows} == {f"file {file}", "table users"}
    identity.forget([legacy(101)])
    assert legacy(101) in (await identity.lookup([legacy(101)])).by_legacy
    assert identity.figures.size == 5 + 1
    await identity.close()


async def test_a_conflict_that_was_mended_is_told_no_more(identity: Identity, writer: Writer) -> None:
    await writer.execute("INSERT INTO id_map VALUES ('listing', legacy(7), new(8))")
    await identity.lookup([legacy(7), uuid(8)])
    assert identity.figures.conflicts == 2
    await writer.execute("DELETE FROM id_map WHERE legacy_id = legacy(7) AND new_id = new(8)")
    identity.forget([legacy(7), uuid(8)])
    await identity.lookup([legacy(7), uuid(8)])
    assert (identity.conflicts, identity.figures.conflicts) == ((), 0)


async def test_an_id_of_two_entities_is_known_to_be_ambiguous(identity: Identity, writer: Writer) -> None:
    await writer.execute("INSERT INTO users VALUES (new(900), legacy(9))")
    await identity.lookup([legacy(9), legacy(10)])
    (found,) = identity.ambiguous([legacy(9), legacy(10), legacy(11)])
    assert (found.token, {one.entity for one in found.pairs}) == (legacy(9), {"listing", "user"})
    assert identity.ambiguities == (found,)
    assert (identity.figures.ambiguous, identity.figures.conflicts) == (1, 0)


async def test_forgetting_asks_anew_for_both_ids_of_a_pair(identity: Identity, writer: Writer) -> None:
    await identity.lookup([legacy(5), uuid(5), legacy(6)])
    await writer.execute("UPDATE id_map SET new_id = new(77) WHERE legacy_id = legacy(5)")
    identity.forget([legacy(5), legacy(40), "no id"])
    assert identity.figures.size == 1
    table = await identity.lookup([legacy(5), uuid(5), legacy(6)])
    assert table.by_legacy[legacy(5)] == (pair(5, 77, "listing"),)
    assert uuid(5) not in table.by_uuid


async def test_what_is_being_read_while_it_is_forgotten_is_not_remembered(pg_database: str, writer: Writer) -> None:
    identity = Identity(pg_database, [ID_MAP], limits=Limits(timeout=30.0))
    await identity.start()
    async with writer.transaction():
        await writer.execute("LOCK TABLE id_map IN ACCESS EXCLUSIVE MODE")
        before = asyncio.ensure_future(identity.lookup([legacy(5)]))
        await until(lambda: identity.figures.queries == 1)
        identity.forget([legacy(5)])
    assert legacy(5) in (await before).by_legacy, "whoever asked before gets the answer"
    assert identity.figures.size == 0
    await identity.close()


async def test_a_batch_that_does_not_fit_the_memory_is_answered_in_full(pg_database: str, writer: Writer) -> None:
    await writer.execute("INSERT INTO id_map SELECT 'listing', legacy(n), new(n) FROM generate_series(1000, 3000) n")
    identity = Identity(pg_database, [ID_MAP], limits=Limits(pairs=10))
    await identity.start()
    asked = [legacy(n) for n in range(1000, 2000)]
    tables = await asyncio.gather(identity.lookup(asked), identity.lookup(asked[:500]))
    assert [len(table.by_legacy) for table in tables] == [1000, 500]
    assert identity.figures.size <= 20
    assert identity.figures.queries == 1
    await identity.close()
