"""What a case runs in: one proxy with its two sides, stores and ledger, and the one part of it that can be broken."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorClient

from proxy.app import Application
from proxy.settings import Settings
from tests.e2e.backends import Script, backend, response, target_of
from tests.e2e.conftest import Proxy, running
from tests.faults.faultproxy import FaultProxy
from tests.faults.files import DiskFaults, FileFaults
from tests.faults.timing import Timing

THINGS = 20_000
"""Things that both stores hold, as many as `SCHEMA` makes: each request of a case asks for another one."""
DATABASE = "shadowread_faults"


def legacy(number: int) -> str:
    return f"65f1a2b3c4d5e6f7{number:08x}"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def number_of(target: bytes) -> int:
    return int(target.rpartition(b"/")[2][-8:], 16)


SCHEMA = """
CREATE TABLE things (id uuid PRIMARY KEY, legacy_object_id char(24) NOT NULL UNIQUE, name text);
INSERT INTO things SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
  '65f1a2b3c4d5e6f7' || lpad(to_hex(n), 8, '0'), 'thing ' || n FROM generate_series(0, 19999) AS n;
"""
SHAPE = {"success": True, "data": {"one": "rows", "fields": ["id", "name"]}}
POSTGRES: dict[str, Any] = {
    "statements": {"rows": {"sql": "SELECT id, name FROM things WHERE id = $1", "params": ["path.id"]}},
    "shape": SHAPE,
    "headers": {"content-type": "application/json"},
    "not_found": {"status": 404, "body": {"success": False}},
}
MONGO: dict[str, Any] = {
    "collection": "things",
    "find": {"_id": "$1"},
    "params": [{"from": "path.id", "type": "object_id"}],
    "shape": {"success": True, "data": {"one": "rows", "fields": {"id": "_id", "name": "name"}}},
    "headers": {"content-type": "application/json"},
    "not_found": {"status": 404, "body": {"success": False}},
}


def answering(id_of: Callable[[int], str]) -> Script:
    """A backend that serves the thing that is asked for, with the id that its store knows it by."""

    async def script(head: bytes, writer: Any) -> None:
        if not target_of(head).startswith(b"/api/things/"):  # what the proxy asks on its own account
            writer.write(response(b"{}"))
            return
        number = number_of(target_of(head))
        body = {"success": True, "data": {"id": id_of(number), "name": f"thing {number}"}}
        writer.write(response(json.dumps(body).encode()))

    return script


async def fill(dsn: str, mongo_url: str) -> None:
    """Put the things into both stores."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA)
    finally:
        await connection.close()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url)
    collection = client[DATABASE]["things"]
    if await collection.count_documents({}) != THINGS:
        await collection.delete_many({})
        documents = [{"_id": ObjectId(legacy(n)), "name": f"thing {n}"} for n in range(THINGS)]
        await collection.insert_many(documents)
    client.close()


class Breakable(Protocol):
    """The part of a scene that a fault befalls."""

    async def begin(self, fault: Any) -> None: ...

    async def end(self) -> None: ...


@dataclass(frozen=True)
class Stores:
    """Real servers that hold the things; `own` is a Postgres database for ledgers, without the things."""

    postgres: str
    mongo: str
    own: str


@dataclass(frozen=True)
class Scene:
    """A running proxy, the part of it that breaks, and its ledger's url without the fault."""

    proxy: Proxy
    part: Breakable
    ledger: str
    application: Application


Maker = Callable[["Making"], Awaitable[tuple[Breakable, dict[str, Any]]]]
"""Makes the part that breaks, and what the configuration says because of it."""


@dataclass(frozen=True)
class Making:
    """What a maker makes its part of."""

    stack: AsyncExitStack
    stores: Stores
    timing: Timing
    folder: Path
    primary: str
    twin: str

    async def before(self, url: str) -> tuple[FaultProxy, str]:
        """A fault proxy before the server at `url`, and the url that leads through it."""
        parts = urlsplit(url)
        proxy = await self.stack.enter_async_context(FaultProxy(parts.port or 0, delay=self.timing.delay))
        login, at, _ = parts.netloc.rpartition("@")
        return proxy, urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{proxy.port}"))

    async def before_mongo(self) -> tuple[FaultProxy, str]:
        """The driver is told not to ask the server for its address: it would go past the fault proxy."""
        proxy, url = await self.before(self.stores.mongo)
        return proxy, f"{url}/?directConnection=true"


