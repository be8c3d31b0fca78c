"""Writing one batch in one transaction, and keeping what is stored within its limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.details import DetailsBatch, Place, clean, place_for
from proxy.ledger.moments import MINUTE, to_us
from proxy.ledger.query import known_places
from proxy.ledger.records import ENTITY_LIMIT
from proxy.ledger.tally import Batch, RouteDelta, VerdictDelta
from proxy.ledger.traces import TARGET_CHARACTERS, PackedTrace

CHUNK = 500
"""Rows or names a statement; SQLite takes at most 32,766 parameters."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be stored: number of traces, their compressed bytes together, number of findings."""

    max_traces: int
    max_trace_bytes: int
    max_findings: int


async def write_batch(
    connection: AsyncConnection, run: str, batch: Batch, packed: tuple[PackedTrace, ...], bounds: Bounds
) -> None:
    """Write `batch` unless it is written already (a commit that failed may have succeeded after all)."""
    runs = schema.runs
    done = await connection.scalar(select(runs.c.sequence).where(runs.c.id == run))
    if done is not None and done >= batch.sequence:
        return
    await connection.execute(update(runs).where(runs.c.id == run).values(sequence=batch.sequence, closed_at=None))
    await add_observed(connection, run, batch.routes)
    await add_verdicts(connection, batch.verdicts)
    await _write_details(connection, batch.details, packed, bounds)


async def add_observed(connection: AsyncConnection, run: str, routes: Iterable[RouteDelta]) -> None:
    table = schema.observed
    statement = insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.run, table.c.domain, table.c.route],
        set_={
            "observed": table.c.observed + statement.excluded.observed,
            "begun": statement.excluded.begun,
            "settled": statement.excluded.settled,
        },
    )
    await _many(
        connection,
        statement,
        [
            {
                "run": run,
                "domain": route.domain,
                "route": route.route,
                "observed": route.observed,
                "begun": route.begun,
                "settled": route.settled,
            }
            for route in routes
        ],
    )


async def add_verdicts(connection: AsyncConnection, deltas: Iterable[VerdictDelta]) -> None:
    deltas = tuple(deltas)
    table = schema.verdicts
    statement = insert(table)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.domain, table.c.route, table.c.verdict],
        set_={
            "n": table.c.n + new.n,
            "first_minute": func.min(table.c.first_minute, new.first_minute),
            "last_minute": func.max(table.c.last_minute, new.last_minute),
            "last_at": func.max(table.c.last_at, new.last_at),
        },
    )
    keys = [{"domain": one.domain, "route": one.route, "verdict": one.verdict.value} for one in deltas]
    rows = [
        {
            **key,
            "n": one.n,
            "first_minute": min(one.minutes),
            "last_minute": max(one.minutes),
            "last_at": one.last_at,
        }
        for key, one in zip(keys, deltas, strict=True)
    ]
    await _many(connection, statement, rows)
    by_minute = [
        {**key, "minute": minute, "n": n}
        for key, one in zip(keys, deltas, strict=True)
        for minute, n in one.minutes.items()
    ]
    await _add(connection, schema.minutes, ("domain", "route", "verdict", "minute"), "n", by_minute)


async def fold_run(connection: AsyncConnection, run: str) -> None:
    """Join what a closed run observed to that of all closed ones, so that restarts leave no rows behind."""
    table = schema.observed
    rows = await connection.execute(select(table.c.domain, table.c.route, table.c.observed).where(table.c.run == run))
    deltas = [RouteDelta(row.domain, row.route, 0, 0, row.observed) for row in rows]
    await connection.execute(delete(table).where(table.c.run == run))
    await add_observed(connection, "", deltas)


async def _write_details(
    connection: AsyncConnection, details: DetailsBatch, packed: tuple[PackedTrace, ...], bounds: Bounds
) -> None:
    firsts = await _write_findings(connection, details, bounds.max_findings)
    await _write_tolerated(connection, details)
    for domain, hashes in details.entities.items():
        await _write_entities(connection, domain, hashes)
    if packed:
        await _write_traces(connection, details, packed, firsts, bounds)


