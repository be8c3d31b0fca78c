"""Scans that Postgres tells of late prove nothing of a shadow that makes none, whoever made them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from proxy.model import Observation, ReadRequest
from proxy.provenance.counters import Counters
from proxy.provenance.looks import Look, Looks
from proxy.provenance.pauses import Pauses
from proxy.provenance.scans import Pace
from proxy.window import Proof
from tests.provenance.support import answered, get

TABLES = {"real": frozenset({"things"}), "fake": frozenset({"things"})}
CONNECTIONS = 20
SCANS = "SELECT count(*) FROM things AS a, LATERAL (SELECT id FROM things WHERE id > a.id OFFSET 0) AS b"


class Twin:
    """A backend with connections that both of its domains use in turn. `real` scans `things`; `fake` asks Postgres
    nothing that it counts, but ends a transaction each time, at which a backend tells what it has counted before."""

    def __init__(self, connections: list[asyncpg.Connection[asyncpg.Record]]) -> None:
        self._connections = [(connection, asyncio.Lock()) for connection in connections]
        self._reads = {"real": 0, "fake": 0}
        self._paused: set[str] = set()
        self.many = asyncio.Event()

    def pause(self, domain: str) -> None:
        self._paused.add(domain)

    def resume(self, domain: str) -> None:
        self._paused.discard(domain)

    def busy(self, domain: str) -> int:
        del domain
        return 0

    def recent(self, domain: str) -> list[ReadRequest]:
        return [get(f"/api/{domain}/1")]

    async def live(self) -> None:
        """Live reads of `real`, until they are paused."""
        while "real" not in self._paused:
            await self.shadow_read("real", get("/api/real/1"))
            if self._reads["real"] > 4 * CONNECTIONS:
                self.many.set()

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        del request
        number = self._reads[domain]
        self._reads[domain] += 1
        # The second of two reads in a second is told of when the connection is next used. `fake` gets to few of them at
        # a time, so that its rounds are each told of some.
        connection, lock = self._connections[number // (2 if domain == "real" else 4) % CONNECTIONS]
        async with lock:
            await connection.fetch(SCANS if domain == "real" else "SELECT 1")
        return answered()


@asynccontextmanager
async def twin(dsn: str) -> AsyncIterator[Twin]:
    connections = [await asyncpg.connect(dsn) for _ in range(CONNECTIONS)]
    try:
        await connections[0].execute("CREATE TABLE things (id int); INSERT INTO things SELECT generate_series(1, 9)")
        yield Twin(connections)
    finally:
        for connection in connections:
            await connection.close()


async def looked(dsn: str, reads: Twin, *domains: str) -> dict[str, Proof]:
    counters = {domain: Counters(dsn, ["things"]) for domain in domains}
    found: dict[str, Proof] = {}

    async def told(domain: str, proof: Proof, _text: str) -> None:
        found[domain] = proof

    made = [Look(domain, ["things"], reads.recent(domain), counters[domain], alone=False) for domain in domains]
    try:
        await Looks(made, TABLES, Pauses(reads), Pace(40, 1.5), told).run()
    finally:
        for one in counters.values():
            await one.close()
    return found


@pytest.mark.slow
async def test_the_look_at_another_domain_that_shares_the_table_proves_nothing(pg_database: str) -> None:
    async with twin(pg_database) as reads, asyncio.TaskGroup() as group:
        group.create_task(reads.live())
        await reads.many.wait()
        assert await looked(pg_database, reads, "real", "fake") == {"real": "proven", "fake": "failed"}


@pytest.mark.slow
async def test_live_reads_of_another_domain_just_before_the_pause_prove_nothing(pg_database: str) -> None:
    async with twin(pg_database) as reads, asyncio.TaskGroup() as group:
        group.create_task(reads.live())
        await reads.many.wait()
        assert await looked(pg_database, reads, "fake") == {"fake": "failed"}
