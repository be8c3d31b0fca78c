"""Handlers made from declarations: lists with filters and sorts, details, creations, changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from proxy.demo.marketplace.catalog import entity_of
from proxy.demo.marketplace.entities import Entity, Field, Record
from proxy.demo.marketplace.http import Reply, bad_request, detail, json_body
from proxy.demo.marketplace.market import Call, Handler
from proxy.demo.marketplace.store import NEWEST, Order, Store, Where

PERSON = ("firstName", "lastName", "avatarUrl")
MAX_TEXT = 4000
MAX_MONEY = 10**12


@dataclass(frozen=True, slots=True)
class Populate:
    """Fill the object in for the id at `field`, with these of its fields, under the same name or `name`."""

    field: str
    entity: str
    fields: tuple[str, ...] = PERSON
    name: str = ""


Finish = Callable[[Call, list[Record]], Awaitable[None]]
"""A last touch on the shaped items of a response, in place."""


def shape(entity: Entity, record: Record) -> Record:
    """A record as responses show it: without hidden fields, with what is computed."""
    shown = {name: record[name] for name in entity.public}
    for child in entity.children:
        if child.field in record:
            shown[child.field] = record[child.field]
    if entity.name == "user":
        shown["avatarUrl"] = f"/api/files/avatars/{record['id']}.png" if record["avatar"] else None
    return shown


async def populate(store: Store, items: Sequence[Record], wanted: Sequence[Populate]) -> None:
    """Replace ids by the objects they name, in place; a null or dangling id becomes null."""
    for one in wanted:
        target = entity_of(one.entity)
        ids = {item[one.field] for item in items if item[one.field] is not None}
        found = {key: shape(target, record) for key, record in (await store.many(target, ids)).items()}
        for item in items:
            named = found.get(item[one.field])
            item[one.name or one.field] = named and {
                "id": named["id"],
                **{key: named[key] for key in one.fields},
            }


def listing(
    name: str,
    *,
    filters: Mapping[str, str] | None = None,
    sorts: Mapping[str, Sequence[Order]] | None = None,
    order: Sequence[Order] = NEWEST,
    where: Sequence[Where] = (),
    parent: tuple[str, str] | None = None,
    mine: bool = False,
    populated: Sequence[Populate] = (),
    finish: Finish | None = None,
) -> Handler:
    """A paged list. `filters`: query name to field. `parent`: (path parameter, field that bears its id), and the
    parent must exist. `mine`: only the caller's, by `userId`."""
    entity = entity_of(name)

    async def handle(call: Call) -> Reply:
        page = call.page()
        conditions = [*where]
        if mine:
            conditions.append(Where("userId", "=", await call.user_id()))
        if parent is not None:
            owner = await call.desk.load(entity_of(entity.field(parent[1]).target), call.param(parent[0]))
            conditions.append(Where(parent[1], "=", owner["id"]))
        for key, field in (filters or {}).items():
            if (text := call.query.get(key)) is not None:
                conditions.append(await _condition(call, entity.field(field), text))
        keys = order
        if (chosen := call.query.get("sort")) is not None:
            if sorts is None or chosen not in sorts:
                raise bad_request("INVALID_QUERY", "This list cannot be sorted so")
            keys = sorts[chosen]
        found = await call.store.find(entity, conditions, keys, offset=page.offset, limit=page.limit)
        full = page.number == 1 and len(found) < page.limit
        total = len(found) if full else await call.store.count(entity, conditions)
        items = [shape(entity, record) for record in found]
        await populate(call.store, items, populated)
        if finish is not None:
            await finish(call, items)
        return page.reply(items, total)

    return handle


def showing(
    name: str, param: str = "id", *, populated: Sequence[Populate] = (), finish: Finish | None = None
) -> Handler:
    """One record by its id, whole."""
    entity = entity_of(name)

    async def handle(call: Call) -> Reply:
        item = shape(entity, await call.desk.load(entity, call.param(param), whole=True))
        await populate(call.store, [item], populated)
        if finish is not None:
            await finish(call, [item])
        return detail(item)

    return handle


def creating(
    name: str,
    fields: Sequence[str],
    *,
    parent: tuple[str, str] | None = None,
    mine: str = "",
    defaults: Mapping[str, Any] | None = None,
    after: Callable[[Call, Record], Awaitable[None]] | None = None,
) -> Handler:
    """Create from a JSON body. `mine` names the field that becomes the caller's id."""
    entity = entity_of(name)

    async def handle(call: Call) -> Reply:
        values = {**(defaults or {}), **await _body(call, entity, fields)}
        if mine:
            values[mine] = await call.user_id()
        if parent is not None:
            owner = await call.desk.load(entity_of(entity.field(parent[1]).target), call.param(parent[0]))
            values[parent[1]] = owner["id"]
        if lacking := [
            one.name for one in entity.fields if not one.nullable and one.name in fields and one.name not in values
        ]:
            raise bad_request("INVALID_BODY", f"Required: {', '.join(lacking)}")
        record = call.desk.new(entity, **values)
        await call.desk.save(entity, record)
        if after is not None:
            await after(call, record)
        return detail(shape(entity, record), 201, Location=f"{call.request.path}/{record['id']}")

    return handle


def changing(name: str, fields: Sequence[str], param: str = "id") -> Handler:
    """Change some fields of one record from a JSON body."""
    entity = entity_of(name)

    async def handle(call: Call) -> Reply:
        values = await _body(call, entity, fields)
        record = await call.desk.load(entity, call.param(param), whole=True)
        return detail(shape(entity, await change(call, entity, record, **values)))

    return handle


async def change(call: Call, entity: Entity, record: Record, **values: Any) -> Record:
    """Write a whole record with these fields changed; returns it."""
    changed = {**record, **values, "updatedAt": call.desk.ticker.now()}
    await call.desk.save(entity, changed)
    return changed


async def _condition(call: Call, field: Field, text: str) -> Where:
    if field.type == "ref":
        return Where(field.name, "=", await call.desk.own_id(entity_of(field.target), text))
    if field.type == "bool":
        if text not in ("true", "false"):
            raise bad_request("INVALID_QUERY", f"{field.name} must be true or false")
        return Where(field.name, "=", text == "true")
    if field.type == "enum" and text not in field.choices:
        raise bad_request("INVALID_QUERY", f"{field.name} must be one of {', '.join(field.choices)}")
    return Where(field.name, "has" if field.type == "texts" else "=", text)


async def _body(call: Call, entity: Entity, fields: Sequence[str]) -> Record:
    body = await json_body(call.request)
    return {name: await _value(call, entity.field(name), body[name]) for name in fields if name in body}


async def _value(call: Call, field: Field, value: Any) -> Any:
    """A value of a body in the form that records hold it; ProblemError 400 when it is of another type."""
    if value is None and field.nullable:
        return None
    wrong = bad_request("INVALID_BODY", f"{field.name} must be of type {field.type}")
    match field.type:
        case "ref" if isinstance(value, str):
            return (await call.desk.load(entity_of(field.target), value))["id"]
        case "money" if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_MONEY:
            return Decimal(str(value)).quantize(Decimal("0.00000001")).normalize()
        case "int" if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
            return value
        case "bool" if isinstance(value, bool):
            return value
        case "texts" if isinstance(value, list) and all(isinstance(item, str) for item in value[:100]):
            return value[:100]
        case "enum" if value in field.choices:
            return value
        case "text" if isinstance(value, str) and len(value) <= MAX_TEXT:
            return value
        case "json" if isinstance(value, dict):
            return value
    raise wrong
