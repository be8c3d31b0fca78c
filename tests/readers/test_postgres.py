"""PostgresReader against a real Postgres: what it answers, and that nothing gets out of its parameters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from comparators.ids import IdTable
from proxy.demo.servers import PostgresServer
from proxy.direct.sql_tokens import StatementError
from proxy.errors import ShadowreadError
from proxy.model import ReadRequest, Side
from proxy.readers.postgres import PostgresStore
from tests.conftest import administer
from tests.readers.postgres_support import (
    ANN,
    BOB,
    BY_ID,
    LEGACY_ANN,
    LEGACY_TWICE,
    NOBODY,
    SCHEMA,
    ask,
    joined,
    plan_of,
    reader_of,
    store_of,
    value,
)


@pytest.fixture(scope="module")
def users(pg_server: PostgresServer, pg_template: str) -> Iterator[str]:
    """The DSN of a database with users and their orders. The tests of this module only read it."""
    administer(pg_server, f"CREATE DATABASE direct_users TEMPLATE {pg_template} STRATEGY file_copy")
    dsn = pg_server.dsn("direct_users")
    with asyncio.Runner() as runner:
        runner.run(run(dsn, SCHEMA))
    yield dsn
    administer(pg_server, "DROP DATABASE direct_users WITH (FORCE)")


async def run(dsn: str, statement: str) -> None:
    """A write that is not the reader's."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_row_is_laid_out_with_its_children(users: str) -> None:
    plan = plan_of(
        {
            "user": ("SELECT * FROM users WHERE id = $1", ["path.id"]),
            "orders": ("SELECT * FROM orders WHERE user_id = $1 ORDER BY id", ["path.id"]),
        },
        shape={
            "success": True,
            "user": {
                "one": "user",
                "fields": {
                    "*": "camel",
                    "orders": {"many": "orders", "fields": {"no": "id"}, "by": {"user_id": "id"}},
                },
            },
            "sum": {"sum": "orders.total"},
            "asked": {"param": 1},
        },
    )
    seen = await ask(users, plan)
    assert seen.headers == ((b"Content-Type", b"application/json; charset=utf-8"),)
    assert (seen.side, seen.status, seen.error, seen.detail) == (Side.SHADOW, 200, None, "")
    assert seen.seconds > 0
    assert seen.body is not None
    assert b'"pi":3.140' in seen.body, "every digit of a JSON number is kept"
    assert json.loads(seen.body) == {
        "success": True,
        "user": {
            "id": ANN,
            "name": "Ann",
            "age": 30,
            "mood": "happy",
            "balance": "12.30",
            "points": "9007199254740993",
            "tags": ["a", "b"],
            "profile": {"pi": 3.14, "n": None},
            "born": "1990-02-28",
            "createdAt": "2024-02-29T10:00:00.123Z",
            "orders": [{"no": 1}, {"no": 2}],
        },
        "sum": 0.3,
        "asked": ANN,
    }


async def test_no_row_is_the_configured_not_found(users: str) -> None:
    plan = plan_of(BY_ID, ["path.id"], {"one": "rows", "fields": "*"})
    seen = await ask(users, plan, f"/api/users/{NOBODY}")
    assert (seen.status, seen.body, seen.error) == (404, b'{"success":false}', None)


async def test_types_of_parameters_are_those_of_the_statement(users: str) -> None:
    sql = """SELECT $1::int AS int, $2::numeric AS numeric, $3::bool AS bool, $4::date AS date, $5::timestamptz AS at,
             $6::uuid[] AS ids, $7::text AS text, $8::int8 AS lim, $9::float8 AS float, $10::jsonb AS json,
             $11::mood AS mood, $12::timestamp AS ts, $13::float4 AS real, $14::text[] AS texts, $15::inet AS ip"""
    names = ["i", "n", "b", "d", "at", "ids", "t", {"from": "query.limit", "default": 20}, "f", "j", "m", "ts", "r"]
    params = [f"query.{name}" if isinstance(name, str) else name for name in [*names, "tt", "ip"]]
    query = (
        f"i=-7&n=0.10&b=1&d=2024-02-29&at=2024-02-29T12:00:00.5%2B02:00&ids={ANN},{BOB}&t=%27;drop&f=0.1&j=%7B%7D"
        "&m=so-so&ts=2024-01-01&r=0.1&tt=a&tt=b&ip=10.0.0.1"
    )
    (row,) = await value(users, plan_of(sql, params), f"/api/users/x?{query}")
    assert row == {
        "int": -7,
        "numeric": "0.10",
        "bool": True,
        "date": "2024-02-29",
        "at": "2024-02-29T10:00:00.500Z",
        "ids": [ANN, BOB],
        "text": "';drop",
        "lim": "20",
        "float": 0.1,
        "json": "{}",
        "mood": "so-so",
        "ts": "2024-01-01T00:00:00.000Z",
        "real": 0.1,
        "texts": ["a", "b"],
        "ip": "10.0.0.1",
    }


