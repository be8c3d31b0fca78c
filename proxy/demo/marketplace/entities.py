"""What an entity is: its name in the id map, its collection, its table and its typed fields.

Fields are declared in a short notation, one word each: `name:type`, with `?` when the value may be null and
`-` when it never leaves the store. Types: int, text, bool, ts (an instant), money (an exact decimal), texts (a
list of text), json, `enum(a|b)`, `ref(entity)`; `json(key=entity,...)` names the keys that bear ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Record = dict[str, Any]
"""An entity as the application sees it, whichever store it came from: ids are text in that store's form, instants
are aware datetimes, money is Decimal. Every declared field is there; null is None."""

_WORD = re.compile(r"^(\w+):(\w+)(?:\(([^)]*)\))?(\?)?(-)?$")
_COLUMN_TYPES = {
    "int": "bigint",
    "text": 'text COLLATE "C"',
    "bool": "boolean",
    "ts": "timestamptz",
    "money": "numeric(24,8)",
    "texts": "text[]",
    "json": "jsonb",
    "ref": "uuid",
}


_RESERVED = {"order": "sort_order"}


def snake(name: str) -> str:
    """`deliveryDays` as the column name `delivery_days`."""
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    column: str
    target: str = ""
    choices: tuple[str, ...] = ()
    json_refs: tuple[tuple[str, str], ...] = ()
    nullable: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """An embedded document (`many`: a list of them) that is a table of its own in Postgres."""

    field: str
    table: str
    fields: tuple[Field, ...]
    many: bool


@dataclass(frozen=True, eq=False)
class Entity:
    """Declared once each, so they are compared and hashed by identity."""

    name: str
    collection: str
    table: str
    fields: tuple[Field, ...]
    children: tuple[Child, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()

    def field(self, name: str) -> Field:
        """The field called `name`; KeyError when there is none."""
        return self.by_name[name]

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        return {field.name: field for field in self.fields}

    @cached_property
    def public(self) -> tuple[str, ...]:
        """The names that a response shows, in order."""
        return ("id", *(field.name for field in self.fields if not field.hidden))


def parse_fields(text: str, enum_prefix: str) -> tuple[Field, ...]:
    """The fields of a declaration; raises ValueError naming the word that cannot be read."""
    return tuple(_parse(word, enum_prefix) for word in text.split())


def _parse(word: str, enum_prefix: str) -> Field:
    if not (found := _WORD.match(word)):
        raise ValueError(f"{word!r} is not a field: write name:type, say amount:money?")
    name, kind, argument, nullable, hidden = found.groups()
    if kind not in _COLUMN_TYPES and kind != "enum":
        raise ValueError(f"{word!r}: there is no type {kind!r}")
    choices = tuple(argument.split("|")) if kind == "enum" else ()
    refs = tuple(tuple(pair.split("=")) for pair in argument.split(",")) if kind == "json" and argument else ()
    return Field(
        name=name,
        type=kind,
        column=_RESERVED.get(name) or snake(name),
        target=argument if kind == "ref" else (f"{enum_prefix}_{snake(name)}" if kind == "enum" else ""),
        choices=choices,
        json_refs=tuple((key, entity) for key, entity in refs),
        nullable=bool(nullable),
        hidden=bool(hidden),
    )


def column_type(field: Field) -> str:
    """The Postgres type of a field's column."""
    return field.target if field.type == "enum" else _COLUMN_TYPES[field.type]


def entity(
    name: str,
    table: str,
    fields: str,
    *,
    children: tuple[Child, ...] = (),
    indexes: tuple[tuple[str, ...], ...] = (),
    collection: str = "",
) -> Entity:
    """Declare an entity. Each has, besides: `seq` (its place in time, the same in both stores), created and updated."""
    words = f"seq:int- {fields} createdAt:ts updatedAt:ts"
    return Entity(
        name=name,
        collection=collection or table.replace("_", ""),
        table=table,
        fields=parse_fields(words, name),
        children=children,
        indexes=indexes,
    )


def child(field: str, table: str, fields: str, *, many: bool = False) -> Child:
    return Child(field, table, parse_fields(fields, snake(field)), many)
