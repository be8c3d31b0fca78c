"""`shadowread serve` as a process of its own, and what its API shows."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import simplejson

from proxy.settings import Settings, show
from tests.demo.trees import tree, wait_until_gone

ROOT = Path(__file__).parents[2]
SERVING = re.compile(r"serving (http://\S+), admin port (\d+)")
START_SECONDS = 60.0


@dataclass
class Served:
    """A running proxy: where clients and where the admin site are reached. `said` is its log so far."""

    process: asyncio.subprocess.Process
    url: str
    admin: str
    said: list[str]
    reading: asyncio.Task[None]

    async def says(self, what: str, seconds: float = 10.0) -> None:
        """Wait until its log has `what`. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not any(what in line for line in self.said):  # noqa: ASYNC110 - a pipe is read meanwhile
                await asyncio.sleep(0.01)

    async def ended(self, seconds: float) -> int:
        """Its exit status. Raises TimeoutError when it still runs after `seconds`."""
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            await self.reading
        return code

    def kill(self) -> None:
        """kill -9, of the process alone: what it has started must notice by itself."""
        os.kill(self.process.pid, signal.SIGKILL)


@asynccontextmanager
async def served(folder: Path, made: Settings) -> AsyncIterator[Served]:
    """Start it and wait until it serves. In the end it is killed, and with it whatever it has started is gone."""
    path = folder / "shadowread.yaml"
    path.write_text(simplejson.dumps(show(made)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.cli", "serve", "-c", str(path), stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    said: list[str] = []
    ready: asyncio.Future[re.Match[str]] = asyncio.get_running_loop().create_future()

    async def read() -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            said.append(line.decode(errors="replace"))
            if not ready.done() and (found := SERVING.search(said[-1])):
                ready.set_result(found)
        if not ready.done():
            ready.set_exception(AssertionError(f"it ended before it served: {''.join(said)}"))

    reading = asyncio.ensure_future(read())
    members = tree(process.pid)
    try:
        async with asyncio.timeout(START_SECONDS):
            found = await ready
        members = tree(process.pid)
        yield Served(process, found[1], f"http://127.0.0.1:{found[2]}", said, reading)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        await reading
        await asyncio.to_thread(wait_until_gone, members)


async def told(session: aiohttp.ClientSession, url: str) -> Any:
    """One answer of the API. Raises aiohttp.ClientError when the process is gone."""
    async with session.get(url) as response:
        assert response.status == 200, await response.text()
        return await response.json()
