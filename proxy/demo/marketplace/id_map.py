"""The table that joins the ids of the two stores, as the marketplace itself reads and extends it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from proxy.demo.marketplace.codec import IdKey

CACHED_PAIRS = 50_000


class IdMap:
    """Joined pairs never change, so those seen are remembered; what is missing is asked for again each time."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._uuids: dict[IdKey, str] = {}
        self._legacies: dict[IdKey, str] = {}

    async def uuid_of(self, entity: str, legacy: str) -> str | None:
        if (known := self._uuids.get((entity, legacy))) is None:
            found = await self._pool.fetchval(
                "SELECT new_id FROM id_map WHERE entity = $1 AND legacy_id = $2", entity, legacy
            )
            if found is None:
                return None
            known = self._remember(entity, legacy, found)
        return known

    async def legacy_of(self, entity: str, new_id: str) -> str | None:
        if (known := self._legacies.get((entity, new_id))) is None:
            known = await self._pool.fetchval(
                "SELECT legacy_id FROM id_map WHERE entity = $1 AND new_id = $2", entity, new_id
            )
            if known is not None:
                self._remember(entity, known, new_id)
        return known

    async def join(self, entity: str, legacy: str, new_id: str) -> None:
        """Record a pair; one that exists stays as it is."""
        await self._pool.execute(
            "INSERT INTO id_map (entity, legacy_id, new_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            entity,
            legacy,
            new_id,
        )

    async def uuids(self, keys: Iterable[IdKey]) -> dict[IdKey, str]:
        """The uuid of every legacy id; one that has none yet is given one."""
        result: dict[IdKey, str] = {}
        for entity, legacy in keys:
            found = await self.uuid_of(entity, legacy)
            if found is None:
                await self.join(entity, legacy, str(uuid.uuid4()))
                found = await self.uuid_of(entity, legacy)
            result[entity, legacy] = str(found)
        return result

    async def legacies(self, keys: Iterable[IdKey], fresh: Any) -> dict[IdKey, str]:
        """The legacy id of every uuid; one that has none yet is given `fresh()`."""
        result: dict[IdKey, str] = {}
        for entity, new_id in keys:
            found = await self.legacy_of(entity, new_id)
            if found is None:
                await self.join(entity, fresh(), new_id)
                found = await self.legacy_of(entity, new_id)
            result[entity, new_id] = str(found)
        return result

    def _remember(self, entity: str, legacy: str, new_id: str) -> str:
        if len(self._uuids) >= CACHED_PAIRS:
            self._uuids.clear()
            self._legacies.clear()
        self._uuids[entity, legacy] = new_id
        self._legacies[entity, new_id] = legacy
        return new_id
