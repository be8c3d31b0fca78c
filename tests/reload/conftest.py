"""A proxy between two backends that answer when they are let, and are known by what they say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from proxy.ledger import DomainCounts
from proxy.settings import Settings
from tests.e2e.backends import backend, fetch, response, target_of
from tests.e2e.conftest import Proxy, running, settings

SLOW = b"/api/things/slow"


class Side:
    """A backend that answers everything with one body, and `SLOW` only when `let` is set. `heads` is what it was sent,
    `slow` how many wait."""

    def __init__(self, body: Any) -> None:
        self.body = body
        self.url = ""
        self.heads: list[bytes] = []
        self.slow = 0
        self.let = asyncio.Event()

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        self.heads.append(head)
        body = json.dumps(self.body).encode()
        if target_of(head) == SLOW:
            self.slow += 1
            await self.let.wait()
        writer.write(response(body))

    async def waited_for(self) -> None:
        """Return when a read of `SLOW` has come in."""
        await until(lambda: self.slow > 0)


class Reloading:
    """The proxy, its two backends, and what it works under."""

    def __init__(self, folder: Path, proxy: Proxy, primary: Side, shadow: Side, client: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.proxy = proxy
        self.application = proxy.application
        self.primary = primary
        self.shadow = shadow
        self.client = client

    def settings(self, **more: Any) -> Settings:
        """The ones that it was started with, but for `more`."""
        return settings(self.folder, self.primary.url, self.shadow.url, **more)

    async def reload(self, **more: Any) -> None:
        await self.application.reload(self.settings(**more))

    async def fetch(self, target: bytes = b"/api/things/1") -> bytes:
        return await fetch(self.proxy.url, target)

    async def counted(self, observed: int, domain: str = "things") -> DomainCounts:
        """The counts of the domain's current window once it has seen so many exchanges to their ends."""
        async with asyncio.timeout(20):
            while True:
                found = (await self.application.ledger.domains()).get(domain)
                if found is not None:
                    assert found.observed == sum(found.verdicts.values())
                    if found.observed - found.under_way >= observed:
                        return found
                await asyncio.sleep(0.01)

    def window(self, domain: str = "things") -> str:
        found = self.application.ledger.window(domain)
        assert found is not None
        return found.id

    async def admin(self, path: str) -> Any:
        async with self.client.get(f"http://127.0.0.1:{self.application.admin.port}{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await (answer.json() if answer.content_type == "application/json" else answer.text())


@asynccontextmanager
async def reloading(folder: Path, one: Any, other: Any, **more: Any) -> AsyncIterator[Reloading]:
    """`one` and `other` are the bodies of primary and shadow."""
    primary, shadow = Side(one), Side(other)
    async with (
        backend(primary) as primary.url,
        backend(shadow) as shadow.url,
        aiohttp.ClientSession() as client,
        running(settings(folder, primary.url, shadow.url, **more)) as proxy,
    ):
        yield Reloading(folder, proxy, primary, shadow, client)
        primary.let.set()
        shadow.let.set()


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until `condition` returns something true."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)
