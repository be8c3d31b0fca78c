"""Findings: all differences of one domain, route, path pattern and kind, counted together, and their life.

A finding is open until its route was compared `gone_after` times without it, or until it was closed because reading
again showed it gone; when it is seen after that, it has returned. Who accepts one says who, why and until when; that
changes no count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import Row, String, case, column, delete, func, select, update, values
from sqlalchemy.ext.asyncio import AsyncConnection

from comparators.model import Kind
from proxy.errors import LedgerError
from proxy.ledger import schema
from proxy.ledger.details import DetailsBatch, FindingDelta, clean
from proxy.ledger.dialect import Insert, greater, insert, insert_in, lesser, total
from proxy.ledger.moments import MICROSECOND, from_us, maybe_from_us, to_us
from proxy.ledger.tally import VerdictDelta
from proxy.ledger.upsert import add, many, parts
from proxy.model import COMPARISONS

GONE_AFTER = 1_000
"""Comparisons of its route without it, after which a finding is gone, where nothing else is configured."""

RouteKey: TypeAlias = tuple[str, str]
"""A domain and a route."""


_IS_GONE = schema.findings.c.gone_at.is_not(None) & (
    func.coalesce(schema.findings.c.returned_at, 0) <= schema.findings.c.gone_at
)


_SEEN = (
    select(
        schema.findings.c.domain,
        schema.findings.c.route,
        func.min(schema.findings.c.seen_comparisons).label("seen"),
    )
    .where(~_IS_GONE)
    .group_by(schema.findings.c.domain, schema.findings.c.route)
)
"""Of each route, by how many comparisons the longest unseen finding that is not gone was seen last."""


class FindingState(StrEnum):
    """What became of a finding; the last one alone is somebody's word, the others are what was seen."""

    OPEN = "open"
    GONE = "gone"
    RETURNED = "returned"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Somebody's word that a finding may stay for now: through the day `until`, in UTC. `at` is when it was given."""

    owner: str
    why: str
    until: date
    at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """All differences of one domain, route, path pattern and kind.

    `exchanges` and `differences` are how many there were; of the differences, `known_gap` were of exchanges that a
    recorded gap explains. The samples are the values of one difference as JSON text, capped. The trace ids are None
    when no trace was kept; only the first one's trace is kept for good.

    `gone_at` is when it was last found gone, `gone_why` by what, `returned_at` when it was first seen again after
    that. `acceptance` stands here also past its date, and then no longer counts in `state`.
    """

    id: str
    domain: str
    route: str
    path: str
    kind: Kind
    exchanges: int
    differences: int
    first_at: datetime
    last_at: datetime
    first_trace: str | None
    last_trace: str | None
    sample_primary: str | None
    sample_shadow: str | None
    known_gap: int = 0
    gone_at: datetime | None = None
    gone_why: str | None = None
    returned_at: datetime | None = None
    acceptance: Acceptance | None = None
    state: FindingState = FindingState.OPEN


def state_of(finding: Finding, today: date) -> FindingState:
    """The state on a day (UTC). What is gone is gone, accepted or not."""
    gone, returned, accepted = finding.gone_at, finding.returned_at, finding.acceptance
    if gone is not None and (returned is None or returned <= gone):
        return FindingState.GONE
    if accepted is not None and today <= accepted.until:
        return FindingState.ACCEPTED
    return FindingState.OPEN if returned is None else FindingState.RETURNED


async def stored_findings(connection: AsyncConnection, domain: str | None, id_: str | None = None) -> list[Finding]:
    """All of them, those of a domain, or the one of an id."""
    table, accepted = schema.findings, schema.acceptances
    statement = select(
        table,
        *(accepted.c[name].label(f"accepted_{name}") for name in ("owner", "why", "until", "at")),
    ).select_from(table.outerjoin(accepted, accepted.c.finding == table.c.id))
    if domain is not None:
        statement = statement.where(table.c.domain == domain)
    if id_ is not None:
        statement = statement.where(table.c.id == id_)
    rows = (await connection.execute(statement)).all()
    # Thousands take tens of milliseconds: not on the loop that serves clients.
    return await asyncio.to_thread(lambda: [_finding(row) for row in rows])


