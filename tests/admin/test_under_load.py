"""The admin port of a whole proxy while clients are served."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from proxy.app import Application
from proxy.settings import load_settings
from tests.e2e.backends import fetch
from tests.sweep.support import Things, configured, legacy

CLIENTS = 16
ROUNDS = 3


async def test_it_answers_and_tells_and_ends_with_the_proxy(tmp_path: Path) -> None:
    primary, shadow = Things(9, by_uuid=False), Things(9, by_uuid=True)
    shadow.things[1]["name"] = "wrong"
    async with configured(tmp_path, primary, shadow) as config, aiohttp.ClientSession() as client:
        application = Application(load_settings(config, {}))
        await application.start()
        host, port = application.edge.address
        admin = f"http://127.0.0.1:{application.admin.port}"
        over = asyncio.Event()

        async def load() -> None:
            while not over.is_set():
                for number in range(1, 10):
                    await fetch(f"http://{host}:{port}", f"/api/things/{legacy(number)}".encode())

        stream = await client.get(f"{admin}/api/v1/events?tail=1")
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(load())
            for _ in range(ROUNDS):
                for path in ("/", "/findings", "/live", "/api/v1/domains", "/metrics", "/healthz"):
                    async with client.get(admin + path, headers={"Accept": "text/html"}) as answer:
                        assert answer.status == 200, path
            told = set[bytes]()
            while not told >= {b"event: verdicts\n", b"event: changed\n"}:
                told.add(await stream.content.readline())
            over.set()
        await application.stop()
        async with asyncio.timeout(10):
            await stream.content.read()
        assert stream.content.at_eof()
