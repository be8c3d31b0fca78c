"""Durations of reads, and when a domain was watched: kept until the next write, and in the file."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.details import clean
from proxy.ledger.dialect import Insert, greater, insert_in
from proxy.ledger.epoch import Epoch
from proxy.ledger.moments import from_us, to_us
from proxy.ledger.upsert import add, many
from proxy.model import COMPARISONS, Outcome, Side
from proxy.window import Watch, bucket_of

WATCHES = 1_000
"""How many watches a window keeps; the oldest are dropped, and with them the time that they covered."""
WHY_CHARACTERS = 500

Paces: TypeAlias = dict[tuple[str, str, Side, int], int]
"""How many reads took how long: by window, domain, side and `bucket_of`."""
Watches: TypeAlias = dict[tuple[str, str, int], Watch]
"""By window, domain and when each began, in microseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class TimingBatch:
    paces: Paces = field(default_factory=dict)
    watches: Watches = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.paces or self.watches)


class Timing:
    """What is new since the last write."""

    def __init__(self) -> None:
        self._paces: Counter[tuple[Epoch, str, Side, int]] = Counter()
        self._watches: dict[tuple[Epoch, str, int], Watch] = {}

    def add(self, epoch: Epoch, domain: str, outcome: Outcome) -> None:
        if outcome.verdict not in COMPARISONS:
            return
        if outcome.primary_seconds is not None:
            self._paces[epoch, domain, Side.PRIMARY, bucket_of(outcome.primary_seconds)] += 1
        if outcome.shadow_seconds is not None:
            self._paces[epoch, domain, Side.SHADOW, bucket_of(outcome.shadow_seconds)] += 1

    def keep(self, epoch: Epoch, domain: str, watch: Watch) -> None:
        """A watch counts in the window from when that began. Raises TypeError for times without a zone."""
        began = max(watch.began, epoch.window.started_at)
        if watch.ended < began:
            return
        key = (epoch, domain, to_us(began))
        waiting = self._watches.get(key)
        ended = watch.ended if waiting is None else max(waiting.ended, watch.ended)
        self._watches[key] = Watch(began, ended, clean(watch.why)[:WHY_CHARACTERS])
        if len(self._watches) > WATCHES:
            same = [one for one in self._watches if one[0] is epoch]
            if len(same) > WATCHES:
                del self._watches[min(same, key=lambda one: one[2])]

    def peek(self) -> TimingBatch:
        return TimingBatch(
            {(key[0].id, *key[1:]): n for key, n in self._paces.items()},
            {(key[0].id, *key[1:]): watch for key, watch in self._watches.items()},
        )

    def take(self) -> TimingBatch:
        batch = self.peek()
        self._paces, self._watches = Counter(), {}
        return batch


async def write_timing(connection: AsyncConnection, batch: TimingBatch, started: Mapping[str, int]) -> None:
    """`started` says when the current windows began.

    What comes late for a window that is over is not kept, nor what was watched before one began in this file.
    """
    paces = [
        {"window": window, "domain": domain, "side": side.value, "bucket": bucket, "n": n}
        for (window, domain, side, bucket), n in batch.paces.items()
        if window in started
    ]
    await add(connection, schema.latency, ("window", "domain", "side", "bucket"), "n", paces)
    table = schema.watches
    rows = [
        {
            "window": window,
            "domain": domain,
            "began": max(began, started[window]),
            "ended": to_us(watch.ended),
            "why": watch.why,
        }
        for (window, domain, began), watch in batch.watches.items()
        if window in started and to_us(watch.ended) >= started[window]
    ]
    await many(connection, _extending(connection.dialect.name), rows)
    for window in {row["window"] for row in rows}:
        of = table.c.window == window
        oldest = select(table.c.began).where(of).order_by(table.c.began.desc()).offset(WATCHES).limit(1)
        await connection.execute(delete(table).where(of, table.c.began <= oldest.scalar_subquery()))


@cache
def _extending(dialect: str) -> Insert:
    table = schema.watches
    statement = insert_in(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={"ended": greater(table.c.ended, statement.excluded.ended)},
    )


async def paces(connection: AsyncConnection, windows: set[str]) -> Paces:
    table = schema.latency
    columns = (table.c.window, table.c.domain, table.c.side, table.c.bucket, table.c.n)
    rows = (await connection.execute(select(*columns).where(table.c.window.in_(windows)))).all()
    return {(window, domain, Side(side), bucket): n for window, domain, side, bucket, n in rows}


async def watches(connection: AsyncConnection, windows: set[str]) -> Watches:
    table = schema.watches
    columns = (table.c.window, table.c.domain, table.c.began, table.c.ended, table.c.why)
    rows = (await connection.execute(select(*columns).where(table.c.window.in_(windows)))).all()
    # There may be thousands, which would keep the event loop for a tenth of a second.
    return await asyncio.to_thread(_watches_of, rows)


def _watches_of(rows: Iterable[Any]) -> Watches:
    return {
        (window, domain, began): Watch(from_us(began), from_us(ended), why)
        for window, domain, began, ended, why in rows
    }


def joined_watches(stored: Watches, waiting: Mapping[tuple[str, str, int], Watch]) -> Watches:
    """Both, each watch as long as the longer one says."""
    found = dict(stored)
    for key, watch in waiting.items():
        old = found.get(key)
        found[key] = watch if old is None else Watch(old.began, max(old.ended, watch.ended), old.why)
    return found