async def _write_findings(connection: AsyncConnection, details: DetailsBatch, limit: int) -> set[str]:
    """Returns the ids of the traces that are the first of their finding."""
    table = schema.findings
    ids = [finding.id for finding in details.findings]
    existing: dict[str, str | None] = {}
    for part in _parts(ids):
        rows = await connection.execute(select(table.c.id, table.c.first_trace).where(table.c.id.in_(part)))
        existing.update((row.id, row.first_trace) for row in rows)
    room = limit - (await connection.scalar(select(func.count()).select_from(table)) or 0)
    overflow = dict(details.overflow)
    accepted, firsts = [], set()
    for finding in details.findings:
        if finding.id not in existing:
            if room <= 0:  # another process took the room
                overflow[finding.domain] = overflow.get(finding.domain, 0) + finding.differences
                continue
            room -= 1
        if existing.get(finding.id) is None and finding.first_trace is not None:
            firsts.add(finding.first_trace)
        accepted.append({name: getattr(finding, name) for name in finding.__slots__})
    statement = insert(table)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.id],
        set_={
            "exchanges": table.c.exchanges + new.exchanges,
            "differences": table.c.differences + new.differences,
            "first_at": func.min(table.c.first_at, new.first_at),
            "last_at": func.max(table.c.last_at, new.last_at),
            "first_trace": func.coalesce(table.c.first_trace, new.first_trace),
            "last_trace": func.coalesce(new.last_trace, table.c.last_trace),
            "sample_primary": func.coalesce(table.c.sample_primary, new.sample_primary),
            "sample_shadow": func.coalesce(table.c.sample_shadow, new.sample_shadow),
        },
    )
    await _many(connection, statement, accepted)
    rows_over = [{"domain": domain, "differences": n} for domain, n in overflow.items()]
    await _add(connection, schema.overflow, ("domain",), "differences", rows_over)
    return firsts


async def _write_tolerated(connection: AsyncConnection, details: DetailsBatch) -> None:
    if not details.tolerated:
        return
    table = schema.tolerated
    known = await known_places(connection)
    counted: dict[Place, int] = {}
    for key, n in details.tolerated.items():
        place = place_for(key, known)
        counted[place] = counted.get(place, 0) + n
    names = ("domain", "route", "kind", "path", "rule")
    await _add(
        connection,
        table,
        names,
        "n",
        [{**dict(zip(names, key, strict=True)), "n": n} for key, n in counted.items()],
    )


async def _write_entities(connection: AsyncConnection, domain: str, hashes: frozenset[bytes]) -> None:
    table, counts = schema.entities, schema.entity_counts
    found = await connection.scalar(select(counts.c.n).where(counts.c.domain == domain)) or 0
    if found >= ENTITY_LIMIT:
        return
    # Those already there take no room; taking them for new only means that the limit is reached in two steps.
    some = sorted(hashes)[: ENTITY_LIMIT - found]
    rows = [{"domain": domain, "hash": one} for one in some]
    await _many(connection, insert(table).on_conflict_do_nothing(), rows)
    n = await connection.scalar(select(func.count()).select_from(table).where(table.c.domain == domain))
    await connection.execute(
        insert(counts).values(domain=domain, n=n).on_conflict_do_update(index_elements=[counts.c.domain], set_={"n": n})
    )


