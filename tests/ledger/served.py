"""What the tests of a ledger in Postgres share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from proxy.demo.servers import PostgresServer
from proxy.ledger import Ledger, LedgerReader, postgres
from tests.ledger.support import (
    START,
    Spot,
    opened,
    rows_of,
    url_of,
)

WRONG = "Zebra-Sesame-77"


def account(pg_server: PostgresServer, spot: Spot, name: str) -> str:
    """The address of the ledger for a new account without any rights."""
    told(pg_server, f"DROP ROLE IF EXISTS {name}", f"CREATE ROLE {name} LOGIN PASSWORD 'correct-one'")
    return url_of(spot).replace(urlsplit(spot.dsn).netloc.partition("@")[0], f"{name}:correct-one")


def is_written(ledger: Ledger) -> bool:
    return ledger.recording.ok


async def open_at(url: str, folder: Path) -> None:
    dsn, _, asked = url.partition("?schema=")
    async with opened(Spot(dsn, asked or postgres.SCHEMA, folder)):
        pass


@contextmanager
def away(pg_server: PostgresServer, spot: Spot) -> Iterator[None]:
    """The database lets nobody in, and nobody stays in."""
    name = spot.dsn.rpartition("/")[2]
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 - our own name
    told(pg_server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false", ended)
    try:
        yield
    finally:
        told(pg_server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


def told(server: PostgresServer, *statements: str) -> None:
    """Said to the server beside all its ledgers."""
    rows_of(Spot(server.dsn(), "public", Path()), *statements)


async def reader_at(url: str) -> None:
    await (await LedgerReader.open(url)).close()


async def open_plain(spot: Spot) -> Ledger:
    return await Ledger.open(
        url_of(spot),
        journal=spot.journal,
        flush_seconds=3600.0,
        max_traces=10,
        max_trace_bytes=1_000_000,
        max_findings=10,
        clock=lambda: START,
    )
