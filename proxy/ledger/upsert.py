"""Adding rows to those that are there, many in a statement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

CHUNK = 500
"""Rows or names a statement; SQLite takes at most 32,766 parameters."""


async def add(
    connection: AsyncConnection, table: Table, keys: tuple[str, ...], figure: str, rows: list[dict[str, Any]]
) -> None:
    """Add each row's `figure` to the one with the same keys, or make the row."""
    statement = insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=[table.c[key] for key in keys],
        set_={figure: table.c[figure] + statement.excluded[figure]},
    )
    await many(connection, statement, rows)


async def many(connection: AsyncConnection, statement: Any, rows: list[dict[str, Any]]) -> None:
    for part in parts(rows):
        await connection.execute(statement, part)


def parts(rows: list[Any]) -> Iterable[list[Any]]:
    for at in range(0, len(rows), CHUNK):
        yield rows[at : at + CHUNK]
