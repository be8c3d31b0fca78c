"""Verification without a twin: Postgres read by SQL, against a backend or against MongoDB with no backend at all."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from bson import Decimal128, ObjectId
from motor.motor_asyncio import AsyncIOMotorClient

from proxy.demo.processes import Supervisor
from proxy.demo.servers import PostgresServer, start_postgres
from proxy.model import Verdict
from proxy.settings import Settings
from tests.e2e.backends import backend, fetch, response
from tests.e2e.conftest import Proxy, running, settings

DATABASE = "shadowread_direct"
LEGACY = [f"65f1a2b3c4d5e6f7081900{n:02x}" for n in range(1, 9)]
UUID = [f"00000000-0000-4000-8000-0000000000{n:02x}" for n in range(1, 9)]
SCHEMA = """
CREATE TABLE things (id uuid PRIMARY KEY, legacy_object_id char(24) NOT NULL, name text, price numeric(12,2),
  at timestamptz);
CREATE TABLE parts (id int PRIMARY KEY, thing_id uuid REFERENCES things, label text);
"""
SHAPE = {
    "success": True,
    "data": {
        "one": "rows",
        "fields": {
            "_id": "id", "name": "name", "price": "price", "at": "at",
            "parts": {"many": "parts", "fields": ["label"], "by": {"thing_id": "id"}},
        },
    },
}  # fmt: skip
POSTGRES: dict[str, Any] = {
    "statements": {
        "rows": {"sql": "SELECT id, name, price, at FROM things WHERE id = $1", "params": ["path.id"]},
        "parts": {"sql": "SELECT thing_id, label FROM parts WHERE thing_id = $1 ORDER BY id", "params": ["path.id"]},
    },
    "shape": SHAPE,
    "types": {"numeric": "text"},
    "headers": {"content-type": "application/json"},
    "not_found": {"status": 404, "body": {"success": False}},
}
ROW_BY_LEGACY = {
    "sql": "SELECT id, name, price, at FROM things WHERE id = $1 OR $2 = ''",
    "params": [{"from": "header.x-id", "type": "uuid", "default": UUID[0]}, {"from": "path.id", "type": "text"}],
}
MONGO: dict[str, Any] = {
    "collection": "things",
    "find": {"_id": "$1"},
    "params": [{"from": "path.id", "type": "object_id"}],
    "shape": {
        "success": True,
        "data": {
            "one": "rows",
            "fields": {
                "_id": "_id",
                "name": "name",
                "price": {"column": "price", "as": "text"},
                "at": "at",
                "parts": "parts",
            },
        },
    },
    "headers": {"content-type": "application/json"},
    "not_found": {"status": 404, "body": {"success": False}},
}


def thing(number: int, name: str = "a lamp") -> dict[str, Any]:
    """One thing as a backend on MongoDB serves it."""
    return {
        "_id": LEGACY[number], "name": name, "price": "12.50", "at": "2026-01-15T20:43:05.780Z",
        "parts": [{"label": "foot"}, {"label": "shade"}],
    }  # fmt: skip


async def fill(dsn: str, mongo_url: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(SCHEMA)
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url)
    collection = client[DATABASE]["things"]
    await collection.delete_many({})
    for number in range(4):
        one = thing(number)
        await connection.execute(
            "INSERT INTO things VALUES ($1, $2, $3, 12.50, '2026-01-15 20:43:05.78+00')",
            UUID[number], LEGACY[number], one["name"],
        )  # fmt: skip
        for place, part in enumerate(one["parts"]):
            await connection.execute(
                "INSERT INTO parts VALUES ($1, $2, $3)", 10 * number + place, UUID[number], part["label"]
            )
        document = {**one, "_id": ObjectId(LEGACY[number]), "price": Decimal128(Decimal("12.50"))}
        await collection.insert_one({**document, "at": datetime.fromisoformat(one["at"])})
    client.close()
    await connection.close()


def direct(folder: Path, dsn: str, primary: str | None, route: dict[str, Any], **more: Any) -> Settings:
    sources = [{"table": "things", "entity_name": "thing", "legacy": "legacy_object_id", "uuid": "id"}]
    made = {
        "primary": {"url": primary or "", "forwarded": "off"},
        "postgres": {"dsn": dsn, "connections": 2, "statement_timeout": 0.5},
        "ids": {"sources": sources},
        "domains": {"things": {"routes": [{"route": "GET /api/things/{id}", **route}]}},
    }
    return settings(folder, "", None, **{**made, **more})


@asynccontextmanager
async def verified(made: Settings) -> AsyncIterator[Proxy]:
    async with running(made) as proxy:
        yield proxy


async def verdict(proxy: Proxy, target: bytes, number: int) -> Verdict:
    """The verdict of one more request, the `number`th of its kind."""
    before = (await proxy.counts()).verdicts
    await fetch(proxy.url, target)
    after = (await proxy.until(lambda c: c.observed > sum(before.values()) and c.under_way == 0)).verdicts
    (found,) = {one for one in after if after[one] != before.get(one, 0)}
    assert sum(after.values()) == number
    return found


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that no other test uses."""
    with Supervisor() as supervisor:
        yield start_postgres(supervisor)


