"""Reading the file: each function runs inside one read transaction, so what it answers is of one moment."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from comparators.model import Kind
from proxy.ledger import schema
from proxy.ledger.details import Place
from proxy.ledger.moments import MINUTE, from_us, to_us
from proxy.ledger.records import Decision, Finding, MinuteCount, TraceSummary
from proxy.ledger.totals import Totals
from proxy.ledger.traces import cursor_of, parse_cursor, unpack
from proxy.model import Trace, Verdict


async def totals(connection: AsyncConnection, own: str | None) -> Totals:
    """The sums of the file. What run `own` has under way is left out: its process knows better."""
    found = Totals()
    observed, runs = schema.observed, schema.runs
    closed = select(runs.c.id).where(runs.c.closed_at.is_not(None))
    for row in await connection.execute(select(observed, observed.c.run.in_(closed).label("closed"))):
        route = found.route(row.domain, row.route)
        route.observed += row.observed
        if row.run not in ("", own) and not row.closed:
            route.under_way += row.begun - row.settled
    for row in await connection.execute(select(schema.verdicts)):
        found.route(row.domain, row.route).add_verdict(
            Verdict(row.verdict), row.n, row.first_minute, row.last_minute, row.last_at
        )
    for row in await connection.execute(select(schema.tolerated)):
        found.tolerated[row.domain, row.route, row.kind, row.path, row.rule] = row.n
    for row in await connection.execute(select(schema.overflow)):
        found.overflow[row.domain] = row.differences
    for row in await connection.execute(select(schema.entity_counts)):
        found.entities[row.domain] = row.n
    return found


async def findings(connection: AsyncConnection, domain: str | None) -> list[Finding]:
    table = schema.findings
    statement = select(table)
    if domain is not None:
        statement = statement.where(table.c.domain == domain)
    return [_finding(row) for row in await connection.execute(statement)]


async def known_findings(connection: AsyncConnection) -> set[str]:
    """The ids of all findings."""
    return set(await connection.scalars(select(schema.findings.c.id)))


async def known_places(connection: AsyncConnection) -> set[Place]:
    """The places of all tolerances."""
    table = schema.tolerated
    places = await connection.execute(select(table.c.domain, table.c.route, table.c.kind, table.c.path, table.c.rule))
    return {(row.domain, row.route, row.kind, row.path, row.rule) for row in places}


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


async def minutes(connection: AsyncConnection, domain: str, since: datetime, limit: int) -> list[MinuteCount]:
    """Oldest first. Minutes long past are joined to the first of their hour."""
    table = schema.minutes
    rows = await connection.execute(
        select(table.c.minute, table.c.verdict, func.sum(table.c.n).label("n"))
        .where(table.c.domain == domain, table.c.minute >= to_us(since) // MINUTE)
        .group_by(table.c.minute, table.c.verdict)
        .order_by(table.c.minute, table.c.verdict)
        .limit(limit)
    )
    return [MinuteCount(from_us(row.minute * MINUTE), Verdict(row.verdict), row.n) for row in rows]


async def decisions(connection: AsyncConnection, domain: str | None, limit: int) -> list[Decision]:
    """Newest first."""
    table = schema.decisions
    statement = select(table).order_by(table.c.id.desc()).limit(limit)
    if domain is not None:
        statement = statement.where(table.c.domain == domain)
    return [
        Decision(row.id, row.domain, from_us(row.at), row.state, json.loads(row.result))
        for row in await connection.execute(statement)
    ]


def _finding(row: Row[Any]) -> Finding:
    return Finding(
        row.id,
        row.domain,
        row.route,
        row.path,
        Kind(row.kind),
        row.exchanges,
        row.differences,
        from_us(row.first_at),
        from_us(row.last_at),
        row.first_trace,
        row.last_trace,
        row.sample_primary,
        row.sample_shadow,
    )
