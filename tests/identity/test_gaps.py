"""The tables of gaps in a real Postgres: asked in batches, believed for a second, never waited for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import pytest

from proxy.identity import IdentityError
from proxy.identity.gaps import AGE, GapTables
from proxy.settings.sweeps import GapSource
from tests.identity.conftest import legacy, uuid

Writer: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
TABLES = """
CREATE TABLE gaps (legacy_id text, entity text, resolved_at timestamptz);
CREATE TABLE others (new_id uuid);
INSERT INTO gaps VALUES (legacy(1), 'payment', NULL), (upper(legacy(43981)), 'user', NULL), (legacy(2), NULL, NULL),
  (legacy(2), 'user', NULL), (legacy(3), 'user', now()), (legacy(4), 'user', NULL), (legacy(4), 'seller', NULL);
INSERT INTO others VALUES (new(7));
"""
SOURCES = (
    GapSource(table="gaps", id="legacy_id", entity="entity", resolved="resolved_at"),
    GapSource(table="others", id="new_id"),
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def tables(dsn: str, clock: Clock | None = None, *sources: GapSource) -> AsyncIterator[GapTables]:
    made = GapTables(dsn, sources or SOURCES, timeout=1.0, clock=clock or Clock())
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def test_open_gaps_are_found_by_either_form_of_their_id(writer: Writer, pg_database: str) -> None:
    await writer.execute(TABLES)
    asked = [*(legacy(n) for n in (1, 2, 3, 4, 5, 43981)), uuid(7), uuid(8)]
    async with tables(pg_database) as gaps:
        assert await gaps.open_for(asked) == {
            legacy(1): {"payment"},
            legacy(2): frozenset(),
            legacy(4): {"user", "seller"},
            legacy(43981): {"user"},
            uuid(7): frozenset(),
        }


async def test_questions_at_one_time_are_one_and_its_answer_is_believed_for_a_while(
    writer: Writer, pg_database: str
) -> None:
    await writer.execute(TABLES)
    clock = Clock()
    async with tables(pg_database, clock) as gaps:
        found = await asyncio.gather(*(gaps.open_for([legacy(n)]) for n in (1, 2, 3)))
        assert [set(one) for one in found] == [{legacy(1)}, {legacy(2)}, set()]
        assert gaps.queries == len(SOURCES)
        await writer.execute("DELETE FROM gaps")
        assert await gaps.open_for([legacy(1), legacy(3)]) == {legacy(1): {"payment"}}
        assert gaps.queries == len(SOURCES)
        clock.now += AGE + 0.1
        assert await gaps.open_for([legacy(1)]) == {}


async def test_a_table_that_is_not_there_or_locked_is_said(writer: Writer, pg_database: str) -> None:
    async with tables(pg_database) as gaps:
        with pytest.raises(IdentityError, match="gaps"):
            await gaps.open_for([legacy(1)])
        await writer.execute(TABLES)
        async with writer.transaction():
            await writer.execute("LOCK TABLE gaps")
            with pytest.raises(IdentityError, match="in time"):
                await gaps.open_for([legacy(1)])
        assert legacy(1) in await gaps.open_for([legacy(1)])


async def test_closing_leaves_nobody_waiting(writer: Writer, pg_database: str) -> None:
    await writer.execute(TABLES)
    async with tables(pg_database) as gaps:
        waiting = asyncio.gather(gaps.open_for([legacy(1)]), return_exceptions=True)
        await asyncio.sleep(0)
        await gaps.close()
        (failed,) = await asyncio.wait_for(waiting, 5)
        assert isinstance(failed, IdentityError)


async def test_closing_leaves_nobody_waiting_for_an_answer_either(writer: Writer, pg_database: str) -> None:
    await writer.execute(TABLES)
    async with tables(pg_database) as gaps, writer.transaction():
        await writer.execute("LOCK TABLE gaps")
        waiting = asyncio.gather(gaps.open_for([legacy(1)]), return_exceptions=True)
        async with asyncio.timeout(5):
            while not gaps.queries:  # noqa: ASYNC110 - the question itself has nobody to tell
                await asyncio.sleep(0.01)
        await gaps.close()
        (failed,) = await asyncio.wait_for(waiting, 5)
        assert isinstance(failed, IdentityError)
