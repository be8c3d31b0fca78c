"""A proxy whose ledger is in Postgres, and what its clients see of it: nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from proxy.demo.servers import PostgresServer
from proxy.ledger import LedgerReader
from proxy.model import Verdict
from tests.e2e.backends import answering, backend, fetch, response
from tests.e2e.conftest import running, settings

BODY = response(b'{"n": 1}')


async def say(server: PostgresServer, *statements: str) -> None:
    connection = await asyncpg.connect(server.dsn())
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_served_and_counted_while_it_is_away_and_all_is_there_when_it_is_back(
    folder: Path, pg_server: PostgresServer, pg_database: str
) -> None:
    name = pg_database.rpartition("/")[2]
    gone = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 - our own name
    (folder / "run").mkdir()
    ledger = {"url": pg_database, "journal": folder / "run", "flush": 0.05}
    async with (
        backend(answering(BODY)) as primary,
        backend(answering(response(b'{"n": 2}'))) as shadow,
        running(settings(folder, primary, shadow, ledger=ledger)) as proxy,
    ):
        book = proxy.application.ledger
        plain = await fetch(proxy.url)
        await proxy.until(lambda counts: counts.observed == 1)
        await book.flush()
        assert book.recording.ok, book.recording.reason
        await say(pg_server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false", gone)
        assert await asyncio.gather(*(fetch(proxy.url) for _ in range(10))) == [plain] * 10
        await proxy.until(lambda counts: counts.observed == 11)
        await book.flush()
        assert (book.recording.ok, book.recording.waiting) == (False, 10)
        assert "not currently accepting connections" in str(book.recording.reason)
        await say(pg_server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        await book.flush()
        assert (book.recording.waiting, book.recording.reason) == (0, None)
        assert await fetch(proxy.url) == plain
        await proxy.until(lambda counts: counts.observed == 12)
    reader = await LedgerReader.open(pg_database)
    try:
        assert (await reader.domains())["things"].verdicts == {Verdict.DIFF: 12}
        (finding,) = await reader.findings()
        assert (finding.path, finding.exchanges) == ("$.n", 12)
        assert len(await reader.traces(finding=finding.id)) == 12
        assert (await reader.trace(str(finding.first_trace))) is not None
    finally:
        await reader.close()
    assert list((folder / "run").glob("*.journal")) == []
