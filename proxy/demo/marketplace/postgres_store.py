"""The marketplace's data in Postgres: uuids, numerics, child tables, JSONB."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

import asyncpg
import orjson
from bson import ObjectId

from proxy.demo.marketplace.codec import child_rows, columns_of, row_of
from proxy.demo.marketplace.entities import Entity, Record
from proxy.demo.marketplace.id_map import IdMap
from proxy.demo.marketplace.store import NEWEST, UUID, Order, Where


async def connect(connection: Any) -> None:
    """Teach a connection our types: ids as text, jsonb as parsed values."""
    await connection.set_type_codec(
        "uuid",
        schema="pg_catalog",
        format="binary",
        encoder=lambda text: uuid.UUID(text).bytes,
        decoder=lambda raw: str(uuid.UUID(bytes=bytes(raw))),
    )
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda raw: orjson.loads(bytes(raw)[1:]),
    )


REST_SECONDS = 0.5
"""A connection that rests so long is closed: it tells Postgres' counters then what it read, and ten seconds later
otherwise."""


async def open_pool(dsn: str, size: int = 6) -> Any:
    """A pool of connections that speak our types."""
    return await asyncpg.create_pool(
        dsn, min_size=1, max_size=size, init=connect, max_inactive_connection_lifetime=REST_SECONDS
    )


class PostgresStore:
    def __init__(self, pool: Any, id_map: IdMap) -> None:
        self._pool = pool
        self._id_map = id_map

    async def resolve(self, entity: Entity, any_id: str) -> str | None:
        if UUID.match(any_id):
            return any_id.lower()
        return await self._id_map.uuid_of(entity.name, any_id.lower())

    async def get(self, entity: Entity, own_id: str, *, whole: bool = False) -> Record | None:
        row = await self._pool.fetchrow(f"SELECT {_columns(entity)} FROM {entity.table} WHERE id = $1", own_id)
        if row is None:
            return None
        record = _record(entity, row)
        if whole:
            for child in entity.children:
                columns = ", ".join(field.column for field in child.fields)
                rows = await self._pool.fetch(
                    f"SELECT {columns} FROM {child.table} WHERE parent_id = $1 ORDER BY position", own_id
                )
                items = [{field.name: one[field.column] for field in child.fields} for one in rows]
                record[child.field] = items if child.many else next(iter(items), None)
        return record

    async def many(self, entity: Entity, ids: Collection[str]) -> dict[str, Record]:
        if not ids:
            return {}
        rows = await self._pool.fetch(
            f"SELECT {_columns(entity)} FROM {entity.table} WHERE id = ANY($1::uuid[])", list(ids)
        )
        return {row["id"]: _record(entity, row) for row in rows}

    async def find(
        self,
        entity: Entity,
        where: Sequence[Where] = (),
        order: Sequence[Order] = NEWEST,
        *,
        offset: int = 0,
        limit: int = 1000,
    ) -> list[Record]:
        clause, values = _clause(entity, where)
        keys = ", ".join(_order(entity, key) for key in order)
        n = len(values)
        rows = await self._pool.fetch(
            f"SELECT {_columns(entity)} FROM {entity.table}{clause} ORDER BY {keys} OFFSET ${n + 1} LIMIT ${n + 2}",
            *values,
            offset,
            limit,
        )
        return [_record(entity, row) for row in rows]

    async def count(self, entity: Entity, where: Sequence[Where] = ()) -> int:
        clause, values = _clause(entity, where)
        counted: int = await self._pool.fetchval(f"SELECT count(*) FROM {entity.table}{clause}", *values)
        return counted

    async def save(self, entity: Entity, record: Record, other_id: str | None = None) -> None:
        # A record that is born here is given its legacy id at once, for clients that know no other form.
        key = (entity.name, record["id"])
        known = other_id or (await self._id_map.legacies([key], lambda: str(ObjectId())))[key]
        columns = columns_of(entity)
        marks = ", ".join(f"${n}" for n in range(1, len(columns) + 2))
        # What a row was created with stays: its instant is finer than what comes back from MongoDB.
        updates = ", ".join(f"{column} = EXCLUDED.{column}" for column in columns if column not in ("id", "created_at"))
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                f"INSERT INTO {entity.table} ({', '.join(columns)}, legacy_object_id) VALUES ({marks})"
                f" ON CONFLICT (id) DO UPDATE SET {updates}",
                *row_of(entity, record),
                known,
            )
            for child in entity.children:
                await connection.execute(f"DELETE FROM {child.table} WHERE parent_id = $1", record["id"])
            for table, names, values in child_rows(entity, record):
                places = ", ".join(f"${n}" for n in range(1, len(names) + 1))
                await connection.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", *values)

    async def remove(self, entity: Entity, own_id: str) -> None:
        await self._pool.execute(f"DELETE FROM {entity.table} WHERE id = $1", own_id)

    def new_id(self) -> str:
        return str(uuid.uuid4())


def _columns(entity: Entity) -> str:
    return ", ".join(columns_of(entity))


def _record(entity: Entity, row: Any) -> Record:
    return dict(zip(("id", *(field.name for field in entity.fields)), row.values(), strict=True))


def _column(entity: Entity, name: str) -> str:
    return "id" if name == "id" else entity.field(name).column


def _clause(entity: Entity, where: Sequence[Where]) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    for condition in where:
        column = _column(entity, condition.field)
        if condition.value is None:
            parts.append(f"{column} IS NULL")
            continue
        values.append([{"userId": condition.value}] if condition.op == "bears" else condition.value)
        mark = f"${len(values)}"
        if condition.op == "bears":
            parts.append(f"{column} @> {mark}")
        elif condition.op == "has":
            parts.append(f"{mark} = ANY({column})")
        else:
            parts.append(f"{column} {condition.op} {mark}")
    return (" WHERE " + " AND ".join(parts) if parts else ""), values


def _order(entity: Entity, key: Order) -> str:
    nulls = "LAST" if key.nulls_last or key.descending else "FIRST"
    return f"{_column(entity, key.field)} {'DESC' if key.descending else 'ASC'} NULLS {nulls}"
