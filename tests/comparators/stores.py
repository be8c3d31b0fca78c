"""The same things in a real Postgres and in a real MongoDB-wire server, and every way the two are printed as JSON.

Postgres prints with its own JSON functions. MongoDB has none, so its documents are printed as its usual clients do:
as Mongoose's `JSON.stringify`, and as MongoDB Extended JSON (relaxed, canonical and the older legacy form) by
`bson.json_util`.
"""

# ruff: noqa: S608 - every name and value in these statements is a constant of this file or of the test's own changes

from __future__ import annotations

import base64
import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
from bson import json_util
from bson.binary import Binary, UuidRepresentation
from bson.code import Code
from bson.codec_options import CodecOptions
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex
from bson.timestamp import Timestamp
from motor.motor_asyncio import AsyncIOMotorClient

from tests.comparators.changes import Change
from tests.comparators.saying import OTHER, OTHER_UUID, OWNER, OWNER_UUID, THING, THING_UUID

EMPTY_UUID = "0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f604"
DEVICE = "f3b9c2de-0a1b-4c2d-8e3f-9a8b7c6d5e4f"
"""A uuid that both stores bear as such and no id map knows."""

COLUMNS = {
    "_id": ("uuid", f"'{THING_UUID}'"),
    "owner": ("uuid", f"'{OWNER_UUID}'"),
    "refs": ("uuid[]", f"ARRAY['{OWNER_UUID}', '{OTHER_UUID}']::uuid[]"),
    "unread": ("jsonb", f"""'{{"{OTHER_UUID}": 3, "{OWNER_UUID}": 0}}'"""),
    "avatar": ("text", f"'/files/{OWNER_UUID}.png'"),
    "device": ("uuid", f"'{DEVICE}'"),
    "title": ("text", "E'Caf\\u00e9 \"Sta\u00dfe\" \\\\ 1/2'"),
    "code": ("varchar(20)", "'0123'"),
    "country": ("char(3)", "'FR'"),
    "wide": ("numeric(38, 18)", "12.500000000000000001"),
    "round": ("numeric(38, 18)", "12.5"),
    "bare": ("numeric", "10.290"),
    "zero": ("numeric(38, 18)", "0"),
    "much": ("numeric", "1.5e30"),
    "wei": ("numeric", "20000000000000000001"),
    "big": ("bigint", "9007199254740993"),
    "safe": ("bigint", "9007199254740992"),
    "small": ("smallint", "7"),
    "num": ("integer", "42"),
    "single": ("real", "0.1"),
    "sum": ("float8", "0.1::float8 + 0.2::float8"),
    "tiny": ("float8", "1e-7"),
    "huge": ("float8", "1e21"),
    "whole": ("float8", "5"),
    "minus": ("float8", "'-0'"),
    "nan": ("float8", "'NaN'"),
    "yes": ("boolean", "true"),
    "at": ("timestamptz", "'2026-01-15T20:43:05.78Z'"),
    "exact": ("timestamptz", "'2026-01-15T20:43:05Z'"),
    "fine": ("timestamptz", "'2026-01-15T20:43:05.780123Z'"),
    "born": ("timestamptz", "'1960-01-01T00:00:00Z'"),
    "millis": ("bigint", "1768509785780"),
    # What SQL makes of an instant that is wanted in milliseconds: a numeric, 1768509785780.000000
    "epoch": ("numeric", "1000 * extract(epoch FROM timestamptz '2026-01-15T20:43:05.78Z')"),
    "naive": ("timestamp", "'2026-01-15T20:43:05.78'"),
    "day": ("date", "'2026-01-15'"),
    "clock": ("time", "'20:43:05.5'"),
    "span": ("interval", "'1 day 02:03:04.5'"),
    "doc": (
        "jsonb",
        """'{"b": 1, "a": {"z": 1.50, "y": 1e3, "list": [1, {"k": "v"}, null, true, "true"]}, "b": 2, "aa": null}'""",
    ),
    "written": ("json", """'{"b":1,  "a":1.50,"b":2, "u":"\\u00e9"}'"""),
    "tags": ("text[]", "ARRAY['b', 'a', NULL, 'c d', 'a']"),
    "ints": ("integer[]", "'{1,2,3}'"),
    "grid": ("integer[]", "'{{1,2},{3,4}}'"),
    "none": ("text[]", "'{}'"),
    "gone": ("text", "NULL"),
    "state": ("state", "'in transit'"),
    "blob": ("bytea", "'\\xdeadbeef'"),
    "addr": ("inet", "'10.0.0.1'"),
}
"""Name of each column, its type, and the value that says what the document in MongoDB says."""

