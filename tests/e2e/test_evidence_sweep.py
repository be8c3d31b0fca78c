"""One command reads every user that the id map knows through both sides of the demo's marketplace."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from proxy.demo.marketplace.dataset import dataset
from tests.demo.pairs import SEED, fresh, pair

CONFIG = Path(__file__).parents[2] / "config" / "marketplace.yaml"


@pytest.mark.slow
async def test_a_sweep_of_the_demos_users_reaches_all_of_them(folder: Path, mongo_url: str, pg_database: str) -> None:
    users = dataset(SEED)["user"]
    token = folder / "token.txt"
    token.write_text(f"Authorization: Bearer demo-{users[0]['id']}\n")
    async with pair(fresh(mongo_url, pg_database)) as both:
        environment = {
            **os.environ,
            "PRIMARY_URL": both.primary,
            "SHADOW_URL": both.shadow,
            "PG_URL": pg_database,
            "SHADOWREAD_LEDGER": f"sqlite:///{folder / 'sweep.db'}",
        }
        arguments = ("sweep", "users", "-c", str(CONFIG), "--headers", str(token), "--json")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "proxy.cli", *arguments),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), 100)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, err.decode() + out.decode()
    told = json.loads(out)
    assert told["entities"]["user"] == {"verified": len(users), "known": len(users), "exact": True}
    by_route = {route["route"]: route for route in told["routes"]}
    detail = by_route["GET /api/users/{id}"]
    assert (detail["read"], detail["equal"], detail["finished"]) == (len(users), len(users), True)
    assert by_route["GET /api/users"]["read"] >= len(users) // 100
