"""Settling the runs of dead processes: what they had begun and not written is counted as lost, once."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.ledger import schema, windows
from proxy.ledger.dialect import insert
from proxy.ledger.journal import NO_LEDGER, dead_runs, journal_of, process_start
from proxy.ledger.moments import MICROSECOND, MINUTE, from_us
from proxy.ledger.tally import RouteDelta, VerdictDelta
from proxy.ledger.write import add_observed, add_verdicts, fold_run
from proxy.model import Verdict
from proxy.window import Window

log = logging.getLogger(__name__)

FORSAKEN = timedelta(days=7)
"""How long a run whose journal lies on another machine may write nothing before it is settled without its journal."""

Begun: TypeAlias = Mapping[tuple[str, str, str], int]
"""How many exchanges a run has begun, by window, domain and route."""


async def register(
    connection: AsyncConnection, run: str, now_us: int, sequence: int, baseline: tuple[RouteDelta, ...], place: str
) -> None:
    """Make the run known, with the `place` of its journal.

    `baseline` is what it has settled elsewhere, when this ledger has just replaced another.
    """
    values = {
        "id": run,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_start": process_start(os.getpid()),
        "started_at": now_us,
        "sequence": sequence,
        "place": place,
        "written_at": now_us,
    }
    known = await connection.scalar(select(schema.runs.c.id).where(schema.runs.c.id == run))
    if known is None:
        await connection.execute(insert(connection, schema.runs).values(values))
        await add_observed(connection, run, baseline)


async def recover(writer: AsyncEngine, journals: Path, place: str, ledger: bytes, own: str, now_us: int) -> int:
    """Settle every run whose process is dead; returns how many exchanges were lost.

    `journals` is how the names of journals begin, `place` what tells their folder from those of other machines: whose
    journal lies elsewhere may be alive, and is settled by whoever can see its journal.

    Each run is settled in one transaction that also closes it, and its journal is removed afterwards: when
    this is killed in between, the next one finds the run closed and only removes the journal.
    """
    lost = 0
    for dead in dead_runs(journals):
        settled = False
        try:
            if dead.ledger not in (NO_LEDGER, ledger):
                log.warning("%s belongs to a ledger that was deleted or replaced; it is removed", dead.path)
            else:
                async with writer.begin() as connection:
                    lost += await _settle(connection, dead.run, dead.begun, now_us)
            settled = True
        finally:
            dead.release(remove=settled)
    async with writer.begin() as connection:
        for run in await _without_journal(connection, journals, place, own, now_us):
            log.warning("the journal of run %s is gone: what it lost is known to its last flush only", run)
            lost += await _settle(connection, run, {}, now_us)
    return lost


async def close_run(connection: AsyncConnection, run: str, now_us: int) -> None:
    """Close a run of which everything is written."""
    await fold_run(connection, run)
    await connection.execute(delete(schema.joined).where(schema.joined.c.run == run))
    await connection.execute(update(schema.runs).where(schema.runs.c.id == run).values(closed_at=now_us))


async def _settle(connection: AsyncConnection, run: str, journal: Begun, now_us: int) -> int:
    runs, observed = schema.runs, schema.observed
    row = (await connection.execute(select(runs.c.closed_at).where(runs.c.id == run))).one_or_none()
    if row is not None and row.closed_at is not None:
        return 0
    if row is None:  # it died before it could make itself known
        values = {"id": run, "host": "", "pid": 0, "pid_start": 0, "started_at": now_us, "sequence": 0}
        await connection.execute(insert(connection, runs).values(values))
    columns = (observed.c.window, observed.c.domain, observed.c.route, observed.c.begun, observed.c.settled)
    found = await connection.execute(select(*columns).where(observed.c.run == run))
    stored = {(one.window, one.domain, one.route): (one.begun, one.settled) for one in found}
    journal = await _in_file(connection, run, journal, {(window, domain) for window, domain, _ in stored}, now_us)
    routes, verdicts = [], []
    for key in sorted(stored.keys() | journal.keys()):
        window, domain, route = key
        begun, settled = stored.get(key, (0, 0))
        # After a power loss the journal may be older than the database, so the greater figure is the right one.
        begun = max(begun, journal.get(key, 0))
        if begun > settled:
            routes.append(RouteDelta(window, domain, route, begun, begun, begun - settled))
            lost = {now_us // MINUTE: begun - settled}
            verdicts.append(VerdictDelta(window, domain, route, Verdict.LOST, lost, now_us))
    await add_observed(connection, run, routes)
    await add_verdicts(connection, verdicts)
    await close_run(connection, run, now_us)
    return sum(route.observed for route in routes)


async def _in_file(
    connection: AsyncConnection, run: str, journal: Begun, stored: set[tuple[str, str]], now_us: int
) -> dict[tuple[str, str, str], int]:
    """`journal` by the windows that the file knows; one that never came into it is made now.

    A window that the run has written to and that is not there any more is long past.
    """
    joined = await windows.joined(connection, run)
    known = await windows.known_ids(connection)
    found = {}
    for (own, domain, route), begun in journal.items():
        window = joined.get(own, own) or windows.before_id(domain)
        if window not in known and (window, domain) not in stored:
            orphan = Window(window, domain, {}, from_us(now_us), windows.ORPHANED_WHY)
            await windows.add(connection, orphan)
            known.add(window)
        found[window, domain, route] = begun
    return found


async def _without_journal(connection: AsyncConnection, journals: Path, place: str, own: str, now_us: int) -> list[str]:
    """Open runs whose journal was deleted and whose process is gone, and those that others have long left behind."""
    runs, here = schema.runs.c, socket.gethostname()
    found = await connection.execute(
        select(runs.id, runs.host, runs.pid, runs.pid_start, runs.started_at, runs.written_at, runs.place).where(
            runs.closed_at.is_(None), runs.id != own
        )
    )
    gone = []
    for row in found:
        # Without a place all journals lie beside the file, whatever machine it came from. A folder may have been copied
        # to another machine together with what names it.
        if row.place == place and (not place or row.host == here):
            alive = row.host == here and row.pid_start and process_start(row.pid) == row.pid_start
            if not journal_of(journals, row.id).exists() and not alive:
                gone.append(row.id)
        elif (now_us - max(row.written_at, row.started_at)) * MICROSECOND > FORSAKEN:
            gone.append(row.id)
    return gone
