"""Values of MongoDB as JSON values, spelled as Mongoose's `JSON.stringify(document)` spells them by default.

Held against Mongoose 8.24 with its `bson` 6.10 for the paths of a schema that declares nothing, which is also what lean
reads and aggregates give:

| BSON | JSON |
|---|---|
| ObjectId | its 24 hexadecimal digits |
| double | the number as JavaScript prints it (`5`, `1e-7`, `1e+21`); NaN, infinities: null; -0: 0 |
| int32, int64 | the number, every digit of it (see below) |
| Decimal128 | `{"$numberDecimal": "12.50"}` |
| Date | `"2026-01-15T20:43:05.780Z"`; years below 0 or over 9999 `"+010000-..."`; null where JavaScript has none |
| binary | base64 of its bytes; 16 bytes of subtype 4: the uuid in small letters with hyphens |
| Timestamp | `{"$timestamp": "7595691689230991363"}` |
| regular expression, MinKey, MaxKey | `{}` |
| code | `{"code": "..."}`, with its `scope` where it has one |
| DBRef, DBPointer | `{"$ref": "users", "$id": ...}` with further fields, then `$db` |
| symbol | text |
| undefined | left out of an object, null in an array (`without_undefined` has to be asked first) |

Where a schema's declarations change the spelling, the value as stored is told. An int64 past 2^53 is printed whole:
Mongoose rounds it for a `Number` and prints `{"low", "high", "unsigned"}` for an undeclared path. Binary is base64: a
declared `Buffer` prints `{"type": "Buffer", "data": [...]}`. An empty object stays: the option `minimize` leaves it out
of a document that is no lean one.
"""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from bson.binary import UUID_SUBTYPE, Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

_PLAIN = frozenset({str, bool, type(None)})
_LAST_INSTANT = 8_640_000_000_000_000
"""Milliseconds from 1970 beyond which JavaScript has no date, either way (ECMA-262, section 21.4.1.1)."""
_DAY = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Double(Decimal):
    """A double that is printed as JavaScript prints it: with a small `e`."""

    __slots__ = ()

    def __str__(self) -> str:
        return super().__str__().lower()


def jsonable(value: Any) -> Any:
    """The JSON value of one BSON value as PyMongo decodes it. Raises TypeError for what no BSON type decodes to."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {key: jsonable(item) for key, item in value.items()}
    if kind is list:
        return [jsonable(item) for item in value]
    if kind is float:
        return number(value)
    if kind is ObjectId:
        return str(value)
    return _rarer(value)


def _rarer(value: Any) -> Any:
    match value:
        case datetime():
            instant = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return iso((instant - _EPOCH) // _MILLISECOND)
        case DatetimeMS():
            return iso(int(value))
        case int():  # Int64 too: a plain int prints the same digits
            return int(value)
        case Decimal128():
            return {"$numberDecimal": str(value)}
        case Code():
            return {"code": str(value)} | ({} if value.scope is None else {"scope": jsonable(value.scope)})
        case DBRef():
            return _reference(value)
        case Timestamp():
            return {"$timestamp": str(value.time << 32 | value.inc)}
        case Regex() | MinKey() | MaxKey():
            return {}
        case uuid.UUID():
            return str(value)
        case Binary() if value.subtype == UUID_SUBTYPE and len(value) == 16:
            return str(uuid.UUID(bytes=bytes(value)))
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {key: jsonable(item) for key, item in value.items()}
        case list() | tuple():
            return [jsonable(item) for item in value]
        case str():
            return str(value)
        case _:
            raise TypeError(f"a {type(value).__name__} is no value of MongoDB")


def _reference(value: DBRef) -> dict[str, Any]:
    fields = dict(value.as_doc())
    database = fields.pop("$db", None)
    if fields["$id"] is None:
        del fields["$id"]  # a plain object that only has `$ref`
    return jsonable(fields | ({} if database is None else {"$db": database}))  # type: ignore[no-any-return]


def number(value: float) -> int | Decimal | None:
    """A double, to be printed as by JavaScript's Number::toString (ECMA-262, 6.1.6.1.20); None if not finite."""
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 1e21:
        # The shortest digits that tell the double, filled up with zeros; not the digits of its exact value.
        return int(value) if abs(value) < 2**53 else int(Decimal(repr(value)))
    return Double(repr(value))


def iso(milliseconds: int) -> str | None:
    """Date.prototype.toISOString (ECMA-262, section 21.4.4.36) of an instant counted from 1970; null if it has none."""
    if abs(milliseconds) > _LAST_INSTANT:
        return None
    days, rest = divmod(milliseconds, _DAY)
    # The calendar repeats every 400 years, of 146,097 days: any year has a twin that Python's own calendar knows.
    cycles, within = divmod(days, 146_097)
    twin = date.fromordinal(_EPOCH.toordinal() + within)
    year = twin.year + 400 * cycles
    seconds, fraction = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    spelled = f"{year:04d}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06d}"
    return f"{spelled}-{twin.month:02d}-{twin.day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{fraction:03d}Z"
