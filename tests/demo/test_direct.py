"""`config/direct.yaml`: the SQL that stands in for the Postgres twin answers as the backend does, route by route."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest
from rich.console import Console, RenderableType

from proxy.demo import report
from proxy.demo.bugs import ALL, BUGS
from proxy.demo.marketplace.dataset import dataset
from proxy.demo.marketplace.dataset_trade import from_webhook_only
from proxy.demo.marketplace.flags import primary_flags
from proxy.direct.plans import PostgresPlan
from proxy.identity.service import Identity
from proxy.model import Observation, ReadRequest, Side
from proxy.readers.mongo import MongoReader
from proxy.readers.mongo_store import MongoStore
from proxy.readers.postgres import PostgresReader, PostgresStore
from proxy.settings import Settings, load_settings, reader_plans
from proxy.settings.routes import Claim, Router
from tests.demo.pairs import NOBODY, SEED, UUID, Read, Stores, eventually, every_read, fresh, instance

ROOT = Path(__file__).parents[2]
FILE = ROOT / "config/direct.yaml"
SETTINGS = load_settings(FILE, {})
TWIN = load_settings(ROOT / "config/marketplace.yaml", {})
TIMEOUT = 5.0
STORED = {bug.name for bug in BUGS if bug.stored}


def test_it_has_the_domains_of_the_twin_with_what_flips_and_blocks_them() -> None:
    def told(settings: Settings) -> dict[str, Any]:
        return {
            name: (one.flags, one.tables, one.blockers, one.rollback_plan) for name, one in settings.domains.items()
        }

    assert told(SETTINGS) == told(TWIN)


def routes(settings: Settings) -> set[tuple[str, str]]:
    return {(name, route.route) for name, domain in settings.domains.items() for route in domain.routes}


def test_nothing_of_it_needs_a_second_backend() -> None:
    assert SETTINGS.shadow is None or SETTINGS.shadow.url is None
    beyond = {("users", "POST /api/users/search"), ("blog", "GET /api/files/**")}
    assert routes(TWIN) - routes(SETTINGS) == beyond
    assert routes(SETTINGS) <= routes(TWIN)
    read = {(name, plan.route) for name, side, plan in reader_plans(SETTINGS) if side is Side.SHADOW}
    assert read == routes(SETTINGS)


def test_two_routes_have_no_backend_at_all() -> None:
    served = {(name, plan.route) for name, side, plan in reader_plans(SETTINGS) if side is Side.PRIMARY}
    assert served == {("level_config", "GET /api/levels"), ("level_config", "GET /api/levels/{level}")}


@dataclass(frozen=True)
class Sides:
    """The backend that reads MongoDB, and the readers of the configuration on the same stores."""

    session: aiohttp.ClientSession
    backend: str
    router: Router
    readers: dict[tuple[str, str, Side], PostgresReader | MongoReader]
    legacies: dict[bytes, bytes]

    async def asked(self, read: Read) -> tuple[int, Any, str]:
        async with self.session.get(self.backend + read.path, headers=authorization(read)) as response:
            return response.status, orjson.loads(await response.read()), response.headers["Content-Type"]

    async def observed(self, read: Read, side: Side) -> Observation | None:
        """What the reader of `side` sees; None when the backend is that side."""
        match = self.router.match("GET", read.path)
        assert match is not None, read
        assert (match.domain, match.route) == (read.domain, read.route)
        if (reader := self.readers.get((read.domain, read.route, side))) is None:
            return None
        headers = tuple((key.encode(), value.encode()) for key, value in authorization(read).items())
        return await reader.read(ReadRequest("GET", read.path, headers), TIMEOUT)

    def plain(self, seen: Observation) -> tuple[int | None, Any, str]:
        """As `asked`, with the ids as the backend spells them."""
        assert seen.error is None, seen
        body = UUID.sub(lambda found: self.legacies.get(found[0], found[0]), seen.body or b"")
        kinds = [value.decode() for key, value in seen.headers if key.lower() == b"content-type"]
        return seen.status, orjson.loads(body), ", ".join(kinds)


def authorization(read: Read) -> dict[str, str]:
    return {} if read.user is None else {"Authorization": f"Bearer demo-{read.user}"}


@asynccontextmanager
async def sides(stores: Stores, bugs: frozenset[str] = frozenset()) -> AsyncIterator[Sides]:
    env = {"PG_URL": stores.pg_dsn, "MONGODB_URI": stores.mongo_url, "MONGODB_DATABASE": stores.database}
    settings = load_settings(FILE, env)
    assert settings.postgres is not None
    assert settings.mongo is not None
    identity = Identity.of(settings)
    postgres = PostgresStore(stores.pg_dsn, connections=4, statement_timeout=2.0, lock_timeout=0.5)
    mongo = MongoStore(stores.mongo_url, stores.database, connections=4, max_time=2.0, read_preference="primary")
    async with instance(stores, primary_flags(), bugs) as backend, aiohttp.ClientSession() as session:
        await identity.start()
        await postgres.start()
        await mongo.start()
        try:
            readers: dict[tuple[str, str, Side], PostgresReader | MongoReader] = {}
            for name, side, plan in reader_plans(settings):
                if isinstance(plan, PostgresPlan):
                    await postgres.prepare(plan)
                    readers[name, plan.route, side] = PostgresReader(
                        postgres, plan, side, identity.lookup, time.monotonic
                    )
                else:
                    readers[name, plan.route, side] = MongoReader(mongo, plan, side, identity.lookup, time.monotonic)
            router = Router(Claim.of(name, route) for name, route in routes(settings))
            yield Sides(session, backend, router, readers, await joined(stores))
        finally:
            await mongo.close()
            await postgres.close()
            await identity.close()


async def joined(stores: Stores) -> dict[bytes, bytes]:
    connection = await asyncpg.connect(stores.pg_dsn)
    try:
        rows = await connection.fetch("SELECT legacy_id, new_id::text AS new_id FROM id_map")
    finally:
        await connection.close()
    return {row["new_id"].encode(): row["legacy_id"].encode() for row in rows}


def of_interest(read: Read) -> bool:
    """Leaves out what the file says it does differently: its levels have no second page."""
    return (
        (read.domain, read.route) in routes(SETTINGS)
        and not (read.domain == "level_config" and "page=" in read.path)
        # A reader has one answer for what it does not find: a stranger's chat is as absent as any other.
        and not (read.route == "GET /api/chats/{id}" and read.user == NOBODY)
    )


def told(answer: tuple[int | None, Any, str]) -> tuple[Any, ...]:
    """What must be the same. Of the messages for many wrong queries a route of the file has one."""
    status, body, kind = answer
    if status == 400:
        return status, kind, body["success"]
    return (status, kind, body) if status == 200 else (status, kind, body["error"]["code"])


async def differing(both: Sides, reads: Iterable[Read]) -> list[tuple[Read, Side]]:
    found = []
    for read in reads:
        expected = told(await both.asked(read))
        for side in Side:
            seen = await both.observed(read, side)
            if seen is not None and told(both.plain(seen)) != expected:
                found.append((read, side))
    return found


async def test_every_statement_answers_as_the_backend_does(mongo_url: str, pg_database: str) -> None:
    """A few reads of every route: a page, an entity or two, and what does not exist."""
    reads = [read for read in every_read() if of_interest(read)]
    chosen = {(read.route, read.path.count("=")): read for read in reads} | {read.route: read for read in reads[::-1]}
    assert {(read.domain, read.route) for read in chosen.values()} == routes(SETTINGS)
    async with sides(fresh(mongo_url, pg_database)) as both:
        assert await differing(both, chosen.values()) == []


async def test_a_write_is_seen_by_the_next_read(mongo_url: str, pg_database: str) -> None:
    async with sides(fresh(mongo_url, pg_database)) as both:
        read = Read("level_config", "GET /api/levels/{level}", "/api/levels/2")
        found = (await both.asked(read))[1]["data"]
        assert found["isActive"] is True
        async with both.session.patch(f"{both.backend}/api/levels/{found['id']}", json={"isActive": False}) as response:
            assert response.status == 200

        async def copied() -> bool:
            return await differing(both, [read]) == []

        await eventually(copied)
        assert (await both.asked(read))[1]["data"]["isActive"] is False


@pytest.mark.slow
async def test_what_is_missing_in_postgres_shows_and_the_bugs_of_the_twin_do_not(
    mongo_url: str, pg_database: str
) -> None:
    (gap,) = (bug for bug in BUGS if bug.stored)
    missing = [one["id"] for one in dataset(SEED)["payment"] if from_webhook_only(one)]
    gone = [Read(gap.domain, gap.routes[0], f"/api/payment/{own_id}") for own_id in missing]
    async with sides(fresh(mongo_url, pg_database), ALL) as both:
        assert [read for read, _ in await differing(both, gone)] == gone
        found = await differing(both, (read for read in every_read() if of_interest(read)))
    assert {read.domain for read, _ in found} == {gap.domain}


def finding_of(name: str) -> dict[str, Any]:
    bug = next(bug for bug in BUGS if bug.name == name)
    return {
        "domain": bug.domain,
        "route": bug.routes[0],
        "path": bug.paths[0],
        "kind": min(bug.kinds),
        "exchanges": 3,
        "first_trace": None,
        "sample": {"primary": 200, "shadow": 404},
    }


def test_the_report_says_which_bugs_cannot_be_seen_without_the_twin() -> None:
    bugs = report.planted([finding_of("dual_write_gap")], direct=True)
    assert {bug.bug for bug in bugs if not bug.absent} == STORED == {"dual_write_gap"}
    document = report.document({"domains": []}, bugs)
    assert set(document["not_visible"]) == ALL - STORED
    assert {bug["bug"] for bug in document["planted"] if bug["found"]} == STORED
    text = shown(report.final([], bugs))
    assert "1 of 1 planted bugs found, 13 are in the code of the twin and cannot be seen this way" in text
    for name in ALL - STORED:
        assert name in text
    assert "not found" not in text
    assert "not_visible" not in report.document({"domains": []}, report.planted([]))


def shown(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=500)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