_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_MEMBERS = ", ".join(f"'{name}', t.\"{name}\"" for name in COLUMNS)
# Shuffled on purpose: the order of members says nothing.
_TURNED = ", ".join(f'"{name}"' for name in reversed(COLUMNS))
_TEXTS = ", ".join(f"'{name}', t.{name}::text" for name in ("wide", "round", "wei", "big", "num", "at", "yes"))
_ONE = f"(SELECT {_NAMES} FROM things WHERE _id <> '{EMPTY_UUID}') t"

POSTGRES = {
    "row_to_json": f"SELECT row_to_json(t)::text FROM {_ONE}",
    "to_jsonb": f"SELECT to_jsonb(t)::text FROM {_ONE}",
    "json_build_object": f"SELECT json_build_object({_MEMBERS})::text FROM {_ONE}",
    "jsonb_build_object": f"SELECT jsonb_build_object({_MEMBERS})::text FROM {_ONE}",
    "json_agg": f"SELECT (json_agg(t)->0)::text FROM {_ONE}",
    "jsonb_agg": f"SELECT (jsonb_agg(t)->0)::text FROM {_ONE}",
    "jsonb_pretty": f"SELECT jsonb_pretty(to_jsonb(t)) FROM {_ONE}",
    "turned": f"SELECT row_to_json(u)::text FROM (SELECT {_TURNED} FROM {_ONE}) u",
}
"""Ways to print the one full row; all of them say the same."""

_DDL = f"""
CREATE TYPE state AS ENUM ('open', 'in transit', 'done');
CREATE TABLE things ({", ".join(f'"{name}" {sort}' for name, (sort, _) in COLUMNS.items())}, PRIMARY KEY (_id));
INSERT INTO things VALUES ({", ".join(value for _, value in COLUMNS.values())});
INSERT INTO things (_id) VALUES ('{EMPTY_UUID}');
"""

_OTHERS = {
    "whole json_agg": f"SELECT json_agg(t ORDER BY _id)::text FROM (SELECT {_NAMES} FROM things) t",
    "whole jsonb_agg": f"SELECT jsonb_agg(t ORDER BY _id)::text FROM (SELECT {_NAMES} FROM things) t",
    "no rows json_agg": "SELECT coalesce(json_agg(t)::text, 'null') FROM things t WHERE false",
    "empty row": f"SELECT row_to_json(t)::text FROM things t WHERE _id = '{EMPTY_UUID}'",
    "stripped row": f"SELECT json_strip_nulls(row_to_json(t))::text FROM things t WHERE _id = '{EMPTY_UUID}'",
    "texts": f"SELECT json_build_object({_TEXTS})::text FROM {_ONE}",
}
_SETTINGS = {
    "TimeZone": "Asia/Kolkata",
    "extra_float_digits": "0",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "DateStyle": "German",
}


@dataclass(frozen=True)
class Prints:
    """What the stores print: `postgres` and `mongo` by the way of printing, `changed` by change, then by that way."""

    postgres: Mapping[str, bytes]
    changed: Mapping[str, Mapping[str, bytes]]
    settings: Mapping[str, bytes]
    mongo: Mapping[str, bytes]
    rare: Mapping[str, bytes]
    kept: Mapping[str, bytes]