async def test_a_missing_parameter_is_null(users: str) -> None:
    plan = plan_of("SELECT $1::int AS a, $2::text AS b", ["query.a", "header.x-b"])
    assert await value(users, plan, "/api/users/x?a=") == [{"a": None, "b": None}]


@pytest.mark.parametrize(
    ("cast", "given"),
    [
        ("int", "1.5"),
        ("int", "2147483648"),
        ("int2", "32768"),
        ("int8", "9223372036854775808"),
        ("int", "1;"),
        ("int", "0x10"),
        ("numeric", "NaN"),
        ("numeric", "1e9999"),
        ("float4", "1e39"),
        ("float8", "1e400"),
        ("bool", "yes"),
        ("date", "2023-02-29"),
        ("date", "now"),
        ("timestamptz", "infinity"),
        ("uuid", "x"),
        ("uuid[]", f"{ANN},x"),
        ("text", "a%00b"),
        ("text", "a" * 9000),
        ("mood", "sad"),
        ("inet", "10.0.0.1;"),
    ],
)
async def test_what_does_not_fit_is_the_configured_invalid(users: str, cast: str, given: str) -> None:
    seen = await ask(users, plan_of(f"SELECT $1::{cast} AS x", ["query.x"]), f"/api/users/x?x={given}")
    assert (seen.status, seen.body, seen.error) == (422, b'{"error":"bad"}', None), seen
    assert seen.detail


HOSTILE = [
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    "1); DELETE FROM users; --",
    '{"$gt": ""}',
    "$1",
    "$$; DROP TABLE users; $$",
    "\\'; DROP TABLE users; --",
    "E'\\x27'",
    "%",
    "Ann' --",
    "/*",
    "\u02bc; drop",
    "\ufeff'",
    "😀'",
    "NULL",
    "{a,b}",
]


def scrambled(count: int) -> Iterator[str]:
    """Texts of what has a meaning to Postgres, to its protocol or to JSON, in any order; the same ones every time."""
    chance = Random(4)
    parts = [*"'\"$;\\-/*(){}[]:%,\t\n\r ", "--", "$$", "$1", "E'", "\x01", "é", "😀", " OR ", "DROP TABLE users"]
    for _ in range(count):
        yield "x" + "".join(chance.choices(parts, k=chance.randint(1, 12))) + "x"


async def test_hostile_texts_are_only_ever_values(users: str) -> None:
    plan = plan_of("SELECT name, $1::text AS said FROM users WHERE name = $1", ["path.id"])
    echo = plan_of("SELECT $1::text AS said, $2::text[] AS list", ["path.id", {"from": "query.x", "list": True}])
    async with store_of(users) as store:
        by_name, said = reader_of(store, plan), reader_of(store, echo)
        for text in [*HOSTILE, *scrambled(200)]:
            request = ReadRequest("GET", f"/api/users/{quote(text, safe='')}?x={quote(text, safe='')}", ())
            seen = await by_name.read(request, 5)
            assert (seen.status, seen.body) == (200, b"[]"), text
            seen = await said.read(request, 5)
            assert seen.body is not None
            assert json.loads(seen.body)[0]["said"] == text
            assert json.loads(seen.body)[0]["list"] == [part.strip() for part in text.split(",") if part.strip()]
    assert len(await value(users, plan_of("SELECT id FROM users"))) == 2
    assert await value(users, plan, "/api/users/%27;%20drop%20table%20users") == [
        {"name": "'; drop table users", "said": "'; drop table users"}
    ]


async def test_an_operator_of_the_query_string_is_no_value_at_all(users: str) -> None:
    plan = plan_of("SELECT name FROM users WHERE name = $1", ["query.name"])
    assert await value(users, plan, "/api/users/x?name[$gt]=") == []
    assert await value(users, plan, "/api/users/x?name=Ann&name=x") == [{"name": "Ann"}]


