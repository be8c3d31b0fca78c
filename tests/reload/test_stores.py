"""Clients whose answers are read from a store while the configuration of that store changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.e2e.backends import backend, fetch
from tests.e2e.conftest import running, settings
from tests.reload.conftest import Side, until


async def test_a_client_gets_the_row_that_the_store_was_asked_for_before(tmp_path: Path, pg_database: str) -> None:
    rows = {"sql": "SELECT name FROM things WHERE id = $1", "params": [{"from": "path.id", "type": "int"}]}
    primary = {"postgres": {**rows, "headers": {"content-type": "application/json"}}}
    route = {"route": "GET /api/things/{id}", "primary": primary}
    shadow = Side([{"name": "one"}])
    holder = await asyncpg.connect(pg_database)
    await holder.execute("CREATE TABLE things (id int PRIMARY KEY, name text); INSERT INTO things VALUES (1, 'one')")

    async with backend(shadow) as shadow.url:

        def made(connections: int) -> Any:
            return settings(
                tmp_path,
                "",
                shadow.url,
                postgres={
                    "dsn": pg_database,
                    "connections": connections,
                    "statement_timeout": 30.0,
                    "lock_timeout": 30.0,
                },
                domains={"things": {"routes": [route]}},
                sampling=0.0,  # so that nothing but the client's own read needs the store
            )

        async with running(made(2)) as proxy:
            assert b"200 OK" in await fetch(proxy.url)
            async with holder.transaction():
                await holder.execute("LOCK TABLE things IN ACCESS EXCLUSIVE MODE")
                under_way = asyncio.create_task(fetch(proxy.url))
                asked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                async with asyncio.timeout(10):
                    while True:
                        if await holder.fetchval(asked):
                            break
                        await asyncio.sleep(0.01)
                before = proxy.application._line.reign.opened.sides._postgres
                await proxy.application.reload(made(3))
                assert proxy.application._line.reign.opened.sides._postgres is not before
                with pytest.raises(TimeoutError):
                    await until(lambda: proxy.application._line.ending == 0, 1.0)
            answer = await under_way
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert b'"name":"one"' in answer
            assert b"200 OK" in await fetch(proxy.url)
            await until(lambda: proxy.application._line.ending == 0)
            counts = await proxy.until(lambda counts: counts.observed - counts.under_way >= 3)
            assert sum(counts.verdicts.values()) == 3
    await holder.close()
