"""A Prometheus of Debian's with the shipped configuration, pointed at a proxy of the test."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from proxy.demo.processes import Command, Supervisor
from tests.assets.support import PROMETHEUS, tool, yaml

EVERY = "1s"


class Server:
    """One that runs: `ask` gives what its API has under `data`."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self._url = url
        self._client = client

    async def ready(self) -> bool:
        try:
            async with self._client.get(f"{self._url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def ask(self, path: str, **parameters: str) -> Any:
        async with self._client.post(f"{self._url}/api/v1/{path}", data=parameters) as answer:
            content = await answer.json()
            assert content["status"] == "success", f"{parameters}: {content}"
            return content["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("query", query=expression))["result"]
        return found


@asynccontextmanager
async def prometheus(supervisor: Supervisor, folder: Path, target: str, token: str) -> AsyncIterator[Server]:
    """Start it on a free port; it scrapes `target` with `token` every second."""
    (folder / "token").write_text(token)
    config = yaml(PROMETHEUS / "prometheus.yml")
    config["global"] = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    (job,) = (one for one in config["scrape_configs"] if one["job_name"] == "shadowread")
    job["authorization"]["credentials_file"] = str(folder / "token")
    job["static_configs"] = [{"targets": [target]}]
    config["scrape_configs"] = [job]
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = Command(
        "prometheus",
        [
            tool("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ],
        env={"GOMAXPROCS": "1"},
        cwd=folder,
    )
    child = await asyncio.to_thread(supervisor.spawn, command)
    try:
        async with aiohttp.ClientSession() as client:
            server = Server(f"http://127.0.0.1:{port}", client)

            async def ready() -> bool:
                assert child.code is None, child.obituary()
                return await server.ready()

            await until(ready)
            yield server
    finally:
        await asyncio.to_thread(child.stop)


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    """Ask again until the condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the other process has nobody to tell
            await asyncio.sleep(0.1)
