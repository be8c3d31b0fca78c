"""BSON as Mongoose prints it. The expected texts were printed by Mongoose 8.24 itself, from the very same bytes."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from comparators.encode import dumps
from proxy.direct.bson_undefined import without_undefined
from proxy.direct.mongo_values import iso, jsonable, number
from tests.comparators.stores import DOCUMENT, RARE, mongoose

OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
DEVICE = "f3b9c2de-0a1b-4c2d-8e3f-9a8b7c6d5e4f"
PRINTED = [
    (ObjectId("65f1a2b3c4d5e6f708192a01"), '"65f1a2b3c4d5e6f708192a01"'),
    (5.0, "5"),
    (-0.0, "0"),
    (0.1 + 0.2, "0.30000000000000004"),
    (1e-6, "0.000001"),
    (1e-7, "1e-7"),
    (5e-324, "5e-324"),
    (1e20, "100000000000000000000"),
    (123456789012345680000.0, "123456789012345680000"),
    (1e21, "1e+21"),
    (-1.5e300, "-1.5e+300"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (float("nan"), "null"),
    (float("inf"), "null"),
    (float("-inf"), "null"),
    (-(2**31), "-2147483648"),
    (Int64(5), "5"),
    (Int64(2**53), "9007199254740992"),
    (Decimal128("12.50"), '{"$numberDecimal":"12.50"}'),
    (Decimal128("0E-18"), '{"$numberDecimal":"0E-18"}'),
    (Decimal128("-0"), '{"$numberDecimal":"-0"}'),
    (Decimal128("NaN"), '{"$numberDecimal":"NaN"}'),
    (Decimal128("-Infinity"), '{"$numberDecimal":"-Infinity"}'),
    (Decimal128("9.999999999999999999999999999999999E+6144"),
     '{"$numberDecimal":"9.999999999999999999999999999999999E+6144"}'),
    (datetime(2026, 1, 15, 20, 43, 5, 780000, UTC), '"2026-01-15T20:43:05.780Z"'),
    (datetime(1960, 1, 1, tzinfo=UTC), '"1960-01-01T00:00:00.000Z"'),
    (DatetimeMS(253402300800000), '"+010000-01-01T00:00:00.000Z"'),
    (DatetimeMS(-62198755200000), '"-000001-01-01T00:00:00.000Z"'),
    (DatetimeMS(-62135596800001), '"0000-12-31T23:59:59.999Z"'),
    (DatetimeMS(-62167219200000), '"0000-01-01T00:00:00.000Z"'),
    (DatetimeMS(8640000000000000), '"+275760-09-13T00:00:00.000Z"'),
    (DatetimeMS(8640000000000001), "null"),
    (b"\xde\xad\xbe\xef", '"3q2+7w=="'),
    (b"", '""'),
    (Binary(b"\x01\x02", 2), '"AQI="'),
    (Binary(uuid.UUID(DEVICE).bytes, 3), '"87nC3gobTC2OP5qLfG1eTw=="'),
    (Binary(uuid.UUID(DEVICE).bytes, 4), f'"{DEVICE}"'),
    (Binary(b"\x01\x02", 4), '"AQI="'),
    (Binary(b"0123456789abcdef", 5), '"MDEyMzQ1Njc4OWFiY2RlZg=="'),
    (Binary(b"\x27\x00\x01\x00\x00\x00", 9), '"JwABAAAA"'),
    (Binary(b"\x01", 128), '"AQ=="'),
    (Timestamp(1768509785, 3), '{"$timestamp":"7595691689230991363"}'),
    (Timestamp(2**32 - 1, 2**32 - 1), '{"$timestamp":"18446744073709551615"}'),
    (Regex("^a", "imsx"), "{}"),
    (MinKey(), "{}"),
    (MaxKey(), "{}"),
    (Code("x => 1"), '{"code":"x => 1"}'),
    (Code("f", {}), '{"code":"f","scope":{}}'),
    (Code("x", {"n": 1.0}), '{"code":"x","scope":{"n":1}}'),
    (DBRef("users", ObjectId("65f1a2b3c4d5e6f708192a02")), '{"$ref":"users","$id":"65f1a2b3c4d5e6f708192a02"}'),
    (DBRef("u", 1, "db", extra=2), '{"$ref":"u","$id":1,"extra":2,"$db":"db"}'),
    ({"$ref": "x"}, '{"$ref":"x"}'),
    ([None, float("nan"), {"a": None}], '[null,null,{"a":null}]'),
    ("a\u2028\u0001\U0001f600\x7f", '"a\u2028\\u0001\U0001f600\x7f"'),
]  # fmt: skip
"""Each value with what `JSON.stringify` of a Mongoose document printed for it."""


@pytest.mark.parametrize(("value", "printed"), PRINTED, ids=[printed for _, printed in PRINTED])
def test_as_mongoose_prints(value: Any, printed: str) -> None:
    stored = bson.decode(bson.encode({"v": value}), OPTIONS)["v"]
    assert dumps(jsonable(stored)) == printed


@pytest.mark.parametrize(
    ("value", "printed"),
    [(Int64(2**53 + 1), "9007199254740993"), (Int64(-(2**63)), "-9223372036854775808"), ({"e": {}}, '{"e":{}}')],
)
def test_what_is_told_as_stored_where_a_schema_would_change_it(value: Any, printed: str) -> None:
    assert dumps(jsonable(value)) == printed


def test_a_date_before_1970_with_parts_of_a_millisecond_and_another_zone() -> None:
    assert jsonable(datetime(1969, 12, 31, 23, 59, 59, 999_999)) == "1969-12-31T23:59:59.999Z"  # noqa: DTZ001 - as PyMongo may give it
    there = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert jsonable(there) == "2025-12-31T20:00:00.000Z"


@pytest.mark.parametrize("document", [DOCUMENT, RARE], ids=["usual", "rare"])
def test_whole_documents(document: dict[str, Any]) -> None:
    """Against the printer that the comparison is tested with, but for the numbers it rounds."""
    exact = {key: value for key, value in document.items() if key != "big"}
    encoded = bson.encode(
        exact, codec_options=CodecOptions(uuid_representation=bson.binary.UuidRepresentation.STANDARD)
    )
    assert json.loads(dumps(jsonable(bson.decode(encoded, OPTIONS)))) == json.loads(mongoose(exact))


def test_all_days_of_four_centuries_are_the_calendars_days() -> None:
    first = datetime(1800, 1, 1, tzinfo=UTC)
    epoch = (first - datetime(1970, 1, 1, tzinfo=UTC)).days
    for days in range(0, 146_097, 13):
        expected = (first + timedelta(days=days)).strftime("%Y-%m-%dT00:00:00.000Z")
        assert iso((epoch + days) * 86_400_000) == expected


def test_numbers_are_the_doubles_themselves() -> None:
    for value in (1 / 3, 2**53 + 2.0, 1e16, 1.1e19, 9.999999999999999e20, 2.5e-5):
        text = dumps(number(value))
        assert float(text) == value
        assert "E" not in text


def test_other_values_are_refused() -> None:
    with pytest.raises(TypeError, match="a object is no value of MongoDB"):
        jsonable([object()])


def element(kind: int, name: bytes, value: bytes) -> bytes:
    return bytes([kind]) + name + b"\x00" + value


def document(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return (len(body) + 5).to_bytes(4, "little") + body + b"\x00"


def test_undefined_is_left_out_of_objects_and_null_in_arrays() -> None:
    whole = bson.encode({**RARE, "device": None, "text": "\x06\x06", "six": 6, "sub": {"n": None, "l": [{}]}})
    gone = element(0x06, b"u", b"")
    pointer = element(0x0C, b"p", b"\x02\x00\x00\x00u\x00" + bytes(12))
    symbol = element(0x0E, b"s", b"\x02\x00\x00\x00a\x00")
    array = element(0x04, b"a", document(element(0x06, b"0", b""), element(0x10, b"1", b"\x06\x00\x00\x00")))
    inner = element(0x03, b"d", document(gone, element(0x0A, b"n", b""), gone))
    raw = document(gone, whole[4:-1], pointer, symbol, array, inner, gone)
    expected = bson.decode(whole, OPTIONS) | {
        "p": DBRef("u", ObjectId(bytes(12))),
        "s": "a",
        "a": [None, 6],
        "d": {"n": None},
    }
    assert bson.decode(without_undefined(raw), OPTIONS) == expected
    assert without_undefined(whole) == whole


@pytest.mark.parametrize(
    "raw",
    [
        document(element(0x06, b"u", b""), element(0x20, b"x", b"")),
        document(element(0x06, b"u", b""), element(0x02, b"x", b"\xff\xff\xff\x7fa\x00")),
        document(element(0x06, b"u", b""))[:-3],
        b"\x06",
    ],
)
def test_broken_bson_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"BSON|document|section"):
        without_undefined(raw)


def test_undefined_under_too_many_levels_is_refused() -> None:
    raw = document(element(0x06, b"u", b""))
    for _ in range(250):
        raw = document(element(0x03, b"d", raw))
    with pytest.raises(ValueError, match="deeper than 200"):
        without_undefined(raw)
