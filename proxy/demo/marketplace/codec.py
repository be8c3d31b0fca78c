"""A record as a MongoDB document or a Postgres row, and back; and the same record under the ids of the other store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from bson import Decimal128, ObjectId

from proxy.demo.marketplace.entities import Entity, Field, Record

IdKey = tuple[str, str]
"""(entity, id): ids of different entities never meet."""

_TO_DOCUMENT: Mapping[str, Callable[[Any], Any]] = {"ref": ObjectId, "money": Decimal128}
_FROM_DOCUMENT: Mapping[str, Callable[[Any], Any]] = {"ref": str, "money": Decimal128.to_decimal}


def document_of(entity: Entity, record: Record) -> dict[str, Any]:
    """The MongoDB document of a record under legacy ids."""
    document = {"_id": ObjectId(record["id"]), **_convert(entity.fields, record, _TO_DOCUMENT, ObjectId)}
    for child in entity.children:
        if child.many:
            document[child.field] = [
                _convert(child.fields, item, _TO_DOCUMENT, ObjectId) for item in record[child.field]
            ]
        else:
            item = record[child.field]
            document[child.field] = None if item is None else _convert(child.fields, item, _TO_DOCUMENT, ObjectId)
    return document


def record_of_document(entity: Entity, document: Mapping[str, Any]) -> Record:
    """The record of a document; embedded parts are there when the document has them."""
    record = {"id": str(document["_id"]), **_convert(entity.fields, document, _FROM_DOCUMENT, str)}
    for child in entity.children:
        if child.field in document:
            value = document[child.field]
            if child.many:
                record[child.field] = [_convert(child.fields, item, _FROM_DOCUMENT, str) for item in value]
            else:
                record[child.field] = value and _convert(child.fields, value, _FROM_DOCUMENT, str)
    return record


def _convert(
    fields: tuple[Field, ...],
    source: Mapping[str, Any],
    scalars: Mapping[str, Callable[[Any], Any]],
    identify: Callable[[Any], Any],
) -> Record:
    result: Record = {}
    for field in fields:
        value = source.get(field.name)
        if value is not None:
            if (convert := scalars.get(field.type)) is not None:
                value = convert(value)
            elif field.json_refs:
                value = rewrite(value, dict(field.json_refs), lambda _entity, found: identify(found))
        result[field.name] = value
    return result


def rewrite(value: Any, keys: Mapping[str, str], replace: Callable[[str, Any], Any]) -> Any:
    """A JSON value with every id under one of `keys` (key to entity) replaced by `replace(entity, id)`."""
    if isinstance(value, dict):
        return {
            key: replace(keys[key], item) if key in keys and item is not None else rewrite(item, keys, replace)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [rewrite(item, keys, replace) for item in value]
    return value


@cache
def columns_of(entity: Entity) -> tuple[str, ...]:
    """The table's columns that hold fields, `id` first, in the order of `row_of` and of the records' keys."""
    return ("id", *(field.column for field in entity.fields))


def row_of(entity: Entity, record: Record) -> tuple[Any, ...]:
    """The values of `columns_of` for a record under uuids."""
    return (record["id"], *(record[field.name] for field in entity.fields))


def child_rows(entity: Entity, record: Record) -> Iterator[tuple[str, tuple[str, ...], tuple[Any, ...]]]:
    """(table, columns, values) of every row that the record has in child tables."""
    for child in entity.children:
        columns = ("parent_id", "position", *(field.column for field in child.fields))
        value = record[child.field]
        items = value if child.many else [] if value is None else [value]
        for position, item in enumerate(items):
            yield (
                child.table,
                columns,
                (record["id"], position, *(item[field.name] for field in child.fields)),
            )


def ids_in(entity: Entity, record: Record) -> set[IdKey]:
    """Every id the record bears, its own included."""
    found: set[IdKey] = set()

    def note(name: str, value: Any) -> Any:
        found.add((name, value))
        return value

    translate(entity, record, note)
    return found


def translate(entity: Entity, record: Record, replace: Callable[[str, Any], Any]) -> Record:
    """The whole record (embedded parts included) with every id replaced by `replace(entity, id)`."""
    result = {"id": replace(entity.name, record["id"]), **_translated(entity.fields, record, replace)}
    for child in entity.children:
        value = record[child.field]
        if child.many:
            result[child.field] = [_translated(child.fields, item, replace) for item in value]
        else:
            result[child.field] = None if value is None else _translated(child.fields, value, replace)
    return result


def _translated(fields: tuple[Field, ...], source: Record, replace: Callable[[str, Any], Any]) -> Record:
    result: Record = {}
    for field in fields:
        value = source[field.name]
        if value is not None and field.type == "ref":
            value = replace(field.target, value)
        elif value is not None and field.json_refs:
            value = rewrite(value, dict(field.json_refs), replace)
        result[field.name] = value
    return result


def json_default(value: Any) -> Any:
    """How a response spells what JSON has no word for: money as a number, an instant in UTC with milliseconds."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return iso_milliseconds(value)
    raise TypeError(f"{type(value).__name__} has no form in a response")


def iso_milliseconds(value: datetime) -> str:
    """As JavaScript's toISOString has it: `2026-03-01T09:30:00.125Z`; what is finer is cut off."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
