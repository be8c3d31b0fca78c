"""Values of Postgres as JSON values, by one table that can imitate what a backend makes of them.

| Postgres | JSON |
|---|---|
| boolean, smallint, integer | as they are |
| bigint | `bigint: text` (as node-postgres has it) or `number` |
| numeric | `numeric: text` with all its digits, or `number`, exactly; NaN and infinity are null as a number |
| real, double precision | the shortest number that stands for it; NaN and infinity are null, as JSON.stringify has it |
| timestamptz | `timestamptz: iso_ms`, as Date.toISOString, cut to milliseconds; or `postgres`, as it prints it in UTC |
| timestamp | the same, taken as UTC |
| date | `date: text` (2024-02-29) or `iso_ms` (2024-02-29T00:00:00.000Z) |
| infinity of these three | null as `iso_ms`, else its name |
| time, timetz | as Postgres prints it |
| interval | `interval: postgres` (1 day 02:03:04) or `iso` (P1DT2H3M4S) |
| json, jsonb | the value as it stands, every digit of a number kept |
| uuid | text with hyphens, lower case |
| bytea | `bytea: base64` or `hex`, without a prefix |
| text, varchar, char(n), name, citext, xml, enums | the text |
| inet, cidr, macaddr, bit, money, geometric types, tsvector | as Postgres prints it |
| arrays | lists, NULL elements as null, each element by this table |
| ranges of numbers | as Postgres prints it: `[1,5)`; multiranges are lists of ranges |
| composites | an object of the fields; numbers in it as they are |
| ranges and composites that hold a date, a time or an address | refused at start: cast them to text or use to_jsonb |
| NULL | null |

Whole numbers of floating point are written without a fraction, as ECMAScript does.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from comparators.decode import Unparseable, decode
from proxy.direct.plans import PostgresTypes

TEXT_TYPES = (
    "timestamptz",
    "timestamp",
    "date",
    "time",
    "timetz",
    "interval",
    "float4",
    "inet",
    "cidr",
    "bit",
    "varbit",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
)  # fmt: skip
"""Types whose values come as Postgres prints them: Python's own lack years before 1, infinity, or months."""

_EXACT_BELOW = 10**21
"""ECMAScript writes whole numbers under this one without an exponent."""
_MOMENT = re.compile(r"(\d{4,})-(\d\d)-(\d\d)(?: (\d\d:\d\d:\d\d)(?:\.(\d+))?)?(?:\+00)?( BC)?")
_INTERVAL = re.compile(
    r"(?:([+-]?\d+) years?)? ?(?:([+-]?\d+) mons?)? ?(?:([+-]?\d+) days?)? ?(?:([+-]?)(\d+):(\d\d):(\d\d)(\.\d+)?)?"
)
_LAST_YEAR = 9_999


class UnfitValueError(ValueError):
    """A value that cannot be put as JSON."""


def jsonable(value: Any, pg_type: str, types: PostgresTypes) -> Any:
    """The JSON value of `value`, which the store read as type `pg_type` (`int8`, `uuid[]`). Raises UnfitValueError."""
    if value is None:
        return None
    if isinstance(value, list):
        element = pg_type.removesuffix("[]")
        return [jsonable(each, element, types) for each in value]
    convert = _BY_TYPE.get(pg_type)
    return _by_kind(value, types) if convert is None else convert(value, types)


def _by_kind(value: Any, types: PostgresTypes) -> Any:
    """The value of a type that the table does not name, after what the driver made of it."""
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return _float(value, types)
    if isinstance(value, Decimal):
        return _numeric(value, types)
    if isinstance(value, bytes | memoryview):
        return _bytea(bytes(value), types)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, tuple):  # an unnamed row, or a pair such as a tid
        return [jsonable(each, "", types) for each in value]
    if hasattr(value, "items"):
        return {str(key): jsonable(each, "", types) for key, each in value.items()}
    if hasattr(value, "isempty"):
        return _range(value, types)
    return str(value)


