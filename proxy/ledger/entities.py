"""Distinct entities of a window: counted one by one up to a bound, sketched past it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.records import ENTITY_LIMIT
from proxy.ledger.upsert import add_new

SKETCH_LG_K = 14
"""A HyperLogLog sketch of 2**14 registers: 8 KiB, standard error 1.04 / sqrt(2**14) = 0.8 %."""

EntityKey: TypeAlias = tuple[str, str, str]
"""Window, domain and kind."""


@dataclass(slots=True)
class EntityTotal:
    """The distinct entities of one window by kind; `exact` while there is no sketch."""

    kinds: Counter[str] = field(default_factory=Counter)
    exact: bool = True


async def write_entities(
    connection: AsyncConnection, found: Mapping[EntityKey, frozenset[int]], current: set[str]
) -> None:
    """`found` are hashes of 64 bits. What comes late for a window that is over is not kept."""
    by_window: dict[tuple[str, str], dict[str, frozenset[int]]] = {}
    for (window, domain, kind), hashes in found.items():
        if window in current:
            by_window.setdefault((window, domain), {})[kind] = hashes
    for (window, domain), kinds in by_window.items():
        await _write_window(connection, window, domain, kinds)


async def entity_totals(connection: AsyncConnection, windows: set[str]) -> dict[tuple[str, str], EntityTotal]:
    """By window and domain."""
    table = schema.entity_counts
    found: dict[tuple[str, str], EntityTotal] = {}
    columns = (table.c.window, table.c.domain, table.c.kind, table.c.n, table.c.sketch.is_(None).label("exact"))
    for row in await connection.execute(select(*columns).where(table.c.window.in_(windows))):
        total = found.setdefault((row.window, row.domain), EntityTotal())
        total.kinds[row.kind] = row.n
        total.exact = total.exact and bool(row.exact)
    return found


async def _write_window(
    connection: AsyncConnection, window: str, domain: str, kinds: Mapping[str, frozenset[int]]
) -> None:
    table = schema.entity_counts
    names = [{"window": window, "domain": domain, "kind": kind, "n": 0} for kind in kinds]
    await add_new(connection, table, names)
    rows = (
        await connection.execute(
            select(table.c.id, table.c.kind, table.c.sketch).where(table.c.window == window, table.c.domain == domain)
        )
    ).all()
    ids = {row.kind: row.id for row in rows}
    sketches: dict[str, bytes] = {row.kind: row.sketch for row in rows if row.sketch is not None}
    if not sketches:
        counts = await _count_exactly(connection, ids, kinds)
        if sum(counts.values()) <= ENTITY_LIMIT:
            return
        kinds = await _all_hashes(connection, ids)
    for kind, id_ in ids.items():
        hashes = kinds.get(kind, frozenset())
        if hashes or kind not in sketches:
            # Thousands of additions are not for the thread of the event loop.
            blob, n = await asyncio.to_thread(_sketched, sketches.get(kind), hashes)
            await connection.execute(update(table).where(table.c.id == id_).values(sketch=blob, n=n))


async def _count_exactly(
    connection: AsyncConnection, ids: Mapping[str, int], kinds: Mapping[str, frozenset[int]]
) -> Counter[str]:
    table, counts = schema.entities, schema.entity_counts
    for kind, hashes in kinds.items():
        rows = [{"count_id": ids[kind], "hash": one} for one in sorted(hashes)]
        await add_new(connection, table, rows)
        n = select(func.count()).select_from(table).where(table.c.count_id == ids[kind]).scalar_subquery()
        await connection.execute(update(counts).where(counts.c.id == ids[kind]).values(n=n))
    rows_now = await connection.execute(select(counts.c.kind, counts.c.n).where(counts.c.id.in_(ids.values())))
    return Counter({row.kind: row.n for row in rows_now})


async def _all_hashes(connection: AsyncConnection, ids: Mapping[str, int]) -> dict[str, frozenset[int]]:
    """Everything that was counted one by one, which is not kept any longer."""
    table = schema.entities
    found = {
        kind: frozenset(await connection.scalars(select(table.c.hash).where(table.c.count_id == id_)))
        for kind, id_ in ids.items()
    }
    await connection.execute(delete(table).where(table.c.count_id.in_(ids.values())))
    return found


def _sketched(blob: bytes | None, hashes: Iterable[int]) -> tuple[bytes, int]:
    """The sketch of `blob` with `hashes` in it, and how many distinct ones it holds."""
    # Imported here because it loads numpy, and most ledgers never need it.
    from datasketches import hll_sketch

    sketch = hll_sketch(SKETCH_LG_K) if blob is None else hll_sketch.deserialize(blob)
    for one in hashes:
        sketch.update(one)
    return sketch.serialize_compact(), round(sketch.get_estimate())
