"""The demo's parts, driven by a test: traffic at the rate that is asked for, and a domain that heals when told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from proxy.demo.bugs import BUGS, found
from proxy.demo.heal import Heal, Healing
from proxy.demo.parts import FOREVER_SECONDS, Addresses, DemoOptions, Parts
from proxy.demo.processes import Child, Supervisor

FAST, SLOW = 160, 50
"""Requests a second: until there is something to look at, and while a browser wants the processors, too."""
EVIDENCE_SECONDS = 120.0


class Market:
    """A running demo. `admin` is the address of its admin site."""

    def __init__(self, parts: Parts, addresses: Addresses, session: aiohttp.ClientSession) -> None:
        self.admin = addresses.admin
        self._parts = parts
        self._addresses = addresses
        self._session = session
        self._traffic: Child | None = None

    async def told(self, path: str) -> Any:
        """What the API answers."""
        async with self._session.get(self.admin + path) as response:
            assert response.status == 200, f"{path}: {response.status} {await response.text()}"
            return await response.json()

    async def traffic(self, rate: int) -> None:
        """Send this many requests a second from now on."""
        if self._traffic is not None:
            await self._parts.stop_traffic(self._traffic)
        options = {"--target": self._addresses.edge, "--duration": FOREVER_SECONDS, "--seed": 1, "--rate": rate}
        line = [str(word) for pair in options.items() for word in pair]
        self._traffic = self._parts.python(f"traffic-{rate}", "proxy.demo.traffic", *line)

    async def evidence(self) -> None:
        """Wait until every planted bug that a comparison can see has been seen."""
        missing = [bug.name for bug in BUGS if bug.findable]
        async with asyncio.timeout(EVIDENCE_SECONDS):
            while missing:
                findings = (await self.told("/api/v1/findings?limit=1000"))["findings"]
                missing = [bug.name for bug in BUGS if bug.findable and found(bug, findings) is None]
                await asyncio.sleep(0.2)

    async def finding(self, bug: str) -> dict[str, Any]:
        """The finding that is this planted bug."""
        findings = (await self.told("/api/v1/findings?limit=1000"))["findings"]
        (planted,) = (one for one in BUGS if one.name == bug)
        seen = found(planted, findings)
        assert seen is not None, bug
        return dict(seen)

    async def heal(self, domain: str) -> None:
        """Repair the planted bugs of a domain, both in the twin and in what is stored."""
        healing = Healing(
            [Heal(domain, 0)],
            self._addresses.backends,
            self._parts.control,
            session=self._session,
            domain=lambda name: self.told(f"/api/v1/domains/{name}"),
            clock=time.monotonic,
            tell=lambda _: None,
        )
        await healing.tick()
        assert healing.cases, f"{domain} was not healed"


@asynccontextmanager
async def market() -> AsyncIterator[Market]:
    """Start all parts; returns when the planted bugs were found, with slow traffic going on."""
    # Of its own: a demo has the whole folder of its supervisor to itself.
    with Supervisor() as supervisor:
        parts = Parts(DemoOptions(), supervisor, lambda _: None)
        addresses = await parts.start()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            made = Market(parts, addresses, session)
            await made.traffic(FAST)
            await made.evidence()
            await made.traffic(SLOW)
            yield made
