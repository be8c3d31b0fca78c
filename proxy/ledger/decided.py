"""The decisions that were stored, page by page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.chain import Meta, meta_of, unpack
from proxy.ledger.moments import from_us

MOST = 2**31 - 1
"""The largest number that the column takes on every database."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One entry of the chain. `result` is None where only its place is kept; `damage` says why it cannot be read."""

    seq: int
    prev: str
    hash: str
    domain: str
    at: datetime
    state: str
    result: Mapping[str, Any] | None
    damage: str = ""


async def decided(
    connection: AsyncConnection, domain: str | None, state: str | None, before: int | None, limit: int
) -> tuple[Sequence[Decided], Meta]:
    """The newest first, of numbers below `before`; and what the ledger knows of the end of the chain."""
    table = schema.decisions
    statement = select(table).order_by(table.c.seq.desc()).limit(limit)
    if domain is not None:
        statement = statement.where(table.c.domain == domain)
    if state is not None:
        statement = statement.where(table.c.state == state)
    if before is not None:
        statement = statement.where(table.c.seq < min(before, MOST))
    rows = (await connection.execute(statement)).all()
    # Some tens of kilobytes each: not for the event loop.
    return await asyncio.to_thread(lambda: [_decided(row) for row in rows]), await meta_of(connection)


async def decision(connection: AsyncConnection, seq: int) -> Decided | None:
    """One entry by its number."""
    if seq > MOST:
        return None
    row = (await connection.execute(select(schema.decisions).where(schema.decisions.c.seq == seq))).one_or_none()
    return None if row is None else await asyncio.to_thread(_decided, row)


def _decided(row: Row[Any]) -> Decided:
    result, damage = None, ""
    if row.body is not None:
        try:
            result = json.loads(unpack(row.body))
            if not isinstance(result, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            result, damage = None, f"its figures are damaged ({error}); see `shadowread gate --verify-log`"
    return Decided(row.seq, row.prev, row.hash, row.domain, from_us(row.at), row.state, result, damage)
