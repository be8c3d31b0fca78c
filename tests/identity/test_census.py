"""Going through an id map in a real Postgres: counts by kind, and every pair once, from any place on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from proxy.identity import FileSource, IdentityError, TableSource
from proxy.identity import census as census_module
from proxy.identity.census import BEGINNING, Census, Place
from proxy.window import KnownEntities
from tests.identity.conftest import ID_MAP, USERS, legacy, uuid

Writer: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def walked(census: Census, entity: str, behind: Place = BEGINNING) -> list[str]:
    return [pair.legacy async for pair, _ in census.walk(entity, behind) if pair is not None]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census_module, "PAGE", 7)


def of(dsn: str, *sources: TableSource | FileSource, seconds: float = 5.0) -> Census:
    return Census(dsn, sources, clock=lambda: NOW, seconds=seconds)


async def test_kinds_are_counted_and_one_that_stands_twice_counts_once(writer: Writer, pg_database: str) -> None:
    await writer.execute("INSERT INTO id_map SELECT 'user', legacy(n), new(n) FROM generate_series(101, 130) AS n")
    assert await of(pg_database, ID_MAP, USERS).known() == [
        KnownEntities("listing", 50, True, NOW),
        KnownEntities("user", 50, True, NOW),
    ]


async def test_every_pair_is_walked_once_in_order_over_pages_and_sources(
    writer: Writer, pg_database: str, tmp_path: Path
) -> None:
    await writer.execute("INSERT INTO id_map SELECT 'user', legacy(n), new(n) FROM generate_series(131, 170) AS n")
    file = tmp_path / "ids.json"
    more = [{"entity": "user", "legacy": legacy(n), "uuid": uuid(n)} for n in (101, 500, 501)]
    file.write_text(json.dumps([*more, {"entity": "listing", "legacy": legacy(9999), "uuid": uuid(9999)}]))
    census = of(pg_database, ID_MAP, USERS, FileSource(file))
    everyone = await walked(census, "user")
    assert everyone[:40] == [legacy(n) for n in range(131, 171)]
    assert everyone[40:70] == [legacy(n) for n in range(101, 131)], "131 to 150 stand in both tables"
    assert everyone[70:] == [legacy(500), legacy(501)], "101 stands in users and in the file"
    assert await walked(census, "listing") == [*(legacy(n) for n in range(1, 51)), legacy(9999)]
    assert await walked(census, "nothing") == []


async def test_a_walk_goes_on_behind_any_place(writer: Writer, pg_database: str) -> None:
    await writer.execute("INSERT INTO id_map SELECT 'user', legacy(n), new(n) FROM generate_series(131, 170) AS n")
    census = of(pg_database, ID_MAP, USERS)
    located = [(pair.legacy, place) async for pair, place in census.walk("user") if pair is not None]
    for number in (0, 6, 7, 39, 40, 55, len(located) - 1):
        _, place = located[number]
        assert await walked(census, "user", place) == [found for found, _ in located[number + 1 :]]


async def test_rows_without_usable_ids_are_told_as_that(writer: Writer, pg_database: str) -> None:
    await writer.execute("INSERT INTO users VALUES (new(900), 'not an object id'), (new(901), upper(legacy(43981)))")
    census = of(pg_database, USERS)
    found = await walked(census, "user")
    assert len(found) == 51
    assert legacy(43981) in found
    everything = [pair async for pair, _ in census.walk("user")]
    assert everything.count(None) == 1
    assert await census.known() == [KnownEntities("user", len(everything), True, NOW)], "they count as known"


async def test_a_table_that_takes_too_long_is_estimated(writer: Writer, pg_database: str) -> None:
    await writer.execute("INSERT INTO id_map SELECT 'user', legacy(n), new(n) FROM generate_series(1000, 150000) AS n")
    await writer.execute("ANALYZE id_map")
    listing, user = await of(pg_database, ID_MAP, seconds=0.001).known()
    assert not user.exact
    assert user.count == pytest.approx(149_001, rel=0.02)
    assert not listing.exact or listing.count == 50


async def test_what_cannot_be_asked_is_said(writer: Writer, pg_database: str) -> None:
    assert not writer.is_closed()
    with pytest.raises(IdentityError, match="no such table or column"):
        await of(pg_database, TableSource("nope", "a", "b", entity_name="x")).known()
    with pytest.raises(IdentityError, match="cannot be walked"):
        await walked(of("postgresql://127.0.0.1:1/x", USERS), "user")
