"""A real Postgres with users and their orders, and readers of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from comparators.ids import IdPair, IdTable
from proxy.direct.plans import Answer, PostgresPlan, PostgresTypes, StatementPlan
from proxy.direct.shape import compile_shape
from proxy.model import Observation, ReadRequest, Side
from proxy.readers.postgres import PostgresReader, PostgresStore
from tests.direct.specs import parameter_of

Writer: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
ANN, BOB, NOBODY = (f"00000000-0000-4000-8000-{n:012x}" for n in (1, 2, 3))
LEGACY_ANN, LEGACY_TWICE = "a" * 24, "b" * 24
PAIRS = [IdPair("user", LEGACY_ANN, ANN), IdPair("user", LEGACY_TWICE, ANN), IdPair("shop", LEGACY_TWICE, BOB)]
ROUTE = "GET /api/users/{id}"
SCHEMA = """
CREATE TYPE mood AS ENUM ('happy', 'so-so');
CREATE TABLE users (id uuid PRIMARY KEY, name text NOT NULL, age int, mood mood, balance numeric, points bigint,
  tags text[], profile jsonb, born date, created_at timestamptz);
INSERT INTO users VALUES
  ('00000000-0000-4000-8000-000000000001', 'Ann', 30, 'happy', 12.30, 9007199254740993, '{a,b}',
   '{"pi": 3.140, "n": null}', '1990-02-28',
   '2024-02-29 12:00:00.123999+02'),
  ('00000000-0000-4000-8000-000000000002', '''; drop table users', 40, 'so-so', NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE orders (id int PRIMARY KEY, user_id uuid, total numeric);
INSERT INTO orders VALUES
  (1, '00000000-0000-4000-8000-000000000001', 0.1), (2, '00000000-0000-4000-8000-000000000001', 0.2),
  (3, '00000000-0000-4000-8000-000000000002', 5);
CREATE FUNCTION noisy(text) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT $1 $$;
CREATE FUNCTION calm(text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT $1 $$;
CREATE FUNCTION calm(int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT $1 $$;
CREATE FUNCTION secret(users) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'x' $$;
CREATE FUNCTION loud(int, int) RETURNS bool LANGUAGE sql VOLATILE AS $$ SELECT $1 = $2 $$;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = loud);
"""


async def joined(ids: set[str]) -> IdTable:
    return IdTable.of(pair for pair in PAIRS if {pair.legacy, pair.uuid} & ids)


def plan_of(
    statements: str | Mapping[str, tuple[str, Sequence[Any]]],
    params: Sequence[Any] = (),
    shape: Any = None,
    route: str = ROUTE,
    types: PostgresTypes | None = None,
) -> PostgresPlan:
    named = {"rows": (statements, params)} if isinstance(statements, str) else statements
    return PostgresPlan(
        route=route,
        statements=tuple(
            StatementPlan(name, sql, tuple(parameter_of(each) for each in specs))
            for name, (sql, specs) in named.items()
        ),
        shape=compile_shape(shape),
        types=types or PostgresTypes(),
        not_found=Answer(404, {"success": False}),
        invalid=Answer(422, {"error": "bad"}),
    )


@asynccontextmanager
async def store_of(dsn: str, **options: Any) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(dsn, **options)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


def reader_of(store: PostgresStore, plan: PostgresPlan, **options: Any) -> PostgresReader:
    return PostgresReader(store, plan, Side.SHADOW, options.pop("resolve", joined), **options)


async def ask(
    dsn: str, plan: PostgresPlan, target: str = f"/api/users/{ANN}", *fields: tuple[bytes, bytes]
) -> Observation:
    async with store_of(dsn) as store:
        return await reader_of(store, plan).read(ReadRequest("GET", target, fields), 5)


async def value(dsn: str, plan: PostgresPlan, target: str = f"/api/users/{ANN}") -> Any:
    seen = await ask(dsn, plan, target)
    assert (seen.status, seen.error) == (200, None), seen
    assert seen.body is not None
    return json.loads(seen.body)


BY_ID = "SELECT id, name FROM users WHERE id = $1"
