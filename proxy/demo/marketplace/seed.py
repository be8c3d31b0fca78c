"""Loads the seeded data into both stores at once: insert_many here, COPY there."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from datetime import timedelta
from typing import Any

from proxy.demo.marketplace.catalog import ENTITIES
from proxy.demo.marketplace.codec import IdKey, child_rows, columns_of, document_of, ids_in, row_of, translate
from proxy.demo.marketplace.dataset import dataset
from proxy.demo.marketplace.dataset_trade import from_webhook_only
from proxy.demo.marketplace.entities import Record
from proxy.demo.marketplace.schema import create_mongo_indexes, postgres_statements

SEED_LOCK = 0x5EED
"""The advisory lock under which one instance seeds while the other waits."""


async def ensure_seeded(pool: Any, database: Any, seed: int, bugs: frozenset[str]) -> bool:
    """Make tables, indexes and data unless another instance already has; returns whether it was us."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", SEED_LOCK)
        if await connection.fetchval("SELECT to_regclass('id_map') IS NOT NULL"):
            return False
        records = dataset(seed)
        for name, entity in ENTITIES.items():
            collection = database[entity.collection]
            await collection.delete_many({})
            await collection.insert_many([document_of(entity, record) for record in records[name]])
        await create_mongo_indexes(database)
        for statement in postgres_statements():
            await connection.execute(statement)
        await _copy(connection, records, seed, bugs)
    return True


async def _copy(connection: Any, records: dict[str, list[Record]], seed: int, bugs: frozenset[str]) -> None:
    gaps = [one["id"] for one in records["payment"] if from_webhook_only(one)] if "dual_write_gap" in bugs else []
    missing = frozenset(gaps)
    kept = {
        name: [one for one in found if name != "payment" or one["id"] not in missing] for name, found in records.items()
    }
    rng = random.Random(seed + 1)
    uuids: dict[IdKey, str] = {}
    for name, entity in ENTITIES.items():
        for record in kept[name]:
            for key in sorted(ids_in(entity, record) - uuids.keys()):
                uuids[key] = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    children: dict[tuple[str, tuple[str, ...]], list[tuple[Any, ...]]] = defaultdict(list)
    for name, entity in ENTITIES.items():
        rows = []
        for record in kept[name]:
            own = translate(entity, record, lambda target, legacy: uuids[target, legacy])
            if name != "notification":
                # Postgres keeps more of an instant than MongoDB can hold. Notifications come in batches of one
                # instant, and what Postgres knew more of would part them.
                own["createdAt"] += timedelta(microseconds=rng.randrange(1, 1000))
            rows.append((*row_of(entity, own), record["id"]))
            for table, columns, values in child_rows(entity, own):
                children[table, columns].append(values)
        columns = (*columns_of(entity), "legacy_object_id")
        await connection.copy_records_to_table(entity.table, columns=columns, records=rows)
    for (table, columns), found in children.items():
        await connection.copy_records_to_table(table, columns=columns, records=found)
    pairs = [(target, legacy, joined) for (target, legacy), joined in uuids.items()]
    await connection.copy_records_to_table("id_map", columns=("entity", "legacy_id", "new_id"), records=pairs)
    await connection.executemany(
        "INSERT INTO pg_dualwrite_gaps (entity, legacy_id, operation, error) VALUES ('payment', $1, 'insert', $2)",
        [(legacy, "webhook wrote MongoDB only") for legacy in gaps],
    )
