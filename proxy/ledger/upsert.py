"""Adding rows to those that are there, many in a statement."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.dialect import Insert, greater, insert_in, lesser

CHUNK = 500
"""Rows or names a statement; SQLite takes at most 32,766 parameters."""


async def add(
    connection: AsyncConnection, table: Table, keys: tuple[str, ...], figure: str, rows: list[dict[str, Any]]
) -> None:
    """Add each row's `figure` to the one with the same keys, or make the row."""
    await many(connection, _adding(connection.dialect.name, table, keys, figure), rows)


async def add_new(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Make the rows of which there is none with the same key."""
    await many(connection, _adding_new(connection.dialect.name, table), rows)


@cache
def _adding(dialect: str, table: Table, keys: tuple[str, ...], figure: str) -> Insert:
    statement = insert_in(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=[table.c[key] for key in keys],
        set_={figure: table.c[figure] + statement.excluded[figure]},
    )


@cache
def _adding_new(dialect: str, table: Table) -> Insert:
    return insert_in(dialect, table).on_conflict_do_nothing()


def joining_verdicts(statement: Insert) -> Insert:
    """`statement` inserts verdicts; what is there under the same key is added up with them."""
    table, new = schema.verdicts, statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={
            "n": table.c.n + new.n,
            "known_gaps": table.c.known_gaps + new.known_gaps,
            "first_minute": lesser(table.c.first_minute, new.first_minute),
            "last_minute": greater(table.c.last_minute, new.last_minute),
            "last_at": greater(table.c.last_at, new.last_at),
        },
    )


async def many(connection: AsyncConnection, statement: Any, rows: list[dict[str, Any]]) -> None:
    for part in parts(rows):
        await connection.execute(statement, part)


def parts(rows: list[Any]) -> Iterable[list[Any]]:
    for at in range(0, len(rows), CHUNK):
        yield rows[at : at + CHUNK]
