"""Every fault of every part: clients see nothing of it, no exchange is without its verdict, and all becomes normal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.demo.servers import PostgresServer
from tests.conftest import administer
from tests.faults.cases import PARTS, Part
from tests.faults.run import run
from tests.faults.scenes import Stores, fill
from tests.faults.timing import QUICK


@pytest.fixture
async def stores(pg_server: PostgresServer, pg_database: str, mongo_url: str) -> AsyncIterator[Stores]:
    await fill(pg_database, mongo_url)
    own = "faults_ledgers"
    await asyncio.to_thread(administer, pg_server, f"CREATE DATABASE {own}")
    yield Stores(pg_database, mongo_url, pg_server.dsn(own))
    await asyncio.to_thread(administer, pg_server, f"DROP DATABASE {own} WITH (FORCE)")


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
async def test_faults(part: Part, stores: Stores, tmp_path: Path) -> None:
    if part.root and os.geteuid() != 0:
        pytest.skip("making a disk takes root")
    with QUICK.applied():
        found = await run(part, stores, QUICK, tmp_path / "case", asyncio.Lock())
    assert {row.fault: row.wrong for row in found if row.wrong} == {}
