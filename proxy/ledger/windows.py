"""Windows in the file: which is the current one of a domain, how a new one comes in, what becomes of old ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, Select, Table, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.details import clean
from proxy.ledger.dialect import insert
from proxy.ledger.moments import from_us, to_us
from proxy.ledger.upsert import joining_verdicts
from proxy.window import RULES, Window

KEPT = 20
"""How many windows a domain keeps apart, the current one among them; older ones are only kept as sums."""
OLD = ""
"""The window of everything that is of no window any more."""
UNKNOWN_PARTS = json.dumps({RULES: "unknown"})
"""The parts of a window of which nobody knows what it belongs to: any rules begin another one."""
WHY_CHARACTERS = 500
BEFORE_WHY = "counted before windows were kept"
ORPHANED_WHY = "begun by a process that died before it could write down what for"


@dataclass(frozen=True, slots=True)
class Stored:
    """A window as it is in the file; the greatest `seq` of a domain is its current one."""

    seq: int
    window: Window


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A window of this process that is not, or not with all its parts, in the file.

    It may turn out to be one that another process has written since `seen`, the greatest `seq` that this one knew,
    unless it is to stand `alone`.
    """

    window: Window
    seen: int
    alone: bool


def before_id(domain: str) -> str:
    """The id of the window of what was counted before windows were kept. Journals of that time need it, too."""
    return f"before-{sha256(domain.encode()).hexdigest()[:9]}"


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The parts that both name, and differently."""
    return [name for name in new if old.get(name, new[name]) != new[name]]


def why_of(changed: Iterable[str], old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Why the parts that changed began another window."""
    return cut_why("; ".join(f"{name} changed from {old[name]} to {new[name]}" for name in changed))


def cut_why(why: str) -> str:
    return clean(why)[:WHY_CHARACTERS]


_NEWEST = select(schema.windows).where(
    schema.windows.c.seq.in_(select(func.max(schema.windows.c.seq)).group_by(schema.windows.c.domain))
)


async def newest(connection: AsyncConnection) -> dict[str, Stored]:
    """The current window of each domain."""
    rows = await connection.execute(_NEWEST)
    return {row.domain: _stored(row) for row in rows}


async def of_domain(connection: AsyncConnection, domain: str) -> list[Window]:
    """Newest first."""
    table = schema.windows
    rows = await connection.execute(select(table).where(table.c.domain == domain).order_by(table.c.seq.desc()))
    return [_stored(row).window for row in rows]


async def known_ids(connection: AsyncConnection) -> set[str]:
    return set(await connection.scalars(select(schema.windows.c.id)))


async def save(connection: AsyncConnection, run: str, unsaved: Iterable[Unsaved]) -> dict[str, Stored]:
    """Write windows down, in order; answers what became of each, by the id that it came with.

    One that another process has begun for the same reason at the same time becomes that one. What was begun in the
    journal is still found under its first name, therefore that is kept in `joined` as long as the run lasts.
    """
    before = await connection.scalar(select(func.max(schema.windows.c.seq)))
    found: dict[str, Stored] = {}
    for one in unsaved:
        found[one.window.id] = await _save(connection, run, one)
    if before != await connection.scalar(select(func.max(schema.windows.c.seq))):
        await fold(connection)
    return found


async def add(connection: AsyncConnection, window: Window) -> Stored:
    """Make `window` the current one of its domain; `fold` is the caller's."""
    table = schema.windows
    await connection.execute(
        insert(connection, table).values(
            id=window.id,
            domain=window.domain,
            parts=json.dumps(dict(window.parts), sort_keys=True),
            started_at=to_us(window.started_at),
            why=window.why,
        )
    )
    row = (await connection.execute(select(table).where(table.c.id == window.id))).one()
    return _stored(row)


async def joined(connection: AsyncConnection, run: str) -> dict[str, str]:
    """What became of the windows that `run` shared with other processes."""
    table = schema.joined
    rows = await connection.execute(select(table.c.own, table.c.window).where(table.c.run == run))
    return {row.own: row.window for row in rows}