async def print_all(dsn: str, mongo_url: str, database: str, changes: tuple[Change, ...]) -> Prints:
    """Fill both stores, print what is in them, and print the row again after each change alone."""
    client: Any = AsyncIOMotorClient(mongo_url)
    connection = await asyncpg.connect(dsn)
    try:
        things = client[database].get_collection("things", codec_options=_OPTIONS)
        await things.insert_many([DOCUMENT, RARE, _symbol()])
        mongo = _mongo_prints(await things.find_one({"_id": DOCUMENT["_id"]}))
        rare = _mongo_prints(await things.find_one({"_id": RARE["_id"]}))
        symbol = await things.find_one({"_id": ObjectId(_SYMBOL)})
        assert symbol == {"_id": ObjectId(_SYMBOL), "sym": "abc", "und": None}
        await connection.execute(_DDL)
        postgres = {name: await _text(connection, query) for name, query in {**POSTGRES, **_OTHERS}.items()}
        # A migration that keeps what has no column of its own writes it as extended JSON.
        kept = {name: await _text(connection, "SELECT $1::jsonb::text", body.decode()) for name, body in rare.items()}
        changed = {change.name: await _changed(connection, change) for change in changes}
        settings = {}
        for name, value in _SETTINGS.items():
            await connection.execute(f"SET {name} = '{value}'")
            settings[name] = await _text(connection, POSTGRES["row_to_json"])
            await connection.execute(f"RESET {name}")
        return Prints(postgres, changed, settings, mongo, rare, kept)
    finally:
        await connection.close()
        await client.drop_database(database)
        client.close()


async def _text(connection: asyncpg.Connection[asyncpg.Record], query: str, *values: str) -> bytes:
    return str(await connection.fetchval(query, *values)).encode()


async def _changed(connection: asyncpg.Connection[asyncpg.Record], change: Change) -> Mapping[str, bytes]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        assignment = f'UPDATE things SET "{change.column}" = {change.value}'
        await connection.execute(f"{assignment} WHERE _id <> '{EMPTY_UUID}'")
        return {name: await _text(connection, POSTGRES[name]) for name in ("row_to_json", "to_jsonb", "json_agg")}
    finally:
        await transaction.rollback()


# --- MongoDB ---

_OPTIONS: CodecOptions[Any] = CodecOptions(tz_aware=True, uuid_representation=UuidRepresentation.STANDARD)
DOCUMENT: dict[str, Any] = {
    "_id": ObjectId(THING),
    "owner": ObjectId(OWNER),
    "refs": [ObjectId(OWNER), ObjectId(OTHER)],
    "unread": {OWNER: 0, OTHER: 3},
    "avatar": f"/files/{OWNER}.png",
    "device": uuid.UUID(DEVICE),
    "title": 'Café "Staße" \\ 1/2',
    "code": "0123",
    "country": "FR ",
    "wide": Decimal128("12.500000000000000001"),
    "round": Decimal128("12.5"),
    "bare": Decimal128("10.29"),
    "zero": Decimal128("0E-18"),
    "much": Decimal128("1.5E+30"),
    "wei": "20000000000000000001",
    "big": Int64(9007199254740993),
    "safe": Int64(9007199254740992),
    "small": 7,
    "num": Int64(42),
    "single": 0.1,
    "sum": 0.1 + 0.2,
    "tiny": 1e-7,
    "huge": 1e21,
    "whole": 5.0,
    "minus": -0.0,
    "nan": float("nan"),
    "yes": True,
    "at": datetime(2026, 1, 15, 20, 43, 5, 780000, tzinfo=UTC),
    "exact": datetime(2026, 1, 15, 20, 43, 5, tzinfo=UTC),
    "fine": datetime(2026, 1, 15, 20, 43, 5, 780000, tzinfo=UTC),
    "born": datetime(1960, 1, 1, tzinfo=UTC),
    "millis": datetime(2026, 1, 15, 20, 43, 5, 780000, tzinfo=UTC),
    "epoch": datetime(2026, 1, 15, 20, 43, 5, 780000, tzinfo=UTC),
    "naive": datetime(2026, 1, 15, 20, 43, 5, 780000, tzinfo=UTC),
    "day": datetime(2026, 1, 15, tzinfo=UTC),
    "clock": "20:43:05.5",
    "span": 93784500,
    "doc": {"a": {"list": [1, {"k": "v"}, None, True, "true"], "y": 1000, "z": 1.5}, "aa": None, "b": 2},
    "written": {"a": 1.5, "b": 2, "u": "é"},
    "tags": ["b", "a", None, "c d", "a"],
    "ints": [1, 2, 3],
    "grid": [[1, 2], [3, 4]],
    "none": [],
    "state": "in transit",
    "blob": Binary(b"\xde\xad\xbe\xef"),
    "addr": "10.0.0.1",
}
"""`gone` is absent, as Mongoose leaves out what was never set. `naive` and `day` are instants, as BSON has no other."""

