"""What the tests of the ledger share."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from comparators.model import Difference, Kind, Tolerated
from proxy.ledger import DomainCounts, Ledger, LedgerReader
from proxy.ledger.database import make_engine, migrate
from proxy.model import Outcome, Trace, Verdict

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


@asynccontextmanager
async def opened(path: Path, **changes: Any) -> AsyncIterator[Ledger]:
    """A ledger that writes only when it is flushed, unless told otherwise."""
    settings: dict[str, Any] = {
        "flush_seconds": 3600.0,
        "max_traces": 100,
        "max_trace_bytes": 10_000_000,
        "max_findings": 100,
        "clock": lambda: START,
    }
    ledger = await Ledger.open(url_of(path), **{**settings, **changes})
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def reading(path: Path) -> AsyncIterator[LedgerReader]:
    reader = await LedgerReader.open(url_of(path))
    try:
        yield reader
    finally:
        await reader.close()


async def make(path: Path) -> None:
    """Make the file with its tables, or bring it up to date, as the first one who opens it does."""
    engine = make_engine(path)
    async with engine.execution_options(write=True).begin() as connection:
        await connection.run_sync(migrate, path)
    await engine.dispose()


async def crash(ledger: Ledger) -> None:
    """End as a killed process does: nothing more is written, the journal stays, its lock is gone."""
    for task in list(ledger._tasks._tasks):
        task.cancel()
    await ledger._tasks.drain(5)
    ledger._ended = True
    await ledger._shut(remove=False)


def outcome(verdict: Verdict = Verdict.MATCH, *, domain: str = "users", route: str = "GET /u", **more: Any) -> Outcome:
    return Outcome(domain, route, verdict, more.pop("at", START), **more)


def exchange(ledger: Ledger, verdict: Verdict = Verdict.MATCH, **more: Any) -> Outcome:
    """One exchange from beginning to end."""
    found = outcome(verdict, **more)
    ledger.record(ledger.begin(found.domain, found.route), found)
    return found


def difference(
    path: str = "$.name", kind: Kind = Kind.VALUE_CHANGED, primary: Any = "a", shadow: Any = "b"
) -> Difference:
    return Difference(path, kind, primary, shadow)


def trace(id_: str, *differences: Difference, **more: Any) -> Trace:
    fields: dict[str, Any] = {
        "at": START,
        "domain": "users",
        "route": "GET /u",
        "verdict": Verdict.DIFF,
        "method": "GET",
        "target": "/u?x=1",
        "request_headers": (("accept", "application/json"),),
        "primary_status": 200,
        "shadow_status": 200,
        "primary_headers": (("content-type", "application/json"),),
        "shadow_headers": (("content-type", "application/json"),),
        "primary_body": '{"name": "a"}',
        "shadow_body": '{"name": "b"}',
        "primary_seconds": 0.01,
        "shadow_seconds": 0.02,
        "settling": ("first", "again"),
    }
    fields.update(more)
    return Trace(id=id_, differences=differences, differences_total=len(differences), **fields)


def diff(ledger: Ledger, id_: str, *differences: Difference, **more: Any) -> Trace:
    """One exchange that differed, with its trace."""
    found = trace(id_, *(differences or (difference(),)), **more)
    exchange(
        ledger,
        Verdict.DIFF,
        at=found.at,
        domain=found.domain,
        route=found.route,
        differences=found.differences,
        trace=found,
    )
    return found


def assert_balanced(domains: Mapping[str, DomainCounts]) -> None:
    for counts in domains.values():
        assert counts.balanced, counts
        assert counts.lifetime_observed >= counts.observed, counts


def observed(domains: Mapping[str, DomainCounts]) -> int:
    """In all windows."""
    return sum(counts.lifetime_observed for counts in domains.values())


def rows_of(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """What another program finds in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def observed_by_route(path: Path) -> dict[str, int]:
    """What the file has of each route in all windows, once both books say the same of every window that is kept."""
    books = [
        rows_of(path, f"SELECT window, domain, route, sum({figure}) FROM {table} GROUP BY 1, 2, 3")  # noqa: S608 - names
        for table, figure in (("observed", "observed"), ("verdicts", "n"))
    ]
    kept = {row[0] for row in rows_of(path, "SELECT id FROM windows")}
    begun, ended = ({row[:3]: row[3] for row in book if row[3] and row[0] in kept} for book in books)
    assert begun == ended
    found, also = Counter[str](), Counter[str]()
    for counter, book in zip((found, also), books, strict=True):
        for _, _, route, n in book:
            counter[route] += n
    assert found == also
    return dict(found)


TOLERATED = Tolerated("null_missing", "$.data[*].note", 3, "$..note")
