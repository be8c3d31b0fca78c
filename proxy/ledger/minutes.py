"""What ended in each minute of a domain: by the minute for two days, then by the hour, in the end by the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.dialect import insert
from proxy.ledger.moments import MICROSECOND, MINUTE, from_us, to_us
from proxy.ledger.records import MinuteCount
from proxy.ledger.tally import VerdictDelta
from proxy.ledger.upsert import add
from proxy.model import Verdict

STEPS = ((timedelta(days=2), 60), (timedelta(days=90), 24 * 60))
"""From which age on minutes are joined to the first one of how many."""


async def add_minutes(connection: AsyncConnection, deltas: Iterable[VerdictDelta]) -> None:
    found: Counter[tuple[str, str, int]] = Counter()
    for one in deltas:
        for minute, n in one.minutes.items():
            found[one.domain, one.verdict.value, minute] += n
    names = ("domain", "verdict", "minute")
    rows = [{**dict(zip(names, key, strict=True)), "n": n} for key, n in found.items()]
    await add(connection, schema.minutes, names, "n", rows)


async def fold_minutes(connection: AsyncConnection, now_us: int) -> None:
    """Join what is old: the sums stay, the rows get fewer."""
    table = schema.minutes
    for age, width in STEPS:
        before = (now_us - age // MICROSECOND) // MINUTE
        before -= before % width
        old = (table.c.minute < before) & (table.c.minute % width != 0)
        first = table.c.minute - table.c.minute % width
        sums = select(table.c.domain, table.c.verdict, first, func.sum(table.c.n)).where(old)
        statement = insert(connection, table).from_select(
            ["domain", "verdict", "minute", "n"], sums.group_by(table.c.domain, table.c.verdict, first)
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key.columns), set_={"n": table.c.n + statement.excluded.n}
            )
        )
        await connection.execute(delete(table).where(old))


async def minutes(connection: AsyncConnection, domain: str, since: datetime, limit: int) -> list[MinuteCount]:
    """Oldest first. What is long past is joined to the first minute of its hour or day."""
    table = schema.minutes
    rows = await connection.execute(
        select(table.c.minute, table.c.verdict, table.c.n)
        .where(table.c.domain == domain, table.c.minute >= to_us(since) // MINUTE)
        .order_by(table.c.minute, table.c.verdict)
        .limit(limit)
    )
    return [MinuteCount(from_us(row.minute * MINUTE), Verdict(row.verdict), row.n) for row in rows]
