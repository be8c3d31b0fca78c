"""A whole proxy between two backends that say what a test wants, and a witness whose answers must not suffer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop

from proxy.app import Application
from proxy.model import Verdict
from proxy.tasks import TaskGroup
from tests.e2e.conftest import settings
from tests.readers.hostile.peer import GOOD, PATIENCE, Got, Peer, ask


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that `shadowread serve` runs on: it reads sockets its own way."""
    return {"uvloop": uvloop.new_event_loop}


DOMAINS = {
    "hostile": {"routes": ["GET /api/hostile/{name}"]},
    "quiet": {"routes": ["GET /api/quiet/{name}"]},
}
STEPS = 5.0
"""Seconds within which a witness has its answer, whatever happens beside it, on a machine that is shared."""


class Witness:
    """Another client of the same proxy: it asks all the time on one connection and wants the right bytes each time."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._host, self._port = host, int(port)
        self._stopping = False
        self.answers = 0
        self.longest = 0.0

    async def run(self) -> None:
        """Ask until `stop`; raises when an answer is wrong, late or broken off."""
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            while not self._stopping:
                began = loop.time()
                writer.write(b"GET /api/quiet/1 HTTP/1.1\r\nHost: a\r\n\r\n")
                async with asyncio.timeout(STEPS):
                    got = await reader.readexactly(len(GOOD))
                assert got == GOOD, got
                self.answers += 1
                self.longest = max(self.longest, loop.time() - began)
                await asyncio.sleep(0.005)  # one of many clients, not a load
        finally:
            writer.close()

    def stop(self) -> None:
        self._stopping = True


class Scene:
    """A running proxy and both of its peers."""

    def __init__(self, application: Application, primary: Peer, twin: Peer) -> None:
        self.application = application
        self.primary = primary
        self.twin = twin
        host, port = application.edge.address
        self.url = f"http://{host}:{port}"
        self.witness = Witness(self.url)
        self._seen: dict[str, int] = {}

    async def anew(self) -> None:
        """Forget the scripts, and what has been counted so far."""
        for peer in (self.primary, self.twin):
            peer.scripts.clear()
        async with asyncio.timeout(PATIENCE):
            while True:
                found = (await self.application.ledger.domains()).get("hostile")
                if found is None or not found.under_way:
                    break
                await asyncio.sleep(0.005)
        self._seen = {str(verdict): number for verdict, number in found.verdicts.items()} if found else {}

    async def ask(self, name: str, method: str = "GET") -> Got:
        return await ask(self.url, f"/api/hostile/{name}", method)

    async def verdicts(self, count: int = 1) -> dict[str, int]:
        """The verdicts of the next `count` exchanges, once they have ended; the books must balance at every look."""
        want = sum(self._seen.values()) + count
        async with asyncio.timeout(PATIENCE):
            while True:
                found = (await self.application.ledger.domains()).get("hostile")
                if found is not None:
                    assert found.observed == sum(found.verdicts.values())
                    assert found.observed <= want, "an exchange was counted twice, or a test did not look"
                    if found.observed == want and not found.under_way:
                        break
                await asyncio.sleep(0.005)
        now = {str(verdict): number for verdict, number in found.verdicts.items()}
        new = {verdict: number - self._seen.get(verdict, 0) for verdict, number in now.items()}
        self._seen = now
        return {verdict: number for verdict, number in new.items() if number}


@asynccontextmanager
async def scene(folder: Path, *, watched: bool = True, **more: Any) -> AsyncIterator[Scene]:
    """A proxy with its peers and a witness; at the end the witness must have been served well, and verified.

    `watched` false: without the witness, where the proxy's patience is too short for a machine that is shared.
    """
    primary, twin = Peer(), Peer()
    await primary.start()
    await twin.start()
    shadow = {"url": twin.url, "timeout": 10.0, "breaker": {"failures": 1_000_000}, **more.pop("shadow", {})}
    made = settings(
        folder,
        primary.url,
        twin.url,
        primary={"url": primary.url, "forwarded": "off", **more.pop("primary", {})},
        shadow=shadow,
        settle={"delay": 0.0, "attempts": 1},
        domains=DOMAINS,
        **more,
    )
    application = Application(made)
    try:
        await application.start()
        there = Scene(application, primary, twin)
        if watched:
            async with _watched(there):
                yield there
        else:
            yield there
        assert not application.edge.tap_faults
    finally:
        await application.stop()
        with contextlib.suppress(ConnectionError):
            await primary.stop()
            await twin.stop()


@asynccontextmanager
async def _watched(there: Scene) -> AsyncIterator[None]:
    watching = TaskGroup(1).start(there.witness.run(), name="witness")
    assert watching is not None
    try:
        yield
    finally:
        there.witness.stop()
        await watching
    assert there.witness.answers
    quiet = await _ended(there.application, "quiet", there.witness.answers)
    assert quiet == {Verdict.MATCH: there.witness.answers}


async def _ended(application: Application, domain: str, count: int) -> dict[Verdict, int]:
    async with asyncio.timeout(PATIENCE):
        while True:
            counts = (await application.ledger.domains()).get(domain)
            if counts is not None and counts.observed == count and not counts.under_way:
                return dict(counts.verdicts)
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(loop_scope="package")
async def there(shared: Scene) -> Scene:
    """The shared proxy, with its peers as they were at first and its books closed."""
    await shared.anew()
    return shared


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """One proxy for all shapes of this folder: what one of them leaves behind must not harm the next."""
    async with scene(tmp_path_factory.mktemp("hostile")) as made:
        yield made
