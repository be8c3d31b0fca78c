"""What the tests of the ledger share."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import asyncpg

from comparators.model import Difference, Kind, Tolerated
from proxy.ledger import DomainCounts, Ledger, LedgerReader
from proxy.ledger.database import migrate, store_of
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


T = TypeVar("T")


@dataclass(frozen=True)
class Spot:
    """A ledger in Postgres: the schema `schema` of the database `dsn`."""

    dsn: str
    schema: str
    journal: Path


@dataclass(frozen=True)
class PostgresHome:
    """A database for ledgers, each named as a file would be; their journals lie in `folder`."""

    dsn: str
    folder: Path

    def __truediv__(self, name: str, /) -> Spot:
        return Spot(self.dsn, name.replace(".", "_"), self.folder)

    def glob(self, pattern: str, /) -> Iterable[Path]:
        return self.folder.glob(pattern)


Place: TypeAlias = Path | Spot


class Home(Protocol):
    """Where ledgers lie: a folder, or a database."""

    def __truediv__(self, name: str, /) -> Place: ...

    def glob(self, pattern: str, /) -> Iterable[Path]: ...


def url_of(place: Place) -> str:
    return f"sqlite:///{place}" if isinstance(place, Path) else f"{place.dsn}?schema={place.schema}"


@asynccontextmanager
async def opened(place: Place, **changes: Any) -> AsyncIterator[Ledger]:
    """A ledger that writes only when it is flushed, unless told otherwise."""
    settings: dict[str, Any] = {
        "flush_seconds": 3600.0,
        "max_traces": 100,
        "max_trace_bytes": 10_000_000,
        "max_findings": 100,
        "clock": lambda: START,
        "journal": None if isinstance(place, Path) else place.journal,
    }
    ledger = await Ledger.open(url_of(place), **{**settings, **changes})
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def reading(place: Place) -> AsyncIterator[LedgerReader]:
    reader = await LedgerReader.open(url_of(place))
    try:
        yield reader
    finally:
        await reader.close()


async def make(place: Place) -> None:
    """Make the ledger with its tables, or bring it up to date, as the first one who opens it does."""
    store = store_of(url_of(place))
    engine = store.engine()
    async with store.writer(engine).begin() as connection:
        await connection.run_sync(migrate, store)
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


def rows_of(place: Place, *statements: str) -> list[tuple[Any, ...]]:
    """What another program finds there by the last one of `statements`; each is done for good."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place)) as connection, connection:
            for statement in statements:
                found = connection.execute(statement).fetchall()
        return found
    return apart(_rows_of(place, statements))


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` in a loop of its own, while this one stands still."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _rows_of(spot: Spot, statements: tuple[str, ...]) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(spot.dsn, server_settings={"search_path": spot.schema})
    try:
        for statement in statements:
            found = await connection.fetch(statement)
    finally:
        await connection.close()
    return [tuple(row) for row in found]


def remove(place: Place) -> None:
    """As somebody else would, while it is in use."""
    if isinstance(place, Path):
        place.unlink()
    else:
        rows_of(place, f"DROP SCHEMA {place.schema} CASCADE")


def observed_by_route(place: Place) -> dict[str, int]:
    """What the ledger has of each route in all windows, once both books say the same of every window that is kept."""
    books = [
        rows_of(place, f'SELECT "window", domain, route, sum({figure}) FROM {table} GROUP BY 1, 2, 3')  # noqa: S608 - names
        for table, figure in (("observed", "observed"), ("verdicts", "n"))
    ]
    kept = {row[0] for row in rows_of(place, "SELECT id FROM windows")}
    begun, ended = ({row[:3]: row[3] for row in book if row[3] and row[0] in kept} for book in books)
    assert begun == ended
    found, also = Counter[str](), Counter[str]()
    for counter, book in zip((found, also), books, strict=True):
        for _, _, route, n in book:
            counter[route] += n
    assert found == also
    return dict(found)


TOLERATED = Tolerated("null_missing", "$.data[*].note", 3, "$..note")
