"""A proxy of several processes in front of two backends: the first process is this one, the workers are real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from proxy.app import Application
from proxy.fleet.workers import Workers
from proxy.ledger import DomainCounts
from proxy.settings import Settings
from tests.e2e.backends import backend, response, target_of
from tests.e2e.conftest import settings

SLOW = b"/api/slow/"
CALLER = {"X-Caller": "me", "Authorization": "Bearer hush-hush-123456"}


class Side:
    """A backend. Ids under `bad` have another value on each side; what is under `/api/slow/` waits for `let`."""

    def __init__(self, value: int) -> None:
        self.value = value
        self.let = asyncio.Event()
        self.waiting = 0
        self.heads: list[bytes] = []

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        target = target_of(head)
        self.heads.append(head)
        if target.startswith(SLOW):
            self.waiting += 1
            await self.let.wait()
        value = self.value if b"bad" in target else 0
        writer.write(response(json.dumps({"target": target.decode(), "value": value, "same": 1}).encode()))


class Crewed:
    """The proxy with what the tests ask of it."""

    def __init__(
        self,
        application: Application,
        crew: Workers,
        primary: Side,
        shadow: Side,
        with_rules: Callable[..., Settings],
    ) -> None:
        self.application = application
        self.crew = crew
        self.primary = primary
        self.shadow = shadow
        self.with_rules = with_rules
        """The settings that it was started with, and more."""

    @property
    def url(self) -> str:
        host, port = self.application.address
        return f"http://{host}:{port}"

    async def ask(self, target: str, count: int = 1) -> None:
        """So many requests, each on a connection of its own, so that every worker gets some."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=16)) as client:

            async def one() -> None:
                async with client.get(self.url + target, headers=CALLER) as answer:
                    assert answer.status == 200
                    assert (await answer.json())["target"] == target

            await asyncio.gather(*(one() for _ in range(count)))

    async def counted(self, domain: str, observed: int, seconds: float = 30) -> DomainCounts:
        """The counts of the domain once it has seen so many exchanges end; they balance at every look."""
        async with asyncio.timeout(seconds):
            while True:
                found = (await self.application.ledger.domains()).get(domain)
                if found is not None:
                    assert found.observed == sum(found.verdicts.values())
                    if found.observed >= observed:
                        return found
                await asyncio.sleep(0.05)

    async def figured(self, least: float, name: str, **labels: str) -> None:
        """Wait until `figure` has come to that."""
        async with asyncio.timeout(20):
            while True:
                if await self.figure(name, **labels) >= least:
                    return
                await asyncio.sleep(0.1)

    async def figure(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels, as a scrape shows it."""
        url = f"http://127.0.0.1:{self.application.admin.port}/metrics"
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            text = await answer.text()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.partition("{")[0].partition(" ")[0] == name
            and all(f'{label}="{value}"' in line for label, value in labels.items())
        )


@asynccontextmanager
async def crewed(folder: Path, count: int = 2, **more: Any) -> AsyncIterator[Crewed]:
    """A proxy of `count` workers with the domains a, b, c and slow, each with a route of its name."""
    primary, shadow = Side(1), Side(2)
    async with backend(primary) as one, backend(shadow) as other:
        with_rules = partial(crew_settings, folder, one, other, **more)
        made = with_rules()
        crew = Workers(count, made)
        application = Application(made, crew=crew)
        await application.start()
        try:
            yield Crewed(application, crew, primary, shadow, with_rules)
        finally:
            for side in (primary, shadow):
                side.let.set()
            await application.stop()


def crew_settings(folder: Path, one: str, other: str, **more: Any) -> Settings:
    domains: Mapping[str, Any] = {name: {"routes": [f"GET /api/{name}/{{id}}"]} for name in ("a", "b", "c", "slow")}
    return settings(folder, one, other, **{"domains": domains, "shadow": {"url": other, "timeout": 20.0}, **more})


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.02)
