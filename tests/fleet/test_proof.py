"""The checks of provenance run in the first process, on what the workers have seen, while these are quiet."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from proxy.ledger import standing
from proxy.model import Verdict
from proxy.window import Proof
from tests.fleet.conftest import Crewed, crewed

SHADOW = {
    "postgres": {
        "statements": {
            "rows": {"sql": "SELECT id FROM things WHERE id = $1", "params": [{"from": "path.id", "type": "int"}]}
        },
        "shape": {"one": "rows", "fields": {"n": "id"}},
        "headers": {"content-type": "application/json"},
    }
}
MORE: dict[str, Any] = {
    "provenance": {"control": 1.5, "reads": 40},
    "domains": {
        "real": {"tables": ["things"], "routes": [{"route": "GET /api/real/{id}", "shadow": SHADOW}]},
        # Its twin reads no Postgres at all.
        "fake": {"tables": ["others"], "routes": ["GET /api/fake/{id}"]},
    },
}


@pytest.mark.slow
async def test_what_workers_have_seen_is_read_for_proof_while_they_are_quiet(tmp_path: Path, pg_database: str) -> None:
    connection = await asyncpg.connect(pg_database)
    await connection.execute("CREATE TABLE things (id int PRIMARY KEY); INSERT INTO things VALUES (1), (2)")
    await connection.execute("CREATE TABLE others (id int PRIMARY KEY)")
    await connection.close()
    async with crewed(tmp_path, 2, postgres={"dsn": pg_database}, **MORE) as proxy:
        asking = asyncio.create_task(_ask_on(proxy))
        try:
            found = await _proven(proxy)
        finally:
            asking.cancel()
            await asyncio.wait({asking})
        assert found == {"real": "proven", "fake": "failed"}
        for domain in ("real", "fake"):
            counts = await proxy.counted(domain, 1)
            assert counts.verdicts[Verdict.PAUSED] > 0
            assert counts.comparisons > 0


async def _ask_on(proxy: Crewed) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8, force_close=True)) as client:

        async def one(domain: str) -> None:
            async with client.get(f"{proxy.url}/api/{domain}/1") as answer:
                await answer.read()

        while True:
            await asyncio.gather(*(one(domain) for domain in ("real", "fake") * 4))


async def _proven(proxy: Crewed) -> dict[str, Proof]:
    """What the scan counters have said, once they have of both domains."""
    ledger = proxy.application.ledger
    async with asyncio.timeout(110):
        while True:
            found: dict[str, Proof] = {}
            for domain in ("real", "fake"):
                window = ledger.window(domain)
                assert window is not None
                for one in await ledger.ask(partial(standing.standings, window_id=window.id)):
                    if one.check == "scans" and not one.text.startswith("not looked at yet"):
                        found[domain] = one.proof
            if len(found) == 2:
                return found
            await asyncio.sleep(0.2)