@asynccontextmanager
async def scene(make: Maker, stores: Stores, timing: Timing, folder: Path) -> AsyncIterator[Scene]:
    """Start everything; the part is mended and everything ended at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        primary = await stack.enter_async_context(backend(answering(legacy)))
        twin = await stack.enter_async_context(backend(answering(uuid)))
        broken, more = await make(Making(stack, stores, timing, folder, primary, twin))
        made = _settings(folder, stores, timing, primary, twin, more)
        proxy = await stack.enter_async_context(running(made))
        ledger = more.get("open", made.ledger.url)
        yield Scene(proxy, broken, ledger, proxy.application)


def _settings(folder: Path, stores: Stores, timing: Timing, primary: str, twin: str, more: dict[str, Any]) -> Settings:
    ids = folder / "ids.json"
    ids.write_text(
        json.dumps([{"entity": "thing", "legacy": legacy(n), "uuid": uuid(n)} for n in range(timing.requests)])
    )
    route = {"route": "GET /api/things/{id}", **more.get("route", {})}
    return Settings.model_validate(
        {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "primary": {"url": more.get("primary", primary), "forwarded": "off", **timing.primary},
            "shadow": {"url": more.get("twin", twin), **timing.shadow},
            "postgres": {"dsn": more.get("postgres", stores.postgres), **timing.postgres},
            "mongo": {"url": more.get("mongo", stores.mongo), "database": DATABASE, **timing.mongo},
            "ids": {"sources": more.get("sources", [{"file": str(ids)}])},
            "ledger": {"url": f"sqlite:///{folder / 'shadowread.db'}", **timing.ledger, **more.get("ledger", {})},
            "settle": timing.settle,
            "limits": {"busy": 1.0},  # a busy machine must not leave out what is to be seen
            "drain": timing.drain,
            "domains": {"things": {"routes": [route]}},
        }
    )


async def primary_backend(making: Making) -> tuple[Breakable, dict[str, Any]]:
    part, url = await making.before(making.primary)
    return part, {"primary": url}


async def primary_in_mongo(making: Making) -> tuple[Breakable, dict[str, Any]]:
    part, url = await making.before_mongo()
    return part, {"mongo": url, "route": {"primary": {"mongo": MONGO}}}


async def twin(making: Making) -> tuple[Breakable, dict[str, Any]]:
    part, url = await making.before(making.twin)
    return part, {"twin": url}


async def shadow_in_postgres(making: Making) -> tuple[Breakable, dict[str, Any]]:
    part, url = await making.before(making.stores.postgres)
    return part, {"postgres": url, "route": {"shadow": {"postgres": POSTGRES}}}


async def shadow_in_mongo(making: Making) -> tuple[Breakable, dict[str, Any]]:
    part, url = await making.before_mongo()
    return part, {"mongo": url, "route": {"shadow": {"mongo": MONGO}}}


async def id_map(making: Making) -> tuple[Breakable, dict[str, Any]]:
    part, url = await making.before(making.stores.postgres)
    sources = [{"table": "things", "entity_name": "thing", "legacy": "legacy_object_id", "uuid": "id"}]
    return part, {"postgres": url, "sources": sources}


async def ledger_in_postgres(making: Making) -> tuple[Breakable, dict[str, Any]]:
    part, url = await making.before(making.stores.own)
    schema = "?schema=faults"
    journal = making.folder / "journal"
    journal.mkdir()
    return part, {"ledger": {"url": url + schema, "journal": str(journal)}, "open": making.stores.own + schema}


async def ledger_in_file(making: Making) -> tuple[Breakable, dict[str, Any]]:
    return FileFaults(making.folder / "shadowread.db"), {}


async def ledger_on_small_disk(making: Making) -> tuple[Breakable, dict[str, Any]]:
    disk = making.stack.enter_context(DiskFaults.mounted(making.folder / "disk", making.timing.lasting))
    return disk, {"ledger": {"url": f"sqlite:///{disk.place / 'shadowread.db'}"}}