RARE: dict[str, Any] = {
    "_id": ObjectId(OTHER),
    "regex": Regex("^a", "i"),
    "stamp": Timestamp(1768509785, 3),
    "least": MinKey(),
    "most": MaxKey(),
    "code": Code("x => 1"),
    "scoped": Code("x", {"n": 1}),
    "ref": DBRef("users", ObjectId(OWNER)),
    "blob": Binary(b"\xde\xad\xbe\xef"),
    "md5": Binary(b"0123456789abcdef", 5),
    "old": Binary(uuid.UUID(DEVICE).bytes, 3),
    "device": uuid.UUID(DEVICE),
    "at": datetime(2026, 1, 15, 20, 43, 5, 780000, tzinfo=UTC),
    "born": datetime(1960, 1, 1, tzinfo=UTC),
    "price": Decimal128("12.50"),
    "much": Decimal128("1.5E+30"),
    "whole": 5.0,
    "huge": 1e21,
    "inf": float("inf"),
    "big": Int64(9007199254740993),
    "num": 7,
}
_SYMBOL = "65f1a2b3c4d5e6f708192a09"


def _symbol() -> RawBSONDocument:
    """Symbol and undefined, deprecated types that no driver writes any more: put together by hand (bsonspec.org)."""
    elements = b"\x07_id\x00" + bytes.fromhex(_SYMBOL) + b"\x0esym\x00\x04\x00\x00\x00abc\x00" + b"\x06und\x00"
    return RawBSONDocument((len(elements) + 5).to_bytes(4, "little") + elements + b"\x00")


def _mongo_prints(document: Any) -> dict[str, bytes]:
    ways = {
        "relaxed": json_util.RELAXED_JSON_OPTIONS,
        "canonical": json_util.CANONICAL_JSON_OPTIONS,
        "legacy": json_util.LEGACY_JSON_OPTIONS,
    }
    finite = {k: v for k, v in document.items() if not isinstance(v, float) or math.isfinite(v)}
    prints = {
        # The legacy form prints what is not finite as NaN and Infinity, which is not JSON.
        name: json_util.dumps(
            finite if name == "legacy" else document,
            json_options=way.with_options(uuid_representation=UuidRepresentation.STANDARD, tz_aware=True),
        )
        for name, way in ways.items()
    }
    return {name: text.encode() for name, text in {"mongoose": mongoose(document), **prints}.items()}


def mongoose(value: Any) -> str:
    """A document as `JSON.stringify` prints it behind Mongoose, whose numbers are doubles."""
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{mongoose(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(mongoose, value)) + "]"
        case None | bool():
            return json.dumps(value)
        case int() | float():
            return _javascript_number(float(value))
        case Decimal128():
            return mongoose({"$numberDecimal": str(value)})
        case datetime():
            return json.dumps(value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        case Timestamp():
            return mongoose({"$timestamp": str(value.time << 32 | value.inc)})
        case Code():
            return mongoose({"code": str(value), **({"scope": value.scope} if value.scope else {})})
        case DBRef():
            return mongoose({"$ref": value.collection, "$id": value.id})
        case bytes():
            return json.dumps(base64.b64encode(value).decode())
        case Regex() | MinKey() | MaxKey():
            return "{}"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _javascript_number(value: float) -> str:
    """Number::toString of ECMAScript (ECMA-262, section 6.1.6.1.20); what is not finite is null in JSON."""
    if not math.isfinite(value):
        return "null"
    if not value:
        return "0"
    return format(Decimal(repr(value)).normalize(), "f" if 1e-6 <= abs(value) < 1e21 else "e")