def _numeric(value: Decimal, types: PostgresTypes) -> Any:
    if types.numeric == "number":
        return value if value.is_finite() else None
    return format(value, "f") if value.is_finite() else str(value)


def _bigint(value: int, types: PostgresTypes) -> Any:
    return str(value) if types.bigint == "text" else value


def _float(value: float, _: PostgresTypes) -> Any:
    return _shortest(repr(value)) if math.isfinite(value) else None


def _real(value: str | float, _: PostgresTypes) -> Any:
    return _shortest(str(value))


def _shortest(text: str) -> Any:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    whole = number == number.to_integral_value() and abs(number) < _EXACT_BELOW
    return int(number) if whole else number


def _json(value: str, _: PostgresTypes) -> Any:
    found = decode(value.encode())
    if isinstance(found, Unparseable):
        raise UnfitValueError(f"a json value is not taken: {found.as_text()}")
    return found


def _bytea(value: bytes, types: PostgresTypes) -> str:
    return base64.b64encode(value).decode() if types.bytea == "base64" else value.hex()


def _char(value: Any, _: PostgresTypes) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _interval(value: str, types: PostgresTypes) -> str:
    found = _INTERVAL.fullmatch(value)
    if types.interval == "postgres" or found is None:
        return value
    years, months, days, sign, hours, minutes, seconds, fraction = found.groups()
    day = "".join(f"{int(n)}{unit}" for n, unit in ((years, "Y"), (months, "M"), (days, "D")) if n)
    clock = "".join(
        f"{sign}{int(n)}{rest}{unit}"
        for n, rest, unit in ((hours, "", "H"), (minutes, "", "M"), (seconds, (fraction or "").rstrip("0"), "S"))
        if n and (int(n) or rest)
    )
    return f"P{day}{'T' if clock else ''}{clock}" if day or clock else "PT0S"


def _timestamptz(value: str, types: PostgresTypes) -> str | None:
    return value if types.timestamptz == "postgres" else _iso_ms(value)


def _timestamp(value: str, types: PostgresTypes) -> str | None:
    return value if types.timestamp == "postgres" else _iso_ms(value)


def _date(value: str, types: PostgresTypes) -> str | None:
    return value if types.date == "text" else _iso_ms(value)


def _iso_ms(text: str) -> str | None:
    """What Postgres printed in UTC, as `Date.prototype.toISOString` (ECMA-262 21.4.4.36) writes it; None for infinity.

    Digits after the milliseconds are cut off, as a Date does. Years outside 0 to 9999 have a sign and six digits.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year = 1 - int(found[1]) if found[6] else int(found[1])
    spelled = f"{year:04d}" if 0 <= year <= _LAST_YEAR else f"{year:+07d}"
    milliseconds = (found[5] or "")[:3]
    return f"{spelled}-{found[2]}-{found[3]}T{found[4] or '00:00:00'}.{milliseconds:0<3}Z"


def _range(value: Any, types: PostgresTypes) -> str:
    if value.isempty:
        return "empty"
    lower, upper = (
        "" if bound is None else _quoted(str(_by_kind(bound, types))) for bound in (value.lower, value.upper)
    )
    return f"{'[' if value.lower_inc else '('}{lower},{upper}{']' if value.upper_inc else ')'}"


def _quoted(bound: str) -> str:
    """A bound as Postgres prints it: in quotes where a sign in it could be taken for one of the range (8.17.5)."""
    if bound and not re.search(r'[\s()\[\],"\\]', bound):
        return bound
    return '"{}"'.format(bound.replace("\\", "\\\\").replace('"', '""'))


_BY_TYPE: Mapping[str, Callable[[Any, PostgresTypes], Any]] = {
    "numeric": _numeric,
    "int8": _bigint,
    "float4": _real,
    "float8": _float,
    "json": _json,
    "jsonb": _json,
    "bytea": _bytea,
    "char": _char,
    "interval": _interval,
    "timestamptz": _timestamptz,
    "timestamp": _timestamp,
    "date": _date,
}
