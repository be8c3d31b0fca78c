"""Writing one batch in one transaction, and keeping what is stored within its limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.details import DetailsBatch, Place, clean, place_for
from proxy.ledger.dialect import Insert, insert_in, total
from proxy.ledger.entities import write_entities
from proxy.ledger.findings import age_findings, write_findings
from proxy.ledger.minutes import add_minutes
from proxy.ledger.moments import to_us
from proxy.ledger.query import known_places
from proxy.ledger.tally import Batch, RouteDelta, VerdictDelta
from proxy.ledger.timing import write_timing
from proxy.ledger.traces import TARGET_CHARACTERS, PackedTrace
from proxy.ledger.upsert import CHUNK, add, add_new, joining_verdicts, many
from proxy.ledger.windows import newest


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be stored: number of traces, their compressed bytes together, number of findings.

    `gone_after` is after how many comparisons of its route without it a finding is gone.
    """

    max_traces: int
    max_trace_bytes: int
    max_findings: int
    gone_after: int


async def write_batch(
    connection: AsyncConnection,
    run: str,
    batch: Batch,
    packed: tuple[PackedTrace, ...],
    bounds: Bounds,
    now_us: int,
) -> None:
    """Write `batch` unless it is written already (a commit that failed may have succeeded after all)."""
    runs = schema.runs
    if await is_written(connection, run, batch.sequence):
        return
    signed = {"sequence": batch.sequence, "written_at": now_us, "closed_at": None}
    await connection.execute(update(runs).where(runs.c.id == run).values(signed))
    await add_observed(connection, run, batch.routes)
    await add_verdicts(connection, batch.verdicts)
    started = {stored.window.id: to_us(stored.window.started_at) for stored in (await newest(connection)).values()}
    await write_timing(connection, batch.timing, started)
    await _write_details(connection, batch.details, packed, bounds, set(started))
    await age_findings(connection, batch.verdicts, bounds.gone_after)


async def is_written(connection: AsyncConnection, run: str, sequence: int) -> bool:
    """Whether the batch of that number is in the ledger."""
    done = await connection.scalar(select(schema.runs.c.sequence).where(schema.runs.c.id == run))
    return done is not None and done >= sequence


async def add_observed(connection: AsyncConnection, run: str, routes: Iterable[RouteDelta]) -> None:
    rows = [{"run": run, **{name: getattr(route, name) for name in route.__slots__}} for route in routes]
    await many(connection, _adding_observed(connection.dialect.name), rows)


@cache
def _adding_observed(dialect: str) -> Insert:
    table = schema.observed
    statement = insert_in(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={
            "observed": table.c.observed + statement.excluded.observed,
            "begun": statement.excluded.begun,
            "settled": statement.excluded.settled,
        },
    )


async def add_verdicts(connection: AsyncConnection, deltas: Iterable[VerdictDelta]) -> None:
    deltas = tuple(deltas)
    rows = [
        {
            "domain": one.domain,
            "route": one.route,
            "window": one.window,
            "verdict": one.verdict.value,
            "n": one.n,
            "known_gaps": one.known_gaps,
            "first_minute": min(one.minutes),
            "last_minute": max(one.minutes),
            "last_at": one.last_at,
        }
        for one in deltas
    ]
    await many(connection, _adding_verdicts(connection.dialect.name), rows)
    await add_minutes(connection, deltas)


@cache
def _adding_verdicts(dialect: str) -> Insert:
    return joining_verdicts(insert_in(dialect, schema.verdicts))


async def fold_run(connection: AsyncConnection, run: str) -> None:
    """Join what a closed run observed to that of all closed ones, so that restarts leave no rows behind."""
    table = schema.observed
    rows = await connection.execute(
        select(table.c.window, table.c.domain, table.c.route, table.c.observed).where(table.c.run == run)
    )
    deltas = [RouteDelta(row.window, row.domain, row.route, 0, 0, row.observed) for row in rows]
    await connection.execute(delete(table).where(table.c.run == run))
    await add_observed(connection, "", deltas)


async def _write_details(
    connection: AsyncConnection,
    details: DetailsBatch,
    packed: tuple[PackedTrace, ...],
    bounds: Bounds,
    current: set[str],
) -> None:
    firsts = await write_findings(connection, details, bounds.max_findings)
    await _write_tolerated(connection, details, current)
    await write_entities(connection, details.entities, current)
    if packed:
        await _write_traces(connection, details, packed, firsts, bounds)


async def _write_tolerated(connection: AsyncConnection, details: DetailsBatch, current: set[str]) -> None:
    """What comes late for a window that is over is not kept."""
    if not details.tolerated:
        return
    table = schema.tolerated
    known = await known_places(connection)
    counted: dict[Place, int] = {}
    for key, n in details.tolerated.items():
        if key[0] not in current:
            continue
        place = place_for(key, known)
        counted[place] = counted.get(place, 0) + n
    names = ("window", "domain", "route", "kind", "path", "rule")
    await add(
        connection,
        table,
        names,
        "n",
        [{**dict(zip(names, key, strict=True)), "n": n} for key, n in counted.items()],
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
        await connection.scalar(select(func.coalesce(total(table.c.bytes), 0)).where(table.c.kept == 1)) or 0
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
    await add_new(connection, table, rows)
    links = [{"finding": finding, "trace": trace} for finding, trace in details.links]
    await add_new(connection, schema.finding_traces, links)
    await _prune(connection, bounds)


async def _prune(connection: AsyncConnection, bounds: Bounds) -> None:
    """Delete the oldest traces past the limits, but never the first one of a finding."""
    table, findings, links = schema.traces, schema.findings, schema.finding_traces
    row = (
        await connection.execute(select(func.count(), func.coalesce(total(table.c.bytes), 0)).select_from(table))
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
