"""The configuration of the deployment runs: its ledger on a real Postgres, the id map in another one."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import asyncpg
import pytest

from proxy.app import Application
from proxy.settings import Settings, load_settings
from proxy.settings.types import HostPort
from tests.assets.conftest import TOKEN
from tests.assets.server import until
from tests.assets.support import CONFIG
from tests.e2e.backends import answering, backend, fetch, response

LOOPBACK = HostPort("127.0.0.1", 0)
LEGACY, UUID = "5" * 24, "11111111-1111-4111-8111-111111111111"


@pytest.fixture
async def shop(pg_database: str) -> str:
    """A database as the backend has it: the id map, with one pair."""
    connection = await asyncpg.connect(pg_database)
    try:
        await connection.execute("CREATE TABLE id_map (entity text, legacy_id text, new_id uuid)")
        await connection.execute("INSERT INTO id_map VALUES ('user', $1, $2)", LEGACY, UUID)
    finally:
        await connection.close()
    return pg_database


def deployed(environment: dict[str, str], state: Path) -> Settings:
    """As it is shipped, but for the addresses and the folder, which are the container's."""
    settings = load_settings(CONFIG / "deploy.yaml", environment)
    admin = settings.admin.model_copy(update={"listen": LOOPBACK})
    ledger = settings.ledger.model_copy(update={"journal": state})
    return settings.model_copy(update={"listen": LOOPBACK, "admin": admin, "ledger": ledger})


async def test_the_deployment_compares_and_records(shop: str, tmp_path: Path) -> None:
    body = b'{"data": {"id": "%s"}}'
    async with (
        backend(answering(response(body % LEGACY.encode()))) as primary,
        backend(answering(response(body % UUID.encode()))) as shadow,
        aiohttp.ClientSession() as client,
    ):
        environment = {
            "SHADOWREAD_ADMIN_TOKEN": TOKEN, "PRIMARY_URL": primary, "SHADOW_URL": shadow,
            "PG_URL": shop, "LEDGER_URL": shop,
        }  # fmt: skip
        application = Application(deployed(environment, tmp_path))
        await application.start()
        try:
            host, port = application.edge.address
            assert LEGACY.encode() in await fetch(f"http://{host}:{port}", f"/api/users/{LEGACY}".encode())
            url = f"http://127.0.0.1:{application.admin.port}/api/v1/domains"

            async def matched() -> bool:
                async with client.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
                    (users,) = (await answer.json())["domains"]
                return bool(users["verdicts"]["match"] == 1)

            await until(matched)
        finally:
            await application.stop()
    connection = await asyncpg.connect(shop)
    try:
        rows = await connection.fetch("SELECT domain, verdict, n FROM shadowread.verdicts WHERE n > 0")
        assert [tuple(row) for row in rows] == [("users", "match", 1)]
    finally:
        await connection.close()
