"""An admin port on a real socket, over a real ledger, beside a primary that can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from proxy.admin import AdminSite, Evidence, Part, Readiness, reaches
from proxy.ledger import Ledger
from proxy.settings import Settings
from proxy.telemetry import Figures
from tests.admin.recorded import AT, recorded, settings_in

TOKEN = "a long and secret token"


@dataclass
class Site:
    """The site, and how to ask it."""

    site: AdminSite
    client: aiohttp.ClientSession
    ledger: Ledger
    figures: Figures
    primary: asyncio.Server
    trouble: dict[str, str]
    settings: Settings

    async def get(self, path: str, *, method: str = "GET", **fields: str) -> aiohttp.ClientResponse:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        headers.setdefault("Authorization", f"Bearer {TOKEN}")
        return await self.client.request(
            method, f"http://127.0.0.1:{self.site.port}{path}", headers=headers, allow_redirects=False
        )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    primary = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = primary.sockets[0].getsockname()[1]
    settings = settings_in(tmp_path, primary=port, token=TOKEN)
    trouble: dict[str, str] = {}

    async def id_map() -> str | None:
        return trouble.get("id_map")

    assert settings.primary.url is not None
    async with primary, recorded(settings) as ledger, aiohttp.ClientSession() as client:
        figures = Figures()
        clock = iter(range(0, 1_000_000, 10))
        made = AdminSite(
            Evidence(settings, ledger, now=lambda: AT),
            figures,
            Readiness(
                {"primary": Part(reaches(settings.primary.url), required=True), "id_map": Part(id_map)},
                clock=lambda: next(clock),
            ),
            host="127.0.0.1",
            port=0,
            token=TOKEN,
        )
        await made.start()
        yield Site(made, client, ledger, figures, primary, trouble, settings)
        await made.stop()