async def fold(connection: AsyncConnection) -> None:
    """Keep of windows that are over only what they counted, and of long past ones only the sums."""
    table = schema.windows
    current = select(func.max(table.c.seq)).group_by(table.c.domain)
    over = select(table.c.id).where(table.c.seq.in_(current))
    counts, entities = schema.entity_counts, schema.entities
    gone = select(counts.c.id).where(counts.c.window.not_in(over))
    await connection.execute(delete(entities).where(entities.c.count_id.in_(gone)))
    for one in (counts, schema.tolerated, schema.latency, schema.watches):
        await connection.execute(delete(one).where(one.c.window.not_in(over)))
    place = func.row_number().over(partition_by=table.c.domain, order_by=table.c.seq.desc()).label("place")
    numbered = select(table.c.id, place).subquery()
    await connection.execute(delete(table).where(table.c.id.in_(select(numbered.c.id).where(numbered.c.place > KEPT))))
    await _fold_verdicts(connection)
    await _fold_observed(connection)


async def _fold_verdicts(connection: AsyncConnection) -> None:
    table = schema.verdicts
    past = _past(table)
    sums = (
        select(
            table.c.domain,
            table.c.route,
            literal(OLD),
            table.c.verdict,
            func.sum(table.c.n),
            func.sum(table.c.known_gaps),
            func.min(table.c.first_minute),
            func.max(table.c.last_minute),
            func.max(table.c.last_at),
        )
        .where(past)
        .group_by(table.c.domain, table.c.route, table.c.verdict)
    )
    statement = insert(connection, table).from_select([column.name for column in table.c], sums)
    await connection.execute(joining_verdicts(statement))
    await connection.execute(delete(table).where(past))


async def _fold_observed(connection: AsyncConnection) -> None:
    """Those of closed runs: the others still say what their run has under way."""
    table = schema.observed
    past = (table.c.run == "") & _past(table)
    sums = (
        select(
            table.c.run,
            literal(OLD),
            table.c.domain,
            table.c.route,
            func.sum(table.c.observed),
            func.sum(table.c.begun),
            func.sum(table.c.settled),
        )
        .where(past)
        .group_by(table.c.run, table.c.domain, table.c.route)
    )
    statement = insert(connection, table).from_select([column.name for column in table.c], sums)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={"observed": table.c.observed + statement.excluded.observed},
        )
    )
    await connection.execute(delete(table).where(past))


def _past(table: Table) -> Any:
    return (table.c.window != OLD) & table.c.window.not_in(select(schema.windows.c.id))


async def _save(connection: AsyncConnection, run: str, one: Unsaved) -> Stored:
    table, window = schema.windows, one.window
    known = (await joined(connection, run)).get(window.id, window.id)
    row = (await connection.execute(select(table).where(table.c.id == known))).one_or_none()
    if row is None:
        last = await _last(connection, window.domain)
        if last is None or one.alone or last.seq <= one.seen:
            return await add(connection, window)
        if changed := changes(last.window.parts, window.parts):
            # It was begun without knowing of the one that it now follows.
            why = why_of(changed, last.window.parts, window.parts)
            return await add(connection, replace(window, why=why))
        became = insert(connection, schema.joined).values(run=run, own=window.id, window=last.window.id)
        await connection.execute(became.on_conflict_do_nothing())
        stored = last
    else:
        stored = _stored(row)
    parts = {**window.parts, **stored.window.parts}
    if parts != stored.window.parts:
        packed = json.dumps(parts, sort_keys=True)
        await connection.execute(update(table).where(table.c.id == stored.window.id).values(parts=packed))
        found = stored.window
        stored = Stored(stored.seq, Window(found.id, found.domain, parts, found.started_at, found.why))
    return stored


async def _last(connection: AsyncConnection, domain: str) -> Stored | None:
    table = schema.windows
    statement: Select[Any] = select(table).where(table.c.domain == domain).order_by(table.c.seq.desc()).limit(1)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: Row[Any]) -> Stored:
    return Stored(row.seq, Window(row.id, row.domain, json.loads(row.parts), from_us(row.started_at), row.why))
