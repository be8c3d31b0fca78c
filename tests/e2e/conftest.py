"""One proxy as `shadowread serve` would run it, in this process, between scripted backends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.app import Application
from proxy.ledger import DomainCounts
from proxy.settings import Settings

PAIRS = [{"entity": "thing", "legacy": "a" * 24, "uuid": "11111111-1111-4111-8111-111111111111"}]


class Proxy:
    """A running application with what the tests ask of it."""

    def __init__(self, application: Application) -> None:
        self.application = application
        host, port = application.edge.address
        self.url = f"http://{host}:{port}"

    async def counts(self) -> DomainCounts:
        found = (await self.application.ledger.domains()).get("things")
        return found or DomainCounts("things", 0, 0, {}, {})

    async def until(self, condition: Callable[[DomainCounts], bool], seconds: float = 20) -> DomainCounts:
        """Wait until the counts fulfil `condition`; the books must balance at every look."""
        async with asyncio.timeout(seconds):
            while True:
                counts = await self.counts()
                assert counts.observed == sum(counts.verdicts.values())
                if condition(counts):
                    return counts
                await asyncio.sleep(0.01)


def settings(folder: Path, primary: str, shadow: str | None, /, **more: Any) -> Settings:
    ids = folder / "ids.json"
    ids.write_text(json.dumps(PAIRS))
    (folder / "ledger").mkdir(exist_ok=True)
    return Settings.model_validate(
        {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "primary": {"url": primary, "forwarded": "off"},
            "shadow": {"url": shadow or "", "timeout": 1.0},
            "ids": {"sources": [{"file": str(ids)}]},
            "ledger": {"url": f"sqlite:///{folder / 'ledger' / 'shadowread.db'}", "flush": 0.05},
            "settle": {"delay": 0.02, "factor": 1, "attempts": 2},
            "drain": 1.0,
            "domains": {"things": {"routes": ["GET /api/things/{id}", "GET /api/things"]}},
            **more,
            # How much is verified must not depend on what else the machine has to do.
            "limits": {"busy": 1.0, **more.get("limits", {})},
        }
    )


@asynccontextmanager
async def running(made: Settings) -> AsyncIterator[Proxy]:
    application = Application(made)
    await application.start()
    try:
        yield Proxy(application)
    finally:
        await application.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
