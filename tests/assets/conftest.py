"""A running proxy with something to show: a domain that differs, and one that is not proven."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import aiohttp

from proxy.app import Application
from proxy.settings import Settings
from proxy.telemetry.setup import Telemetry
from tests.e2e.backends import Script, backend, fetch, response, target_of
from tests.e2e.conftest import Proxy, settings

TOKEN = "a long and secret token"
SAME, DIFFERENT, UNPROVEN = b"/api/things/1", b"/api/things/2", b"/api/others/1"
DOMAINS = {
    "things": {"routes": ["GET /api/things/{id}"], "gate": {"provenance": []}},
    "others": {"routes": ["GET /api/others/{id}"]},
}

NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


def _backend(*, wrong: bool) -> Script:
    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        body = {"side": "wrong" if wrong and target_of(head) == DIFFERENT else "right"}
        writer.write(response(json.dumps(body).encode()))

    return script


class Watched:
    """The proxy, and how to ask its admin port."""

    def __init__(self, proxy: Proxy, client: aiohttp.ClientSession) -> None:
        self.proxy = proxy
        self.port = proxy.application.admin.port
        self._client = client

    async def seen(self) -> None:
        """Send one request of each kind, and wait until what came of them is written."""
        before = (await self.proxy.counts()).observed
        for target in (SAME, DIFFERENT, UNPROVEN):
            await fetch(self.proxy.url, target)
        await self.proxy.until(lambda counts: counts.comparisons >= before + 2)
        await self.proxy.application.ledger.flush()

    async def metrics(self) -> str:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self._client.get(f"http://127.0.0.1:{self.port}/metrics", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()


def configured(folder: Path, primary: str, shadow: str) -> Settings:
    admin = {"listen": "127.0.0.1:0", "token": TOKEN}
    return settings(folder, primary, shadow, admin=admin, domains=DOMAINS, limits={"queue": 50})


@asynccontextmanager
async def watched(folder: Path, environ: Mapping[str, str] = NO_ENVIRONMENT) -> AsyncIterator[Watched]:
    """`environ` says what is exported (`OTEL_*`)."""
    async with (
        backend(_backend(wrong=False)) as primary,
        backend(_backend(wrong=True)) as shadow,
        aiohttp.ClientSession() as client,
    ):
        application = Application(configured(folder, primary, shadow), Telemetry.of(environ))
        await application.start()
        try:
            yield Watched(Proxy(application), client)
        finally:
            await application.stop()
