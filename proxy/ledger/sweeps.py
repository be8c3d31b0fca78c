"""How far sweeps came, so that the next one goes on there; and how many entities there are to be swept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger.dialect import insert
from proxy.ledger.moments import from_us, to_us
from proxy.ledger.schema import metadata
from proxy.window import KnownEntities

MAX_KINDS = 10_000

_sweeps = Table(
    "sweeps",
    metadata,
    Column("domain", String, primary_key=True, nullable=False),
    Column("route", String, primary_key=True, nullable=False),
    Column("window", String, nullable=False),
    Column("place", Text, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("found", BigInteger, nullable=False),
    Column("ended", Text, nullable=False),
    Column("finished", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
_known = Table(
    "known_entities",
    metadata,
    Column("entity", String, primary_key=True, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("exact", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sweep of one route came. What it found belongs to the evidence window `window`.

    Everything before `place` (as `proxy.sweep` writes it, empty at the beginning) is done. `done` counts reads that
    ended, `found` those of them that the primary answered with the thing asked for; `ended` counts the reads by verdict
    (`match`) and, where the thing was not there, by status (`404 on both sides`).
    """

    domain: str
    route: str
    window: str
    started_at: datetime
    updated_at: datetime
    place: str = ""
    done: int = 0
    found: int = 0
    ended: Mapping[str, int] = field(default_factory=dict)
    finished: bool = False


async def progress(connection: AsyncConnection, domain: str) -> tuple[Progress, ...]:
    """Of every route of the domain that was ever swept."""
    rows = (await connection.execute(select(_sweeps).where(_sweeps.c.domain == domain))).mappings()
    return tuple(
        Progress(
            domain=row["domain"],
            route=row["route"],
            window=row["window"],
            started_at=from_us(row["started_at"]),
            updated_at=from_us(row["updated_at"]),
            place=row["place"],
            done=row["done"],
            found=row["found"],
            ended=json.loads(row["ended"]),
            finished=bool(row["finished"]),
        )
        for row in rows
    )


async def keep_progress(connection: AsyncConnection, reached: Progress) -> None:
    """In place of what was kept of the same route."""
    values = {
        "domain": reached.domain,
        "route": reached.route,
        "window": reached.window,
        "place": reached.place,
        "done": reached.done,
        "found": reached.found,
        "ended": json.dumps(dict(reached.ended), sort_keys=True),
        "finished": int(reached.finished),
        "started_at": to_us(reached.started_at),
        "updated_at": to_us(reached.updated_at),
    }
    statement = insert(connection, _sweeps).values(values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["domain", "route"], set_=values))


async def known_entities(connection: AsyncConnection) -> tuple[KnownEntities, ...]:
    """What the id map knew of each kind when it was last counted."""
    rows = await connection.execute(select(_known).order_by(_known.c.entity))
    return tuple(KnownEntities(row.entity, row.n, bool(row.exact), from_us(row.at)) for row in rows)


async def keep_known(connection: AsyncConnection, known: Sequence[KnownEntities]) -> None:
    """In place of all that was kept before; the first 10,000 kinds."""
    await connection.execute(delete(_known))
    rows = [
        {"entity": one.entity, "n": one.count, "exact": int(one.exact), "at": to_us(one.at)}
        for one in known[:MAX_KINDS]
    ]
    if rows:
        await connection.execute(insert(connection, _known), rows)
