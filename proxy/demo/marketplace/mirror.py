"""Copies every write to the other store, a little after the client has its answer.

Not the write is repeated but the record's state copied, one after the other in the order of the writes: whatever
happened in between, the last copy leaves both stores equal.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from dataclasses import dataclass
from typing import Any

from proxy.demo.marketplace.codec import ids_in, translate
from proxy.demo.marketplace.entities import Entity
from proxy.demo.marketplace.flags import Mode
from proxy.demo.marketplace.id_map import IdMap
from proxy.demo.marketplace.mongo_store import MongoStore
from proxy.demo.marketplace.postgres_store import PostgresStore

log = logging.getLogger(__name__)

LAG_SECONDS = (0.005, 0.040)
ATTEMPTS = 5
LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Job:
    """A record that has changed in the store of `source`; due at a moment of the event loop's clock."""

    entity: Entity
    own_id: str
    source: Mode
    due: float
    attempt: int = 1


class Mirror:
    def __init__(
        self, mongo: MongoStore, postgres: PostgresStore, id_map: IdMap, pool: Any, rng: random.Random
    ) -> None:
        self._mongo = mongo
        self._postgres = postgres
        self._id_map = id_map
        self._pool = pool
        self._rng = rng
        self._jobs: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.copied = 0

    def put(self, entity: Entity, own_id: str, source: Mode) -> None:
        """Have a record copied soon. Past LIMIT waiting ones it is refused, and the log says so."""
        if len(self._jobs) >= LIMIT:
            log.error("the mirror is %d records behind: %s %s is not copied", LIMIT, entity.name, own_id)
            return
        due = asyncio.get_running_loop().time() + self._rng.uniform(*LAG_SECONDS)
        self._jobs.append(Job(entity, own_id, source, due))
        self._idle.clear()
        self._wake.set()

    @property
    def waiting(self) -> int:
        return len(self._jobs)

    async def settled(self, seconds: float) -> bool:
        """Wait until nothing waits to be copied, at most so long; returns whether that is so."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def record_gap(self, entity: Entity, legacy: str, error: str) -> None:
        """Note a write that reached MongoDB and not Postgres."""
        await self._pool.execute(
            "INSERT INTO pg_dualwrite_gaps (entity, legacy_id, operation, error) VALUES ($1, $2, 'upsert', $3)",
            entity.name,
            legacy,
            error[:500],
        )

    async def run(self) -> None:
        """Copy until cancelled."""
        while True:
            while not self._jobs:
                self._wake.clear()
                self._idle.set()
                await self._wake.wait()
            job = self._jobs[0]
            await asyncio.sleep(job.due - asyncio.get_running_loop().time())
            try:
                await (self._to_mongo(job) if job.source is Mode.POSTGRES else self._to_postgres(job))
                self.copied += 1
            except Exception as error:  # noqa: BLE001 - one record that cannot be copied must not stop the others
                await self._failed(job, error)
            self._jobs.popleft()

    async def _failed(self, job: Job, error: Exception) -> None:
        if job.attempt < ATTEMPTS:
            # Behind what is waiting: often it is a later record that makes room (a unique primary address).
            due = asyncio.get_running_loop().time() + LAG_SECONDS[0]
            self._jobs.append(Job(job.entity, job.own_id, job.source, due, job.attempt + 1))
            return
        log.error("%s %s was not copied from %s: %s", job.entity.name, job.own_id, job.source, error)
        if job.source is not Mode.POSTGRES:
            await self.record_gap(job.entity, job.own_id, str(error))

    async def _to_postgres(self, job: Job) -> None:
        record = await self._mongo.get(job.entity, job.own_id, whole=True)
        if record is None:
            if (gone := await self._id_map.uuid_of(job.entity.name, job.own_id)) is not None:
                await self._postgres.remove(job.entity, gone)
            return
        uuids = await self._id_map.uuids(ids_in(job.entity, record))
        await self._postgres.save(
            job.entity,
            translate(job.entity, record, lambda target, legacy: uuids[target, legacy]),
            job.own_id,
        )

    async def _to_mongo(self, job: Job) -> None:
        record = await self._postgres.get(job.entity, job.own_id, whole=True)
        if record is None:
            if (gone := await self._id_map.legacy_of(job.entity.name, job.own_id)) is not None:
                await self._mongo.remove(job.entity, gone)
            return
        legacies = await self._id_map.legacies(ids_in(job.entity, record), self._mongo.new_id)
        copy = translate(job.entity, record, lambda target, new_id: legacies[target, new_id])
        await self._mongo.save(job.entity, copy)