def processes_of(pid: int) -> list[int]:
    """The process and its children: a server and its connections."""
    children = [
        int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()
    ]
    return [pid, *children]


@pytest.fixture
async def stores(pg_database: str, mongo_url: str) -> tuple[str, str]:
    await fill(pg_database, mongo_url)
    return pg_database, mongo_url


async def test_a_backend_is_verified_by_sql(folder: Path, stores: tuple[str, str]) -> None:
    dsn, _ = stores
    things = {number: thing(number) for number in range(4)}
    things[1]["parts"][1]["label"] = "shadow"

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        wanted = head.split(b" ")[1].rpartition(b"/")[2].decode()
        found = [one for one in things.values() if one["_id"] == wanted]
        body = {"success": True, "data": found[0]} if found else {"success": False}
        answer = response(json.dumps(body).encode())
        writer.write(answer if found else answer.replace(b"200 OK", b"404 Not Found"))

    async with (
        backend(script) as primary,
        verified(direct(folder, dsn, primary, {"shadow": {"postgres": POSTGRES}})) as proxy,
    ):
        assert await verdict(proxy, b"/api/things/" + LEGACY[0].encode(), 1) is Verdict.MATCH
        assert await verdict(proxy, b"/api/things/" + LEGACY[1].encode(), 2) is Verdict.DIFF
        # Neither side has it: 404 on both.
        assert await verdict(proxy, b"/api/things/" + LEGACY[7].encode(), 3) is Verdict.MATCH
        (finding,) = await proxy.application.ledger.findings("things")
        assert finding.path == "$.data.parts[*].label"


async def test_two_readers_and_no_backend(folder: Path, stores: tuple[str, str]) -> None:
    dsn, mongo_url = stores
    more = {"mongo": {"url": mongo_url, "database": DATABASE}}
    route = {"primary": {"mongo": MONGO}, "shadow": {"postgres": POSTGRES}}
    async with verified(direct(folder, dsn, None, route, **more)) as proxy:
        answer = await fetch(proxy.url, b"/api/things/" + LEGACY[2].encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert json.loads(body) == {"success": True, "data": thing(2)}
        await proxy.until(lambda c: c.verdicts == {Verdict.MATCH: 1})
        assert (await fetch(proxy.url, b"/api/things/" + LEGACY[7].encode())).startswith(b"HTTP/1.1 404 ")
        await proxy.until(lambda c: c.verdicts == {Verdict.MATCH: 2})
        assert (await fetch(proxy.url, b"/elsewhere")).startswith(b"HTTP/1.1 404 ")
        connection = await asyncpg.connect(dsn)
        await connection.execute("UPDATE things SET price = 12.51 WHERE id = $1", UUID[2])
        await connection.close()
        assert await verdict(proxy, b"/api/things/" + LEGACY[2].encode(), 3) is Verdict.DIFF


async def test_what_the_caller_sends_stays_a_value(folder: Path, stores: tuple[str, str]) -> None:
    dsn, mongo_url = stores
    more = {"mongo": {"url": mongo_url, "database": DATABASE}}
    route = {"primary": {"mongo": MONGO}, "shadow": {"postgres": POSTGRES}}
    async with verified(direct(folder, dsn, None, route, **more)) as proxy:
        for tried in (b"%7B%22$gt%22:%22%22%7D", b"';drop%20table%20things;--", b"%00", b"1%20OR%201=1"):
            answer = await fetch(proxy.url, b"/api/things/" + tried)
            assert answer[9:12] in (b"400", b"404"), answer
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM things") == 4
        await connection.close()


@pytest.mark.slow
async def test_postgres_freezes_and_thaws_and_no_client_notices(
    folder: Path, own_postgres: PostgresServer, mongo_url: str
) -> None:
    server = own_postgres
    await fill(server.dsn("postgres"), mongo_url)

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response(json.dumps({"success": True, "data": thing(0)}).encode()))

    target = b"/api/things/" + LEGACY[0].encode()
    more = {"shadow": {"url": "", "timeout": 1.0, "breaker": {"failures": 1_000}}}
    async with backend(script) as primary:
        made = direct(folder, server.dsn("postgres"), primary, {"shadow": {"postgres": POSTGRES}}, **more)
        async with verified(made) as proxy:
            assert await verdict(proxy, target, 1) is Verdict.MATCH
            frozen = processes_of(server.child.pid)
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(1):
                    assert (await fetch(proxy.url, target)).startswith(b"HTTP/1.1 200 OK")
                await proxy.until(lambda c: c.verdicts.get(Verdict.SHADOW_ERROR) == 1)
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
            await proxy.until(lambda c: c.under_way == 0)
            async with asyncio.timeout(20):
                while (await proxy.counts()).verdicts.get(Verdict.MATCH, 0) < 2:
                    await fetch(proxy.url, target)
                    await proxy.until(lambda c: c.under_way == 0)


