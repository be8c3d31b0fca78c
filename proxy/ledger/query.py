"""Reading the file: each function runs inside one read transaction, so what it answers is of one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.details import Place
from proxy.ledger.dialect import total
from proxy.ledger.entities import entity_totals
from proxy.ledger.moments import from_us
from proxy.ledger.records import TraceSummary
from proxy.ledger.timing import paces, watches
from proxy.ledger.totals import Totals
from proxy.ledger.traces import cursor_of, parse_cursor, unpack
from proxy.ledger.windows import newest
from proxy.model import Trace, Verdict


async def totals(connection: AsyncConnection, own: str | None, more: Collection[str] = ()) -> Totals:
    """The sums of the file: of its current windows, and of the windows `more`.

    What run `own` has under way is left out: its process knows better.
    """
    current = {domain: stored.window for domain, stored in (await newest(connection)).items()}
    ids = {window.id for window in current.values()}.union(more)
    found = Totals(current)
    await _add_observed(connection, found, ids, own)
    table = schema.verdicts
    for row in await connection.execute(select(table).where(table.c.window.in_(ids))):
        found.route(row.window, row.domain, row.route).add_verdict(
            Verdict(row.verdict), row.n, row.first_minute, row.last_minute, row.last_at, row.known_gaps
        )
    sums = select(table.c.domain, table.c.verdict, total(table.c.n).label("n"))
    for row in await connection.execute(sums.group_by(table.c.domain, table.c.verdict)):
        found.lifetime(row.domain).verdicts[Verdict(row.verdict)] = row.n
    for window, domain, route, kind, path, rule, n in await _tolerated(connection, ids):
        found.tolerated[window, domain, route, kind, path, rule] = n
    for row in await connection.execute(select(schema.overflow)):
        found.overflow[row.domain] = row.differences
    found.entities = await entity_totals(connection, ids)
    found.paces = Counter(await paces(connection, ids))
    found.watches = await watches(connection, ids)
    return found


async def _add_observed(connection: AsyncConnection, found: Totals, ids: set[str], own: str | None) -> None:
    table, runs = schema.observed, schema.runs
    closed = select(runs.c.id).where(runs.c.closed_at.is_not(None))
    current = select(table, table.c.run.in_(closed).label("closed")).where(table.c.window.in_(ids))
    for row in await connection.execute(current):
        route = found.route(row.window, row.domain, row.route)
        route.observed += row.observed
        if row.run not in ("", own) and not row.closed:
            route.under_way += row.begun - row.settled
    sums = select(table.c.domain, total(table.c.observed).label("observed")).group_by(table.c.domain)
    for row in await connection.execute(sums):
        found.lifetime(row.domain).observed = row.observed


async def known_places(connection: AsyncConnection) -> set[Place]:
    """The places of all tolerances."""
    rows = await _tolerated(connection, None)
    return {(window, domain, route, kind, path, rule) for window, domain, route, kind, path, rule, _ in rows}


async def _tolerated(
    connection: AsyncConnection, ids: set[str] | None
) -> Sequence[tuple[str, str, str, str, str, str, int]]:
    columns = schema.tolerated.c
    statement = select(
        columns.window, columns.domain, columns.route, columns.kind, columns.path, columns.rule, columns.n
    )
    if ids is not None:
        statement = statement.where(columns.window.in_(ids))
    rows: Sequence[Any] = (await connection.execute(statement)).all()
    return rows


async def traces(
    connection: AsyncConnection, domain: str | None, finding: str | None, limit: int, before: str | None
) -> list[TraceSummary]:
    """Newest first."""
    table = schema.traces
    statement: Select[Any] = select(*(column for column in table.c if column.name != "body"))
    if domain is not None:
        statement = statement.where(table.c.domain == domain)
    if finding is not None:
        links = schema.finding_traces
        statement = statement.where(table.c.id.in_(select(links.c.trace).where(links.c.finding == finding)))
    if before is not None:
        at, trace = parse_cursor(before)
        statement = statement.where(or_(table.c.at < at, and_(table.c.at == at, table.c.id < trace)))
    rows = await connection.execute(statement.order_by(table.c.at.desc(), table.c.id.desc()).limit(limit))
    return [
        TraceSummary(
            row.id,
            from_us(row.at),
            row.domain,
            row.route,
            Verdict(row.verdict),
            row.method,
            row.target,
            row.primary_status,
            row.shadow_status,
            row.differences_total,
            cursor_of(row.at, row.id),
        )
        for row in rows
    ]


async def trace(connection: AsyncConnection, id_: str) -> Trace | None:
    body = await connection.scalar(select(schema.traces.c.body).where(schema.traces.c.id == id_))
    return None if body is None else unpack(body)
