"""An admin port on a real socket, over a real ledger, beside a primary that can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from proxy.admin import AdminSite, Evidence, Part, Readiness, reaches
from proxy.admin.desk import Ids, Replays
from proxy.ledger import Ledger
from proxy.settings import Settings
from proxy.tail import Tail
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
    tail: Tail
    slept: list[float]
    """For how long wrong tokens were to wait."""
    moment: list[float]
    """What the clock of sessions shows."""
    hold: asyncio.Event
    """While it is not set, wrong tokens wait."""

    async def get(self, path: str, *, method: str = "GET", **fields: str) -> aiohttp.ClientResponse:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        headers.setdefault("Authorization", f"Bearer {TOKEN}")
        if not headers["Authorization"]:
            del headers["Authorization"]
        return await self.client.request(
            method, f"http://127.0.0.1:{self.site.port}{path}", headers=headers, allow_redirects=False
        )

    async def post(
        self, path: str, *, json: object = None, data: dict[str, str] | None = None, **fields: str
    ) -> aiohttp.ClientResponse:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        headers.setdefault("Authorization", f"Bearer {TOKEN}")
        if not headers["Authorization"]:
            del headers["Authorization"]
        url = f"http://127.0.0.1:{self.site.port}{path}"
        return await self.client.post(url, json=json, data=data, headers=headers, allow_redirects=False)

    async def begin(self, path: str, **fields: str) -> asyncio.Task[aiohttp.ClientResponse]:
        """Ask without waiting for the answer."""
        return asyncio.ensure_future(self.get(path, **fields))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what happens on the loop."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for are counts of the site, not events
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running(
    folder: Path, *, token: str, ids: Ids | None = None, replays: Replays | None = None
) -> AsyncIterator[Site]:
    """A site over the recorded ledger; sessions go by `Site.moment`."""
    primary = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = primary.sockets[0].getsockname()[1]
    settings = settings_in(folder, primary=port, token=token)
    trouble: dict[str, str] = {}

    async def id_map() -> str | None:
        return trouble.get("id_map")

    assert settings.primary.url is not None
    async with primary, recorded(settings) as ledger, aiohttp.ClientSession() as client:
        figures, tail = Figures(), Tail()
        slept: list[float] = []
        moment, hold = [0.0], asyncio.Event()
        hold.set()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await hold.wait()

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
            token=token,
            tail=tail,
            ids=ids,
            replays=replays,
            clock=lambda: moment[0],
            sleep=sleep,
        )
        await made.start()
        yield Site(made, client, ledger, figures, primary, trouble, settings, tail, slept, moment, hold)
        await made.stop()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One that asks for a token."""
    async with running(tmp_path, token=TOKEN) as made:
        yield made


@pytest.fixture
async def open_site(tmp_path: Path) -> AsyncIterator[Site]:
    """One on loopback that asks for none."""
    async with running(tmp_path, token="") as made:
        yield made