@pytest.mark.parametrize("way", ["uuid", "legacy"])
async def test_the_shadow_is_asked_by_its_own_ids(folder: Path, stores: tuple[str, str], way: str) -> None:
    dsn, _ = stores
    ours, theirs = (LEGACY, UUID) if way == "uuid" else (UUID, LEGACY)
    asked: list[bytes] = []

    async def twin(head: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(head.split(b" ")[1])
        writer.write(response(b"{}"))

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"{}"))

    async with backend(script) as primary, backend(twin) as other:
        more = {"shadow": {"url": other, "translate_ids": True}}
        domain = {"routes": ["GET /api/things/{id}"], "translate_ids": way}
        async with verified(direct(folder, dsn, primary, {}, domains={"things": domain}, **more)) as proxy:
            known, unknown = ours[0].encode(), ours[7].encode()
            assert (
                await verdict(proxy, b"/api/things/" + known + b"?like=" + known.upper() + b"&x=1", 1) is Verdict.MATCH
            )
            assert asked.pop().lower() == b"/api/things/%b?like=%b&x=1" % (theirs[0].encode(), theirs[0].encode())
            assert await verdict(proxy, b"/api/things/" + unknown, 2) is Verdict.MATCH
            assert asked.pop() == b"/api/things/" + unknown
            long = b"/api/things/" + known + b"?pad=" + b"x" * 10_000
            assert await verdict(proxy, long, 3) is Verdict.MATCH
            assert asked.pop() == b"/api/things/" + theirs[0].encode() + b"?pad=" + b"x" * 10_000


async def test_a_row_that_the_map_joins_twice_is_a_finding(folder: Path, stores: tuple[str, str]) -> None:
    dsn, _ = stores
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO things VALUES ($1, $2, 'twin')", UUID[6], LEGACY[0])
    await connection.close()

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response(json.dumps({"success": True, "data": thing(0)}).encode()))

    route = {"shadow": {"postgres": {**POSTGRES, "statements": {**POSTGRES["statements"], "rows": ROW_BY_LEGACY}}}}
    async with backend(script) as primary, verified(direct(folder, dsn, primary, route)) as proxy:
        assert await verdict(proxy, b"/api/things/" + LEGACY[0].encode(), 1) is Verdict.DIFF
        findings = await proxy.application.ledger.findings("things")
        assert ("id_map", "id_mismatch") in {(finding.path, finding.kind) for finding in findings}
        (summary,) = (await proxy.application.ledger.traces(domain="things"))[:1]
        trace = await proxy.application.ledger.trace(summary.id)
        assert trace is not None
        assert all(part in trace.detail for part in ("table things", LEGACY[0], UUID[0], UUID[6])), trace.detail