async def known_findings(connection: AsyncConnection) -> set[str]:
    """The ids of all findings."""
    return set(await connection.scalars(select(schema.findings.c.id)))


def merge_findings(stored: Iterable[Finding], waiting: Iterable[FindingDelta], today: date) -> list[Finding]:
    """Most frequent first, each with its state on the day `today` (UTC)."""
    found = {finding.id: finding for finding in stored}
    for delta in waiting:
        old = found.get(delta.id)
        found[delta.id] = _fresh(delta) if old is None else _grown(old, delta)
    return sorted(
        (replace(finding, state=state_of(finding, today)) for finding in found.values()),
        key=lambda finding: (-finding.exchanges, -finding.differences, finding.id),
    )


async def write_findings(connection: AsyncConnection, details: DetailsBatch, limit: int) -> set[str]:
    """Write what is new, after the verdicts of the same batch; `limit` is how many findings there may be.

    Returns the ids of the traces that are the first of their finding.
    """
    if not details.findings and not details.overflow:
        return set()
    table = schema.findings
    existing: dict[str, str | None] = {}
    for part in parts([finding.id for finding in details.findings]):
        rows = await connection.execute(select(table.c.id, table.c.first_trace).where(table.c.id.in_(part)))
        existing.update((row.id, row.first_trace) for row in rows)
    compared = await _compared(connection, {(one.domain, one.route) for one in details.findings})
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
        accepted.append(
            {
                **{name: getattr(finding, name) for name in finding.__slots__},
                "seen_comparisons": compared[finding.domain, finding.route],
            }
        )
    await many(connection, _joining(connection.dialect.name), accepted)
    rows_over = [{"domain": domain, "differences": n} for domain, n in overflow.items()]
    await add(connection, schema.overflow, ("domain",), "differences", rows_over)
    return firsts


@cache
def _joining(dialect: str) -> Insert:
    table = schema.findings
    statement = insert_in(dialect, table)
    new = statement.excluded
    seen_since = _IS_GONE & (new.last_at > table.c.gone_at)
    return statement.on_conflict_do_update(
        index_elements=[table.c.id],
        set_={
            "exchanges": table.c.exchanges + new.exchanges,
            "differences": table.c.differences + new.differences,
            "known_gap": table.c.known_gap + new.known_gap,
            "seen_comparisons": new.seen_comparisons,
            "first_at": lesser(table.c.first_at, new.first_at),
            "last_at": greater(table.c.last_at, new.last_at),
            "first_trace": func.coalesce(table.c.first_trace, new.first_trace),
            "last_trace": func.coalesce(new.last_trace, table.c.last_trace),
            "sample_primary": func.coalesce(table.c.sample_primary, new.sample_primary),
            "sample_shadow": func.coalesce(table.c.sample_shadow, new.sample_shadow),
            # What differed before it was found gone and is written only now has not returned.
            "returned_at": case((seen_since, greater(new.first_at, table.c.gone_at + 1)), else_=table.c.returned_at),
        },
    )


async def age_findings(connection: AsyncConnection, verdicts: Iterable[VerdictDelta], gone_after: int) -> None:
    """Mark what is gone by the comparisons that one batch brought, after everything else of it was written."""
    latest: dict[RouteKey, int] = {}
    for delta in verdicts:
        if delta.verdict in COMPARISONS:
            key = delta.domain, delta.route
            latest[key] = max(latest.get(key, 0), delta.last_at)
    table = schema.findings
    if not latest:
        return
    rows = await connection.execute(_SEEN)
    # By how many comparisons the longest unseen one of each route was last seen.
    unseen = {(row.domain, row.route): row.seen for row in rows if (row.domain, row.route) in latest}
    why = f"not seen in {gone_after} comparisons of its route"
    for (domain, route), compared in (await _compared(connection, unseen.keys())).items():
        if compared - unseen[domain, route] >= gone_after:
            of_route = (table.c.domain == domain) & (table.c.route == route)
            old = of_route & ~_IS_GONE & (table.c.seen_comparisons <= compared - gone_after)
            at = greater(latest[domain, route], table.c.last_at)
            await connection.execute(update(table).where(old).values(gone_at=at, gone_why=why))