async def test_ids_of_the_other_store_are_put_as_their_partners_in_one_look_up(users: str) -> None:
    looked_up: list[set[str]] = []

    async def resolve(ids: set[str]) -> IdTable:
        looked_up.append(ids)
        return await joined(ids)

    user = {"from": "query.more", "entity": "user"}
    plan = plan_of(
        {
            "rows": ("SELECT name FROM users WHERE id = $1", ["path.id"]),
            "more": ("SELECT name FROM users WHERE id = ANY($1) ORDER BY name", [user]),
            "text": ("SELECT $1::text AS t WHERE $2::uuid[] IS NOT NULL", ["path.id", user]),
            "legacy": ("SELECT $1::text AS t", [{"from": "query.uuid", "type": "object_id"}]),
        },
        shape={
            "rows": {"many": "rows"},
            "more": {"many": "more"},
            "t": {"value": "text.t"},
            "l": {"value": "legacy.t"},
        },
    )
    async with store_of(users) as store:
        reader = reader_of(store, plan, resolve=resolve)
        target = f"/api/users/{LEGACY_ANN.upper()}?more={LEGACY_TWICE},{'c' * 24}&uuid={BOB}"
        seen = await reader.read(ReadRequest("GET", target, ()), 5)
        assert seen.body is not None, seen
        assert json.loads(seen.body) == {
            "rows": [{"name": "Ann"}],
            "more": [{"name": "Ann"}],
            "t": LEGACY_ANN.upper(),
            "l": LEGACY_TWICE,
        }
        assert seen.detail == f"id {'c' * 24} is not in the id map"
        assert looked_up == [{LEGACY_ANN, LEGACY_TWICE, "c" * 24, BOB}]
        seen = await reader.read(ReadRequest("GET", f"/api/users/{LEGACY_TWICE}", ()), 5)
        assert seen.body is not None
        assert json.loads(seen.body)["rows"] == []
        assert seen.detail == f"id {LEGACY_TWICE} is joined to several ids in the id map"


async def test_an_id_map_that_cannot_be_asked_is_an_error_of_the_read(users: str) -> None:

    async def away(_: set[str]) -> IdTable:
        raise ShadowreadError("the id map is away")

    async with store_of(users) as store:
        reader = reader_of(store, plan_of(BY_ID, ["path.id"]), resolve=away)
        seen = await reader.read(ReadRequest("GET", f"/api/users/{LEGACY_ANN}", ()), 5)
    assert (seen.status, seen.error, seen.detail) == (None, "unreachable", "the id map is away")


async def test_all_statements_of_a_read_see_one_moment(users: str) -> None:
    """What is written between two statements of one read is seen by neither."""
    plan = plan_of(
        {"a": ("SELECT count(*)::int AS n FROM orders", ()), "b": ("SELECT count(*)::int AS n FROM orders", ())}
    )
    async with store_of(users) as store:
        async with store._transaction(5) as connection:
            first = await connection.fetchval(plan.statements[0].sql)
            await run(users, "INSERT INTO orders VALUES (9)")
            assert await connection.fetchval(plan.statements[1].sql) == first
            assert await connection.fetchval("SHOW transaction_read_only") == "on"
            assert await connection.fetchval("SHOW application_name") == "shadowread"
            assert await connection.fetchval("SHOW lock_timeout") == "500ms"
            assert await connection.fetchval("SHOW statement_timeout") == "2s"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with store._transaction(5) as connection:
                await connection.execute("DELETE FROM orders")
        async with store._transaction(0.25) as connection:
            assert await connection.fetchval("SHOW statement_timeout") == "250ms", "no longer than anyone waits"


async def test_statements_are_proved_with_their_types(users: str) -> None:
    async with store_of(users) as store:
        (proved,) = await store.prepare(
            plan_of("SELECT id, tags FROM users WHERE id = $1 LIMIT $2", ["path.id", "query.n"])
        )
    assert proved.parameters == ("uuid", "int8")
    assert proved.columns == (("id", "uuid"), ("tags", "text[]"))