async def _write_traces(
    connection: AsyncConnection,
    details: DetailsBatch,
    packed: tuple[PackedTrace, ...],
    firsts: set[str],
    bounds: Bounds,
) -> None:
    table = schema.traces
    kept_bytes: int = (
        await connection.scalar(select(func.coalesce(func.sum(table.c.bytes), 0)).where(table.c.kept == 1)) or 0
    )
    rows: list[dict[str, Any]] = []
    for one in packed:
        trace, body = one.trace, one.body
        kept = trace.id in firsts
        if kept:
            # The first trace of a finding is never pushed out, so its room is taken from what all may have.
            if kept_bytes + len(body) > bounds.max_trace_bytes // 2:
                body = one.small
            kept_bytes += len(body)
        rows.append(
            {
                "id": trace.id,
                "at": to_us(trace.at),
                "domain": trace.domain,
                "route": trace.route,
                "verdict": trace.verdict.value,
                "method": trace.method,
                "target": clean(trace.target[:TARGET_CHARACTERS]),
                "primary_status": trace.primary_status,
                "shadow_status": trace.shadow_status,
                "differences_total": trace.differences_total,
                "kept": int(kept),
                "bytes": len(body),
                "body": body,
            }
        )
    await _many(connection, insert(table).on_conflict_do_nothing(), rows)
    links = [{"finding": finding, "trace": trace} for finding, trace in details.links]
    await _many(connection, insert(schema.finding_traces).on_conflict_do_nothing(), links)
    await _prune(connection, bounds)


async def _prune(connection: AsyncConnection, bounds: Bounds) -> None:
    """Delete the oldest traces past the limits, but never the first one of a finding."""
    table, findings, links = schema.traces, schema.findings, schema.finding_traces
    row = (
        await connection.execute(select(func.count(), func.coalesce(func.sum(table.c.bytes), 0)).select_from(table))
    ).one()
    count, size = int(row[0]), int(row[1])
    while count > bounds.max_traces or size > bounds.max_trace_bytes:
        oldest = (
            await connection.execute(
                select(table.c.id, table.c.bytes).where(table.c.kept == 0).order_by(table.c.at, table.c.id).limit(CHUNK)
            )
        ).all()
        if not oldest:
            return
        gone = []
        for trace, length in oldest:
            if count <= bounds.max_traces and size <= bounds.max_trace_bytes:
                break
            gone.append(trace)
            count, size = count - 1, size - length
        await connection.execute(delete(table).where(table.c.id.in_(gone)))
        await connection.execute(delete(links).where(links.c.trace.in_(gone)))
        await connection.execute(
            update(findings).where(findings.c.last_trace.in_(gone)).values(last_trace=findings.c.first_trace)
        )


async def fold_minutes(connection: AsyncConnection, now_us: int, *, keep_days: int) -> None:
    """Join minutes older than `keep_days` to the first of their hour: the sums stay, the rows get fewer."""
    table = schema.minutes
    before = now_us // MINUTE - keep_days * 24 * 60
    old = (table.c.minute < before) & (table.c.minute % 60 != 0)
    found = await connection.execute(
        select(table.c.domain, table.c.route, table.c.verdict, table.c.minute, table.c.n).where(old).limit(20 * CHUNK)
    )
    rows = found.all()
    if not rows:
        return
    hours: dict[tuple[str, str, str, int], int] = {}
    for domain, route, verdict, minute, n in rows:
        key = (domain, route, verdict, minute - minute % 60)
        hours[key] = hours.get(key, 0) + n
    names = ("domain", "route", "verdict", "minute")
    gone = delete(table).where(*(table.c[name] == bindparam(f"old_{name}") for name in names))
    await connection.execute(
        gone, [{f"old_{name}": value for name, value in zip(names, row[:4], strict=True)} for row in rows]
    )
    await _add(
        connection,
        table,
        names,
        "n",
        [{**dict(zip(names, key, strict=True)), "n": n} for key, n in hours.items()],
    )


async def _add(
    connection: AsyncConnection, table: Table, keys: tuple[str, ...], figure: str, rows: list[dict[str, Any]]
) -> None:
    """Add each row's `figure` to the one with the same keys, or make the row."""
    statement = insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=[table.c[key] for key in keys],
        set_={figure: table.c[figure] + statement.excluded[figure]},
    )
    await _many(connection, statement, rows)


async def _many(connection: AsyncConnection, statement: Any, rows: list[dict[str, Any]]) -> None:
    for part in _parts(rows):
        await connection.execute(statement, part)


def _parts(rows: list[Any]) -> Iterable[list[Any]]:
    for at in range(0, len(rows), CHUNK):
        yield rows[at : at + CHUNK]
