"""What examinations of matched pairs have found, summed for each window: fields, and damage seen or not.

Apart from the verdicts: nothing of this is an exchange.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Column, String, Table, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from comparators.fields import MAX_PATHS, OTHER_PATHS
from proxy.ledger.details import PATH_BYTES, clean
from proxy.ledger.dialect import insert
from proxy.ledger.journal import shorten
from proxy.ledger.schema import joined, metadata
from proxy.window import DamageCount, FieldCount

MAX_ROWS = 20_000
"""Rows of one table that a window may have; what goes past is counted together, see `_instead`."""
_BATCH = 500

Counted = TypeVar("Counted", FieldCount, DamageCount)


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True, nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


_fields = Table(
    "examined_fields",
    metadata,
    _key("window"),
    _key("route"),
    _key("path"),
    Column("domain", String, nullable=False),
    _count("looked"),
    _count("present"),
    _count("null_count"),
    _count("empty_count"),
    _count("valued"),
)

_damages = Table(
    "examined_damages",
    metadata,
    _key("window"),
    _key("route"),
    _key("path"),
    _key("damage"),
    Column("domain", String, nullable=False),
    _count("tried"),
    _count("seen"),
    Column("rule", String, nullable=False),
)


async def add(
    connection: AsyncConnection,
    window_id: str,
    fields: Iterable[FieldCount],
    damages: Iterable[DamageCount],
    *,
    domain: str,
) -> None:
    """Add to the sums of a window, or of the one that it has become: see `windows.save`."""
    became = select(joined.c.window).where(joined.c.own == window_id).limit(1)
    window_id = await connection.scalar(became) or window_id
    known_fields = await _within(connection, _fields, window_id, [replace(one, path=_key_of(one)) for one in fields])
    known_damages = await _within(
        connection, _damages, window_id, [replace(one, path=_key_of(one), rule=clean(one.rule)) for one in damages]
    )
    await _add(
        connection,
        _fields,
        [
            {
                "window": window_id,
                "route": one.route,
                "path": one.path,
                "domain": domain,
                "looked": one.looked,
                "present": one.present,
                "null_count": one.null,
                "empty_count": one.empty,
                "valued": one.valued,
            }
            for one in known_fields
        ],
        ("looked", "present", "null_count", "empty_count", "valued"),
    )
    await _add(
        connection,
        _damages,
        [
            {
                "window": window_id,
                "route": one.route,
                "path": one.path,
                "damage": one.damage,
                "domain": domain,
                "tried": one.tried,
                "seen": one.seen,
                "rule": one.rule,
            }
            for one in known_damages
        ],
        ("tried", "seen"),
    )


async def fields(connection: AsyncConnection, window_id: str) -> tuple[FieldCount, ...]:
    """By route and path. `looked` is the same for all of a route: a body without a field was looked at too."""
    columns = _fields.c
    found = [
        FieldCount(*row)
        for row in await connection.execute(
            select(
                columns.route,
                columns.path,
                columns.looked,
                columns.present,
                columns.null_count,
                columns.empty_count,
                columns.valued,
            )
            .where(columns.window == window_id)
            .order_by(columns.route, columns.path)
        )
    ]
    looked: dict[str, int] = {}
    for one in found:
        if one.path != OTHER_PATHS:
            looked[one.route] = max(looked.get(one.route, 0), one.looked)
    return tuple([replace(one, looked=looked.get(one.route, one.looked)) for one in found])


async def damages(connection: AsyncConnection, window_id: str) -> tuple[DamageCount, ...]:
    """By route, path and sort of damage."""
    columns = _damages.c
    rows = await connection.execute(
        select(columns.route, columns.path, columns.damage, columns.tried, columns.seen, columns.rule)
        .where(columns.window == window_id)
        .order_by(columns.route, columns.path, columns.damage)
    )
    return tuple([DamageCount(*row) for row in rows])


async def drop_windows(connection: AsyncConnection, keep: Collection[str]) -> None:
    """Forget all windows but those to keep."""
    for table in (_fields, _damages):
        known = {row[0] for row in await connection.execute(select(table.c.window).distinct())}
        gone = sorted(known.difference(keep))
        for at in range(0, len(gone), _BATCH):
            await connection.execute(delete(table).where(table.c.window.in_(gone[at : at + _BATCH])))


async def _add(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]], sums: Sequence[str]) -> None:
    if not rows:
        return
    statement = insert(connection, table)
    more = {name: table.c[name] + statement.excluded[name] for name in sums}
    if "rule" in table.c:
        # The first rule that was found to hide something stays: within one window they are all the same rules.
        more["rule"] = func.coalesce(func.nullif(table.c.rule, ""), statement.excluded.rule)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[column.name for column in table.primary_key], set_=more), rows
    )


async def _within(connection: AsyncConnection, table: Table, window_id: str, found: list[Counted]) -> list[Counted]:
    """The same counts, those of new places past the limits under `OTHER_PATHS`."""
    rows = await connection.execute(
        select(table.c.route, func.count(table.c.path.distinct()), func.count())
        .where(table.c.window == window_id)
        .group_by(table.c.route)
    )
    paths, total = dict[str, int](), 0
    for route, distinct, count in rows:
        paths[route] = distinct
        total += count
    fresh = Counter(one.route for one in found)
    if total + len(found) <= MAX_ROWS and all(paths.get(route, 0) + n <= MAX_PATHS for route, n in fresh.items()):
        return found
    names = [column for column in table.primary_key if column.name != "window"]
    known = {tuple(row) for row in await connection.execute(select(*names).where(table.c.window == window_id))}
    known_paths = {(route, path) for route, path, *_ in known}
    kept: list[Counted] = []
    for one in found:
        key = (one.route, one.path, one.damage) if isinstance(one, DamageCount) else (one.route, one.path)
        new_path = (one.route, one.path) not in known_paths
        if key in known:
            kept.append(one)
        elif total < MAX_ROWS and not (new_path and paths.get(one.route, 0) >= MAX_PATHS):
            kept.append(one)
            known.add(key)
            total += 1
            if new_path:
                known_paths.add((one.route, one.path))
                paths[one.route] = paths.get(one.route, 0) + 1
        else:
            kept.append(replace(one, path=_instead(one)))
    return kept


def _key_of(one: FieldCount | DamageCount) -> str:
    return shorten(clean(one.path), PATH_BYTES)


def _instead(one: FieldCount | DamageCount) -> str:
    """Where a place past the limits is counted: what a rule hides under the path of the rule, apart from what is seen
    elsewhere, so that it stays a blind spot."""
    if isinstance(one, DamageCount) and not one.seen:
        path = one.rule.partition(" ")[2]
        return path if path.startswith("$") else OTHER_PATHS
    return OTHER_PATHS
