"""The table of Postgres values, each row of it held against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from comparators.encode import dumps
from proxy.direct.parameters import ParameterError, convert
from proxy.direct.plans import PostgresTypes
from proxy.direct.postgres_binding import bound, settled
from proxy.direct.postgres_values import TEXT_TYPES, UnfitValueError, jsonable
from tests.direct.specs import parameter_of

BY_DEFAULT = PostgresTypes()
OTHER = PostgresTypes(
    numeric="number",
    bigint="number",
    timestamptz="postgres",
    timestamp="postgres",
    date="iso_ms",
    bytea="hex",
    interval="iso",
)
# an expression, its JSON by default, and (where it differs) with all options the other way
TABLE = [
    ("true", "true"),
    ("32767::int2", "32767"),
    ("-2147483648", "-2147483648"),
    ("9007199254740993", '"9007199254740993"', "9007199254740993"),
    ("count(*)", '"1"', "1"),
    ("12.30", '"12.30"', "12.30"),
    ("1e20::numeric", '"100000000000000000000"', "1E+20"),
    ("1e-10::numeric", '"0.0000000001"', "1E-10"),
    ("'NaN'::numeric", '"NaN"', "null"),
    ("'-Infinity'::numeric", '"-Infinity"', "null"),
    ("0.1::float4", "0.1"),
    ("0.1::float8", "0.1"),
    ("5::float8", "5"),
    ("-0.0::float8", "0"),
    ("1e21::float8", "1E+21"),
    ("'NaN'::float8", "null"),
    ("'Infinity'::float4", "null"),
    ("timestamptz '2024-02-29 12:00:00.123999+02'", '"2024-02-29T10:00:00.123Z"', '"2024-02-29 10:00:00.123999+00"'),
    ("timestamptz '2024-02-29 12:00:00.9995Z'", '"2024-02-29T12:00:00.999Z"', '"2024-02-29 12:00:00.9995+00"'),
    ("timestamp '2024-02-29 12:00:00'", '"2024-02-29T12:00:00.000Z"', '"2024-02-29 12:00:00"'),
    ("timestamp '0044-03-15 BC'", '"-000043-03-15T00:00:00.000Z"', '"0044-03-15 00:00:00 BC"'),
    ("timestamp '0001-01-01 BC'", '"0000-01-01T00:00:00.000Z"', '"0001-01-01 00:00:00 BC"'),
    ("timestamp '12024-01-01'", '"+012024-01-01T00:00:00.000Z"', '"12024-01-01 00:00:00"'),
    ("timestamptz 'infinity'", "null", '"infinity"'),
    ("date '2024-02-29'", '"2024-02-29"', '"2024-02-29T00:00:00.000Z"'),
    ("date 'infinity'", '"infinity"', "null"),
    ("time '12:00:00.5'", '"12:00:00.5"'),
    ("interval '1 day 02:03:04.50'", '"1 day 02:03:04.5"', '"P1DT2H3M4.5S"'),
    ('\'{"b": 1.10, "a": [null, 12345678901234567890]}\'::jsonb', '{"a":[null,12345678901234567890],"b":1.10}'),
    ('\'{"a": 1, "a": 2}\'::json', '{"a":2}'),
    ("'null'::jsonb", "null"),
    ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'),
    ("'\\xdeadbeff'::bytea", '"3q2+/w=="', '"deadbeff"'),
    ("'é'::text", '"é"'),
    ("'x'::char(3)", '"x  "'),
    ("'x'::\"char\"", '"x"'),
    ("'so-so'::mood", '"so-so"'),
    ("'10.0.0.1/24'::inet", '"10.0.0.1/24"'),
    ("'10.0.0.0/8'::cidr", '"10.0.0.0/8"'),
    ("'::1'::inet", '"::1"'),
    ("'08:00:2b:01:02:03'::macaddr", '"08:00:2b:01:02:03"'),
    ("B'101'", '"101"'),
    ("point(1,2)", '"(1,2)"'),
    ("'a b'::tsvector", "\"'a' 'b'\""),
    ("ARRAY[1, NULL]", "[1,null]"),
    ("ARRAY[[1, 2], [3, 4]]", "[[1,2],[3,4]]"),
    ("'{}'::text[]", "[]"),
    ("ARRAY[9007199254740993]", '["9007199254740993"]', "[9007199254740993]"),
    ("ARRAY['happy', NULL]::mood[]", '["happy",null]'),
    ("ARRAY[timestamptz '2024-02-29 12:00Z']", '["2024-02-29T12:00:00.000Z"]', '["2024-02-29 12:00:00+00"]'),
    ("ARRAY['{\"a\": 1.0}'::jsonb]", '[{"a":1.0}]'),
    ("int4range(1, 5)", '"[1,5)"'),
    ("int4range(5, 5)", '"empty"'),
    ("numrange(NULL, 1.5, '(]')", '"(,1.5]"'),
    ("int4multirange(int4range(1, 2), int4range(5, 6))", '["[1,2)","[5,6)"]'),
    ("ROW(1, 'a')::pair", '{"a":1,"b":"a"}'),
    ("ROW(1, 'a')", '[1,"a"]'),
    ("'pg_class'::regclass", '"pg_class"'),
    ("12.5::money", '"$12.50"'),
    ("NULL::int8", "null"),
    ("'1'::whole", "1"),
]
SCHEMA = """
CREATE TYPE mood AS ENUM ('happy', 'so-so');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN whole AS int CHECK (VALUE > 0);
"""


@pytest.fixture
async def connection(pg_database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(pg_database, server_settings={"TimeZone": "UTC", "DateStyle": "ISO"})
    for name in TEXT_TYPES:
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")
    yield connection
    await connection.close()


async def test_the_table_is_what_a_server_gives(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.execute(SCHEMA)
    for expression, by_default, *other in TABLE:
        sql = f"SELECT {expression} AS x"
        pg_type = (await connection.prepare(sql)).get_attributes()[0].type.name
        value = await connection.fetchval(sql)
        assert dumps(jsonable(value, pg_type, BY_DEFAULT)) == by_default, expression
        assert dumps(jsonable(value, pg_type, OTHER)) == (other[0] if other else by_default), expression


INTERVALS = [
    "0",
    "1 year 2 mons 3 days 04:05:06.7",
    "-1 year",
    "1 day -00:00:01.5",
    "-4 hours",
    "14 mons",
    "0.000001 s",
    "100:00:00",
    "-1 mon +2 days",
    "1 year -1 day",
    "59 s",
    "-00:00:00.25",
    "-1 year -2 mons +3 days -04:05:06",
]


async def test_intervals_are_what_postgres_writes_as_iso(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    texts = [await connection.fetchval("SELECT $1::text::interval::text", text) for text in INTERVALS]
    await connection.execute("SET intervalstyle = 'iso_8601'")
    expected = [await connection.fetchval("SELECT $1::text::interval::text", text) for text in texts]
    assert [jsonable(text, "interval", OTHER) for text in texts] == expected
    assert jsonable("infinity", "interval", OTHER) == "infinity"


def test_json_that_nobody_can_take_is_an_error() -> None:
    with pytest.raises(UnfitValueError, match="more than"):
        jsonable("1" * 5000, "json", BY_DEFAULT)


@pytest.mark.parametrize(
    ("value", "pg_type", "given"),
    [
        (7, "int4", 7),
        (Decimal("7.0"), "int8", 7),
        (7, "numeric", Decimal(7)),
        (Decimal("0.1"), "float8", 0.1),
        (Decimal("0.1"), "float4", "0.1"),
        (True, "text", "true"),
        (7, "text", "7"),
        ("{}", "jsonb", '"{}"'),
        (True, "jsonb", "true"),
        (Decimal("1.50"), "json", "1.50"),
        ([1, None], "int4[]", [1, None]),
        (None, "int4", None),
    ],
)
def test_what_is_bound(value: Any, pg_type: str, given: Any) -> None:
    found = bound(value, pg_type)
    assert (found, type(found)) == (given, type(given))


@pytest.mark.parametrize(
    ("value", "pg_type"),
    [
        (2**31, "int4"),
        (-(2**15) - 1, "int2"),
        (Decimal("0.5"), "int8"),
        (Decimal("1e39"), "float4"),
        (Decimal("1e999"), "float8"),
    ],
)
def test_numbers_that_a_type_does_not_hold(value: Any, pg_type: str) -> None:
    with pytest.raises(ParameterError):
        bound(value, pg_type)


def test_types_that_are_settled() -> None:
    auto = parameter_of("query.x")
    assert [settled(auto, each)[1] for each in ("int8", "numeric", "timestamptz", "uuid", "text", "inet")] == [
        "int",
        "number",
        "timestamp",
        "uuid",
        "text",
        "text",
    ]
    parameter, kind = settled(auto, "uuid[]")
    assert (parameter.is_list, kind) == (True, "uuid")
    assert settled(auto, "mood", builtin=False)[1] == "text"
    moment = parameter_of({"from": "query.x", "type": "date"})
    assert settled(moment, "timestamptz")[1] == "date"
    assert bound(convert(moment, ["2024-02-29"], "date"), "timestamptz") == "2024-02-29 00:00:00+00"
    for kind, pg_type in (("text", "int4"), ("bool", "int4"), ("uuid", "int4"), ("object_id", "uuid"), ("int", "bool")):
        with pytest.raises(ParameterError, match="Postgres wants"):
            settled(parameter_of({"from": "query.x", "type": kind}), pg_type)
    for pg_type in ("bytea", "int4range", "record"):
        with pytest.raises(ParameterError, match="write a cast"):
            settled(auto, pg_type)