@pytest.mark.parametrize(
    ("sql", "params", "said"),
    [
        ("SELECT pg_sleep(9)", [], "function pg_sleep is volatile"),
        ("SELECT pg_catalog.pg_sleep (9)", [], "function pg_sleep is volatile"),
        ('SELECT "pg_sleep"(9)', [], "function pg_sleep is volatile"),
        ("SELECT pg_sleep/**/(9)", [], "function pg_sleep is volatile"),
        ("SELECT random()", [], "function random is volatile"),
        ("SELECT set_config('transaction_read_only', 'off', false)", [], "function set_config is volatile"),
        ("SELECT nextval('x')", [], "function nextval is volatile"),
        ("SELECT noisy(name) FROM users", [], "function noisy is volatile"),
        ("SELECT calm(name) FROM users", [], "function calm is volatile"),
        ("SELECT users.secret FROM users", [], "function secret is volatile"),
        ("SELECT age === 1 FROM users", [], "operator === is volatile"),
        ("SELECT $$a$$ AS a, pg_sleep(1), $$b$$ AS b", [], "function pg_sleep is volatile"),
        ("SELECT 1; DROP TABLE users", [], "line 1, column 9: a second statement"),
        ("WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone", [], "DELETE is not run"),
        ("SELECT name FROM users WHERE id = $1", [], "has 1 parameters"),
        ("SELECT name FROM users", ["path.id"], "has 0 parameters"),
        ("SELECT nam FROM users", [], 'line 1, column 8: column "nam" does not exist'),
        ("SELECT name FROM nobody", [], 'relation "nobody" does not exist'),
        ("SELECT name FROM users WHERE age = $1", [{"from": "path.id", "type": "text"}], "Postgres wants int4"),
        ("SELECT name FROM users WHERE age = $1", [{"from": "path.id", "list": True}], "write = ANY"),
        ("SELECT name FROM users WHERE age = $1", [{"from": "path.id", "default": "x"}], "not an integer"),
        ("SELECT name FROM users WHERE age = $1", [{"from": "path.id", "default": 2**40}], "no integer of 32 bits"),
        ("SELECT name FROM users WHERE $1::bytea = '1'", ["path.id"], "a bytea is not taken"),
        ("SELECT 1 AS a, 2 AS a", [], "two columns are called a"),
        ("SELECT tstzrange(now(), NULL)", [], 'cannot decode type "pg_catalog"."tstzrange"; cast it to text'),
        ("SELECT users FROM users", [], "to_jsonb"),
    ],
)
async def test_what_is_refused_at_start(users: str, sql: str, params: Sequence[Any], said: str) -> None:
    plan = plan_of(sql, params)
    async with store_of(users) as store:
        with pytest.raises(StatementError) as refused:
            await store.prepare(plan)
        assert said in str(refused.value)
        assert "statement rows: " in str(refused.value)
        seen = await reader_of(store, plan).read(ReadRequest("GET", "/api/users/x", ()), 5)
    assert (seen.status, seen.error) == (None, "statement"), "nor is it run when nobody proved it before"


async def test_a_shape_that_wants_what_is_not_there_is_refused(users: str) -> None:
    async with store_of(users) as store:
        with pytest.raises(StatementError, match="no column nick; it has name"):
            await store.prepare(plan_of("SELECT name FROM users", shape={"many": "rows", "fields": ["nick"]}))
        with pytest.raises(StatementError, match="no statement other"):
            await store.prepare(plan_of("SELECT name FROM users", shape={"many": "other"}))


async def test_data_that_cannot_be_computed_is_an_error_and_is_not_repeated(users: str) -> None:
    seen = await ask(users, plan_of("SELECT name::int AS n FROM users"))
    assert (seen.status, seen.error) == (None, "statement")
    assert seen.detail == 'statement: invalid input syntax for type integer: "…"'
    assert (await ask(users, plan_of("SELECT 1 / 0 AS n"))).error == "statement"
    seen = await ask(users, plan_of("SELECT $1::mood AS m", ["header.x"]), "/api/users/x", (b"X", b"top secret"))
    assert (seen.status, "secret" in seen.detail) == (422, False)
    seen = await ask(users, plan_of("SELECT $1::int AS m", ["header.x"]), "/api/users/x", (b"X", b"top secret"))
    assert (seen.status, seen.detail) == (422, "header.x: not an integer of 64 bits")


async def test_rows_and_bodies_are_capped(users: str) -> None:
    series = plan_of("SELECT n FROM generate_series(1, $1::int) AS n", ["path.id"])
    wide = plan_of("SELECT repeat('x', 100000) AS x FROM generate_series(1, $1::int)", ["path.id"])
    async with store_of(users, max_bytes=5_000_000) as store:
        reader = reader_of(store, series)
        seen = await reader.read(ReadRequest("GET", "/api/users/10000", ()), 5)
        assert seen.body is not None
        assert [row["n"] for row in json.loads(seen.body)] == list(range(1, 10_001))
        for plan, count, option in ((series, 10_001, {}), (wide, 51, {}), (wide, 3, {"max_body": 299_999})):
            reader = reader_of(store, plan, **option)
            seen = await reader.read(ReadRequest("GET", f"/api/users/{count}", ()), 5)
            assert (seen.status, seen.body, seen.error) == (None, None, "too_large")


async def test_a_plan_is_explained_without_being_run(users: str) -> None:
    async with store_of(users) as store:
        reader = reader_of(store, plan_of(BY_ID, ["path.id"]))
        ((proved, explained),) = await reader.explain(ReadRequest("GET", f"/api/users/{LEGACY_ANN}", ()), 5)
    assert proved.name == "rows"
    assert json.loads(explained)[0]["Plan"]["Node Type"] in ("Index Scan", "Seq Scan", "Bitmap Heap Scan")


async def test_a_store_that_was_not_started_says_so() -> None:
    seen = await reader_of(PostgresStore("postgresql://x"), plan_of(BY_ID, ["path.id"])).read(
        ReadRequest("GET", "/api/users/x", ()), 1
    )
    assert (seen.error, "not started" in seen.detail) == ("unreachable", True)