async def close(connection: AsyncConnection, finding_id: str, at: datetime, why: str) -> bool:
    """Note that a finding is gone as of `at`, and by what (`why`).

    Returns whether it is gone now: False when it was seen after `at`, and when there is none. What was gone already
    stays so as it is.
    """
    table = schema.findings
    unseen = ~_IS_GONE & (table.c.last_at <= to_us(at))
    await connection.execute(
        update(table).where(table.c.id == finding_id, unseen).values(gone_at=to_us(at), gone_why=why)
    )
    return await connection.scalar(select(table.c.id).where(table.c.id == finding_id, _IS_GONE)) is not None


async def accept(connection: AsyncConnection, finding_id: str, acceptance: Acceptance) -> None:
    """Keep an acceptance in the place of an earlier one. Raises LedgerError when there is no such finding."""
    await _known(connection, finding_id)
    values = {
        "owner": clean(acceptance.owner),
        "why": clean(acceptance.why),
        "until": acceptance.until.isoformat(),
        "at": to_us(acceptance.at),
    }
    statement = insert(connection, schema.acceptances).values(finding=finding_id, **values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[schema.acceptances.c.finding], set_=values)
    )


async def revoke(connection: AsyncConnection, finding_id: str) -> bool:
    """Take an acceptance back; whether there was one. Raises LedgerError when there is no such finding."""
    await _known(connection, finding_id)
    table = schema.acceptances
    done = await connection.execute(delete(table).where(table.c.finding == finding_id))
    return done.rowcount > 0


async def _known(connection: AsyncConnection, finding_id: str) -> None:
    table = schema.findings
    if await connection.scalar(select(table.c.id).where(table.c.id == finding_id)) is None:
        raise LedgerError(f"no finding has the id {finding_id[:80]!r}; `shadowread findings` shows those there are")


async def _compared(connection: AsyncConnection, routes: Iterable[RouteKey]) -> dict[RouteKey, int]:
    """How often each of `routes` was compared, in all of the domain's windows together."""
    table = schema.verdicts
    names = [verdict.value for verdict in COMPARISONS]
    found = dict.fromkeys(routes, 0)
    for part in parts(list(found)):
        wanted = values(column("domain", String), column("route", String)).data(part).cte("wanted")
        statement = (
            select(table.c.domain, table.c.route, total(table.c.n).label("n"))
            .join_from(wanted, table, (table.c.domain == wanted.c.domain) & (table.c.route == wanted.c.route))
            .where(table.c.verdict.in_(names))
            .group_by(table.c.domain, table.c.route)
        )
        found.update(((row.domain, row.route), row.n) for row in await connection.execute(statement))
    return found


def _fresh(delta: FindingDelta) -> Finding:
    return Finding(
        delta.id,
        delta.domain,
        delta.route,
        delta.path,
        Kind(delta.kind),
        delta.exchanges,
        delta.differences,
        from_us(delta.first_at),
        from_us(delta.last_at),
        delta.first_trace,
        delta.last_trace,
        delta.sample_primary,
        delta.sample_shadow,
        delta.known_gap,
    )


def _grown(old: Finding, delta: FindingDelta) -> Finding:
    returned = old.returned_at
    gone = old.gone_at
    if gone is not None and (returned is None or returned <= gone) and from_us(delta.last_at) > gone:
        returned = max(from_us(delta.first_at), gone + MICROSECOND)
    return replace(
        old,
        exchanges=old.exchanges + delta.exchanges,
        differences=old.differences + delta.differences,
        known_gap=old.known_gap + delta.known_gap,
        first_at=min(old.first_at, from_us(delta.first_at)),
        last_at=max(old.last_at, from_us(delta.last_at)),
        first_trace=old.first_trace or delta.first_trace,
        last_trace=delta.last_trace or old.last_trace,
        sample_primary=old.sample_primary if old.sample_primary is not None else delta.sample_primary,
        sample_shadow=old.sample_shadow if old.sample_shadow is not None else delta.sample_shadow,
        returned_at=returned,
    )


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
        row.known_gap,
        maybe_from_us(row.gone_at),
        row.gone_why,
        maybe_from_us(row.returned_at),
        None
        if row.accepted_at is None
        else Acceptance(
            row.accepted_owner,
            row.accepted_why,
            date.fromisoformat(row.accepted_until),
            from_us(row.accepted_at),
        ),
    )
