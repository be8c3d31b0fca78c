"""What the checks of a domain's provenance last said, and the log of canaries: fields changed on purpose.

All functions work inside the caller's transaction; they are meant for `LedgerReader.ask` and `LedgerReader.write`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger.details import clean
from proxy.ledger.dialect import insert
from proxy.ledger.moments import from_us, to_us
from proxy.ledger.schema import metadata
from proxy.window import Standing

CANARIES_KEPT = 1_000
"""Canaries that are done with and kept; those that are not are all kept."""
CANARY_LIMIT = 10_000
LONGEST_TEXT = 2_000

standing_table = Table(
    "standings",
    metadata,
    Column("window", String, primary_key=True, nullable=False),
    Column("domain", String, primary_key=True, nullable=False),
    Column("check", String, primary_key=True, nullable=False),
    Column("proof", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

canary_table = Table(
    "canaries",
    metadata,
    Column("id", String, primary_key=True, nullable=False),
    Column("domain", String, nullable=False),
    Column("table", String, nullable=False),
    Column("key", String, nullable=False),
    Column("row", Text, nullable=False),
    Column("column", String, nullable=False),
    Column("before", Text),
    Column("marked", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_start", BigInteger, nullable=False),
)

CanaryState = Literal["planned", "marked", "restored"]


@dataclass(frozen=True, slots=True)
class Canary:
    """One field that is changed on purpose and put back. Values are as Postgres prints them; `before` None is NULL.

    `planned` is written before the field is touched, `restored` once it is known not to bear the mark any more; in
    between nobody knows, so whoever finds such a canary has to look. `host`, `pid` and `pid_start` tell who made it.
    """

    id: str
    domain: str
    table: str
    key: str
    row: str
    column: str
    before: str | None
    marked: str
    state: CanaryState
    note: str
    at: datetime
    changed_at: datetime
    host: str
    pid: int
    pid_start: int


async def keep(connection: AsyncConnection, window_id: str, standing: Standing) -> None:
    """Remember what a check says now; what it said before in this window is overwritten.

    But a look that could not tell takes nothing back from one that could: `scans` and `canary` stand as they were told
    last, and grow old. What the sides say of themselves holds for as long as they say it.
    """
    values = {
        "window": window_id,
        "domain": standing.domain,
        "check": standing.check,
        "proof": standing.proof,
        "text": clean(standing.text[:LONGEST_TEXT]),
        "at": to_us(standing.at),
    }
    made = insert(connection, standing_table).values(values)
    later = {name: made.excluded[name] for name in ("proof", "text", "at")}
    told = (made.excluded.proof != "unknown") | (standing_table.c.proof == "unknown")
    await connection.execute(
        made.on_conflict_do_update(
            index_elements=["window", "domain", "check"],
            set_=later,
            where=told | (standing_table.c.check == "health"),
        )
    )


async def keep_all(connection: AsyncConnection, found: Sequence[tuple[str, Standing]]) -> None:
    """As `keep`, for several, each with its window."""
    for window_id, one in found:
        await keep(connection, window_id, one)


async def standings(connection: AsyncConnection, window_id: str) -> tuple[Standing, ...]:
    """What every check of the window's domain said last."""
    rows = await connection.execute(
        select(standing_table).where(standing_table.c.window == window_id).order_by(standing_table.c.check)
    )
    return tuple(Standing(row.domain, row.check, row.proof, row.text, from_us(row.at)) for row in rows)


async def drop_windows(connection: AsyncConnection, keep: Collection[str]) -> None:
    """Forget all windows but these."""
    await connection.execute(delete(standing_table).where(standing_table.c.window.not_in(list(keep))))


async def plan_canary(connection: AsyncConnection, canary: Canary) -> None:
    """Write a canary down before its field is touched. The oldest of those that are done with go."""
    table = canary_table
    await connection.execute(
        insert(connection, table).values(
            id=canary.id, domain=canary.domain, table=canary.table, key=canary.key, row=canary.row,
            column=canary.column, before=canary.before, marked=canary.marked, state=canary.state, note=canary.note,
            at=to_us(canary.at), changed_at=to_us(canary.changed_at), host=canary.host, pid=canary.pid,
            pid_start=canary.pid_start,
        )
    )  # fmt: skip
    done = select(table.c.id).where(table.c.state == "restored")
    kept = done.order_by(table.c.at.desc(), table.c.id.desc()).limit(CANARIES_KEPT)
    await connection.execute(delete(table).where(table.c.state == "restored", table.c.id.not_in(kept)))


async def advance_canary(connection: AsyncConnection, id_: str, state: CanaryState, note: str, at: datetime) -> None:
    """Write down what became of a canary."""
    values = {"state": state, "note": clean(note[:LONGEST_TEXT]), "changed_at": to_us(at)}
    await connection.execute(update(canary_table).where(canary_table.c.id == id_).values(values))


async def canaries(
    connection: AsyncConnection, domain: str | None = None, *, unfinished: bool = False
) -> tuple[Canary, ...]:
    """Canaries, newest first; only those whose field may still bear the mark with `unfinished`."""
    table = canary_table
    asked = select(table).order_by(table.c.at.desc(), table.c.id.desc()).limit(CANARY_LIMIT)
    if domain is not None:
        asked = asked.where(table.c.domain == domain)
    if unfinished:
        asked = asked.where(table.c.state != "restored")
    rows = (row._mapping for row in await connection.execute(asked))  # noqa: SLF001 - SQLAlchemy's documented name
    return tuple(Canary(**{**row, "at": from_us(row["at"]), "changed_at": from_us(row["changed_at"])}) for row in rows)
