"""The marketplace's data in MongoDB: ObjectIds, Decimal128, embedded documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from bson import ObjectId

from proxy.demo.marketplace.codec import document_of, record_of_document
from proxy.demo.marketplace.entities import Entity, Record
from proxy.demo.marketplace.store import LEGACY_ID, NEWEST, Order, Where

_OPERATORS = {">=": "$gte", "<": "$lt"}


class MongoStore:
    """`legacy_of` finds the legacy id of a uuid, for clients that already know the new ids."""

    def __init__(self, database: Any, legacy_of: Callable[[str, str], Awaitable[str | None]]) -> None:
        self._database = database
        self._legacy_of = legacy_of

    async def resolve(self, entity: Entity, any_id: str) -> str | None:
        if LEGACY_ID.match(any_id):
            return any_id.lower()
        return await self._legacy_of(entity.name, any_id.lower())

    async def get(self, entity: Entity, own_id: str, *, whole: bool = False) -> Record | None:
        found = await self._of(entity).find_one({"_id": ObjectId(own_id)}, _projection(entity, whole))
        return record_of_document(entity, found) if found else None

    async def many(self, entity: Entity, ids: Collection[str]) -> dict[str, Record]:
        if not ids:
            return {}
        cursor = self._of(entity).find({"_id": {"$in": [ObjectId(one) for one in ids]}}, _projection(entity, False))
        records = [record_of_document(entity, found) for found in await cursor.to_list(None)]
        return {record["id"]: record for record in records}

    async def find(
        self,
        entity: Entity,
        where: Sequence[Where] = (),
        order: Sequence[Order] = NEWEST,
        *,
        offset: int = 0,
        limit: int = 1000,
    ) -> list[Record]:
        sort = [(_path(key.field), -1 if key.descending else 1) for key in order]
        cursor = self._of(entity).find(
            _filter(entity, where), _projection(entity, False), sort=sort, skip=offset, limit=limit
        )
        return [record_of_document(entity, found) for found in await cursor.to_list(None)]

    async def count(self, entity: Entity, where: Sequence[Where] = ()) -> int:
        counted: int = await self._of(entity).count_documents(_filter(entity, where))
        return counted

    async def save(self, entity: Entity, record: Record, other_id: str | None = None) -> None:  # noqa: ARG002 - part of the interface
        document = document_of(entity, record)
        await self._of(entity).replace_one({"_id": document["_id"]}, document, upsert=True)

    async def remove(self, entity: Entity, own_id: str) -> None:
        await self._of(entity).delete_one({"_id": ObjectId(own_id)})

    def new_id(self) -> str:
        return str(ObjectId())

    def _of(self, entity: Entity) -> Any:
        return self._database[entity.collection]


def _path(field: str) -> str:
    return "_id" if field == "id" else field


def _projection(entity: Entity, whole: bool) -> dict[str, int] | None:
    return None if whole or not entity.children else {child.field: 0 for child in entity.children}


def _filter(entity: Entity, where: Sequence[Where]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for condition in where:
        if condition.op == "bears":
            chosen[f"{condition.field}.userId"] = ObjectId(condition.value)
            continue
        value = condition.value
        if value is not None and (condition.field == "id" or entity.field(condition.field).type == "ref"):
            value = ObjectId(value)
        if condition.op in _OPERATORS:
            chosen.setdefault(_path(condition.field), {})[_OPERATORS[condition.op]] = value
        else:
            chosen[_path(condition.field)] = value
    return chosen
